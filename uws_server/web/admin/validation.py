"""The page with the definitions that wait for an admin: what differs, how they were tried, the decision.

Imports the services.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Conflict, Forbidden, ServerError
from uws_server.incoming import forms
from uws_server.services.context import Services
from uws_server.services.drafts import Drafts
from uws_server.services.validation import Validation, WaitingDraft
from uws_server.web.shared import differences
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer
from uws_server.web.shared.texts import sentence

_SAID = {"accept": "is live: new jobs run it.", "refuse": "went back to its author.", "try": "is being tried."}


@dataclass(frozen=True)
class Entry:
    """A draft that waits, with what differs from what is live."""

    waiting: WaitingDraft
    differing: list[differences.FileDifference]


class ValidationPage(Page):
    """The page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the drafts that wait."""
        return self._show()

    def act(self, name: str, action: Literal["accept", "refuse", "try"]) -> HTTPResponse:
        """POST: decide about a draft, or try it; 303 to the page."""
        drafts = Drafts(self.services, self.job_service.caller)
        drafts.require_admin()
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            why, edit = (form.take("why") or "").strip(), form.take("edit") or ""
        if not re.fullmatch("[0-9]{1,9}", edit):
            raise BadRequest("edit: the number of the draft's last change is expected")
        try:
            if action == "try":
                drafts.try_out(name)
            elif action == "accept":
                drafts.accept(name, why, int(edit))
            else:
                drafts.refuse(name, why)
        except (BadRequest, Conflict, Forbidden) as error:
            return self._show(error, name)
        return self.render.go(self.render.link("admin", "definitions", said=action, of=name))

    def _show(self, problem: ServerError | None = None, name: str = "") -> HTTPResponse:
        found = Validation(self.services, self.job_service.caller).waiting()
        query = dict(forms.query(request.environ))
        said = _SAID.get(query.get("said", ""), "")
        return self.render.page(
            "admin_definitions.html",
            problem.status if problem else 200,
            entries=[Entry(one, differences.between(one.live, one.files)) for one in found],
            problem=f"{name}: {sentence(str(problem))}" if problem else "",
            message=f"{query.get('of', '')[:64]} {said}" if said else "",
        )
