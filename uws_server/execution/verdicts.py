"""How a job ends where its supervisor left no word of it, or cannot know. Imports the jobs' values."""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.jobs.job import JobError
from uws_server.jobs.phases import Phase


@dataclass(frozen=True)
class GivenUp:
    """The last phase of a job that something else than its script ended; no error where a user asked for it."""

    phase: Phase
    error: JobError | None
