"""The page for admins: the queue, what runs and what it uses, who holds the disk, drain. Imports the services."""

from __future__ import annotations

from typing import Literal

from bottle import HTTPResponse, request

from uws_server.errors import Conflict
from uws_server.incoming import forms
from uws_server.jobs.phases import ENDED
from uws_server.services.context import Services
from uws_server.services.operating import MOST_SHOWN, Operating
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer


class AdminPage(Page):
    """The page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def operating(self) -> Operating:
        """Return what the reader may look at and do."""
        return Operating(self.services, self.job_service.caller)

    def page(self) -> HTTPResponse:
        """GET the page."""
        response = self.render.page("admin.html", overview=self.operating.overview(), most=MOST_SHOWN)
        response.set_header("Cache-Control", "no-store")
        return response

    def drain(self, action: Literal["drain", "undrain"]) -> HTTPResponse:
        """POST: begin or end the drain; back to the page."""
        operating = self.operating
        operating.require_operator()
        why = self._read()
        if action == "drain":
            operating.begin_drain(why)
        else:
            operating.end_drain()
        return self.render.go(self.render.link("admin"))

    def act(self, job_id: str, action: Literal["abort", "hold"]) -> HTTPResponse:
        """POST: abort or hold a job; back to the page, also where it ended meanwhile."""
        self.operating.require_operator()
        self._read()
        job = self.job_service.bare(job_id)
        if job.phase in ENDED:
            raise Conflict(f"job {job.id} is {job.phase} by now: there is nothing left to {action}")
        if action == "abort":
            self.job_service.abort(job)
        else:
            self.job_service.hold(job)
        return self.render.go(self.render.link("admin"))

    def _read(self) -> str:
        """Return the reason that a form gives, '' for none; refuse a form that is not of our pages."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            return form.take("why") or ""
