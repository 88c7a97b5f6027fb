"""The tables of the database and how a row becomes a Job. Imports the jobs' values.

The database itself is made by the migrations; a test holds these tables to what they make.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import Job, JobError, JobSummary, ParameterValue, Result
from uws_server.jobs.phases import ACTIVE, Phase

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UTCTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970 UTC: sorts and compares alike in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Aware datetime -> microseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """Microseconds -> aware datetime."""
        return None if value is None else _moment(value)


metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("definition", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    # '' for nobody: no database puts NULL and a name into one order that an index could give
    sa.Column("owner", sa.String(128), nullable=False, server_default=""),
    sa.Column("run_id", sa.Text),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("queued", UTCTime),
    sa.Column("started", UTCTime),
    sa.Column("ended", UTCTime),
    sa.Column("execution_duration", sa.Integer, nullable=False),
    sa.Column("destruction", UTCTime),
    sa.Column("quote", UTCTime),
    sa.Column("error", sa.Text),
    sa.Column("error_fatal", sa.Boolean),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("share", sa.String(32)),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("server", sa.String(64)),
    sa.Column("abort_asked", sa.Boolean, nullable=False, server_default=sa.false()),
)

# A partial index serves only a query that holds the very words of its condition: no bound parameters here.
LISTED = jobs.c.phase != sa.literal_column(f"'{Phase.ARCHIVED}'")
"""Condition: the job is in lists that name no phase."""

BUSY = jobs.c.phase.in_([sa.literal_column(f"'{phase}'") for phase in sorted(ACTIVE)])
"""Condition: the server has work to do with the job."""


def _index(name: str, columns: str, where: sa.ColumnElement[bool] | None = None) -> None:
    sa.Index(name, *(jobs.c[column] for column in columns.split()), sqlite_where=where, postgresql_where=where)


# every stream of a list (uws_server.storage.lists) is one range of one of the first four, already in order
_index("jobs_listed", "definition created id", LISTED)
_index("jobs_by_phase", "definition phase created id")
_index("jobs_of_owner_listed", "definition owner created id", LISTED)
_index("jobs_of_owner_by_phase", "definition owner phase created id")
_index("jobs_busy", "phase queued", BUSY)
_index("jobs_of_owner_busy", "owner", BUSY)
_index("jobs_by_destruction", "destruction", LISTED)

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("mime", sa.String(128), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
)

# What the jobs of an owner hold on disk: the sum of jobs.size, kept right by triggers of the database.
stored = sa.Table(
    "stored",
    metadata,
    sa.Column("owner", sa.String(128), primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("token_hash", sa.Text, nullable=False),
    sa.Column("is_admin", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("max_active", sa.Integer),
    sa.Column("max_bytes", sa.BigInteger),
)

# The server processes that use the database.
servers = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("place", sa.String(128), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("start", sa.String(32), nullable=False),
    sa.Column("seen", UTCTime, nullable=False),
)

# What a server process tells the others: in SQLite only; PostgreSQL says it with NOTIFY.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("job_id", sa.String(32), nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("server", sa.String(64), nullable=False),
    sqlite_autoincrement=True,
)

_TIMES = frozenset({"created", "started", "ended", "destruction"})

SUMMARY = [
    sa.type_coerce(jobs.c[name], sa.BigInteger).label(name) if name in _TIMES else jobs.c[name]
    for name in JobSummary._fields
]
"""The columns of a JobSummary, in its order; times as they are kept, which a list reads faster by itself."""

_PHASES = {phase.value: phase for phase in Phase}


def job_row(job: Job) -> dict[str, Any]:
    """The row of the table `jobs` for a new job."""
    return {
        "id": job.id,
        "definition": job.definition,
        "version": job.version,
        "phase": job.phase.value,
        "owner": job.owner or "",
        "run_id": job.run_id,
        "created": job.created,
        "execution_duration": job.execution_duration,
        "destruction": job.destruction,
        "quote": job.quote,
        "parameters": dump_parameters(job),
        "share": job.share,
        "size": job.size,
    }


def dump_parameters(job: Job) -> str:
    """The parameters of a job as JSON."""
    return json.dumps({name: [value.text, value.value, value.kind] for name, value in job.parameters.items()})


def result_row(job_id: str, position: int, result: Result) -> dict[str, Any]:
    """The row of the table `results` for a result of a job."""
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


def read_job(row: sa.Row[Any], result_rows: list[sa.Row[Any]]) -> Job:
    """The Job of a row of `jobs` and its rows of `results`."""
    return Job(
        id=row.id,
        definition=row.definition,
        version=row.version,
        phase=Phase(row.phase),
        created=row.created,
        execution_duration=row.execution_duration,
        destruction=row.destruction,
        owner=row.owner or None,
        run_id=row.run_id,
        quote=row.quote,
        started=row.started,
        ended=row.ended,
        error=None if row.error is None else JobError(row.error, bool(row.error_fatal)),
        parameters={name: ParameterValue(*content) for name, content in json.loads(row.parameters).items()},
        results=tuple(read_result(result) for result in result_rows),
        share=row.share,
        size=row.size,
    )


def read_summary(row: Iterable[Any]) -> JobSummary:
    """The JobSummary of a row of the columns SUMMARY; by their names it would take four times as long."""
    job_id, definition, phase, created, owner, run_id, started, ended, destruction = row
    return JobSummary(
        job_id,
        definition,
        _PHASES[phase],
        _moment(created),
        owner or None,
        run_id,
        None if started is None else _moment(started),
        None if ended is None else _moment(ended),
        None if destruction is None else _moment(destruction),
    )


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def read_result(row: sa.Row[Any]) -> Result:
    """The Result of a row of `results`."""
    return Result(row.id, row.name, row.file, row.mime, row.size, row.sha256, row.description)
