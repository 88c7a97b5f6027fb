"""Reads and writes a step list as JSON: how a product was made, as the sequence of tasks that VO-TAGS holds.

A step is a task's arguments in order: files that went in, parameters, files that came out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from operator import itemgetter
from pathlib import Path
from typing import Final

from provenance.steps.model import (
    ARG_KEYS,
    FILE_FIELDS,
    FLAT,
    PARAMETER_FIELDS,
    Arg,
    InputData,
    OutputData,
    Parameter,
    Step,
    make_each,
)
from provenance.text import jsontext
from provenance.text.errors import JsonError, StepsError
from provenance.text.jsontext import MAX_BYTES, Json, excerpt

_KINDS: Final[dict[str, tuple[Callable[..., Arg], tuple[str, ...], Callable[[Json], tuple[Json, ...]]]]] = {
    "inputdata": (InputData, FILE_FIELDS, itemgetter(*FILE_FIELDS)),
    "parameter": (Parameter, PARAMETER_FIELDS, itemgetter(*PARAMETER_FIELDS)),
    "outputdata": (OutputData, FILE_FIELDS, itemgetter(*FILE_FIELDS)),
}
_NEW: Final = object.__new__
_FILLED: Final = {
    kind: tuple(getattr(kind, each.name).__set__ for each in fields(kind))
    for kind in (InputData, Parameter, OutputData)
}
"""For each kind of argument, the functions that set its fields without the checks of its constructor."""


def parse(text: str | bytes) -> tuple[Step, ...]:
    """Read a step list from its JSON document, `{"provenance": [{"args": [...]}, ...]}`.

    Keys other than those of VO-TAGS are kept in `extra` (in a step and in an argument's description) and `beside` (next
    to an argument's index); keys next to `provenance` itself belong to no step and are dropped.
    Raises StepsError, which names the place, such as `provenance[2].args[1].parameter.value`.
    """
    try:
        document = jsontext.read(text)
    except JsonError as error:
        raise StepsError(error.trouble, "the document") from error
    if not isinstance(document, dict) or "provenance" not in document:
        raise StepsError('an object with the key "provenance" is expected', "the document")
    steps = document["provenance"]
    if not isinstance(steps, list):
        raise StepsError(f"a list of steps is expected, not {excerpt(steps)}", "provenance")
    return tuple(make_each(_step, steps, "provenance"))


def read(path: Path) -> tuple[Step, ...]:
    """Read a step list from a file.

    A longer file is cut at MAX_BYTES + 1, so that `parse` reports it as too long. Raises StepsError and OSError.
    """
    with path.open("rb") as stream:
        return parse(stream.read(MAX_BYTES + 1))


def dump(steps: Iterable[Step]) -> str:
    """Write steps as one line of printable ASCII, fit for the cell of an ASCII table.

    Raises StepsError if the document is longer than `parse` reads, or an `extra` holds what JSON cannot.
    """
    text = jsontext.write({"provenance": [_step_json(step) for step in steps]})
    if len(text) > MAX_BYTES:
        raise StepsError(f"the list takes {len(text)} bytes; at most {MAX_BYTES} are allowed", "provenance")
    return text


def merge(*lists: Iterable[Step]) -> tuple[Step, ...]:
    """Concatenate step lists; a step that occurs again (by `digest`) is kept at its first position only."""
    seen: dict[str, Step] = {}
    for steps in lists:
        for step in steps:
            seen.setdefault(digest(step), step)
    return tuple(seen.values())


def digest(step: Step) -> str:
    """Return the SHA-256 (hexadecimal) of a step as canonical JSON: sorted keys, no blanks, ASCII."""
    return hashlib.sha256(jsontext.canonical(_step_json(step)).encode("ascii")).hexdigest()


def _step(value: Json) -> Step:
    """One element of `provenance`."""
    step = _object(value)
    args = step.get("args")
    if not isinstance(args, list):
        came = excerpt(args) if "args" in step else "nothing"
        raise StepsError(f"a list of arguments is expected, not {came}", "args")
    del step["args"]
    return Step(tuple(make_each(_arg, args, "args")), step)


def _arg(value: Json) -> Arg:
    """One element of `args`."""
    arg = _object(value)
    usual = _usual(arg)
    if usual is not None:
        return usual
    kind = ""
    for key in arg:
        if key in _KINDS:
            if kind:
                count = len(arg.keys() & _KINDS.keys())
                raise StepsError(f"exactly one of inputdata, parameter, outputdata is expected, not {count}")
            kind = key
    if not kind:
        raise StepsError("exactly one of inputdata, parameter, outputdata is expected, not 0")
    if "index" not in arg:
        raise StepsError("is missing", "index")
    make, keys, values = _KINDS[kind]
    try:
        inner = _object(arg[kind])
        try:
            known = values(inner)
        except KeyError:
            raise StepsError("is missing", min(set(keys) - inner.keys())) from None
        for key in keys:
            del inner[key]
        beside = {key: arg[key] for key in arg if key not in ARG_KEYS} if len(arg) > 2 else {}
        return make(arg["index"], *known, inner, beside)
    except StepsError as error:
        raise error if error.place.startswith(("index", "beside")) else error.within(kind) from error


def _usual(arg: dict[str, Json]) -> Arg | None:
    """Make an argument as nearly all are without the checks of its constructor: the types of its values are enough.

    Returns None for any other, which the constructor checks, so that its error says what is wrong and where. A kind has
    a function of its own: one function over a table of fields takes 8 to 12 % longer to parse 1,000 steps.
    """
    index = arg.get("index")
    if len(arg) != 2 or type(index) is not int or index < 0:
        return None
    inner = arg.get("parameter")
    if type(inner) is dict:
        return _usual_parameter(index, inner)
    inner = arg.get("inputdata")
    if type(inner) is dict:
        return _usual_file(InputData, index, inner)
    inner = arg.get("outputdata")
    return _usual_file(OutputData, index, inner) if type(inner) is dict else None


def _usual_parameter(index: int, inner: dict[str, Json]) -> Parameter | None:
    """`_usual` for a parameter."""
    try:
        description, editable, value = inner["description"], inner["editable"], inner["value"]
    except KeyError:
        return None
    kind = type(value)
    if type(description) is not str or type(editable) is not bool:
        return None
    if kind not in FLAT and (kind is not float or not math.isfinite(value)):
        return None
    extra = {}
    if len(inner) > len(PARAMETER_FIELDS):
        extra = inner.copy()
        del extra["description"], extra["editable"], extra["value"]
        if not FLAT.issuperset(map(type, extra.values())):
            return None
    made = _NEW(Parameter)
    set_index, set_description, set_editable, set_value, set_extra, set_beside = _FILLED[Parameter]
    set_index(made, index)
    set_description(made, description)
    set_editable(made, editable)
    set_value(made, value)
    set_extra(made, extra)
    set_beside(made, {})
    return made


def _usual_file(make: type[InputData | OutputData], index: int, inner: dict[str, Json]) -> Arg | None:
    """`_usual` for a file."""
    try:
        description, editable, location = inner["description"], inner["editable"], inner["location"]
        path = inner["path"]
    except KeyError:
        return None
    if type(description) is not str or type(editable) is not bool or type(location) is not str or type(path) is not str:
        return None
    extra = {}
    if len(inner) > len(FILE_FIELDS):
        extra = inner.copy()
        del extra["description"], extra["editable"], extra["location"], extra["path"]
        if not FLAT.issuperset(map(type, extra.values())):
            return None
    made = _NEW(make)
    set_index, set_description, set_editable, set_location, set_path, set_extra, set_beside = _FILLED[make]
    set_index(made, index)
    set_description(made, description)
    set_editable(made, editable)
    set_location(made, location)
    set_path(made, path)
    set_extra(made, extra)
    set_beside(made, {})
    return made


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


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise StepsError(f"an object is expected, not {excerpt(value)}")
    return value
