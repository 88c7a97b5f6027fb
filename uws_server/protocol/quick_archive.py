"""The exposures that see a cone, in the event loop: one that is asked for as JSON, of rows that are in memory.

The answer is that of `archive`, for the same caller. Imports that resource and what answers at once.
"""

from __future__ import annotations

from typing import Final

from bottle import HTTPResponse

from uws_server.asgi.types import Scope
from uws_server.errors import ServerError
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import archive_tables
from uws_server.protocol.archive import MAXREC, table_headers
from uws_server.protocol.dali import RESPONSEFORMAT
from uws_server.protocol.quick import environ_at_once
from uws_server.services.context import Services

_PATH: Final = "/archive/exposures"
_ASKED: Final = {"REGION", RESPONSEFORMAT}
_MOST: Final = 500
"""Exposures of an answer that is made at once: a millisecond."""


class QuickArchive:
    """The search by a cone over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def answer(self, scope: Scope) -> HTTPResponse | None:
        """Return the answer to a request. Return None if it cannot be had at once; the application makes it then."""
        if scope["path"] != _PATH or scope["method"] != "GET":
            return None
        environ = environ_at_once(scope, self.services)
        if environ is None:
            return None
        try:
            given = forms.query(environ)
            asked = {name.upper(): value for name, value in given}
            if len(given) != 2 or asked.keys() != _ASKED or asked[RESPONSEFORMAT] != "json":
                return None
            job_service = job_service_of(self.services, environ)
            job_service.require_entry()
            found = job_service.exposures.seeing_at_hand(asked["REGION"].strip())
        except ServerError:
            return None
        if found is None or len(found) > min(_MOST, MAXREC):
            return None
        return HTTPResponse(archive_tables.exposures_json(found), 200, table_headers("json"))
