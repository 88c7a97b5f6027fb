"""What DALI asks of every VO service: the format that is asked for, an error as VOTable. Imports errors and VOTable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from uws_server.errors import BadRequest
from uws_server.jobs.formats.votablexml import add, serialized, table_root

VOTABLE = "application/x-votable+xml"
RESPONSEFORMAT = "RESPONSEFORMAT"
"""The parameter that names the media type wanted; like all of DALI's, in any case."""
VOTABLE_WORDS = ("votable", VOTABLE, "text/xml", "application/xml")
"""The words and media types that ask for a VOTable."""
Served = TypeVar("Served")


def response_format(query: Mapping[str, str]) -> str | None:
    """Return the media type asked for by RESPONSEFORMAT. Return None if there is none."""
    return next((value for name, value in query.items() if name.upper() == RESPONSEFORMAT), None)


def plain(media_type: str) -> str:
    """Return a media type without its options, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def format_of(asked: str, served: Mapping[str, Served], allowed: str) -> Served:
    """Return what is served for a value of RESPONSEFORMAT, by the words and media types for it.

    Raise BadRequest, with `allowed` at the end of its sentence, for an unknown one.
    """
    found = served.get(plain(asked))
    if found is None:
        raise BadRequest(f"{RESPONSEFORMAT}: {asked[:80]!r} came; {allowed}")
    return found


def wants_votable(query: Mapping[str, str], accept: str) -> bool:
    """Check whether a request asks for a VOTable, by RESPONSEFORMAT or else by Accept."""
    asked = response_format(query)
    return "votable" in (accept if asked is None else asked).lower()


def error_document(sentence: str) -> bytes:
    """Return a VOTable that holds nothing but the error: QUERY_STATUS=ERROR (DALI 1.1, section 4.4)."""
    root = table_root()
    resource = add(root, "RESOURCE", {"type": "results"})
    add(resource, "INFO", {"name": "QUERY_STATUS", "value": "ERROR"}, sentence)
    return serialized(root)
