"""What every reader of a format begins with: bytes become text, or are refused with the reason. Imports the errors.

Also where a problem of a definition stands in its document: the line of its place, or of what holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from uws_server.errors import DefinitionError, Problem

MOST_BYTES = 4_000_000
"""Size of the largest document that is read."""

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
"""How files begin that somebody may take for a definition."""
_END_OF_PLACE = re.compile(r"(\.[^.\[\]]*|\[\d+\]|[^.\[\]]+)$")


def decoded(content: bytes, where: str) -> str:
    """The text of a document; DefinitionError where it is too large, no text or not UTF-8."""
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
    """The problems with their lines: `lines` has those of places; what it does not have stands where its holder is."""
    return [replace(problem, line=_line(problem.parameter, lines)) for problem in problems]


def refused(where: str, problems: Sequence[Problem], lines: Mapping[str, int]) -> DefinitionError:
    """The error of problems found in a document, each with its line, from the top on."""
    return DefinitionError.of(where, sorted(at_lines(problems, lines), key=lambda problem: problem.line))


def holders(place: str) -> Iterator[str]:
    """The place itself, then what holds it: a[2].b, a[2], a and ''."""
    yield place
    while place:
        place = _END_OF_PLACE.sub("", place, count=1) if _END_OF_PLACE.search(place) else ""
        yield place


def _line(place: str, lines: Mapping[str, int]) -> int:
    return next((lines[holder] for holder in holders(place) if holder in lines), 0)
