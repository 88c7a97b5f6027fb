"""Lists of jobs, newest first, in pieces: however long, they take little memory. Imports the tables.

A list is the merger of streams: one for each definition, owner and phase that it names. A stream is one range of one
index, already in order, and is read page by page. Between two pages nothing is held: no transaction, no connection. So
a slow reader blocks nobody, and the newest ten of a million jobs cost what the newest ten of a thousand do.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from threading import Lock

import sqlalchemy as sa

from uws_server.jobs.job import Filter, JobSummary
from uws_server.storage.tables import LISTED, SUMMARY, jobs, read_summary

_PAGE = 500


def summaries(engine: sa.Engine, wanted: Filter, turn: Lock) -> Iterator[JobSummary]:
    """The jobs that a filter lets through, newest first; a job that comes or goes meanwhile may be in it or not.

    `turn` is held while a page is read: SQLite lets go of the interpreter at each row, and sixteen lists at once would
    spend most of their time on getting it back.
    """
    streams = [_stream(engine, conditions, wanted.last, turn) for conditions in _ranges(engine, wanted)]
    merged = heapq.merge(*streams, key=lambda job: (job.created, job.id), reverse=True)
    return itertools.islice(merged, wanted.last)


def _ranges(engine: sa.Engine, wanted: Filter) -> Iterator[list[sa.ColumnElement[bool]]]:
    """The conditions of each stream."""
    definitions = _definitions(engine) if wanted.definition is None else [wanted.definition]
    of_definition = [jobs.c.definition == name for name in definitions]
    owners = None if wanted.owners is None else sorted({owner or "" for owner in wanted.owners})
    of_owner = [None] if owners is None else [jobs.c.owner == owner for owner in owners]
    of_phase = [jobs.c.phase == phase.value for phase in dict.fromkeys(wanted.phases)] or [LISTED]
    after = None
    if wanted.after is not None:
        # clients know creation times to the millisecond: a job is not after the time that its own document shows
        seen = wanted.after.replace(microsecond=wanted.after.microsecond // 1000 * 1000)
        after = jobs.c.created > seen + timedelta(microseconds=999)
    for range_of_index in itertools.product(of_definition, of_owner, of_phase, [after]):
        yield [condition for condition in range_of_index if condition is not None]


def _definitions(engine: sa.Engine) -> Sequence[str]:
    """The definitions that have jobs, found by jumping from one to the next in an index."""
    first = sa.select(sa.func.min(jobs.c.definition).label("name")).cte("found", recursive=True)
    following = sa.select(sa.func.min(jobs.c.definition)).where(jobs.c.definition > first.c.name).scalar_subquery()
    found = first.union_all(sa.select(following).where(first.c.name.is_not(None)))
    with engine.connect() as connection:
        return connection.execute(sa.select(found.c.name).where(found.c.name.is_not(None))).scalars().all()


def _stream(
    engine: sa.Engine, conditions: list[sa.ColumnElement[bool]], most: int | None, turn: Lock
) -> Iterator[JobSummary]:
    size = min(most or _PAGE, _PAGE)
    query = sa.select(*SUMMARY).where(*conditions).order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(size)
    page = _page(engine, query, turn)
    yield from page
    while len(page) == size:
        last = page[-1]
        place = sa.tuple_(sa.literal(last.created, jobs.c.created.type), sa.literal(last.id))
        page = _page(engine, query.where(sa.tuple_(jobs.c.created, jobs.c.id) < place), turn)
        yield from page


def _page(engine: sa.Engine, query: sa.Select[tuple[object, ...]], turn: Lock) -> list[JobSummary]:
    with turn, engine.connect() as connection:
        # as the driver has them: SUMMARY holds plain values, and rows of SQLAlchemy's own take as long again
        return [read_summary(row) for row in connection.execute(query).cursor.fetchall()]
