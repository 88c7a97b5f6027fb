"""Lists of jobs, newest first, in pages: however long, they take little memory. Imports the tables.

A list is the merger of streams, one for each definition and owner that the filter names. A stream is a range of an
index for each phase, already in order, and is read page by page. Between two pages nothing is held: no transaction, no
connection. So a slow reader blocks nobody, and the newest ten of a million jobs cost what those of a thousand do.

A job changes its phase while a list is read, never its definition, owner or time of creation. So the phases of a
stream are read by one statement, which sees them at one moment: no job is listed twice, or missed between two phases.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from threading import Lock
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import Filter, JobSummary
from uws_server.storage.tables import LISTED, SUMMARY, jobs, read_summary

_PAGE = 1024


def summaries(engine: sa.Engine, wanted: Filter, turn: Lock) -> Iterator[JobSummary]:
    """Return the jobs that a filter lets through, newest first; a job that comes or goes meanwhile may be in it or not.

    `turn` is held while a page is read: SQLite releases the interpreter lock at each row, and sixteen lists at once
    would spend most of their time on getting it back.
    """
    streams = [_stream(engine, ranges, wanted.last, turn) for ranges in _streams(engine, wanted)]
    merged = heapq.merge(*streams, key=lambda job: (job.created_us, job.id), reverse=True)
    return itertools.islice(merged, wanted.last)


def some(connection: sa.Connection, ids: Collection[str], wanted: Filter) -> list[JobSummary]:
    """Return those jobs of some ids (a few hundred), owned by nobody, that a filter lets through, newest first."""
    chosen = jobs.c.id.in_(ids), jobs.c.owner == "", sa.or_(*_phases(wanted)), _after(wanted)
    query = sa.select(*SUMMARY).where(*chosen)
    if wanted.definition is not None:
        query = query.where(jobs.c.definition == wanted.definition)
    return [read_summary(row) for row in connection.execute(_newest(query, len(ids))).cursor.fetchall()]


def count(engine: sa.Engine, owner: str) -> int:
    """Return how many jobs of an owner lists that name no phase show."""
    names = _definitions(engine)
    query = sa.select(sa.func.count()).select_from(jobs).where(LISTED, jobs.c.owner == owner)
    with engine.connect() as connection:
        return sum(connection.execute(query.where(jobs.c.definition == name)).scalar_one() for name in names)


def _streams(engine: sa.Engine, wanted: Filter) -> Iterator[list[sa.ColumnElement[bool]]]:
    """Yield the conditions of the ranges of each stream."""
    definitions = _definitions(engine) if wanted.definition is None else [wanted.definition]
    owners = None if wanted.owners is None else sorted({owner or "" for owner in wanted.owners})
    of_owner = [sa.true()] if owners is None else [jobs.c.owner == owner for owner in owners]
    of_phase, after = _phases(wanted), _after(wanted)
    for definition, owner in itertools.product(definitions, of_owner):
        yield [sa.and_(jobs.c.definition == definition, owner, phase, after) for phase in of_phase]


def _phases(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the phases that a filter lets through, one of which a job must fulfil."""
    return [jobs.c.phase == phase.value for phase in dict.fromkeys(wanted.phases)] or [LISTED]


def _after(wanted: Filter) -> sa.ColumnElement[bool]:
    if wanted.after is None:
        return sa.true()
    # clients know creation times to the millisecond: a job is not after the time that its own document shows
    seen = wanted.after.replace(microsecond=wanted.after.microsecond // 1000 * 1000)
    return jobs.c.created > seen + timedelta(microseconds=999)


def _definitions(engine: sa.Engine) -> Sequence[str]:
    """Return the definitions that have jobs, found by jumping from one to the next in an index."""
    first = sa.select(sa.func.min(jobs.c.definition).label("name")).cte("found", recursive=True)
    following = sa.select(sa.func.min(jobs.c.definition)).where(jobs.c.definition > first.c.name).scalar_subquery()
    found = first.union_all(sa.select(following).where(first.c.name.is_not(None)))
    with engine.connect() as connection:
        return connection.execute(sa.select(found.c.name).where(found.c.name.is_not(None))).scalars().all()


def _stream(
    engine: sa.Engine, ranges: list[sa.ColumnElement[bool]], most: int | None, turn: Lock
) -> Iterator[JobSummary]:
    size = min(most or _PAGE, _PAGE)
    page = _page(engine, _query(engine, ranges, size), turn)
    yield from page
    while len(page) == size:
        last = page[-1]
        position = sa.tuple_(sa.literal(last.created, jobs.c.created.type), sa.literal(last.id))
        older = sa.tuple_(jobs.c.created, jobs.c.id) < position
        page = _page(engine, _query(engine, [sa.and_(condition, older) for condition in ranges], size), turn)
        yield from page


def _query(engine: sa.Engine, ranges: list[sa.ColumnElement[bool]], size: int) -> sa.Select[Any]:
    """Return the query for the newest jobs of some ranges.

    The database walks along the index of each and sorts nothing.
    """
    arms = [sa.select(*SUMMARY).where(condition) for condition in ranges]
    if len(arms) == 1:
        return _newest(arms[0], size)
    if engine.name == "postgresql":  # uses the order of an arm only if it is stated; SQLite only if it is not
        arms = [_newest(arm, size).subquery().select() for arm in arms]
    return _newest(sa.union_all(*arms).subquery().select(), size)


def _newest(query: sa.Select[Any], size: int) -> sa.Select[Any]:
    columns = query.selected_columns
    return query.order_by(columns.created.desc(), columns.id.desc()).limit(size)


def _page(engine: sa.Engine, query: sa.Select[Any], turn: Lock) -> list[JobSummary]:
    with turn, engine.connect() as connection:
        # as the driver has them: SUMMARY holds plain values, and rows of SQLAlchemy's own take as long again
        return [read_summary(row) for row in connection.execute(query).cursor.fetchall()]
