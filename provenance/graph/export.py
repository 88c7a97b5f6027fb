"""Provenance as documents and pictures: PROV-JSON, PROV-N, PROV-XML, SVG and PNG, of a graph or of a step list.

PROV-JSON is written here, as the library `prov` would write it (a test compares the two), because a large graph then
takes a tenth of the time.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provenance.graph import model
from provenance.graph.model import ProvenanceGraph
from provenance.graph.records import SCHEMA, TERMS, VOPROV, Attribute, Options, Record, Ref, records
from provenance.steps import Step
from provenance.text.errors import ProvenanceError

if TYPE_CHECKING:  # a server starts a tenth sooner without it; PROV-JSON is written without it, too
    from prov.identifier import Namespace, QualifiedName
    from prov.model import ProvDocument

PROV_JSON: Final = "application/json"
PROV_XML: Final = "application/provenance+xml"
PROV_N: Final = "text/provenance-notation"

OFFLINE: Final = "urn:uws-server:"
"""The namespace of identifiers where no address is known."""

_DOT_S: Final = 20.0
_MOST_DRAWN: Final = 3000
"""The most records of a picture: the time that Graphviz takes grows with their square, and nobody could read more."""
_AT_ONCE: Final = 200
"""The records of a part: `prov` takes some hundredths of a second for them."""
_JSON: Final = json.JSONEncoder().encode
_KINDS: Final = {
    "entity": "Entity", "activity": "Activity", "agent": "Agent", "used": "Usage", "wasGeneratedBy": "Generation",
    "wasInformedBy": "Communication", "wasAssociatedWith": "Association", "wasInfluencedBy": "Influence",
    "wasDerivedFrom": "Derivation", "hadMember": "Membership",
}  # fmt: skip


class PictureError(ProvenanceError):
    """No picture can be made: Graphviz is not installed, or takes too long."""


def document(
    source: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE
) -> ProvDocument:
    """Return a graph or a step list as a document of the library `prov`.

    Parameters
    ----------
    source
        The graph, or the step list.
    options
        The flavour, and which records to write; None for the defaults.
    base
        The namespace of its identifiers, such as `https://x.org/provsap?ID=`.

    Returns
    -------
    ProvDocument
        The document, with all namespaces that it uses.
    """
    return _document_of(_records(source, options), base)


def _document_of(listed: Iterable[Record], base: str) -> ProvDocument:
    from prov.identifier import Namespace
    from prov.model import PROV, ProvDocument

    made = ProvDocument()
    spaces = {prefix: Namespace(prefix, uri) for prefix, uri in _namespaces(base).items()}
    for space in spaces.values():
        made.add_namespace(space)
    spaces["prov"] = PROV
    for record in listed:
        formal = [(PROV[name], _formal(value, spaces)) for name, value in record.formal]
        other = [(_qualified(name, spaces), _native(value, spaces)) for name, value in record.attributes]
        identifier = _qualified(record.id, spaces) if record.id else None
        made.new_record(PROV[_KINDS[record.kind]], identifier, formal, other)
    return made


def prov_json(source: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE) -> str:
    """Return a graph or a step list as PROV-JSON (W3C member submission 2013-04-24).

    Parameters
    ----------
    source
        The graph, or the step list.
    options
        The flavour, and which records to write; None for the defaults.
    base
        The namespace of its identifiers, as for `document`.

    Returns
    -------
    str
        The document that `prov` reads as equal to that of `document`.
    """
    prefixes = [f"{_JSON(name)}: {_JSON(uri)}" for name, uri in _namespaces(base).items()]
    written: dict[str, list[str]] = {"prefix": prefixes}
    number = 0
    for record in _records(source, options):
        number += not record.id
        body: dict[str, Any] = {f"prov:{name}": _text(value) for name, value in record.formal}
        for name, value in record.attributes:
            plain = {"$": value.name, "type": "prov:QUALIFIED_NAME"} if isinstance(value, Ref) else value
            if name in body:
                present = body[name]
                body[name] = [*(present if isinstance(present, list) else [present]), plain]
            else:
                body[name] = plain
        # written at once: thousands of dicts would make the garbage collector search the whole process
        written.setdefault(record.kind, []).append(f"{_JSON(record.id or f'_:id{number}')}: {_JSON(body)}")
    return "{" + ", ".join(f'"{kind}": {{{", ".join(bodies)}}}' for kind, bodies in written.items()) + "}"


def prov_n(document: ProvDocument) -> str:
    """Return a document as PROV-N, the notation for people."""
    return str(document.get_provn())


def prov_xml(document: ProvDocument) -> bytes:
    """Return a document as PROV-XML."""
    with io.BytesIO() as stream:
        document.serialize(stream, format="xml")
        return stream.getvalue()


def prov_n_parts(
    source: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE
) -> Iterator[bytes]:
    """Yield the PROV-N of a graph or a step list, encoded, in parts that are made one after the other.

    Parameters
    ----------
    source
        The graph, or the step list.
    options
        The flavour, and which records to write; None for the defaults.
    base
        The namespace of its identifiers, such as `https://x.org/provsap?ID=`.

    Yields
    ------
    bytes
        What, joined, `prov_n` returns of the whole document.
    """
    end = b"\nendDocument"
    yield from _in_parts(source, options, base, lambda part: prov_n(part).encode(), _Frame(end, b"", end))


def prov_xml_parts(
    source: ProvenanceGraph | Iterable[Step], options: Options | None = None, base: str = OFFLINE
) -> Iterator[bytes]:
    """Yield the PROV-XML of a graph or a step list in parts that are made one after the other.

    Parameters
    ----------
    source
        The graph, or the step list.
    options
        The flavour, and which records to write; None for the defaults.
    base
        The namespace of its identifiers, such as `https://x.org/provsap?ID=`.

    Yields
    ------
    bytes
        What, joined, `prov_xml` returns of the whole document.
    """
    yield from _in_parts(source, options, base, prov_xml, _Frame(b"/>\n", b">\n", b"</prov:document>\n"))


class _Frame(NamedTuple):
    """What stands around the records of a document: at the end of one without any, before them, behind them."""

    end_of_empty: bytes
    opening: bytes
    end: bytes


def _in_parts(
    source: ProvenanceGraph | Iterable[Step],
    options: Options | None,
    base: str,
    write: Callable[[ProvDocument], bytes],
    frame: _Frame,
) -> Iterator[bytes]:
    """Yield the text that `write` returns of a document, some records at a time: each of them is written alone."""
    listed = _records(source, options)
    head = write(_document_of((), base)).removesuffix(frame.end_of_empty) + frame.opening
    yield head
    while part := list(itertools.islice(listed, _AT_ONCE)):
        yield write(_document_of(part, base)).removeprefix(head).removesuffix(frame.end)
    yield frame.end


def svg(document: ProvDocument, attributes: bool = False) -> bytes:
    """Draw a document as SVG by Graphviz. Raises PictureError if it is not installed, or takes too long."""
    return _drawn(document, attributes, "svg")


def png(document: ProvDocument, attributes: bool = False) -> bytes:
    """Draw a document as PNG, as `svg` does."""
    return _drawn(document, attributes, "png")


def _drawn(document: ProvDocument, attributes: bool, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise PictureError("no picture can be drawn: the program dot is not here; install the Debian package graphviz")
    count = sum(1 for _ in document.get_records())
    if count > _MOST_DRAWN:
        raise PictureError(f"the picture would show {count:,} things, {_MOST_DRAWN:,} may be; ask for less (DEPTH)")
    from prov.dot import prov_to_dot  # the library pydot takes as long to load as all the rest

    dot = prov_to_dot(document, use_labels=True, show_element_attributes=attributes,
                      show_relation_attributes=attributes)  # fmt: skip
    try:
        done = subprocess.run([program, f"-T{kind}"], input=dot.to_string().encode(), capture_output=True,
                              timeout=_DOT_S, check=True)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PictureError(f"the picture took more than {_DOT_S:.0f} s; ask for less of it with DEPTH") from error
    except subprocess.CalledProcessError as error:
        raise PictureError(f"no picture can be drawn: dot ended with status {error.returncode}") from error
    return done.stdout


def _records(source: ProvenanceGraph | Iterable[Step], options: Options | None) -> Iterator[Record]:
    graph = source if isinstance(source, ProvenanceGraph) else model.of_steps(source)
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
