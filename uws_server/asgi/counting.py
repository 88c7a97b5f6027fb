"""Counts answers by their status: an ASGI application around another one. Imports its types."""

from __future__ import annotations

from collections.abc import Callable

from uws_server.asgi.types import Application, Message, Receive, Scope, Send


class Counting:
    """Calls `count` with the status of each answer when it begins."""

    def __init__(self, application: Application, count: Callable[[int], None]) -> None:
        self._application, self._count = application, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(message["status"])
            await send(message)

        await self._application(scope, receive, counted)
