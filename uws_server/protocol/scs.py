"""Simple Cone Search at /scs: the products whose position lies within SR degrees of RA, DEC, as ObsCore rows.

By GET or POST; VERB 1 sends what names and places a product, 2 the mandatory columns of ObsCore, 3 all of them. What
the standard does not know is passed over, as it asks. Imports the conditions and the services.

Source: IVOA Recommendation Simple Cone Search 1.03 (2008-02-22), with errors also as DALI has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import ALL_COLUMNS, Column, table
from provenance.obscore.table import About
from uws_server.discovery import reading
from uws_server.discovery.conditions import CentredIn
from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.protocol.obscore_formats import logged
from uws_server.services import product_search
from uws_server.services.context import Services

MIME: Final = "text/xml;content=x-votable"
"""The media type of the answers of the older protocols."""
_MAIN: Final = {"obs_publisher_did": "ID_MAIN", "s_ra": "POS_EQ_RA_MAIN", "s_dec": "POS_EQ_DEC_MAIN"}
"""The columns that a client looks for, by the UCDs of their time."""
_FIRST: Final = ("obs_publisher_did", "s_ra", "s_dec", "target_name", "dataproduct_type", "instrument_name",
                 "obs_collection", "access_url", "access_format")  # fmt: skip
_ABOUT: Final = About("scs", "Products by their position: ObsCore rows")


class ConeSearch:
    """The search over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/scs", ["GET", "POST"], self.query)

    def query(self) -> HTTPResponse:
        """GET or POST: the products in a cone."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        try:
            asked = dali.by_name(dali.parameters(request, self.services.spool, self.services.config))
            cone, columns = _cone(asked), _columns(asked)
            most = dali.most_rows(dali.last(asked, "MAXREC"))
        except BadRequest as error:
            return HTTPResponse(dali.error_document(str(error), "Error"), 400, {"Content-Type": MIME})
        rows = iter(()) if not cone.radius else product_search.found(self.services, job_service.caller, [cone])
        pieces = table.votable(rows, most, columns, f"{self.services.base_url}/datalink", _ABOUT)
        return HTTPResponse(logged(pieces), 200, {"Content-Type": MIME, "Vary": "Authorization"})


def _cone(asked: Mapping[str, Sequence[str]]) -> CentredIn:
    """Return the cone; one of no radius asks for the columns alone."""
    ra, dec, radius = (_number(asked, *known) for known in (("RA", 0, 360), ("DEC", -90, 90), ("SR", 0, 180)))
    return CentredIn(ra, dec, radius)


def _number(asked: Mapping[str, Sequence[str]], name: str, low: float, high: float) -> float:
    text = dali.last(asked, name)
    if text is None:
        raise BadRequest(f"{name} is needed: RA, DEC and SR are numbers in degrees, such as RA=148.97&DEC=69.68&SR=0.1")
    (value,) = dali.each(name, {name: [text]}, lambda text: reading.number(text, low, high, "degrees"))
    return value


def _columns(asked: Mapping[str, Sequence[str]]) -> Sequence[Column]:
    """Return the columns that VERB asks for: three widths of the table, the second of which is usual."""
    verb = dali.last(asked, "VERB") or "2"
    if verb not in ("1", "2", "3"):
        raise BadRequest(f"VERB: {verb[:40]!r} came; 1, 2 or 3 is allowed")
    columns = [dataclasses.replace(column, ucd=_MAIN.get(column.name, column.ucd)) for column in ALL_COLUMNS]
    if verb == "1":
        return [column for column in columns if column.name in _FIRST]
    return [column for column in columns if verb == "3" or column.mandatory]
