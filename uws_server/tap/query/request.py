"""What a request asks of TAP: the query, the most rows, the format. Imports errors, formats and uploads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from uws_server.errors import BadRequest
from uws_server.tap.formats.choice import Format, format_of
from uws_server.tap.upload.request import UploadPair, pairs

MAXREC: Final = 1_000_000
"""Rows that a query gives which does not say how many it wants, and ends with OVERFLOW where there are more."""
HARD_MAXREC: Final = 100_000_000
LONGEST_QUERY: Final = 100_000
PARAMETERS: Final = ("REQUEST", "LANG", "QUERY", "MAXREC", "RESPONSEFORMAT", "FORMAT", "UPLOAD", "VERSION", "RUNID")
_LANGUAGES: Final = ("ADQL", "ADQL-2.0", "ADQL-2.1")


@dataclass(frozen=True)
class QueryRequest:
    """A query as it was asked for."""

    query: str
    maxrec: int
    format: Format
    uploads: tuple[UploadPair, ...] = ()


def read_request(values: Mapping[str, Sequence[str]]) -> QueryRequest:
    """Return what the parameters of a request ask for, by their names in capitals. Raise BadRequest."""
    wanted = _one(values, "REQUEST") or "doQuery"
    if wanted.lower() != "doquery":
        raise BadRequest(f"REQUEST: {wanted[:40]!r} came; doQuery is allowed")
    language = _one(values, "LANG")
    if not language:
        raise BadRequest(f"LANG: nothing came; one of {', '.join(_LANGUAGES)} is needed")
    if language.upper() not in _LANGUAGES:
        raise BadRequest(f"LANG: {language[:40]!r} came; {', '.join(_LANGUAGES)} are understood")
    query = _one(values, "QUERY")
    if not query.strip():
        raise BadRequest("QUERY: nothing came; a query in ADQL is needed, such as SELECT TOP 5 * FROM ivoa.obscore")
    if len(query) > LONGEST_QUERY:
        raise BadRequest(f"QUERY: {len(query):,} characters came; at most {LONGEST_QUERY:,} are allowed")
    asked = _one(values, "RESPONSEFORMAT") or _one(values, "FORMAT")
    uploads = pairs(values.get("UPLOAD", ()))
    return QueryRequest(query, maxrec_of(_one(values, "MAXREC")), format_of(asked), uploads)


def maxrec_of(text: str) -> int:
    """Return the most rows that are asked for. Raise BadRequest for what is no whole number from 0 on."""
    if not text:
        return MAXREC
    if not re.fullmatch(r"[0-9]{1,19}", text.strip()):
        raise BadRequest(f"MAXREC: {text[:40]!r} came; a whole number from 0 on is allowed")
    return min(int(text), HARD_MAXREC)


def _one(values: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the value of a parameter, '' if it did not come. Raise BadRequest if two different ones came."""
    found = list(dict.fromkeys(text for text in values.get(name, ()) if text.strip()))
    if len(found) > 1:
        raise BadRequest(f"{name}: several values came, one is allowed")
    return found[0] if found else ""
