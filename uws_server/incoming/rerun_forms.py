"""Reads the step list that a request brings, and what it asks of a rerun, from forms and JSON. Imports the reruns.

Both doors use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provenance.steps.rerun import Value
from provenance.text import jsontext
from uws_server.errors import BadRequest
from uws_server.incoming.forms import Form
from uws_server.jobs.words import run_id_problem, truth
from uws_server.reruns.preview import RerunRequest
from uws_server.reruns.service import Reruns
from uws_server.reruns.sources import RerunSource
from uws_server.services.parameters import Upload

_FIRST = re.compile(r"[0-9]{1,6}")


def read_history(reruns: Reruns, form: Form) -> RerunSource | None:
    """Return the step list of a form: from `file` (FITS with VO-TAGS) or `provenance` (JSON as text or file).

    Return None if there is none.
    """
    file, json_file = form.uploads.get("file"), form.uploads.get("provenance")
    text = form.take("provenance")
    if file is not None:
        with file.path.open("rb") as stream:
            looks_like_json = stream.read(1).strip() in (b"{", b"[")
        if not looks_like_json:
            source = reruns.of_fits(file.path, file.filename)
            _remove_files(form, "file")
            return source
        json_file = file
    if json_file is not None:
        source = reruns.of_text(read_document(json_file))
        _remove_files(form, "file", "provenance")
        return source
    return reruns.of_text(text) if text is not None and text.strip() else None


def read_document(upload: Upload) -> bytes:
    """Return the content of a JSON document that came as a file. Raise BadRequest if it is too long for a step list."""
    if upload.path.stat().st_size > jsontext.MAX_BYTES:
        raise BadRequest(f"the document: at most {jsontext.MAX_BYTES:,} bytes are read")
    return upload.path.read_bytes()


def read_rerun_request(form: Form) -> RerunRequest:
    """Return the rerun request of a form; every field without a meaning of its own is a change."""
    form.take("share")  # the token of a share link is not for the job
    first = (form.take("from") or "").strip()
    target, accept, run_id = form.take("target"), form.take("accept_changed") or "", form.take("RUNID")
    changes = {name: tuple(values) if len(values) > 1 else values[-1] for name, values in form.values.items()}
    return RerunRequest(
        changes, dict(form.uploads), _step_number(first), target or None, _accepts(accept), _run_id(run_id)
    )


def read_json_rerun_request(document: Mapping[str, Any]) -> RerunRequest:
    """Return the rerun request of a JSON document for reprocessing. Raise BadRequest for what cannot be one."""
    changes = document.get("parameters", {})
    if not isinstance(changes, dict):
        raise BadRequest("parameters: an object of values by name is expected")
    values: dict[str, Value] = {}
    for name, value in changes.items():
        items = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, str | int | float | bool) for item in items):
            raise BadRequest(f"parameters.{name[:80]}: text, a number, true, false or a list of them is expected")
        values[name] = tuple(value) if isinstance(value, list) else value
    first, accept = document.get("from"), document.get("accept_changed", False)
    word = "yes" if accept is True else "" if accept is False else str(accept)
    return RerunRequest(
        values,
        first=_step_number("" if first is None else str(first)),
        target=read_json_text(document, "target") or None,
        accept_changed=_accepts(word),
        run_id=_run_id(read_json_text(document, "RUNID") or None),
    )


def _remove_files(form: Form, *names: str) -> None:
    """Remove files from a form that are no inputs."""
    for name in names:
        upload = form.uploads.pop(name, None)
        if upload is not None:
            upload.path.unlink(missing_ok=True)


def read_json_text(document: Mapping[str, Any], name: str) -> str:
    """Return a text of a JSON document; '' if there is none. Raise BadRequest for a value that is no text."""
    value = document.get(name, "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRequest(f"{name}: text is expected")
    return str(value)


def _step_number(text: str) -> int | None:
    if not text:
        return None
    if not _FIRST.fullmatch(text):
        raise BadRequest(f"from: {text[:40]!r} came; the number of a step, counted from 0, is expected")
    return int(text)


def _accepts(text: str) -> bool:
    accepted = truth(text) if text.strip() else False
    if accepted is None:
        raise BadRequest(f"accept_changed: {text[:40]!r} came; yes or no is allowed")
    return accepted


def _run_id(text: str | None) -> str | None:
    if problem := run_id_problem(text or ""):
        raise BadRequest(f"RUNID: {problem}")
    return text or None
