"""What DALI asks of every VO service: an error as VOTable where a VOTable was asked for. Imports what XML can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from lxml import etree

from uws_server.jobs.formats.xmltext import writable

VOTABLE = "application/x-votable+xml"
RESPONSEFORMAT = "RESPONSEFORMAT"
"""The parameter that names the media type wanted; like all of DALI's, in any case."""
_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"


def response_format(query: Mapping[str, str]) -> str | None:
    """The media type asked for by RESPONSEFORMAT, if any."""
    return next((value for name, value in query.items() if name.upper() == RESPONSEFORMAT), None)


def wants_votable(query: Mapping[str, str], accept: str) -> bool:
    """Whether a request asks for a VOTable, by RESPONSEFORMAT or else by Accept."""
    asked = response_format(query)
    return "votable" in (accept if asked is None else asked).lower()


def error_document(sentence: str) -> bytes:
    """A VOTable that says nothing but the error: QUERY_STATUS=ERROR (DALI 1.1, section 4.4)."""
    names = cast(dict[str, str], {None: _NAMESPACE})  # the stubs know no default namespace
    root = etree.Element(f"{{{_NAMESPACE}}}VOTABLE", {"version": "1.4"}, names)
    resource = etree.SubElement(root, f"{{{_NAMESPACE}}}RESOURCE", {"type": "results"})
    info = etree.SubElement(resource, f"{{{_NAMESPACE}}}INFO", {"name": "QUERY_STATUS", "value": "ERROR"})
    info.text = writable(sentence)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
