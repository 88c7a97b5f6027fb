"""Counts over all jobs for what watches a server, from indexes: none of them walks over the jobs that have ended.

Imports the tables.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.phases import Phase
from uws_server.storage.database import reading
from uws_server.storage.tables import BUSY, jobs, servers, stored


class ActiveJobs(NamedTuple):
    """How many jobs of a definition wait or run, in one phase."""

    definition: str
    phase: Phase
    number: int


class DiskUse(NamedTuple):
    """How many bytes the jobs of an owner hold on disk; '' for nobody."""

    owner: str
    bytes: int


class Waiting(NamedTuple):
    """A job in the queue; `owner` is '' for nobody."""

    id: str
    definition: str
    owner: str
    queued: datetime | None


class Counts:
    """What there is to count in the database of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)

    def require_answer(self) -> None:
        """Read one row. Raise what the database raises if it does not answer."""
        with self._reading.connect() as connection:
            connection.execute(sa.select(servers.c.id).limit(1)).all()

    def active(self) -> list[ActiveJobs]:
        """Return the jobs that wait or run, by definition and phase."""
        query = sa.select(jobs.c.definition, jobs.c.phase, sa.func.count()).where(BUSY)
        with self._reading.connect() as connection:
            rows = connection.execute(query.group_by(jobs.c.definition, jobs.c.phase)).all()
        return [ActiveJobs(definition, Phase(phase), count) for definition, phase, count in rows]

    def waiting(self, ids: Collection[str]) -> list[Waiting]:
        """Return those of some jobs (a few hundred) that wait in the queue, longest first."""
        query = sa.select(jobs.c.id, jobs.c.definition, jobs.c.owner, jobs.c.queued)
        query = query.where(jobs.c.id.in_(ids), jobs.c.phase == Phase.QUEUED.value)
        with self._reading.connect() as connection:
            return [Waiting(*row) for row in connection.execute(query.order_by(jobs.c.queued, jobs.c.id))]

    def disk(self, most: int) -> list[DiskUse]:
        """Return the owners whose jobs hold the most bytes on disk, the most first."""
        query = sa.select(stored.c.owner, stored.c.bytes).where(stored.c.bytes > 0)
        with self._reading.connect() as connection:
            rows = connection.execute(query.order_by(stored.c.bytes.desc(), stored.c.owner).limit(most)).all()
        return [DiskUse(owner, count) for owner, count in rows]
