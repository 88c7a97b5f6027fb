"""The base of every kind of page: the services, and the job service for the reader. Imports the callers."""

from __future__ import annotations

from bottle import request

from uws_server.incoming.callers import job_service_of
from uws_server.services.context import Services
from uws_server.services.job_service import JobService


class Page:
    """A kind of page over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @property
    def job_service(self) -> JobService:
        """Return the job service for the caller of the current request."""
        return job_service_of(self.services, request.environ)
