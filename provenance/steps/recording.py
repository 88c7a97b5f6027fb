"""Makes the step of a task: what went in, its parameters, what came out, and under which circumstances.

The one place that decides what a step says, for scripts that tell it themselves and for those that do not. Passwords,
tokens and paths of the machine are taken out here.
"""

from __future__ import annotations

import fnmatch
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Final

from provenance.fits import hdus
from provenance.fits.digests import Digests
from provenance.steps.model import Arg, InputData, OutputData, Parameter, Scalar, Step
from provenance.text.errors import ProvenanceError

HIDDEN: Final = "(hidden)"
"""What stands in a step where a secret was."""

SOFTWARE: Final = ("uws-server", "astropy", "numpy")
"""The distributions whose versions a step names, beside Python."""

CALIBRATION_VARIABLES: Final = ("SAS_CCF", "SAS_CCFPATH", "CALDB", "CALDBCONFIG", "CALDBALIAS")
"""Environment variables that name calibration files: the CCF index of XMM-SAS, the CALDB of HEASARC."""

CALIBRATION_KEYWORDS: Final = (
    "CALINDEX", "CALDBVER", "GAINFILE", "CTIFILE", "TGAINFIL", "GRD_FILE", "BPIXFILE", "ASOLFILE", "RESPFILE",
    "ANCRFILE",
)  # fmt: skip
"""Header keywords that name calibration files (OGIP, and what XMM-SAS and CIAO add)."""

_NO_PATHS: Final = frozenset({"", "NONE"})
_NO_NAMES: Final = frozenset({"", "NONE", "CALDB", "UNKNOWN"})
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|passphrase|secret|token|api_?key|credentials?)(?:$|[_.-])"
)
_USER_IN_URL: Final = re.compile(r"(?<=://)[^/?#@\s]+@")
_SECRET_IN_QUERY: Final = re.compile(
    r"(?i)([?&;](?:[a-z0-9_-]*(?:token|secret|passw(?:or)?d|signature|credential)|share|sig|api_?key|key)=)[^&;#\s]+"
)


@dataclass(frozen=True)
class UsedFile:
    """A file that went in: the parameter it was given for, and how the user named it (a URL, an archive place, a name).

    `science` is the hash without its VO-TAGS, where it has some.
    """

    name: str
    description: str
    editable: bool
    said: str
    sha256: str = ""
    science: str = ""


@dataclass(frozen=True)
class ParameterValue:
    """A parameter and its value, a scalar or several."""

    name: str
    description: str
    editable: bool
    value: Scalar | tuple[Scalar, ...]
    unit: str = ""


@dataclass(frozen=True)
class Product:
    """A file that came out. Files of one `collection` (the name of a result that is a glob) are told as one."""

    file: str
    description: str
    digests: Digests | None = None
    collection: str = ""


@dataclass(frozen=True)
class RunInfo:
    """How a task ran; aware times."""

    task: str
    version: str
    job: str | None = None
    parent: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    exit_status: int | None = None
    calibration: Sequence[Mapping[str, str]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def beside(self) -> dict[str, Any]:
        """What stands in the step beside its arguments; what is not known is left out."""
        known = {
            "task": self.task,
            "version": self.version,
            "job": self.job,
            "parent": self.parent,
            "started": _moment(self.started),
            "ended": _moment(self.ended),
            "exit_status": self.exit_status,
            "software": software(),
            "host": host_kind(),
            "calibration": [dict(each) for each in self.calibration] or None,
            **self.more,
        }
        return {key: value for key, value in known.items() if value is not None}


def make_step(
    used: Iterable[UsedFile],
    given: Iterable[ParameterValue],
    made: Iterable[Product],
    place: str,
    run_info: RunInfo,
    hide: Sequence[Path] = (),
) -> Step:
    """The step of a task: files that went in, parameters, files that came out, in this order.

    `place` is the URL or folder below which the products are had; `hide` are folders of this machine whose names are
    taken out of every text.
    """
    args: list[Arg] = []
    for each in used:
        location, path = located(said_plainly(each.said, hide))
        extra = {"name": each.name, "sha256": each.sha256 or None}
        if each.science not in ("", each.sha256):
            extra["science_sha256"] = each.science
        args.append(InputData(len(args), each.description, each.editable, location, path, _known(extra)))
    for one in given:
        value = HIDDEN if is_secret(one.name) and one.value is not None else _told(one.value, hide)
        extra = {"name": one.name, "unit": one.unit or None}
        args.append(Parameter(len(args), one.description, one.editable, value, _known(extra)))
    for group in _collections(made):
        args.append(_output(len(args), group, said_plainly(place, hide)))
    return Step(tuple(args), run_info.beside())


def said_plainly(text: str, hide: Sequence[Path] = ()) -> str:
    """A text without what must not be told: credentials in a URL, folders of this machine, paths that exist on it."""
    if "/" not in text and "=" not in text:
        return text  # neither a path nor a URL
    text = _SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(f"{HIDDEN}@", text))
    for folder in sorted({str(folder) for folder in hide}, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(f"file://{folder}/", "").replace(f"{folder}/", "")
            text = text.replace(folder, PurePosixPath(folder).name)
    return PurePosixPath(text).name if _is_local_path(text) else text


def machine_folders(job: Path, files: Iterable[tuple[str, str]]) -> list[Path]:
    """The folders that no step names: a job's, that of all jobs, and the archive's.

    `files` are the path of each input and how the user named it: where a path ends so, the archive is what is before.
    """
    found = [job]
    if len(job.parts) > 3 and job.parents[1].name == "jobs":
        found.append(job.parents[2])
    found += [Path(path.removesuffix(f"/{said}")) for path, said in files if said and path.endswith(f"/{said}")]
    return [folder for folder in found if folder.is_absolute()]


def is_secret(name: str) -> bool:
    """Whether a parameter of that name holds a secret: a password, a token, a key."""
    return _SECRET_NAME.search(name) is not None


def located(said: str) -> tuple[str, str]:
    """Location and path of an input: the base of a URL or the folder the user named, and the name below it."""
    location, _, name = said.rpartition("/")
    return (location, name) if name else ("", said)


def collection_of(file: str, globs: Mapping[str, str]) -> str:
    """The result whose glob a file matches, of `globs` (name of the result -> glob); '' for none or a plain name."""
    found = next((name for name, glob in globs.items() if fnmatch.fnmatchcase(file, glob)), "")
    return found if found and globs[found] != file else ""


def host_kind() -> str:
    """The kind of machine, such as 'Linux x86_64': never its name."""
    return f"{platform.system()} {platform.machine()}".strip()


def software() -> dict[str, str]:
    """The versions of what a task stands on."""
    versions = {}
    for name in SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except ModuleNotFoundError:  # not installed, or the process may not read where it is
            continue
    return {**versions, "python": platform.python_version()}


def calibration(files: Iterable[Path], environment: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """The calibration files that an environment and the headers of some FITS files name: names only, each once."""
    found: dict[tuple[str, str], None] = {}
    for variable in CALIBRATION_VARIABLES:
        for part in environment.get(variable, "").split(os.pathsep):
            found.update(_named(part, variable, _NO_PATHS))
    for path in files:
        try:
            # not of a gzipped file: for its headers all of it would be inflated
            headers = hdus.headers(path) if hdus.looks_like_fits(path) else ()
        except (OSError, ProvenanceError):
            continue
        for keyword in CALIBRATION_KEYWORDS:
            for header in headers:
                found.update(_named(str(header.get(keyword) or ""), keyword))
    return tuple({"name": name, "from": source} for name, source in found)


def _named(said: str, source: str, no_names: frozenset[str] = _NO_NAMES) -> dict[tuple[str, str], None]:
    """The name of a calibration file, of a path or URL to it, and who says so."""
    name = PurePosixPath(said.strip().partition("[")[0]).name
    return {} if name.upper() in no_names else {(name, source): None}


def _output(index: int, group: Sequence[Product], place: str) -> OutputData:
    """One file, or the files of a collection."""
    first = group[0]
    hashes = [each.digests.science if each.digests else None for each in group]
    of = {each.digests.of for each in group if each.digests}
    several = bool(first.collection)
    extra = {
        "name": first.collection or None,
        "sha256": (hashes if several else hashes[0]) if any(hashes) else None,
        "sha256_of": of.pop() if len(of) == 1 else None,
    }
    if len(of) > 1:
        extra["sha256_of"] = [each.digests.of if each.digests else None for each in group]
    path = tuple(each.file for each in group) if several else first.file
    return OutputData(index, first.description, False, place, path, _known(extra))


def _collections(made: Iterable[Product]) -> list[list[Product]]:
    """Files in order; those of one collection together, where the first of them stood."""
    groups: dict[tuple[str, str], list[Product]] = {}
    for each in made:
        key = ("collection", each.collection) if each.collection else ("file", each.file)
        groups.setdefault(key, []).append(each)
    return list(groups.values())


def _told(value: Scalar | tuple[Scalar, ...], hide: Sequence[Path]) -> Scalar | tuple[Scalar, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(said_plainly(each, hide) if isinstance(each, str) else each for each in value)
    return said_plainly(value, hide) if isinstance(value, str) else value


def _is_local_path(text: str) -> bool:
    """Whether a text is the path of something on this machine."""
    path = text.removeprefix("file://")
    if not path.startswith("/") or len(path) > 4096 or not path.isprintable() or len(PurePosixPath(path).parts) < 2:
        return False
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def _known(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in extra.items() if value is not None}


def _moment(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
