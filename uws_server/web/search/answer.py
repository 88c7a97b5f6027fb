"""What the page shows of the answer to a query: cells, products, and what can be plotted. Imports the services."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from uws_server.services.query_answers import AnswerColumn, FirstRows, QueryProblem, numbers_of
from uws_server.web.search.products import FoundProduct
from uws_server.web.search.query import AskedQuery, Mark

_LONGEST: Final = 120
"""The most letters of a cell."""
_NOTHING: Final = "–"


@dataclass(frozen=True)
class ShownCell:
    """A cell: its text, the address that it is, '' for none, and whether its column is one of numbers."""

    text: str
    address: str
    is_number: bool

    @property
    def is_empty(self) -> bool:
        """Check whether there is no value."""
        return self.text == _NOTHING


@dataclass(frozen=True)
class ShownRow:
    """A row: its number from 1, its cells, and the products that it stands for."""

    number: int
    cells: tuple[ShownCell, ...]
    products: tuple[FoundProduct, ...]

    @property
    def name(self) -> str:
        """What a box before the row chooses."""
        return self.products[0].name if len(self.products) == 1 else f"the {len(self.products)} event lists"

    @property
    def lists(self) -> str:
        """The event lists of the archive that it stands for, as the field of a job takes them."""
        return "\n".join(one.source for one in self.products if one.is_list)

    @property
    def can_be_chosen(self) -> bool:
        """Check whether there is anything that can be done with it."""
        return bool(self.lists) or any(one.is_fits for one in self.products)


@dataclass(frozen=True)
class ShownAnswer:
    """An answer on its page, or what is wrong with the query. `plot_problem` says why there is no plot."""

    asked: AskedQuery
    columns: tuple[AnswerColumn, ...] = ()
    rows: tuple[ShownRow, ...] = ()
    is_cut: bool = False
    problem: str = ""
    mark: Mark | None = None
    place: tuple[int, int] = (0, 0)
    plot_problem: str = ""
    plot_summary: str = ""

    @classmethod
    def refused(cls, asked: AskedQuery, error: QueryProblem) -> ShownAnswer:
        """Return the page of a query that is refused."""
        mark = Mark.of(asked.adql, error.line, error.column)
        return cls(asked, problem=str(error), mark=mark, place=(error.line, error.column))

    @property
    def numbers(self) -> list[AnswerColumn]:
        """The columns that can be plotted."""
        return numbers_of(self.columns)

    @property
    def products(self) -> list[FoundProduct]:
        """Every product once."""
        return list({one.url: one for row in self.rows for one in row.products}.values())

    @property
    def without_values(self) -> list[str]:
        """The columns that have no value in any row."""
        empty = [all(row.cells[place].is_empty for row in self.rows) for place in range(len(self.columns))]
        return [column.name for column, is_empty in zip(self.columns, empty, strict=True) if is_empty]

    @property
    def can_choose(self) -> bool:
        """Check whether there is a row that can be chosen."""
        return any(row.can_be_chosen for row in self.rows)


def shown_rows(found: FirstRows, products: list[tuple[FoundProduct, ...]]) -> tuple[ShownRow, ...]:
    """Return the rows of an answer as they are shown."""
    return tuple(
        ShownRow(
            number,
            tuple(_cell(value, column) for value, column in zip(row, found.columns, strict=True)),
            of_row,
        )
        for number, (row, of_row) in enumerate(zip(found.rows, products, strict=True), start=1)
    )


def _cell(value: Any, column: AnswerColumn) -> ShownCell:
    text = _text(value)
    is_address = isinstance(value, str) and value.startswith(("http://", "https://")) and " " not in value
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return ShownCell(cut, text if is_address else "", column.is_number)


def _text(value: Any) -> str:
    """Return a value as a cell shows it: a dash for none, ten digits of a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _NOTHING
    if isinstance(value, float):
        return f"{value:.10g}".replace("-", "−")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).replace("-", "−")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)
