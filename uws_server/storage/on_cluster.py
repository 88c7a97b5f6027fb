"""The jobs that wait on a cluster: QUEUED, because they have no node yet, and a server's own. Imports the tables.

No other server takes such a job, and no request changes its phase: the server that gave it to the cluster does.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from uws_server.jobs.phases import Phase
from uws_server.storage.database import reading
from uws_server.storage.tables import ON_CLUSTER, QUEUED, jobs
from uws_server.storage.transitions import execute, phase_change, quote_from, standing_still


class OnCluster:
    """The jobs on a cluster, in the database, as the process `server` sees them."""

    def __init__(self, engine: sa.Engine, server: str) -> None:
        self._engine, self._server, self._reading = engine, server, reading(engine)

    def take(self, connection: sa.Connection, job_id: str) -> bool:
        """Take a QUEUED job for this process. Return False if it was held, aborted or deleted meanwhile.

        However many parts it has, it takes one place here: the cluster says how many of them run.
        """
        statement = jobs.update().where(jobs.c.id == job_id, QUEUED)
        statement = statement.values(server=self._server, width=1, wanted=0)
        return connection.execute(statement).rowcount == 1

    def begin(self, job_id: str, started: datetime) -> bool:
        """Set that a job of this process has begun. Return False if that was set before."""
        statement = phase_change(job_id, [Phase.QUEUED], Phase.EXECUTING).where(jobs.c.server == self._server)
        statement = statement.values(started=started, quote=quote_from(started), **standing_still(Phase.EXECUTING))
        with self._engine.begin() as connection:
            return execute(connection, statement, self._server, job_id, Phase.EXECUTING)

    def give_back(self, job_id: str) -> bool:
        """Put a job of this process that was not submitted back into the queue. Return False if it is none."""
        statement = jobs.update().where(jobs.c.id == job_id, ON_CLUSTER, jobs.c.server == self._server)
        with self._engine.begin() as connection:
            return execute(connection, statement.values(server=None), self._server, job_id, Phase.QUEUED)

    def waits(self, job_id: str) -> bool:
        """Return whether a job waits on a cluster."""
        with self._reading.connect() as connection:
            return bool(connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id, ON_CLUSTER)).first())
