"""Which job waits for which, which one runs another again, which results hold the same bytes. Imports the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.tables import jobs, results

_MOST = 100


class Waiting(NamedTuple):
    """A PENDING job, the one that it waits for, and the phase of that one; None for one that is no more."""

    job_id: str
    after: str
    phase: Phase | None


def waiting(engine: sa.Engine, after: str | None = None) -> list[Waiting]:
    """The PENDING jobs that wait for another one; with `after`, for that one."""
    before = jobs.alias("before")
    query = sa.select(jobs.c.id, jobs.c.after, before.c.phase)
    query = query.select_from(jobs.outerjoin(before, before.c.id == jobs.c.after))
    query = query.where(jobs.c.after.is_not(None), jobs.c.phase == Phase.PENDING.value)
    if after is not None:
        query = query.where(jobs.c.after == after)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [Waiting(job_id, awaited, None if phase is None else Phase(phase)) for job_id, awaited, phase in rows]


def held_back(engine: sa.Engine, ids: Sequence[str]) -> dict[str, str]:
    """Of the PENDING jobs of these ids, those whose job before them has not ended, with the id of that one."""
    before = jobs.alias("before")
    query = sa.select(jobs.c.id, before.c.id).select_from(jobs.join(before, before.c.id == jobs.c.after))
    unfinished = before.c.phase.not_in([phase.value for phase in ENDED])
    query = query.where(jobs.c.id.in_(ids), jobs.c.phase == Phase.PENDING.value, unfinished)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def reruns_of(engine: sa.Engine, job_id: str) -> Sequence[str]:
    """Ids of the jobs that run a job again, newest first."""
    query = sa.select(jobs.c.id).where(jobs.c.parent == job_id).order_by(jobs.c.created.desc()).limit(_MOST)
    with engine.connect() as connection:
        return connection.execute(query).scalars().all()


def followers_of(engine: sa.Engine, job_id: str) -> Sequence[str]:
    """Ids of the jobs that wait, or waited, for a job."""
    query = sa.select(jobs.c.id).where(jobs.c.after == job_id).order_by(jobs.c.created).limit(_MOST)
    with engine.connect() as connection:
        return connection.execute(query).scalars().all()


def results_with(engine: sa.Engine, sha256: str) -> list[tuple[str, str]]:
    """Job id and place (below the job's folder) of the results that hold these bytes."""
    query = sa.select(results.c.job_id, results.c.file).where(results.c.sha256 == sha256).limit(_MOST)
    with engine.connect() as connection:
        return [(job_id, file) for job_id, file in connection.execute(query)]
