"""The tables of the database and how a row becomes a Job. Imports the jobs' values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import Job, JobError, ParameterValue, Result
from uws_server.jobs.phases import Phase

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
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("definition", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(128)),
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
    sa.Index("jobs_by_definition", "definition", "created"),
    sa.Index("jobs_by_phase", "phase", "queued"),
    sa.Index("jobs_by_time", "created"),
)

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


def job_row(job: Job) -> dict[str, Any]:
    """The row of the table `jobs` for a new job."""
    return {
        "id": job.id,
        "definition": job.definition,
        "version": job.version,
        "phase": job.phase.value,
        "owner": job.owner,
        "run_id": job.run_id,
        "created": job.created,
        "execution_duration": job.execution_duration,
        "destruction": job.destruction,
        "quote": job.quote,
        "parameters": dump_parameters(job),
    }


def dump_parameters(job: Job) -> str:
    """The parameters of a job as JSON."""
    return json.dumps({name: [value.text, value.value, value.kind] for name, value in job.parameters.items()})


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
        owner=row.owner,
        run_id=row.run_id,
        quote=row.quote,
        started=row.started,
        ended=row.ended,
        error=None if row.error is None else JobError(row.error, bool(row.error_fatal)),
        parameters={name: ParameterValue(*content) for name, content in json.loads(row.parameters).items()},
        results=tuple(read_result(result) for result in result_rows),
    )


def read_result(row: sa.Row[Any]) -> Result:
    """The Result of a row of `results`."""
    return Result(row.id, row.name, row.file, row.mime, row.size, row.sha256, row.description)
