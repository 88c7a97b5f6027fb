"""What is wrong with a search, and the place in its text. Imports the errors only."""

from __future__ import annotations

from uws_server.errors import BadRequest

_SHOWN = 60
"""Characters of a long search that are shown on each side of the place."""


class QueryError(BadRequest):
    """A search that cannot be read: the message names the column, from 1 on.

    `begin` and `end` are the part of the text that is meant, from 0 on; an empty one is a place between characters.
    `instead` is a search that may be meant, '' if there is none.
    """

    def __init__(self, sentence: str, text: str, begin: int, end: int | None = None, instead: str = "") -> None:
        super().__init__(f"column {begin + 1}: {sentence}")
        self.sentence, self.instead = sentence, instead
        self.begin, self.end = begin, max(begin, begin if end is None else end)
        self._text = text

    def caret(self) -> str:
        """Return two lines: the text about the place, and marks below it."""
        first = max(self.begin - _SHOWN, 0)
        last = min(self.begin + _SHOWN, len(self._text))
        before, behind = "…" if first else "", "…" if last < len(self._text) else ""
        shown = "".join(" " if char.isspace() else char for char in self._text[first:last])
        marks = max(min(self.end, last) - self.begin, 1)
        return f"{before}{shown}{behind}\n{' ' * (len(before) + self.begin - first)}{'^' * marks}"
