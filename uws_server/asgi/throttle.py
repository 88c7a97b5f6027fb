"""Keeps one client from taking every thread: an ASGI application around another one. Imports its types.

Of one client so many requests are worked on at a time, from when they come to when their answer begins; its others wait
in the event loop, without a thread, and everybody else goes on. Looks, changes and uploads have lines of their own:
files on their way, which may take long, keep nobody of the same house from looking after a job. What is quick takes no
turn: it would wait longer for one than it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from uws_server.asgi.types import Application, Message, Receive, Scope, Send

_UNCHANGING = ("GET", "HEAD", "OPTIONS")
_LARGE = 1 << 16
"""Bytes from which a request body is an upload."""


@dataclass
class _Line:
    """The turns of one client, and how many of its requests have one or wait for one."""

    turns: asyncio.Semaphore
    length: int = 0


class Throttle:
    """The application for clients, told apart by `address`, of which none has more than `each` requests worked on."""

    def __init__(
        self,
        application: Application,
        address: Callable[[Scope], str],
        each: int,
        is_quick: Callable[[Scope], bool] = lambda _scope: False,
    ) -> None:
        self._application, self._address, self._each, self._is_quick = application, address, each, is_quick
        self._lines: dict[tuple[str, str], _Line] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request when it is its turn."""
        if self._is_quick(scope):
            await self._application(scope, receive, send)
            return
        who = self._address(scope), _kind(scope)
        line = self._lines.setdefault(who, _Line(asyncio.Semaphore(self._each)))
        line.length += 1
        has_turn = False

        def leave() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                line.turns.release()

        async def sending(message: Message) -> None:
            leave()  # what is sent now waits for the client, in no thread
            await send(message)

        try:
            await line.turns.acquire()
            has_turn = True
            await self._application(scope, receive, sending)
        finally:
            leave()
            line.length -= 1
            if not line.length:
                del self._lines[who]  # clients come and go


def _kind(scope: Scope) -> str:
    """Which line of its client a request stands in."""
    if scope["method"] in _UNCHANGING:
        return "look"
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    is_small = announced.isdigit() and len(announced) <= len(str(_LARGE)) and int(announced) <= _LARGE
    return "change" if is_small else "upload"
