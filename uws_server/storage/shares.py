"""How many places the jobs of several parts have that run: kept in the database, where every server counts them.

Imports the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.phases import Phase
from uws_server.storage import changes
from uws_server.storage.database import reading
from uws_server.storage.tables import HAS_PARTS, TAKEN, jobs


class Share(NamedTuple):
    """The places of a job: `width` parts of it may run at a time, `wanted` could."""

    id: str
    width: int
    wanted: int


class Demand(NamedTuple):
    """What a process finds to do in the queue: whether jobs wait, and whether it runs jobs of several parts."""

    waits: bool
    shares: bool


class ShareStore:
    """The places of jobs of several parts, as the process `server` sees them."""

    def __init__(self, engine: sa.Engine, server: str) -> None:
        self._engine, self._server, self._reading = engine, server, reading(engine)
        self.is_ours = sa.and_(jobs.c.phase == Phase.EXECUTING.value, jobs.c.server == server, HAS_PARTS)
        """Condition, beside TAKEN: this process runs the job and says how many of its parts may run."""

    def all(self) -> list[Share]:
        """Return the shares of the jobs that this process runs."""
        query = sa.select(jobs.c.id, jobs.c.width, jobs.c.wanted).where(TAKEN, self.is_ours)
        with self._reading.connect() as connection:
            return [Share(*row) for row in connection.execute(query)]

    def grow(self, connection: sa.Connection, job_id: str, places: int) -> bool:
        """Give a job of this process more places. Return False if it does not run any more."""
        statement = jobs.update().where(jobs.c.id == job_id, self.is_ours).values(width=jobs.c.width + places)
        return connection.execute(statement).rowcount == 1

    def settle(self, share: Share) -> None:
        """Set what a job has and wants, which it said itself; what it has no more of, others may use."""
        statement = jobs.update().where(jobs.c.id == share.id, self.is_ours, jobs.c.width >= share.width)
        with self._engine.begin() as connection:
            if connection.execute(statement.values(width=share.width, wanted=share.wanted)).rowcount:
                changes.announce(connection, self._server, "", Phase.QUEUED)
