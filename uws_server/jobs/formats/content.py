"""What every reader of a format begins with: bytes become text and text JSON, or are refused with the reason.

Also where a problem of a definition stands in its document: the line of its place, or of what holds it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from provenance.text import jsonplaces, jsontext
from provenance.text.errors import JsonError, JsonFault
from uws_server.errors import DefinitionError, Problem

MOST_BYTES = 4_000_000
"""Size of the largest document that is read."""

LARGEST_INTEGER = 2**63 - 1
"""The largest magnitude of a whole number."""

JSON_LIMITS = jsontext.Limits(length=MOST_BYTES, depth=100, largest_integer=LARGEST_INTEGER)
"""The limits of the JSON of a definition: numbers that every program reads."""

_BINARIES: Mapping[bytes, str] = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"SIMPLE  =": "a FITS file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x7fELF": "a program",
}
"""The first bytes of files that a user may mistake for a definition."""

_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0?\0": "utf-16-le",
    b"\0<\0?": "utf-16-be",
}
"""The first bytes that tell an encoding (XML 1.0, appendix F.1)."""

_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_SINGLE_BYTES = re.compile(r"iso8859-[0-9]{1,2}|cp125[0-9]|koi8-r")
"""The encodings, by their names in Python, that an XML document may declare beside UTF-8 and UTF-16."""


def decoded(content: bytes, where: str) -> str:
    """Return the text of a document: UTF-8, or the encoding that its first bytes or its XML declaration tell.

    Raise DefinitionError if it is too large, no text, or of an encoding that is not read.
    """
    if len(content) > MOST_BYTES:
        raise DefinitionError(f"{where}: {len(content):,} bytes came, at most {MOST_BYTES:,} are read")
    for beginning, kind in _BINARIES.items():
        if content.startswith(beginning):
            raise DefinitionError(f"{where}: this is {kind}, not the text of a definition; unpack it first")
    encoding = _encoding(content, where)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        problem = Problem("", f"not {name}: the byte 0x{content[error.start]:02x} came", line)
        raise DefinitionError.of(where, [problem]) from error


def _encoding(content: bytes, where: str) -> str:
    """Return the encoding of a document, by its name in Python. Raise DefinitionError for one that is not read."""
    marked = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)
    declared = _DECLARED.match(content)
    if marked is not None or declared is None:
        return marked or "utf-8"
    name = declared[1].decode("ascii")
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        encoding = ""
    if encoding in ("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be"):
        return "utf-8"  # a declaration that can be read as ASCII is not in UTF-16: the text was converted since
    if _SINGLE_BYTES.fullmatch(encoding):
        return encoding
    known = "UTF-8, UTF-16, ISO-8859-1 to 16 and Windows-1250 to 1258 are read"
    raise DefinitionError.of(where, [Problem("", f"the encoding {name} is declared; {known}", 1)])


def at_lines(problems: Iterable[Problem], lines: Mapping[str, int]) -> list[Problem]:
    """Return the problems with their lines: `lines` has those of places; any other has the line of what holds its
    place.
    """
    return [replace(problem, line=_line(problem.parameter, lines)) for problem in problems]


def refused(where: str, problems: Sequence[Problem], lines: Mapping[str, int]) -> DefinitionError:
    """Return the error of problems found in a document, each with its line, ordered by line."""
    return DefinitionError.of(where, sorted(at_lines(problems, lines), key=lambda problem: problem.line))


def read_json(text: str, where: str) -> Any:
    """Return the value of a JSON text. Raise DefinitionError, with the line, for a text that is refused."""
    try:
        return jsontext.parse(text, JSON_LIMITS)
    except JsonError as error:
        if error.fault is JsonFault.LENGTH:
            raise DefinitionError(f"{where}: {len(text):,} characters came, at most {MOST_BYTES:,} are read") from error
        offset = jsonplaces.offset_of(text, error, JSON_LIMITS)
        problem = Problem("", _json_trouble(text, error, offset), jsonplaces.line_at(text, offset))
        raise DefinitionError.of(where, [problem]) from error


def _json_trouble(text: str, error: JsonError, offset: int) -> str:
    """Return what is wrong with a JSON text, in the words of all formats."""
    match error.fault:
        case JsonFault.SYNTAX:
            hint = "; a comma stands before what is closed here" if jsonplaces.is_after_comma(text, offset) else ""
            return f"not JSON: {error.subject} (column {jsonplaces.column_at(text, offset)}){hint}"
        case JsonFault.CONSTANT:
            return f"not JSON: {error.subject} is no number"
        case JsonFault.NUMBER:
            return f"not JSON: the number {error.subject[:40]} is too large"
        case JsonFault.KEY:
            return f"not JSON: the key {error.subject[:80]!r} is there twice"
        case JsonFault.DEPTH:
            return "nested too deeply"
        case _:
            return error.trouble


def _line(place: str, lines: Mapping[str, int]) -> int:
    return next((lines[holder] for holder in jsonplaces.holders(place) if holder in lines), 0)
