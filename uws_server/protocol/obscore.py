"""The table of all results at /obscore, in the formats of DALI, streamed. Imports the services and provenance.

A DALI resource: parameters in any case, by GET or POST; MAXREC and RESPONSEFORMAT are understood, the other parameters
of DALI ignored, a search is refused rather than answered with everything; errors as VOTable. An ObsTAP builder takes it
as it is: the columns are those of ObsCore 1.1 and of its draft high-energy extension.
"""

from __future__ import annotations

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.protocol.obscore_formats import Format, answer, format_of
from uws_server.services import obscore
from uws_server.services.context import Services


class ObsCore:
    """The table over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/obscore", ["GET", "POST"], self.table)

    def table(self) -> HTTPResponse:
        """GET or POST: the rows of all results that the caller may see listed."""
        job_service = job_service_of(self.services, request.environ)
        rows = obscore.rows(self.services, job_service.caller)
        try:
            most, wanted = _wanted(dali.parameters(request, self.services.spool, self.services.config))
        except BadRequest as error:
            return HTTPResponse(dali.error_document(str(error)), 400, {"Content-Type": dali.VOTABLE})
        return answer(rows, most, wanted, self.services.base_url, "obscore")


def _wanted(given: list[tuple[str, str]]) -> tuple[int | None, Format]:
    """Return how many rows a request asks for (None for all), and in which format. Raise BadRequest."""
    dali.require_known(given, ("MAXREC", dali.RESPONSEFORMAT), "the whole table is served: there is no search in it")
    asked = {name.upper(): value for name, value in given}
    return dali.most_rows(asked.get("MAXREC")), format_of(asked.get(dali.RESPONSEFORMAT))
