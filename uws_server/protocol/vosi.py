"""VOSI: whether the server is up, and what it can do. Imports the services and the values.

`/availability` follows VOSIAvailability 1.0, `/capabilities` VOSICapabilities 1.0. A planned downtime is read from its
file at each request, so that it can be announced without a restart.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bottle import Bottle, HTTPResponse, request

from provenance.text.xmltext import writable
from uws_server.incoming.callers import BASIC, BEARER, job_service_of
from uws_server.jobs.formats import etree
from uws_server.jobs.job import utcnow
from uws_server.protocol.capabilities import DATA_SERVICE, RESOURCE, add_capabilities
from uws_server.protocol.uws_xml import DECLARATION, XSI, escaped, timestamp
from uws_server.services.announcements import Announcements
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.operating import Operating
from uws_server.services.rights import Caller

LOG = logging.getLogger(__name__)
_XML = {"Content-Type": "text/xml; charset=UTF-8"}
_AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
_CAPABILITIES = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"


@dataclass(frozen=True)
class Downtime:
    """A planned downtime; aware times."""

    down_at: datetime | None = None
    back_at: datetime | None = None
    note: str = ""

    def over(self, now: datetime) -> bool:
        """Check whether it is over."""
        return self.back_at is not None and self.back_at <= now

    def holds(self, now: datetime) -> bool:
        """Check whether the server is down because of it."""
        return self.down_at is not None and self.down_at <= now and not self.over(now)


class VOSI:
    """The support interfaces, over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._for_nobody = JobService(services, Caller())
        self.up_since = utcnow()

    def routes(self, app: Bottle) -> None:
        """Add the resources to the application."""
        app.get("/availability", callback=self.availability)
        app.get("/capabilities", callback=self.capabilities)

    def availability(self) -> HTTPResponse:
        """GET whether jobs are accepted, since when, and which downtime is planned."""
        return HTTPResponse(self.availability_document(utcnow()), 200, _XML)

    def availability_document(self, now: datetime) -> bytes:
        """Return the availability document at a moment.

        It is written as text: programs that watch a server ask for it again and again, often before anything else.
        """
        downtime = read_downtime(self.services.config.server.downtime)
        obstacle = self._for_nobody.obstacle()
        said = [
            ("available", "false" if obstacle or downtime.holds(now) else "true"),
            ("upSince", timestamp(self.up_since)),
        ]
        if downtime.down_at is not None and not downtime.over(now):
            said.append(("downAt", timestamp(downtime.down_at)))
            if downtime.back_at is not None:
                said.append(("backAt", timestamp(downtime.back_at)))
            if downtime.note:
                said.append(("note", downtime.note))
        if obstacle:
            said.append(("note", obstacle))
        elif note := Operating(self.services, Caller()).drain_note():
            said.append(("note", note))
        said += [("note", announced.text) for announced in Announcements(self.services, Caller()).now()]
        elements = (f"  <vosi:{name}>{escaped(writable(text))}</vosi:{name}>\n" for name, text in said)
        root = f'<vosi:availability xmlns:vosi="{_AVAILABILITY}">\n{"".join(elements)}</vosi:availability>\n'
        return f"{DECLARATION}{root}".encode()

    def capabilities(self) -> HTTPResponse:
        """GET what the server offers: VOSI itself, links, searches, cutouts, and a UWS job list for each definition.

        What has no standard id (/provsap, /obscore, /jdl) is not listed. Who is not signed in is told how it is done;
        who is, as whom (X-VO-Authenticated, as everywhere).
        """
        caller = job_service_of(self.services, request.environ).caller
        names = {"vosi": _CAPABILITIES, "vr": RESOURCE, "vs": DATA_SERVICE, "xsi": XSI}
        root = etree.Element(f"{{{_CAPABILITIES}}}capabilities", nsmap=names)
        definitions = [installed.definition for installed in self._for_nobody.definitions]
        add_capabilities(root, self.services.base_url, definitions, self.is_open)
        document = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
        response = HTTPResponse(document, 200, _XML)
        for challenge in (BASIC, BEARER) if caller.name is None else ():
            response.add_header("WWW-Authenticate", challenge)
        return response

    @property
    def is_open(self) -> bool:
        """Whether those without an account may use the server."""
        return self._for_nobody.may_enter()


def read_downtime(path: Path | None) -> Downtime:
    """Return the planned downtime; none without a file, nor for a broken one, which is reported in the log."""
    if path is None or not path.exists():
        return Downtime()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Downtime(_time(content.get("down_at")), _time(content.get("back_at")), str(content.get("note", "")))
    except (OSError, ValueError) as error:
        LOG.error("the downtime file %s cannot be used: %s", path, error)
        return Downtime()


def _time(value: Any) -> datetime | None:
    """Return the time of a TOML date-time; one without an offset is UTC. Raise ValueError for anything else."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is not a date and time such as 2026-11-20T12:00:00Z")
    return value if value.tzinfo else value.replace(tzinfo=UTC)
