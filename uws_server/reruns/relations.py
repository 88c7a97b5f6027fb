"""The jobs related to a job: the one it runs again, those that run it again, the job sequence it belongs to.

As far as one caller may see them. Imports the job service, the services and the store.
"""

from __future__ import annotations

from uws_server.jobs.job import Job
from uws_server.reruns.preview import RelatedJobs
from uws_server.services.context import Services
from uws_server.services.job_service import JobService

_LONGEST_SEQUENCE = 1000
_MOST_RERUNS = 100


class JobRelations:
    """The relations between jobs, for one caller."""

    def __init__(self, services: Services, job_service: JobService) -> None:
        self.job_service = job_service
        self._services = services

    def sequence_of(self, job: Job) -> tuple[Job, ...]:
        """Return the jobs of the job sequence of a job, in order, as far as the caller may see them."""
        jobs = [job]
        while jobs[0].after is not None and len(jobs) < _LONGEST_SEQUENCE:
            one = self.job_service.of_sequence(jobs[0], jobs[0].after)
            if one is None:
                break
            jobs.insert(0, one)
        while len(jobs) < _LONGEST_SEQUENCE:
            followers = self._followers(jobs[-1])
            if not followers:
                break
            jobs.append(followers[0])
        return tuple(jobs)

    def reruns_of(self, job: Job) -> tuple[Job, ...]:
        """Return the jobs that run a job again, newest first, as far as the caller may see them."""
        ids = self._services.uses.children([job.id])[:_MOST_RERUNS]
        return tuple(found for each in ids if (found := self.seen(each)))

    def related(self, job: Job) -> RelatedJobs:
        """Return the jobs related to a job, as far as the caller may see them."""
        return RelatedJobs(
            parent=self.seen(job.parent) if job.parent else None,
            reruns=self.reruns_of(job),
            before=self.job_service.of_sequence(job, job.after) if job.after else None,
            followers=self._followers(job),
        )

    def _followers(self, job: Job) -> tuple[Job, ...]:
        ids = self._services.uses.followers(job.id)
        return tuple(found for each in ids if (found := self.job_service.of_sequence(job, each)))

    def seen(self, job_id: str) -> Job | None:
        """Return a job; None if there is none or the caller may not see it."""
        return self.job_service.seen(job_id)
