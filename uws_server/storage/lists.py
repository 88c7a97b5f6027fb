"""Lists of jobs, newest or oldest first, in pages: however long, they take little memory. Imports the tables.

A list is the merger of streams, one for each definition and owner that the filter names. A stream is a range of an
index for each phase, already in order, and is read page by page. Between two pages nothing is held: no transaction, no
connection. So a slow reader blocks nobody, and the newest ten of a million jobs cost what those of a thousand do.

A job changes its phase while a list is read, never its definition, owner or time of creation. So the phases of a
stream are read by one statement, which sees them at one moment: no job is listed twice, or missed between two phases.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import sqlalchemy as sa

from uws_server.jobs.job import Filter, Place
from uws_server.storage.database import Look, Reader
from uws_server.storage.sought import seen_us
from uws_server.storage.tables import LISTED, jobs, microseconds_of

_PAGE = 1024

Row = tuple[Any, ...]
"""A row of a list, as the database has it."""


class _Form(NamedTuple):
    """What the text of a query depends on."""

    has_owner: bool
    phases: int
    has_after: bool
    has_until: bool
    is_first: bool
    oldest_first: bool
    counts: bool = False


class ListReader:
    """Reads lists of jobs, of each some columns, the first four of which are those of SUMMARY.

    Each form of a query is put together once: that takes longer than to execute it. `turn` is held while a page is
    read: SQLite releases the interpreter lock at each row, and sixteen lists at once would spend most of their time on
    getting it back.
    """

    def __init__(self, reader: Reader, columns: Sequence[sa.ColumnElement[Any]], turn: Lock) -> None:
        self._reader, self._columns, self._turn = reader, columns, turn
        self._definitions, self._count = Look(reader, _definitions()), Look(reader, _count())
        self._looks: dict[_Form, Look] = {}

    def rows(self, wanted: Filter, page: int = _PAGE) -> Iterator[Row]:
        """Return the jobs that a filter lets through, in order; a job that comes or goes meanwhile may be in it.

        At most `page` of each stream are read at once.
        """
        size = min(wanted.last or page, page)
        streams = [self._stream(_form(wanted), values, size) for values in self._streams(wanted)]
        merged = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_place, reverse=not wanted.oldest_first)
        return itertools.islice(merged, wanted.last)

    def count_to(self, wanted: Filter, most: int) -> int:
        """Return how many jobs a filter lets through; `most` if there are more."""
        form, count = _form(wanted)._replace(counts=True), 0
        for values in self._streams(wanted):
            if count < most:
                count += self._page(form, {**values, "size": most - count})[0][0]
        return count

    def count(self, owner: str) -> int:
        """Return how many jobs of an owner lists that name no phase show."""
        return sum(self._count.rows(definition=name, owner=owner)[0][0] for name in self._names())

    def _names(self) -> list[str]:
        """Return the definitions that have jobs."""
        return [name for (name,) in self._definitions.rows()]

    def _streams(self, wanted: Filter) -> Iterator[Mapping[str, Any]]:
        """Yield the values that are bound to the query of each stream."""
        names = self._names() if wanted.definition is None else [wanted.definition]
        owners = [None] if wanted.owners is None else sorted({owner or "" for owner in wanted.owners})
        phases = {f"phase{number}": phase.value for number, phase in enumerate(dict.fromkeys(wanted.phases))}
        limits = {} if wanted.after is None else {"after": seen_us(wanted.after)}
        if wanted.until is not None:
            limits["until"] = microseconds_of(wanted.until)
        start = {} if wanted.start is None else _started(*wanted.start)
        for name, owner in itertools.product(names, owners):
            yield {"definition": name, "owner": owner, **phases, **limits, **start}

    def _stream(self, form: _Form, values: Mapping[str, Any], size: int) -> Iterator[Row]:
        page = self._page(form, {**values, "size": size})
        yield from page
        following = form._replace(is_first=False)
        while len(page) == size:
            page = self._page(following, {**values, "size": size, **_started(*_place(page[-1]))})
            yield from page

    def _page(self, form: _Form, values: Mapping[str, Any]) -> list[Row]:
        look = self._looks.get(form)
        if look is None:
            query = _query(self._reader.dialect.name, self._columns, form)
            look = self._looks[form] = Look(self._reader, query)
        with self._turn:
            return look.rows(**values)


def _form(wanted: Filter) -> _Form:
    """Return the form of the query of a filter."""
    return _Form(
        wanted.owners is not None,
        len(set(wanted.phases)),
        wanted.after is not None,
        wanted.until is not None,
        is_first=wanted.start is None,
        oldest_first=wanted.oldest_first,
    )


def _place(row: Row) -> Place:
    """Return what orders a row: when the job was created, and its id."""
    return Place(row[3], row[0])


def _started(created_us: int, job_id: str) -> Mapping[str, Any]:
    """Return the values that say after which job a page begins."""
    return {"last_created": created_us, "last_id": job_id}


def _definitions() -> sa.Select[Any]:
    """Return the query for the definitions that have jobs: it jumps from one to the next in an index."""
    first = sa.select(sa.func.min(jobs.c.definition).label("name")).cte("found", recursive=True)
    following = sa.select(sa.func.min(jobs.c.definition)).where(jobs.c.definition > first.c.name).scalar_subquery()
    found = first.union_all(sa.select(following).where(first.c.name.is_not(None)))
    return sa.select(found.c.name).where(found.c.name.is_not(None))


def _count() -> sa.Select[Any]:
    of_owner = jobs.c.definition == sa.bindparam("definition"), jobs.c.owner == sa.bindparam("owner")
    return sa.select(sa.func.count()).select_from(jobs).where(LISTED, *of_owner)


def _query(database: str, columns: Sequence[sa.ColumnElement[Any]], form: _Form) -> sa.Select[Any]:
    """Return the query for the first jobs of a stream, or how many they are: of a range of an index for each phase.

    The database walks along the index of each and sorts nothing.
    """
    arms = [sa.select(*columns).where(*_bounds(form), phase) for phase in _phases(form)]
    size = sa.bindparam("size", type_=sa.Integer)
    if form.counts:
        places = [arm.with_only_columns(jobs.c.created, jobs.c.id) for arm in arms]
        # PostgreSQL walks along the index alone where an order is stated, else it gathers all rows before the first
        each = [_first(one, size, form) if database == "postgresql" else one.limit(size) for one in places]
        each = [one.subquery().select() for one in each]
        return sa.select(sa.func.count()).select_from(sa.union_all(*each).limit(size).subquery())
    if len(arms) == 1:
        return _first(arms[0], size, form)
    if database == "postgresql":  # uses the order of an arm only if it is stated; SQLite only if it is not
        arms = [_first(arm, size, form).subquery().select() for arm in arms]
    return _first(sa.union_all(*arms).subquery().select(), size, form)


def _bounds(form: _Form) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions that hold for every phase of a stream."""
    yield jobs.c.definition == sa.bindparam("definition")
    if form.has_owner:
        yield jobs.c.owner == sa.bindparam("owner")
    if form.has_after:
        yield jobs.c.created > sa.bindparam("after")
    if form.has_until:
        yield jobs.c.created < sa.bindparam("until")
    if not form.is_first:
        last = sa.bindparam("last_created", type_=jobs.c.created.type), sa.bindparam("last_id", type_=jobs.c.id.type)
        place = sa.tuple_(jobs.c.created, jobs.c.id)
        yield place > sa.tuple_(*last) if form.oldest_first else place < sa.tuple_(*last)


def _phases(form: _Form) -> list[sa.ColumnElement[bool]]:
    """Return the condition of each phase, or the one of a list that names none."""
    return [jobs.c.phase == sa.bindparam(f"phase{number}") for number in range(form.phases)] or [LISTED]


def _first(query: sa.Select[Any], size: sa.ColumnElement[int], form: _Form) -> sa.Select[Any]:
    created, job_id = query.selected_columns.created, query.selected_columns.id
    order = (created, job_id) if form.oldest_first else (created.desc(), job_id.desc())
    return query.order_by(*order).limit(size)
