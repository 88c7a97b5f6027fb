"""Runs a WSGI application in threads behind an event loop (ASGI). Imports types and bodies.

A request occupies a thread only while the application works on it: small bodies are read before, and an answer of any
length is sent piece by piece, each made when the client has taken the one before. So clients that send or read slowly
hold no thread; a large body that comes slowly holds one of those reserved for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from uws_server.asgi import later
from uws_server.asgi.bodies import SMALL, UNCHANGING, ClientGone, Headers, beginning, received
from uws_server.asgi.threads import Threads
from uws_server.asgi.types import Message, Receive, Scope, Send

Environ = dict[str, Any]
WSGI = Callable[[Any, Any], Iterable[bytes]]

_QUICK = 4
_UPLOADERS = 128
"""Uploads that are read at the same time: each keeps a thread that does nothing while its client sends slowly."""
_PIECE = 1 << 18
"""Bytes of an answer that are sent at a time."""
_LOOK_S = 1.0
_NO_BODY = frozenset({204, 304})


def _none(_scope: Scope) -> bool:
    return False


class WsgiAdapter:
    """The ASGI application that passes each request to `application` in one of `threads` threads.

    Those that change something have as many of their own: a job that is aborted may take seconds to end. Requests for
    which `is_quick` returns True never wait for anything and have few threads of their own: more would
    only contend for the interpreter (with 16 instead of 4, they take a quarter longer). What the application returns is
    iterated over as the client takes it, not always in the same thread.
    """

    def __init__(self, application: WSGI, threads: int, is_quick: Callable[[Scope], bool] = _none) -> None:
        self._application, self._is_quick = application, is_quick
        self._workers = Threads(threads, "request")
        self._quick = Threads(_QUICK, "quick")
        self._changers = Threads(threads, "change")
        self._uploaders = Threads(_UPLOADERS, "upload")
        self._changing = 0
        """Requests that may change something and are being answered."""

    def close(self) -> None:
        """Wait until the threads have finished their requests."""
        for pool in (self._workers, self._quick, self._changers, self._uploaders):
            pool.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        loop = asyncio.get_running_loop()
        try:
            body, whole = await beginning(scope["headers"], receive)
        except ClientGone:
            return
        source = io.BytesIO(body) if whole else io.BufferedReader(_Rest(body, receive, loop), SMALL)
        pool = self._pool(scope, whole)
        exchange = _Exchange(self._application, environ_of(scope, source))
        try:
            piece = await (self._change(exchange) if pool is self._changers else pool.run(exchange.begin))
            if piece is None:
                return
            headers = exchange.headers
            if piece.last and scope["method"] != "HEAD" and exchange.status not in _NO_BODY:
                headers = _with_length(headers, len(piece.data))
            await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
            await send({"type": "http.response.body", "body": piece.data, "more_body": not piece.last})
            if not piece.last:
                await self._send_rest(exchange, receive, send)
        finally:
            if not exchange.closed:
                with contextlib.suppress(RuntimeError):  # the server stops
                    self._workers.run(exchange.close)

    async def _change(self, exchange: _Exchange) -> _Piece | None:
        """Return the first piece of the answer to a request that may change something."""
        # of one that comes alone the thread waits itself for the event: none has to be woken then
        begin = exchange.begin_for_later if self._changing else exchange.begin
        self._changing += 1
        try:
            piece = await self._changers.run(begin)
            if not isinstance(piece, later.After):
                return piece
            error = piece.event.error
            return piece.value if error is None else await self._changers.run(functools.partial(exchange.fail, error))
        finally:
            self._changing -= 1

    def _pool(self, scope: Scope, whole: bool) -> Threads:
        if not whole:
            return self._uploaders
        if self._is_quick(scope):
            return self._quick
        return self._workers if scope["method"] in UNCHANGING else self._changers

    async def _send_rest(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        gone = loop.create_task(_disconnected(receive))
        try:
            last = False
            while not last and not gone.done():
                piece = await self._workers.run(exchange.next)
                last = piece.last
                await send({"type": "http.response.body", "body": piece.data, "more_body": not last})
        finally:
            gone.cancel()


@dataclass(frozen=True)
class _Piece:
    data: bytes
    last: bool


class _Exchange:
    """One call of the application: its status and headers, then its body in pieces."""

    def __init__(self, application: WSGI, environ: Environ) -> None:
        self.status = 0
        self.headers: Headers = []
        self.closed = False
        self._application, self._environ = application, environ
        self._body: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self._written: list[bytes] = []
        self._lock = threading.Lock()  # a server that stops may close while a piece is made

    def begin(self) -> _Piece | None:
        """Call the application and return the first piece of its answer. Return None if the client has gone."""
        with self._lock:
            try:
                self._body = self._application(self._environ, self._start)
            except ClientGone:
                self.closed = True
                return None
            self._chunks = iter(self._body)
            return self._gather()

    def begin_for_later(self) -> _Piece | later.After[_Piece | None] | None:
        """Return the same, or the piece with the event after which the application wants it sent."""
        offer = later.offer(self._environ)
        piece = self.begin()
        return piece if offer.event is None else later.After(piece, offer.event)

    def fail(self, error: Exception) -> _Piece | None:
        """Return the first piece of another answer: to the error of the event after which this one was to be sent."""
        self.close()
        self.closed = False
        later.fail(self._environ, error)
        return self.begin()

    def next(self) -> _Piece:
        """Return the next piece."""
        with self._lock:
            return self._gather()

    def close(self) -> None:
        """Close the application's answer, of which no more is wanted."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            getattr(self._body, "close", lambda: None)()

    def _gather(self) -> _Piece:
        gathered, size = self._written, 0
        self._written = []
        for chunk in self._chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= _PIECE:
                return _Piece(b"".join(gathered), last=False)
        self._close()
        return _Piece(b"".join(gathered), last=True)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Take status and headers, as PEP 3333's start_response; a second call, with an error, replaces the first."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._written.append


class _Rest(io.RawIOBase):
    """A request body that is still coming, read from a thread."""

    def __init__(self, begun: bytes, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._left = begun
        self._more = True
        self._receive, self._loop = receive, loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and self._more:
            message = self._message()
            self._left, self._more = message["body"], message["more_body"]
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

    def _message(self) -> Message:
        """Return the next part, from the event loop. Raise ClientGone if the loop has ended."""
        coming = asyncio.run_coroutine_threadsafe(received(self._receive), self._loop)
        while not self._loop.is_closed():
            with contextlib.suppress(TimeoutError):
                return coming.result(_LOOK_S)
        raise ClientGone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_length(headers: Headers, length: int) -> Headers:
    """Return the headers with the length of the body, so that it need not be sent in chunks."""
    if any(name == b"content-length" for name, _ in headers):
        return headers
    return [*headers, (b"content-length", b"%d" % length)]


@functools.lru_cache(256)
def _key_of(name: bytes) -> str:
    """Return what a header is called in an environ, '' for one that would pass for another: X_Forwarded_For."""
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"


def environ_of(scope: Scope, body: Any) -> Environ:
    """Return the request as PEP 3333 has it: bytes decoded as Latin-1."""
    server, port = scope.get("server") or ("localhost", 80)
    address, client_port = scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = _key_of(name)
        if not key:
            continue
        text = value.decode("latin-1")
        if key in environ:
            text = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
        environ[key] = text
    return environ
