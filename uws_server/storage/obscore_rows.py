"""The ObsCore rows of results, kept in the database beside the size and time of the file they were read from.

The files decide: a row is valid while its file has that size and time, else it is read again. It is kept in the
database because several servers share that, it knows who may see which job, and it deletes a row with its result.
Imports the tables.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from uws_server.storage import tap_rows
from uws_server.storage.database import reading
from uws_server.storage.tables import SHOWN, jobs, obscore_rows, results


class KeptRow(NamedTuple):
    """A row as JSON ('' for none) and the file it is from: its size in bytes, its time of change in nanoseconds."""

    result_id: str
    size: int
    changed: int
    row: str


class FitsResult(NamedTuple):
    """A result that is FITS: its job and file, and the row that is kept of it (None for none)."""

    job_id: str
    result_id: str
    file: str
    size: int | None
    changed: int | None
    row: str | None


_ALL = (
    sa.select(
        results.c.job_id, results.c.id, results.c.file, obscore_rows.c.size, obscore_rows.c.changed, obscore_rows.c.row
    )
    .join(jobs, jobs.c.id == results.c.job_id)
    .outerjoin(obscore_rows, obscore_rows.c.result_id == results.c.id)
    .where(
        results.c.job_id.in_(sa.bindparam("wanted", expanding=True)),
        sa.not_(jobs.c.trial),
        sa.or_(results.c.mime.like("%fits%"), obscore_rows.c.result_id.is_not(None)),
    )
    .order_by(results.c.position)
)


_AT_ONCE = 250
_NEWEST = sa.select(sa.type_coerce(jobs.c.created, sa.BigInteger).label("created"), jobs.c.id).where(
    SHOWN, sa.not_(jobs.c.trial)
)


def jobs_with_products(engine: sa.Engine, owners: Collection[str | None] | None) -> Iterator[str]:
    """Yield the ids of the jobs of some owners (None: of all) that have products, newest first, without trials.

    They are read in pages along an index: jobs without products cost nothing, and between two pages nothing is held.
    """
    wanted = [None] if owners is None else sorted({owner or "" for owner in owners})
    streams = [_newest(engine, owner) for owner in wanted]
    return (job_id for _, job_id in heapq.merge(*streams, reverse=True))


def _newest(engine: sa.Engine, owner: str | None) -> Iterator[tuple[int, str]]:
    query = _NEWEST if owner is None else _NEWEST.where(jobs.c.owner == owner)
    query = query.order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(_AT_ONCE)
    page = _page(engine, query)
    while page:
        yield from page
        if len(page) < _AT_ONCE:
            return
        created, job_id = page[-1]
        older = sa.tuple_(sa.type_coerce(jobs.c.created, sa.BigInteger), jobs.c.id) < sa.tuple_(
            sa.literal(created, sa.BigInteger), sa.literal(job_id)
        )
        page = _page(engine, query.where(older))


def _page(engine: sa.Engine, query: sa.Select[Any]) -> list[tuple[int, str]]:
    with reading(engine).connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def of_jobs(engine: sa.Engine, wanted: Sequence[str]) -> Iterator[FitsResult]:
    """Yield the FITS results of some jobs (a few hundred), in the order of the jobs, without those of trials."""
    found: dict[str, list[FitsResult]] = {job_id: [] for job_id in wanted}
    with engine.connect() as connection:
        for row in connection.execute(_ALL, {"wanted": list(wanted)}):
            found[row[0]].append(FitsResult(*row))
    for products in found.values():
        yield from products


class NamedResult(NamedTuple):
    """A result with its name, media type and description, and its row as that of `FitsResult`."""

    stored: FitsResult
    name: str
    mime: str
    description: str


_NAMED = (
    sa.select(
        results.c.job_id, results.c.id, results.c.file, obscore_rows.c.size, obscore_rows.c.changed, obscore_rows.c.row,
        results.c.name, results.c.mime, results.c.description,
    )
    .outerjoin(obscore_rows, obscore_rows.c.result_id == results.c.id)
    .where(results.c.id.in_(sa.bindparam("wanted", expanding=True)))
)  # fmt: skip


def of_ids(engine: sa.Engine, wanted: Sequence[str]) -> list[NamedResult]:
    """Return the results with some ids, in their order; an id that there is not has none."""
    with reading(engine).connect() as connection:
        rows = connection.execute(_NAMED, {"wanted": list(wanted)})
        found = {row[1]: NamedResult(FitsResult(*row[:6]), *row[6:]) for row in rows}
    return [found[result_id] for result_id in dict.fromkeys(wanted) if result_id in found]


def keep(engine: sa.Engine, rows: Collection[KeptRow]) -> None:
    """Store rows in place of the earlier ones; a row whose result has gone meanwhile is left out."""
    if not rows:
        return
    ids = [row.result_id for row in rows]
    with engine.begin() as connection:
        there = set(connection.execute(sa.select(results.c.id).where(results.c.id.in_(ids))).scalars())
        connection.execute(obscore_rows.delete().where(obscore_rows.c.result_id.in_(ids)))
        if good := [row._asdict() for row in rows if row.result_id in there]:
            connection.execute(obscore_rows.insert(), good)
        tap_rows.keep_of_results(connection, {row.result_id: (row.row, row.size) for row in rows})


def texts_of(engine: sa.Engine, wanted: Sequence[str]) -> dict[str, str]:
    """Return the rows that are kept of some results (a few hundred), as JSON, by the ids of these."""
    query = sa.select(obscore_rows.c.result_id, obscore_rows.c.row)
    query = query.where(obscore_rows.c.result_id.in_(list(wanted)), obscore_rows.c.row != "")
    with reading(engine).connect() as connection:
        return {row.result_id: row.row for row in connection.execute(query)}
