"""What watches a server asks it: /health for a load balancer, /metrics for Prometheus. Imports the services."""

from __future__ import annotations

import json
from dataclasses import asdict

from bottle import Bottle, HTTPResponse, request

from uws_server.protocol.resource import JobResource
from uws_server.services.metrics import MEDIA_TYPE
from uws_server.services.operating import Operating
from uws_server.services.rights import Caller

_FRESH = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Watching(JobResource):
    """The resources for what watches a server, over one set of services."""

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        app.get("/health", callback=self.ready)
        app.get("/health/ready", callback=self.ready)
        app.get("/health/live", callback=self.live)
        app.get("/metrics", callback=self.metrics)

    def live(self) -> HTTPResponse:
        """GET that the process answers: nothing more is looked at."""
        return HTTPResponse(json.dumps({"live": True}), 200, _FRESH)

    def ready(self) -> HTTPResponse:
        """GET whether the server can do its work: 200 or 503, and which part of it cannot be used."""
        found = Operating(self.services, Caller()).readiness()
        parts = {name: works for name, works in asdict(found).items() if works is not None}
        told = {"live": True, "ready": found.ready, **parts}
        return HTTPResponse(json.dumps(told), 200 if found.ready else 503, _FRESH)

    def metrics(self) -> HTTPResponse:
        """GET the figures of the server, for those who may read them."""
        is_forwarded = bool(request.get_header("X-Forwarded-For") or request.get_header("Forwarded"))
        text = Operating(self.services, self.job_service.caller).metrics(is_forwarded)
        return HTTPResponse(text, 200, {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})
