"""Builds the source archive and the wheel, installs the wheel in a clean environment, and runs a job from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from urllib.parse import urljoin
from xml.etree import ElementTree

import pytest
import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from checkout import ROOT, project_files
from uws_server.resources import definitions_folder, find_folder, templates_folder

pytestmark = pytest.mark.slow

PACKAGES = ("uws_server", "provenance", "reduction")
NEW_FILES = ("templates/static/vendor/later/deep/part.js", "job_definitions/later-job/data/table.csv")
"""Files that nobody listed anywhere: they must travel too."""
NEW_MODULE = "reduction/later/deep/part.py"
"""A module of packages that nobody listed either."""
TYPED_PROGRAM = """
from __future__ import annotations

from pathlib import Path

from provenance import votags
from reduction import regions
from uws_server import client


def facility(product: Path) -> str:
    tags = votags.read(product)
    return "" if tags is None else str(tags.row["facility_name"])


def count_shapes(text: str) -> int:
    return len(regions.parse(text).include)


def run(address: str, region: str) -> list[str]:
    state = client.follow(client.create(address, {"source_region": region}, {}), lambda state: None)
    return [result.name for result in state.results]
"""
VENDOR = Path("templates/static/vendor")
HREF = "{http://www.w3.org/1999/xlink}href"
START_SECONDS = 300
JOB_SECONDS = 300


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as git would give it, with long polling-end parts that are here and NEW_FILES."""
    tree = tmp_path_factory.mktemp("source") / "tree"
    parts = [path for path in (ROOT / VENDOR).rglob("*") if path.is_file()]
    for path in [*project_files(), *parts]:
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    for name in NEW_FILES:
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text("new\n")
    module = tree / NEW_MODULE
    for folder in (module.parent, module.parent.parent):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    module.touch()
    return tree


@pytest.fixture(scope="module")
def built(source_tree: Path) -> Path:
    """The folder with the source archive, and the wheel that was built from the archive."""
    command = [sys.executable, "-m", "build", "--no-isolation", str(source_tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source_tree / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that holds the wheel and what the wheel asks for, nothing else.

    What it asks for is linked from the environment of the tests, which was fetched: that takes a second, not a minute.
    """
    folder = tmp_path_factory.mktemp("clean") / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    pip(folder, "install", "--no-index", "--no-deps", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    (installed,) = metadata.distributions(name="uws-server", path=[str(packages)])
    for distribution in asked_for(installed):
        link(distribution, packages)
    pip(folder, "check")
    return folder / "bin" / "python"


def asked_for(installed: metadata.Distribution) -> list[metadata.Distribution]:
    """Return what a distribution needs without its extras, and what that needs in turn, as it is installed here."""
    found: dict[str, metadata.Distribution] = {}
    todo = [(installed, "")]
    while todo:
        distribution, extra = todo.pop()
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            key = canonicalize_name(requirement.name)
            wanted = [f"{key}[{name}]" for name in requirement.extras] + [key]
            for name in [name for name in wanted if name not in found]:
                found[name] = metadata.distribution(requirement.name)
                todo.append((found[name], name.partition("[")[2].rstrip("]")))
    return list(found.values())


def link(distribution: metadata.Distribution, packages: Path) -> None:
    """Link the files of an installed distribution, but for its commands, into another folder of packages."""
    for file in distribution.files or ():
        if ".." not in file.parts and not (packages / file).exists():
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            (packages / file).symlink_to(Path(str(distribution.locate_file(file))))


def pip(environment: Path, *arguments: str) -> None:
    """Run this environment's pip on another one; its words are shown when it fails."""
    command = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def clean_variables() -> dict[str, str]:
    """The environment of a process that must not find the checkout."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def test_the_source_archive_holds_the_project(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {path.relative_to(ROOT).as_posix() for path in project_files()}
    missing = {name for name in wanted if not name.startswith((".ci/", ".git"))} - held
    assert not missing
    assert set(NEW_FILES) <= held


def test_the_wheel_holds_code_templates_and_definitions(wheel: Path, source_tree: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(source_tree).as_posix()
        for package in PACKAGES
        for path in (source_tree / package).rglob("*.py")
    }
    for folder in ("templates", "job_definitions"):
        files = (path for path in (source_tree / folder).rglob("*") if path.is_file())
        wanted |= {f"uws_server/{path.relative_to(source_tree).as_posix()}" for path in files}
    wanted |= {f"{package}/py.typed" for package in PACKAGES}
    assert {f"uws_server/{name}" for name in NEW_FILES} | {NEW_MODULE} <= wanted
    assert wanted - held == set(), "missing in the wheel"
    assert {name for name in held - wanted if name.endswith((".py", ".pyc"))} == set(), "not ours to install"
    assert {name.partition("/")[0] for name in held} == set(PACKAGES), "a further package at the top"


def test_the_wheel_says_for_whom_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (head,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        lines = opened.read(head).decode().splitlines()
    assert "Requires-Python: >=3.11" in lines
    assert "Classifier: Typing :: Typed" in lines
    for version in ("3.11", "3.12", "3.13"):
        assert f"Classifier: Programming Language :: Python :: {version}" in lines


def test_a_typed_program_passes_against_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    """mypy reads the types of what is installed; a wrong use of them is an error."""
    (tmp_path / "program.py").write_text(TYPED_PROGRAM)
    good = mypy_strict(tmp_path / "program.py", clean_python)
    assert good.returncode == 0, good.stdout + good.stderr
    (tmp_path / "wrong.py").write_text(TYPED_PROGRAM.replace(").include", ").included"))
    wrong = mypy_strict(tmp_path / "wrong.py", clean_python)
    assert wrong.returncode == 1
    assert 'has no attribute "included"' in wrong.stdout


def mypy_strict(program: Path, python: Path) -> subprocess.CompletedProcess[str]:
    """Have our mypy check a program with the packages that another Python has, away from the checkout."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(python)]
    return subprocess.run(
        [*command, program.name], cwd=program.parent, env=clean_variables(), capture_output=True, text=True
    )


def test_the_folders_of_the_checkout_are_found_first() -> None:
    assert templates_folder() == ROOT / "templates"
    assert definitions_folder() == ROOT / "job_definitions"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"templates/ of uws-server is not at .*install the package again"):
        find_folder("templates", tmp_path / "uws_server")


def test_the_installed_folders_are_found(clean_python: Path, tmp_path: Path) -> None:
    code = "from uws_server import resources as r; print(r.templates_folder()); print(r.definitions_folder())"
    command = [str(clean_python), "-c", code]
    printed = subprocess.run(command, cwd=tmp_path, env=clean_variables(), capture_output=True, text=True, check=True)
    folders = [Path(line) for line in printed.stdout.splitlines()]
    for folder, name in zip(folders, NEW_FILES, strict=True):
        assert folder.is_relative_to(clean_python.parent.parent)
        assert (folder / Path(name).relative_to(folder.name)).read_text() == "new\n"


@contextmanager
def running_server(clean_python: Path, folder: Path) -> Iterator[str]:
    """The address of `uws-server serve` on a free port, started away from the checkout and stopped at the end.

    The data folder is given relative to the working folder, as a person types it.
    """
    command = [str(clean_python.with_name("uws-server")), "serve", "--port", "0", "--data", "data"]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=clean_variables(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield address_in(log, server)
    finally:
        server.terminate()
        try:
            server.wait(timeout=300)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def address_in(log: Path, server: subprocess.Popen[bytes]) -> str:
    """The address that the server prints when it listens."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"Listening on (http://[\d.]+:\d+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the installed server does not listen:\n{log.read_text()}")


def phase_at_the_end(job: str) -> str:
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        phase = requests.get(f"{job}/phase", timeout=300).text.strip()
        if phase in {"COMPLETED", "ERROR", "ABORTED"}:
            return phase
        time.sleep(0.1)
    return f"still {phase} after {JOB_SECONDS} s"


def test_a_job_runs_from_the_installed_wheel(clean_python: Path, tmp_path: Path) -> None:
    with running_server(clean_python, tmp_path) as address:
        form = {"text": "hello", "seconds": "0", "PHASE": "RUN"}
        created = requests.post(f"{address}/rest/dummy", data=form, allow_redirects=False, timeout=300)
        assert created.status_code == 303, created.text
        job = urljoin(address, created.headers["Location"])
        assert phase_at_the_end(job) == "COMPLETED", requests.get(job, timeout=300).text
        results = ElementTree.fromstring(requests.get(f"{job}/results", timeout=300).content)
        (href,) = (result.get(HREF, "") for result in results if result.get("id") == "result")
        assert requests.get(urljoin(address, href), timeout=300).text.strip() == "hello"
