"""Import times of the server and of what a job's script imports, in fresh interpreters, beside another checkout.

    python bench/startup.py [--rounds 15] [--against FOLDER [--python PATH]]

Both trees run in one interpreter with the same libraries unless --python says else. CPU time is what to compare on a
machine that does other things; libraries that only one of the trees loads are listed with what they cost.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess

from _pairing import Tree, add_arguments, in_turns, report, trees

MODULES = ("uws_server.server", "reduction.task")

PACKAGES = ("provenance", "reduction", "uws_server")

IMPORT = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({{"wall ms": 1000 * wall, "CPU ms": 1000 * cpu}}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    add_arguments(parser)
    options = parser.parse_args()
    both = trees(options)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} fresh interpreters a figure")
    for module in MODULES:
        print(f"import {module}")
        report(in_turns({tree.name: functools.partial(import_time, tree, module) for tree in both}, options.rounds))
        if len(both) > 1:
            differences(module, *both)


def import_time(tree: Tree, module: str) -> dict[str, float]:
    """Import a module in a fresh interpreter and return what that took."""
    figures: dict[str, float] = json.loads(tree.run("-c", IMPORT.format(module=module)))
    return figures


def differences(module: str, theirs: Tree, ours: Tree) -> None:
    """Print the libraries' modules that only one tree loads; those of the project may only have another name."""
    loaded = {tree.name: costs(tree, module) for tree in (theirs, ours)}
    for mine, other in (("ours", "theirs"), ("theirs", "ours")):
        only = {name: ms for name, ms in loaded[mine].items()
                if name not in loaded[other] and name.partition(".")[0] not in PACKAGES}  # fmt: skip
        own = sum(name.partition(".")[0] in PACKAGES for name in loaded[mine])
        worst = sorted(only, key=lambda name: -only[name])[:12]
        listed = ", ".join(f"{name} ({only[name]:.1f} ms)" for name in worst) or "none"
        print(f"  {mine}: {len(loaded[mine])} modules, {own} of the project; of libraries here only: {listed}")


def costs(tree: Tree, module: str) -> dict[str, float]:
    """Return the modules that an import loads, each with the milliseconds that it takes by itself."""
    done = subprocess.run(
        [str(tree.python), "-X", "importtime", "-c", f"import {module}"],
        cwd=tree.root,
        env=tree.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    return {name.strip(): int(own) / 1000 for own, _, name in lines if own.strip().isdigit()}


if __name__ == "__main__":
    main()
