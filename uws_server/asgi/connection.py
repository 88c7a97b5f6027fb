"""A connection of a client, with limits: how large a head may be, how long a client may keep the server waiting.

uvicorn's own protocol takes heads of any size and waits for ever: for the rest of a request, and for a client that does
not read its answer. Imports uvicorn, the patience and which requests have a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import http
import logging
import struct
import termios
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from uws_server.asgi.bodies import BODIES
from uws_server.asgi.patience import Patience
from uws_server.asgi.types import HALF_CLOSED, PARKED, Scope

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.ERROR)  # uvicorn warns of each wrong request: whoever sends them would fill the disk

MOST_HEAD = 1 << 16
"""Bytes of a request line and headers, together; as many may stand around the chunks of a body, and behind them."""
_MOST_HEADERS = 200
_MOST_PIPELINED = 32
"""Requests of a connection that are kept until those before them are answered."""
_LINGER_S = 2.0
"""How long what still comes is read after a refusal: the system would take the refusal back where something is left."""
_FRAME = 16
"""Bytes around a byte of a body that comes in chunks of one byte each."""


class Refusal(NamedTuple):
    """Why a connection is ended: the status, and a sentence for the client."""

    status: int
    sentence: str


_URL_TOO_LONG = Refusal(414, f"the address is too long: it may have {MOST_HEAD:,} bytes together with the headers")
_HEAD_TOO_LARGE = Refusal(
    431, f"the headers are too large: {MOST_HEAD:,} bytes with the request line and {_MOST_HEADERS} headers are allowed"
)
_WRONG_HOST = Refusal(400, "HTTP/1.1 requests have exactly one Host header")
_WRONG_FRAMES = Refusal(400, "too much stands around the chunks of the body")
_WRONG_CODING = Refusal(501, "Transfer-Encoding: chunked is understood, once and with nothing before it")
_NO_CODINGS = Refusal(400, "HTTP/1.0 requests have no Transfer-Encoding: send Content-Length")
_TOO_MANY_AT_ONCE = Refusal(429, f"{_MOST_PIPELINED} requests of this connection wait already")
_TOO_SLOW = Refusal(408, "the request came too slowly")
_TOO_MANY = Refusal(503, "the server has too many connections: try again later")


class _HeadWithBody:
    """What a response is written to: its head goes out with the first part of its body, in one call of the system.

    Two calls are a third of what the front takes for a small answer, and each lets another thread have the interpreter.
    """

    __slots__ = ("_head", "_is_begun", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head, self._is_begun = transport, b"", False

    def write(self, data: bytes) -> None:
        """Keep the head, and send what comes behind it; an answer to `Expect: 100-continue` comes before the head."""
        if self._is_begun:
            head, self._head = self._head, b""
            self._transport.write(head + data if head else data)
        elif data.startswith(b"HTTP/1.1 100 "):
            self._transport.write(data)
        else:
            self._head, self._is_begun = data, True

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send what is left, and close the connection."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Check whether the connection is closed, or about to be."""
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """One connection, which `patience` asks every second to go on as long as its client is waited for."""

    __slots__ = ("_around", "_arrived", "_body", "_carried", "_codings", "_credit", "_has_body", "_head", "_hosts",
                 "_in_body", "_in_head", "_is_counted", "_patience", "_peer", "_refused", "_running",
                 "_unread")  # fmt: skip

    def __init__(self, *, patience: Patience, **options: Any) -> None:
        super().__init__(**options)
        self.logger = LOG
        self._patience, self._credit = patience, patience.seconds
        self._peer = ""
        self._is_counted = self._in_head = self._in_body = self._has_body = self._refused = False
        self._head = self._carried = self._body = self._arrived = self._around = self._unread = self._hosts = 0
        self._codings: list[bytes] = []
        self._running: RequestResponseCycle | None = None

    # --- what comes --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request; refuse the connection if there are too many."""
        super().connection_made(transport)
        self._peer = self._patience.peer_of(self.client[0] if self.client else "")
        self._is_counted = self._patience.admit(self._peer)
        if self._is_counted:
            self._await()
        else:
            self._refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is worked on: not only, as uvicorn does, the last one that came."""
        self._patience.forget(self)
        if self._is_counted:
            self._patience.leave(self._peer)
        self._disconnect()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked of a client that sends no more; return False to close the connection.

        It is closed where no whole request is left to be answered, or where the client waits for a change: most of
        those have gone, and a place is held for them.
        """
        running, last = self._running, self.cycle
        if running is None or self._refused or self._in_head or self._in_body or running.scope.get(PARKED):
            return False
        last.keep_alive = False
        for cycle in (running, last, *(cycle for cycle, _ in self.pipeline)):
            cast(Scope, cycle.scope)[HALF_CLOSED] = True
        return True

    def data_received(self, data: bytes) -> None:
        """Read what came, within the limits."""
        if self._refused:
            return
        before, was_in_head, was_in_body, body = self.cycle, self._in_head, self._in_body, self._body
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        is_same = before is self.cycle
        if self._in_head:
            self._carried += len(data) if was_in_head and is_same else 0
            if max(self._carried, self._head) > MOST_HEAD:
                self._refuse(self._too_large())
        elif self._in_body and was_in_body and is_same:
            self._around += len(data) - (self._body - body)
            if self._around > MOST_HEAD + _FRAME * self._body:
                self._refuse(_WRONG_FRAMES)
        # of no request: line ends that came between two of them
        if self._in_head or self._in_body or self._running is None:
            self._await()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._in_body, self._credit = True, False, self._patience.seconds
        self._has_body, self._hosts, self._codings = False, 0, []
        self._head = self._carried = self._body = self._arrived = self._around = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._head += len(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a body are dropped, since the headers have been acted upon."""
        self._head += len(name) + len(value) + 4
        if self._in_body:
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"content-length" or name == b"transfer-encoding":
            self._has_body = self._has_body or value.strip() != b"0"
            if name == b"transfer-encoding":
                self._codings += (coding.strip().lower() for coding in value.split(b","))
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Begin to answer a request whose head is in order."""
        self._in_head = False
        if self._refused:
            return
        refusal = self._wrong_head()
        if refusal is not None:
            self._refuse(refusal)
            return
        super().on_headers_complete()
        self._in_body, self._credit = True, self._patience.seconds
        if self._has_body and self.scope["method"] not in BODIES:
            self.cycle.keep_alive = False  # nobody reads the body: a next request is not to wait for its end

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        if not self._refused:
            super().on_message_complete()

    def _wrong_head(self) -> Refusal | None:
        if self._head > MOST_HEAD or len(self.headers) > _MOST_HEADERS:
            return self._too_large()
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            return _WRONG_HOST
        if self._codings:
            if self.parser.get_http_version() == "1.0":
                return _NO_CODINGS  # RFC 9112, section 6.1: whoever passed it on may have read it otherwise
            if self._codings != [b"chunked"]:
                return _WRONG_CODING
        return _TOO_MANY_AT_ONCE if len(self.pipeline) >= _MOST_PIPELINED else None

    def _too_large(self) -> Refusal:
        return _URL_TOO_LONG if len(self.url) > MOST_HEAD // 2 else _HEAD_TOO_LARGE

    # --- what is sent ------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.transport = cast(asyncio.Transport, _HeadWithBody(cycle.transport))
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for one."""
        if self._running is not None:
            cast(_HeadWithBody, self._running.transport).flush()
        self._running = None
        super().on_response_complete()
        if self.transport.is_closing():
            self._await()  # its last bytes may never be read

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody used for a while."""
        super().timeout_keep_alive_handler()
        self._await()

    def pause_writing(self) -> None:
        """Wait until the client has read some of what was sent."""
        super().pause_writing()
        self._await()

    # --- patience ----------------------------------------------------------------------------------------

    def go_on(self, seconds: float) -> bool:
        """Check whether the client still has to be waited for, after so many more seconds; end one that is too slow."""
        if self._refused:
            self._credit -= seconds
        elif self.transport.is_closing() or self.flow.write_paused:
            before, self._unread = self._unread, self._count_unread()
            self._spend(seconds, max(0, before - self._unread))
        elif self._in_body:
            arrived, self._arrived = self._body - self._arrived, self._body
            if not (self.flow.read_paused or self.cycle.waiting_for_100_continue):  # else the client waits for us
                self._spend(seconds, arrived)
        elif self._in_head or (self._running is None and self.timeout_keep_alive_task is None):
            self._credit -= seconds
        else:
            return False
        if self._credit <= 0:
            self._end()
        return True

    def _await(self) -> None:
        if self._patience.watch(self):
            self._credit = _LINGER_S if self._refused else self._patience.seconds
            self._unread = 0

    def _spend(self, seconds: float, moved: int) -> None:
        earned = moved / self._patience.least_rate
        self._credit = min(self._patience.seconds, self._credit - seconds + earned)

    def _end(self) -> None:
        """End the connection of a client that was too slow."""
        if self._refused or self.transport.is_closing() or self.flow.write_paused:
            self.transport.abort()
        elif self._in_body or self._in_head:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _count_unread(self) -> int:
        """Return how many bytes the client has not acknowledged, here and in the system."""
        queued = 0
        with contextlib.suppress(OSError, ValueError):  # the socket is closed
            number = self.transport.get_extra_info("socket").fileno()
            queued = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))[0]
        return int(queued) + self.transport.get_write_buffer_size()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request."""
        self._refuse(Refusal(400, msg))

    def _refuse(self, refusal: Refusal) -> None:
        """End the connection, with a sentence if that can only be taken for the answer to what is refused."""
        if self._refused:  # what comes behind it in the same piece is refused with it
            return
        unanswered = [cycle for cycle in {self.cycle, self._running} if cycle and not cycle.response_complete]
        is_own = self._in_body and unanswered == [self.cycle] and not self.cycle.response_started
        can_tell = is_own or not (self._in_body or unanswered)
        self._refused, self._credit = True, _LINGER_S
        self._unset_keepalive_if_required()
        self._disconnect()
        if can_tell and not (self.flow.write_paused or self.transport.is_closing()):
            self.flow.resume_reading()
            self.transport.write(_answer(refusal))
            self.transport.write_eof()
        else:
            self.transport.close()
        self._patience.watch(self)

    def _disconnect(self) -> None:
        """Tell every request of the connection that nobody is there for its answer."""
        for cycle in (self._running, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.waiting_for_100_continue = False  # after a refusal nothing more can be written
                cycle.message_event.set()
        self.pipeline.clear()


def _answer(refusal: Refusal) -> bytes:
    body = f"{refusal.sentence}\n".encode()
    head = f"HTTP/1.1 {refusal.status} {http.HTTPStatus(refusal.status).phrase}\r\n"
    headers = f"content-type: text/plain; charset=UTF-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return (head + headers).encode() + body
