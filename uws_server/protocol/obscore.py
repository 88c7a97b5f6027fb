"""The table of all results at /obscore, in the formats of DALI, streamed. Imports the services and provenance.

A DALI resource: parameters in any case, by GET or POST; MAXREC and RESPONSEFORMAT are understood, the other parameters
of DALI ignored, a search is refused rather than answered with everything; errors as VOTable. An ObsTAP builder takes it
as it is: the columns are those of ObsCore 1.1 and of its draft high-energy extension.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import plaintable, table
from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.services import obscore
from uws_server.services.context import Services

LOG = logging.getLogger(__name__)

Write = Callable[[Iterator[obscore.Row], int | None, str], Iterator[bytes]]
"""A writer of rows, at most so many; the last argument is the address of DataLink."""


class _Format(NamedTuple):
    """A format of the table: its media type, what follows it, the ending of a file's name, its writer."""

    mime: str
    about: str
    suffix: str
    write: Write


_TEXT = "; charset=UTF-8"
_VOTABLE = _Format(
    table.VOTABLE_MIME, _TEXT, "vot", lambda rows, most, links: _logged(table.votable(rows, most, datalink=links))
)
_ECSV = _Format(table.ECSV_MIME, _TEXT, "ecsv", lambda rows, most, links: table.ecsv(rows, most))
_CSV = _Format(
    plaintable.CSV_MIME,
    f"{_TEXT}; header=present",
    "csv",
    lambda rows, most, links: plaintable.delimited(rows, most, ","),
)
_TSV = _Format(plaintable.TSV_MIME, _TEXT, "tsv", lambda rows, most, links: plaintable.delimited(rows, most, "\t"))
_JSON = _Format(plaintable.JSON_MIME, "", "json", lambda rows, most, links: plaintable.json_table(rows, most))
_FITS = _Format(plaintable.FITS_MIME, "", "fits", lambda rows, most, links: plaintable.fits_table(rows, most))
_FORMATS: Mapping[str, _Format] = {
    **dict.fromkeys(dali.VOTABLE_WORDS, _VOTABLE),
    **{word: each for each in (_ECSV, _CSV, _TSV, _JSON, _FITS) for word in (each.suffix, each.mime)},
    "application/x-ecsv": _ECSV,
}
_ALLOWED = f"{', '.join(each.mime for each in (_VOTABLE, _ECSV, _CSV, _TSV, _JSON))} and {_FITS.mime} are allowed"


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
        headers = {
            "Content-Type": f"{wanted.mime}{wanted.about}",
            "Content-Disposition": f'inline; filename="obscore.{wanted.suffix}"',
            "Vary": "Authorization",
        }
        return HTTPResponse(wanted.write(rows, most, f"{self.services.base_url}/datalink"), 200, headers)


def _wanted(given: list[tuple[str, str]]) -> tuple[int | None, _Format]:
    """Return how many rows a request asks for (None for all), and in which format. Raise BadRequest."""
    dali.require_known(given, ("MAXREC", dali.RESPONSEFORMAT), "the whole table is served: there is no search in it")
    asked = {name.upper(): value for name, value in given}
    most = asked.get("MAXREC")
    if most is not None and not re.fullmatch(r"[0-9]{1,18}", most):
        raise BadRequest(f"MAXREC: {most[:40]!r} came; a whole number from 0 on is allowed")
    wanted = asked.get(dali.RESPONSEFORMAT, table.VOTABLE_MIME)
    served = dali.format_of(wanted, _FORMATS, _ALLOWED)
    return None if most is None else int(most), served


def _logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a VOTable; a failure, which the client sees in the table, is logged.

    ECSV has no place for an error: there the answer itself fails.
    """
    try:
        yield from pieces
    except Exception:
        LOG.exception("the table of results could not be finished")
