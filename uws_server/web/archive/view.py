"""Which part of what a search finds is on the page, as it stands in the address. Imports the errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bottle import FormsDict

from uws_server.archive.query.parts import Part
from uws_server.errors import NotFound

PER_PAGE = 50


@dataclass(frozen=True)
class View:
    """A search, the order of what it finds (a name, `-` before it for the largest first), and the page from 1 on."""

    q: str = ""
    sort: str = "obsid"
    page: int = 1

    @classmethod
    def of(cls, query: FormsDict) -> View:
        """Return the view that an address asks for. Raise NotFound if its page is no number."""
        page = query.get("page") or "1"
        if not re.fullmatch(r"[1-9][0-9]{0,6}", page):
            raise NotFound(f"page: {page[:20]!r} came; a whole number from 1 on is allowed")
        return cls(query.getunicode("q", "").strip(), query.get("sort", "").strip() or "obsid", int(page))

    @property
    def column(self) -> str:
        """The name that the observations are sorted by."""
        return self.sort.removeprefix("-")

    @property
    def part(self) -> Part:
        """The part of what is found."""
        return Part(self.column, self.sort.startswith("-"), (self.page - 1) * PER_PAGE, PER_PAGE)

    def query(self, **changes: object) -> dict[str, object]:
        """Return the query of this view, without its defaults."""
        query: dict[str, object] = {"q": self.q, "sort": self.sort, "page": self.page, **changes}
        return {name: value for name, value in query.items() if value and (name, value) not in _DEFAULTS}

    def turned(self, column: str) -> str:
        """Return the order for a press on the heading of a column: the other way round if it is sorted by already."""
        return f"-{column}" if self.sort == column else column


_DEFAULTS = (("page", 1), ("sort", "obsid"))
