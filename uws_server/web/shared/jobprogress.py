"""How far a job is, as pages show it: its stage, times, parts and the end of its log. Imports the services."""

from __future__ import annotations

from typing import Any

from uws_server.jobs.job import Job, Progress, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.operating import Operating
from uws_server.web.shared import logtext, texts


def values(services: Services, job_service: JobService, job: Job, first_part: int = 0) -> dict[str, Any]:
    """Return what the templates of the progress, the parts and the log of a job need, by their names."""
    ended = job.phase in ENDED
    log = logtext.tail(job_service, job, whole=ended)
    progress = job_service.progress(job)
    is_queued = job.phase is Phase.QUEUED
    return {
        "job": job,
        "progress": progress or Progress(),
        "position": texts.position(job_service.position(job), utcnow()),
        "usage": job.usage or (progress.usage if progress else None),
        "elapsed": job.elapsed(utcnow()),
        "ended": ended,
        "reached": logtext.last_stage(log),
        "waits_for": job_service.waits([job.id]).get(job.id, "") if job.phase is Phase.PENDING else "",
        "drain_note": Operating(services, job_service.caller).drain_note() if is_queued else "",
        "can_change": job_service.may_change(job),
        "log": log,
        "parts": job_service.parts.page(job, first_part),
    }
