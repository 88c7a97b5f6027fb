"""Holds the code against the house of the design: which room may import which, and what every file must look like."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from checkout import ROOT, project_files

GROUND = (
    *("uws_server", "uws_server.errors", "uws_server.version", "uws_server.resources", "uws_server.config"),
    "uws_server.storage.plainfiles",
)
"""What any room of the server may import. Among themselves only the errors may be imported."""

COUNTER = (
    *(
        "uws_server.services.job_service",
        "uws_server.services.context",
        "uws_server.services.rights",
        "uws_server.services.parameters",
        "uws_server.jobs",
    ),
    *("uws_server.services.drafts", "uws_server.services.provenance", "uws_server.reruns"),
)
"""What both doors go to: the use cases, what is handed in, and the values."""


@dataclass(frozen=True)
class Room:
    """A package or module: its floor, and the rooms it may import (None: every room on a lower floor)."""

    floor: int
    may_import: tuple[str, ...] | None = None


ROOMS: dict[str, Room] = {
    "uws_server.cli": Room(7),
    "uws_server.commands": Room(7),
    "uws_server.commands.demo": Room(7),
    "uws_server.__main__": Room(7),
    "uws_server.server": Room(7),
    "uws_server.app": Room(6),
    "uws_server.web": Room(5, (*COUNTER, "uws_server.previews", "provenance", *GROUND)),
    "uws_server.protocol": Room(5, (*COUNTER, "uws_server.asgi", "uws_server.services.obscore", "provenance", *GROUND)),
    "uws_server.incoming.forms": Room(5, ("uws_server.services.parameters", "uws_server.jobs", *GROUND)),
    "uws_server.incoming.rerun_forms": Room(5, (*COUNTER, "provenance", *GROUND)),
    "uws_server.services.job_service": Room(4),
    "uws_server.services.quotas": Room(4, ("uws_server.jobs", *GROUND)),
    "uws_server.reruns": Room(4),
    "uws_server.services.drafts": Room(4),
    "uws_server.services.provenance": Room(4),
    "uws_server.services.graph_builder": Room(4, ("uws_server.storage", "uws_server.jobs", "provenance", *GROUND)),
    "uws_server.services.obscore": Room(4),
    "uws_server.services.integrity": Room(4),
    "uws_server.services.context": Room(4),
    "uws_server.services.trials": Room(4),
    "uws_server.services.accounts": Room(4),
    "uws_server.services.rights": Room(4),
    "uws_server.incoming.callers": Room(
        5, ("uws_server.services.job_service", "uws_server.services.context", "uws_server.services.rights", *GROUND)
    ),
    "uws_server.incoming.sites": Room(5, ("uws_server.services.context", "uws_server.services.rights", *GROUND)),
    "uws_server.services.parameters": Room(4),
    "uws_server.previews": Room(4, ("uws_server.jobs", "reduction", "provenance", *GROUND)),
    "uws_server.services.hashes": Room(3, ("uws_server.storage", "provenance", *GROUND)),
    "uws_server.archive": Room(3, ("uws_server.storage", "uws_server.jobs", "reduction.regions", *GROUND)),
    "uws_server.execution": Room(3, ("uws_server.storage", "uws_server.jobs", "provenance", *GROUND)),
    "job_definitions": Room(3, ("reduction", "provenance")),
    "uws_server.storage": Room(2, ("uws_server.jobs", *GROUND)),
    "reduction": Room(2, ("provenance",)),
    "uws_server.asgi": Room(1, ()),
    "uws_server.jobs": Room(1, ("uws_server.errors",)),
    "provenance": Room(1, ()),
    "uws_server.client": Room(1, ("uws_server.errors", "uws_server.version")),
    "uws_server.config": Room(1, ("uws_server.errors",)),
    "uws_server.errors": Room(1, ()),
    "uws_server.storage.plainfiles": Room(1, ()),
    "uws_server.resources": Room(1, ("uws_server.errors",)),
    "uws_server.version": Room(1, ()),
    "uws_server": Room(1, ("uws_server.version",)),
}

SAME_FLOOR = {
    ("uws_server.__main__", "uws_server.cli"),
    ("uws_server.cli", "uws_server.commands"),
    ("uws_server.cli", "uws_server.commands.demo"),
    ("uws_server.commands", "uws_server.server"),
    ("uws_server.cli", "uws_server.server"),
    ("uws_server.commands.demo", "uws_server.commands"),
    ("uws_server.protocol", "uws_server.incoming.forms"),
    ("uws_server.web", "uws_server.incoming.forms"),
    ("uws_server.protocol", "uws_server.incoming.rerun_forms"),
    ("uws_server.web", "uws_server.incoming.rerun_forms"),
    ("uws_server.incoming.rerun_forms", "uws_server.incoming.forms"),
    ("uws_server.services.job_service", "uws_server.services.context"),
    ("uws_server.services.job_service", "uws_server.services.quotas"),
    ("uws_server.services.quotas", "uws_server.services.context"),
    ("uws_server.services.quotas", "uws_server.services.rights"),
    ("uws_server.reruns", "uws_server.services.job_service"),
    ("uws_server.reruns", "uws_server.services.parameters"),
    ("uws_server.reruns", "uws_server.services.context"),
    ("uws_server.services.provenance", "uws_server.services.graph_builder"),
    ("uws_server.services.provenance", "uws_server.services.rights"),
    ("uws_server.services.provenance", "uws_server.services.context"),
    ("uws_server.services.drafts", "uws_server.services.job_service"),
    ("uws_server.services.drafts", "uws_server.services.parameters"),
    ("uws_server.services.drafts", "uws_server.services.rights"),
    ("uws_server.services.drafts", "uws_server.services.context"),
    ("uws_server.services.drafts", "uws_server.services.trials"),
    ("uws_server.services.job_service", "uws_server.services.rights"),
    ("uws_server.services.job_service", "uws_server.services.parameters"),
    ("uws_server.services.context", "uws_server.services.accounts"),
    ("uws_server.services.trials", "uws_server.services.parameters"),
    ("uws_server.services.context", "uws_server.services.rights"),
    ("uws_server.services.context", "uws_server.services.parameters"),
    ("uws_server.services.accounts", "uws_server.services.rights"),
    ("uws_server.services.obscore", "uws_server.services.context"),
    ("uws_server.services.obscore", "uws_server.services.rights"),
    ("uws_server.protocol", "uws_server.incoming.callers"),
    ("uws_server.web", "uws_server.incoming.callers"),
}
"""The arrows along a floor: a command may be a module of its own, and both doors read forms."""

NEVER_IMPORTED = ("job_definitions",)
"""The server runs the scripts of the definitions; nothing imports them."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("uws_server.storage",),
    "alembic": ("uws_server.storage",),
    "prov": ("provenance",),
    "bottle": ("uws_server.protocol", "uws_server.web", "uws_server.app"),
}
"""Libraries that only these rooms may import."""

TOP_LEVEL = ("uws_server", "provenance", "reduction", "job_definitions")
LONGEST_MODULE = 400


@dataclass(frozen=True)
class Import:
    """One import statement: where it stands, and the dotted name of what it brings in."""

    path: Path
    line: int
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def names_imported(node: ast.stmt, importer: str, is_package: bool) -> Iterator[str]:
    """The dotted modules that a statement imports: `from a import b` is a.b where that is a module of ours, else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = importer.split(".") if is_package else importer.split(".")[:-1]
        base = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if source.split(".")[0] in TOP_LEVEL and is_module(inner) else source


def imports_of(path: Path) -> Iterator[Import]:
    importer = module_name(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in names_imported(node, importer, path.name == "__init__.py"):
                yield Import(path, node.lineno, importer, name)


def room_of(module: str) -> str | None:
    """The room that holds a module: the longest name in ROOMS that it begins with."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    found = next((prefix for prefix in prefixes if prefix in ROOMS), None)
    return found if found != "uws_server" or module == "uws_server" else None


def begins_with(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


def why_forbidden(arrow: Import) -> str | None:
    """The sentence that says what is wrong with an import of ours, or None."""
    source, target = room_of(arrow.importer), room_of(arrow.imported)
    if source is None or target is None:
        unknown = arrow.importer if source is None else arrow.imported
        return f"{arrow}: {unknown} is no room of the house: give it a floor in ROOMS or move it into a room"
    if source == target or (source, target) in SAME_FLOOR:
        return None
    if target in NEVER_IMPORTED:
        return f"{arrow}: {target} is run, never imported"
    room, floor = ROOMS[source], ROOMS[target].floor
    if room.may_import is not None:
        if any(begins_with(arrow.imported, name) for name in room.may_import if name != "uws_server"):
            return None
        if arrow.imported == "uws_server" and "uws_server" in room.may_import:
            return None
        allowed = ", ".join(room.may_import) or "nothing of ours"
        return f"{arrow}: {source} (floor {room.floor}) may import {allowed}"
    if floor >= room.floor:
        return f"{arrow}: the arrow runs {'up' if floor > room.floor else 'along'} from floor {room.floor} to {floor}"
    return None


def all_imports() -> list[Import]:
    """Every import of our packages, each once: a statement that brings several names of one module counts as one."""
    ours = [path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in TOP_LEVEL]
    return list(dict.fromkeys(found for path in ours for found in imports_of(path)))


def test_every_arrow_points_down() -> None:
    ours = [arrow for arrow in all_imports() if arrow.imported.split(".")[0] in TOP_LEVEL]
    assert ours, "no import found: the test looks in the wrong place"
    wrong = [sentence for arrow in ours if (sentence := why_forbidden(arrow))]
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_itself_points_down() -> None:
    for name, room in ROOMS.items():
        for target in room.may_import or ():
            holder = room_of(target)
            assert holder is not None, f"{name} may import {target}, which is no room"
            assert target in GROUND or ROOMS[holder].floor < room.floor, f"{name} may import {target} above it"


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("uws_server.storage.jobstore", "uws_server.services.context"),
        ("uws_server.web.jobs", "uws_server.protocol.uws_xml"),
        ("uws_server.protocol.uws", "uws_server.web.jobs"),
        ("uws_server.jobs.job", "uws_server.config"),
        ("uws_server.archive.footprints", "reduction.spectra.spectrum"),
        ("provenance.steps", "uws_server.version"),
        ("reduction.events.gti", "uws_server.errors"),
        ("uws_server.services.context", "job_definitions.dummy.run"),
        ("uws_server.cellar", "uws_server.errors"),
    ],
)
def test_a_wrong_arrow_is_found(importer: str, imported: str) -> None:
    assert why_forbidden(Import(ROOT / "setup.cfg", 1, importer, imported)) is not None


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("uws_server.cli", "uws_server.app"),
        ("uws_server.cli", "uws_server.commands"),
        ("uws_server.cli", "uws_server.commands.demo"),
        ("uws_server.commands", "uws_server.server"),
        ("uws_server.archive.footprints", "reduction.regions"),
        ("uws_server.web.jobs", "uws_server.services.context"),
        ("uws_server.storage.jobstore", "uws_server.jobs.job"),
        ("uws_server.storage.jobstore", "uws_server.storage.tables"),
    ],
)
def test_a_right_arrow_is_let_be(importer: str, imported: str) -> None:
    assert why_forbidden(Import(ROOT / "setup.cfg", 1, importer, imported)) is None


def test_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{found}: only {', '.join(rooms)} may"
        for found in all_imports()
        for library, rooms in ONLY_IN.items()
        if begins_with(found.imported, library) and room_of(found.importer) not in rooms
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_library_is_declared() -> None:
    """What the packages import is in setup.cfg, so that a clean installation has it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    text = "\n".join([config["options"]["install_requires"], extras["postgres"], extras["slurm"]])
    declared = {distribution_key(match) for match in re.findall(r"^\s*([A-Za-z0-9][\w.-]*)", text, re.MULTILINE)}
    distributions = packages_distributions()
    wrong = []
    for found in all_imports():
        top = found.imported.split(".")[0]
        if top in TOP_LEVEL or top in sys.stdlib_module_names:
            continue
        providers = {distribution_key(name) for name in distributions.get(top, [top])}
        if not providers & declared:
            wrong.append(f"{found}: add {' or '.join(sorted(providers))} to install_requires in setup.cfg")
    assert not wrong, "\n" + "\n".join(wrong)


def distribution_key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def holds_cases(path: Path) -> bool:
    """Whether a file holds the tests of a room, which may be many; those in the browser and what all use are short."""
    folders = path.relative_to(ROOT).parts
    return folders[0] == "tests" and folders[1] not in ("e2e", "support")


def test_modules_are_short_and_say_what_they_hold() -> None:
    wrong = []
    for path in project_files():
        if path.suffix != ".py":
            continue
        source = path.read_text(encoding="utf-8")
        lines = len(source.splitlines())
        if lines > LONGEST_MODULE and not holds_cases(path):
            wrong.append(f"{path.relative_to(ROOT)} has {lines} lines, allowed are {LONGEST_MODULE}: split it")
        if not ast.get_docstring(ast.parse(source)):
            wrong.append(f"{path.relative_to(ROOT)} does not open with a docstring that says what it holds")
    assert not wrong, "\n" + "\n".join(wrong)


# joined here, so that this file does not hold what it looks for
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "farm", "root", "tmp", "home/[a-z]+")) + ")/")
REGISTRIES = (("registry", "npmjs"), ("pythonhosted", "org"), ("deb", "debian"))
REGISTRY_HOSTS = re.compile("|".join(rf"{first}\.{second}" for first, second in REGISTRIES))


def test_no_file_names_a_machine_or_a_registry() -> None:
    wrong = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            found = PATHS_OF_A_MACHINE.search(line) or REGISTRY_HOSTS.search(line)
            if found:
                wrong.append(f"{path.relative_to(ROOT)}:{number} holds {found[0]!r}, true on one machine only")
    assert not wrong, "\n" + "\n".join(wrong)
