"""Reads what a request wants a session in which work is kept to hold: from JSON and forms. Imports the services.

Both doors use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.incoming.forms import Form, Spool
from uws_server.services.session_content import FIELDS

MOST_BODY: Final = 20_000_000
"""Bytes of a JSON document with a session."""
READ_ONLY: Final = frozenset(
    {"id", "owner", "created", "changed", "revision", "may_change", "url", "page", "sky", "share", "jobs"}
)
"""What a session is sent with and what nobody sets: it may come back, and counts for nothing."""


def read_json(environ: Mapping[str, Any], spool: Spool) -> dict[str, Any]:
    """Return the JSON object that is the body of a request, an empty one where there is none. Raise BadRequest."""
    with forms.receiving(environ, spool, MOST_BODY, "session.json") as body:
        text = body.path.read_bytes()
    if not text.strip():
        return {}
    try:
        document = jsontext.read(text)
    except JsonError as error:
        raise BadRequest(f"the body: {error}") from error
    if not isinstance(document, dict):
        raise BadRequest('the body: a JSON object is expected, such as {"name": "Crab"}')
    return document


def read_form(form: Form) -> dict[str, Any]:
    """Return the fields of a session in a form: `exposures` has one a line, `exposure` one each time it comes."""
    document: dict[str, Any] = {name: text for name in FIELDS if (text := form.take(name)) is not None}
    exposures = [*str(document.get("exposures", "")).split("\n"), *form.take_all("exposure")]
    if "exposures" in document or len(exposures) > 1:
        document["exposures"] = [one.strip() for one in exposures if one.strip()]
    return document


def content_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a document that a session holds. Raise BadRequest for one that it does not have."""
    unknown = [name for name in document if name not in FIELDS and name not in READ_ONLY]
    if unknown:
        raise BadRequest(f"{unknown[0][:80]}: a session has no such field; there are {', '.join(FIELDS)}")
    return {name: value for name, value in document.items() if name in FIELDS}


def revision_of(given: object, if_match: str) -> int:
    """Return the revision that a change is of, by the field `revision` or the header If-Match. Raise BadRequest."""
    if given is None and (found := re.fullmatch(r'\s*"([0-9]{1,9})"\s*', if_match)):
        return int(found[1])
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,9}", given):
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    came = "nothing" if given is None else repr(given)[:40]
    raise BadRequest(f"revision: {came} came; the revision of the session that was changed is needed, a whole number")
