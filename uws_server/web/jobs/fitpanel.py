"""The folded curve beside the form of a new fit: a picture for the form without JavaScript, JSON for its script.

Imports the services and the previews.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, Final

from bottle import HTTPResponse

from uws_server.errors import BadRequest, InvalidParameters, NotFound, Problem, problems_of
from uws_server.incoming.forms import Form
from uws_server.jobs.definition import Definition
from uws_server.previews.extent import Extent
from uws_server.services.fit_preview import NAMES, Asked, FitFiles, FitPreviews
from uws_server.web.shared.page import Page

Curve = Mapping[str, Any]
"""What a page shows of a folded curve: see `previews.foldchart.shown`; `picture` is its drawing as an address, `data`
the key by which its spectra are found again."""

KEY: Final = "_data"
"""The field of the form that holds the key of the spectra."""

_NEEDED: Final = ("spectrum", "model", "parameters")


def has_panel(definition: Definition) -> bool:
    """Return whether a definition fits spectra: its form shows the folded curve."""
    return all(definition.parameter(name) for name in _NEEDED)


class FitPanel(Page):
    """The folded curves over one set of services."""

    @cached_property
    def previews(self) -> FitPreviews:
        """Return the spectra at hand of this server."""
        return FitPreviews()

    def curve(self, definition: Definition, form: Form, earlier: str) -> Curve:
        """Return the curve that a form asks for: of files that came with it, or of those of its key.

        Raise BadRequest with what is wrong with it, NotFound for spectra that are not at hand any more.
        """
        from uws_server.previews import foldchart

        asked, key = _asked(definition, form), (form.take(KEY) or "").strip()
        extent = Extent(size="narrow" if form.take("_narrow") else "")
        kept = [name for name in NAMES if form.take(f"_keep.{name}") is not None] if earlier else []
        job = self.job_service.job(earlier, definition.name) if kept else None
        files = FitFiles(self.job_service).named(form.values, form.uploads, job, kept)
        if files["spectrum"] or not key:
            key = self.previews.open(files)
        shown = foldchart.shown(self.previews.fold(key, asked), extent)
        picture = base64.b64encode(shown.pop("svg").encode()).decode()
        return {**shown, "picture": f"data:image/svg+xml;base64,{picture}", "data": key}

    def answer(self, definition: Definition, form: Form, earlier: str) -> HTTPResponse:
        """Return the curve as JSON; with status 400 what is wrong, with 404 that the files must be sent again."""
        try:
            return _json(self.curve(definition, form, earlier))
        except (BadRequest, NotFound) as error:
            problems = problems_of(error) if isinstance(error, BadRequest) else (Problem("", str(error)),)
            return _json({"problems": [[each.parameter, each.message] for each in problems]}, error.status)


def _asked(definition: Definition, form: Form) -> Asked:
    """Return what a form asks for, with the defaults of the definition for what it leaves out.

    Of several models it is the first.
    """
    texts = {}
    for one in fields(Asked):
        spec = definition.parameter(one.name)
        given = [text for text in form.values.get(one.name, []) if text.strip()]
        text = "\n".join(given or (spec.default_texts if spec else ()))
        if text.strip():
            texts[one.name] = text
    models = [line for line in texts.get("model", "").splitlines() if line.strip()]
    if not models:
        raise InvalidParameters([Problem("model", "no model is given; write one such as wabs*powerlaw")])
    return Asked(**{**texts, "model": models[0]})


def _json(told: Mapping[str, Any], status: int = 200) -> HTTPResponse:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return HTTPResponse(json.dumps(told), status, headers)
