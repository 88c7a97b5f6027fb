"""Makes the step of a task: the files that went in, its parameters, the files that came out, and how it ran.

The one place that decides what a step says, for scripts that record it themselves and for those that do not. Passwords,
tokens and paths of this machine are removed here.
"""

from __future__ import annotations

import fnmatch
import functools
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
from provenance.fits.digests import Digests, digests
from provenance.steps.model import Arg, InputData, OutputData, Parameter, Scalar, Step
from provenance.text.errors import ProvenanceError

HIDDEN: Final = "(hidden)"
"""The text that replaces a secret in a step."""

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
    """A file that went in: the parameter it was given for, and its source as the user named it.

    `source` is a URL, a path in the archive or a file name; `sha256` the hash of all its bytes, `science` that without
    its VO-TAGS, each empty where it is not known.
    """

    name: str
    description: str
    editable: bool
    source: str
    sha256: str = ""
    science: str = ""


@dataclass(frozen=True)
class ParameterValue:
    """A parameter and its value: a scalar, or a tuple of several."""

    name: str
    description: str
    editable: bool
    value: Scalar | tuple[Scalar, ...]
    unit: str = ""


@dataclass(frozen=True)
class Product:
    """A file that came out. Files of one `collection` (the name of a result that is a glob) become one argument."""

    file: str
    description: str
    digests: Digests | None = None
    collection: str = ""


@dataclass(frozen=True)
class RunInfo:
    """How a task ran; its times are aware. None, or empty, stands for what is not known.

    `calibration` is what `calibration` returns, `more` holds further keys of the step.
    """

    task: str
    version: str
    job: str | None = None
    parent: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    exit_status: int | None = None
    calibration: Sequence[Mapping[str, str]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def step_extra(self) -> dict[str, Any]:
        """Return the keys of the step other than its arguments; those that are not known are left out."""
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
            "calibration": [dict(file) for file in self.calibration] or None,
            **self.more,
        }
        return {key: value for key, value in known.items() if value is not None}


def make_step(
    used: Iterable[UsedFile],
    values: Iterable[ParameterValue],
    products: Iterable[Product],
    location: str,
    run_info: RunInfo,
    hide: Sequence[Path] = (),
) -> Step:
    """Make the step of a task.

    Parameters
    ----------
    used
        The files that went in.
    values
        The parameters.
    products
        The files that came out.
    location
        The URL or folder below which the products are.
    run_info
        How the task ran.
    hide
        Folders of this machine whose names are removed from every text.

    Returns
    -------
    Step
        Its arguments are the files that went in, the parameters and the files that came out, in this order.

    Raises
    ------
    StepsError
        For a value that JSON cannot hold.
    """
    args: list[Arg] = []
    for file in used:
        folder, path = located(redacted(file.source, hide))
        extra = {"name": file.name, "sha256": file.sha256 or None}
        if file.science not in ("", file.sha256):
            extra["science_sha256"] = file.science
        args.append(InputData(len(args), file.description, file.editable, folder, path, _known(extra)))
    for parameter in values:
        value = _redacted_value(parameter, hide)
        extra = {"name": parameter.name, "unit": parameter.unit or None}
        args.append(Parameter(len(args), parameter.description, parameter.editable, value, _known(extra)))
    for group in _collections(products):
        args.append(_output(len(args), group, redacted(location, hide)))
    return Step(tuple(args), run_info.step_extra())


def redacted(text: str, hide: Sequence[Path] = ()) -> str:
    """Return a text without credentials in URLs, without the folders `hide` and without a path of this machine."""
    if "/" not in text and "=" not in text:
        return text  # neither a path nor a URL
    text = _SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(f"{HIDDEN}@", text))
    for folder in sorted({str(folder) for folder in hide}, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(f"file://{folder}/", "").replace(f"{folder}/", "")
            text = text.replace(folder, PurePosixPath(folder).name)
    return PurePosixPath(text).name if _is_local_path(text) else text


def machine_folders(job: Path, files: Iterable[tuple[str, str]]) -> list[Path]:
    """Return the folders that no step may name: the job's, that of all jobs, and those of the archive.

    `files` are the path of each input and its source as the user named it: where the path ends with the source, the
    archive is the folder before it.
    """
    found = [job]
    if len(job.parts) > 3 and job.parents[1].name == "jobs":
        found.append(job.parents[2])
    found += [Path(path.removesuffix(f"/{name}")) for path, name in files if name and path.endswith(f"/{name}")]
    return [folder for folder in found if folder.is_absolute()]


def is_secret(name: str) -> bool:
    """Return whether a parameter of that name holds a secret: a password, a token, a key."""
    return _SECRET_NAME.search(name) is not None


def located(source: str) -> tuple[str, str]:
    """Split the source of an input into its location (the base of a URL, or a folder) and the name below it."""
    location, _, name = source.rpartition("/")
    return (location, name) if name else ("", source)


def collection_of(file: str, globs: Mapping[str, str]) -> str:
    """Return the result whose glob a file matches, of `globs` (name of the result -> glob); '' for none, or for a glob
    that is the file's name.
    """
    found = next((name for name, glob in globs.items() if fnmatch.fnmatchcase(file, glob)), "")
    return found if found and globs[found] != file else ""


def host_kind() -> str:
    """Return the kind of this machine, such as 'Linux x86_64', which does not name it."""
    return f"{platform.system()} {platform.machine()}".strip()


def software() -> dict[str, str]:
    """Return the versions of Python and of the installed distributions in `SOFTWARE`, as they were when first asked."""
    return dict(_software())


@functools.cache
def _software() -> dict[str, str]:
    versions = {}
    for name in SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except ModuleNotFoundError:  # not installed, or the process may not read where it is
            continue
    return {**versions, "python": platform.python_version()}


def calibration(files: Iterable[Path], environment: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """Return the calibration files named by an environment and by the headers of FITS files: names only, each once."""
    found: dict[tuple[str, str], None] = {}
    for variable in CALIBRATION_VARIABLES:
        for part in environment.get(variable, "").split(os.pathsep):
            found.update(_named(part, variable, _NO_PATHS))
    for path in files:
        try:
            # not of a gzipped file: for its headers all of it would be inflated
            headers = hdus.headers(path, CALIBRATION_KEYWORDS) if hdus.looks_like_fits(path) else ()
        except (OSError, ProvenanceError):
            continue
        for keyword in CALIBRATION_KEYWORDS:
            for header in headers:
                found.update(_named(str(header.get(keyword) or ""), keyword))
    return tuple({"name": name, "from": source} for name, source in found)


def calibration_file(path: Path, use: str) -> dict[str, str]:
    """Return a calibration file as a step names it: its name, the hash of its bytes, and what it was used for."""
    return {"name": path.name, "from": use, "sha256": digests(path).whole}


def _named(path: str, source: str, no_names: frozenset[str] = _NO_NAMES) -> dict[tuple[str, str], None]:
    """The name of a calibration file, from a path or URL of it, with the variable or keyword that names it."""
    name = PurePosixPath(path.strip().partition("[")[0]).name
    return {} if name.upper() in no_names else {(name, source): None}


def _output(index: int, group: Sequence[Product], location: str) -> OutputData:
    """The argument of one file, or of the files of a collection."""
    first = group[0]
    hashes = [product.digests.science if product.digests else None for product in group]
    of = {product.digests.of for product in group if product.digests}
    several = bool(first.collection)
    extra = {
        "name": first.collection or None,
        "sha256": (hashes if several else hashes[0]) if any(hashes) else None,
        "sha256_of": of.pop() if len(of) == 1 else None,
    }
    if len(of) > 1:
        extra["sha256_of"] = [product.digests.of if product.digests else None for product in group]
    path = tuple(product.file for product in group) if several else first.file
    return OutputData(index, first.description, False, location, path, _known(extra))


def _collections(products: Iterable[Product]) -> list[list[Product]]:
    """Files in order; those of one collection together, at the position of the first of them."""
    groups: dict[tuple[str, str], list[Product]] = {}
    for product in products:
        key = ("collection", product.collection) if product.collection else ("file", product.file)
        groups.setdefault(key, []).append(product)
    return list(groups.values())


def _redacted_value(parameter: ParameterValue, hide: Sequence[Path]) -> Scalar | tuple[Scalar, ...]:
    """The value of a parameter; `HIDDEN` in the place of a secret."""
    value = parameter.value
    if value is not None and is_secret(parameter.name):
        return HIDDEN
    if isinstance(value, (list, tuple)):
        return tuple(redacted(part, hide) if isinstance(part, str) else part for part in value)
    return redacted(value, hide) if isinstance(value, str) else value


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
