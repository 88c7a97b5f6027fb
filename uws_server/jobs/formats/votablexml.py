"""The parts of every VOTable: its root, elements, texts as PARAM, bytes. Imports what XML can hold.

Elements stand in the order of VOTable 1.4; a character that no XML document can hold becomes U+FFFD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from provenance.text.xmltext import writable
from uws_server.jobs.formats import etree

VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"


def table_root() -> etree._Element:
    """Return an empty VOTable."""
    names = cast(dict[str, str], {None: VOTABLE})  # the stubs know no default namespace
    return etree.Element(f"{{{VOTABLE}}}VOTABLE", {"version": "1.4"}, names)


def add(parent: etree._Element, name: str, attributes: Mapping[str, str] | None = None, text: str = "") -> Any:
    """Add an element of VOTable below another and return it."""
    written = {key: writable(value) for key, value in (attributes or {}).items()}
    element = etree.SubElement(parent, f"{{{VOTABLE}}}{name}", written)
    if text:
        element.text = writable(text)
    return element


def add_text(parent: etree._Element, name: str, value: str, utype: str = "") -> None:
    """Add a PARAM that is text."""
    attributes = {"name": name, "value": value, "datatype": datatype(value), "arraysize": "*"}
    add(parent, "PARAM", attributes | ({"utype": utype} if utype else {}))


def datatype(text: str) -> str:
    """Return the VOTable type of a text: char is ASCII only."""
    return "char" if text.isascii() else "unicodeChar"


def serialized(root: etree._Element) -> bytes:
    """Return the document as bytes."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
