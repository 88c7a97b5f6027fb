"""Gives jobs that nobody owns to an account, within what that may have. Imports the jobs' values and the tables."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.phases import ACTIVE
from uws_server.storage import changes, tap_rows
from uws_server.storage.locks import alone, of_owner
from uws_server.storage.tables import BUSY, jobs, stored


class Outcome(StrEnum):
    """What came of giving a job to an account: it has it; its limit of bytes, or of active jobs; nobody's no more."""

    TAKEN = "taken"
    FULL = "full"
    BUSY = "busy"
    GONE = "gone"


class Most(NamedTuple):
    """What an account may have: active jobs, and bytes on disk; 0 for any number."""

    active: int
    bytes: int


class Ownership:
    """Changes whose a job is, in a database; `server` is the id of this process among those that share it."""

    def __init__(self, engine: sa.Engine, server: str) -> None:
        self._engine, self._server = engine, server

    def take(self, job_id: str, owner: str, most: Most) -> Outcome:
        """Give a job of nobody to an account, with the bytes that it holds."""
        columns = jobs.c.phase, jobs.c.size
        with alone(self._engine, of_owner(owner)) as connection:
            query = sa.select(*columns).where(jobs.c.id == job_id, jobs.c.owner == "").with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                return Outcome.GONE
            if most.bytes and _held(connection, owner) + row.size > most.bytes:
                return Outcome.FULL
            if most.active and row.phase in ACTIVE and _active(connection, owner) >= most.active:
                return Outcome.BUSY
            this = jobs.update().where(jobs.c.id == job_id)
            connection.execute(this.values(size=0))  # a trigger takes its bytes from nobody
            connection.execute(this.values(owner=owner, size=row.size))  # and gives them to the account
            tap_rows.give(connection, job_id, owner)
            changes.announce(connection, self._server, job_id, row.phase)
            return Outcome.TAKEN


def _held(connection: sa.Connection, owner: str) -> int:
    return connection.execute(sa.select(stored.c.bytes).where(stored.c.owner == owner)).scalar() or 0


def _active(connection: sa.Connection, owner: str) -> int:
    query = sa.select(sa.func.count()).select_from(jobs).where(BUSY, jobs.c.owner == owner)
    return connection.execute(query).scalar_one()
