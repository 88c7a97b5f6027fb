"""Answers some requests in the event loop itself: an ASGI application around another one. Imports its types.

The way through a thread and back takes longer than to look a job up. A function that answers at once is asked first;
what it has no answer for, and what it fails at, is passed on to the application.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from uws_server.asgi.types import Application, Receive, Scope, Send

LOG = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Shortcut:
    """Asks `at_once` for the answer to each request first, which must not wait for anything."""

    def __init__(self, application: Application, at_once: Callable[[Scope], Answer | None]) -> None:
        self._application, self._at_once = application, at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = self._at_once(scope)
        except Exception:  # the application tells the client what it is
            LOG.exception("no answer at once to %s %s", scope["method"], scope["path"])
            answer = None
        if answer is None:
            await self._application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
