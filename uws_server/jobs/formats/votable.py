"""A job definition as VOTable: what OPUS writes, in the utypes of IVOA Provenance, and DataLink service descriptors.

Imports the definition, its checks and the other formats' common parts. Fields that OPUS does not know are PARAMs with
a utype of ours, in places that OPUS passes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provenance.text.xmltext import is_writable
from uws_server.errors import DefinitionError, Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import FILE_TYPES, Definition, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, arrays, datalink, etree, leaves, native, xmltext
from uws_server.jobs.formats.votablexml import add, add_text, serialized, table_root

OWN = "uws-server:"
"""The beginning of the utypes that only we write."""

FILE_XTYPE = "application/octet-stream"
"""The xtype that OPUS gives to a file."""
_MORE = ".more"
"""The suffix of a group with further properties of a parameter: no parameter name has a dot."""

_ACTIVITY = "voprov:ActivityDescription"
_UTYPES = {
    "doculink": f"{_ACTIVITY}.doculink",
    "type": f"{_ACTIVITY}.type",
    "version": f"{_ACTIVITY}.version",
    "contact_name": "voprov:Agent.name",
    "contact_email": "voprov:Agent.email",
}
_QUOTE = {"name": "quote", "datatype": "int", "utype": "uws:Job.quote"}
_DURATION = {"name": "executionDuration", "datatype": "int", "utype": "uws:Job.executionDuration"}
_ENTITY = {
    "default": "voprov:Entity.id",
    "content_type": "voprov:EntityDescription.content_type",
    "url": "voprov:EntityDescription.url",
}
_TYPES: Mapping[str, leaves.TypeRange] = {
    "char": ("string", None, None),
    "unicodeChar": ("string", None, None),
    **leaves.TYPES_OF_OPUS,
}
"""VOTable's types, and those that OPUS writes into it."""


def read(document: bytes, where: str) -> Package:
    """Return the definition in a VOTable, checked, with the script and README that it holds."""
    return from_root(xmltext.parse(document, where), where)


def from_root(root: etree._Element, where: str) -> Package:
    """Return the same from a parsed document."""
    found = (item for item in xmltext.within(root, "RESOURCE") if item.get("utype", "").endswith("ActivityDescription"))
    resource = next(found, None)
    if resource is None:
        raise DefinitionError(f"{where}: there is no RESOURCE with the utype {_ACTIVITY}: this is no job definition")
    reading = Reading()
    definition = native.sound(lambda: reading.definition(resource), where, reading.lines)
    texts = {name: _text(resource, name, where) for name in native.TEXTS}
    return Package(definition, **texts)


def write_package(package: Package, base_url: str = "") -> bytes:
    """Return a VOTable of the definition with its script and README; `base_url` is that of the server of its jobs."""
    definition = package.definition
    checks.require_sound(definition, definition.name)
    root = table_root()
    resource = add(root, "RESOURCE", {"ID": definition.name, "name": definition.name, "type": "meta"})
    resource.set("utype", _ACTIVITY)
    if definition.description:
        add(resource, "DESCRIPTION", text=definition.description)
    values = {
        "doculink": definition.documentation,
        "type": definition.group,
        "version": definition.version,
        "contact_name": definition.contact.name,
        "contact_email": definition.contact.email,
    }
    for name, value in values.items():
        add_text(resource, name, value, _UTYPES[name])
    add(resource, "PARAM", {**_DURATION, "value": str(definition.control.duration.default)})
    if definition.control.quote:
        add(resource, "PARAM", {**_QUOTE, "value": str(definition.control.quote)})
    for name in native.TEXTS:
        _add_text(resource, name, getattr(package, name))
    _add_parameters(resource, definition)
    _add_used(resource, definition)
    _add_generated(resource, definition)
    read = native.from_plain(Reading().activity(resource))
    before = next(xmltext.children(resource, "GROUP"))
    for path, text in leaves.differences(definition, read).items():
        add_text(resource, path, text, f"{OWN}Definition.{path}")
        before.addprevious(resource[-1])
    datalink.add_services(root, definition, base_url)
    return serialized(root)


@dataclass
class Reading:
    """A description read as the native format has it, with the line of each place."""

    lines: dict[str, int] = field(default_factory=dict)

    def definition(self, resource: etree._Element) -> dict[str, Any]:
        """Return the whole definition."""
        data = self.activity(resource)
        self.planted(data, Definition, resource, "")
        groups = {str(group.get("name")).lower(): group for group in xmltext.children(resource, "GROUP")}
        data["parameters"] = self.parameters(groups.get("inputparams"), self.items(groups.get("used"), "GROUP"))
        data["results"] = []
        for i, group in enumerate(leaves.limited(self.items(groups.get("generated"), "GROUP"), "results", self.lines)):
            place = self.at(f"results[{i}]", group)
            data["results"].append(self.result(group, place))
            self.planted(data["results"][i], ResultSpec, group, place)
        return data

    def activity(self, resource: etree._Element) -> dict[str, Any]:
        """Return what the terms of OPUS state of the definition as a whole."""
        self.at("", resource)
        name = resource.get("name") or resource.get("ID") or ""
        data: dict[str, Any] = {**leaves.bare(name), "contact": {}, "control": {}}
        description = next(xmltext.children(resource, "DESCRIPTION"), None)
        data["description"] = xmltext.text_of(description)
        for parameter in xmltext.children(resource, "PARAM"):
            value = parameter.get("value", "").strip()
            match parameter.get("name") if value else None:
                case "doculink":
                    data["documentation"] = self.of("documentation", parameter, value)
                case "type":
                    data["group"] = self.of("group", parameter, value)
                case "version":
                    data["version"] = self.of("version", parameter, value)
                case "contact_name":
                    data["contact"]["name"] = self.of("contact.name", parameter, value)
                case "contact_email":
                    data["contact"]["email"] = self.of("contact.email", parameter, value)
                case "executionDuration" | "executionduration":
                    data["control"]["duration"] = leaves.duration(self.of("control.duration", parameter, value))
                case "quote":
                    seconds = leaves.scalar(self.of("control.quote", parameter, value), "integer")
                    data["control"]["quote"] = seconds
        return data

    def parameters(self, group: etree._Element | None, used: list[etree._Element]) -> list[dict[str, Any]]:
        """Return the parameters: the listed ones, with their properties as files, then the files that are not
        listed.
        """
        found: list[dict[str, Any]] = []
        elements = self.items(group, "PARAM")
        named = {str(element.get("name")) for element in elements}
        by_name = {str(file.get("ref") or file.get("name")): file for file in used}
        files = [file for file in used if not {file.get("name"), file.get("ref")} & named]
        more = {str(extra.get("name")).removesuffix(_MORE): extra for extra in self.items(group, "GROUP")}
        for i, element in enumerate(leaves.limited([*elements, *files], "parameters", self.lines)):
            place = self.at(f"parameters[{i}]", element)
            name = str(element.get("name"))
            is_file = i >= len(elements)
            data = {"name": name, "required": True} if is_file else read_parameter(element, self.lines, place)
            if name in by_name:
                data |= self.file(by_name[name], data, place)
            if name in more and not is_file:
                self.planted(data, ParameterSpec, more[name], place)
            found.append(data)
        return found

    def file(self, group: etree._Element, before: dict[str, Any], place: str) -> dict[str, Any]:
        """Return what is stated of a parameter as a file that a job uses."""
        parameters = {parameter.get("name"): parameter for parameter in xmltext.children(group, "PARAM")}
        values = {name: parameter.get("value", "").strip() for name, parameter in parameters.items()}
        data: dict[str, Any] = {"type": before.get("type", "file")}
        if data["type"] not in FILE_TYPES:
            data["type"] = "file"
        if "default" not in before and values.get("default"):
            data["default"] = values["default"]
        for name, key in (("content_type", "media_type"), ("url", "url")):
            if values.get(name):
                data[key] = self.of(f"{place}.{key}", parameters[name], values[name])
        if values.get("role") and not before.get("annotation"):
            data["annotation"] = values["role"]
        if values.get("multiplicity"):
            data["max_values"] = _most(values["multiplicity"])
        description = xmltext.text_of(next(xmltext.children(group, "DESCRIPTION"), None))
        return data | ({"description": description} if description else {})

    def result(self, group: etree._Element, place: str) -> dict[str, Any]:
        """Return what the terms of OPUS state of a result."""
        name = str(group.get("name"))
        data: dict[str, Any] = {"name": name, "file": name}
        for parameter in xmltext.children(group, "PARAM"):
            key = {"default": "file", "content_type": "mime"}.get(parameter.get("name", ""))
            if key and (value := parameter.get("value", "").strip()):
                data[key] = self.of(f"{place}.{key}", parameter, value)
        return data | {"description": xmltext.text_of(next(xmltext.children(group, "DESCRIPTION"), None))}

    def planted(self, data: dict[str, Any], kind: type, holder: etree._Element, place: str) -> None:
        """Fill in the fields that have a utype of ours."""
        beginning = f"{OWN}{kind.__name__}."
        for parameter in xmltext.children(holder, "PARAM"):
            utype = parameter.get("utype", "")
            if utype.startswith(beginning):
                path = utype.removeprefix(beginning)
                inner = self.at(f"{place}.{path}" if place else path, parameter)
                leaves.plant(data, kind, path, parameter.get("value", ""), inner)

    def items(self, group: etree._Element | None, name: str) -> list[etree._Element]:
        """Return the children of a group."""
        return [] if group is None else list(xmltext.children(group, name))

    def at(self, place: str, element: etree._Element) -> str:
        """Record the line of a place."""
        self.lines[place] = xmltext.line_of(element)
        return place

    def of(self, place: str, element: etree._Element, value: str) -> str:
        """Return the value and record the line of its place."""
        self.at(place, element)
        return value


def read_parameter(element: etree._Element, lines: dict[str, int], place: str) -> dict[str, Any]:
    """Return what a PARAM states of a parameter in the terms of VOTable; add the lines of its places."""
    datatype = element.get("datatype", "char").removeprefix("xs:")
    if datatype not in _TYPES:
        known = ", ".join(_TYPES)
        raise native.Misfit.at(f"{place}.type", f"the datatype {datatype[:80]!r} is not known; known are {known}")
    kind, low, high = _TYPES[datatype]
    xtype = element.get("xtype", "")
    if xtype == FILE_XTYPE:
        kind, xtype = "file", ""
    most = arrays.most_values(element.get("arraysize", ""), kind, place)
    data: dict[str, Any] = {"name": element.get("name", ""), "required": element.get("type") != "no_query"}
    data |= {"unit": element.get("unit", ""), "ucd": element.get("ucd", ""), "utype": element.get("utype", "")}
    data |= {"xtype": xtype, "description": xmltext.text_of(next(xmltext.children(element, "DESCRIPTION"), None))}
    data |= {"max_values": most} if most > 1 else {}
    options = []
    for inner in (item for values in xmltext.children(element, "VALUES") for item in values):
        name, value = xmltext.kind(inner), inner.get("value", "")
        if name == "OPTION":
            options.append(value)
        elif name in ("MIN", "MAX") and kind in ("integer", "float"):
            lines[f"{place}.{name.lower()}"] = xmltext.line_of(inner)
            if most > 1 and len(value.split()) > 1:  # a shape, not a number: no bound of each value
                data["annotation"] = f"{data.get('annotation', '')} {name.lower()} {value}".strip()[:200]
                continue
            bound = leaves.bound(value, f"{place}.{name.lower()}")
            low, high = (bound, high) if name == "MIN" else (low, bound)
    if options:
        kind, low, high = "choice", None, None
        data["options"] = options
    nulls = {values.get("null", "").strip() for values in xmltext.children(element, "VALUES")}
    default = arrays.default(element.get("value", ""), kind, most, nulls)
    return data | {"type": kind, "min": low, "max": high} | ({} if default is None else {"default": default})


def _add_parameters(resource: etree._Element, definition: Definition) -> None:
    group = add(resource, "GROUP", {"name": "InputParams"})
    for spec in definition.parameters:
        element = datalink.add_parameter(group, spec)
        if spec.name != definition.name:  # an id stands once in a document
            element.set("ID", spec.name)
        data = read_parameter(element, {}, "")
        data |= Reading().file(_used(group, spec), data, "") if spec.type in FILE_TYPES else {}
        more = leaves.differences(spec, native.build(ParameterSpec, data, ""))
        if spec.type in FILE_TYPES:
            group.remove(group[-1])
        if more:
            extra = add(group, "GROUP", {"name": f"{spec.name}{_MORE}", "utype": f"{OWN}ParameterSpec"})
            for path, text in more.items():
                add_text(extra, path, text, f"{OWN}ParameterSpec.{path}")


def _add_used(resource: etree._Element, definition: Definition) -> None:
    group = add(resource, "GROUP", {"name": "Used"})
    for spec in definition.inputs:
        _used(group, spec)


def _used(group: etree._Element, spec: ParameterSpec) -> etree._Element:
    """Add the description of a parameter as a file that a job uses."""
    element: etree._Element = add(group, "GROUP", {"name": spec.name, "utype": "voprov:UsedDescription"})
    if spec.description:
        add(element, "DESCRIPTION", text=spec.description)
    for name in ("role", "multiplicity"):
        add_text(element, name, "", f"voprov:UsedDescription.{name}")
    default = spec.default if isinstance(spec.default, str) else ""
    values = {"default": default if is_writable(default) else "", "content_type": spec.media_type}
    for name, value in (values | {"url": spec.url}).items():
        add_text(element, name, value, _ENTITY[name])
    return element


def _add_generated(resource: etree._Element, definition: Definition) -> None:
    group = add(resource, "GROUP", {"name": "Generated"})
    for result in definition.results:
        element = add(group, "GROUP", {"name": result.name, "utype": "voprov:WasGeneratedBy"})
        if result.description:
            add(element, "DESCRIPTION", text=result.description)
        for name in ("role", "multiplicity"):
            add_text(element, name, "", f"voprov:WasGeneratedByDescription.{name}")
        for name, value in (("default", result.file), ("content_type", result.mime)):
            add_text(element, name, value, _ENTITY[name])
        read = native.build(ResultSpec, Reading().result(element, ""), "")
        for path, text in leaves.differences(result, read).items():
            add_text(element, path, text, f"{OWN}ResultSpec.{path}")


def _add_text(resource: etree._Element, name: str, text: str) -> None:
    """Add the script or the README, as it is or, where XML cannot hold it, in base64."""
    if is_writable(text):
        add_text(resource, name, text, f"{OWN}Package.{name}")
    else:
        add_text(resource, name, xmltext.as_base64(text), f"{OWN}Package.{name}.base64")


def _text(resource: etree._Element, name: str, where: str) -> str:
    """Return the script or the README; line ends of other systems become those that a shell understands."""
    for parameter in xmltext.children(resource, "PARAM"):
        if parameter.get("name") == name:
            text, utype = parameter.get("value", ""), parameter.get("utype", "")
            if utype == f"{OWN}Package.{name}.base64":
                return xmltext.from_base64(text, where, Problem(name, "", xmltext.line_of(parameter)))
            return text if utype == f"{OWN}Package.{name}" else text.replace("\r\n", "\n").replace("\r", "\n")
    return ""


def _most(multiplicity: str) -> int:
    """Return how many values OPUS's multiplicity allows: a number, a range such as 1..5, or * for any."""
    last = multiplicity.rpartition(".")[2].strip()
    return int(last) if last.isascii() and last.isdigit() else checks.MOST_VALUES
