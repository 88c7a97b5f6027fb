"""What the rows of the tables `jobs` and `results` hold, and how one becomes a Job or a Result. Imports the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from uws_server.jobs.job import Job, JobError, JobSummary, Needs, ParameterValue, Result, Usage, moment_of
from uws_server.jobs.part import PartCounts
from uws_server.jobs.phases import Phase
from uws_server.storage.tables import jobs

SUMMARY = [
    jobs.c.id,
    jobs.c.definition,
    jobs.c.phase,
    sa.type_coerce(jobs.c.created, sa.BigInteger).label("created"),
    sa.func.nullif(jobs.c.owner, sa.literal_column("''")).label("owner"),
    jobs.c.run_id,
    *(sa.type_coerce(jobs.c[name], sa.BigInteger).label(name) for name in ("started", "ended", "destruction")),
    jobs.c.target,
]
"""The columns of a JobSummary, in its order and as it has them."""

REFERENCE = [*SUMMARY[:4], jobs.c.owner, jobs.c.run_id]
"""The columns of a JobReference, likewise."""

ADDED = (
    "id", "definition", "version", "phase", "owner", "run_id", "created", "execution_duration", "destruction", "quote",
    "parameters", "share", "size", "revision", "trial", "parent", "after", "cores", "needed_memory", "short",
    "wanted", "input_size", "expected_s", "queued", "target",
    "target_key", "run_key",
)  # fmt: skip
"""The columns of a new job; the others have a default."""


class PhaseColumns(TypedDict, total=False):
    """Columns of a job that a change of its phase sets with it."""

    queued: datetime
    quote: datetime | None
    started: datetime | None
    ended: datetime
    server: str | None


_PHASES = {phase.value: phase for phase in Phase}
_JOB_COLUMNS = tuple(jobs.c.keys())


def job_row(job: Job) -> dict[str, Any]:
    """Return the row of the table `jobs` for a new job."""
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
        "revision": job.revision,
        "trial": job.trial,
        "parent": job.parent,
        "after": job.after,
        "cores": job.needs.cores,
        "needed_memory": job.needs.memory,
        "short": job.needs.short,
        "wanted": job.needs.parts,
        "input_size": job.input_size,
        "expected_s": job.expected_s,
        "queued": job.queued,
        "target": job.target,
        "target_key": search_key(job.target),
        "run_key": search_key(job.run_id or ""),
    }


def search_key(text: str) -> str:
    """Return what a run id or target is found by: case and blanks do not count."""
    return "".join(text.casefold().split())


def dump_parameters(job: Job) -> str:
    """Return the parameters of a job as JSON: text, value and kind of each, and its parts if it has some."""
    return json.dumps({name: _dump_value(value) for name, value in job.parameters.items()})


def _dump_value(value: ParameterValue) -> list[Any]:
    content = [value.text, value.value, value.kind]
    return [*content, [_dump_value(part) for part in value.parts]] if value.parts else content


def _read_value(content: list[Any]) -> ParameterValue:
    text, value, kind, *parts = content
    return ParameterValue(text, value, kind, tuple(_read_value(part) for part in parts[0]) if parts else ())


def result_row(job_id: str, position: int, result: Result) -> dict[str, Any]:
    """Return the row of the table `results` for a result of a job."""
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


def read_job(row: Iterable[Any]) -> Job:
    """Return the Job of a row of `jobs` as the database has it, without its results."""
    kept = dict(zip(_JOB_COLUMNS, row, strict=True))
    error = kept["error"]
    return Job(
        id=kept["id"],
        definition=kept["definition"],
        version=kept["version"],
        phase=_PHASES[kept["phase"]],
        created=moment_of(kept["created"]),
        execution_duration=kept["execution_duration"],
        destruction=_moment_or_none(kept["destruction"]),
        owner=kept["owner"] or None,
        run_id=kept["run_id"],
        quote=_moment_or_none(kept["quote"]),
        queued=_moment_or_none(kept["queued"]),
        started=_moment_or_none(kept["started"]),
        ended=_moment_or_none(kept["ended"]),
        error=None if error is None else JobError(error, bool(kept["error_fatal"])),
        parameters={name: _read_value(content) for name, content in json.loads(kept["parameters"]).items()},
        share=kept["share"],
        size=kept["size"],
        revision=kept["revision"],
        trial=bool(kept["trial"]),
        parent=kept["parent"],
        after=kept["after"],
        warning=kept["warning"] or "",
        usage=None if kept["cpu_s"] is None else Usage(kept["cpu_s"], kept["memory"] or 0),
        needs=Needs(kept["cores"], kept["needed_memory"], bool(kept["short"]), kept["wanted"]),
        input_size=kept["input_size"],
        expected_s=kept["expected_s"],
        resume_asked=_moment_or_none(kept["resume_asked"]),
        parts=None if kept["parts"] is None else PartCounts(kept["parts"], kept["parts_failed"] or 0),
        target=kept["target"],
    )


def read_summary(row: Sequence[Any]) -> JobSummary:
    """Return the JobSummary of a row of the columns SUMMARY, by position: by name takes four times as long."""
    job_id, definition, phase, *others = row
    return JobSummary(job_id, definition, _PHASES[phase], *others)


def _moment_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment_of(microseconds)


def read_result(row: Iterable[Any]) -> Result:
    """Return the Result of a row of `results`."""
    result_id, _, _, name, file, mime, size, sha256, description = row
    return Result(result_id, name, file, mime, size, sha256, description)
