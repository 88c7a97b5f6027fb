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

HOUSE: dict[str, tuple[str, ...]] = {
    # the command, the process, the application
    "uws_server.__main__": ("uws_server.cli",),
    "uws_server.cli": ("uws_server.commands", "reduction.errors"),
    "uws_server.commands": (
        "uws_server.server",
        "uws_server.tap.loading",
        "uws_server.backups",
        "uws_server.services",
        "uws_server.storage",
        "uws_server.jobs",
        "uws_server.client",
        "reduction.bench",
        "reduction.regions",
        "reduction.simulate",
        "reduction.responses",
        "reduction.errors",
        "provenance.votags",
        "provenance.obscore",
        "provenance.steps",
        "provenance.text",
    ),
    "uws_server.server": (
        "uws_server.app",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.execution",
        "uws_server.asgi",
    ),
    "uws_server.app": (
        "uws_server.web.site",
        "uws_server.protocol.tap",
        "uws_server.protocol",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.storage",
        "uws_server.asgi",
    ),
    # the people's door
    "uws_server.web.site": (
        "uws_server.web.jobs",
        "uws_server.web.definitions",
        "uws_server.web.archive",
        "uws_server.web.search",
        "uws_server.web.account",
        "uws_server.web.admin",
        "uws_server.web.sky",
        "uws_server.web.sessions",
        "uws_server.web.shared",
        "uws_server.services",
    ),
    "uws_server.web.sessions": (
        "uws_server.web.jobs",
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.previews",
        "uws_server.jobs",
    ),
    "uws_server.web.jobs": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.reruns",
        "uws_server.services",
        "uws_server.previews",
        "uws_server.jobs.formats",
        "uws_server.jobs",
        "provenance.graph",
        "provenance.steps",
    ),
    "uws_server.web.definitions": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.jobs.formats",
        "uws_server.jobs",
        "provenance.text",
    ),
    "uws_server.web.archive": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.archive.query",
        "uws_server.previews",
        "uws_server.jobs",
    ),
    "uws_server.web.search": (
        "uws_server.web.shared",
        "uws_server.services",
        "uws_server.discovery",
        "uws_server.previews",
        "uws_server.jobs",
        "provenance.obscore",
    ),
    "uws_server.web.account": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.oidc",
    ),
    "uws_server.web.admin": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.jobs",
    ),
    "uws_server.web.sky": (
        "uws_server.web.shared",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.previews",
        "uws_server.jobs",
    ),
    "uws_server.web.shared": ("uws_server.incoming", "uws_server.services", "uws_server.jobs"),
    "uws_server.web": (),
    # the programs' door
    "uws_server.protocol.tap": (
        "uws_server.protocol",
        "uws_server.incoming",
        "uws_server.services",
        "uws_server.tap.jobs",
        "uws_server.tap.query",
        "uws_server.tap.schema",
        "uws_server.tap.formats",
        "uws_server.tap.upload",
        "uws_server.jobs",
        "provenance.text",
    ),
    "uws_server.protocol": (
        "uws_server.incoming",
        "uws_server.reruns",
        "uws_server.services",
        "uws_server.storage",
        "uws_server.discovery",
        "uws_server.jobs.formats",
        "uws_server.jobs",
        "uws_server.asgi",
        "provenance.graph",
        "provenance.obscore",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "uws_server.incoming": (
        "uws_server.reruns",
        "uws_server.services",
        "uws_server.jobs",
        "provenance.steps",
        "provenance.text",
    ),
    # every use case once
    "uws_server.reruns": (
        "uws_server.services",
        "uws_server.execution.arrays",
        "uws_server.execution",
        "uws_server.storage",
        "uws_server.jobs",
        "provenance.votags",
        "provenance.obscore",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "uws_server.services": (
        "uws_server.tap.jobs",
        "uws_server.tap.query",
        "uws_server.tap.schema",
        "uws_server.tap.formats",
        "uws_server.tap.adql",
        "uws_server.execution.arrays",
        "uws_server.execution.warm",
        "uws_server.execution.slurm",
        "uws_server.execution",
        "uws_server.oidc",
        "uws_server.storage",
        "uws_server.discovery",
        "uws_server.archive.query",
        "uws_server.archive",
        "uws_server.jobs.formats",
        "uws_server.jobs",
        "reduction.simulate",
        "reduction.fitting",
        "reduction.regions",
        "reduction.errors",
        "provenance.graph",
        "provenance.obscore",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    # queries, as jobs and at once
    "uws_server.tap.jobs": (
        "uws_server.tap.query",
        "uws_server.tap.formats",
        "uws_server.tap.upload",
        "uws_server.execution",
        "uws_server.storage",
        "uws_server.jobs",
    ),
    "uws_server.tap.loading": (
        "uws_server.tap.adql",
        "uws_server.tap.schema",
        "uws_server.tap.upload",
        "uws_server.tap",
        "uws_server.storage",
    ),
    "uws_server.tap.query": (
        "uws_server.tap.adql",
        "uws_server.tap.schema",
        "uws_server.tap.formats",
        "uws_server.tap.upload",
        "uws_server.tap",
        "uws_server.execution",
        "uws_server.storage",
    ),
    "uws_server.tap.schema": ("uws_server.tap", "uws_server.storage", "provenance.obscore"),
    # who somebody is elsewhere
    "uws_server.oidc": ("uws_server.storage",),
    # how jobs run, what is kept, what there is to look at
    "uws_server.backups": ("uws_server.storage", "uws_server.jobs"),
    "uws_server.execution.slurm": (
        "uws_server.execution.arrays",
        "uws_server.execution",
        "uws_server.storage",
        "uws_server.jobs",
    ),
    "uws_server.execution.arrays": (
        "uws_server.execution.warm",
        "uws_server.execution",
        "uws_server.storage",
        "uws_server.jobs",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "uws_server.execution.warm": ("uws_server.execution", "uws_server.storage", "uws_server.jobs"),
    "uws_server.execution": (
        "uws_server.storage",
        "uws_server.jobs",
        "provenance.tagging",
        "provenance.votags",
        "provenance.obscore",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "uws_server.storage": (
        "uws_server.discovery",
        "uws_server.archive.query",
        "uws_server.jobs.formats",
        "uws_server.jobs",
    ),
    "uws_server.discovery": ("uws_server.archive.query",),
    "uws_server.archive.query": (),
    "uws_server.archive": (
        "reduction.events",
        "reduction.missions",
        "reduction.errors",
        "provenance.obscore",
        "provenance.fits",
        "provenance.text",
    ),
    "uws_server.previews": (
        "reduction.fitting",
        "reduction.images",
        "reduction.responses",
        "reduction.events",
        "reduction.regions",
        "reduction.missions",
        "reduction.errors",
        "provenance.fits",
    ),
    "uws_server.tap.upload": ("uws_server.tap", "provenance.fits", "provenance.text"),
    "uws_server.tap.formats": ("uws_server.tap", "provenance.text"),
    "uws_server.tap.adql": ("uws_server.tap",),
    "uws_server.tap": (),
    # values, and what stands alone
    "uws_server.jobs.formats": ("uws_server.jobs", "provenance.text"),
    "uws_server.jobs": (),
    "uws_server.asgi": (),
    "uws_server.client": (),
    "uws_server": (),
    "uws_server.config": ("uws_server.publishing", "uws_server.settings"),
    "uws_server.publishing": ("uws_server.settings",),
    "uws_server.settings": (),
    "uws_server.resources": (),
    "uws_server.version": (),
    "uws_server.errors": (),
    # the scripts of jobs, and X-ray science
    "job_definitions": (
        "reduction.bench",
        "reduction.sources",
        "reduction.scripts",
        "reduction.parameters",
        "reduction.task",
        "reduction.arguments",
        "reduction.fitting",
        "reduction.sas",
        "reduction.detection",
        "reduction.images",
        "reduction.calibration",
        "reduction.timing",
        "reduction.spectra",
        "reduction.responses",
        "reduction.events",
        "reduction.missions",
        "reduction.regions",
        "reduction.errors",
        "provenance.votags",
        "provenance.obscore",
        "provenance.fits",
        "provenance.text",
    ),
    "reduction.__main__": ("reduction.task", "reduction.errors"),
    "reduction.bench": ("reduction.scripts", "reduction.simulate", "reduction.errors"),
    "reduction.sources": (
        "reduction.images",
        "reduction.timing",
        "reduction.events",
        "reduction.instruments",
        "reduction.errors",
    ),
    "reduction.scripts": ("reduction.errors",),
    "reduction.sas": ("reduction.shell", "reduction.events", "reduction.regions", "reduction.errors"),
    "reduction.shell": (
        "reduction.task",
        "reduction.arguments",
        "reduction.errors",
        "provenance.obscore",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "reduction.parameters": (
        "reduction.task",
        "reduction.spectra",
        "reduction.events",
        "reduction.regions",
        "reduction.errors",
        "provenance.obscore",
    ),
    "reduction.task": (
        "reduction.hashing",
        "reduction.events",
        "reduction.arguments",
        "reduction.errors",
        "provenance.tagging",
        "provenance.votags",
        "provenance.steps",
        "provenance.fits",
        "provenance.text",
    ),
    "reduction.simulate": (
        "reduction.fitting",
        "reduction.responses",
        "reduction.events",
        "reduction.instruments",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.fitting": (
        "reduction.spectra",
        "reduction.responses",
        "reduction.events",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.detection": (
        "reduction.images",
        "reduction.events",
        "reduction.missions",
        "reduction.instruments",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.images": (
        "reduction.spectra",
        "reduction.events",
        "reduction.missions",
        "reduction.regions",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.calibration": (
        "reduction.spectra",
        "reduction.responses",
        "reduction.events",
        "reduction.missions",
        "reduction.instruments",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.timing": (
        "reduction.spectra",
        "reduction.events",
        "reduction.missions",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.spectra": (
        "reduction.events",
        "reduction.instruments",
        "reduction.missions",
        "reduction.errors",
        "provenance.fits",
    ),
    "reduction.responses": ("reduction.events", "reduction.missions", "reduction.errors", "provenance.fits"),
    "reduction.events": ("reduction.missions", "reduction.errors", "provenance.fits"),
    "reduction.instruments": (),
    "reduction.regions": ("reduction.errors", "provenance.text"),
    "reduction.missions": ("reduction.errors", "provenance.fits"),
    "reduction.hashing": ("reduction.arguments", "provenance.fits"),
    "reduction.arguments": ("reduction.errors",),
    "reduction": ("provenance.former_names",),
    "reduction.errors": (),
    # what a product is and how it was made
    "provenance.tagging": ("provenance.votags", "provenance.obscore", "provenance.steps"),
    "provenance.votags": ("provenance.obscore", "provenance.steps", "provenance.fits", "provenance.text"),
    "provenance.graph": ("provenance.steps", "provenance.text"),
    "provenance.obscore": ("provenance.fits", "provenance.text"),
    "provenance.steps": ("provenance.fits", "provenance.text"),
    "provenance.fits": ("provenance.text",),
    "provenance.text": (),
    "provenance": ("provenance.former_names",),
    "provenance.former_names": (),
}
"""The rooms, top to bottom, and what each may import of the others: rooms that stand further down, and no row more than
it uses."""

GROUND = ("uws_server.errors", "uws_server.config", "uws_server.resources", "uws_server.version")
"""What any room of the server may import, if it stands above."""

NO_CONFIG = ("uws_server.jobs", "uws_server.jobs.formats", "uws_server.asgi", "uws_server.previews")
"""Rooms of values and of tools, which no setting of a server may change."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("uws_server.storage",),
    "alembic": ("uws_server.storage",),
    "prov": ("provenance",),
    "sqlglot": ("uws_server.tap.adql",),
    "bottle": ("uws_server.protocol", "uws_server.web", "uws_server.incoming", "uws_server.app"),
}
"""Libraries that only these rooms may import."""

PAST_THE_USE_CASES: dict[str, dict[str, str]] = {
    "uws_server.protocol": {
        "base_url": "what the addresses in a document begin with",
        "config": "how large a request may be; where a downtime is announced",
        "spool": "where the files of a form go as they come",
    },
    "uws_server.web": {
        "base_url": "what the addresses on a page begin with",
        "config": "the limits that a page tells; the folder that holds the secret of its forms",
        "spool": "where the files of a form go as they come",
    },
    "uws_server.incoming": {
        "accounts": "a name and a token become the caller for whom the use cases are",
        "base_url": "which pages are the server's own",
        "config": "which proxies are believed; on which address it listens",
        "sessions": "the cookie of a browser becomes the caller for whom the use cases are",
    },
}
"""What the doors may take of a server's parts themselves, and what for; all else they ask a use case, which checks the
caller's rights."""

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
    """The room that holds a module: the longest name in HOUSE that it begins with, but no package as a whole."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    found = next((prefix for prefix in prefixes if prefix in HOUSE), None)
    return found if found not in ("uws_server", "reduction", "provenance") or module == found else None


def begins_with(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


def why_forbidden(arrow: Import) -> str | None:
    """The sentence that says what is wrong with an import of ours, or None."""
    source, target = room_of(arrow.importer), room_of(arrow.imported)
    if source is None or target is None:
        unknown = arrow.importer if source is None else arrow.imported
        return f"{arrow}: {unknown} is in no room of the house: move it into one, or give it a row in HOUSE"
    if source == target or target in HOUSE[source] or arrow.imported in TOP_LEVEL:
        return None
    if target in GROUND and source.startswith("uws_server") and source not in NO_CONFIG:
        return None
    if target == "uws_server.errors" and source in NO_CONFIG:
        return None
    if target == "job_definitions":
        return f"{arrow}: the scripts of job definitions are run, never imported"
    allowed = ", ".join(HOUSE[source]) or "nothing of the other rooms"
    return f"{arrow}: {source} may import {allowed}"


def all_imports() -> list[Import]:
    """Every import of our packages, each once: a statement that brings several names of one module counts as one."""
    ours = [path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in TOP_LEVEL]
    return list(dict.fromkeys(found for path in ours for found in imports_of(path)))


def our_imports() -> list[Import]:
    found = [arrow for arrow in all_imports() if arrow.imported.split(".")[0] in TOP_LEVEL]
    assert found, "no import found: the test looks in the wrong place"
    return found


def test_every_import_is_one_that_the_house_has() -> None:
    wrong = [sentence for arrow in our_imports() if (sentence := why_forbidden(arrow))]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_arrow_points_down() -> None:
    """A room imports only what stands below it in the table: no circle can be drawn."""
    order = list(HOUSE)
    wrong = [
        f"{room} may import {target}, which {'stands above it' if target in HOUSE else 'is no room'}"
        for room, targets in HOUSE.items()
        for target in targets
        if target not in HOUSE or order.index(target) < order.index(room)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_row_is_there_for_nothing() -> None:
    """Every room exists, and every arrow that the table allows is used."""
    used = {(room_of(arrow.importer), room_of(arrow.imported)) for arrow in our_imports()}
    idle = [f"{room} may import {target}, and does not" for room, targets in HOUSE.items()
            for target in targets if (room, target) not in used]  # fmt: skip
    idle += [f"{room} is no room of the project" for room in HOUSE if not is_module(room)]
    assert not idle, "\n" + "\n".join(idle)


def test_every_folder_says_what_it_is_for() -> None:
    """A folder of modules is a room of its own, so that none grows unseen, and its docstring says what it holds."""
    folders = {path.parent for path in project_files() if path.name == "__init__.py"}
    ours = [folder for folder in folders if folder.relative_to(ROOT).parts[0] in TOP_LEVEL]
    wrong = [
        str(folder.relative_to(ROOT))
        for folder in ours
        if ".".join(folder.relative_to(ROOT).parts) not in HOUSE and "migrations" not in folder.parts
    ]
    assert not wrong, f"no rows in HOUSE: {', '.join(wrong)}"


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("uws_server.storage.jobstore", "uws_server.services.context"),
        ("uws_server.web.jobs.job", "uws_server.protocol.uws_xml"),
        ("uws_server.web.shared.page", "uws_server.web.jobs.job"),
        ("uws_server.protocol.uws", "uws_server.web.jobs.job"),
        ("uws_server.jobs.job", "uws_server.config"),
        ("uws_server.archive.footprints", "reduction.spectra.spectrum"),
        ("provenance.steps.document", "uws_server.version"),
        ("provenance.fits.digests", "provenance.votags"),
        ("reduction.events.gti", "uws_server.errors"),
        ("reduction.events.gti", "reduction.spectra.spectrum"),
        ("uws_server.services.context", "job_definitions.dummy.run"),
        ("uws_server.cellar", "uws_server.errors"),
        ("reduction.cellar", "reduction.errors"),
    ],
)
def test_a_wrong_arrow_is_found(importer: str, imported: str) -> None:
    assert why_forbidden(Import(ROOT / "setup.cfg", 1, importer, imported)) is not None


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("uws_server.cli", "uws_server.commands.demo"),
        ("uws_server.server", "uws_server.app"),
        ("uws_server.web.jobs.job", "uws_server.services.job_service"),
        ("uws_server.storage.jobstore", "uws_server.jobs.job"),
        ("uws_server.storage.jobstore", "uws_server.storage.tables"),
        ("uws_server.storage.jobstore", "uws_server.config"),
        ("reduction.spectra.spectrum", "reduction.events.gti"),
    ],
)
def test_a_right_arrow_is_let_be(importer: str, imported: str) -> None:
    assert why_forbidden(Import(ROOT / "setup.cfg", 1, importer, imported)) is None


def taken_from_services(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each attribute that is taken of a variable or an attribute called `services`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            holder = node.value
            name = holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", "")
            if name.lstrip("_") == "services":
                yield node.lineno, node.attr


def past_the_use_cases() -> Iterator[tuple[str, str, str]]:
    """Room, place and name of each part of a server that a door takes itself."""
    for path in project_files():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] == "uws_server":
            room = next((door for door in PAST_THE_USE_CASES if begins_with(module_name(path), door)), None)
            if room is not None:
                for line, name in taken_from_services(ast.parse(path.read_text(encoding="utf-8"))):
                    yield room, f"{path.relative_to(ROOT)}:{line}", name


def test_both_doors_go_through_the_use_cases() -> None:
    """A door takes no store, library, scheduler or rule past the use cases, and nothing is allowed that none takes."""
    found = list(past_the_use_cases())
    wrong = [
        f"{place} takes services.{name}: ask JobService, its `definitions`, Drafts or ProvenanceReader"
        for room, place, name in found
        if name not in PAST_THE_USE_CASES[room]
    ]
    taken = {(room, name) for room, _, name in found}
    wrong += [f"{room} may take services.{name}, and does not" for room, names in PAST_THE_USE_CASES.items()
              for name in names if (room, name) not in taken]  # fmt: skip
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("self.services.store.get(job_id)", ["store"]),
        ("services = self._services\nservices.library.of(job)", ["library"]),
        ("Drafts(self.services, caller)", []),
        ("self.job_service.definitions.of(job)", []),
    ],
)
def test_what_is_taken_past_the_use_cases_is_found(source: str, names: list[str]) -> None:
    assert [name for _, name in taken_from_services(ast.parse(source))] == names


def test_no_use_case_imports_the_wiring() -> None:
    """`services.context` puts the parts of a server together: a use case names the parts it needs, not all of them."""
    wiring = "uws_server.services.context"
    wrong = [str(arrow) for arrow in our_imports()
             if arrow.imported == wiring and begins_with(arrow.importer, "uws_server.services")]  # fmt: skip
    assert not wrong, "\n" + "\n".join(wrong)


def test_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{found}: only {', '.join(rooms)} may"
        for found in all_imports()
        for library, rooms in ONLY_IN.items()
        if begins_with(found.imported, library) and not any(begins_with(found.importer, room) for room in rooms)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_library_is_declared() -> None:
    """What the packages import is in setup.cfg, so that a clean installation has it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    text = "\n".join([config["options"]["install_requires"], extras["postgres"]])
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
