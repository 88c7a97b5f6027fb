"""The list of sessions in which work is kept, and the page of one: its forms, its jobs live, its products together.

Imports the services and the pictures of jobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Conflict, NotFound, Problem, problems_of
from uws_server.incoming import forms, session_forms
from uws_server.incoming.callers import WORK_COOKIE, cookie_of, work_sessions_of
from uws_server.incoming.forms import Form
from uws_server.jobs.phases import ACTIVE, ENDED
from uws_server.jobs.work_session import SessionContent
from uws_server.services.context import Services
from uws_server.services.session_content import read_content
from uws_server.services.work_sessions import OpenSession, WorkSessions
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.sessions.rows import MOST_SHOWN, JobRows, continue_query, footprints_query, short_region
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

PER_PAGE = 50
_MOST_LISTED = 200
"""Exposures of a selection that the page lists; all of them stand in its form."""


class SessionPages(Page):
    """The pages over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render, self.pictures = render, pictures

    @property
    def sessions(self) -> WorkSessions:
        """Return the sessions for the reader."""
        return work_sessions_of(self.services, request.environ)

    # --- looking ---------------------------------------------------------------------------------------

    def all(self) -> HTTPResponse:
        """GET the reader's sessions, those changed last first."""
        number = _number("page", 1)
        rows, has_more = self.sessions.listed((number - 1) * PER_PAGE, PER_PAGE)
        return self.render.page("sessions.html", rows=rows, more=has_more, number=number,
                                unlisted=self._is_unlisted, short_region=short_region)  # fmt: skip

    def page(self, address: str) -> HTTPResponse:
        """GET a session; 303 to its own address for who may change it and came by another one."""
        sessions = self.sessions
        found = sessions.find(address)
        if found.address != address:
            return self.render.go(self.render.link("sessions", found.address))
        return self._show(sessions, found)

    def go_on(self, address: str) -> HTTPResponse:
        """GET: 303 to the sky page as the session was left."""
        found = self.sessions.find(address)
        return self.render.go(self.render.link("sky", **continue_query(found.session.content, found.address)))

    def state(self, address: str) -> HTTPResponse:
        """GET phase, stage and elapsed time of the jobs that the page of a session shows."""
        sessions = self.sessions
        rows = self._rows(sessions, sessions.find(address))
        state = {"rows": [row.state() for row in rows.shown(_number("jobs", 0))]}
        return HTTPResponse(json.dumps(state), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def products(self, address: str, suffix: Literal["tar", "zip"]) -> HTTPResponse:
        """GET all files of the ended jobs of a session as one tar or zip file."""
        sessions = self.sessions
        found = sessions.find(address)
        folder = f"session-{found.session.id[:8]}"
        jobs = [one.job for one in sessions.jobs(found) if one.job is not None and one.job.phase in ENDED]
        members = [
            member
            for job in jobs
            for member in self.pictures.members(
                self.job_service.results.filled(job), f"{folder}/{job.definition}-{job.id[:8]}"
            )
        ]
        if not members:
            raise NotFound("no job of this session has left files yet")
        return self.pictures.sent_archive(members, folder, suffix)

    # --- changing --------------------------------------------------------------------------------------

    def create(self) -> HTTPResponse:
        """POST a new session, of what the form holds: 303 to its page."""
        with self._form() as form:
            goes_on = form.take("_go") is not None
            content = read_content(session_forms.read_form(form), SessionContent())
        return self._made(self.sessions.new(content), goes_on)

    def save(self, address: str) -> HTTPResponse:
        """POST what a session is to hold: 303 to its page, or the page with what is wrong and what was written."""
        sessions = self.sessions
        session = sessions.changeable(address)
        with self._form() as form:
            goes_on = form.take("_go") is not None
            revision = session_forms.revision_of(form.take("revision"), "")
            document = session_forms.read_form(form)
        try:
            content = read_content(document, session.content)
        except BadRequest as error:
            return self._show(sessions, sessions.find(address), problems_of(error), 400, document)
        try:
            saved = sessions.save(address, revision, content)
        except Conflict:
            told = (
                "it was saved elsewhere meanwhile. What you wrote stands below and is not saved: open the session in "
                "another window to compare, then save again, which replaces what was saved there"
            )
            return self._show(sessions, sessions.find(address), [Problem("", told)], 409, document)
        return self._to(saved, goes_on)

    def copy(self, address: str) -> HTTPResponse:
        """POST: 303 to a copy, which is the reader's own."""
        self._form_without_fields()
        return self._made(self.sessions.copy(address))

    def add_job(self, address: str) -> HTTPResponse:
        """POST the id or address of a job: 303 to the session with that job."""
        with self._form() as form:
            job = (form.take("job") or "").strip()
        sessions = self.sessions
        try:
            sessions.link(address, job)
        except (BadRequest, NotFound) as error:
            return self._show(sessions, sessions.find(address), [Problem("", str(error))], error.status)
        return self.render.go(self.render.link("sessions", address) + "#jobs-of-session")

    def remove_job(self, address: str, job_id: str) -> HTTPResponse:
        """POST: 303 to the session without a job, which itself stays."""
        self._form_without_fields()
        self.sessions.unlink(address, job_id)
        return self.render.go(self.render.link("sessions", address) + "#jobs-of-session")

    def share(self, address: str) -> HTTPResponse:
        """POST: make a share link; see `act`."""
        return self.act(address, "share")

    def act(self, address: str, action: Literal["share", "unshare", "delete"]) -> HTTPResponse:
        """POST one of the buttons: back to the session, or to the list."""
        self._form_without_fields()
        sessions = self.sessions
        if action == "delete":
            sessions.delete(address)
            return self.render.go(self.render.link("sessions"))
        if action == "share":
            sessions.share(address)
        else:
            sessions.unshare(address)
        return self.render.go(self.render.link("sessions", address) + "#share")

    # --- parts -----------------------------------------------------------------------------------------

    def _show(
        self,
        sessions: WorkSessions,
        found: OpenSession,
        problems: Sequence[Problem] = (),
        status: int = 200,
        written: dict[str, Any] | None = None,
    ) -> HTTPResponse:
        """Return the page of a session; `written` is what a form brought that could not be saved."""
        session, base = found.session, self.services.base_url
        rows = self._rows(sessions, found)
        first = _number("jobs", 0)
        shown = rows.shown(first)
        definitions = self.job_service.definitions.by_name()
        content = session.content
        response = self.render.page(
            "session.html",
            status,
            session=session,
            content=content,
            written={"exposures": content.exposures, **(written or {})},
            address=found.address,
            may_change=found.may_change,
            may_copy=self.job_service.may_enter(),
            has_key=found.may_change and found.address != session.id,
            is_public=self._is_public(found),
            problems=problems,
            definition=definitions[content.definition].definition if content.definition in definitions else None,
            listed=content.exposures[:_MOST_LISTED],
            footprints=self._footprints(content),
            share=f"{base}/sessions/{session.id}-{session.share}" if session.share and found.may_change else "",
            url=f"{base}/sessions/{found.address}",
            jobs=shown,
            first=first,
            total=rows.total,
            following=first + MOST_SHOWN if first + MOST_SHOWN < rows.total else None,
            previous=max(0, first - MOST_SHOWN) if first else None,
            has_products=rows.has_products,
            live=any(row.job is not None and row.job.phase in ACTIVE for row in shown),
        )
        if found.may_change and found.address != session.id:
            self._remember(response, session.id)
        return response

    def _footprints(self, content: SessionContent) -> str:
        """Return the address of the picture of the selected exposures; '' if there is none, or not for the reader."""
        if self.services.config.folders.archive is None or not self.job_service.may_enter():
            return ""
        query = footprints_query(content)
        return self.render.link("archive", "footprints.svg", **query) if query else ""

    def _rows(self, sessions: WorkSessions, found: OpenSession) -> JobRows:
        return JobRows(sessions.jobs(found), self.job_service, self.render, self.pictures)

    def _to(self, found: OpenSession, goes_on: bool) -> HTTPResponse:
        """Return 303 to a session, or to the sky page with it, from where it was saved."""
        parts = ("sessions", found.address, "continue") if goes_on else ("sessions", found.address)
        return self.render.go(self.render.link(*parts))

    def _made(self, made: OpenSession, goes_on: bool = False) -> HTTPResponse:
        """Return 303 to a new session, which the browser of who has no account remembers."""
        response = self._to(made, goes_on)
        if made.session.owner is None:
            self._remember(response, made.session.id)
        return response

    def _remember(self, response: HTTPResponse, session_id: str) -> None:
        """Have the browser remember a session of nobody."""
        text = self.sessions.remembering(cookie_of(request.environ, WORK_COOKIE), session_id)
        self.render.set_cookie(response, WORK_COOKIE, text, self.services.config.jobs.keep_days * 86400)

    @property
    def _is_unlisted(self) -> bool:
        return self.job_service.uses_keys()

    def _is_public(self, found: OpenSession) -> bool:
        return found.session.owner is None and not self._is_unlisted

    @contextmanager
    def _form(self) -> Iterator[Form]:
        """Give the form of the current request. Raise Forbidden if it is not of our pages."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            yield form

    def _form_without_fields(self) -> None:
        with self._form():
            pass


def _number(name: str, lowest: int) -> int:
    """Return a number of the query, the lowest allowed if it does not stand there. Raise NotFound for another text."""
    text = request.query.get(name, str(lowest))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= lowest):
        raise NotFound(f"{name}: {text[:20]!r} came; a whole number from {lowest} on is allowed")
    return int(text)
