"""The two times of a job that its page changes: how long it may run, and when it is destroyed. Imports the services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bottle import request

from uws_server.errors import BadRequest, Forbidden, ServerError
from uws_server.incoming import forms
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, utcnow
from uws_server.jobs.phases import Phase
from uws_server.jobs.times import read_time
from uws_server.jobs.words import seconds_problem
from uws_server.services.job_service import JobService
from uws_server.web.shared import texts
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

Limit = Literal["duration", "destruction"]
_NOT_BEGUN = frozenset({Phase.PENDING, Phase.HELD, Phase.QUEUED})


@dataclass(frozen=True)
class Limits:
    """The two fields of a job: what stands in them, what is allowed, and what is wrong with what came.

    `longest_s` is None for a job whose time limit stays as it is.
    """

    duration: str
    destruction: str
    longest_s: int | None
    latest: datetime
    wrong: Limit | None = None
    problem: str = ""


class LimitForms(Page):
    """The two forms over one set of services."""

    def change(self, render: Renderer, job_id: str, which: Limit) -> tuple[Job, Limits | None, int]:
        """Change a job as one of the forms says, and return the job, and what to show again with which status.

        Nothing is shown again when it worked. Raise Forbidden if the caller may not change the job.
        """
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            render.require_token(form)
            text = (form.take(which) or "").strip()
        job = self.job_service.bare(job_id)
        try:
            if which == "duration":
                self._set_duration(job, text)
            else:
                self._set_destruction(job, text)
        except (BadRequest, Forbidden) as error:
            if not self.job_service.may_change(job):
                raise
            return job, self.shown(job, which, text, error), error.status
        return job, None, 303

    def shown(self, job: Job, wrong: Limit | None = None, text: str = "", error: ServerError | None = None) -> Limits:
        """Return the fields of a job; in the one that is wrong stands what was typed."""
        service = self.job_service
        destruction = f"{texts.iso(job.destruction)[:-1]}" if job.destruction else ""
        longest = service.quotas.duration(_definition(service, job), 0) if job.phase in _NOT_BEGUN else None
        return Limits(
            duration=text if wrong == "duration" else str(job.execution_duration),
            destruction=text if wrong == "destruction" else destruction,
            longest_s=longest,
            latest=service.quotas.destruction(utcnow(), None),
            wrong=wrong,
            problem=str(error) if error else "",
        )

    def _set_duration(self, job: Job, text: str) -> None:
        if job.phase not in _NOT_BEGUN:
            raise Forbidden(f"the job is {job.phase.lower()}: its time limit could be changed until it began to run")
        if problem := seconds_problem(text):
            raise BadRequest(problem)
        longest = self.job_service.quotas.duration(_definition(self.job_service, job), 0)
        if not 0 < int(text) <= longest:
            raise BadRequest(f"{int(text):,} s came; 1 to {longest:,} s are allowed")
        self.job_service.set_duration(job, int(text))

    def _set_destruction(self, job: Job, text: str) -> None:
        try:
            when = read_time(text)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        now = utcnow()
        latest = self.job_service.quotas.destruction(now, None)
        if not now < when <= latest:
            raise BadRequest(
                f"{texts.when(when)} UTC came; a time after now and up to {texts.when(latest)} UTC is allowed"
                + ("" if when > now else " (to delete the job at once, press Delete)")
            )
        self.job_service.set_destruction(job, when)


def _definition(service: JobService, job: Job) -> Definition:
    return service.definitions.of(job).definition
