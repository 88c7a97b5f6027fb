"""Job definitions for people: the list, and one with its history, versions and differences. Imports the use cases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import Package, native
from uws_server.jobs.formats.draft import DEFINITION_FILE, README_FILE, WAS_LIVE, Action, Change, Draft
from uws_server.jobs.formats.written import FORMATS
from uws_server.services.drafts import Drafts
from uws_server.web.definitions.draftpage import DraftPage
from uws_server.web.definitions.editorstate import form_of
from uws_server.web.shared import differences, documentation, listing
from uws_server.web.shared.fields import bounds

Format = Literal["json", "wadl", "votable"]
EXPORTS: tuple[tuple[Format, str], ...] = (("json", "JSON"), ("wadl", "WADL"), ("votable", "VOTable"))
WORDS: Mapping[Action, str] = {
    "install": "Installed from the folder",
    "remove": "Removed",
    "restore": "Restored",
    "create": "Draft begun",
    "request": "Validation requested",
    "withdraw": "Request withdrawn",
    "accept": "Made live",
    "refuse": "Refused",
    "discard": "Draft discarded",
}
"""The words of a page for each action."""
_REVISION = re.compile("[0-9a-f]{64}")

CONFIRMATIONS = {
    "live": "It is live now.",
    "restored": "That version is live again.",
    "removed": "Removed: no new jobs can be made with it. Its history stays, and any version can be restored.",
    "discarded": "The draft is discarded.",
}
"""The confirmation that a page shows after a button did its work."""


@dataclass(frozen=True)
class Version:
    """A line of the history: an action and its version ('' where its files cannot be had).

    `before` is the revision that was live before it; `is_live` whether it made live what is live now.
    """

    change: Change
    version: str
    before: str
    was_live: bool
    is_live_revision: bool
    is_live: bool


class Definitions(DraftPage):
    """The pages of job definitions over one set of services."""

    def all(self) -> HTTPResponse:
        """GET the list: what is live by group, the drafts, what is broken."""
        self.job_service.require_entry()
        drafts = self.drafts
        return self.render.page(
            "definitions.html",
            live=listing.sections(installed.definition for installed in self.job_service.definitions),
            about=listing.about,
            lacking=listing.lacking,
            drafts=drafts.all() if drafts.may_draft else (),
            may_draft=drafts.may_draft,
            problems=self.job_service.definitions.problems,
            exports=EXPORTS,
            message=self._confirmation(),
        )

    def page(self, name: str) -> HTTPResponse:
        """GET one definition: what it is, its draft, its history."""
        self.job_service.require_entry()
        drafts = self.drafts
        live, readme = self._live(name)
        history = self._history(drafts, name) if drafts.may_draft else []
        draft = self._draft(drafts, name)
        if live is None and draft is None and not history:
            raise NotFound(f"there is no definition {name[:64]!r}")
        return self.render.page(
            "definition.html",
            name=name,
            definition=live,
            about=documentation.as_html(live.description) if live else "",
            readme=documentation.as_html(readme),
            lacking=listing.lacking,
            bounds=bounds,
            history=history,
            draft=draft,
            asked=self.asked(draft),
            words=WORDS,
            may_draft=drafts.may_draft,
            may_validate=drafts.may_validate,
            exports=EXPORTS,
            message=self._confirmation(),
        )

    def version(self, name: str, revision: str) -> HTTPResponse:
        """GET the files of a version, and the form that it made."""
        change = self._change(name, revision)
        files = self.drafts.files_of(revision)
        definition = native.read_unchecked(files[DEFINITION_FILE], DEFINITION_FILE)
        return self.render.page(
            "definition_version.html",
            name=name,
            change=change,
            words=WORDS,
            definition=definition,
            files=sorted(files.items(), key=lambda item: (item[0] != DEFINITION_FILE, item[0])),
            readme=documentation.as_html(files.get(README_FILE, "")),
            groups=form_of(definition),
            has_archive=self.services.config.folders.archive is not None,
            max_upload=self.services.config.server.max_upload,
        )

    def difference(self, name: str) -> HTTPResponse:
        """GET what differs between two versions of a definition (`before` and `after` in the query)."""
        query = dict(forms.query(request.environ))
        before, after = (self._change(name, query.get(key, "")) for key in ("before", "after"))
        drafts = self.drafts
        return self.render.page(
            "definition_diff.html",
            name=name,
            before=before,
            after=after,
            differing=differences.between(drafts.files_of(before.revision), drafts.files_of(after.revision)),
        )

    def act(self, name: str, action: Literal["draft", "restore", "remove"]) -> HTTPResponse:
        """POST one of the buttons of a definition."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            why = (form.take("_why") or "").strip()
            revision = form.take("revision") or ""
        self.require_author()
        if action == "draft":
            self.drafts.edit_live(name)
            return self.render.go(self.render.link("definitions", name, "edit", said="begun"))
        if action == "restore":
            if not _REVISION.fullmatch(revision):
                raise BadRequest("revision: choose a version of the history")
            self.drafts.restore(name, revision, why)
            return self.render.go(self.render.link("definitions", name, said="restored"))
        self.drafts.remove(name, why)
        return self.render.go(self.render.link("definitions", name, said="removed"))

    def export(self, name: str, kind: Format) -> HTTPResponse:
        """GET a draft as a document, to be imported elsewhere."""
        self.require_author()
        draft = self.drafts.get(name)
        definition = draft.definition
        package = Package(definition, draft.files.get(definition.entry.script, ""), draft.files.get(README_FILE, ""))
        chosen = FORMATS[kind]
        headers = {
            "Content-Type": chosen.media_type,
            "Content-Disposition": f'attachment; filename="{draft.name}{chosen.ending}"',
            "Cache-Control": "private, no-cache",
        }
        return HTTPResponse(chosen.write(package, self.services.base_url), 200, headers)

    def _confirmation(self) -> str:
        return CONFIRMATIONS.get(dict(forms.query(request.environ)).get("said", ""), "")

    def _live(self, name: str) -> tuple[Definition | None, str]:
        """Return the live definition of that name, None if there is none, and its README."""
        try:
            installed = self.job_service.definitions.get(name)
        except NotFound:
            return None, ""
        return installed.definition, installed.readme()

    def _draft(self, drafts: Drafts, name: str) -> Draft | None:
        if not drafts.may_draft:
            return None
        try:
            return drafts.get(name)
        except NotFound:
            return None

    def _history(self, drafts: Drafts, name: str) -> list[Version]:
        """Return what happened to a definition, the newest first; the newest that made a version live is the live
        one.
        """
        changes = list(drafts.history(name))
        versions: dict[str, str] = {}
        for change in changes:
            if change.revision and change.revision not in versions:
                versions[change.revision] = self._version_of(drafts, change.revision)
        newest = next((one for one in changes if one.action in (*WAS_LIVE, "remove")), None)
        live = newest if newest is not None and newest.action in WAS_LIVE else None
        return [
            Version(
                change,
                versions.get(change.revision, ""),
                _before(changes[i + 1 :], change.revision),
                change.action in WAS_LIVE,
                live is not None and live.revision == change.revision,
                live is not None and live.number == change.number,
            )
            for i, change in enumerate(changes)
        ]

    def _version_of(self, drafts: Drafts, revision: str) -> str:
        try:
            text = drafts.files_of(revision)[DEFINITION_FILE]
            return native.read_unchecked(text, DEFINITION_FILE).version
        except (NotFound, BadRequest, KeyError):
            return ""

    def _change(self, name: str, revision: str) -> Change:
        """Return the change that made a revision part of a definition's history; others are not visible here."""
        found = [change for change in self.drafts.history(name) if change.revision == revision and revision]
        if not found:
            raise NotFound(f"the history of {name[:64]!r} has no version {revision[:12]!r}")
        return next((change for change in found if change.action in WAS_LIVE), found[0])


def _before(older: Sequence[Change], revision: str) -> str:
    """Return the revision that was live before another one, '' for none."""
    return next((one.revision for one in older if one.action in WAS_LIVE and one.revision != revision), "")
