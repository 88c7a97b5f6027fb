"""The drafts that wait for an admin: who asked, when and why, what is live, how a trial went. Imports the drafts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uws_server.errors import ServerError
from uws_server.jobs.formats.draft import Change, Draft
from uws_server.jobs.job import Job
from uws_server.services.drafts import Drafts, Needs
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller


@dataclass(frozen=True)
class WaitingDraft:
    """A draft that is to be made live: the request, the files now live ({} for none), its own, and its trial."""

    draft: Draft
    asked: Change | None
    live: Mapping[str, str]
    files: Mapping[str, str]
    trial: Job | None


class Validation:
    """What admins decide about definitions."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._drafts = Drafts(needs, caller)
        self._jobs = JobService(needs, caller)

    def waiting(self) -> Sequence[WaitingDraft]:
        """Return the drafts for which validation was requested, by name. Raise Forbidden or Unauthorized."""
        self._drafts.require_admin()
        live = self._jobs.definitions.by_name()
        return [
            self._waiting(draft, live[draft.name].revision if draft.name in live else "")
            for draft in self._drafts.all()
            if draft.state == "requested"
        ]

    def _waiting(self, draft: Draft, live: str) -> WaitingDraft:
        asked = next((change for change in self._drafts.history(draft.name) if change.action == "request"), None)
        files = self._drafts.files_of(asked.revision) if asked else draft.files
        return WaitingDraft(draft, asked, self._drafts.files_of(live) if live else {}, files, self._trial(draft))

    def _trial(self, draft: Draft) -> Job | None:
        try:
            return self._jobs.bare(draft.trial) if draft.trial else None
        except ServerError:  # it was destroyed meanwhile
            return None
