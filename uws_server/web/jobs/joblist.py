"""The first page: all jobs, searched, sorted and in pages; also as JSON for its live rows. Imports the services.

`Create test job` and the buttons of a row are plain forms; they work without JavaScript.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bottle import HTTPResponse, request

from uws_server.incoming import forms
from uws_server.jobs.job import JobSummary, Progress, utcnow
from uws_server.jobs.phases import ACTIVE, Phase
from uws_server.services.context import Services
from uws_server.services.operating import Operating
from uws_server.services.parameters import Request
from uws_server.web.jobs.listview import View, named_place, place_of, read_view
from uws_server.web.shared.fields import has_all_defaults
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

PER_PAGE = 50
MOST_COUNTED = 1001
"""As many jobs are counted, at the most."""


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
class Shown:
    """The rows of a page, and whether there are jobs before and after them.

    `first` is how many jobs stand before them and `total` how many there are; MOST_COUNTED means that many, or more.
    """

    rows: list[Row]
    has_before: bool
    has_after: bool
    first: int = 0
    total: int = 0

    @property
    def words(self) -> str:
        """Return which jobs of how many these are."""
        number = len(self.rows)
        if self.total < MOST_COUNTED or self.first + number < MOST_COUNTED:
            total = f"{self.total:,}" if self.total < MOST_COUNTED else f"more than {MOST_COUNTED - 1:,}"
            return f"Jobs {self.first + 1:,} to {self.first + number:,} of {total}"
        return f"{number} of more than {MOST_COUNTED - 1:,} jobs" + ("" if self.has_after else ", the last ones")

    @property
    def places(self) -> tuple[str, str]:
        """Return the places of the first and the last row."""
        return named_place(self.rows[0].job), named_place(self.rows[-1].job)


class JobList(Page):
    """The job list over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the list."""
        view = read_view(forms.query(request.environ))
        shown = self._counted(view, self.shown(view))
        caller = self.job_service.caller
        return self.render.page(
            "list.html",
            view=view,
            rows=shown.rows,
            shown=shown,
            ticked=dict(forms.query(request.environ)).get("select") == "page",
            phases=[phase.value for phase in Phase if phase is not Phase.ARCHIVED],
            has_all_defaults=has_all_defaults,
            problems=self.job_service.definitions.problems,
            drain_note=Operating(self.services, caller).drain_note(),
            unlisted=self.job_service.uses_keys(),
            live=any(row.job.phase in ACTIVE for row in shown.rows),
        )

    def state(self) -> HTTPResponse:
        """GET phase, stage and elapsed time of the rows that the same query shows as a page."""
        shown = self.shown(read_view(forms.query(request.environ)))
        state = {"rows": [row_state(row) for row in shown.rows]}
        return HTTPResponse(json.dumps(state), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def create_test(self, name: str) -> HTTPResponse:
        """POST: a job with the defaults of its definition, run at once."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
        job = self.job_service.create(name, Request())
        self.job_service.run(job)
        response = self.render.go(self.render.link("jobs", job.id))
        self.render.remember_made(response, job.id)
        return response

    def shown(self, view: View) -> Shown:
        """Return the jobs of a page, and whether there are others before and after them."""
        wanted = view.filter(PER_PAGE + 1)
        if view.before or view.end:
            start = place_of(view.before) if view.before else None
            found = self.job_service.own_jobs(replace(wanted, oldest_first=not wanted.oldest_first, start=start))
            if len(found) > PER_PAGE:
                return Shown(self._rows(found[PER_PAGE - 1 :: -1]), has_before=True, has_after=not view.end)
            view = replace(view, before="", end="")  # there are no more than one page of them: the first
        start = place_of(view.after) if view.after else None
        found = self.job_service.own_jobs(replace(wanted, start=start))
        return Shown(self._rows(found[:PER_PAGE]), bool(view.after), len(found) > PER_PAGE)

    def _counted(self, view: View, shown: Shown) -> Shown:
        """Add how many jobs there are, and how many before those that are shown, as far as that is quickly counted."""
        if not shown.rows:
            return shown
        wanted, first = view.filter(MOST_COUNTED), 0
        if shown.has_before:
            start = place_of(shown.places[0])
            before = replace(wanted, oldest_first=not wanted.oldest_first, start=start)
            first = self.job_service.count_to(before, MOST_COUNTED)
        if not shown.has_after and first < MOST_COUNTED:
            return replace(shown, first=first, total=first + len(shown.rows))
        return replace(shown, first=first, total=self.job_service.count_to(wanted, MOST_COUNTED))

    def _rows(self, jobs: Sequence[JobSummary]) -> list[Row]:
        now = utcnow()
        titles = {name: found.definition.title for name, found in self.job_service.definitions.by_name().items()}
        waits = self.job_service.waits([job.id for job in jobs if job.phase is Phase.PENDING])
        return [
            Row(job, titles.get(job.definition, job.definition), self.job_service.progress(job), job.elapsed(now),
                waits.get(job.id, ""))
            for job in jobs
        ]  # fmt: skip


def row_state(row: Row) -> dict[str, Any]:
    """Return the columns of a row that change while its job runs."""
    return {
        "id": row.job.id,
        "phase": row.job.phase.value,
        "stage": row.stage,
        "elapsed": row.elapsed,
    }
