"""SODA 1.0 at /soda/sync: the part of an event list or image within CIRCLE, POLYGON or POS, BAND and TIME, as a job.

GET or POST: ID (what DataLink takes), at most one of each other parameter; 303 to where the end of the job is waited
for, and from there to the file; 204 where the product has nothing of it. `soda_jobs` has /soda/async. Imports the
services.

Source: IVOA Recommendation Server-side Operations for Data Access 1.0 (2017-05-17).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bottle import Bottle, HTTPResponse, request

from uws_server.discovery import reading
from uws_server.discovery.conditions import Interval
from uws_server.discovery.sphere import Shape
from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.protocol.linktable import Input, Service
from uws_server.protocol.resource import TEXT
from uws_server.services.context import Services
from uws_server.services.cutouts import Cut, Cutouts, CutProduct, NothingThere

ADDRESS: Final = "/soda/sync"
STANDARD: Final = "ivo://ivoa.net/std/SODA#sync-1.0"
_PLACES: Final = ("CIRCLE", "POLYGON", "POS")
KNOWN: Final = ("ID", *_PLACES, "BAND", "TIME")


class SODA:
    """The cutouts over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route(ADDRESS, ["GET", "POST"], dali.answering(self.cutout))
        app.route(ADDRESS, "HEAD", self.refuse_head)

    def cutout(self) -> HTTPResponse:
        """GET or POST: a job that makes a cutout, run at once; 303 to the address that waits for its end."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        given = dali.parameters(request, self.services.spool, self.services.config)
        dali.require_known(given, KNOWN)
        asked = dali.by_name(given)
        identifier = require_id(asked)
        cuts, cut = Cutouts(self.services, job_service), read_cut(asked)
        try:
            job = cuts.make(cuts.named(identifier), cut)
        except NothingThere:
            return HTTPResponse("", 204)
        address = f"{self.services.base_url}/rest/{job.definition}/{job_service.address(job.id)}/sync"
        return HTTPResponse("", 303, {"Location": address})

    def refuse_head(self) -> HTTPResponse:
        """Refuse HEAD, which would make a job."""
        return HTTPResponse(f"HEAD is not possible at {ADDRESS}\n", 405, {"Allow": "GET, POST", "Content-Type": TEXT})


def require_id(asked: Mapping[str, Sequence[str]]) -> str:
    """Return the product that a request names. Raise BadRequest if it names none."""
    if not asked.get("ID"):
        raise BadRequest("ID is needed: that of an event list or image, as obs_publisher_did has it")
    return asked["ID"][0]


def read_cut(asked: Mapping[str, Sequence[str]]) -> Cut:
    """Return what a request wants to keep. Raise BadRequest for a value that is none, and for two of one kind."""
    for name in KNOWN:
        if len(asked.get(name, ())) > 1:
            raise BadRequest(f"{name}: several values came; one is allowed, each makes a cutout of its own")
    given = [name for name in _PLACES if name in asked]
    if len(given) > 1:
        raise BadRequest(f"{given[1]}: {' and '.join(given)} came; one place is allowed")
    shapes: tuple[Shape, ...] = ()
    if given:
        kind = "" if given[0] == "POS" else f"{given[0]} "
        shapes = dali.each(given[0], asked, lambda text: reading.place(f"{kind}{text}"))
    band = dali.each("BAND", asked, lambda text: _extended(text, "wavelengths in m, such as 1e-10 6e-9,"))
    time = dali.each("TIME", asked, lambda text: _extended(text, "MJD (TT), such as 52000 52010.5,"))
    return Cut(next(iter(shapes), None), next(iter(band), None), next(iter(time), None))


def _extended(text: str, what: str) -> Interval:
    found = reading.interval(text, f"an interval of {what}")
    if found.low == found.high:
        raise ValueError(f"{text[:80]!r} came; an interval of {what} is allowed, whose ends differ")
    return found


def cutout_service(name: str, identifier: str, product: CutProduct, base_url: str) -> Service:
    """Return the service that makes cutouts of a product, for the links of the product (SODA 1.0, section 4.1)."""
    row, is_list = product.row, product.definition == "events"
    inputs = [
        Input("ID", "char", ucd="meta.id;meta.main", fixed=identifier, description="The product"),
        Input("CIRCLE", "double", unit="deg", ucd="pos.outline;obs", size="3", xtype="circle",
              description="Right ascension, declination and radius of a circle"),
        Input("POLYGON", "double", unit="deg", ucd="pos.outline;obs", size="*", xtype="polygon",
              description="Right ascension and declination of the corners of a polygon"),
        Input("POS", "char", ucd="pos.outline;obs", description="CIRCLE, RANGE or POLYGON with its numbers"),
    ]  # fmt: skip
    if is_list:
        inputs += [
            Input("BAND", "double", _now(row, "em_min", "em_max"), "m", "em.wl;stat.interval", "Wavelengths",
                  size="2", xtype="interval"),
            Input("TIME", "double", _now(row, "t_min", "t_max"), "d", "time.interval;obs.exposure", "MJD in TT",
                  size="2", xtype="interval"),
        ]  # fmt: skip
    what = "events within a place, a band and a time" if is_list else "image within a place"
    mime = "application/fits"
    return Service(name, f"{base_url}{ADDRESS}", f"Cutout: the {what}", mime, tuple(inputs), STANDARD)


def _now(row: Mapping[str, Any], low: str, high: str) -> str:
    """Return the interval of two columns of a product, for a reader; empty where they are not known."""
    begin, end = row.get(low), row.get(high)
    return "" if begin is None or end is None else f"{begin:.10g} {end:.10g}"
