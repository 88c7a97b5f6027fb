"""The VOTables of DataLink 1.1: a row for each link, and a resource for each service. Imports the definitions.

Source: IVOA Recommendation DataLink 1.1 (2023-12-15), VOTable 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.formats import etree
from uws_server.jobs.formats.datalink import ASYNC, SYNC, add_service, add_services
from uws_server.jobs.formats.votablexml import add, serialized, table_root
from uws_server.jobs.job import ParameterValue

DATALINK = "application/x-votable+xml;content=datalink"
_STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
_FIELDS = (
    ("ID", "char", "meta.id;meta.main", ""),
    ("access_url", "char", "meta.ref.url", ""),
    ("service_def", "char", "meta.ref", ""),
    ("error_message", "char", "meta.code.error", ""),
    ("semantics", "char", "meta.code", ""),
    ("local_semantics", "char", "meta.code", ""),
    ("description", "unicodeChar", "meta.note", ""),
    ("content_type", "char", "meta.code.mime", ""),
    ("content_length", "long", "phys.size;meta.file", "byte"),
    ("content_qualifier", "char", "meta.code", ""),
    ("link_auth", "char", "meta.code", ""),
    ("link_authorized", "boolean", "meta.code", ""),
)
"""Name, type, UCD and unit of each column."""
_TEXTS = ("char", "unicodeChar")


@dataclass(frozen=True)
class Link:
    """A row: exactly one of `url`, `service` (the id of a service) and `error` is there."""

    id: str
    url: str = ""
    service: str = ""
    error: str = ""
    semantics: str = "#this"
    description: str = ""
    content_type: str = ""
    content_length: int | None = None
    local_semantics: str = ""


@dataclass(frozen=True)
class Input:
    """A parameter of a service; `present` is its value if none is given, in words for a person.

    One that is `fixed` is sent as it is; `size` and `xtype` are those of an array of numbers.
    """

    name: str
    type: str
    present: str = ""
    unit: str = ""
    ucd: str = ""
    description: str = ""
    min: float | None = None
    max: float | None = None
    options: tuple[str, ...] = ()
    fixed: str = ""
    size: str = ""
    xtype: str = ""


@dataclass(frozen=True)
class Service:
    """A service that rows refer to: it takes its inputs as key=value, by GET or POST."""

    id: str
    url: str
    description: str
    content_type: str
    inputs: tuple[Input, ...]
    standard: str = ""


def input_of(spec: ParameterSpec, value: ParameterValue | None) -> Input:
    """Return a parameter of a job as the input of a service; a number only if it has one value that is a number."""
    present = "" if value is None else value.text
    kind, lowest, highest = "char", None, None
    number = value.value if value is not None and not value.parts else None
    if spec.type == "boolean" and isinstance(number, bool):
        kind, present = "boolean", "true" if number else "false"
    elif spec.type == "integer" and type(number) is int:
        kind, present = "long", str(number)
    elif spec.type == "float" and type(number) in (int, float) and math.isfinite(float(number or 0)):
        kind, present = "double", repr(number)
    if kind in ("long", "double"):
        lowest, highest = spec.min, spec.max
    unit = spec.unit if kind in ("long", "double") else ""
    return Input(spec.name, kind, present, unit, spec.ucd, spec.description, lowest, highest, spec.options)


def document(links: Sequence[Link], services: Sequence[Service], address: str, overflow: bool = False) -> bytes:
    """Return the VOTable: the links, the services, and the description of /datalink itself (at `address`)."""
    root = table_root()
    results = _add_links(root, links)
    if overflow:
        add(results, "INFO", {"name": "QUERY_STATUS", "value": "OVERFLOW"})
    for service in services:
        _describe(root, service)
    identifier = Input("ID", "char", ucd="meta.id;meta.main", description="Id or address of a result or a job")
    _describe(root, Service("", address, "Links of a result or a job", DATALINK, (identifier,)), _STANDARD)
    return serialized(root)


def of_definition(definition: Definition, base_url: str, links: Iterable[Link]) -> bytes:
    """Return the VOTable of a definition: `links` after its two services, with their descriptors."""
    description = f"{definition.title}: how to run it, and what is known of it"
    services = (
        Link(definition.name, service=SYNC, semantics="#proc", description="Run a job and have its main result"),
        Link(definition.name, service=ASYNC, semantics="#proc", description="Make a job and follow it by UWS",
             content_type="text/xml"),
    )  # fmt: skip
    root = table_root()
    _add_links(root, (*services, *links), description)
    add_services(root, definition, base_url)
    return serialized(root)


def _add_links(root: etree._Element, links: Iterable[Link], description: str = "") -> etree._Element:
    """Add the table of links (DataLink 1.1, section 3) and return its resource."""
    results: etree._Element = add(root, "RESOURCE", {"type": "results"})
    if description:
        add(results, "DESCRIPTION", text=description)
    add(results, "INFO", {"name": "standardID", "value": _STANDARD})
    add(results, "INFO", {"name": "QUERY_STATUS", "value": "OK"})
    table = add(results, "TABLE", {"name": "links"})
    for name, kind, ucd, unit in _FIELDS:
        about = {"name": name, "datatype": kind, "ucd": ucd} | ({"arraysize": "*"} if kind in _TEXTS else {})
        add(table, "FIELD", about | ({"unit": unit} if unit else {}))
    rows = add(add(table, "DATA"), "TABLEDATA")
    for link in links:
        row = add(rows, "TR")
        for text in _cells(link):
            add(row, "TD", text=text)
    return results


def _cells(link: Link) -> tuple[str, ...]:
    """Return the texts of a row, in the order of the columns."""
    linked = bool(link.url or link.service)
    length = "" if link.content_length is None else str(link.content_length)
    return (
        link.id, link.url, link.service, link.error, link.semantics, link.local_semantics, link.description,
        link.content_type, length, "", "optional" if linked else "", "true" if linked else "",
    )  # fmt: skip


def _describe(root: etree._Element, service: Service, standard: str = "") -> None:
    """Add a service descriptor (DataLink 1.1, section 4); with a standard, that of /datalink itself."""
    about = {"name": "this"} if standard else {"ID": service.id}
    named = standard or service.standard
    group = add_service(root, about, service.description, accessURL=service.url, standardID=named,
                        contentType=service.content_type)  # fmt: skip
    for item in service.inputs:
        param = add(group, "PARAM", _about_input(item))
        text = " ".join([item.description, f"Now: {item.present}" if item.present else ""]).strip()
        if text:
            add(param, "DESCRIPTION", text=text)
        if item.options or item.min is not None or item.max is not None:
            values = add(param, "VALUES")
            for tag, bound in (("MIN", item.min), ("MAX", item.max)):
                if bound is not None:
                    add(values, tag, {"value": str(int(bound)) if item.type == "long" else repr(float(bound))})
            for option in item.options:
                add(values, "OPTION", {"value": option})


def _about_input(item: Input) -> dict[str, str]:
    # a value here is one that a client must send unchanged (DataLink 1.1, section 4.1)
    known = {"name": item.name, "datatype": item.type, "value": item.fixed, "unit": item.unit, "ucd": item.ucd,
             "xtype": item.xtype}  # fmt: skip
    # an empty scalar of a float is no value for astropy, by which pyvo 1.9.1 fails; an array may be empty
    known["arraysize"] = item.size or ("*" if item.type in ("char", "double") else "")
    return {name: text for name, text in known.items() if text or name == "value"}
