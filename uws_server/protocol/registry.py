"""What a registry of the VO asks of a server: its coverage, and its record. Imports the services and the capabilities.

GET or POST /coverage     MOC (AXIS=sky) or T-MOC (AXIS=time), OF=all, archive or products, FORMAT=fits, json or ascii
GET /record               the VOResource of the server, filled from the configuration, as somebody without an account

Source: IVOA Recommendations MOC 2.0 (2022-07-27), VOResource 1.1 (2018-06-25), VODataService 1.2 (2021-11-02).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming.callers import job_service_of
from uws_server.jobs.formats import etree
from uws_server.protocol import dali
from uws_server.protocol.archive import moc_answer
from uws_server.protocol.capabilities import DATA_SERVICE, RESOURCE, add_capabilities
from uws_server.protocol.uws_xml import XSI, timestamp
from uws_server.services import coverage
from uws_server.services.context import Services
from uws_server.services.coverage import Extent
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller

_INTERFACE: Final = "http://www.ivoa.net/xml/RegistryInterface/v1.0"
_AXES: Final = ("sky", "time")
_USUAL: Final = (
    "Observations and products of X-ray telescopes, with jobs that make spectra, images, light curves and event lists "
    "of them: found by ObsCore, SIA2, cone search and SSA, linked by DataLink, cut by SODA, made by UWS."
)


class Registry:
    """The resources over one set of services, of a server that is up since a moment."""

    def __init__(self, services: Services, up_since: datetime) -> None:
        self.services = services
        self._up_since = up_since

    def routes(self, app: Bottle) -> None:
        """Add the resources to the application."""
        app.route("/coverage", ["GET", "POST"], dali.answering(self.coverage))
        app.get("/record", callback=self.record)

    def coverage(self) -> HTTPResponse:
        """GET or POST: the sky, or the times, that the archive and the products of the caller cover."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        given = dali.parameters(request, self.services.spool, self.services.config)
        dali.require_known(given, ("AXIS", "OF", "FORMAT"))
        asked = dali.by_name(given)
        axis, part, form = (
            (dali.last(asked, name) or usual).lower()
            for name, usual in (("AXIS", "sky"), ("OF", "all"), ("FORMAT", "fits"))
        )
        if axis not in _AXES:
            raise BadRequest(f"AXIS: {axis[:40]!r} came; {' or '.join(_AXES)} is allowed")
        covered = coverage.sky if axis == "sky" else coverage.time
        body = covered(self.services, job_service.caller, part, form)
        return moc_answer(body, form, f"{part}-{axis}")

    def record(self) -> HTTPResponse:
        """GET the record of this server. Raise NotFound if its configuration says too little for one."""
        config = self.services.config
        about = config.registry
        needed = {"publisher": config.products.publisher, "title": about.title, "organisation": about.organisation,
                  "contact_email": about.contact_email}  # fmt: skip
        if missing := [name for name, value in needed.items() if not value]:
            raise NotFound(f"this server has no registry record: its configuration lacks {', '.join(missing)}")
        for_nobody = JobService(self.services, Caller())
        is_open = for_nobody.may_enter()
        root = self._root()
        self._describe(root)
        if config.products.data_rights:
            _add(root, "rights", config.products.data_rights)
        definitions = [installed.definition for installed in for_nobody.definitions]
        add_capabilities(root, self.services.base_url, definitions, is_open)
        if is_open:
            _add_coverage(root, coverage.extent(self.services, for_nobody.caller))
        document = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
        return HTTPResponse(document, 200, {"Content-Type": "text/xml; charset=UTF-8"})

    def _root(self) -> etree._Element:
        """Return the resource, with the times of the record."""
        names = {"ri": _INTERFACE, "vr": RESOURCE, "vs": DATA_SERVICE, "xsi": XSI}
        registered = self.services.config.registry.registered
        created = datetime.fromisoformat(registered).replace(tzinfo=UTC) if registered else self._up_since
        attributes = {f"{{{XSI}}}type": "vs:DataService", "created": timestamp(min(created, self._up_since)),
                      "updated": timestamp(self._up_since), "status": "active"}  # fmt: skip
        return etree.Element(f"{{{_INTERFACE}}}Resource", attributes, names)

    def _describe(self, root: etree._Element) -> None:
        """Add who publishes what."""
        about = self.services.config.registry
        _add(root, "title", about.title)
        _add(root, "identifier", self.services.config.products.publisher)
        curation = etree.SubElement(root, "curation")
        _add(curation, "publisher", about.organisation)
        contact = etree.SubElement(curation, "contact")
        _add(contact, "name", about.contact_name or about.organisation)
        _add(contact, "email", about.contact_email)
        content = etree.SubElement(root, "content")
        for subject in about.subjects or ("astronomy",):
            _add(content, "subject", subject)
        _add(content, "description", about.description or _USUAL)
        _add(content, "referenceURL", about.reference_url or self.services.base_url)
        _add(content, "type", "Archive")
        _add(content, "contentLevel", "Research")


def _add_coverage(root: etree._Element, extent: Extent) -> None:
    """Add what is covered on the sky, in time and in energy, and the waveband."""
    covered = etree.SubElement(root, "coverage")
    if extent.spatial:
        _add(covered, "spatial", extent.spatial)
    for name, bounds in (("temporal", extent.temporal), ("spectral", extent.spectral)):
        if bounds is not None:
            _add(covered, name, " ".join(f"{bound:.9g}" for bound in bounds))
    _add(covered, "waveband", "X-ray")


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text
