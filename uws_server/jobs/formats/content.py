"""What every reader of a format begins with: bytes become text and text JSON, or are refused with the reason.

Also where a problem of a definition stands in its document: the line of its place, or of what holds it.
"""

from __future__ import annotations

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


def decoded(content: bytes, where: str) -> str:
    """Return the text of a document. Raise DefinitionError if it is too large, no text or not UTF-8."""
    if len(content) > MOST_BYTES:
        raise DefinitionError(f"{where}: {len(content):,} bytes came, at most {MOST_BYTES:,} are read")
    for beginning, kind in _BINARIES.items():
        if content.startswith(beginning):
            raise DefinitionError(f"{where}: this is {kind}, not the text of a definition; unpack it first")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem("", f"not UTF-8: the byte 0x{content[error.start]:02x} came", line)
        raise DefinitionError.of(where, [problem]) from error


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
