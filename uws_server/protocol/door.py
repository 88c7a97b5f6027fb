"""Resources that are loaded when the first request for one of them comes: a server may never be asked. Imports errors.

What stands here knows the addresses from the start, and what answers there when it is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Protocol

from bottle import Bottle, HTTPResponse, request

from uws_server.jobs.job import utcnow
from uws_server.services import job_keys
from uws_server.services.context import Services


class Part(Protocol):
    """Resources of one kind."""

    def routes(self, app: Bottle) -> None:
        """Add them to an application."""


class Door(ABC):
    """Addresses, and an application within the application that has the resources at them."""

    address: str
    """The addresses as a rule of bottle, whose one part is `rest`: nothing else answers at any of them."""
    methods: tuple[str, ...] = ("ANY",)

    def routes(self, app: Bottle) -> None:
        """Add the addresses to the application."""
        for method in self.methods:
            app.route(self.address, method, self._handle)

    @abstractmethod
    def parts(self) -> Iterable[Part]:
        """Return what answers at the addresses; it is loaded here."""

    def _handle(self, rest: str) -> HTTPResponse:
        """Answer a request. Raise HTTPError if there is nothing at its address, or not for its method."""
        del rest
        route, parts = self._inner.match(request.environ)
        handler: Callable[..., Any] = route.callback
        return handler(**parts)

    @cached_property
    def _inner(self) -> Bottle:
        app = Bottle()
        for part in self.parts():
            part.routes(app)
        return app


_OF_JOB = rf"rest/[^/]+/(?:[^/]+/prov(?:json|xml|n|svg|png)|{job_keys.ADDRESS}/rerun(?:/sync)?)"
_OF_ARCHIVE = r"archive/(?:exposures|observations|products|footprint|moc|coverage|file/.+)"
_SERVICES = r"obscore|provsap|datalink|sia2|scs|ssap|soda/sync|coverage|record|openapi\.json|store/products\.vot"
_TREES = r"(?:jdl|reprocessing|soda/async)(?:/.*)?"


class ProductsDoor(Door):
    """Definitions, archive, products, and what they came from and may be made again of, over one set of services."""

    address = f"/<rest:re:(?:{_SERVICES}|{_TREES}|{_OF_ARCHIVE}|{_OF_JOB})>"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._up_since = utcnow()

    def parts(self) -> Iterable[Part]:
        """Return the services of the VO on products, the definitions and the reruns."""
        # here, not above: they are a tenth of what the start loads, and programs that only run jobs ask for none
        from uws_server.protocol.archive import ArchiveSearch
        from uws_server.protocol.datalink import DataLink
        from uws_server.protocol.definitions import JDL
        from uws_server.protocol.obscore import ObsCore
        from uws_server.protocol.openapi import OpenAPI
        from uws_server.protocol.provenance import Provenance
        from uws_server.protocol.registry import Registry
        from uws_server.protocol.reruns import Reprocessing
        from uws_server.protocol.result_table import ResultTable
        from uws_server.protocol.scs import ConeSearch
        from uws_server.protocol.sia2 import SIA2
        from uws_server.protocol.soda import SODA
        from uws_server.protocol.soda_jobs import SodaContents, SodaJobs
        from uws_server.protocol.ssap import SSAP

        parts = (JDL, Reprocessing, ObsCore, ResultTable, ArchiveSearch, Provenance, DataLink, OpenAPI, SIA2,
                 ConeSearch, SSAP, SODA, SodaJobs, SodaContents)  # fmt: skip
        return (*(part(self._services) for part in parts), Registry(self._services, self._up_since))
