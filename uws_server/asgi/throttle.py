"""Keeps one client from occupying every thread: an ASGI application around another one. Imports types, bodies.

Only so many requests of one client are worked on at a time, from their arrival until their answer begins; its others
wait in the event loop, without a thread, and those of other clients go on. Looks, changes and uploads have queues of
their own: uploads, which may take long, delay nobody at the same address who looks after a job. Quick requests do not
queue: they would wait longer than they take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from uws_server.asgi.bodies import SMALL, UNCHANGING
from uws_server.asgi.types import Application, Message, Receive, Scope, Send


class FairTurns:
    """So many turns at a time, given to those who wait for them in rounds: one to each, whoever asks for many."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Have a turn as long as the block lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._stand_in_line(who)
        try:
            yield
        finally:
            self._pass_on()

    async def _stand_in_line(self, who: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came just then
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a turn to the next one: to the first of the line that waits longest for its next."""
        while self._lines:
            who = next(iter(self._lines))
            line = self._lines.pop(who)
            turn = line.popleft()
            if line:
                self._lines[who] = line  # now the last
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass
class _Queue:
    """The turns of one client, and how many of its requests have one or wait for one."""

    turns: asyncio.Semaphore
    length: int = 0


class Throttle:
    """Passes requests on, at most `each` of one client (told apart by `address`) at a time."""

    def __init__(
        self,
        application: Application,
        address: Callable[[Scope], str],
        each: int,
        is_quick: Callable[[Scope], bool] = lambda _scope: False,
    ) -> None:
        self._application, self._address, self._each, self._is_quick = application, address, each, is_quick
        self._queues: dict[tuple[str, str], _Queue] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request when it is its turn."""
        if self._is_quick(scope):
            await self._application(scope, receive, send)
            return
        who = self._address(scope), _kind(scope)
        queue = self._queues.setdefault(who, _Queue(asyncio.Semaphore(self._each)))
        queue.length += 1
        has_turn = False

        def leave() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                queue.turns.release()

        async def sending(message: Message) -> None:
            leave()  # what is sent now waits for the client, in no thread
            await send(message)

        try:
            await queue.turns.acquire()
            has_turn = True
            await self._application(scope, receive, sending)
        finally:
            leave()
            queue.length -= 1
            if not queue.length:
                del self._queues[who]  # clients come and go


def _kind(scope: Scope) -> str:
    """Return which queue of its client a request stands in."""
    if scope["method"] in UNCHANGING:
        return "look"
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    is_small = announced.isdigit() and len(announced) <= len(str(SMALL)) and int(announced) <= SMALL
    return "change" if is_small else "upload"
