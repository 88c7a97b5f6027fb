"""The answers of an application to a request without a socket: what the event loop answers can be held beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from uws_server import app
from uws_server.asgi.shortcut import Answer
from uws_server.asgi.wsgi import WsgiAdapter
from uws_server.services.context import Services


def answer_of_application(services: Services, scope: Mapping[str, Any]) -> Answer:
    """The whole answer that a thread makes."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    adapter = WsgiAdapter(app.build(services), 1)
    with ThreadPoolExecutor(1) as pool:  # that of the tests may have a loop already: the one of a browser
        pool.submit(lambda: asyncio.run(adapter(scope, receive, send))).result()  # type: ignore[arg-type]
    adapter.close()
    return Answer(sent[0]["status"], sent[0]["headers"], b"".join(part["body"] for part in sent[1:]))


def scope_of(services: Services, path: str, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """A request by its address, with headers whose names have _ in place of -."""
    parts, base = urlsplit(path), urlsplit(services.base_url)
    sent = {"host": base.netloc} | headers
    return {
        "type": "http",
        "method": method,
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
        "http_version": "1.1",
        "scheme": "http",
        "server": (base.hostname, base.port),
        "client": ("127.0.0.1", 1),
    }
