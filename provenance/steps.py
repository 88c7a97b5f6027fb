"""The step list: how a product was made, as the sequence of tasks of VO-TAGS, read from JSON and written to it.

A step is a task's arguments in order: files that went in, parameters, files that came out. The values check themselves
when they are made, so a list that exists can be written. May import: standard library, `jsontext`,
`errors`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from provenance import jsontext
from provenance.errors import StepsError
from provenance.jsontext import MAX_BYTES, MAX_DEPTH, Json, shown

Scalar: TypeAlias = str | int | float | bool | None
"""What JSON holds in one place."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class InputData:
    """A file that went into a task.

    `location` is the folder or base URL, `path` the name below it. `extra` is what else stands beside the description
    (`sha256`, `size`, `name` ...), `beside` what stands beside `index`. A value of the wrong type is a StepsError.
    """

    index: int
    description: str
    editable: bool
    location: str
    path: str
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)
    beside: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_head(self)
        _check_text(self.location, "location")
        _check_text(self.path, "path")
        _check_extra(self, "extra", _FILE_KEYS)
        _check_extra(self, "beside", _ARG_KEYS)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a task: `value` is a scalar or a tuple of scalars. Otherwise as `InputData`."""

    index: int
    description: str
    editable: bool
    value: Scalar | tuple[Scalar, ...]
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)
    beside: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_head(self)
        if isinstance(self.value, (list, tuple)):
            object.__setattr__(self, "value", tuple(self.value))
            for number, each in enumerate(self.value):
                _check_scalar(each, f"value[{number}]")
        else:
            _check_scalar(self.value, "value")
        _check_extra(self, "extra", _PARAMETER_KEYS)
        _check_extra(self, "beside", _ARG_KEYS)


@dataclass(frozen=True, slots=True)
class OutputData:
    """A file that came out of a task, or a collection: then `path` is a tuple of names. Otherwise as `InputData`."""

    index: int
    description: str
    editable: bool
    location: str
    path: str | tuple[str, ...]
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)
    beside: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_head(self)
        _check_text(self.location, "location")
        if isinstance(self.path, (list, tuple)):
            object.__setattr__(self, "path", tuple(self.path))
            for number, name in enumerate(self.path):
                _check_text(name, f"path[{number}]")
        else:
            _check_text(self.path, "path")
        _check_extra(self, "extra", _FILE_KEYS)
        _check_extra(self, "beside", _ARG_KEYS)


Arg: TypeAlias = InputData | Parameter | OutputData


@dataclass(frozen=True, slots=True)
class Step:
    """One task: its arguments, numbered from 0, and in `extra` what else is known (`task`, `version`, `started` ...).

    Raises StepsError when the indices are not 0, 1, 2 ... or `extra` holds what JSON cannot.
    """

    args: tuple[Arg, ...]
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))
        for number, arg in enumerate(self.args):
            if not isinstance(arg, (InputData, Parameter, OutputData)):
                raise StepsError(f"an argument is expected, not {shown(arg)}", f"args[{number}]")
            if arg.index != number:
                raise StepsError(f"{number} is expected, not {arg.index}: indices count from 0 without gaps",
                                 f"args[{number}].index")
        _check_extra(self, "extra", _STEP_KEYS)


class _Headed(Protocol):
    """What the three kinds of argument share."""

    @property
    def index(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def editable(self) -> bool: ...


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_STEP_KEYS: Final = frozenset({"args"})
_FILE_KEYS: Final = frozenset({"description", "editable", "location", "path"})
_PARAMETER_KEYS: Final = frozenset({"description", "editable", "value"})
_KINDS: Final[dict[str, tuple[Callable[..., Arg], frozenset[str]]]] = {
    "inputdata": (InputData, _FILE_KEYS),
    "parameter": (Parameter, _PARAMETER_KEYS),
    "outputdata": (OutputData, _FILE_KEYS),
}
_ARG_KEYS: Final = frozenset({"index", *_KINDS})


def parse(text: str | bytes) -> tuple[Step, ...]:
    """Read a step list from its JSON document, `{"provenance": [{"args": [...]}, ...]}`.

    Keys beside those of VO-TAGS are kept in `extra` (in a step and in an argument's description) and `beside` (next to
    an argument's index); keys beside `provenance` itself have no step to belong to and are not kept.
    Raises StepsError naming the place, such as `provenance[2].args[1].parameter.value`.
    """
    document = jsontext.read(text)
    if not isinstance(document, dict) or "provenance" not in document:
        raise StepsError('an object with the key "provenance" is expected', "the document")
    steps = document["provenance"]
    if not isinstance(steps, list):
        raise StepsError(f"a list of steps is expected, not {shown(steps)}", "provenance")
    return tuple(_each(_step, steps, "provenance"))


def dump(steps: Iterable[Step]) -> str:
    """Write steps as one line of printable ASCII, fit for the cell of an ASCII table.

    Raises StepsError when the document would be longer than `parse` reads, or an `extra` was changed into no JSON.
    """
    text = jsontext.write({"provenance": [_step_json(step) for step in steps]})
    if len(text) > MAX_BYTES:
        raise StepsError(f"the list takes {len(text)} bytes; at most {MAX_BYTES} are allowed", "provenance")
    return text


def merge(*lists: Iterable[Step]) -> tuple[Step, ...]:
    """Put step lists one after the other, each step once, where it first stood (steps are the same by `digest`)."""
    seen: dict[str, Step] = {}
    for steps in lists:
        for step in steps:
            seen.setdefault(digest(step), step)
    return tuple(seen.values())


def digest(step: Step) -> str:
    """The SHA-256 (hexadecimal) of a step as canonical JSON: sorted keys, no blanks, ASCII."""
    return hashlib.sha256(jsontext.canonical(_step_json(step)).encode("ascii")).hexdigest()


def _each(make: Callable[[Json], Made], values: Iterable[Json], place: str) -> list[Made]:
    """Make something of every element of a list; an error says of which."""
    made: list[Made] = []
    try:
        for value in values:
            made.append(make(value))
    except StepsError as error:
        raise error.within(f"{place}[{len(made)}]") from error
    return made


def _step(value: Json) -> Step:
    """One element of `provenance`."""
    step = _object(value)
    args = step.get("args")
    if not isinstance(args, list):
        came = shown(args) if "args" in step else "nothing"
        raise StepsError(f"a list of arguments is expected, not {came}", "args")
    del step["args"]
    return Step(tuple(_each(_arg, args, "args")), step)


def _arg(value: Json) -> Arg:
    """One element of `args`."""
    arg = _object(value)
    kinds = arg.keys() & _KINDS.keys()
    if len(kinds) != 1:
        raise StepsError(f"exactly one of inputdata, parameter, outputdata is expected, not {len(kinds)}")
    if "index" not in arg:
        raise StepsError("is missing", "index")
    kind = kinds.pop()
    make, keys = _KINDS[kind]
    try:
        inner = _object(arg[kind])
        if absent := keys - inner.keys():
            raise StepsError("is missing", min(absent))
        known = {key: inner.pop(key) for key in keys}
        beside = {key: arg[key] for key in arg if key not in _ARG_KEYS} if len(arg) > 2 else {}
        return make(index=arg["index"], extra=inner, beside=beside, **known)
    except StepsError as error:
        raise error if error.place.startswith(("index", "beside")) else error.within(kind) from error


def _step_json(step: Step) -> dict[str, Json]:
    """A step as JSON holds it."""
    return {"args": [_arg_json(arg) for arg in step.args], **step.extra}


def _arg_json(arg: Arg) -> dict[str, Json]:
    """An argument as JSON holds it, the keys of VO-TAGS first."""
    if isinstance(arg, Parameter):
        made = {"description": arg.description, "editable": arg.editable, "value": arg.value, **arg.extra}
        return {"index": arg.index, "parameter": made, **arg.beside}
    made = {"description": arg.description, "editable": arg.editable, "location": arg.location, "path": arg.path,
            **arg.extra}
    return {"index": arg.index, "inputdata" if isinstance(arg, InputData) else "outputdata": made, **arg.beside}


def _check_head(arg: _Headed) -> None:
    """Check what the three kinds of argument share."""
    if type(arg.index) is not int or arg.index < 0:
        raise StepsError(f"a whole number from 0 is expected, not {shown(arg.index)}", "index")
    if not isinstance(arg.description, str):
        raise StepsError(f"text is expected, not {shown(arg.description)}", "description")
    if not isinstance(arg.editable, bool):
        raise StepsError(f"true or false is expected, not {shown(arg.editable)}", "editable")


def _check_text(value: object, place: str) -> None:
    if not isinstance(value, str):
        raise StepsError(f"text is expected, not {shown(value)}", place)


def _check_scalar(value: object, place: str) -> None:
    if type(value) is float and not math.isfinite(value):
        raise StepsError(f"is {value}, which is no JSON number", place)
    if type(value) not in _SCALARS:
        raise StepsError(f"text, a number, true, false, null or a list of them is expected, not {shown(value)}", place)


def _check_extra(holder: Step | Arg, name: str, taken: frozenset[str]) -> None:
    """Check the unknown keys of a step or an argument (`name` is their field), and keep a copy of our own."""
    value: Mapping[str, Json] = getattr(holder, name)
    if type(value) is dict and not value:
        object.__setattr__(holder, name, {})
        return
    if not isinstance(value, Mapping):
        raise StepsError(f"a mapping is expected, not {shown(value)}", name)
    if clash := taken & value.keys():
        raise StepsError(f"the key {shown(min(clash))} has a place of its own", name)
    try:
        object.__setattr__(holder, name, _plain(value, 1))
    except StepsError as error:
        raise error.within(name) from error


def _plain(value: Json, depth: int) -> Json:
    """A copy of a JSON value in plain dicts and lists; what is none is refused."""
    if type(value) in _SCALARS:
        _check_scalar(value, "")
        return value
    if depth > MAX_DEPTH:
        raise StepsError(f"is nested too deep; {MAX_DEPTH} levels are allowed")
    if isinstance(value, (list, tuple)):
        return _each(lambda each: _plain(each, depth + 1), value, "")
    if not isinstance(value, Mapping):
        _check_scalar(value, "")
    made = {}
    for key, each in value.items():
        if type(key) is not str:
            raise StepsError(f"has the key {shown(key)}; keys are text")
        try:
            made[key] = each if type(each) is str else _plain(each, depth + 1)
        except StepsError as error:
            raise error.within(shown(key)[1:-1]) from error
    return made


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise StepsError(f"an object is expected, not {shown(value)}")
    return value
