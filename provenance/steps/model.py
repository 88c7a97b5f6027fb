"""A step and its arguments as values, which their constructors check, so that any list of them can be written.

Other packages import them from `steps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from provenance.text.errors import StepsError
from provenance.text.jsontext import MAX_DEPTH, Json, excerpt

Scalar: TypeAlias = str | int | float | bool | None
"""A value of JSON that is neither a list nor an object."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class InputData:
    """A file that went into a task.

    `location` is the folder or base URL, `path` the name below it. `extra` holds the keys next to the description that
    VO-TAGS has no field for (`sha256`, `size`, `name` ...), `beside` those next to `index`. Raises StepsError for a
    value of the wrong type.
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
        _check_extra(self, "extra", FILE_KEYS)
        _check_extra(self, "beside", ARG_KEYS)


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
            for number, part in enumerate(self.value):
                _check_scalar(part, f"value[{number}]")
        else:
            _check_scalar(self.value, "value")
        _check_extra(self, "extra", PARAMETER_KEYS)
        _check_extra(self, "beside", ARG_KEYS)


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
        _check_extra(self, "extra", FILE_KEYS)
        _check_extra(self, "beside", ARG_KEYS)


Arg: TypeAlias = InputData | Parameter | OutputData


@dataclass(frozen=True, slots=True)
class Step:
    """One task: its arguments, numbered from 0, and in `extra` its other keys (`task`, `version`, `started` ...).

    Raises StepsError if the indices are not 0, 1, 2 ... or `extra` holds what JSON cannot.
    """

    args: tuple[Arg, ...]
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))
        if not (_ARGS.issuperset(map(type, self.args)) and list(map(_INDEX, self.args)) == list(range(len(self.args)))):
            _check_args(self.args)
        _check_extra(self, "extra", STEP_KEYS)


class _Headed(Protocol):
    """The fields that the three kinds of argument share."""

    @property
    def index(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def editable(self) -> bool: ...


SCALARS: Final = frozenset({str, int, float, bool, type(None)})
FLAT: Final = SCALARS - {float}
"""The types whose every value JSON can hold."""
FILE_FIELDS: Final = ("description", "editable", "location", "path")
PARAMETER_FIELDS: Final = ("description", "editable", "value")
FILE_KEYS: Final = frozenset(FILE_FIELDS)
PARAMETER_KEYS: Final = frozenset(PARAMETER_FIELDS)
ARG_KEYS: Final = frozenset({"index", "inputdata", "parameter", "outputdata"})
STEP_KEYS: Final = frozenset({"args"})
_TEXT: Final = frozenset({str})
_ARGS: Final = frozenset({InputData, Parameter, OutputData})
_INDEX: Final = attrgetter("index")


def make_each(make: Callable[[Json], Made], values: Iterable[Json], place: str) -> list[Made]:
    """Make something of every element of a list.

    Parameters
    ----------
    make
        The function that makes it; it may raise StepsError.
    values
        The elements.
    place
        The place of the list in the document.

    Returns
    -------
    list
        What was made, in order.

    Raises
    ------
    StepsError
        That of `make`, with the place of the element.
    """
    made: list[Made] = []
    try:
        for value in values:
            made.append(make(value))
    except StepsError as error:
        raise error.within(f"{place}[{len(made)}]") from error
    return made


def _check_args(args: tuple[Arg, ...]) -> None:
    """Raise StepsError unless all are arguments, numbered in order."""
    for number, arg in enumerate(args):
        if not isinstance(arg, (InputData, Parameter, OutputData)):
            raise StepsError(f"an argument is expected, not {excerpt(arg)}", f"args[{number}]")
        if arg.index != number:
            raise StepsError(f"{number} is expected, not {arg.index}: indices count from 0 without gaps",
                             f"args[{number}].index")


def _check_head(arg: _Headed) -> None:
    """Check the fields that the three kinds of argument share."""
    if type(arg.index) is not int or arg.index < 0:
        raise StepsError(f"a whole number from 0 is expected, not {excerpt(arg.index)}", "index")
    if not isinstance(arg.description, str):
        raise StepsError(f"text is expected, not {excerpt(arg.description)}", "description")
    if not isinstance(arg.editable, bool):
        raise StepsError(f"true or false is expected, not {excerpt(arg.editable)}", "editable")


def _check_text(value: object, place: str) -> None:
    if not isinstance(value, str):
        raise StepsError(f"text is expected, not {excerpt(value)}", place)


def _check_scalar(value: object, place: str) -> None:
    if type(value) is float and not math.isfinite(value):
        raise StepsError(f"is {value}, which is no JSON number", place)
    if type(value) not in SCALARS:
        came = excerpt(value)
        raise StepsError(f"text, a number, true, false, null or a list of them is expected, not {came}", place)


def _check_extra(holder: Step | Arg, name: str, taken: frozenset[str]) -> None:
    """Check the further keys of a step or an argument (`name` is their field), and replace them by a copy."""
    value: Mapping[str, Json] = getattr(holder, name)
    if type(value) is dict and (not value or (taken.isdisjoint(value) and _is_flat(value))):
        object.__setattr__(holder, name, value.copy())
        return
    if not isinstance(value, Mapping):
        raise StepsError(f"a mapping is expected, not {excerpt(value)}", name)
    if clash := taken & value.keys():
        raise StepsError(f"the key {excerpt(min(clash))} has a place of its own", name)
    try:
        object.__setattr__(holder, name, _plain(value, 1))
    except StepsError as error:
        raise error.within(name) from error


def _is_flat(value: dict[Any, Json]) -> bool:
    """Whether an object holds texts, whole numbers, true, false and null only: such a one needs no further check."""
    return FLAT.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value))


def _plain(value: Json, depth: int) -> Json:
    """A copy of a JSON value in plain dicts and lists. Raises StepsError for what JSON cannot hold."""
    if type(value) in SCALARS:
        _check_scalar(value, "")
        return value
    if depth > MAX_DEPTH:
        raise StepsError(f"is nested too deep; {MAX_DEPTH} levels are allowed")
    if isinstance(value, (list, tuple)):
        return make_each(lambda each: _plain(each, depth + 1), value, "")
    if not isinstance(value, Mapping):
        _check_scalar(value, "")
    made = {}
    for key, each in value.items():
        if type(key) is not str:
            raise StepsError(f"has the key {excerpt(key)}; keys are text")
        try:
            made[key] = each if type(each) is str else _plain(each, depth + 1)
        except StepsError as error:
            raise error.within(excerpt(key)[1:-1]) from error
    return made
