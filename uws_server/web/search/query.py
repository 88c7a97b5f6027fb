"""A query in ADQL as it stands in the address of the search page, and what of its answer is shown and plotted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bottle import FormsDict

from uws_server.errors import BadRequest

ROWS: Final = (50, 200, 1000)
"""The most rows of an answer that a page can be asked to show."""
DEFAULT_ROWS: Final = 200
FORMATS: Final = (("votable", "VOTable", "vot"), ("fits", "FITS", "fits"), ("csv", "CSV", "csv"))
"""What an answer can be had as: the value of RESPONSEFORMAT, its title, the ending of the file's name."""


@dataclass(frozen=True)
class AskedQuery:
    """The query as it was typed, the most rows of the page, and the columns to plot; y is '' for a histogram."""

    adql: str
    rows: int = DEFAULT_ROWS
    x: str = ""
    y: str = ""

    @classmethod
    def of(cls, query: FormsDict) -> AskedQuery:
        """Return what an address asks for. Raise BadRequest for rows that no page can be asked to show."""
        rows = query.getunicode("rows", "").strip() or str(DEFAULT_ROWS)
        if not re.fullmatch(r"[0-9]{1,6}", rows) or int(rows) not in ROWS:
            raise BadRequest(f"rows: {rows[:20]!r} came; {', '.join(map(str, ROWS))} are allowed")
        x, y = (query.getunicode(name, "").strip()[:1000] for name in ("x", "y"))
        return cls(query.getunicode("adql", "").replace("\r\n", "\n").strip(), int(rows), x, y)

    def query(self, **changes: object) -> dict[str, object]:
        """Return the parameters of an address that say this."""
        return {"adql": self.adql, "rows": self.rows, "x": self.x, "y": self.y, **changes}

    def sync(self, form_of: str) -> dict[str, object]:
        """Return the parameters with which /tap/sync answers the query in a format."""
        return {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": self.adql, "RESPONSEFORMAT": form_of}


@dataclass(frozen=True)
class Mark:
    """The line of a query in which something is wrong: its number, and its text before, in and behind that."""

    line: int
    before: str
    wrong: str
    behind: str

    @classmethod
    def of(cls, query: str, line: int, column: int) -> Mark | None:
        """Return the mark of a place, both counted from 1; None for no place in the query."""
        lines = query.split("\n")
        if not 1 <= line <= len(lines):
            return None
        text, begin = lines[line - 1], max(column - 1, 0)
        found = re.compile(r'"[^"]*"|[\w.]+|\S').match(text, begin)
        end = found.end() if found else begin
        return cls(line, text[:begin], text[begin:end], text[end:])
