"""What DALI asks of every VO service: its parameters, the format that is asked for, an error as VOTable.

Imports errors, forms and VOTable.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bottle import BaseRequest, HTTPResponse

from uws_server.config import Config
from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.incoming.callers import SHARE
from uws_server.jobs.formats.votablexml import add, serialized, table_root

VOTABLE = "application/x-votable+xml"
RESPONSEFORMAT = "RESPONSEFORMAT"
"""The parameter that names the media type wanted; like all of DALI's, in any case."""
COMMON = frozenset({"REQUEST", "VERSION", "LANG", "MAXREC", "RUNID", RESPONSEFORMAT})
"""The parameters that a client of DALI may send to any service, which passes over those that mean nothing to it."""
VOTABLE_WORDS = ("votable", VOTABLE, "text/xml", "application/xml")
"""The words and media types that ask for a VOTable."""
Served = TypeVar("Served")
Value = TypeVar("Value")


def parameters(request: BaseRequest, spool: Callable[[], Path], config: Config) -> list[tuple[str, str]]:
    """Return the names and values of a request, from its query and from the form that it posts."""
    environ: dict[str, Any] = request.environ
    if request.method != "POST":
        return forms.query(environ)
    with forms.reading(environ, spool, config.server.max_upload) as form:
        return [(name, text) for name, texts in form.values.items() for text in texts]


@contextlib.contextmanager
def with_file(
    request: BaseRequest, spool: Callable[[], Path], config: Config, name: str
) -> Iterator[tuple[list[tuple[str, str]], Path | None]]:
    """Yield the parameters of a request, and the file that it sends for one of them; None if it sends none.

    The file is there as long as the context lasts. Raise BadRequest for files that are sent for other parameters.
    """
    environ: dict[str, Any] = request.environ
    if request.method != "POST":
        yield forms.query(environ), None
        return
    with forms.reading(environ, spool, config.server.max_upload) as form:
        other = next((key for key in form.uploads if key.lower() != name.lower()), None)
        if other is not None:
            raise BadRequest(f"{other[:40]}: a file came; one can be sent for {name} only")
        sent = next(iter(form.uploads.values()), None)
        yield [(key, text) for key, texts in form.values.items() for text in texts], sent.path if sent else None


def require_known(given: Sequence[tuple[str, str]], known: Collection[str], why: str = "") -> None:
    """Raise BadRequest for a parameter that is neither known nor one of DALI's own.

    What selects nothing here must not be passed over: the answer would look like the selection. `why` is added.
    """
    accepted = {*known, *COMMON, SHARE.upper()}
    for name, _ in given:
        if name.upper() not in accepted:
            reason = f"; {why}" if why else ""
            raise BadRequest(f"{name[:40]}: no such parameter; there are {', '.join(known)}{reason}")


def most_rows(text: str | None) -> int | None:
    """Return how many rows MAXREC asks for; None for all of them. Raise BadRequest for what is no number."""
    if text is None or not text.strip():
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text.strip()):
        raise BadRequest(f"MAXREC: {text[:40]!r} came; a whole number from 0 on is allowed")
    return int(text)


def by_name(given: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the values of parameters by their names in capitals; a blank value is as if it had not come."""
    found: dict[str, list[str]] = {}
    for name, value in given:
        if value.strip():
            found.setdefault(name.upper(), []).append(value.strip())
    return found


def last(asked: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return the last value of a parameter; None if it did not come."""
    return asked[name][-1] if name in asked else None


def each(name: str, asked: Mapping[str, Sequence[str]], read: Callable[[str], Value]) -> tuple[Value, ...]:
    """Return the values of a parameter, each read. Raise BadRequest, with its name, for one that cannot be."""
    try:
        return tuple(read(text) for text in asked.get(name, ()))
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from error


def answering(action: Callable[[], HTTPResponse]) -> Callable[[], HTTPResponse]:
    """Return an action whose errors are VOTables."""

    def answer() -> HTTPResponse:
        try:
            return action()
        except (BadRequest, NotFound) as error:
            return HTTPResponse(error_document(str(error)), error.status, {"Content-Type": VOTABLE})

    return answer


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


def error_document(sentence: str, also: str = "") -> bytes:
    """Return a VOTable that holds nothing but the error: QUERY_STATUS=ERROR (DALI 1.1, section 4.4).

    `also` is the name of the INFO in which an older protocol has it.
    """
    root = table_root()
    resource = add(root, "RESOURCE", {"type": "results"})
    add(resource, "INFO", {"name": "QUERY_STATUS", "value": "ERROR"}, sentence)
    if also:
        add(resource, "INFO", {"ID": also, "name": also, "value": sentence})
    return serialized(root)
