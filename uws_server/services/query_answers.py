"""The answer to a query in ADQL as a page shows it: its first rows, or two of its columns as numbers.

Imports the queries and TAP. The rows are those that /tap/sync gives for the same query to the same caller.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from uws_server.errors import BadRequest
from uws_server.services.query_service import QueryService
from uws_server.tap.adql.errors import AdqlError, near
from uws_server.tap.formats.answer import Answer
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.request import read_request

MOST_PLOTTED: Final = 100_000
"""The most rows whose columns are plotted; of more the first."""
_TIME_S: Final = 30.0
_HINT: Final = "ask for less, or send it to /tap/async, where it may take longer"
_NUMBERS: Final = frozenset({"short", "int", "long", "float", "double", "unsignedByte"})
_KINDS: Final = {"char": "text", "unicodeChar": "text", "boolean": "true or false"}


class QueryProblem(BadRequest):
    """A query that cannot be answered; `line` and `column` count from 1, 0 where no place in it is known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line, self.column = line, column


@dataclass(frozen=True)
class AnswerColumn:
    """A column of an answer: its name, its unit ('' for none), what it is, and whether its values are numbers."""

    name: str
    unit: str
    kind: str
    is_number: bool

    @property
    def label(self) -> str:
        """The name with the unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class FirstRows:
    """The first rows of an answer; `is_cut` tells that there are more."""

    columns: tuple[AnswerColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool


@dataclass(frozen=True)
class Numbers:
    """Columns of an answer as numbers, NaN where there is none, each as long as the answer has rows, and `is_cut`."""

    columns: tuple[AnswerColumn, ...]
    values: tuple[list[float], ...]
    is_cut: bool


class QueryAnswers:
    """The answers to the queries of one caller."""

    def __init__(self, queries: QueryService) -> None:
        self._queries = queries

    def first(self, query: str, most: int) -> FirstRows:
        """Return at most so many rows. Raise QueryProblem if it is no query, or takes too long."""
        with self._answered(query, most) as answer:
            rows = tuple(itertools.chain.from_iterable(answer.batches()))
            return FirstRows(_columns(answer), rows, answer.overflowed)

    def numbers(self, query: str, names: Sequence[tuple[str, str]]) -> Numbers:
        """Return columns of an answer.

        Parameters
        ----------
        query
            The query.
        names
            The columns: of each what asks for it (for errors) and its name.

        Returns
        -------
        Numbers
            The columns in that order.

        Raises
        ------
        QueryProblem
            If it is no query, takes too long, or a column is none of its numbers.
        """
        with self._answered(query, MOST_PLOTTED) as answer:
            columns = _columns(answer)
            places = [_place(columns, asked, name) for asked, name in names]
            found: tuple[list[float], ...] = tuple([] for _ in places)
            for batch in answer.batches():
                for values, place in zip(found, places, strict=True):
                    values.extend([math.nan if row[place] is None else float(row[place]) for row in batch])
            return Numbers(tuple(columns[place] for place in places), found, answer.overflowed)

    @contextlib.contextmanager
    def _answered(self, query: str, most: int) -> Iterator[Answer]:
        """Give an answer, of which the block reads all rows that it wants."""
        with _told():
            request = read_request({"QUERY": [query], "LANG": ["ADQL"], "MAXREC": [str(most)]})
            with self._queries.turn():
                answer = self._queries.answer(request, {}, Budget(_TIME_S, _HINT))
                try:
                    yield answer
                finally:
                    answer.close()
            if answer.failed:
                raise QueryProblem(answer.failed)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise as QueryProblem what the query is refused for."""
    try:
        yield
    except QueryProblem:
        raise
    except AdqlError as error:
        message = str(error).removeprefix(f"line {error.line}, column {error.column}: ")
        raise QueryProblem(message, error.line, error.column) from error
    except BadRequest as error:
        raise QueryProblem(str(error).removeprefix("QUERY: ")) from error


def _columns(answer: Answer) -> tuple[AnswerColumn, ...]:
    return tuple(
        AnswerColumn(
            one.name,
            one.unit or "",
            _KINDS.get(one.datatype, "an array" if one.arraysize else one.datatype),
            one.datatype in _NUMBERS and not one.arraysize,
        )
        for one in answer.columns
    )


def numbers_of(columns: Sequence[AnswerColumn]) -> list[AnswerColumn]:
    """Return the columns that can be plotted, each name once."""
    return list({one.name: one for one in reversed(columns) if one.is_number}.values())[::-1]


def _place(columns: Sequence[AnswerColumn], asked: str, name: str) -> int:
    """Return the place of a column of numbers. Raise QueryProblem for any other."""
    place = next((place for place, one in enumerate(columns) if one.name.lower() == name.lower()), None)
    numbers = [one.name for one in numbers_of(columns)]
    allowed = f"the columns of numbers are {', '.join(numbers)}" if numbers else "the answer has no column of numbers"
    if place is None:
        raise QueryProblem(
            f"{asked}: the answer has no column {name[:64]!r}{near(name, [one.name for one in columns])}; {allowed}"
        )
    if not columns[place].is_number:
        raise QueryProblem(f"{asked}: {columns[place].name} is {columns[place].kind}, no number; {allowed}")
    return place
