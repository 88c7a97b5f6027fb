"""Several jobs aborted or deleted at once: all are asked to end before any is waited for. Imports the services."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uws_server.errors import Forbidden, NotFound, Unauthorized
from uws_server.jobs.job import Job
from uws_server.jobs.phases import ENDED
from uws_server.services.job_service import JobService, Needs

Action = Literal["abort", "delete"]

_WAIT_S = 10.0


@dataclass(frozen=True)
class Refusal:
    """A job with which something could not be done, and the sentence that says why; `job` is None for one unknown."""

    job_id: str
    why: str
    job: Job | None = None


@dataclass(frozen=True)
class Selection:
    """The jobs that an action is for, and those that it cannot be for."""

    jobs: tuple[Job, ...]
    refused: tuple[Refusal, ...]

    @property
    def running(self) -> int:
        """Return how many of the jobs wait or run, and are aborted."""
        return sum(job.phase not in ENDED for job in self.jobs)


class BulkJobs:
    """What one caller can do with several jobs."""

    def __init__(self, needs: Needs, job_service: JobService) -> None:
        self._life, self._scheduler, self._jobs = needs.life, needs.scheduler, job_service

    def selected(self, ids: Sequence[str], action: Action) -> Selection:
        """Return which of some jobs an action can be carried out with, and why not with the others."""
        jobs, refused = list[Job](), list[Refusal]()
        for job_id in dict.fromkeys(ids):
            try:
                job = self._jobs.bare(job_id)
            except (NotFound, Forbidden, Unauthorized) as error:
                refused.append(Refusal(job_id, str(error)))
                continue
            if not self._jobs.may_change(job):
                refused.append(Refusal(job.id, "it is only shared with you: its owner can change it", job))
            elif action == "abort" and job.phase in ENDED:
                refused.append(Refusal(job.id, f"it is {job.phase}: it can no longer be aborted", job))
            else:
                jobs.append(job)
        return Selection(tuple(jobs), tuple(refused))

    def carry_out(self, selection: Selection, action: Action) -> Selection:
        """Abort or delete the jobs of a selection; return those with which it was done, and all the others."""
        waiting = [job.id for job in selection.jobs if not self._life.end(job)]
        patience = time.monotonic() + _WAIT_S
        refused = list(selection.refused)
        for job_id in waiting:
            try:
                job = self._scheduler.wait_for_end(job_id, max(0.0, patience - time.monotonic()))
            except NotFound:
                continue  # another client deleted it meanwhile
            if job.phase not in ENDED:
                refused.append(Refusal(job_id, "it was asked to end, and has not ended yet: look again later", job))
        late = {refusal.job_id for refusal in refused}
        done = tuple(job for job in selection.jobs if job.id not in late)
        if action == "delete":
            for job in done:
                self._life.forget(job.id)
        return Selection(done, tuple(refused))
