"""The jobs in the database: the one place where a job's phase changes. Imports the jobs' values and the tables.

Every change of phase is a compare-and-set, so two processes (or two threads) can never both win.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.errors import NotFound
from uws_server.jobs.job import Filter, Job, JobError, Result
from uws_server.jobs.phases import ENDED, Phase, may
from uws_server.storage.tables import dump_parameters, job_row, jobs, metadata, read_job, read_result, results


class JobStore:
    """All jobs of a server, in SQLite or PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        metadata.create_all(self.engine)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def add(self, job: Job) -> None:
        """Keep a new job, which must be PENDING."""
        with self.engine.begin() as connection:
            connection.execute(jobs.insert().values(job_row(job)))

    def get(self, job_id: str) -> Job:
        """The job with that id; NotFound if there is none."""
        with self.engine.connect() as connection:
            row = connection.execute(jobs.select().where(jobs.c.id == job_id)).one_or_none()
            if row is None:
                raise NotFound(f"no job {job_id[:40]!r}")
            return read_job(row, self._results(connection, row))

    def select(self, wanted: Filter) -> list[Job]:
        """The jobs that a filter lets through, newest first; without their results."""
        query = jobs.select().order_by(jobs.c.created.desc(), jobs.c.id)
        if wanted.definition is not None:
            query = query.where(jobs.c.definition == wanted.definition)
        if wanted.phases:
            query = query.where(jobs.c.phase.in_([phase.value for phase in wanted.phases]))
        else:
            query = query.where(jobs.c.phase != Phase.ARCHIVED.value)
        if wanted.after is not None:
            # clients know creation times to the millisecond: a job is not after the time that its own document shows
            after = wanted.after.replace(microsecond=wanted.after.microsecond // 1000 * 1000)
            query = query.where(jobs.c.created >= after + timedelta(milliseconds=1))
        if wanted.last is not None:
            query = query.limit(wanted.last)
        with self.engine.connect() as connection:
            return [read_job(row, []) for row in connection.execute(query)]

    def in_phase(self, phase: Phase) -> Sequence[str]:
        """Ids of the jobs in a phase, longest queued first."""
        query = sa.select(jobs.c.id).where(jobs.c.phase == phase.value).order_by(jobs.c.queued, jobs.c.created)
        with self.engine.connect() as connection:
            return connection.execute(query).scalars().all()

    def move(self, job_id: str, before: Iterable[Phase], after: Phase, **changes: Any) -> bool:
        """Set the phase to `after` if it is one of `before` and the step is legal; say whether it happened.

        `changes` are columns set in the same statement (such as `started`).
        """
        legal = [phase.value for phase in before if may(phase, after)]
        statement = jobs.update().where(jobs.c.id == job_id, jobs.c.phase.in_(legal))
        with self.engine.begin() as connection:
            return connection.execute(statement.values(phase=after.value, **changes)).rowcount == 1

    def end(self, job_id: str, after: Phase, ended: datetime, error: JobError | None, found: Sequence[Result]) -> bool:
        """Bring a job to its end with its results, in one transaction; say whether it happened."""
        legal = [phase.value for phase in Phase if phase not in ENDED and may(phase, after)]
        statement = jobs.update().where(jobs.c.id == job_id, jobs.c.phase.in_(legal))
        changes: dict[str, Any] = {"phase": after.value, "ended": ended}
        if error is not None:
            changes |= {"error": error.message, "error_fatal": error.fatal}
        with self.engine.begin() as connection:
            if connection.execute(statement.values(changes)).rowcount != 1:
                return False
            if found:
                connection.execute(results.insert(), [_result_row(job_id, i, item) for i, item in enumerate(found)])
            return True

    def update_pending(self, before: Job, after: Job) -> bool:
        """Replace the parameters of a job that is still PENDING and as it was `before`; say whether it was."""
        unchanged = jobs.c.parameters == dump_parameters(before)
        statement = jobs.update().where(jobs.c.id == before.id, jobs.c.phase == Phase.PENDING.value, unchanged)
        with self.engine.begin() as connection:
            return connection.execute(statement.values(parameters=dump_parameters(after))).rowcount == 1

    def change(self, job_id: str, **changes: Any) -> None:
        """Set columns that no phase depends on (destruction, execution_duration)."""
        with self.engine.begin() as connection:
            if connection.execute(jobs.update().where(jobs.c.id == job_id).values(**changes)).rowcount != 1:
                raise NotFound(f"no job {job_id[:40]!r}")

    def delete(self, job_id: str) -> None:
        """Forget a job."""
        with self.engine.begin() as connection:
            connection.execute(results.delete().where(results.c.job_id == job_id))
            connection.execute(jobs.delete().where(jobs.c.id == job_id))

    def expired(self, now: datetime) -> Sequence[str]:
        """Ids of the jobs whose destruction time has passed."""
        query = sa.select(jobs.c.id).where(jobs.c.destruction <= now, jobs.c.phase != Phase.ARCHIVED.value)
        with self.engine.connect() as connection:
            return connection.execute(query).scalars().all()

    def result(self, result_id: str) -> tuple[str, Result]:
        """The job's id and the result of a result id; NotFound if there is none."""
        with self.engine.connect() as connection:
            row = connection.execute(results.select().where(results.c.id == result_id)).one_or_none()
        if row is None:
            raise NotFound(f"no result {result_id[:40]!r}")
        return row.job_id, read_result(row)

    def ids(self) -> set[str]:
        """Ids of all jobs (to find folders that belong to none)."""
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(jobs.c.id)).scalars())

    def _results(self, connection: sa.Connection, row: sa.Row[Any]) -> list[sa.Row[Any]]:
        if Phase(row.phase) not in ENDED:
            return []
        query = results.select().where(results.c.job_id == row.id).order_by(results.c.position)
        return list(connection.execute(query))


def _result_row(job_id: str, position: int, result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "job_id": job_id,
        "position": position,
        "name": result.name,
        "file": result.file,
        "mime": result.mime,
        "size": result.size,
        "sha256": result.sha256,
        "description": result.description,
    }


def _engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # WAL lets readers go on while one writes; NORMAL loses nothing that was committed when a process is
        # killed (only a power cut can cost the last commits).
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine
