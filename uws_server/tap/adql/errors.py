"""The error of a query that is refused: what is wrong, where, and which name was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from uws_server.errors import BadRequest


class AdqlError(BadRequest):
    """A query is not ADQL, or names what there is not; `line` and `column` count from 1, 0 if no place is known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        self.line, self.column = line, column
        super().__init__(f"line {line}, column {column}: {message}" if line else message)


def place_of(query: str, offset: int) -> tuple[int, int]:
    """Return line and column of a character of the query, from 1."""
    return query.count("\n", 0, offset) + 1, offset - query.rfind("\n", 0, offset)


def like(name: str, names: Iterable[str]) -> str:
    """Return up to three of the names that look like this one, with `or` between, or the empty string."""
    by_key = {known.lower(): known for known in names}
    return " or ".join(by_key[key] for key in difflib.get_close_matches(name.lower(), by_key, n=3, cutoff=0.6))


def near(name: str, names: Iterable[str]) -> str:
    """Return the question whether one of the names that look like this one was meant, or the empty string."""
    found = like(name, names)
    return f"; did you mean {found}?" if found else ""
