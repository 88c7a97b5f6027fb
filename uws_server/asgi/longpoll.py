"""Long polling: lets clients wait for a change of a job. An ASGI application around another one.

A request that may wait is passed to the application like any other. If the application answers with the header
`X-Park`, nothing is sent yet: the client waits here, in the event loop, without a thread, a database connection or a
lock, until its job changes or its time is over; then the application is asked again. All who sent the same request form
a group, which one answer serves.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from uws_server.asgi.alarms import Alarms
from uws_server.asgi.growth import Growth
from uws_server.asgi.notifier import Notifier
from uws_server.asgi.throttle import FairTurns
from uws_server.asgi.types import HALF_CLOSED, PARKED, Application, Message, Receive, Scope, Send

LOG = logging.getLogger(__name__)
HEADER = "X-Park"
"""What the application answers with to have a request wait: `<seconds at most> <state now> [<owner>]`.

The state is a word, such as the phase: the wait ends when that of a later answer is another one. The number of waiting
clients is limited for each owner; for those without one, for each address.
"""

FILE_HEADER = "X-Park-File"
"""What it answers with, too, where the wait is for a file to grow: `<bytes now> <path>`."""

_NAME = HEADER.lower().encode()
_FILE_NAME = FILE_HEADER.lower().encode()
_JOB = re.compile(
    r"/(?:rest/[^/]+|(?:tap|soda)/async)/(?:sync/)?([0-9a-f]{32})(?:-[0-9a-f]{32})?(/sync|/stdout|/stderr|/log)?"
)
"""A request that may wait: for a job or a log with a query string, or for the answer to a synchronous call."""
_IRRELEVANT = frozenset(
    b"accept-encoding accept-language cache-control connection dnt forwarded keep-alive pragma priority referer te "
    b"traceparent tracestate upgrade-insecure-requests user-agent via x-forwarded-for x-forwarded-host "
    b"x-forwarded-port x-forwarded-proto x-real-ip x-request-id".split()
)
"""Headers on which the answer to a GET of a job does not depend: requests that differ only in them are the same."""
_RECHECKS_PER_S = 50
"""Rechecks by all groups together: with many groups, each is rechecked less often."""
_TURNS = 4
"""Groups that may ask the application at the same time: other requests must not queue behind all of them, and a client
with a thousand groups is not asked for a thousand times before another one is once."""
_FULL_WAIT_S = (1.0, 2.0)
"""Seconds (at least, at most) that a request waits without a place: some clients ask again without a pause."""
_LARGE = 1 << 14
"""Bytes of address and headers from which a request gets no place: those of ten thousand would fill the memory."""


class Places:
    """Counts the clients that wait: in all, and of each owner."""

    def __init__(self, most: int, most_each: int) -> None:
        self.taken = 0
        self._each: Counter[str] = Counter()
        self._most, self._most_each = most, most_each

    def take(self, owner: str) -> bool:
        """Take a place for this owner. Return False if none is free."""
        if self.taken >= self._most or self._each[owner] >= self._most_each:
            return False
        self.taken += 1
        self._each[owner] += 1
        return True

    def free(self, owner: str) -> None:
        """Give a place back."""
        self.taken -= 1
        self._each[owner] -= 1
        if not self._each[owner]:
            del self._each[owner]  # owners come and go


@dataclass(frozen=True)
class _WaitRequest:
    """What the header `X-Park` of an answer says; `owner` is empty for a caller without an account.

    `file` are the path and the size of a file that is to grow.
    """

    seconds: float
    state: str
    owner: str
    file: tuple[str, int] | None = None


@dataclass
class _Answer:
    """An answer of the application that is held back; `wait` is None if it is to be sent at once."""

    messages: list[Message] = field(default_factory=list)
    wait: _WaitRequest | None = None

    async def keep(self, message: Message) -> None:
        self.messages.append(message)

    def open(self) -> None:
        """Take the header `X-Park` out of the answer, and read it."""
        headers = self.messages[0].get("headers", [])
        files = [value.decode("utf-8").partition(" ") for name, value in headers if name.lower() == _FILE_NAME]
        file = next(((path, int(size)) for size, _, path in files), None)
        for text in [value.decode("latin-1") for name, value in headers if name.lower() == _NAME]:
            seconds, state, owner = [*text.split(" ", 2), ""][:3]
            self.wait = _WaitRequest(float(seconds), state, owner, file)
            self.messages[0]["headers"] = [pair for pair in headers if pair[0].lower() not in (_NAME, _FILE_NAME)]

    async def release(self, send: Send) -> None:
        """Send what was held back."""
        for message in self.messages:
            await send(message)


def peer_address(scope: Scope) -> str:
    """Return the address at the other end of the connection; '' if there is none."""
    host, _ = scope.get("client") or ("", 0)
    return str(host)


class _Waiter:
    """A client that waits. A class with slots: there are thousands of them."""

    __slots__ = ("address", "deadline", "is_large", "owner", "scope", "send", "since", "state")

    def __init__(self, address: str, is_large: bool, scope: Scope, send: Send, now: float) -> None:
        self.address, self.is_large = address, is_large
        self.scope, self.send = scope, send
        self.since = now
        self.deadline = now
        self.state: str | None = None
        self.owner: str | None = None


class _Group:
    """The clients that sent the same request: one answer serves them all.

    Nothing runs for a group that waits. A notification, a new member or the clock starts a task that asks the
    application, and asks again as long as there was another reason meanwhile. An answer is only for the members that
    came before it was asked for. A class with slots: there are thousands of them where no two requests are alike.
    """

    __slots__ = ("__weakref__", "_alarm", "_asking", "_due", "_job_id", "_key", "_loop", "_new", "_notified",
                 "_polling", "_scope", "_waiting", "_wanted")  # fmt: skip

    def __init__(self, polling: LongPolling, key: object, job_id: str, scope: Scope) -> None:
        self._polling, self._key, self._job_id, self._scope = polling, key, job_id, scope
        self._loop = asyncio.get_running_loop()
        self._waiting: set[_Waiter] = set()
        self._new: list[_Waiter] = []
        self._notified = False
        self._due = self._alarm = self._wanted = math.inf
        self._asking: asyncio.Task[None] | None = None
        polling.notifier.listen(job_id, self.stir)  # before the application reads the database: no notification is lost

    def join(self, waiter: _Waiter) -> None:
        """Add a client to the group."""
        self._waiting.add(waiter)
        self._new.append(waiter)
        self._ask()

    def leave(self, waiter: _Waiter) -> None:
        """Remove a client that was answered, or hung up."""
        if waiter not in self._waiting:
            return
        self._waiting.remove(waiter)
        if waiter.owner is not None:
            self._polling.places.free(waiter.owner)
        if not self._waiting and self._asking is None:
            self._close()

    def stir(self) -> None:
        """Check whether the answer has changed for any member."""
        self._notified = True
        self._ask()

    def _ask(self) -> None:
        if self._asking is None:
            self._asking = self._loop.create_task(self._answer())

    async def _answer(self) -> None:
        while self._waiting and (self._notified or self._new):
            asked_for = self._new
            if self._notified:
                asked_for, self._due = list(self._waiting), math.inf
            self._notified, self._new = False, []
            answer = await self._polling.ask(self._scope)
            self._serve(asked_for, answer)
            if self._waiting and answer.wait is not None and answer.wait.file is not None:
                self._polling.growth.watch(*answer.wait.file, self.stir)
        self._asking = None
        if self._waiting:
            self._set_timer()
        else:
            self._close()

    def _serve(self, asked_for: Iterable[_Waiter], answer: _Answer) -> None:
        now = self._loop.time()
        for waiter in asked_for:
            if waiter not in self._waiting:
                continue  # hung up meanwhile
            if answer.wait is not None and waiter.state is None:
                self._polling.admit(waiter, answer.wait)
            if _is_for(waiter, answer, now) or self._polling.closing:
                self.leave(waiter)
                self._polling.deliver(answer, waiter.send)
            else:
                waiter.scope[PARKED] = True
                self._due = min(self._due, waiter.deadline)

    def wake(self, when: float) -> None:
        """Ask the application again, if it is time for that."""
        if when != self._alarm or not self._waiting:
            return  # an earlier alarm was set meanwhile, or everyone has gone
        self._alarm = math.inf
        if self._wanted <= self._loop.time():
            self.stir()
        else:
            self._set_alarm()

    def _set_timer(self) -> None:
        self._wanted = min(self._due, self._loop.time() + self._polling.recheck_s())
        if self._wanted < self._alarm:  # else the alarm that is set finds that it is not time yet
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._alarm = self._wanted
        self._polling.alarms.set(self._alarm, self)

    def _close(self) -> None:
        self._polling.notifier.leave(self._job_id, self.stir)
        self._polling.growth.forget(self.stir)
        self._polling.forget(self._key, self)


def _is_for(waiter: _Waiter, answer: _Answer, now: float) -> bool:
    """Check whether this is the answer that a client has waited for; one that sends no more has perhaps gone."""
    if answer.wait is None or HALF_CLOSED in waiter.scope:
        return True
    return answer.wait.state != waiter.state or now >= waiter.deadline


class LongPolling:
    """The ASGI application: requests that may wait are kept here, all others go straight to `application`.

    At most `most` clients wait, `most_each` of one owner; further ones are held for a second or two and then answered.
    Every `recheck_s` seconds the application is asked again, in case a notification was lost. `address` returns the
    address that a request comes from. For those who wait it is `asked` that is asked (None: `application`): nothing
    that has a request stand in its client's own line, since a turn that all have in common is held meanwhile.
    """

    def __init__(
        self,
        application: Application,
        notifier: Notifier,
        most: int = 12_000,
        most_each: int = 500,
        recheck_s: float = 20.0,
        address: Callable[[Scope], str] = peer_address,
        asked: Application | None = None,
    ) -> None:
        self._application, self._recheck_s, self._address = application, recheck_s, address
        self._asked = asked or application
        self._groups: dict[object, _Group] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._turns = FairTurns(_TURNS)
        self.notifier = notifier
        self.alarms = Alarms()
        self.growth = Growth()
        self.places = Places(most, most_each)
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        job = _JOB.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if job is None or scope["method"] not in ("GET", "HEAD") or not _may_wait(job[2], scope["query_string"]):
            await self._application(scope, receive, send)
        elif scope["method"] == "HEAD":  # UWS 1.1, section 2.2.1.2: only GET waits
            await (await self.ask(scope)).release(send)
        else:
            await self._wait(job[1], scope, receive, send)

    def close(self) -> None:
        """Answer every client with the answer as it is now, because the server stops."""
        self.closing = True
        for group in tuple(self._groups.values()):
            group.stir()

    async def _wait(self, job_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        relevant = tuple(pair for pair in scope["headers"] if pair[0] not in _IRRELEVANT)
        address = self._address(scope)
        # a request with an account may be refused because of others from its address: the answer depends on that
        has_account = any(name == b"authorization" for name, _ in relevant)
        key = scope["path"], scope["query_string"], relevant, address if has_account else ""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(self, key, job_id, scope)
        size = len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])
        waiter = _Waiter(address, size > _LARGE, scope, send, asyncio.get_running_loop().time())
        group.join(waiter)
        try:
            # the message comes when the client has gone, and when its answer is sent
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            group.leave(waiter)

    async def ask(self, scope: Scope) -> _Answer:
        """Return the application's answer to a request without a body; one with status 500 if it fails."""
        answer = _Answer()
        try:
            async with self._turns.of(self._address(scope)):
                await self._asked(dict(scope), _no_body(), answer.keep)
            answer.open()
        except Exception:
            LOG.exception("no answer to %s %s", scope["method"], scope["path"])
            headers = [(b"content-type", b"text/plain; charset=UTF-8")]
            start = {"type": "http.response.start", "status": 500, "headers": headers}
            return _Answer([start, {"type": "http.response.body", "body": b"the server failed; its log tells more\n"}])
        return answer

    def admit(self, waiter: _Waiter, wait: _WaitRequest) -> None:
        """Grant a new member its time, or a second or two if too many clients wait or its request is large."""
        owner = f"owner {wait.owner}" if wait.owner else f"address {waiter.address}"
        seconds = wait.seconds
        if not waiter.is_large and self.places.take(owner):
            waiter.owner = owner
        else:
            seconds = min(seconds, random.uniform(*_FULL_WAIT_S))
        waiter.state = wait.state
        waiter.deadline = waiter.since + seconds

    def deliver(self, answer: _Answer, send: Send) -> None:
        """Send an answer in a task of its own: a client that reads slowly keeps nobody else waiting."""
        task = asyncio.get_running_loop().create_task(answer.release(send))
        self._deliveries.add(task)
        task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOG.error("an answer could not be sent", exc_info=task.exception())

    def recheck_s(self) -> float:
        """Return the seconds until the application is asked again without a notification."""
        return max(self._recheck_s, len(self._groups) / _RECHECKS_PER_S)

    def forget(self, key: object, group: _Group) -> None:
        """Remove a group that has no members any more."""
        if self._groups.get(key) is group:
            del self._groups[key]


def _may_wait(resource: str | None, query: bytes) -> bool:
    """Check whether a request may wait, by what of a job it asks for; a log that is not waited for may be long."""
    if resource in (None, "/sync"):
        return bool(resource or query)
    return asks_to_wait(query)


def asks_to_wait(query: bytes) -> bool:
    """Check whether a request for a log asks to wait: its answer is held back here, so that it must not be long."""
    return b"WAIT=" in query.upper()


def _no_body() -> Receive:
    """Return a receiver for an empty request body and a client that stays."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive
