"""A VOTable of some results by their ids, /store/products.vot?ID=: for applications that have no account here.

The columns are those of /obscore behind the name of the result; products that have no ObsCore row have an address, a
media type and a size. ID may come several times. Imports the services and provenance.
"""

from __future__ import annotations

import re
from typing import Final

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import ALL_COLUMNS, Column, table
from uws_server.errors import BadRequest, NotFound
from uws_server.protocol import dali
from uws_server.services import obscore
from uws_server.services.context import Services

MOST: Final = 1000
_RESULT_ID: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = Column(
    "", "result", False, "str", "VARCHAR", None, "meta.id;meta.file", "", "Name of the result in its job"
)


class ResultTable:
    """The table over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/store/products.vot", ["GET", "POST"], self.table)

    def table(self) -> HTTPResponse:
        """GET or POST: the rows of the results that ID names, by the 128-bit ids of their addresses."""
        given = dali.parameters(request, self.services.spool, self.services.config)
        dali.require_known(given, ("ID",))
        wanted = [value.strip() for name, value in given if name.upper() == "ID"]
        if not wanted or len(wanted) > MOST:
            raise BadRequest(f"ID: {len(wanted)} came; 1 to {MOST:,} ids of results are allowed")
        for result_id in wanted:
            if not _RESULT_ID.fullmatch(result_id):
                raise BadRequest(f"ID: {result_id[:40]!r} came; the id of a result, 32 hexadecimal digits, is allowed")
        rows = list(obscore.of_results(self.services, wanted))
        if not rows:
            raise NotFound("ID: none of these results is there")
        body = b"".join(
            table.votable(rows, columns=(_NAME, *ALL_COLUMNS), datalink=f"{self.services.base_url}/datalink")
        )
        headers = {
            "Content-Type": f"{table.VOTABLE_MIME}; charset=UTF-8",
            "Content-Disposition": 'inline; filename="products.vot"',
            "Cache-Control": "private, no-cache",
        }
        return HTTPResponse(body, 200, headers)
