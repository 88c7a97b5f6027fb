"""The DataLink service descriptors of a job list, and the links of a definition, as VOTable. Imports the definition.

A descriptor names an address and the parameters it takes, so that a program can build the request without a form
(DataLink 1.1, section 4). There are two: one runs a job and answers with its main result, the other makes a job to be
followed by UWS. Elements stand in the order of VOTable 1.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lxml import etree

from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.formats import leaves, xmltext

VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"
ASYNC_STANDARD = "ivo://ivoa.net/std/UWS#async-1.1"
SYNC_STANDARD = "ivo://ivoa.net/std/UWS#sync-1.1"
SYNC, ASYNC = "_sync", "_async"
"""The ids of the two descriptors; a parameter's begins with a letter."""

_UCD = re.compile(r"[A-Za-z0-9_.:;-]+")
_TOKEN = re.compile(r"\S+( \S+)*")
_DATATYPES: Mapping[str, str] = {"boolean": "boolean", "integer": "long", "float": "double"}
_PLAIN: Mapping[str, type | tuple[type, ...]] = {"boolean": bool, "integer": int, "float": (int, float)}
_FIELDS: Sequence[tuple[str, str, str]] = (
    ("ID", "char", "meta.id;meta.main"),
    ("access_url", "char", "meta.ref.url"),
    ("service_def", "char", "meta.ref"),
    ("error_message", "char", "meta.code.error"),
    ("semantics", "char", "meta.code"),
    ("description", "unicodeChar", "meta.note"),
    ("content_type", "char", "meta.code.mime"),
    ("content_length", "long", "phys.size;meta.file"),
)


@dataclass(frozen=True)
class Link:
    """A row of the links table: what there is, where, and of which media type."""

    semantics: str
    description: str
    content_type: str
    url: str = ""
    service: str = ""


def table_root() -> etree._Element:
    """An empty VOTable."""
    names = cast(dict[str, str], {None: VOTABLE})  # the stubs know no default namespace
    return etree.Element(f"{{{VOTABLE}}}VOTABLE", {"version": "1.4"}, names)


def add(parent: etree._Element, name: str, attributes: Mapping[str, str] | None = None, text: str = "") -> Any:
    """A new element of VOTable below another."""
    element = etree.SubElement(parent, f"{{{VOTABLE}}}{name}", dict(attributes or {}))
    if text:
        element.text = text
    return element


def add_text(parent: etree._Element, name: str, value: str, utype: str = "") -> None:
    """A PARAM that is text."""
    attributes = {"name": name, "value": value, "datatype": datatype(value), "arraysize": "*"}
    add(parent, "PARAM", attributes | ({"utype": utype} if utype else {}))


def add_parameter(parent: etree._Element, spec: ParameterSpec) -> etree._Element:
    """The PARAM of a parameter, as far as VOTable tells it: type, default, unit, range, options."""
    value = leaves.written(spec.defaults[0]) if len(spec.defaults) == 1 else ""
    kind = _DATATYPES.get(spec.type, datatype(value))
    if spec.type in _PLAIN and not isinstance(leaves.scalar(value, spec.type), _PLAIN[spec.type]):
        value = ""
    if not xmltext.is_writable(value):
        kind, value = "char", ""
    attributes = {"name": spec.name, "datatype": kind, "value": value}
    if kind in ("char", "unicodeChar"):
        attributes["arraysize"] = "*"
    if spec.unit and _TOKEN.fullmatch(spec.unit):
        attributes["unit"] = spec.unit
    if spec.ucd and _UCD.fullmatch(spec.ucd):
        attributes["ucd"] = spec.ucd
    if spec.utype:
        attributes["utype"] = spec.utype
    if spec.xtype and _TOKEN.fullmatch(spec.xtype):
        attributes["xtype"] = spec.xtype
    if not spec.required:
        attributes["type"] = "no_query"
    parameter = add(parent, "PARAM", attributes)
    if spec.description:
        add(parameter, "DESCRIPTION", text=spec.description)
    bounds = _bounds(spec)
    if bounds or spec.options:
        values = add(parameter, "VALUES")
        for name, bound in bounds.items():
            add(values, name, {"value": leaves.written(bound)})
        for option in spec.options:
            add(values, "OPTION", {"value": option})
    return cast(etree._Element, parameter)


def add_services(root: etree._Element, definition: Definition, base_url: str) -> None:
    """The two service descriptors of a definition's job list."""
    address = f"{base_url}/rest/{definition.name}"
    _service(root, definition, SYNC, f"{address}/sync", SYNC_STANDARD, "runs a job and answers with its main result")
    inputs = _service(root, definition, ASYNC, address, ASYNC_STANDARD, "makes a job (by POST) and answers with it")
    run = add(inputs, "PARAM", {"name": "PHASE", "datatype": "char", "arraysize": "*", "value": "RUN"})
    add(run, "DESCRIPTION", text="RUN runs the job at once; without it, it waits for PHASE=RUN.")


def links(definition: Definition, base_url: str, rows: Iterable[Link]) -> bytes:
    """The links of a definition: `rows` and its two services, with their descriptors."""
    root = table_root()
    resource = add(root, "RESOURCE", {"type": "results"})
    add(resource, "DESCRIPTION", text=f"{definition.title}: how to run it, and what is known of it")
    add(resource, "INFO", {"name": "QUERY_STATUS", "value": "OK"})
    add(resource, "INFO", {"name": "standardID", "value": "ivo://ivoa.net/std/DataLink#links-1.1"})
    table = add(resource, "TABLE")
    for name, kind, ucd in _FIELDS:
        size = {"unit": "byte"} if name == "content_length" else {"arraysize": "*"}
        add(table, "FIELD", {"name": name, "datatype": kind, "ucd": ucd, **size})
    body = add(add(table, "DATA"), "TABLEDATA")
    services = (
        Link("#proc", "Run a job and have its main result", "", service=SYNC),
        Link("#proc", "Make a job and follow it by UWS", "text/xml", service=ASYNC),
    )
    for row in (*services, *rows):
        cells = (definition.name, row.url, row.service, "", row.semantics, row.description, row.content_type, "")
        line = add(body, "TR")
        for cell in cells:
            add(line, "TD", text=cell)
    add_services(root, definition, base_url)
    return serialized(root)


def serialized(root: etree._Element) -> bytes:
    """The document as bytes."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def datatype(text: str) -> str:
    """The VOTable type of a text: char is ASCII only."""
    return "char" if text.isascii() else "unicodeChar"


def _bounds(spec: ParameterSpec) -> dict[str, float]:
    """The bounds that VOTable can tell: numbers of the type of the value."""
    if spec.type not in ("integer", "float"):
        return {}
    found = {"MIN": spec.min, "MAX": spec.max}
    fitting = _PLAIN[spec.type]
    return {name: bound for name, bound in found.items() if bound is not None and isinstance(bound, fitting)}


def _service(
    root: etree._Element, definition: Definition, service: str, url: str, standard: str, says: str
) -> etree._Element:
    resource = add(root, "RESOURCE", {"ID": service, "type": "meta", "utype": "adhoc:service"})
    add(resource, "DESCRIPTION", text=f"{definition.title}: {says}")
    add_text(resource, "accessURL", url)
    add_text(resource, "standardID", standard)
    inputs = add(resource, "GROUP", {"name": "inputParams"})
    for spec in definition.parameters:
        parameter = add_parameter(inputs, spec)
        if parameter.get("datatype") == "double" and not parameter.get("value"):
            parameter.set("arraysize", "*")  # none yet: a client must not take it for the number NaN
    return cast(etree._Element, inputs)
