"""How long the last jobs of each revision of a definition ran, kept in one row that their ends bring up to date.

Imports the tables and the jobs' values.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timedelta

import sqlalchemy as sa

from uws_server.jobs.estimates import MOST_SAMPLES, Sample, expected_seconds
from uws_server.storage.database import reading
from uws_server.storage.tables import UTCTime, durations, jobs

_OFTEN = timedelta(seconds=10)
"""How often the row of a definition is written once it is full: of a hundred jobs a second one tells enough."""
_INSERT = sa.text(
    "INSERT INTO durations (definition, revision, updated, samples) "
    "VALUES (:definition, :revision, :updated, :samples) ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("updated", type_=UTCTime))
# built once, because each end of a job asks: to build such a statement takes longer than to execute it
_OF_JOB = (
    sa.select(
        jobs.c.definition, jobs.c.revision, jobs.c.started, jobs.c.stood_still, jobs.c.input_size, jobs.c.trial,
        durations.c.samples, durations.c.updated,
    )
    .select_from(
        jobs.outerjoin(
            durations, sa.and_(durations.c.definition == jobs.c.definition, durations.c.revision == jobs.c.revision)
        )
    )
    .where(jobs.c.id == sa.bindparam("wanted"))
)  # fmt: skip
_KEPT_S = 10.0
_MOST_KEPT = 1000


class DurationStore:
    """The past durations in a database, of which this process remembers those it read in the last ten seconds."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)
        self._kept: dict[tuple[str, str], tuple[float, list[Sample]]] = {}
        self._lock = threading.Lock()

    def expected(self, definition: str, revision: str, size: int) -> float | None:
        """Return the seconds that a job with so many bytes of input is expected to run; None where nobody knows.

        For a revision of which no job has ended yet those of the one before are taken.
        """
        return expected_seconds(self._samples(definition, revision), size)

    def _samples(self, definition: str, revision: str) -> list[Sample]:
        now = time.monotonic()
        with self._lock:
            since, found = self._kept.get((definition, revision), (-_KEPT_S, []))
        if now - since < _KEPT_S:
            return found
        with self._reading.connect() as connection:
            query = sa.select(durations.c.samples).where(durations.c.definition == definition)
            query = query.order_by((durations.c.revision == revision).desc(), durations.c.updated.desc()).limit(1)
            found = _read(connection.execute(query).scalar())
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[definition, revision] = now, found
        return found


def record(connection: sa.Connection, job_id: str, ended: datetime) -> None:
    """Add to the past durations a job that was COMPLETED, in the transaction that ends it; trials do not count."""
    row = connection.execute(_OF_JOB, {"wanted": job_id}).one_or_none()
    if row is None or row.started is None or row.trial:
        return
    samples = _read(row.samples)
    if len(samples) >= MOST_SAMPLES and row.updated <= ended < row.updated + _OFTEN:
        return
    seconds = (ended - row.started - timedelta(microseconds=row.stood_still)).total_seconds()
    samples = [*samples, Sample(round(max(0.0, seconds), 3), row.input_size)][-MOST_SAMPLES:]
    values = {"samples": json.dumps(samples), "updated": ended}
    key = {"definition": row.definition, "revision": row.revision}
    if row.samples is not None:
        connection.execute(durations.update().filter_by(**key).values(values))
    else:  # another server may add the first one at the same moment
        connection.execute(_INSERT, key | values)


def _read(text: str | None) -> list[Sample]:
    return [Sample(*each) for each in json.loads(text)] if text else []
