"""Reads the small body of a request before its turn is waited for: an ASGI application around another one.

So a client that sends slowly takes no turn and no thread from anybody. A body that is whole is handed on with its
length, however it came; a large one is handed on as it comes, and the application may refuse it unread. Imports types.
"""

from __future__ import annotations

from collections.abc import Iterable

from uws_server.asgi.types import Application, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

BODIES = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose body means anything to the application: no other body is waited for (RFC 9110, section 9.3.1)."""
UNCHANGING = ("GET", "HEAD", "OPTIONS")
"""The methods that only look."""
SMALL = 1 << 16
"""Bytes of a body that are read before the application is called; one with more is an upload."""


class ClientGone(BaseException):
    """Raised when the client hangs up while its request is read; no Exception, because nobody is to answer it."""


class BodiesFirst:
    """Passes requests on once their body is there, if it is small."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request."""
        if not has_body(scope["headers"]):
            await self._application(scope, receive, send)
            return
        if scope["method"] not in BODIES:
            await self._application(_with_body_of(scope, 0), receive, send)
            return
        try:
            body, whole = await beginning(scope["headers"], receive)
        except ClientGone:
            return
        handed_on = _with_body_of(scope, len(body)) if whole else scope
        await self._application(handed_on, _again(body, whole, receive), send)


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Check whether headers announce a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() not in (b"", b"0"))
        for name, value in headers
    )


async def beginning(headers: Headers, receive: Receive) -> tuple[bytes, bool]:
    """Return the request body if it is small, else its beginning; and whether that is all of it.

    Raise ClientGone if the client hangs up.
    """
    announced = next((value for name, value in headers if name == b"content-length"), b"")
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if not chunked and announced in (b"", b"0"):
        return b"", True
    if not chunked and (len(announced) > len(str(SMALL)) or int(announced) > SMALL):
        return b"", False  # the application may refuse it unread
    body, more = bytearray(), True
    while more and len(body) <= SMALL:
        message = await received(receive)
        body += message["body"]
        more = message["more_body"]
    return bytes(body), not more


async def received(receive: Receive) -> Message:
    """Return the next part of a body. Raise ClientGone if the client hangs up."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return {"body": message.get("body", b""), "more_body": message.get("more_body", False)}


def _with_body_of(scope: Scope, length: int) -> Scope:
    """Return the request with a body of this length, none if it is 0."""
    others = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*others, (b"content-length", b"%d" % length)] if length else others}


def _again(body: bytes, whole: bool, receive: Receive) -> Receive:
    """Return a receiver for what was read of a body, then for what comes."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": not whole}] if body or whole else []

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again
