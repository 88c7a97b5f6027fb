"""The DataLink service descriptors of a job list, as VOTable. Imports the definition.

A descriptor names an address and the parameters it takes, so that a program can build the request without a form
(DataLink 1.1, section 4). There are two: one runs a job and answers with its main result, the other makes a job to be
followed by UWS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from provenance.text.xmltext import is_writable, writable
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.formats import arrays, etree, leaves
from uws_server.jobs.formats.votablexml import add, add_text, datatype

UWS_STANDARD = "ivo://ivoa.net/std/UWS#rest-1.1"
SYNC, ASYNC = "_sync", "_async"
"""The ids of the two descriptors; the id of a parameter begins with a letter."""

_UCD = re.compile(r"[A-Za-z0-9_.:;-]+")
_TOKEN = re.compile(r"\S+( \S+)*")
_DATATYPES: Mapping[str, str] = {"boolean": "boolean", "integer": "long", "float": "double"}
_PLAIN: Mapping[str, type | tuple[type, ...]] = {"boolean": bool, "integer": int, "float": (int, float)}


def add_parameter(parent: etree._Element, spec: ParameterSpec) -> etree._Element:
    """Add the PARAM of a parameter, as far as VOTable describes one: type, default, unit, range, options."""
    value = _value(spec)
    kind = _DATATYPES.get(spec.type, datatype(value))
    attributes = {"name": spec.name, "datatype": kind, "value": value}
    if size := "*" if kind in ("char", "unicodeChar") else arrays.arraysize(spec):
        attributes["arraysize"] = size
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


def add_service(root: etree._Element, about: Mapping[str, str], says: str, **properties: str) -> etree._Element:
    """Add a service descriptor with properties of the standard, such as accessURL, and return its group of inputs."""
    resource = add(root, "RESOURCE", {**about, "type": "meta", "utype": "adhoc:service"})
    add(resource, "DESCRIPTION", text=says)
    for name, value in properties.items():
        if value:
            add_text(resource, name, value)
    return cast(etree._Element, add(resource, "GROUP", {"name": "inputParams"}))


def add_services(root: etree._Element, definition: Definition, base_url: str) -> None:
    """Add the two service descriptors of a definition's job list."""
    address = f"{base_url}/rest/{definition.name}"
    says = "runs a job and answers with its main result"
    _job_service(root, definition, SYNC, f"{address}/sync", "", says)  # UWS names no standard for it
    inputs = _job_service(root, definition, ASYNC, address, UWS_STANDARD, "makes a job (by POST) and answers with it")
    run = add(inputs, "PARAM", {"name": "PHASE", "datatype": "char", "arraysize": "*", "value": "RUN"})
    add(run, "DESCRIPTION", text="RUN runs the job at once; without it, it waits for PHASE=RUN.")


def _value(spec: ParameterSpec) -> str:
    """Return the default as VOTable can state it, all values of an array of numbers; '' where it cannot."""
    values = spec.defaults if arrays.arraysize(spec) or len(spec.defaults) == 1 else ()
    if spec.type in _PLAIN:
        values = tuple(leaves.scalar(leaves.written(value), spec.type) for value in values)
        if not all(isinstance(value, _PLAIN[spec.type]) for value in values):
            return ""
    text = " ".join(leaves.written(value) for value in values)
    return text if is_writable(text) else ""


def _bounds(spec: ParameterSpec) -> dict[str, float]:
    """Return the bounds that VOTable can state: numbers of the type of the value."""
    if spec.type not in ("integer", "float"):
        return {}
    found = {"MIN": spec.min, "MAX": spec.max}
    fitting = _PLAIN[spec.type]
    return {name: bound for name, bound in found.items() if bound is not None and isinstance(bound, fitting)}


def _job_service(
    root: etree._Element, definition: Definition, service: str, url: str, standard: str, says: str
) -> etree._Element:
    inputs = add_service(root, {"ID": service}, f"{definition.title}: {says}", accessURL=url, standardID=standard)
    for spec in definition.parameters:
        _leave_open(add_parameter(inputs, spec))
    return inputs


def _leave_open(parameter: etree._Element) -> None:
    """Move the value of a PARAM into its description: one in a service is fixed (DataLink 1.1, section 4.1)."""
    value = parameter.get("value", "")
    parameter.set("value", "")
    if parameter.get("datatype") == "double" and not parameter.get("arraysize"):
        parameter.set("arraysize", "*")  # no value: a client must not take it for the number NaN
    if not value:
        return
    description = next((child for child in parameter if etree.QName(child).localname == "DESCRIPTION"), None)
    if description is None:
        description = add(parameter, "DESCRIPTION")
        parameter.insert(0, description)
    description.text = f"{description.text or ''} Default: {writable(value)}".strip()
