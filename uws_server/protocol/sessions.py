"""Sessions in which work is kept, for programs, as JSON: listed, made, saved, shared, copied, deleted.

GET    /sessions                   the caller's sessions, fifty at a time (`page`)
POST   /sessions                   a new one: 201
GET    /sessions/{id}              one, with its jobs; of a share link too: /sessions/{id}-{key}
PUT    /sessions/{id}              all that it holds, PATCH some of it: the revision that was changed comes along
DELETE /sessions/{id}              it goes, its jobs stay: 204
POST   /sessions/{id}/jobs         {"job": id or address}: one more job; DELETE /sessions/{id}/jobs/{job}: one less
POST   /sessions/{id}/copy         a copy of the caller's own: 201
POST   /sessions/{id}/share        the share link; DELETE revokes it

Imports the services and the readers of forms.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound, ServerError
from uws_server.incoming import session_forms
from uws_server.incoming.callers import BASIC, BEARER, SHARE, WORK_COOKIE, cookie_of, keep_cookie, work_sessions_of
from uws_server.jobs.work_session import SessionContent
from uws_server.protocol.resource import JobResource
from uws_server.protocol.uws_xml import timestamp
from uws_server.services import job_keys
from uws_server.services.session_content import read_content, written_content
from uws_server.services.work_sessions import OpenSession, SessionJob, SessionRow, WorkSessions

JSON = "application/json"
ADDRESS = "/sessions/<address>"
PER_PAGE = 50
_MOST_PAGES = 1000

Handler = Callable[..., HTTPResponse]


class SessionResources(JobResource):
    """The resources over one set of services."""

    @property
    def routes_by_accept(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of every resource; some of the addresses are those of pages, too."""
        found: list[tuple[str, str, Handler]] = [
            ("GET", "/sessions", self.all),
            ("POST", "/sessions", self.create),
            ("GET", ADDRESS, self.one),
            ("PUT", ADDRESS, self.replace),
            ("PATCH", ADDRESS, self.change),
            ("DELETE", ADDRESS, self.delete),
            ("POST", f"{ADDRESS}/jobs", self.add_job),
            ("DELETE", f"{ADDRESS}/jobs/<job_id:re:{job_keys.ADDRESS}>", self.remove_job),
            ("POST", f"{ADDRESS}/copy", self.copy),
            ("POST", f"{ADDRESS}/share", self.share_link),
            ("DELETE", f"{ADDRESS}/share", self.revoke),
        ]
        return [(method, path, _json_errors(handler)) for method, path, handler in found]

    @property
    def sessions(self) -> WorkSessions:
        """The sessions for the caller of the current request."""
        return work_sessions_of(self.services, request.environ)

    def all(self) -> HTTPResponse:
        """GET the caller's sessions, those that were changed last first."""
        page = read_page(request.query.get("page", "1"))
        rows, has_more = self.sessions.listed((page - 1) * PER_PAGE, PER_PAGE)
        return _json({"sessions": [self._row(row) for row in rows], "more": has_more})

    def create(self) -> HTTPResponse:
        """POST what a new session is to hold: 201 with the session."""
        self.job_service.require_entry()
        content = read_content(session_forms.content_of(self._document()), SessionContent())
        return self._made(self.sessions, lambda sessions: sessions.new(content))

    def one(self, address: str) -> HTTPResponse:
        """GET a session with its jobs."""
        sessions = self.sessions
        return self._answer(sessions, sessions.find(address))

    def replace(self, address: str) -> HTTPResponse:
        """PUT all that a session is to hold; what does not come is empty."""
        return self._save(address, lambda _: SessionContent())

    def change(self, address: str) -> HTTPResponse:
        """PATCH some of what a session holds; the rest stays."""
        return self._save(address, lambda before: before)

    def delete(self, address: str) -> HTTPResponse:
        """DELETE a session; its jobs stay."""
        self.sessions.delete(address)
        return HTTPResponse("", 204)

    def add_job(self, address: str) -> HTTPResponse:
        """POST `job`, an id or an address: the session with that job."""
        sessions, job = self.sessions, self._document().get("job", "")
        if not isinstance(job, str):
            raise BadRequest("job: the id or the address of a job is allowed, as text")
        sessions.link(address, job)
        return self._answer(sessions, sessions.find(address))

    def remove_job(self, address: str, job_id: str) -> HTTPResponse:
        """DELETE a job from a session; the job itself stays."""
        self.sessions.unlink(address, job_id)
        return HTTPResponse("", 204)

    def copy(self, address: str) -> HTTPResponse:
        """POST: 201 with a copy, which is the caller's own."""
        return self._made(self.sessions, lambda sessions: sessions.copy(address))

    def share_link(self, address: str) -> HTTPResponse:
        """POST: the share link of a session, made if there is none."""
        return _json({"share": self._url(self.sessions.share(address))})

    def revoke(self, address: str) -> HTTPResponse:
        """DELETE the share link of a session."""
        self.sessions.unshare(address)
        return HTTPResponse("", 204)

    def _save(self, address: str, before: Callable[[SessionContent], SessionContent]) -> HTTPResponse:
        sessions = self.sessions
        session = sessions.changeable(address)
        document = self._document()
        revision = session_forms.revision_of(document.get("revision"), request.get_header("If-Match", ""))
        content = read_content(session_forms.content_of(document), before(session.content))
        return self._answer(sessions, sessions.save(address, revision, content))

    def _made(self, sessions: WorkSessions, make: Callable[[WorkSessions], OpenSession]) -> HTTPResponse:
        made = make(sessions)
        response = self._answer(sessions, made)
        response.status = 201
        if made.session.owner is None:  # a script of the sky page made it for a browser without an account
            remembered = sessions.remembering(cookie_of(request.environ, WORK_COOKIE), made.session.id)
            seconds = self.services.config.jobs.keep_days * 86400
            keep_cookie(self.services, response, WORK_COOKIE, remembered, seconds)
        response.set_header("Location", self._url(made.address))
        return response

    def _document(self) -> Mapping[str, Any]:
        """Return what came: a JSON object, or the fields of a form."""
        kind = request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            with self.form() as form:
                document = session_forms.read_form(form)
                return {**{name: texts[-1] for name, texts in form.values.items() if name != SHARE}, **document}
        return session_forms.read_json(request.environ, self.services.spool)

    def _answer(self, sessions: WorkSessions, found: OpenSession) -> HTTPResponse:
        session = found.session
        shared = f"{session.id}-{session.share}" if session.share and found.may_change else ""
        content = {
            "id": session.id,
            "url": self._url(found.address),
            "sky": f"{self.services.base_url}/sky?session={found.address}",
            "owner": session.owner,
            "created": timestamp(session.created),
            "changed": timestamp(session.changed),
            "revision": session.revision,
            "may_change": found.may_change,
            "share": self._url(shared) if shared else None,
            **written_content(session.content),
            "jobs": [self._job(one) for one in sessions.jobs(found)],
        }
        response = _json(content)
        response.set_header("ETag", f'"{session.revision}"')
        return response

    def _job(self, one: SessionJob) -> dict[str, Any]:
        if one.job is None:
            return {"id": one.job_id, "seen": one.seen.value}
        job, token = one.job, f"?{SHARE}={one.share}" if one.share else ""
        progress = self.job_service.progress(job)
        return {
            "id": job.id,
            "seen": one.seen.value,
            "definition": job.definition,
            "phase": job.phase.value,
            "run_id": job.run_id,
            "stage": progress.stage if progress else "",
            "url": f"{self.url(job)}{token}",
            "page": f"{self.services.base_url}/jobs/{self.job_service.address(job.id)}{token}",
        }

    def _row(self, row: SessionRow) -> dict[str, Any]:
        one = row.summary
        return {
            "id": one.id,
            "url": self._url(row.address),
            "owner": one.owner,
            "name": one.name,
            "created": timestamp(one.created),
            "changed": timestamp(one.changed),
            "source": one.source,
            "background": one.background,
            "definition": one.definition,
            "exposures": one.selected,
            "shared": one.share is not None,
            "jobs": dict(row.jobs),
        }

    def _url(self, address: str) -> str:
        return f"{self.services.base_url}/sessions/{address}"


def read_page(text: str) -> int:
    """Return the number of a page of the list, from 1 on. Raise NotFound for a number that no page has."""
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST_PAGES:
        return int(text)
    raise NotFound(f"there is no page {text[:10]!r} of the sessions")


def _json_errors(handler: Handler) -> Handler:
    """Return a handler whose refusals are JSON: one sentence as `error`."""

    @functools.wraps(handler)
    def answer(**parts: str) -> HTTPResponse:
        try:
            return handler(**parts)
        except ServerError as error:
            if error.status >= 500:
                raise
            response = _json({"error": str(error)}, error.status)
            for challenge in (BASIC, BEARER) if error.status == 401 else ():
                response.add_header("WWW-Authenticate", challenge)
            return response

    return answer


def _json(content: Mapping[str, Any], status: int = 200) -> HTTPResponse:
    return HTTPResponse(json.dumps(content).encode(), status, {"Content-Type": JSON, "Cache-Control": "no-store"})
