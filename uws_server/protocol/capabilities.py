"""The capabilities of a server as elements of VOResource: what VOSI and the registry record say alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import etree
from uws_server.protocol.uws_xml import XSI

RESOURCE: Final = "http://www.ivoa.net/xml/VOResource/v1.0"
DATA_SERVICE: Final = "http://www.ivoa.net/xml/VODataService/v1.1"
_BASIC: Final = "ivo://ivoa.net/sso#BasicAA"
_STD: Final = "ivo://ivoa.net/std"
_UWS: Final = f"{_STD}/UWS#rest-1.1"
_SERVICES: Final = (
    (f"{_STD}/DataLink#links-1.1", "datalink", "Links of results and jobs, by their ids and addresses"),
    (f"{_STD}/TAP", "tap", "Queries in ADQL over all tables"),
    (f"{_STD}/SIA#query-2.0", "sia2", "Images, cubes and, by DPTYPE, other products"),
    (f"{_STD}/ConeSearch", "scs?", "Products by their position"),
    (f"{_STD}/SSA", "ssap?", "Spectra"),
    (f"{_STD}/SODA#sync-1.0", "soda/sync", "Cutouts of event lists and images"),
    (f"{_STD}/SODA#async-1.0", "soda/async", "Cutouts as a job list of UWS"),
)
"""Standard id, address and a description of each service on products."""


def add_capabilities(root: etree._Element, base_url: str, definitions: Iterable[Definition], is_open: bool) -> None:
    """Add the capabilities of a server; `is_open` says that callers without an account may come in.

    What has no standard id (/provsap, /obscore, /jdl, /openapi.json) is not listed.
    """
    for what in ("capabilities", "availability"):
        interface = _interface(root, f"{_STD}/VOSI#{what}", "")
        etree.SubElement(interface, "accessURL", {"use": "full"}).text = f"{base_url}/{what}"
    lists = ((_UWS, f"rest/{definition.name}", definition.title) for definition in definitions)
    for standard, address, description in (*_SERVICES, *lists):
        interface = _interface(root, standard, description)
        etree.SubElement(interface, "accessURL", {"use": "base"}).text = f"{base_url}/{address}"
        if is_open:  # an empty securityMethod is for those without an account (VOResource 1.1)
            etree.SubElement(interface, "securityMethod")
        etree.SubElement(interface, "securityMethod", {"standardID": _BASIC})


def _interface(root: etree._Element, standard: str, description: str) -> etree._Element:
    capability = etree.SubElement(root, "capability", {"standardID": standard})
    if description:
        etree.SubElement(capability, "description").text = description
    return etree.SubElement(capability, "interface", {f"{{{XSI}}}type": "vs:ParamHTTP", "role": "std"})
