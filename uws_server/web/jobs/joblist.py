"""The first page: all jobs, newest first, filtered and in pages; also as JSON for its live rows. Imports the services.

`Create test job` and the buttons of a row are plain forms; they work without JavaScript.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.jobs.job import Filter, JobSummary, Progress, utcnow
from uws_server.jobs.phases import ACTIVE, Phase
from uws_server.services.context import Services
from uws_server.services.operating import Operating
from uws_server.services.parameters import Request
from uws_server.web.shared.fields import has_all_defaults
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

PER_PAGE = 50
MOST_PAGES = 200


@dataclass(frozen=True)
class Row:
    """A job in the list."""

    job: JobSummary
    title: str
    progress: Progress | None
    elapsed: float | None
    waits_for: str = ""
    """The job that must be completed before this one starts, '' for none."""

    @property
    def stage(self) -> str:
        """Return what the job is doing, or what it waits for."""
        if self.waits_for:
            return f"Waits for {self.waits_for[:8]}"
        progress = self.progress or Progress()
        return f"{progress.number}/{progress.total} {progress.stage}" if progress.total else progress.stage


@dataclass(frozen=True)
class View:
    """The part of the list that is displayed: definition and phase ('' for all), and the page from 1 on."""

    definition: str
    phase: str
    page: int

    def query(self, **changes: object) -> dict[str, object]:
        """Return the query for this view, without its defaults."""
        query: dict[str, object] = {"definition": self.definition, "phase": self.phase, "page": self.page, **changes}
        return {name: value for name, value in query.items() if value and (name, value) != ("page", 1)}


class JobList(Page):
    """The job list over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the list."""
        view = read_view(dict(forms.query(request.environ)))
        rows, more = self.rows(view)
        return self.render.page(
            "list.html",
            view=view,
            rows=rows,
            more=more and view.page < MOST_PAGES,
            phases=[phase.value for phase in Phase if phase is not Phase.ARCHIVED],
            has_all_defaults=has_all_defaults,
            problems=self.job_service.definitions.problems,
            drain_note=Operating(self.services, self.job_service.caller).drain_note(),
            unlisted=self.job_service.uses_keys(),
            live=any(row.job.phase in ACTIVE for row in rows),
        )

    def state(self) -> HTTPResponse:
        """GET phase, stage and elapsed time of the rows that the same query shows as a page."""
        rows, _ = self.rows(read_view(dict(forms.query(request.environ))))
        state = {"rows": [row_state(row) for row in rows]}
        return HTTPResponse(json.dumps(state), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def create_test(self, name: str) -> HTTPResponse:
        """POST: a job with the defaults of its definition, run at once."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
        job = self.job_service.create(name, Request())
        self.job_service.run(job)
        return self.render.go(self.render.link("jobs", job.id))

    def rows(self, view: View) -> tuple[list[Row], bool]:
        """Return the jobs of a page, and whether there are older ones."""
        wanted = Filter(
            definition=view.definition or None,
            phases=(Phase(view.phase),) if view.phase else (),
            last=view.page * PER_PAGE + 1,
        )
        jobs = self.job_service.own_jobs(wanted)
        first = (view.page - 1) * PER_PAGE
        now = utcnow()
        titles = {name: found.definition.title for name, found in self.job_service.definitions.by_name().items()}
        wanted_jobs = jobs[first : first + PER_PAGE]
        waits = self.job_service.waits([job.id for job in wanted_jobs if job.phase is Phase.PENDING])
        rows = [
            Row(job, titles.get(job.definition, job.definition), self.job_service.progress(job), job.elapsed(now),
                waits.get(job.id, ""))
            for job in wanted_jobs
        ]  # fmt: skip
        return rows, len(jobs) > first + PER_PAGE


def read_view(query: dict[str, str]) -> View:
    """Return the view that a query asks for. Raise NotFound or BadRequest for any other."""
    phase = query.get("phase", "")
    if phase and phase not in Phase.__members__:
        raise BadRequest(f"phase: {phase[:40]!r} is not one of {', '.join(Phase)}")
    page = query.get("page") or "1"
    if not re.fullmatch(r"[0-9]{1,4}", page) or not 1 <= int(page) <= MOST_PAGES:
        raise NotFound(f"there is no page {page[:10]!r} of the list; narrow it by definition or phase")
    return View(query.get("definition", ""), phase, int(page))


def row_state(row: Row) -> dict[str, Any]:
    """Return the columns of a row that change while its job runs."""
    return {
        "id": row.job.id,
        "phase": row.job.phase.value,
        "stage": row.stage,
        "elapsed": row.elapsed,
    }
