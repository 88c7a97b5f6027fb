"""The common part of the pages about job definitions: the use cases for the reader, and rights. Imports the use
cases.
"""

from __future__ import annotations

from uws_server.jobs.formats.draft import Action, Change, Draft
from uws_server.services.context import Services
from uws_server.services.drafts import Drafts
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

_STEPS: frozenset[Action] = frozenset({"create", "request", "withdraw", "accept", "refuse", "discard"})
"""The actions on a draft; the others of a history are on the live definition."""


class DraftPage(Page):
    """A page about job definitions over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def drafts(self) -> Drafts:
        """Return the use cases for the caller of the current request."""
        return Drafts(self.services, self.job_service.caller)

    def require_author(self) -> None:
        """Refuse callers who may not write job definitions."""
        self.drafts.require_author()

    def asked(self, draft: Draft | None) -> Change | None:
        """Return who asked for the validation of a draft, or refused it, when and why; None if nobody did."""
        if draft is None:
            return None
        steps = (change for change in self.drafts.history(draft.name) if change.action in _STEPS)
        newest = next(steps, None)
        return newest if newest is not None and newest.action in ("request", "refuse") else None

    def live_before(self, asked: Change | None) -> str:
        """Return the revision that is live while the validation of another one is requested; '' for none."""
        if asked is None or asked.action != "request":
            return ""
        live = self.job_service.definitions.by_name().get(asked.name)
        return live.revision if live is not None and live.revision != asked.revision else ""
