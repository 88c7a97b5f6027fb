"""Reads what a session is to hold, and refuses what is too much for one. Imports the values and the errors.

Regions, search and values are kept as they were written, right or wrong: work in progress may be both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from uws_server.errors import BadRequest, InvalidParameters, Problem
from uws_server.jobs.work_session import SessionContent

MOST_NAME: Final = 200
MOST_REGION: Final = 500_000
"""Characters of the text of a region: one of 10,000 corners has half of them."""
MOST_SEARCH: Final = 10_000
MOST_NOTE: Final = 50_000
MOST_EXPOSURES: Final = 10_000
MOST_SOURCE: Final = 1_000
MOST_PARAMETERS: Final = 500
MOST_VALUES: Final = 500_000
"""Characters of all values of parameters together."""

_MOST_OF = {"name": MOST_NAME, "source": MOST_REGION, "background": MOST_REGION, "search": MOST_SEARCH,
            "note": MOST_NOTE, "definition": 64}  # fmt: skip
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that are in no text that somebody writes, and that a database does not take."""


def read_content(document: Mapping[str, Any], before: SessionContent) -> SessionContent:
    """Return what a session is to hold: what came, over what it held before.

    Raise InvalidParameters with a sentence for each field that cannot be kept.
    """
    problems: list[Problem] = []
    changes: dict[str, Any] = {}
    for name, value in document.items():
        try:
            changes[name] = _READERS[name](name, value)
        except BadRequest as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise InvalidParameters(problems)
    return replace(before, **changes)


def written_content(content: SessionContent) -> dict[str, Any]:
    """Return what a session holds as a JSON object; `read_content` reads it."""
    return {**asdict(content), "exposures": list(content.exposures),
            "parameters": {name: list(values) for name, values in content.parameters.items()}}  # fmt: skip


def _text(name: str, value: Any) -> str:
    most = _MOST_OF[name]
    if not isinstance(value, str):
        raise BadRequest(f"{_kind(value)} came; a text is allowed")
    if len(value) > most:
        raise BadRequest(f"{len(value):,} characters came; {most:,} are allowed")
    if found := _NO_TEXT.search(value):
        raise BadRequest(f"the character U+{ord(found[0]):04X} came, which is in no text")
    if name in ("name", "definition"):
        if "\n" in value:
            raise BadRequest("a line end came; one line is allowed")
        return value.strip()
    return value


def _exposures(_name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRequest(f"{_kind(value)} came; a list of the sources of exposures is allowed")
    if len(value) > MOST_EXPOSURES:
        raise BadRequest(f"{len(value):,} exposures came; {MOST_EXPOSURES:,} are allowed: select fewer of them")
    return tuple(dict.fromkeys(_short(one, "exposure", MOST_SOURCE) for one in value))


def _parameters(_name: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise BadRequest(f"{_kind(value)} came; an object with a text, or a list of texts, for each name is allowed")
    if len(value) > MOST_PARAMETERS:
        raise BadRequest(f"{len(value):,} parameters came; {MOST_PARAMETERS:,} are allowed")
    found = {_short(name, "parameter", 64): _values(name, given) for name, given in value.items()}
    if (length := sum(len(text) for texts in found.values() for text in texts)) > MOST_VALUES:
        raise BadRequest(f"values of {length:,} characters came; {MOST_VALUES:,} in all are allowed")
    return found


def _values(name: str, given: Any) -> tuple[str, ...]:
    texts: Iterable[Any] = given if isinstance(given, list) else [given]
    return tuple(_short(one, f"value of {name[:64]!r}", MOST_VALUES) for one in texts)


def _short(value: Any, what: str, most: int) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{_kind(value)} came as {what}; a text is allowed")
    if len(value) > most:
        raise BadRequest(f"a {what} of {len(value):,} characters came; {most:,} are allowed")
    if _NO_TEXT.search(value):
        raise BadRequest(f"a {what} came with a character that is in no text")
    return value


def _kind(value: Any) -> str:
    """Return what a value of JSON is called."""
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        str: "a text",
    }
    return names.get(type(value), "null")


_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(_MOST_OF, _text),
    "exposures": _exposures,
    "parameters": _parameters,
}
FIELDS: Final = tuple(_READERS)
"""The names of what a session holds."""
