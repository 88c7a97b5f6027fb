"""Makes the PROV records of a graph, in two flavours: plain W3C PROV, and PROV with the terms of the IVOA model.

Source: PROV-DM (W3C 2013-04-30), IVOA Provenance Data Model 1.0 (2020-04-11). In the IVOA flavour,
descriptions and parameters, for which PROV has no record, are entities with a type of that model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from provenance.graph.model import Activity, File, Link, ProvenanceGraph, Value, safe
from provenance.text.xmltext import writable

VOPROV: Final = "http://www.ivoa.net/documents/ProvenanceDM/index.html#"
SCHEMA: Final = "https://schema.org/"
TERMS: Final = "urn:uws-server:terms#"
"""The namespace of terms that neither vocabulary has: exit status, software, host, editable."""

_SCALARS: Final = frozenset({str, bool, int, float})


class Model(StrEnum):
    """The flavours of a document."""

    IVOA = "IVOA"
    W3C = "W3C"


@dataclass(frozen=True)
class Options:
    """The flavour of a document, and which records it has besides activities, entities and their relations."""

    model: Model = Model.IVOA
    agents: bool = True
    descriptions: bool = False
    configuration: bool = True
    members: bool = True
    attributes: bool = True


@dataclass(frozen=True, slots=True)
class Ref:
    """A qualified name as a value, such as voprov:Parameter."""

    name: str


Attribute: TypeAlias = str | int | float | bool | Ref


@dataclass(frozen=True, slots=True)
class Record:
    """A record of PROV: its kind as PROV-JSON names it, its id ('' for none), formal arguments, attributes.

    Formal arguments are qualified names, or times.
    """

    kind: str
    id: str
    formal: tuple[tuple[str, str | datetime], ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()


def records(graph: ProvenanceGraph, options: Options) -> Iterator[Record]:
    """Yield the records of a graph: entities, then each activity with its relations."""
    flavour = _IVOA(graph, options) if options.model is Model.IVOA else _W3C(graph, options)
    return flavour.records()


def name_of(key: str) -> str:
    """Return the qualified name of an activity or a file of a graph, from its key."""
    return f"this:{key}"


class _Flavour:
    """The records that are the same in both flavours, and hooks for those that differ."""

    name_term = "prov:label"

    def __init__(self, graph: ProvenanceGraph, options: Options) -> None:
        self.graph, self.options = graph, options
        used = {link.key for activity in graph.activities for link in activity.used}
        kept = used if not options.members else set(graph.files)
        inside = {key for file in graph.files.values() for key in file.members}
        self.left_out = inside - kept
        self.described: set[str] = set()

    def records(self) -> Iterator[Record]:
        """Yield every record."""
        for file in self.graph.files.values():
            if file.key not in self.left_out:
                yield self.entity(file.key, self.file_types(file), self.about_file(file))
        for file in self.graph.files.values():
            for key in file.members:
                if key not in self.left_out:
                    yield _link("hadMember", "collection", file.key, "entity", key)
        agents: set[str] = set()
        for activity in self.graph.activities:
            yield from self.of_activity(activity)
            if self.options.agents and activity.agent and activity.agent not in agents:
                agents.add(activity.agent)
                yield Record("agent", name_of(_agent_key(activity)), (), (
                    ("prov:type", Ref("prov:Person")), (self.name_term, _plain(activity.agent))))  # fmt: skip
        for later, earlier in self.graph.derived:
            yield _link("wasDerivedFrom", "generatedEntity", later, "usedEntity", earlier,
                        (("prov:type", Ref("prov:Revision")),))  # fmt: skip

    def of_activity(self, activity: Activity) -> Iterator[Record]:
        """Yield an activity and its relations."""
        known = (("startTime", activity.started), ("endTime", activity.ended))
        times = tuple((name, time) for name, time in known if time)
        yield Record("activity", name_of(activity.key), times, self.about(self.about_activity(activity)))
        for link in activity.used:
            yield _link("used", "activity", activity.key, "entity", link.key, self.about_link(activity, link, "used"))
        for link in activity.made:
            if link.key not in self.left_out:
                yield _link("wasGeneratedBy", "entity", link.key, "activity", activity.key,
                            self.about_link(activity, link, "made"))  # fmt: skip
        for key in activity.informed_by:
            yield _link("wasInformedBy", "informed", activity.key, "informant", key)
        if self.options.configuration:
            yield from self.configuration(activity)
        if self.options.descriptions and activity.name:
            yield from self.descriptions(activity)
        if self.options.agents and activity.agent:
            yield self.association(activity)

    def entity(self, key: str, types: tuple[str, ...], about: tuple[tuple[str, Attribute], ...]) -> Record:
        """Return an entity with its types, which stay when attributes are not wanted."""
        kinds = tuple(("prov:type", Ref(name)) for name in types)
        return Record("entity", name_of(key), (), (*kinds, *self.about(about)))

    def about(self, attributes: tuple[tuple[str, Attribute], ...]) -> tuple[tuple[str, Attribute], ...]:
        """Return the attributes that are known; none where they are not wanted."""
        if not self.options.attributes:
            return ()
        return tuple((name, _plain(value)) for name, value in attributes if value != "")

    def about_file(self, file: File) -> tuple[tuple[str, Attribute], ...]:
        """Return the attributes of a file; empty text for one that is not known."""
        return (
            ("prov:label", file.name),
            ("prov:location", file.location),
            ("schema:sha256", file.sha256),
            ("schema:encodingFormat", file.mime),
            ("schema:contentSize", "" if file.size is None else file.size),
            ("schema:description", file.description),
        )

    def about_activity(self, activity: Activity) -> tuple[tuple[str, Attribute], ...]:
        """Return the attributes of an activity."""
        facts = tuple((f"uws:{name}", attribute_of(value)) for name, value in activity.facts.items())
        return (("prov:label", f"{activity.name} {activity.version}".strip()), *facts)

    def about_link(self, activity: Activity, link: Link, what: str) -> tuple[tuple[str, Attribute], ...]:
        """Return the role of a file as an attribute."""
        return (("prov:role", _plain(link.role)),) if link.role else ()

    def file_types(self, file: File) -> tuple[str, ...]:
        """Return the types of a file's entity."""
        return ("prov:Collection",) if file.members else ()

    def association(self, activity: Activity) -> Record:
        """Return the association of an activity with the agent that ran it."""
        return _link("wasAssociatedWith", "activity", activity.key, "agent", _agent_key(activity))

    def configuration(self, activity: Activity) -> Iterator[Record]:
        """Yield the parameters of an activity."""
        raise NotImplementedError

    def descriptions(self, activity: Activity) -> Iterator[Record]:
        """Yield the descriptions of an activity: its definition, the roles of its files, its parameters."""
        raise NotImplementedError


class _W3C(_Flavour):
    """Plain PROV: a parameter is an entity with a value that was used, a job definition the plan of the activity."""

    def configuration(self, activity: Activity) -> Iterator[Record]:
        for parameter in activity.parameters:
            key = f"{activity.key}.{safe(parameter.name)}"
            about = self.about((("prov:label", parameter.name), ("schema:unitText", parameter.unit)))
            yield Record("entity", name_of(key), (), (("prov:value", attribute_of(parameter.value)), *about))
            yield _link("used", "activity", activity.key, "entity", key, (("prov:role", _plain(parameter.name)),))

    def descriptions(self, activity: Activity) -> Iterator[Record]:
        key = _definition_key(activity)
        if key not in self.described:
            self.described.add(key)
            yield self.entity(key, ("prov:Plan",), (
                ("prov:label", activity.title or activity.name), ("schema:version", activity.version),
                ("schema:description", activity.description), ("prov:location", activity.documentation)))  # fmt: skip
        if not (self.options.agents and activity.agent):
            yield _link("wasInfluencedBy", "influencee", activity.key, "influencer", key)  # a plan needs an agent

    def association(self, activity: Activity) -> Record:
        made = super().association(activity)
        if not (self.options.descriptions and activity.name):
            return made
        return Record(made.kind, "", (*made.formal, ("plan", name_of(_definition_key(activity)))))


class _IVOA(_Flavour):
    """PROV with the terms of the IVOA model."""

    name_term = "voprov:name"

    def about_file(self, file: File) -> tuple[tuple[str, Attribute], ...]:
        created = file.created.isoformat() if file.created else ""
        return (("voprov:name", file.name), ("voprov:location", file.location), ("voprov:generatedAtTime", created),
                *super().about_file(file))  # fmt: skip

    def file_types(self, file: File) -> tuple[str, ...]:
        return ("prov:Collection", "voprov:Collection") if file.members else ("voprov:DatasetEntity",)

    def about_activity(self, activity: Activity) -> tuple[tuple[str, Attribute], ...]:
        return (("voprov:name", activity.name), *super().about_activity(activity))

    def about_link(self, activity: Activity, link: Link, what: str) -> tuple[tuple[str, Attribute], ...]:
        described = self.options.descriptions and activity.name and link.role
        term = "voprov:usageDescription" if what == "used" else "voprov:generationDescription"
        more = ((term, Ref(name_of(_role_key(activity, link, what)))),) if described else ()
        return (*super().about_link(activity, link, what), *more)

    def association(self, activity: Activity) -> Record:
        made = super().association(activity)
        return Record(made.kind, "", made.formal, (("voprov:role", "operator"),))

    def configuration(self, activity: Activity) -> Iterator[Record]:
        for parameter in activity.parameters:
            key, value = f"{activity.key}.{safe(parameter.name)}", attribute_of(parameter.value)
            label = self.about((("prov:label", f"{parameter.name} = {value}"[:80]),))
            yield Record("entity", name_of(key), (), (
                ("prov:type", Ref("voprov:Parameter")), ("voprov:name", _plain(parameter.name)), ("prov:value", value),
                *label))  # fmt: skip
            yield _influence(activity.key, key, "voprov:WasConfiguredBy")
            if self.options.descriptions and activity.name:
                yield _influence(key, f"{_definition_key(activity)}.{safe(parameter.name)}", "voprov:IsDescribedBy")

    def descriptions(self, activity: Activity) -> Iterator[Record]:
        key = _definition_key(activity)
        yield _influence(activity.key, key, "voprov:IsDescribedBy")
        if key not in self.described:
            yield self._described(key, "voprov:ActivityDescription", (
                ("voprov:name", activity.name), ("voprov:version", activity.version), ("prov:label", activity.title),
                ("voprov:description", activity.description), ("voprov:docurl", activity.documentation)))  # fmt: skip
        for what, kind, links in (("used", "Usage", activity.used), ("made", "Generation", activity.made)):
            for link in links:
                role = _role_key(activity, link, what)
                if link.role and role not in self.described:
                    yield self._described(role, f"voprov:{kind}Description", (
                        ("voprov:role", link.role), ("voprov:type", "Main"),
                        ("voprov:description", link.description)))  # fmt: skip
                    yield _influence(role, key, "voprov:IsPartOf")
        if self.options.configuration:
            for parameter in activity.parameters:
                yield from self._parameter_description(key, parameter)

    def _parameter_description(self, definition: str, parameter: Value) -> Iterator[Record]:
        key = f"{definition}.{safe(parameter.name)}"
        if key not in self.described:
            yield self._described(key, "voprov:ParameterDescription", (
                ("voprov:name", parameter.name), ("voprov:valueType", parameter.type), ("voprov:unit", parameter.unit),
                ("voprov:ucd", parameter.ucd), ("voprov:description", parameter.description),
                ("uws:editable", parameter.editable)))  # fmt: skip
            yield _influence(key, definition, "voprov:IsPartOf")

    def _described(self, key: str, kind: str, about: tuple[tuple[str, Attribute], ...]) -> Record:
        self.described.add(key)
        return self.entity(key, (kind,), about)


def _link(
    kind: str, one: str, first: str, other: str, second: str, about: tuple[tuple[str, Attribute], ...] = ()
) -> Record:
    return Record(kind, "", ((one, name_of(first)), (other, name_of(second))), about)


def _influence(influencee: str, influencer: str, kind: str) -> Record:
    return _link("wasInfluencedBy", "influencee", influencee, "influencer", influencer, (("prov:type", Ref(kind)),))


def _definition_key(activity: Activity) -> str:
    return f"definition_{safe(activity.name)}" + (f"_{safe(activity.version)}" if activity.version else "")


def _role_key(activity: Activity, link: Link, what: str) -> str:
    return f"{_definition_key(activity)}.{what}.{safe(link.role)}"


def _agent_key(activity: Activity) -> str:
    return f"agent_{safe(activity.agent)}"


def _plain(value: Attribute) -> Attribute:
    """A value without the characters that no XML document can hold."""
    return writable(value) if isinstance(value, str) else value


def attribute_of(value: object) -> Attribute:
    """Return a value as an attribute: a scalar as it is, a mapping in words, anything else as JSON."""
    if type(value) in _SCALARS:
        return _plain(value)  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return json.dumps(value, default=str)
