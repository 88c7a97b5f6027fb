"""A job definition as JSON, the native format: job.json. Imports the definition, its checks and the errors.

What is read is what was written: what stands for itself (a default) is left out in writing and filled in in reading.
A package is the same with two more keys, `script` and `readme`, the texts of these files.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from provenance.text import jsonplaces
from uws_server.errors import DefinitionError, Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import Contact, Control, Definition, Duration, Entry, Keep, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, content

MOST_BYTES = content.MOST_BYTES
"""Size of the longest JSON text that is read."""

TEXTS = ("script", "readme")
"""The texts of a package beside the definition."""

NEEDED = ("name", "version", "title", "entry")
"""The keys of a definition that are always written."""

Made = TypeVar("Made")

_DEFAULT = "str | float | bool | tuple[str | float | bool, ...] | None"
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float | None": ((int, float, type(None)), "a number"),
    "tuple[str, ...]": ((list,), "a list of texts"),
    _DEFAULT: ((str, int, float, bool, list, type(None)), "text, a number, true, false or a list of them"),
}
"""The types of JSON that a field of each type may have, and their description."""


class Misfit(Exception):
    """Values of the wrong type, with their places."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))

    @classmethod
    def at(cls, place: str, reason: str) -> Misfit:
        """Return the error of one value at a place."""
        return cls(Problem(place, reason))


def read(text: str, where: str) -> Definition:
    """Return the definition in a JSON text, checked; `where` (a file name) begins every message of a
    DefinitionError.
    """
    return _sound(read_unchecked(text, where), text, where)


def read_unchecked(text: str, where: str) -> Definition:
    """Return the definition in a JSON text whose values may be wrong, as those of a draft; its types are right."""
    return _made(content.read_json(text, where), text, where)


def read_package(document: bytes, where: str) -> Package:
    """Return the definition, checked, and the texts that stand beside it in its own JSON."""
    text = content.decoded(document, where)
    data = content.read_json(text, where)
    texts = {key: data.pop(key, "") for key in TEXTS} if isinstance(data, dict) else {}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise refused(text, where, [Problem(key, f"text is expected, not {_quoted(value)}")])
    return Package(_sound(_made(data, text, where), text, where), **texts)


def refused(text: str, where: str, problems: Sequence[Problem]) -> DefinitionError:
    """Return the error of problems that were found in a JSON text, each with its line."""
    return content.refused(where, problems, jsonplaces.lines_of(text, [problem.parameter for problem in problems]))


def write(definition: Definition) -> str:
    """Return the definition as JSON text, one parameter or result a line."""
    return _written(to_plain(definition))


def write_package(package: Package, base_url: str = "") -> bytes:
    """Return the definition with its script and README as JSON in UTF-8; `base_url` makes no difference."""
    texts = {key: text for key in TEXTS if (text := getattr(package, key))}
    return _written(to_plain(package.definition) | texts).encode()


def to_plain(definition: Definition) -> dict[str, Any]:
    """Return the definition as JSON data: a field that equals its default is left out."""
    plain: dict[str, Any] = _plain(definition, keep=NEEDED)
    return plain


def from_plain(data: Any) -> Definition:
    """Return the definition in JSON data, unchecked. Raise Misfit, with every place, for values of the wrong type."""
    known, problems = _object(data, "definition"), list[Problem]()
    readers: Mapping[str, Callable[[], Any]] = {
        "control": lambda: _control(known.get("control", {})),
        "contact": lambda: build(Contact, known.get("contact", {}), "contact"),
        "entry": lambda: build(Entry, known["entry"], "entry"),
        "parameters": lambda: _items(ParameterSpec, known, "parameters", checks.MOST_PARAMETERS),
        "results": lambda: _items(ResultSpec, known, "results", checks.MOST_RESULTS),
        "test": lambda: _test(known.get("test", {})),
    }
    for key, reader in readers.items():
        if key in known or key != "entry":  # which is missing, then
            made = None
            with gathered(problems):
                made = reader()
            known[key] = made
    return build(Definition, known, "", problems)


def sound(read: Callable[[], Mapping[str, Any]], where: str, lines: Mapping[str, int]) -> Definition:
    """Return the definition, checked, in the data that a reader of another format makes; `lines` has those of places.

    DefinitionError, with the lines, for what is of the wrong type and for every problem.
    """
    try:
        definition = from_plain(read())
    except Misfit as misfit:
        raise content.refused(where, misfit.problems, lines) from misfit
    problems = checks.problems(definition)
    if problems:
        raise content.refused(where, problems, lines)
    return definition


def build(kind: type[Made], value: Any, place: str, before: Sequence[Problem] = ()) -> Made:
    """Return a dataclass of an object whose keys are its fields. Raise Misfit with every value that does not fit.

    `before` are problems of its parts that were found already.
    """
    data, problems = _object(value, place), list(before)
    begin = f"{place}." if place else ""
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in data:
        with gathered(problems):
            if key not in known:
                raise Misfit.at(f"{begin}{key[:80]}", _unknown(key, list(known)))
            data[key] = _fitting(str(known[key].type), data[key], f"{begin}{key}")
    for name, field in known.items():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and name not in data:
            problems.append(Problem(f"{begin}{name}", "is missing"))
    require_none(problems)
    return kind(**data)


def _control(value: Any) -> Control:
    control, problems = _object(value, "control"), list[Problem]()
    for name, kind in (("duration", Duration), ("destruction", Keep)):
        if name in control:
            with gathered(problems):
                control[name] = build(kind, control[name], f"control.{name}")
    for key in ("statuses", "needs"):
        for name, sentence in _object(control.get(key, {}), f"control.{key}").items():
            with gathered(problems):
                if not isinstance(sentence, str):
                    raise Misfit.at(f"control.{key}.{name[:80]}", f"text is expected, not {_quoted(sentence)}")
    return build(Control, control, "control", problems)


@contextmanager
def gathered(problems: list[Problem]) -> Iterator[None]:
    """Append the problems of a Misfit to `problems`, so that all are reported at once."""
    try:
        yield
    except Misfit as misfit:
        problems += misfit.problems[: checks.MOST_PROBLEMS - len(problems)]


def require_none(problems: Sequence[Problem]) -> None:
    """Raise a Misfit with all problems that were gathered, if there are any."""
    if problems:
        raise Misfit(*problems)


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key[:80].lower(), known, n=1)
    return f"unknown key; known are {', '.join(known)}{f'; did you mean {near[0]}?' if near else ''}"


def _made(data: Any, text: str, where: str) -> Definition:
    try:
        return from_plain(data)
    except Misfit as misfit:
        raise refused(text, where, misfit.problems) from misfit
    except RecursionError as error:
        raise DefinitionError(f"{where}: nested too deeply") from error


def _sound(definition: Definition, text: str, where: str) -> Definition:
    problems = checks.problems(definition)
    if problems:
        raise refused(text, where, problems)
    return definition


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misfit.at(place, f"an object is expected, not {_quoted(value)}")
    return dict(value)


def _items(kind: type[Made], data: Mapping[str, Any], key: str, most: int) -> tuple[Made, ...]:
    items = data.get(key, [])
    if not isinstance(items, list):
        raise Misfit.at(key, f"a list is expected, not {_quoted(items)}")
    if len(items) > most:
        raise Misfit.at(key, f"{len(items):,} came, at most {most} are allowed")
    made, problems = list[Made](), list[Problem]()
    for i, item in enumerate(items):
        with gathered(problems):
            made.append(build(kind, item, f"{key}[{i}]"))
    require_none(problems)
    return tuple(made)


def _test(value: Any) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, given in _object(value, "test").items():
        texts = given if isinstance(given, list) else [given]
        for text in texts:
            if not isinstance(text, str | int | float):
                raise Misfit.at(f"test.{name[:80]}", f"text or a list of texts is expected, not {_quoted(text)}")
        found[name] = tuple(str(text).lower() if isinstance(text, bool) else str(text) for text in texts)
    return found


def _fitting(wanted: str, value: Any, place: str) -> Any:
    """Return the value in the type of its field. Raise Misfit if it has another type."""
    types, expected = _TYPES.get(wanted, ((object,), ""))
    if wanted.startswith("Literal"):
        types, expected = (str,), "text"
    if types == (int,) and isinstance(value, float) and value.is_integer() and abs(value) < content.LARGEST_INTEGER:
        return int(value)  # JSON knows one kind of number
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
        raise Misfit.at(place, f"{expected} is expected, not {_quoted(value)}")
    if isinstance(value, list):
        inner = (str,) if wanted == "tuple[str, ...]" else (str, int, float, bool)
        for item in value:
            if not isinstance(item, inner):
                raise Misfit.at(place, f"{expected} is expected, not a list with {_quoted(item)}")
        return tuple(value)
    return value


def _quoted(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:80] + "…"


def _written(plain: Mapping[str, Any]) -> str:
    lines = []
    for key, value in plain.items():
        if key in ("parameters", "results"):
            items = ",\n".join(f"    {_line(item)}" for item in value)
            lines.append(f"  {_line(key)}: [\n{items}\n  ]")
        else:
            lines.append(f"  {_line(key)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    """Return JSON in one line; half a surrogate pair, which no UTF-8 holds, stays the escape that it was."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _plain(value: Any, keep: tuple[str, ...] = ()) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = {}
        for field in dataclasses.fields(value):
            own = getattr(value, field.name)
            usual = field.default_factory() if callable(field.default_factory) else field.default
            if field.name in keep or own != usual or type(own) is not type(usual):
                made[field.name] = _plain(own)
        return made
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
