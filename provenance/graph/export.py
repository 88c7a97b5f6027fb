"""Provenance as documents and pictures: PROV-JSON, PROV-N, PROV-XML, SVG and PNG, of a graph or of a step list.

PROV-JSON is written here, as the library `prov` would (the tests hold the one to the other): a long chain takes a tenth
of the time.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from prov.identifier import Namespace, QualifiedName
from prov.model import PROV, ProvDocument

from provenance.graph import model
from provenance.graph.model import ProvenanceGraph
from provenance.graph.records import SCHEMA, TERMS, VOPROV, Attribute, Options, Record, Ref, records
from provenance.steps import Step
from provenance.text.errors import ProvenanceError

PROV_JSON: Final = "application/json"
PROV_XML: Final = "application/provenance+xml"
PROV_N: Final = "text/provenance-notation"

OFFLINE: Final = "urn:uws-server:"
"""The namespace of what has no address."""

_DOT_S: Final = 20.0
_MOST_DRAWN: Final = 3000
"""Records of a document that is drawn: Graphviz takes the square of them, and nobody could read more."""
_JSON: Final = json.JSONEncoder().encode
_KINDS: Final = {
    "entity": "Entity", "activity": "Activity", "agent": "Agent", "used": "Usage", "wasGeneratedBy": "Generation",
    "wasInformedBy": "Communication", "wasAssociatedWith": "Association", "wasInfluencedBy": "Influence",
    "wasDerivedFrom": "Derivation", "hadMember": "Membership",
}  # fmt: skip


class PictureError(ProvenanceError):
    """No picture can be made here: Graphviz is absent, or took too long."""


def document(
    told: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE
) -> ProvDocument:
    """The document of the library `prov` for a graph or a step list.

    `base` is the namespace of its identifiers: such as `https://x.org/provsap?ID=`.
    """
    made = ProvDocument()
    spaces = {prefix: Namespace(prefix, uri) for prefix, uri in _namespaces(base).items()}
    for space in spaces.values():
        made.add_namespace(space)
    spaces["prov"] = PROV
    for record in _records(told, options):
        formal = [(PROV[name], _formal(value, spaces)) for name, value in record.formal]
        other = [(_qualified(name, spaces), _native(value, spaces)) for name, value in record.attributes]
        identifier = _qualified(record.id, spaces) if record.id else None
        made.new_record(PROV[_KINDS[record.kind]], identifier, formal, other)
    return made


def prov_json(told: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE) -> str:
    """PROV-JSON (W3C member submission 2013-04-24)."""
    prefixes = [f"{_JSON(name)}: {_JSON(uri)}" for name, uri in _namespaces(base).items()]
    written: dict[str, list[str]] = {"prefix": prefixes}
    number = 0
    for record in _records(told, options):
        number += not record.id
        body: dict[str, Any] = {f"prov:{name}": _text(value) for name, value in record.formal}
        for name, value in record.attributes:
            plain = {"$": value.name, "type": "prov:QUALIFIED_NAME"} if isinstance(value, Ref) else value
            if name in body:
                before = body[name]
                body[name] = [*(before if isinstance(before, list) else [before]), plain]
            else:
                body[name] = plain
        # as text at once: thousands of dicts would have the garbage collector look through the whole process
        written.setdefault(record.kind, []).append(f"{_JSON(record.id or f'_:id{number}')}: {_JSON(body)}")
    return "{" + ", ".join(f'"{kind}": {{{", ".join(bodies)}}}' for kind, bodies in written.items()) + "}"


def prov_n(told: ProvDocument) -> str:
    """PROV-N, the notation people read."""
    return str(told.get_provn())


def prov_xml(told: ProvDocument) -> bytes:
    """PROV-XML."""
    with io.BytesIO() as stream:
        told.serialize(stream, format="xml")
        return stream.getvalue()


def svg(told: ProvDocument, attributes: bool = False) -> bytes:
    """A picture as SVG, drawn by Graphviz. Raises PictureError where it is not installed, or takes too long."""
    return _drawn(told, attributes, "svg")


def png(told: ProvDocument, attributes: bool = False) -> bytes:
    """A picture as PNG, as `svg`."""
    return _drawn(told, attributes, "png")


def _drawn(told: ProvDocument, attributes: bool, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise PictureError("no picture can be drawn: the program dot is not here; install the Debian package graphviz")
    count = sum(1 for _ in told.get_records())
    if count > _MOST_DRAWN:
        raise PictureError(f"the picture would show {count:,} things, {_MOST_DRAWN:,} may be; ask for less (DEPTH)")
    from prov.dot import prov_to_dot  # the library pydot takes as long to load as all the rest

    dot = prov_to_dot(told, use_labels=True, show_element_attributes=attributes, show_relation_attributes=attributes)
    try:
        done = subprocess.run([program, f"-T{kind}"], input=dot.to_string().encode(), capture_output=True,
                              timeout=_DOT_S, check=True)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PictureError(f"the picture took more than {_DOT_S:.0f} s; ask for less of it with DEPTH") from error
    except subprocess.CalledProcessError as error:
        raise PictureError(f"no picture can be drawn: dot ended with status {error.returncode}") from error
    return done.stdout


def _records(told: ProvenanceGraph | Iterable[Step], options: Options | None) -> Iterator[Record]:
    graph = told if isinstance(told, ProvenanceGraph) else model.of_steps(told)
    return records(graph, options or Options())


def _namespaces(base: str) -> Mapping[str, str]:
    return {"this": base, "voprov": VOPROV, "schema": SCHEMA, "uws": TERMS}


def _qualified(name: str, spaces: Mapping[str, Namespace]) -> QualifiedName:
    prefix, _, local = name.partition(":")
    return spaces[prefix][local]


def _formal(value: str | datetime, spaces: Mapping[str, Namespace]) -> Any:
    return _utc(value) if isinstance(value, datetime) else _qualified(value, spaces)


def _native(value: Attribute, spaces: Mapping[str, Namespace]) -> Any:
    return _qualified(value.name, spaces) if isinstance(value, Ref) else value


def _text(value: str | datetime) -> str:
    return _utc(value).isoformat() if isinstance(value, datetime) else value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
