"""What every resource of a job list needs: the caller, the form, addresses to go on to. Imports services and forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from uws_server.asgi import longpoll
from uws_server.incoming import forms, json_forms
from uws_server.incoming.callers import SHARE, job_service_of, work_sessions_of
from uws_server.incoming.forms import Form
from uws_server.jobs.job import Job
from uws_server.jobs.work_session import WorkSession
from uws_server.protocol import dali
from uws_server.protocol.control import prefers_json
from uws_server.protocol.uws_json import JSON
from uws_server.services.context import Services
from uws_server.services.job_service import JobService

XML = "text/xml; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"
QUERIES = "tap"
"""The definition whose jobs are queries."""
SESSION = "X-Session"
"""The header that names the session in which work is kept that a new job is to be one of the jobs of."""


def list_path(definition: str) -> str:
    """Return the path of the job list of a definition: that of queries is where clients of TAP look for it."""
    return "/tap/async" if definition == QUERIES else f"/rest/{definition}"


class Router(Protocol):
    """What handlers are added to: an application, or what hands them on to one."""

    def route(self, path: str, method: str, callback: Any) -> Any:
        """Add the handler of a path and a method."""


class JobResource:
    """Resources of job lists, over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @property
    def job_service(self) -> JobService:
        """The job service for the caller of the current request."""
        return job_service_of(self.services, request.environ)

    @contextmanager
    def form(self) -> Iterator[Form]:
        """Give the form of the current request, or the JSON object that came in place of one.

        RESPONSEFORMAT, which is for errors too, goes to its query.
        """
        most = self.services.config.server.max_upload
        if json_forms.is_json(request.environ):
            reading = json_forms.reading(request.environ, most)
        else:
            reading = forms.reading(request.environ, self.services.spool, most)
        with reading as form:
            asked = form.take(dali.RESPONSEFORMAT)
            if asked is not None:
                request.query.replace(dali.RESPONSEFORMAT, asked)
            yield form

    def url(self, job: Job) -> str:
        """Return the job's absolute address."""
        return f"{self.services.base_url}{list_path(job.definition)}/{self.job_service.address(job.id)}"

    @property
    def share(self) -> str:
        """What is appended to addresses of the answer: the token of the share link that the request came by."""
        token = self.job_service.caller.share
        return f"?{urlencode({SHARE: token})}" if token else ""

    def session_to_join(self) -> WorkSession | None:
        """Return the session that a new job is to be added to; None if the request names none. Raise Forbidden."""
        address = request.get_header(SESSION, "").strip()
        return work_sessions_of(self.services, request.environ).joining(address) if address else None

    def join(self, session: WorkSession | None, job: Job) -> None:
        """Add a new job to the jobs of a session, if there is one."""
        if session is not None:
            work_sessions_of(self.services, request.environ).link_new(session, job)

    def held_back(self, response: HTTPResponse, seconds: int, state: str) -> HTTPResponse:
        """Return the response, held back by long polling until the job's state is another one or the time is over."""
        owner = self.job_service.caller.name
        response.set_header(longpoll.HEADER, f"{seconds} {state}" + (f" {owner}" if owner else ""))
        return response

    def see(self, job: Job) -> HTTPResponse:
        """Return status 303 to the job."""
        return HTTPResponse("", 303, {"Location": self.url(job)})


def wants_json() -> bool:
    """Check whether the current request asks for JSON in place of XML."""
    return prefers_json(request.get_header("Accept", ""))


def json_answer(document: bytes | Iterator[bytes]) -> HTTPResponse:
    """Return the answer that is a JSON document."""
    return HTTPResponse(document, 200, {"Content-Type": JSON, "Vary": "Accept"})


def xml_answer(document: bytes) -> HTTPResponse:
    """Return the answer that is an XML document."""
    return HTTPResponse(document, 200, description())


def description() -> dict[str, str]:
    """Return the headers of an XML document: of the type application/xml if only that one is asked for."""
    accept = request.get_header("Accept", "").lower()
    named = "application/xml" in accept and "text/xml" not in accept
    return {"Content-Type": XML.replace("text", "application") if named else XML, "Vary": "Accept"}
