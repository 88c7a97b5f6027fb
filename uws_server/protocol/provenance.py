"""Provenance over HTTP: /provsap, and that of one job as a document or a picture. Imports the services.

    GET /rest/{job}/{id}/provjson | provxml | provn | provsvg | provpng     upstream of a job, the job, what it made
    GET /provsap?ID=                                                        upstream or downstream of some things

/provsap follows the IVOA draft ProvSAP with the parameters of OPUS: ID (may come several times: a job, a result, its
address or publisher DID, the hash of a file), DEPTH (a number of relations, or ALL), DIRECTION (BACK, FORWARD), MODEL
(IVOA, W3C), AGENTS, DESCRIPTIONS, CONFIGURATION, MEMBERS, ATTRIBUTES (1, 0), RESPONSEFORMAT. Names are in any case.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bottle import Bottle, HTTPResponse, request

from provenance.graph import export
from provenance.graph.model import ProvenanceGraph
from provenance.graph.records import Model, Options
from provenance.graph.traversal import ALL, Direction
from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.jobs.words import truth
from uws_server.protocol import dali
from uws_server.services.context import Services
from uws_server.services.job_results import MOST_SHOWN
from uws_server.services.provenance import ProvenanceReader

_MOST_IDS = 100
_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "json": ("PROV-JSON", export.PROV_JSON, "application/provenance+json", "json"),
    "xml": ("PROV-XML", export.PROV_XML, "application/xml", "text/xml", "xml"),
    "n": ("PROV-N", export.PROV_N, "provn"),
    "svg": ("PROV-SVG", "image/svg+xml", "svg"),
    "png": ("PROV-PNG", "image/png", "png"),
}
"""What RESPONSEFORMAT may say for each format; the first is the usual word."""
_KINDS: Final = {word.lower(): kind for kind, words in _FORMATS.items() for word in words}
_TYPES: Final = {
    "json": export.PROV_JSON,
    "xml": export.PROV_XML,
    "n": f"{export.PROV_N}; charset=UTF-8",
    "svg": "image/svg+xml; charset=UTF-8",
    "png": "image/png",
}
_PICTURES: Final = frozenset({"svg", "png"})
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-top-navigation allow-popups"
_MOST_AT_ONCE: Final = 2
"""Pictures that are drawn at a time: each takes a core, for seconds where it shows much."""
_PARAMETERS: Final = (
    "ID", "DEPTH", "DIRECTION", "MODEL", "AGENTS", "DESCRIPTIONS", "CONFIGURATION", "MEMBERS", "ATTRIBUTES",
    dali.RESPONSEFORMAT,
)  # fmt: skip
_DEPTH = re.compile(r"[0-9]{1,9}")


class Provenance:
    """The resources of provenance, over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._drawing = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        app.get("/rest/<name>/<job_id>/prov<kind:re:json|xml|n|svg|png>", callback=self.of_job)
        app.route("/provsap", ["GET", "POST"], self.provsap)

    def reader(self, kind: str) -> ProvenanceReader:
        """Return what the caller of the current request may know of provenance: all of it, but for a picture."""
        caller = job_service_of(self.services, request.environ).caller
        return ProvenanceReader(self.services, caller, MOST_SHOWN if kind in _PICTURES else None)

    def of_job(self, name: str, job_id: str, kind: str) -> HTTPResponse:
        """GET all upstream of a job, the job, and what it made."""
        job = job_service_of(self.services, request.environ).bare(job_id, name)
        return self.answer(self.reader(kind).around(job), _Asked(forms.query(request.environ)), kind)

    def provsap(self) -> HTTPResponse:
        """GET or POST: the provenance of some things."""
        job_service_of(self.services, request.environ).require_entry()
        asked = _Asked(dali.parameters(request, self.services.spool, self.services.config))
        asked.require_known()
        identifiers = asked.all_values("ID")
        if not identifiers:
            raise BadRequest("ID: nothing came; the id or the address of a job or a result is expected")
        if len(identifiers) > _MOST_IDS:
            raise BadRequest(f"ID: {len(identifiers)} came; at most {_MOST_IDS} are allowed")
        kind, direction, depth = asked.format(), asked.direction(), asked.depth()
        job_service = job_service_of(self.services, request.environ)
        plain = dict.fromkeys(job_service.open(identifier) for identifier in identifiers)
        reader = self.reader(kind)  # for the caller who has those keys
        starts = [reader.find(identifier) for identifier in plain]
        return self.answer(reader.graph(starts, direction, depth), asked, kind)

    def answer(self, graph: ProvenanceGraph, asked: _Asked, kind: str) -> HTTPResponse:
        """Return the answer that is a graph in a format."""
        options, shown = asked.options(kind), asked.switch("ATTRIBUTES", kind not in _PICTURES)
        base = f"{self.services.base_url}/provsap?ID="
        drawings = {"svg": export.svg, "png": export.png}
        # in parts, of which each takes a moment: thousands of results would hold up the answers to others
        parts = {"xml": export.prov_xml_parts, "n": export.prov_n_parts}
        content: bytes | str | Iterator[bytes]
        if kind in parts:
            content = parts[kind](graph, options, base)
        elif kind in drawings:
            try:
                content = self._drawn(lambda: drawings[kind](export.document(graph, options, base), shown))
            except export.PictureError as error:
                return HTTPResponse(f"{error}\n", 503, {"Content-Type": "text/plain; charset=UTF-8"})
        else:
            content = export.prov_json(graph, options, base)
        headers = {"Content-Type": _TYPES[kind], "Cache-Control": "private, no-cache"}
        if kind in _PICTURES:
            headers["Content-Security-Policy"] = _POLICY
        return HTTPResponse(content, 200, headers)

    def _drawn(self, draw: Callable[[], bytes]) -> bytes:
        with self._drawing:
            return draw()


class _Asked:
    """The parameters of a request, their names in any case."""

    def __init__(self, given: list[tuple[str, str]]) -> None:
        self._given = [(name.upper(), text.strip()) for name, text in given]

    def require_known(self) -> None:
        """Raise BadRequest for a name that is no parameter of /provsap."""
        dali.require_known(self._given, _PARAMETERS)

    def all_values(self, name: str) -> list[str]:
        """Return all values of a parameter that are not empty."""
        return [text for given, text in self._given if given == name and text]

    def one_value(self, name: str) -> str | None:
        """Return the value of a parameter that may come once, or None. Raise BadRequest for several values."""
        found = self.all_values(name)
        if len(set(found)) > 1:
            raise BadRequest(f"{name}: {len(found)} values came; one is allowed")
        return found[0] if found else None

    def format(self) -> str:
        """Return the format asked for; PROV-JSON by default. Raise BadRequest for an unknown one."""
        known = ", ".join(words[0] for words in _FORMATS.values())
        asked = self.one_value(dali.RESPONSEFORMAT) or "json"
        return dali.format_of(asked, _KINDS, f"{known} or their media types are allowed")

    def direction(self) -> Direction:
        """Return the direction asked for; BACK by default. Raise BadRequest for an unknown one."""
        asked = (self.one_value("DIRECTION") or Direction.BACK).upper()
        if asked not in list(Direction):
            raise BadRequest(f"DIRECTION: {asked[:40]!r} came; {' or '.join(Direction)} is allowed")
        return Direction(asked)

    def depth(self) -> int:
        """Return how many relations are followed; ALL by default. Raise BadRequest for what is no number."""
        asked = (self.one_value("DEPTH") or "ALL").upper()
        if asked == "ALL":
            return ALL
        if not _DEPTH.fullmatch(asked):
            raise BadRequest(f"DEPTH: {asked[:40]!r} came; a number of relations from 0, or ALL, is allowed")
        return min(int(asked), ALL)

    def options(self, kind: str) -> Options:
        """Return what the document contains; a picture has no parameters by default, and always names."""
        model = (self.one_value("MODEL") or Model.IVOA).upper()
        if model not in list(Model):
            raise BadRequest(f"MODEL: {model[:40]!r} came; {' or '.join(Model)} is allowed")
        drawn = kind in _PICTURES
        return Options(
            model=Model(model),
            agents=self.switch("AGENTS", True),
            descriptions=self.switch("DESCRIPTIONS", False),
            configuration=self.switch("CONFIGURATION", not drawn),
            members=self.switch("MEMBERS", True),
            attributes=drawn or self.switch("ATTRIBUTES", True),
        )

    def switch(self, name: str, default: bool) -> bool:
        """Return whether something is wanted, by 1 or 0. Raise BadRequest for another value."""
        asked = self.one_value(name)
        if asked is None:
            return default
        wanted = truth(asked)
        if wanted is None:
            raise BadRequest(f"{name}: {asked[:40]!r} came; 1 or 0 is allowed")
        return wanted
