"""Reads a JSON object in place of a form: each key is a field. Imports the form reader and the strict reader of JSON.

A value is text, a number, true or false, or a list of such values for a parameter that may have several; an object is
the text of one (a region in JSON); null is as if it had not come. Files come with multipart/form-data, not here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from multipart import parse_options_header

from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.incoming.forms import Form


def is_json(environ: Mapping[str, Any]) -> bool:
    """Check whether the body of a request is said to be JSON."""
    return bool(parse_options_header(environ.get("CONTENT_TYPE", ""))[0] == "application/json")


@contextmanager
def reading(environ: Mapping[str, Any], most: int) -> Iterator[Form]:
    """Give the fields of a request whose body is a JSON object, with those of its query string.

    Raise BadRequest for any other body.
    """
    form = Form()
    for name, value in forms.query(environ):
        form.add(name, value)
    try:
        document = jsontext.read(forms.body_text(environ, most))
    except JsonError as error:
        raise BadRequest(f"the body: {error.trouble}") from error
    if not isinstance(document, dict):
        raise BadRequest("the body: a JSON object is expected, with the parameters as its keys")
    for name, value in document.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                form.add(name, _text(name, each))
    yield form


def _text(name: str, value: Any) -> str:
    """Return a value as a form would have it. Raise BadRequest for one that no form has: a list in a list, infinity."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) or (isinstance(value, float) and not math.isfinite(value)):
        allowed = "text, a number, true, false, an object or a list of them is expected"
        raise BadRequest(f"{name[:80]}: {jsontext.excerpt(value)} came; {allowed}")
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise BadRequest(f"{name[:80]}: the object is nested too deep") from error
