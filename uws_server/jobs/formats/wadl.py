"""A job definition as WADL: the job list's whole UWS interface, with the ids that OPUS gives its parts.

What WADL has no words for stands in a namespace of ours, beside what it is about. Imports the definition, its checks
and the other formats' common parts; the resources that every job list has are in `wadl_resources`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.text.xmltext import is_writable
from uws_server.errors import DefinitionError, Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import FILE_TYPES, Definition, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, etree, leaves, native, xmltext
from uws_server.jobs.formats.wadl_resources import OWN, PARAMETERS, WADL, add, application

_TYPES: Mapping[str, leaves.TypeRange] = {
    **leaves.TYPES_OF_OPUS,
    "decimal": ("float", None, None),
    "dateTime": ("datetime", None, None),
}
"""The types of XML Schema that OPUS and we write."""
_WRITTEN = {"boolean": "xs:boolean", "integer": "xs:long", "float": "xs:double", "datetime": "xs:dateTime"}
_OF_UWS = frozenset({"PHASE", "RUNID", "EXECUTIONDURATION", "DESTRUCTION"})
"""Parameters of the request that creates a job which are not the job's own."""


def read(document: bytes, where: str) -> Package:
    """Return the definition in a WADL document, checked, with the script and README that it holds."""
    return from_root(xmltext.parse(document, where), where)


def from_root(root: etree._Element, where: str) -> Package:
    """Return the same from a parsed document."""
    resource = _joblist(root)
    if resource is None:
        raise DefinitionError(f"{where}: there is no resource with the id joblist: this describes no job list")
    lines: dict[str, int] = {}
    definition = native.sound(lambda: _definition(root, resource, lines), where, lines)
    return Package(definition, **{name: _text(resource, name, where) for name in native.TEXTS})


def write_package(package: Package, base_url: str = "") -> bytes:
    """Return a WADL document of the definition with its script and README, for the server at `base_url`."""
    definition = package.definition
    checks.require_sound(definition, definition.name)
    root, resource = application(definition, base_url)
    for holder in (item for item in root.iter() if item.get("id") in PARAMETERS):
        for spec in definition.parameters:
            element = _add_parameter(holder, spec)
            if holder.get("id") == PARAMETERS[0]:
                _add_own_fields(element, spec)
    names, results = _param(root, "parameter-name"), _param(root, "result-id")
    for spec in definition.parameters:
        add(add(names, "option", {"value": spec.name}), "doc", text=spec.description)
    for result in definition.results:
        _add_result(results, result)
    read = native.from_plain(_standard_fields(root, resource, {}))
    for path, text in leaves.differences(definition, read).items():
        resource.set(f"{{{OWN}}}{path}", text)
    for name in native.TEXTS:
        _add_text(resource, name, getattr(package, name))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _definition(root: etree._Element, resource: etree._Element, lines: dict[str, int]) -> dict[str, Any]:
    """Return the whole definition as the native format has it."""
    data = _standard_fields(root, resource, lines)
    _plant(data, Definition, resource, "", lines)
    parameters = _parameters(root, resource)
    data["parameters"] = []
    for i, element in enumerate(leaves.limited(parameters, "parameters", lines)):
        lines[f"parameters[{i}]"] = xmltext.line_of(element)
        spec = _standard_parameter(element, f"parameters[{i}]")
        _plant(spec, ParameterSpec, element, f"parameters[{i}]", lines)
        data["parameters"].append(spec)
    options = list(xmltext.children(_param(root, "result-id"), "option"))
    data["results"] = []
    for i, element in enumerate(leaves.limited(options, "results", lines)):
        lines[f"results[{i}]"] = xmltext.line_of(element)
        result = _standard_result(element)
        _plant(result, ResultSpec, element, f"results[{i}]", lines)
        data["results"].append(result)
    return data


def _standard_fields(root: etree._Element, resource: etree._Element, lines: dict[str, int]) -> dict[str, Any]:
    """Return what the terms of WADL, and of OPUS, state of the definition as a whole."""
    line = xmltext.line_of(resource)
    lines[""] = line
    name = resource.get("path", "").strip("/")
    data: dict[str, Any] = {**leaves.bare(name), "contact": {}, "control": {}}
    description = (item for item in xmltext.within(resource, "doc") if item.get("title") == "description")
    data["description"] = xmltext.text_of(next(description, None))
    if resource.get("doculink"):
        data["documentation"] = resource.get("doculink")
    for key in ("name", "email"):
        if resource.get(f"contact_{key}"):
            data["contact"][key] = resource.get(f"contact_{key}")
    duration = (item for item in xmltext.within(root, "param") if item.get("name") == "EXECUTIONDURATION")
    element = next((item for item in duration if item.get("default")), None)
    if element is not None:
        lines["control.duration"] = xmltext.line_of(element)
        data["control"]["duration"] = leaves.duration(element.get("default", ""))
    return data


def _standard_parameter(element: etree._Element, place: str) -> dict[str, Any]:
    """Return what the terms of WADL, and of OPUS, state of a parameter."""
    datatype = element.get("type", "xs:string").rpartition(":")[2]
    if datatype not in _TYPES:
        known = ", ".join(_TYPES)
        raise native.Misfit.at(f"{place}.type", f"the type {datatype[:80]!r} is not known; known are {known}")
    kind, low, high = _TYPES[datatype]
    default = element.get("default")
    if kind == "url" and default and "://" not in default:
        kind = "file"  # OPUS gives files this type
    options = [option.get("value", "") for option in xmltext.children(element, "option")]
    choices = element.get("choices", "")
    if "|" in choices:
        options = [option.strip() for option in choices.split("|")]
    data: dict[str, Any] = {"name": element.get("name", ""), "description": _documented(element)}
    data["required"] = element.get("required", "").lower() in ("true", "1")
    if element.get("repeating", "").lower() in ("true", "1"):
        data["max_values"] = checks.MOST_VALUES
    if options:
        kind, low, high = "choice", None, None
        data["options"] = options
    if kind in ("integer", "float"):
        low = low if element.get("min") is None else leaves.bound(element.get("min", ""), f"{place}.min")
        high = high if element.get("max") is None else leaves.bound(element.get("max", ""), f"{place}.max")
    data |= {"type": kind, "min": low, "max": high}
    if default:
        data["default"] = leaves.scalar(default, kind)
    return data


def _standard_result(option: etree._Element) -> dict[str, Any]:
    """Return what the terms of WADL, and of OPUS, state of a result."""
    name = option.get("value", "")
    data = {"name": name, "file": option.get("default") or name, "description": _documented(option)}
    mime = option.get("mediaType") or option.get("content_type")
    return data | ({"mime": mime} if mime else {})


def _plant(data: dict[str, Any], kind: type, element: etree._Element, place: str, lines: dict[str, int]) -> None:
    """Fill in the fields that are in our namespace."""
    beginning = f"{{{OWN}}}"
    for key, text in element.attrib.items():
        if str(key).startswith(beginning):
            path = str(key).removeprefix(beginning)
            inner = f"{place}.{path}" if place else path
            lines[inner] = xmltext.line_of(element)
            leaves.plant(data, kind, path, str(text), inner)


def _add_parameter(holder: etree._Element, spec: ParameterSpec) -> etree._Element:
    """Add the param of a parameter, in terms of WADL alone, and return it."""
    attributes = {"style": "query", "name": spec.name, "type": _WRITTEN.get(spec.type, "xs:string")}
    if spec.type in FILE_TYPES:
        attributes["type"] = "xs:anyURI"
    attributes["required"] = "true" if spec.required else "false"
    if spec.max_values > 1:
        attributes["repeating"] = "true"
    if len(spec.defaults) == 1 and is_writable(text := leaves.written(spec.defaults[0])):
        attributes["default"] = text
    element = add(holder, "param", attributes)
    add(element, "doc", text=spec.description)
    for option in spec.options:
        add(element, "option", {"value": option})
    return element


def _add_own_fields(element: etree._Element, spec: ParameterSpec) -> None:
    """Add, in our namespace, the fields of a parameter that its param does not state."""
    read = native.build(ParameterSpec, _standard_parameter(element, ""), "")
    for path, text in leaves.differences(spec, read).items():
        element.set(f"{{{OWN}}}{path}", text)


def _add_result(holder: etree._Element, result: ResultSpec) -> None:
    option = add(holder, "option", {"value": result.name, "mediaType": result.mime})
    add(option, "doc", text=result.description)
    read = native.build(ResultSpec, _standard_result(option), "")
    for path, text in leaves.differences(result, read).items():
        option.set(f"{{{OWN}}}{path}", text)


def _add_text(resource: etree._Element, name: str, text: str) -> None:
    """Add the script or the README, as it is or, where XML cannot hold it, in base64."""
    if not text:
        return
    element = etree.SubElement(resource, f"{{{OWN}}}{name}")
    if is_writable(text):
        element.text = text
    else:
        element.set("encoding", "base64")
        element.text = xmltext.as_base64(text)


def _text(resource: etree._Element, name: str, where: str) -> str:
    element = resource.find(f"{{{OWN}}}{name}")
    if element is None:
        return ""
    text = "".join(str(piece) for piece in element.itertext())
    if element.get("encoding") == "base64":
        return xmltext.from_base64(text, where, Problem(name, "", xmltext.line_of(element)))
    return text


def _joblist(root: etree._Element) -> etree._Element | None:
    return next((item for item in xmltext.within(root, "resource") if item.get("id") == "joblist"), None)


def _parameters(root: etree._Element, resource: etree._Element) -> list[etree._Element]:
    """Return the parameters of the request that creates a job: by OPUS's id, else those of the list's POST."""
    xml_id = "{http://www.w3.org/XML/1998/namespace}id"
    marked = (item for item in root.iter() if PARAMETERS[0] in (item.get("id"), item.get(xml_id)))
    posts = (item for item in xmltext.children(resource, "method") if item.get("name") == "POST")
    holder = next(marked, None)
    holder = next(posts, None) if holder is None else holder
    return [] if holder is None else [item for item in xmltext.within(holder, "param") if _is_own(item)]


def _is_own(element: etree._Element) -> bool:
    return element.get("style", "query") == "query" and element.get("name") not in _OF_UWS


def _param(root: etree._Element, name: str) -> etree._Element:
    """Return the param of that name; an empty one where there is none."""
    found: Iterator[etree._Element] = (item for item in xmltext.within(root, "param") if item.get("name") == name)
    found = (item for item in found if item.get("style") == "template")
    element = next(found, None)
    return etree.Element(f"{{{WADL}}}param") if element is None else element


def _documented(element: etree._Element) -> str:
    return xmltext.text_of(next(xmltext.children(element, "doc"), None))
