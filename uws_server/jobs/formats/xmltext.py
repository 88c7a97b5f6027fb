"""Reads XML of strangers, without network, DTD, entities or endless depth; writes in base64 what XML cannot hold.

A document type is refused as such, before the parser sees it, because entities are declared there. Imports the errors
and what all readers share.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from uws_server.errors import DefinitionError, Problem
from uws_server.jobs.formats import content, etree

_PLACE_OF_PARSER = re.compile(r", line \d+, column \d+.*$", re.DOTALL)


def parse(document: bytes, where: str) -> etree._Element:
    """Return the root of an XML document. Raise DefinitionError, with the line, if it is not XML or is refused."""
    text = content.decoded(document, where)
    _refuse_document_type(text, where)
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever is declared: the text was decoded already
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        reason = _PLACE_OF_PARSER.sub("", error.msg or "it ends too early")
        if "xcessive depth" in reason:
            reason = "nested too deeply"
        raise _refused(where, f"not XML that is read: {reason}", error.lineno or 1) from error


def kind(element: etree._Element) -> str:
    """Return the name of an element without its namespace; '' for a node that is no element."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the children of that name, in any namespace."""
    return (child for child in element if kind(child) == name)


def within(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the elements of that name below, in any namespace, in document order."""
    return (inner for inner in element.iter() if kind(inner) == name)


def line_of(element: etree._Element) -> int:
    """Return the line of an element; 0 where the parser recorded none."""
    line: object = element.sourceline
    return line if isinstance(line, int) else 0


def text_of(element: etree._Element | None) -> str:
    """Return the text of an element, without the space around it; '' for None."""
    return "" if element is None else "".join(str(piece) for piece in element.itertext()).strip()


def as_base64(text: str) -> str:
    """Return the base64 of a text that no XML document holds as it is."""
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def from_base64(text: str, where: str, problem: Problem) -> str:
    """Return the text that `as_base64` encoded. Raise DefinitionError, at the place and line of `problem`, for other
    text.
    """
    try:
        return base64.b64decode(text, validate=False).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not base64"
        raise DefinitionError.of(where, [Problem(problem.parameter, reason, problem.line)]) from error


def _refuse_document_type(text: str, where: str) -> None:
    """Refuse a document type, looked for where one can stand: before the first element."""
    start = 0
    while (start := text.find("<", start)) >= 0:
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
        elif text.startswith("<?", start):
            end = text.find("?>", start)
        else:
            break
        if end < 0:
            return  # the parser says what is wrong
        start = end
    if start >= 0 and text.startswith("<!", start):
        line = text.count("\n", 0, start) + 1
        raise _refused(where, "a document type (<!DOCTYPE>) is not read: it could declare entities", line)


def _refused(where: str, reason: str, line: int) -> DefinitionError:
    return DefinitionError.of(where, [Problem("", reason, line)])
