"""The page that offers to keep in an account what the browser made without one. Imports the services.

Somebody who signs in sees a line on every page that leads here, until it is done or put off.
"""

from __future__ import annotations

from bottle import HTTPResponse, request

from uws_server.errors import Unauthorized
from uws_server.incoming import forms
from uws_server.incoming.callers import JOBS_COOKIE, WORK_COOKIE
from uws_server.services.anonymous_work import AnonymousWork, Kept
from uws_server.services.context import Services
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import PUT_OFF, Renderer, remembered

_PUT_OFF_S = 30 * 86400


class KeepingPage(Page):
    """The page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def work(self) -> AnonymousWork:
        """Return what the reader's browser made without an account."""
        return AnonymousWork(self.services, self.job_service.caller)

    def page(self) -> HTTPResponse:
        """GET what is offered."""
        if self.job_service.caller.name is None:
            raise Unauthorized("jobs and sessions are kept in an account: sign in")
        return self._show(None)

    def keep(self) -> HTTPResponse:
        """POST: the page with what was taken over, and what was not; or back to the sessions if it is put off."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            is_put_off = form.take("later") is not None
        if is_put_off:
            response = self.render.go(self.render.link("sessions"))
            self.render.set_cookie(response, PUT_OFF, "yes", _PUT_OFF_S)
            return response
        response = self._show(self.work.keep(remembered()))
        if not self.work.offered(remembered()):
            for name in (JOBS_COOKIE, WORK_COOKIE):
                self.render.set_cookie(response, name, "", 0)
        return response

    def _show(self, kept: Kept | None) -> HTTPResponse:
        return self.render.page("keep.html", kept=kept, offer=self.work.offered(remembered()))
