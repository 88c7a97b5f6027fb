"""The job definition as a value, read from its JSON form and checked. Imports the errors only.

A definition says what a job is called, which parameters it takes, which results it makes and which script
runs it. Nothing here touches the script or knows HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from uws_server.errors import DefinitionError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PARAMETER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,127}")
_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9!#$&^_.+-]+(; ?[a-z]+=[A-Za-z0-9_.-]+)*")
_LONGEST_MIME = 120
_LONGEST_VERSION = 64

CONTROL_NAMES = frozenset(
    {"phase", "action", "runid", "executionduration", "destruction", "wait", "upload", "quote"}
    | {"responseformat", "share"}
)
"""Request parameters that UWS and DALI keep for themselves, in lower case."""

RESERVED_NAMES = frozenset(
    {"path", "home", "user", "shell", "ifs", "env", "bash_env", "ps4", "pwd", "oldpwd", "lang", "display", "tmpdir"}
    | {"term", "logname", "mail", "hostname", "ld_preload", "ld_library_path", "ld_audit", "uws_job_id"}
    | {"virtual_env", "tz", "cdpath", "globignore", "prompt_command", "shellopts", "posixly_correct", "gconv_path"}
    | {"locpath", "nlspath", "node_options", "rubyopt", "java_tool_options"}
)
"""Names that a shell, the loader or a language act upon, in lower case: no parameter may have them."""

RESERVED_BEGINNINGS = ("ld_", "lc_", "bash", "python", "perl5", "malloc_", "glibc_", "uws_")
"""Beginnings of such names, in lower case; `uws_` is the server's own."""

RESERVED_RESULTS = frozenset({"log"})
"""Names of the results that every job has."""


@dataclass(frozen=True)
class ParameterSpec:
    """What a parameter is. `type` is a name of `jobs.parameters`; bounds are in `unit`."""

    name: str
    type: str
    description: str = ""
    required: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    unit: str = ""
    options: tuple[str, ...] = ()
    pattern: str = ""
    max_length: int = 100_000
    annotation: str = ""
    group: str = ""
    editable: bool = False


@dataclass(frozen=True)
class ResultSpec:
    """A file the script is expected to leave in `results/`; `file` may be a glob, then there may be several."""

    name: str
    file: str
    mime: str = "application/octet-stream"
    description: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Entry:
    """What runs: a Python script (by the server's interpreter) or a shell script (by bash)."""

    type: Literal["python", "shell"]
    script: str


@dataclass(frozen=True)
class Duration:
    """Seconds that a job may run: where the client says nothing, and at most."""

    default: int = 3600
    max: int = 86400


@dataclass(frozen=True)
class Definition:
    """A job definition, checked."""

    name: str
    version: str
    title: str
    entry: Entry
    description: str = ""
    parameters: tuple[ParameterSpec, ...] = ()
    results: tuple[ResultSpec, ...] = ()
    duration: Duration = field(default_factory=Duration)

    def parameter(self, name: str) -> ParameterSpec | None:
        """The parameter of that name, in any case, or None."""
        wanted = name.lower()
        return next((spec for spec in self.parameters if spec.name.lower() == wanted), None)


def from_json(text: str, where: str) -> Definition:
    """Read a definition from its JSON text; `where` (a file name) begins every message of a DefinitionError."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DefinitionError(f"{where}: not JSON: {error}") from error
    except RecursionError as error:
        raise DefinitionError(f"{where}: nested too deeply") from error
    reader = _Reader(where)
    data = reader.mapping(data, "definition")
    control = reader.mapping(data.pop("control", {}), "control")
    if "duration" in data:
        raise reader.refuse("duration", "unknown key; it stands in control")
    data["duration"] = reader.build(Duration, control.pop("duration", {}), "control.duration")
    if control:
        raise reader.refuse(f"control.{min(control)}", "unknown key; known is duration")
    data["entry"] = reader.build(Entry, data.get("entry"), "entry")
    for key, kind in (("parameters", ParameterSpec), ("results", ResultSpec)):
        items = reader.sequence(data.get(key, []), key)
        data[key] = tuple(reader.build(kind, item, f"{key}[{i}]") for i, item in enumerate(items))
    definition: Definition = reader.build(Definition, data, "definition")
    reader.check(definition)
    return definition


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


class _Reader:
    """Builds the values of a definition and names the place of what is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refuse(self, place: str, reason: str) -> DefinitionError:
        return DefinitionError(f"{self.where}: {place}: {reason}")

    def mapping(self, value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refuse(place, f"an object is expected, not {type(value).__name__}")
        return dict(value)

    def sequence(self, value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.refuse(place, f"a list is expected, not {type(value).__name__}")
        return value

    def build(self, kind: type[Any], value: Any, place: str) -> Any:
        data = self.mapping(value, place)
        known = {f.name: str(f.type) for f in fields(kind)}
        for key, content in data.items():
            if key not in known:
                raise self.refuse(f"{place}.{key}", f"unknown key; known are {', '.join(known)}")
            self._type(known[key], content, f"{place}.{key}")
        if data.get("options"):
            data["options"] = tuple(data["options"])
        try:
            return kind(**data)
        except TypeError as error:
            raise self.refuse(place, str(error).partition("__init__() ")[2]) from error

    def _type(self, wanted: str, content: Any, place: str) -> None:
        expected: dict[str, tuple[type, ...]] = {
            "str": (str,), "bool": (bool,), "int": (int,), "float | None": (int, float), "tuple[str, ...]": (list,),
        }  # fmt: skip
        kinds = expected.get(wanted)
        if kinds and (not isinstance(content, kinds) or (isinstance(content, bool) and bool not in kinds)):
            raise self.refuse(place, f"{content!r} is not {wanted.removesuffix(' | None')}")
        if wanted == "tuple[str, ...]" and not all(isinstance(item, str) for item in content):
            raise self.refuse(place, f"{content!r} is not a list of texts")
        if wanted == "Any" and not isinstance(content, str | int | float | None):
            raise self.refuse(place, f"{content!r} is not text, a number, true or false")

    def check(self, definition: Definition) -> None:
        if not _NAME.fullmatch(definition.name):
            raise self.refuse("name", f"{definition.name!r} is not letters, digits, '_', '-' and '.', at most 64")
        if len(definition.version) > _LONGEST_VERSION:
            raise self.refuse("version", f"{len(definition.version)} characters came, at most {_LONGEST_VERSION}")
        if definition.entry.type not in ("python", "shell"):
            raise self.refuse("entry.type", f"{definition.entry.type!r} is neither 'python' nor 'shell'")
        if not _FILE.fullmatch(definition.entry.script) or "*" in definition.entry.script:
            raise self.refuse("entry.script", f"{definition.entry.script!r} is not the name of a file beside job.json")
        if not 0 < definition.duration.default <= definition.duration.max:
            raise self.refuse("control.duration", "default must be above 0 and at most max")
        self._unique([spec.name for spec in definition.parameters], "parameters")
        self._unique([spec.name for spec in definition.results], "results")
        for i, spec in enumerate(definition.parameters):
            self._parameter(spec, f"parameters[{i}]")
        for i, result in enumerate(definition.results):
            if not _NAME.fullmatch(result.name) or not _FILE.fullmatch(result.file):
                raise self.refuse(f"results[{i}]", f"{result.name!r}, {result.file!r}: not a name and a file name")
            if result.name.lower() in RESERVED_RESULTS:
                raise self.refuse(f"results[{i}]", f"name {result.name!r} is reserved; choose another")
            if not _MIME.fullmatch(result.mime) or len(result.mime) > _LONGEST_MIME:
                raise self.refuse(f"results[{i}].mime", f"{result.mime!r} is not a media type such as text/plain")

    def _unique(self, names: list[str], place: str) -> None:
        seen: set[str] = set()
        for name in names:
            if name.lower() in seen:
                raise self.refuse(place, f"{name!r} is there twice (case does not count)")
            seen.add(name.lower())

    def _parameter(self, spec: ParameterSpec, place: str) -> None:
        if not _PARAMETER_NAME.fullmatch(spec.name):
            raise self.refuse(place, f"name {spec.name!r} is not letters, digits and '_', at most 64")
        lower = spec.name.lower()
        if lower in CONTROL_NAMES | RESERVED_NAMES or lower.startswith(RESERVED_BEGINNINGS):
            raise self.refuse(place, f"name {spec.name!r} is reserved; choose another")
        if spec.type in ("choice",) and not spec.options:
            raise self.refuse(f"{place}.options", "a choice needs options")
        if spec.min is not None and spec.max is not None and spec.min > spec.max:
            raise self.refuse(place, f"min {spec.min} is above max {spec.max}")
        try:
            re.compile(spec.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise self.refuse(f"{place}.pattern", f"{spec.pattern!r} is not a regular expression: {error}") from error
