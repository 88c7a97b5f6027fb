"""The statements that change the phase of a job: a compare-and-set each, announced where it was made.

Imports the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import EPOCH, utcnow
from uws_server.jobs.phases import Phase, may
from uws_server.storage import changes
from uws_server.storage.tables import jobs, microseconds_of


def phase_change(job_id: str, before: Iterable[Phase], after: Phase) -> sa.Update:
    """Return the statement that changes the phase, from those of `before` from which that is legal."""
    legal = [phase.value for phase in before if may(phase, after)]
    return jobs.update().where(jobs.c.id == job_id, jobs.c.phase.in_(legal)).values(phase=after.value)


def standing_still(after: Phase) -> dict[str, Any]:
    """Return the columns that say how long a job stands still, as they are once it goes to that phase."""
    now = sa.literal((utcnow() - EPOCH) // timedelta(microseconds=1), sa.BigInteger)
    since = sa.type_coerce(jobs.c.suspended, sa.BigInteger)
    if after is Phase.SUSPENDED:
        return {"suspended": sa.func.coalesce(since, now), "resume_asked": None}
    if after is Phase.EXECUTING:
        still = sa.func.coalesce(now - since, 0)
        return {"suspended": None, "resume_asked": None, "stood_still": jobs.c.stood_still + still}
    if after is Phase.QUEUED:
        return {"suspended": None, "resume_asked": None, "stood_still": 0}
    return {}


def quote_from(started: datetime) -> sa.ColumnElement[Any]:
    """Return when a job that begins then is expected to end; what was said before where nobody knows."""
    end = microseconds_of(started) + jobs.c.expected_s * sa.literal(1_000_000, sa.BigInteger)
    return sa.func.coalesce(end, sa.type_coerce(jobs.c.quote, sa.BigInteger))


def execute(connection: sa.Connection, statement: sa.UpdateBase, server: str, job_id: str, what: str) -> bool:
    """Execute a change of one job by a server; if it was possible, announce it to the others and return True."""
    if connection.execute(statement).rowcount != 1:
        return False
    changes.announce(connection, server, job_id, what)
    return True
