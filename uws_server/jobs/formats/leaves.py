"""The fields of a definition as single texts, for formats that have a place for some of them only. Imports the values.

An XML format says what it can in its own words. What a reader of these words alone would get wrong is written beside
them, as text for a field of text, as JSON for any other; so nothing is written twice and nothing is lost.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.jobs import checks
from uws_server.jobs.definition import Contact, Control, Definition, Duration, Entry, Keep
from uws_server.jobs.formats import etree, xmltext
from uws_server.jobs.formats.content import JSON_LIMITS
from uws_server.jobs.formats.native import Misfit
from uws_server.jobs.words import truth

TypeRange: TypeAlias = tuple[str, float | None, float | None]
"""A parameter type, and the range that a type of another format implies."""

TYPES_OF_OPUS: Mapping[str, TypeRange] = {
    "string": ("string", None, None),
    "boolean": ("boolean", None, None),
    "unsignedByte": ("integer", 0, 255),
    "short": ("integer", -32768, 32767),
    "int": ("integer", None, None),
    "integer": ("integer", None, None),
    "long": ("integer", None, None),
    "float": ("float", None, None),
    "double": ("float", None, None),
    "anyURI": ("url", None, None),
    "file": ("file", None, None),
}
"""The types that OPUS writes, in WADL as in VOTable."""

_ELSEWHERE = frozenset({"name", "parameters", "results"})
"""Fields of a definition that every format has a place for."""
_NESTED: Mapping[str, type] = {
    "contact": Contact,
    "entry": Entry,
    "control": Control,
    "control.duration": Duration,
    "control.destruction": Keep,
}


def differences(own: Any, read: Any, place: str = "") -> dict[str, str]:
    """Return the fields, such as control.duration.max, in which `read` differs from `own`, each with its text of `own`.

    Both are of the same class.
    """
    found: dict[str, str] = {}
    for field in dataclasses.fields(own):
        if isinstance(own, Definition) and field.name in _ELSEWHERE:
            continue
        wanted, other = getattr(own, field.name), getattr(read, field.name)
        if dataclasses.is_dataclass(wanted):
            found |= differences(wanted, other, f"{place}{field.name}.")
        elif _json(wanted) != _json(other):
            found[f"{place}{field.name}"] = wanted if _is_text(field) else _json(wanted)
    return found


def plant(data: dict[str, Any], kind: type, path: str, text: str, place: str) -> None:
    """Put the text of a field, as `differences` names and writes it, into the data that `native` reads.

    Raises Misfit, at `place`, for a field that is none, and for text that is no JSON.
    """
    below, _, name = path.rpartition(".")
    if below and (kind is not Definition or below not in _NESTED):
        raise Misfit.at(place, "unknown field")
    for holder in below.split(".") if below else ():
        data = data.setdefault(holder, {})
    owner = _NESTED[below] if below else kind
    field = next((field for field in dataclasses.fields(owner) if field.name == name), None)
    if field is None or path in _ELSEWHERE | set(_NESTED):
        raise Misfit.at(place, "unknown field")
    if _is_text(field):
        data[name] = text
        return
    try:
        data[name] = jsontext.parse(text, JSON_LIMITS)
    except JsonError as error:
        raise Misfit.at(place, f"{text[:80]!r} is not JSON") from error


def scalar(text: str, kind: str) -> Any:
    """Return the value that a text stands for in a parameter of that type; the text itself where it stands for none.

    Numbers and truth values may stand as FORTRAN writes them: 1d-3, `.true.`; a whole number with a point is one.
    """
    word = text.strip()
    if kind == "boolean":
        true = truth(word.strip("."))
        return text if true is None else true
    if kind in ("integer", "float"):
        try:
            value = jsontext.parse(word, JSON_LIMITS)
        except JsonError:
            value = _number(word)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return text
        return int(value) if kind == "integer" and value == int(value) else value
    return text


def bound(text: str, place: str) -> float:
    """Return the number that a text stands for. Raise Misfit, at `place`, if it is none."""
    value = scalar(text, "float")
    if not isinstance(value, int | float):
        raise Misfit.at(place, f"{text[:80]!r} is no number")
    return value


def bare(name: str) -> dict[str, Any]:
    """Return the minimal data of a definition: `name` as its title, a script still to come."""
    return {"name": name, "title": name, "version": "1.0", "entry": {"type": "shell", "script": "run.sh"}}


def duration(text: str) -> dict[str, Any]:
    """Return the time limits that a number of seconds stands for: the default, and a maximum not below it."""
    seconds = scalar(text, "integer")
    longest = max(Duration().max, seconds) if isinstance(seconds, int) else Duration().max
    return {"default": seconds, "max": longest}


def limited(elements: Sequence[etree._Element], kind: str, lines: dict[str, int]) -> Sequence[etree._Element]:
    """Return the elements of parameters or results. Raise Misfit for more than a definition may have; add their
    line.
    """
    most = checks.MOST_PARAMETERS if kind == "parameters" else checks.MOST_RESULTS
    if elements:
        lines[kind] = xmltext.line_of(elements[0])
    if len(elements) > most:
        raise Misfit.at(kind, f"{len(elements):,} came, at most {most} are allowed")
    return elements


def written(value: Any) -> str:
    """Return a scalar as the formats write it: text that `scalar` reads."""
    return value if isinstance(value, str) else _json(value)


def _number(word: str) -> float | None:
    """Read a number as people and FORTRAN write it (.5, 1., +3, 1d-3); return None where it is none."""
    try:
        value = float(word.lower().replace("d", "e"))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _is_text(field: dataclasses.Field[Any]) -> bool:
    return str(field.type) == "str" or str(field.type).startswith("Literal")


def _json(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value)
