"""What every kind of page has: the services, and the counter for who reads it. Imports the callers."""

from __future__ import annotations

from bottle import request

from uws_server.incoming.callers import counter_of
from uws_server.services.context import Services
from uws_server.services.job_service import Counter


class Page:
    """A kind of page over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @property
    def counter(self) -> Counter:
        """The counter for the caller of the current request."""
        return counter_of(self.services, request.environ)
