"""The differences between two versions of a definition's files, line by line. Imports nothing of ours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MOST_LINES = 5000
"""Lines of a file's differences that a page shows."""

MOST_COMPARED = 20_000
"""Lines of a file, of both versions together, that are compared: more would take the server too long."""

Kind = Literal["same", "added", "removed", "place"]


@dataclass(frozen=True)
class Line:
    """A line of the differences: of both versions, of one of them, or the position of the next lines in the file."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class FileDifference:
    """The differences of one file; `word` says what became of it."""

    name: str
    word: Literal["changed", "new", "gone"]
    lines: tuple[Line, ...]
    left_out: int = 0


def between(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileDifference]:
    """Return the files that differ, by name."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            word: Literal["changed", "new", "gone"] = "new" if old is None else "gone" if new is None else "changed"
            lines = _lines(old or "", new or "")
            found.append(FileDifference(name, word, tuple(lines[:MOST_LINES]), max(0, len(lines) - MOST_LINES)))
    return found


def _lines(old: str, new: str) -> list[Line]:
    if old.count("\n") + new.count("\n") > MOST_COMPARED:
        return [Line("place", "too long to be compared line by line")]
    kinds: Mapping[str, Kind] = {"+": "added", "-": "removed", "@": "place"}
    unified = difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=2)
    return [Line(kinds.get(text[:1], "same"), text) for text in list(unified)[2:]]
