"""The statements that change the phase of a job: a compare-and-set each, announced where it was made.

Imports the tables.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import utcnow
from uws_server.jobs.phases import Phase, may
from uws_server.storage import changes
from uws_server.storage.tables import ON_CLUSTER, QUEUED, jobs, microseconds_of

_JOB = sa.bindparam("of_job", type_=sa.String)
_SERVER = sa.bindparam("of_server", type_=sa.String)
_NOW, _BEGUN = sa.bindparam("at", type_=sa.BigInteger), sa.bindparam("begun", type_=sa.BigInteger)
_NEW = "new_"
"""What the names of parameters begin with that have the new value of a column."""


class Guard(Enum):
    """Which jobs a change is for: those that no cluster has, those that no other server has, those that nobody has."""

    OFF_CLUSTER = auto()
    OWN = auto()
    IN_QUEUE = auto()


def phase_change(job_id: str | sa.BindParameter[Any], before: Iterable[Phase], after: Phase) -> sa.Update:
    """Return the statement that changes the phase, from those of `before` from which that is legal."""
    legal = [phase.value for phase in before if may(phase, after)]
    return jobs.update().where(jobs.c.id == job_id, jobs.c.phase.in_(legal)).values(phase=after.value)


def change_phase(
    connection: sa.Connection,
    server: str,
    job_id: str,
    before: Iterable[Phase],
    after: Phase,
    guard: Guard,
    columns: Mapping[str, Any],
) -> bool:
    """Change the phase of a job, and columns with it, by a server; announce it and return True if that was possible.

    Of one that is taken out of the queue the quote follows, from when it is `started`.
    The statement is built once for all jobs: to build it takes longer than to execute it.
    """
    statement = _changing(frozenset(before), after, guard, frozenset(columns))
    values = {"of_job": job_id, **{f"{_NEW}{name}": value for name, value in columns.items()}}
    if after in (Phase.SUSPENDED, Phase.EXECUTING):
        values["at"] = microseconds_of(utcnow())
    if guard is Guard.IN_QUEUE:
        values["begun"] = microseconds_of(columns["started"])
    if guard is Guard.OWN:
        values["of_server"] = server
    if connection.execute(statement, values).rowcount != 1:
        return False
    changes.announce(connection, server, job_id, after)
    return True


@functools.cache
def _changing(before: frozenset[Phase], after: Phase, guard: Guard, names: frozenset[str]) -> sa.Update:
    """Return the statement for a job, whose parameters are those of `change_phase`."""
    guards = {
        Guard.OFF_CLUSTER: ~ON_CLUSTER,
        Guard.OWN: sa.or_(jobs.c.server.is_(None), jobs.c.server == _SERVER),
        Guard.IN_QUEUE: QUEUED,
    }
    new = {name: sa.bindparam(f"{_NEW}{name}", type_=jobs.c[name].type) for name in names}
    statement = phase_change(_JOB, before, after).where(guards[guard]).values(**new)
    if guard is Guard.IN_QUEUE:
        statement = statement.values(quote=quote_from(_BEGUN))
    return statement.values(standing_still(after, _NOW))


def standing_still(after: Phase, now: sa.ColumnElement[Any] | None = None) -> dict[str, Any]:
    """Return the columns that say how long a job stands still, as they are once it goes to that phase.

    `now` are the microseconds since 1970; None for those of this moment.
    """
    now = sa.literal(microseconds_of(utcnow()), sa.BigInteger) if now is None else now
    since = sa.type_coerce(jobs.c.suspended, sa.BigInteger)
    if after is Phase.SUSPENDED:
        return {"suspended": sa.func.coalesce(since, now), "resume_asked": None}
    if after is Phase.EXECUTING:
        still = sa.func.coalesce(now - since, 0)
        return {"suspended": None, "resume_asked": None, "stood_still": jobs.c.stood_still + still}
    if after is Phase.QUEUED:
        return {"suspended": None, "resume_asked": None, "stood_still": 0}
    return {}


def quote_from(started: datetime | sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
    """Return when a job that begins then is expected to end; what was said before where nobody knows."""
    begin = microseconds_of(started) if isinstance(started, datetime) else started
    end = begin + jobs.c.expected_s * sa.literal(1_000_000, sa.BigInteger)
    return sa.func.coalesce(end, sa.type_coerce(jobs.c.quote, sa.BigInteger))


def execute(connection: sa.Connection, statement: sa.UpdateBase, server: str, job_id: str, what: str) -> bool:
    """Execute a change of one job by a server; if it was possible, announce it to the others and return True."""
    if connection.execute(statement).rowcount != 1:
        return False
    changes.announce(connection, server, job_id, what)
    return True
