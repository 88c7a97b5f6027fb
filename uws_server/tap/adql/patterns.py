"""LIKE and ILIKE: ADQL's patterns know % and _ and no escape; LIKE keeps to upper and lower case, ILIKE does not."""

from __future__ import annotations

from typing import Final

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.values import Value

_GLOB: Final = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def like(context: QueryContext, subject: Value, pattern: Value, ilike: bool) -> str:
    """Return the condition that a text looks like a pattern.

    SQLite's LIKE ignores the case of ASCII letters: it is our ILIKE, and its GLOB, which an index may help, our LIKE.
    """
    if not context.backend.is_sqlite:
        return f"{subject.sql} {'ILIKE' if ilike else 'LIKE'} {pattern.sql} ESCAPE ''"
    if ilike:
        return f"{subject.sql} LIKE {pattern.sql}"
    if isinstance(pattern.literal, str):
        return f"{subject.sql} GLOB {context.bind(glob(pattern.literal))}"
    return f"{context.backend.call('adql_like', subject.sql, pattern.sql)}"


def glob(pattern: str) -> str:
    """Return the pattern of GLOB that means what a pattern of LIKE means."""
    return "".join(_GLOB.get(character, character) for character in pattern)
