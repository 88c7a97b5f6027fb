"""The page on which admins announce something, and the button that puts an announcement away. Imports the services."""

from __future__ import annotations

from typing import Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.jobs.job import utcnow
from uws_server.services.announcements import LONGEST, Announcements
from uws_server.services.context import Services
from uws_server.web.shared.page import Page
from uws_server.web.shared.places import place_within
from uws_server.web.shared.render import PUT_AWAY, Renderer, put_away
from uws_server.web.shared.texts import sentence

_MOST_PUT_AWAY = 50
_KEPT_S = 90 * 86400


class AnnouncementPages(Page):
    """The page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def announcements(self) -> Announcements:
        """Return what the reader may announce."""
        return Announcements(self.services, self.job_service.caller)

    def page(self) -> HTTPResponse:
        """GET the announcements, and the form for a new one."""
        return self._show({})

    def create(self) -> HTTPResponse:
        """POST a new one: 303 to the page."""
        self.announcements.require_admin()
        typed = self._read("text", "starts", "ends")
        try:
            self.announcements.create(typed["text"], typed["starts"], typed["ends"])
        except BadRequest as error:
            return self._show(typed, error)
        return self.render.go(self.render.link("admin", "announcements"))

    def act(self, announcement_id: str, action: Literal["remove", "put-away"]) -> HTTPResponse:
        """POST: remove one, for everybody; or put it away, for this browser. 303 to the page that it was on."""
        if action == "remove":
            self.announcements.require_admin()
        place = self._read("next")["next"]
        if action == "remove":
            self.announcements.remove(announcement_id)
            return self.render.go(self.render.link("admin", "announcements"))
        response = self.render.go(place_within(self.render, place))
        kept = [*put_away(request.environ), announcement_id][-_MOST_PUT_AWAY:]
        self.render.set_cookie(response, PUT_AWAY, ".".join(dict.fromkeys(kept)), _KEPT_S)
        return response

    def _show(self, typed: dict[str, str], problem: BadRequest | None = None) -> HTTPResponse:
        return self.render.page(
            "admin_announcements.html",
            problem.status if problem else 200,
            entries=self.announcements.all(),
            typed=typed,
            now=utcnow(),
            longest=LONGEST,
            problem=sentence(str(problem)) if problem else "",
        )

    def _read(self, *names: str) -> dict[str, str]:
        """Return texts of a form; refuse a form that is not of our pages."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            return {name: (form.take(name) or "").strip() for name in names}
