"""The addresses below /tap. What answers there is loaded when the first request comes: a server may never be asked.

Imports the services.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bottle import Bottle, HTTPResponse, request

if TYPE_CHECKING:
    from uws_server.services.context import Services

_METHODS = ("GET", "POST", "PUT", "DELETE")


class TapDoor:
    """TAP over one set of services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, app: Bottle) -> None:
        """Add the addresses to the application."""
        for method in _METHODS:
            app.route("/tap<rest:re:(?:/.*)?>", method, self._handle)

    def _handle(self, rest: str) -> HTTPResponse:
        """Answer a request. Raise HTTPError if there is nothing at its address."""
        del rest
        route, parts = self._inner.match(request.environ)
        handler: Callable[..., Any] = route.callback
        return handler(**parts)

    @cached_property
    def _inner(self) -> Bottle:
        from uws_server.protocol.tap.examples import Examples
        from uws_server.protocol.tap.jobs import QueryContents, QueryJobs
        from uws_server.protocol.tap.sync import Sync
        from uws_server.protocol.tap.vosi import TapVOSI

        app = Bottle()
        for part in (Sync, QueryJobs, QueryContents, TapVOSI, Examples):
            part(self._services).routes(app)
        return app
