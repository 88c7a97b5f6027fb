"""The jobs in the database: only here does a job's phase change. Imports the jobs' values and the tables.

Every change of phase is a compare-and-set, so two processes (or two threads) can never both win; it is announced to the
other processes.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict, Unpack, cast

import sqlalchemy as sa

from uws_server.errors import NotFound
from uws_server.jobs.job import Filter, Job, JobError, JobReference, JobSummary, Result, Usage, new_id
from uws_server.jobs.part import Part
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage import changes, durations, migrate, parts, tap_rows, uses
from uws_server.storage.database import Look, Reader, engine_for, reading
from uws_server.storage.grouped import Adding, GroupedInsert
from uws_server.storage.lists import ListReader
from uws_server.storage.locks import alone, of_owner
from uws_server.storage.on_cluster import OnCluster
from uws_server.storage.parts import PartStore
from uws_server.storage.queue import QueueStore
from uws_server.storage.results import ResultReader
from uws_server.storage.rows import (
    ADDED,
    REFERENCE,
    SUMMARY,
    PhaseColumns,
    dump_parameters,
    job_row,
    read_job,
    read_result,
    read_summary,
    result_row,
    search_key,
)
from uws_server.storage.searches import Searches
from uws_server.storage.tables import BUSY, LISTED, ON_CLUSTER, TAKEN, jobs, results, stored
from uws_server.storage.transitions import Guard, change_phase, execute, phase_change

_ID = re.compile(r"[0-9a-f]{32}")
_IS_TAKEN = sa.or_(TAKEN, ON_CLUSTER)
"""Condition: a server has taken the job, and it runs, or waits on a cluster."""
_NOT_ENDED = frozenset(Phase) - ENDED
# built once: to build such a statement takes as long as to execute it
_JOB = jobs.select().where(jobs.c.id == sa.bindparam("wanted"))
_ASKED = sa.select(jobs.c.abort_asked, jobs.c.suspended.is_not(None)).where(jobs.c.id == sa.bindparam("wanted"))


class Run(NamedTuple):
    """A job that a server has taken, and the id of that server; None if that is not known."""

    job_id: str
    phase: Phase
    server: str | None


class Updated(NamedTuple):
    """Whether a job was changed, and the bytes that its owner held before."""

    done: bool
    held: int


class Asked(NamedTuple):
    """What was asked of the supervisor of a job: to end it, to let it stand still."""

    abort: bool
    suspend: bool


class Ending(NamedTuple):
    """How the script of a job ended beside its phase: what its exit status stands for, what it used, and its parts."""

    warning: str = ""
    usage: Usage | None = None
    parts: tuple[Part, ...] = ()

    def columns(self) -> dict[str, Any]:
        """Return the columns of what is known."""
        told: dict[str, Any] = {"warning": self.warning} if self.warning else {}
        if self.parts:
            failed = sum(part.phase is not Phase.COMPLETED for part in self.parts)
            told |= {"parts": len(self.parts), "parts_failed": failed}
        return told | ({"cpu_s": self.usage.cpu_s, "memory": self.usage.memory} if self.usage else {})


class JobColumns(TypedDict, total=False):
    """Columns of a job that no phase depends on; the type checker finds a misspelt one."""

    execution_duration: int
    destruction: datetime
    share: str | None
    size: int
    forgotten: bool
    short: bool
    run_id: str | None
    run_key: str


class JobStore:
    """All jobs of a server, in SQLite or PostgreSQL. `server` is the id of this process among those that share them."""

    def __init__(self, url: str) -> None:
        self.server = new_id()
        self.engine = engine_for(url)
        try:
            migrate.require_current(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        reader = Reader(self.engine)
        self.queue = QueueStore(self.engine, self.server, os.uname().nodename, reader)
        self.on_cluster = OnCluster(self.engine, self.server)
        self._reading = reading(self.engine)
        self.parts = PartStore(self.engine)
        self._added = GroupedInsert(self.engine, jobs, ADDED, changes.notice(self.engine.dialect))
        self._asked = Look(reader, _ASKED)
        self._read_by(reader)

    def _read_by(self, reader: Reader) -> None:
        """Look jobs and results up by a reader."""
        self.reader, self.results, self._job = reader, ResultReader(reader), Look(reader, _JOB)
        turn = threading.Lock()
        self._summaries = ListReader(reader, SUMMARY, turn)
        self._references = ListReader(reader, REFERENCE, turn)
        self._searches = Searches(self._reading, self._summaries)

    def close(self) -> None:
        """Close every connection."""
        self.reader.close()
        self._added.close()
        self.engine.dispose()

    # --- one job ---------------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """Store a new job, which is PENDING, or QUEUED where it is run at once."""
        notice = changes.values_of_notice(self.server, job.id, job.phase) if job.phase is Phase.QUEUED else None
        self._added.add(job_row(job), notice)

    def begin_adding(self, job: Job) -> Adding:
        """Have a new job stored that is PENDING, and return what tells when it is committed."""
        return self._added.begin(job_row(job))

    def add_within(self, job: Job, most: int) -> int | None:
        """Store a new job if its owner then holds at most so many bytes; else return how many there are."""
        with alone(self.engine, of_owner(job.owner)) as connection:
            held = _held_by(connection, job.owner)
            if held + job.size > most:
                return held
            connection.execute(jobs.insert().values(job_row(job)))
            if job.phase is Phase.QUEUED:
                changes.announce(connection, self.server, job.id, job.phase)
            return None

    def get(self, job_id: str) -> Job:
        """Return the job with that id. Raise NotFound if there is none."""
        job = self.bare(job_id)
        found = self.results.all(job) if job.phase in ENDED else ()
        return replace(job, results=found) if found else job

    def bare(self, job_id: str) -> Job:
        """Return the job with that id without its results, however many they are. Raise NotFound if there is none."""
        _require_id("job", job_id)
        row = next(iter(self._job.rows(wanted=job_id)), None)
        if row is None:
            raise not_found("job", job_id)
        return read_job(row)

    def move(self, job_id: str, before: Iterable[Phase], after: Phase, **columns: Unpack[PhaseColumns]) -> bool:
        """Set the phase to `after` if it is one of `before` and the step is legal; return whether it was set.

        `columns` are set in the same statement (such as `started`). A job that waits on a cluster is left alone.
        """
        with self.engine.begin() as connection:
            return change_phase(connection, self.server, job_id, before, after, Guard.OFF_CLUSTER, columns)

    def give_back(self, job_id: str) -> None:
        """Put a job back into the queue that this process may have taken without knowing it."""
        statement = phase_change(job_id, [Phase.EXECUTING], Phase.QUEUED).where(jobs.c.server == self.server)
        with self.engine.begin() as connection:
            connection.execute(statement.values(started=None, server=None))

    def take_over(self, job_id: str, server: str | None) -> bool:
        """Take over a job from another server process. Return False if that process no longer owns it."""
        theirs = jobs.c.server.is_(None) if server is None else jobs.c.server == server
        with self.engine.begin() as connection:
            statement = jobs.update().where(jobs.c.id == job_id, theirs, _IS_TAKEN).values(server=self.server)
            return connection.execute(statement).rowcount == 1

    def end(
        self,
        job_id: str,
        after: Phase,
        ended: datetime,
        error: JobError | None,
        found: Sequence[Result],
        size: int = 0,
        used: Sequence[uses.Use] = (),
        ending: Ending | None = None,
    ) -> bool:
        """Bring a job that no other process runs to its end, in one transaction. Return False if it had ended before.

        `found` are its results, `size` is what it holds on disk, in bytes, `used` the files it was given, `ending` how
        its script ended.
        """
        columns: dict[str, Any] = {"ended": ended, "size": size}
        if error is not None:
            columns |= {"error": error.message, "error_fatal": error.fatal}
        if ending is not None:
            columns |= ending.columns()
        with self.engine.begin() as connection:
            if not change_phase(connection, self.server, job_id, _NOT_ENDED, after, Guard.OWN, columns):
                return False
            if found:
                connection.execute(results.insert(), [result_row(job_id, i, item) for i, item in enumerate(found)])
            uses.record(connection, job_id, used)
            if ending is not None:
                parts.record(connection, job_id, ending.parts)
            if after is Phase.COMPLETED:
                durations.record(connection, job_id, ended)
            return True

    def archive(self, job_id: str) -> bool:
        """Keep only the record of an ended job; return False if it has not ended.

        The names and hashes of its results stay in the database for its provenance; the job no longer has them.
        """
        statement = phase_change(job_id, ENDED, Phase.ARCHIVED).values(size=0)
        with self.engine.begin() as connection:
            if not execute(connection, statement, self.server, job_id, Phase.ARCHIVED):
                return False
            tap_rows.forget_job(connection, job_id)
            return True

    def update_pending(self, before: Job, after: Job, coming: int, most: int) -> Updated:
        """Replace the parameters of a PENDING job that is still as it was `before`.

        `coming` bytes are added to what it holds; nothing is changed where its owner then held more than `most` (0: any
        number).
        """
        unchanged = jobs.c.parameters == dump_parameters(before)
        statement = jobs.update().where(jobs.c.id == before.id, jobs.c.phase == Phase.PENDING.value, unchanged)
        statement = statement.values(
            parameters=dump_parameters(after), size=jobs.c.size + coming, input_size=after.input_size,
            expected_s=after.expected_s, short=after.needs.short, wanted=after.needs.parts,
            target=after.target, target_key=search_key(after.target),
        )  # fmt: skip
        with alone(self.engine, of_owner(before.owner)) if most else self.engine.begin() as connection:
            held = _held_by(connection, before.owner) if most else 0
            if most and held + coming > most:
                return Updated(False, held)
            return Updated(connection.execute(statement).rowcount == 1, held)

    def change(self, job_id: str, **columns: Unpack[JobColumns]) -> None:
        """Set columns that no phase depends on. Raise NotFound if there is no job with that id."""
        _require_id("job", job_id)
        with self.engine.begin() as connection:
            if connection.execute(jobs.update().where(jobs.c.id == job_id).values(**columns)).rowcount != 1:
                raise not_found("job", job_id)

    def ask_abort(self, job_id: str) -> bool:
        """Note that a job which a server has taken is to be ended, and announce it. Return False if none has it."""
        statement = jobs.update().where(jobs.c.id == job_id, _IS_TAKEN).values(abort_asked=True)
        with self.engine.begin() as connection:
            return execute(connection, statement, self.server, job_id, changes.ABORT)

    def asked(self, job_id: str) -> Asked:
        """Return what was asked of a job; nothing where there is no such job."""
        row = next(iter(self._asked.rows(wanted=job_id)), None)
        return Asked(bool(row[0]), bool(row[1])) if row else Asked(abort=False, suspend=False)

    def seconds_run(self, job_id: str, now: datetime) -> float:
        """Return for how long a job has run, without the time for which it stood still; 0 where it did not start."""
        query = sa.select(jobs.c.started, jobs.c.suspended, jobs.c.stood_still).where(jobs.c.id == job_id)
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.started is None:
            return 0.0
        ran: timedelta = (row.suspended or now) - row.started - timedelta(microseconds=row.stood_still)
        return ran.total_seconds()

    def stand_still(self, job_id: str) -> None:
        """Let a job that an earlier version suspended stand still; since when it does, that version did not record.

        Its start is the only moment that is known: what the job may still run is rather too much than too little.
        """
        is_unknown = sa.and_(jobs.c.phase == Phase.SUSPENDED.value, jobs.c.suspended.is_(None))
        with self.engine.begin() as connection:
            connection.execute(jobs.update().where(jobs.c.id == job_id, is_unknown).values(suspended=jobs.c.started))

    def delete(self, job_id: str) -> None:
        """Delete a job and, by their foreign key, its results."""
        if _ID.fullmatch(job_id):
            with self.engine.begin() as connection:
                execute(connection, jobs.delete().where(jobs.c.id == job_id), self.server, job_id, changes.DELETED)

    def result(self, result_id: str) -> tuple[str, Result]:
        """Return the id of the job that made a result, and the result. Raise NotFound if there is none with that id."""
        _require_id("result", result_id)
        with self._reading.connect() as connection:
            query = results.select().join(jobs).where(results.c.id == result_id, LISTED)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise not_found("result", result_id)
        return row.job_id, read_result(row)

    # --- many jobs -------------------------------------------------------------------------------------

    def summaries(self, wanted: Filter) -> Iterator[JobSummary]:
        """Return the jobs that a filter lets through, in its order; no connection is held between two of them."""
        return self._searches.jobs(wanted) if wanted.is_search else map(read_summary, self._summaries.rows(wanted))

    def count_to(self, wanted: Filter, most: int) -> int:
        """Return how many jobs a filter lets through; `most` if there are more."""
        return (self._searches if wanted.is_search else self._summaries).count_to(wanted, most)

    def references(self, wanted: Filter) -> Iterator[JobReference]:
        """Return what `summaries` does, with no more of each job than a list of UWS says, as the database has it."""
        return cast(Iterator[JobReference], self._references.rows(wanted))

    def some(self, ids: Collection[str], wanted: Filter) -> list[JobSummary]:
        """Return those jobs of some ids (a few hundred), owned by nobody, that a filter lets through, in its order."""
        return self._searches.among(ids, wanted)

    def taken(self) -> list[Run]:
        """Return the jobs that servers run."""
        query = sa.select(jobs.c.id, jobs.c.phase, jobs.c.server)
        with self._reading.connect() as connection:
            return [Run(job_id, Phase(phase), server) for job_id, phase, server in self._taken(connection, query)]

    def to_abort(self) -> Sequence[str]:
        """Return the ids of the jobs that this process runs and that are to be ended."""
        query = sa.select(jobs.c.id).where(jobs.c.server == self.server, jobs.c.abort_asked)
        with self._reading.connect() as connection:
            return [job_id for (job_id,) in self._taken(connection, query)]

    def expired(self, now: datetime) -> Sequence[str]:
        """Return the ids of the jobs whose destruction time has passed."""
        return self._ids(sa.select(jobs.c.id).where(LISTED, jobs.c.destruction <= now))

    def listed_count(self) -> int:
        """Return how many jobs there are, without those of which only the record is left."""
        with self._reading.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(jobs).where(LISTED)).scalar_one()

    def known(self, ids: Collection[str]) -> set[str]:
        """Return those of some ids (a few hundred) that are jobs."""
        return set(self._ids(sa.select(jobs.c.id).where(jobs.c.id.in_(ids))))

    def job_count(self, owner: str) -> int:
        """Return how many jobs of an owner there are, those of which only the record is kept left out."""
        return self._summaries.count(owner)

    def active_count(self, owner: str | None) -> int:
        """Return how many jobs of an owner wait or run."""
        query = sa.select(sa.func.count()).select_from(jobs).where(BUSY, jobs.c.owner == (owner or ""))
        with self._reading.connect() as connection:
            return connection.execute(query).scalar_one()

    def stored_bytes(self, owner: str | None) -> int:
        """Return how many bytes the jobs of an owner hold on disk."""
        with self._reading.connect() as connection:
            return _held_by(connection, owner)

    # --- parts -----------------------------------------------------------------------------------------

    def _taken(self, connection: sa.Connection, query: sa.Select[Any]) -> list[Any]:
        """Return the rows of jobs that servers have taken; two queries, because one with OR would use no index."""
        return [row for taken in (TAKEN, ON_CLUSTER) for row in connection.execute(query.where(taken))]

    def _ids(self, query: sa.Select[Any]) -> Sequence[str]:
        with self._reading.connect() as connection:
            return connection.execute(query).scalars().all()


def _held_by(connection: sa.Connection, owner: str | None) -> int:
    return connection.execute(sa.select(stored.c.bytes).where(stored.c.owner == (owner or ""))).scalar() or 0


def _require_id(kind: str, text: str) -> None:
    if not _ID.fullmatch(text):
        raise not_found(kind, text)


def not_found(kind: str, text: str) -> NotFound:
    """Return the error that says that there is no job, or other thing, with an id."""
    is_of_job = kind == "job" and _ID.fullmatch(text)
    gone = ": it was deleted, its destruction time came, or it never was" if is_of_job else ""
    return NotFound(f"no {kind} {text[:40]!r}{gone}")
