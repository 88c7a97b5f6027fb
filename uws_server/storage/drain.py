"""Whether the queue is drained: while it is, no server on the database starts a job. Imports the tables."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.phases import Phase
from uws_server.storage import changes
from uws_server.storage.database import reading
from uws_server.storage.tables import drain

_ROW = 1


class Drain(NamedTuple):
    """Who drains the queue, since when, and why ('' for no reason given)."""

    since: datetime
    who: str
    why: str

    def sentence(self) -> str:
        """Return what those who wait for a job need to know."""
        reason = f": {self.why}" if self.why else ""
        return f"jobs are taken, and wait: none is started since {self.since:%Y-%m-%d %H:%M} UTC{reason}"


class DrainStore:
    """Reads and writes the one row of the table `drain`; `server` is the id of this process."""

    def __init__(self, engine: sa.Engine, server: str) -> None:
        self._engine, self._server, self._reading = engine, server, reading(engine)

    def now(self) -> Drain | None:
        """Return who drains the queue; None if nobody does."""
        with self._reading.connect() as connection:
            row = connection.execute(sa.select(drain.c.since, drain.c.who, drain.c.why)).one_or_none()
        return Drain(*row) if row else None

    def begin(self, note: Drain) -> None:
        """Let no job start from now on; who drains the queue last is the one that is named."""
        with self._engine.begin() as connection:
            connection.execute(drain.delete())
            connection.execute(drain.insert().values(id=_ROW, since=note.since, who=note.who, why=note.why))

    def end(self) -> bool:
        """Let jobs start again, and wake the servers. Return False if the queue was not drained."""
        with self._engine.begin() as connection:
            was = bool(connection.execute(drain.delete()).rowcount)
            changes.announce(connection, self._server, "", Phase.QUEUED)
        return was
