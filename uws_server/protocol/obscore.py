"""The table of all results at /obscore, as VOTable or ECSV, streamed. Imports the services and provenance.

A DALI resource: parameters in any case; MAXREC and RESPONSEFORMAT are understood, others ignored; errors as VOTable. An
ObsTAP builder takes it as it is: the columns are those of ObsCore 1.1 and of its draft high-energy extension.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import table
from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.services import obscore
from uws_server.services.context import Services

LOG = logging.getLogger(__name__)

Write = Callable[[Iterator[obscore.Row], int | None], Iterator[bytes]]

_VOTABLE = (
    f"{table.VOTABLE_MIME}; charset=UTF-8",
    "obscore.vot",
    lambda rows, most: _logged(table.votable(rows, most)),
)
_ECSV = (f"{table.ECSV_MIME}; charset=UTF-8", "obscore.ecsv", table.ecsv)
_FORMATS: dict[str, tuple[str, str, Write]] = {
    **dict.fromkeys(dali.VOTABLE_WORDS, _VOTABLE),
    "ecsv": _ECSV,
    table.ECSV_MIME: _ECSV,
    "application/x-ecsv": _ECSV,
}


class ObsCore:
    """The table over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.get("/obscore", callback=self.table)

    def table(self) -> HTTPResponse:
        """GET the rows of all results that the caller may see listed."""
        job_service = job_service_of(self.services, request.environ)
        rows = obscore.rows(self.services, job_service.caller)
        try:
            most, (mime, name, write) = _wanted(forms.query(request.environ))
        except BadRequest as error:
            return HTTPResponse(dali.error_document(str(error)), 400, {"Content-Type": dali.VOTABLE})
        headers = {"Content-Type": mime, "Content-Disposition": f'inline; filename="{name}"', "Vary": "Authorization"}
        return HTTPResponse(write(rows, most), 200, headers)


def _wanted(query: list[tuple[str, str]]) -> tuple[int | None, tuple[str, str, Write]]:
    """Return how many rows a query asks for (None for all), and in which format. Raise BadRequest."""
    asked = {name.upper(): value for name, value in query}
    most = asked.get("MAXREC")
    if most is not None and not re.fullmatch(r"[0-9]{1,18}", most):
        raise BadRequest(f"MAXREC: {most[:40]!r} came; a whole number from 0 on is allowed")
    wanted = asked.get(dali.RESPONSEFORMAT, table.VOTABLE_MIME)
    served = dali.format_of(wanted, _FORMATS, f"{table.VOTABLE_MIME} and {table.ECSV_MIME} are allowed")
    return None if most is None else int(most), served


def _logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a VOTable; a failure, which the client sees in the table, is logged.

    ECSV has no place for an error: there the answer itself fails.
    """
    try:
        yield from pieces
    except Exception:
        LOG.exception("the table of results could not be finished")
