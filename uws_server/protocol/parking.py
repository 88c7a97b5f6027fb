"""The front that lets clients WAIT: an ASGI application around the WSGI one. Imports nothing of ours.

A request with WAIT is put to the WSGI application like any other. Where that answers with the header `X-Park`
(seconds and phase), nothing is sent yet: the request waits here, in the event loop, without a thread, a database
connection or a lock, until its job changes or its time is over; then the application is asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER = "X-Park"
"""What the application answers with to have a request wait: `<seconds at most> <phase now>`."""

_JOB = re.compile(r"/rest/[^/]+/([0-9a-f]{32})")
_RECHECK_S = 20.0
"""How long a request waits at most before the database is read again, should a change have gone unheard."""
_CROWDED_S = 1.5
"""How long a request waits when too many wait already: some clients ask again at once, without a pause."""


class Bell:
    """Wakes those who wait for a job; rung from any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self, job_id: str) -> None:
        """Wake everyone who waits for this job."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake, job_id)

    def listen(self, job_id: str) -> asyncio.Future[None]:
        """A future that is done at the next ring for this job."""
        self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        self._waiting.setdefault(job_id, set()).add(future)
        return future

    def leave(self, job_id: str, future: asyncio.Future[None]) -> None:
        """Wait no longer."""
        future.cancel()
        waiting = self._waiting.get(job_id, set())
        waiting.discard(future)
        if not waiting:
            self._waiting.pop(job_id, None)

    def _wake(self, job_id: str) -> None:
        for future in self._waiting.pop(job_id, ()):
            if not future.done():
                future.set_result(None)


@dataclass
class _Answer:
    """What the application answered, held back."""

    messages: list[Message] = field(default_factory=list)

    async def keep(self, message: Message) -> None:
        self.messages.append(message)

    def wish(self) -> tuple[float, str] | None:
        """For how long the request shall wait, and the job's phase now; None if this is its answer."""
        headers = self.messages[0].get("headers", [])
        found = [value.decode() for name, value in headers if name.lower() == HEADER.lower().encode()]
        if not found:
            return None
        seconds, _, phase = found[0].partition(" ")
        return float(seconds), phase

    async def release(self, send: Send) -> None:
        """Send what was held back, without our own header."""
        start = self.messages[0]
        start["headers"] = [pair for pair in start["headers"] if pair[0].lower() != HEADER.lower().encode()]
        for message in self.messages:
            await send(message)


class Front:
    """The ASGI application: WAIT requests are parked here, all others go straight to `application`."""

    def __init__(self, application: Application, bell: Bell, most: int = 12_000) -> None:
        self._application = application
        self._bell = bell
        self._most = most
        self.parked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        job = _JOB.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if job is None or b"WAIT=" not in scope["query_string"].upper():
            await self._application(scope, receive, send)
            return
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._wait(job[1], scope, send, gone)
        finally:
            gone.cancel()

    async def _wait(self, job_id: str, scope: Scope, send: Send, gone: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        first: str | None = None
        deadline = 0.0
        while True:
            bell = self._bell.listen(job_id)  # before the application reads the database: no ring is lost
            try:
                answer = _Answer()
                await self._application(dict(scope), _no_body(), answer.keep)
                wish = answer.wish()
                if wish is not None and first is None:
                    seconds, first = wish
                    deadline = loop.time() + (seconds if self.parked < self._most else min(seconds, _CROWDED_S))
                if wish is None or wish[1] != first or loop.time() >= deadline:
                    await answer.release(send)
                    return
                await self._park({bell, gone}, min(deadline - loop.time(), _RECHECK_S))
                if gone.done():
                    return
            finally:
                self._bell.leave(job_id, bell)

    async def _park(self, until: set[asyncio.Future[None]], seconds: float) -> None:
        self.parked += 1
        try:
            await asyncio.wait(until, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.parked -= 1


def _no_body() -> Receive:
    """A request body that is empty, and a client that stays."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
