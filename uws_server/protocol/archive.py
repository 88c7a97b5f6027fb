"""The archive for programs: observations, exposures, products, MOCs and files, by a region, a search or both.

DALI resources: parameters in any case, by GET or POST; errors as VOTable.

/archive/exposures     REGION (any notation that jobs take, or a MOC, also as a file), QUERY (as in the search bar),
                       RESPONSEFORMAT, MAXREC
/archive/observations  the same: those of which an exposure is found
/archive/products      the same: those of the observations that are found
/archive/footprint     ID (source of an exposure; several are joined), FORMAT (fits, json, ascii)
/archive/moc           REGION, ORDER, FORMAT
/archive/coverage      FORMAT
/archive/file/SOURCE   the file itself
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import archive_tables, dali
from uws_server.protocol.archive_tables import ArchiveTable
from uws_server.protocol.sending import send
from uws_server.services.archive_search import ExposureFound, Part
from uws_server.services.context import Services
from uws_server.services.exposures import ExposureSeen
from uws_server.services.job_service import JobService

MAXREC: Final = 20_000
"""The most rows of an answer where a request does not say how many it wants."""

_TEXT: Final = "; charset=UTF-8"
_MOC_MIME: Final = {"fits": "application/fits", "json": "application/json", "ascii": f"text/plain{_TEXT}"}
_MOST_AT_ONCE: Final = 500
"""Rows of an answer that is sent as one piece."""


class ArchiveSearch:
    """The resources over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resources to the application."""
        for path, action in (
            ("exposures", self.exposures),
            ("observations", self.observations),
            ("products", self.products),
            ("footprint", self.footprint),
            ("moc", self.moc),
            ("coverage", self.coverage),
        ):
            app.route(f"/archive/{path}", ["GET", "POST"], dali.answering(action))
        app.route("/archive/file/<source:path>", ["GET"], self.file)

    def exposures(self) -> HTTPResponse:
        """GET or POST: the exposures that see a part of a region, and that a search finds."""
        job_service = self._entered()
        with dali.with_file(request, self.services.spool, self.services.config, "REGION") as (given, file):
            dali.require_known(given, ("REGION", "QUERY"))
            asked = _each_once(given)
            text, region, most = _wanted(asked)
            if file is not None and region:
                raise BadRequest(f"REGION: a file came, and the text {region[:40]!r}; one of them is searched for")
            if file is not None and text:
                found = job_service.archive_search.exposures_in_moc(text, file, Part(most=most + 1))
            elif file is not None:
                found = _seen(job_service.exposures.seeing_moc(file))
            elif region and not text:
                found = _seen(job_service.exposures.seeing(region))
            else:
                found = job_service.archive_search.exposures(text, region, Part(most=most + 1))
        return _table(archive_tables.exposures(found[:most], len(found) > most), asked)

    def observations(self) -> HTTPResponse:
        """GET or POST: the observations of which an exposure is found."""
        job_service, asked = self._asked("REGION", "QUERY")
        text, region, most = _wanted(asked)
        found = job_service.archive_search.observations(text, region, Part(most=most + 1))
        return _table(archive_tables.observations(found[:most], len(found) > most), asked)

    def products(self) -> HTTPResponse:
        """GET or POST: the products of the observations that are found."""
        job_service, asked = self._asked("REGION", "QUERY")
        text, region, most = _wanted(asked)
        found = job_service.archive_files.products(text, region, most + 1)
        return _table(archive_tables.products(found[:most], len(found) > most, self.services.base_url), asked)

    def footprint(self) -> HTTPResponse:
        """GET or POST: the MOC of what one exposure sees, or several together."""
        job_service, given = self._given("ID", "FORMAT")
        asked = _each_once(given, "ID")
        sources = list(dict.fromkeys(value for name, value in given if name.upper() == "ID" and value))
        if not sources:
            raise BadRequest("ID is needed: the source of an exposure, as /archive/exposures tells it")
        form = asked.get("FORMAT", "fits").lower()
        return moc_answer(job_service.archive_files.footprint(sources, form), form, "footprint")

    def file(self, source: str) -> HTTPResponse:
        """GET a file of the archive, whole or in parts."""
        job_service = self._entered()
        file = job_service.archive_files.file(source)
        return send(file.path, file.mime)

    def moc(self) -> HTTPResponse:
        """GET or POST: the MOC of a region."""
        job_service, asked = self._asked("REGION", "ORDER", "FORMAT")
        form = asked.get("FORMAT", "fits").lower()
        order = _whole("ORDER", asked.get("ORDER"))
        return moc_answer(job_service.exposures.region_moc(_needed(asked, "REGION"), order, form), form, "region")

    def coverage(self) -> HTTPResponse:
        """GET or POST: the MOC of all exposures of the archive."""
        job_service, asked = self._asked("FORMAT")
        form = asked.get("FORMAT", "fits").lower()
        return moc_answer(job_service.exposures.coverage(form), form, "archive")

    def _entered(self) -> JobService:
        """Return what a caller can do. Raise Unauthorized for one who may not enter."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        return job_service

    def _asked(self, *known: str) -> tuple[JobService, dict[str, str]]:
        """Return what a caller can do, and the parameters. Raise BadRequest for an unknown one, or one twice."""
        job_service, given = self._given(*known)
        return job_service, _each_once(given)

    def _given(self, *known: str) -> tuple[JobService, list[tuple[str, str]]]:
        """Return what a caller can do, and the parameters as they came. Raise Unauthorized, or BadRequest."""
        job_service = self._entered()
        given = dali.parameters(request, self.services.spool, self.services.config)
        dali.require_known(given, known)
        return job_service, given


def _seen(seen: Sequence[ExposureSeen]) -> list[ExposureFound]:
    return [ExposureFound(one.row, one.fraction, one.field_fraction, one.off_axis_arcmin) for one in seen]


def _each_once(given: list[tuple[str, str]], several: str = "") -> dict[str, str]:
    """Return parameters by their names. Raise BadRequest for one that has two values, unless it may have several."""
    asked: dict[str, str] = {}
    for name, value in given:
        if asked.setdefault(name.upper(), value) != value and name.upper() != several:
            raise BadRequest(f"{name.upper()} came twice, as {asked[name.upper()][:40]!r} and {value[:40]!r}")
    return asked


def _wanted(asked: Mapping[str, str]) -> tuple[str, str, int]:
    """Return the search, the region, and how many rows a request asks for."""
    most = _whole("MAXREC", asked.get("MAXREC"))
    return asked.get("QUERY", "").strip(), asked.get("REGION", "").strip(), MAXREC if most is None else most


def _table(answer: ArchiveTable, asked: Mapping[str, str]) -> HTTPResponse:
    """Return the answer with a table in the format that is asked for; a header tells of more rows in any of them."""
    form = dali.format_of(asked.get(dali.RESPONSEFORMAT, "votable"), archive_tables.FORMATS, archive_tables.ALLOWED)
    headers = table_headers(form)
    if answer.is_cut:
        headers["X-Overflow"] = "true"
    pieces = archive_tables.written(answer, form)
    body = b"".join(pieces) if len(answer.rows) <= _MOST_AT_ONCE else pieces
    return HTTPResponse(body, 200, headers)


def table_headers(form: str) -> dict[str, str]:
    """Return the headers of a table in one of the formats."""
    return {"Content-Type": archive_tables.MIME[form], "Vary": "Authorization"}


def _needed(asked: Mapping[str, str], name: str) -> str:
    if not asked.get(name, "").strip():
        raise BadRequest(f"{name} is needed, such as {name}=Circle ICRS 83.633 22.014 0.1")
    return asked[name]


def _whole(name: str, text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadRequest(f"{name}: {text[:40]!r} came; a whole number from 0 on is allowed")
    return int(text)


def moc_answer(body: bytes, form: str, name: str) -> HTTPResponse:
    """Return the answer that is a MOC in one of the formats."""
    ending = {"fits": "fits", "json": "json", "ascii": "txt"}[form]
    headers = {"Content-Type": _MOC_MIME[form], "Content-Disposition": f'inline; filename="{name}-moc.{ending}"'}
    return HTTPResponse(body, 200, headers)
