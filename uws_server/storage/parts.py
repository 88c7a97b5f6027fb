"""The parts of jobs in the database: one row a part, written when the job ends. Imports the tables."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from uws_server.jobs.part import Part
from uws_server.jobs.phases import Phase
from uws_server.storage.database import reading
from uws_server.storage.tables import parts

_FAILED = parts.c.phase != sa.literal_column(f"'{Phase.COMPLETED}'")


def record(connection: sa.Connection, job_id: str, ended: Sequence[Part]) -> None:
    """Store the parts of a job that ends, in the transaction that ends it."""
    if ended:
        connection.execute(
            parts.insert(),
            [
                {
                    "job_id": job_id,
                    "number": part.number,
                    "text": part.text,
                    "phase": part.phase.value,
                    "started": part.started,
                    "ended": part.ended,
                    "sentence": part.sentence,
                    "stage": part.stage,
                }
                for part in ended
            ],
        )


class PartStore:
    """The parts of jobs that have ended."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)

    def page(self, job_id: str, first: int, most: int) -> list[Part]:
        """Return at most so many parts of a job from number `first` (from 0) on; those that failed come first."""
        query = parts.select().where(parts.c.job_id == job_id).order_by(sa.case((_FAILED, 0), else_=1), parts.c.number)
        with self._reading.connect() as connection:
            return [_read(row) for row in connection.execute(query.limit(most).offset(first))]

    def failed(self, job_id: str) -> list[Part]:
        """Return the parts of a job that are not COMPLETED, by number."""
        query = parts.select().where(parts.c.job_id == job_id, _FAILED).order_by(parts.c.number)
        with self._reading.connect() as connection:
            return [_read(row) for row in connection.execute(query)]

    def one(self, job_id: str, number: int) -> Part | None:
        """Return a part of a job; None if it has none of that number."""
        query = parts.select().where(parts.c.job_id == job_id, parts.c.number == number)
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _read(row)


def _read(row: sa.Row[tuple[object, ...]]) -> Part:
    return Part(row.number, row.text, Phase(row.phase), row.started, row.ended, row.sentence, row.stage)
