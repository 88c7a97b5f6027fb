"""The people's door: its addresses are known from the start, its pages are loaded when the first one is asked for.

A server that only programs talk to does without them: they are a third of its own modules.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from bottle import Bottle, HTTPResponse

from uws_server.services.context import Services
from uws_server.web.site.addresses import BY_ACCEPT, PAGES, Address

if TYPE_CHECKING:
    from uws_server.web.site.pages import Pages

Handler = Callable[..., HTTPResponse]
Route = tuple[str, str, Handler]
"""Method, path and handler."""


class PeoplesDoor:
    """The pages of one set of services, at their addresses."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @cached_property
    def pages(self) -> Pages:
        """All pages."""
        from uws_server.web.site.pages import Pages

        return Pages(self._services)

    def routes(self, app: Bottle) -> None:
        """Add every page to the application, but those `by_accept`."""
        for method, path, handler in self._handled(PAGES):
            app.route(path, method, handler)

    @property
    def by_accept(self) -> list[Route]:
        """Pages at whose addresses there may be resources for programs, too."""
        return self._handled(BY_ACCEPT)

    def _handled(self, addresses: Iterable[Address]) -> list[Route]:
        return [(method, path, self._later(name)) for method, path, name in addresses]

    def _later(self, name: str) -> Handler:
        """Return the handler of a name, which is looked for when it is called."""
        find = operator.attrgetter(name)

        def handle(**parts: str) -> HTTPResponse:
            handler: Handler = find(self.pages)
            return handler(**parts)

        return handle
