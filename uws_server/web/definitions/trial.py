"""The trial job of a draft in the editor: its progress, log and results. Imports the use cases."""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.errors import ServerError
from uws_server.jobs.job import Job, Progress, Result, utcnow
from uws_server.jobs.phases import ENDED
from uws_server.services.job_service import JobService
from uws_server.web.shared import logtext


@dataclass(frozen=True)
class Trial:
    """A trial job: its progress, the end of its log, and its results."""

    job: Job
    ended: bool
    progress: Progress
    elapsed: float | None
    log: logtext.Tail
    results: tuple[Result, ...]


def look(job_service: JobService, job_id: str) -> Trial | None:
    """Return the trial job of that id; None if there is none or it is not visible."""
    try:
        job = job_service.bare(job_id)
    except ServerError:
        return None
    ended = job.phase in ENDED
    return Trial(
        job,
        ended,
        job_service.progress(job) or Progress(),
        job.elapsed(utcnow()),
        logtext.tail(job_service, job, whole=ended),
        job_service.results.page(job).results,
    )
