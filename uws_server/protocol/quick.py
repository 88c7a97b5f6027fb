"""GET of a job, its single values and the newest jobs in the event loop: the resources, over a store at hand.

The answers are those of `uws`, made by the same code for the same caller. What has to be waited for has no answer
here. Imports the resources and the ASGI side.
"""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from bottle import HTTPResponse, request

from uws_server.asgi.bodies import has_body
from uws_server.asgi.shortcut import Answer
from uws_server.asgi.types import Scope
from uws_server.asgi.wsgi import environ_of
from uws_server.errors import NotAtHand, ServerError
from uws_server.incoming.callers import SESSION_COOKIE
from uws_server.incoming.sites import require_own
from uws_server.jobs.job import Job, Progress
from uws_server.protocol.uws import ATOMS, UWS
from uws_server.services import job_keys
from uws_server.services.context import Services

_PATH = re.compile(rf"/rest/([^/\n]+)(?:/({job_keys.ADDRESS})(?:/(\w+))?)?")
_SESSION = f"{SESSION_COOKIE}=".encode()
_OF_SESSION = re.compile(rb"share=[^&]{33}")
"""The share link of a session in which work is kept: what it shows is looked up in a thread."""
_MOST_KEPT = 1000


class QuickUWS(UWS):
    """The resources that have an answer at once, over services that give it."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._documents: OrderedDict[tuple[str, str], tuple[Job, Progress | None, bytes]] = OrderedDict()

    def answer(self, scope: Scope) -> HTTPResponse | None:
        """Return the answer to a request. Return None if it cannot be had at once; raise the error of a refusal."""
        asked = _PATH.fullmatch(scope["path"])
        if asked is None or scope["method"] not in ("GET", "HEAD") or asked[3] not in (None, *ATOMS):
            return None
        if asked[2] is None and b"LAST=" not in scope["query_string"].upper():
            return None
        environ = environ_at_once(scope, self.services)
        if environ is None:
            return None
        request.bind(environ)  # of this thread alone
        try:
            if asked[2] is None:
                return self.short_list(asked[1])
            return self.atom(asked[1], asked[2], asked[3]) if asked[3] else self.job(asked[1], asked[2])
        except NotAtHand:
            return None

    def short_list(self, name: str) -> HTTPResponse | None:
        """Return the list of the newest jobs. Return None if it may be long, or definitions have to be read first."""
        if not self.job_service.definitions.are_read():
            return None
        listed = self.list(name)
        return listed if isinstance(listed.body, bytes | str) else None

    def progress(self, job: Job) -> Progress | None:
        """Return what `progress` does, from no more than the end of a log, or what is known of the queue."""
        position = self.job_service.position_at_hand(job)
        return Progress(position=position) if position else self.job_service.progress_at_hand(job)

    def document(self, job: Job) -> bytes:
        """Return the document of a job: the one that was sent before, if nothing in it has changed."""
        key, progress = (self.url(job), self.share), self.progress(job)
        kept = self._documents.get(key)
        if kept is None or kept[0] is not job or kept[1] != progress:
            kept = self._documents[key] = job, progress, super().document(job)
            if len(self._documents) > _MOST_KEPT:
                self._documents.popitem(last=False)
        self._documents.move_to_end(key)
        return kept[2]


def environ_at_once(scope: Scope, services: Services) -> dict[str, Any] | None:
    """Return a request as the application has it. Return None if who sends it has to be looked up, or must not."""
    headers = scope["headers"]
    # who is signed in is found out in a thread
    if any(name == b"authorization" or (name == b"cookie" and _SESSION in value) for name, value in headers):
        return None
    if has_body(headers) or _OF_SESSION.search(scope["query_string"]):
        return None
    environ = environ_of(scope, io.BytesIO())
    try:
        require_own(services, environ)
    except ServerError:
        return None
    return environ


def whole_answer(response: HTTPResponse, more: Iterable[tuple[str, str]]) -> Answer:
    """Return a response with a body of bytes or ASCII text as bottle would send it, with more headers."""
    body = response.body.encode() if isinstance(response.body, str) else bytes(response.body)
    response.set_header("Content-Length", str(len(body)))
    sent = [*response.headerlist, *more]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent]
    return Answer(response.status_code, headers, body)
