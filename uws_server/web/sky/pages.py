"""The sky page: its regions are checked, written in other notations and placed here, drawn by its scripts.

Its state stands in its address, so that it can be kept, sent and read without JavaScript.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bottle import HTTPError, HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.previews import blank_sky
from uws_server.services.context import Services
from uws_server.services.sky_places import sky_place
from uws_server.services.sky_regions import SkyRegions, sky_regions
from uws_server.web.shared.fields import Filled
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer
from uws_server.web.shared.texts import sentence
from uws_server.web.sky import selector
from uws_server.web.sky.policy import sky_policy
from uws_server.web.sky.run import ProcessControl
from uws_server.web.sky.state import SkyState
from uws_server.web.sky.surveys import surveys_of

NOTATIONS: Final = {"reg": "ds9", "stcs": "stcs"}
"""The endings of downloaded regions, and which text of a region each is."""

_KEPT: Final = "public, max-age=86400"
_LONGEST: Final = 400_000


class SkyPage(Page):
    """The sky page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render
        self._surveys = surveys_of(services.config.remote.surveys)
        self._policy = sky_policy(survey.url for survey in self._surveys)
        self.control = ProcessControl(services, render)

    def page(self) -> HTTPResponse:
        """GET the page in the state of its address; with the name of a camera, 303 to it with its exposures or without.

        What the address leaves out is taken from its session, or its last job.
        """
        asked = forms.query(request.environ)
        state, words = SkyState.of(asked), dict(asked)
        if "kept" in words:  # it says that it leaves the exposures out, which are many
            state = self.control.with_exposures_of_session(state)
        state = self.control.restored(state)
        for word, changed in (("with", selector.with_all), ("without", selector.without)):
            if word in words:
                state = changed(selector.selection_of(self.job_service, state), state, words[word])
                return self.render.go(self.render.link("sky", **state.query()))
        return self._page(state)

    def check(self) -> HTTPResponse:
        """GET or POST source and background: what is wrong with them, their shapes and texts in ICRS, as JSON."""
        regions = self._regions(*self._sent())
        document = regions.as_json()
        return _json({**document, "problems": [sentence(problem) for problem in regions.problems]})

    def place(self) -> HTTPResponse:
        """GET a position or the name of an object (q): where it is, as JSON; or why it cannot be said, with a 400."""
        self.job_service.require_entry()
        try:
            found = sky_place(self.services, request.query.getunicode("q", ""))
        except BadRequest as error:
            return _json({"problem": sentence(str(error))}, error.status)
        return _json({"text": found.text, "ra": found.ra_deg, "dec": found.dec_deg})

    def download(self, which: str, ending: str) -> HTTPResponse:
        """GET or POST a region (source or background) as DS9 (reg) or STC-S (stcs)."""
        regions = self._regions(*self._sent())
        region = regions.source if which == "source" else regions.background
        text = region.ds9 if NOTATIONS[ending] == "ds9" else region.stcs
        if not text:
            told = "; ".join(region.problems) or "nothing came; give a region"
            raise BadRequest(f"{which}: {told}")
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "Content-Disposition": f'attachment; filename="{which}.{ending}"',
        }
        return HTTPResponse(text if text.endswith("\n") else f"{text}\n", 200, headers)

    def blank(self, name: str) -> HTTPResponse:
        """GET a file of the sky without a picture."""
        found = blank_sky.file_of(name)
        if found is None:
            raise HTTPError(404, "no such file")
        return HTTPResponse(found[0], 200, {"Content-Type": found[1], "Cache-Control": _KEPT})

    def exposures(self) -> HTTPResponse:
        """GET or POST: the table of the exposures alone, for the page that shows it already."""
        self.job_service.require_entry()
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            state = SkyState.of((name, text) for name, texts in form.values.items() for text in texts)
        found = selector.selection_of(self.job_service, state)
        return self.render.page("sky_exposures.html", state=state, selection=found, has_archive=self._has_archive)

    def run(self) -> HTTPResponse:
        """POST the form of a job: 303 to the page with the job; with status 400 the page with what is wrong."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            state, refused = self.control.create(form)
        if refused is not None:
            return self._page(state, refused, status=400)
        response = self.render.go(f"{self.render.link('sky', **state.short().query())}#job")
        self.render.remember_made(response, state.jobs[-1])
        return response

    def _page(self, state: SkyState, filled: Filled | None = None, status: int = 200) -> HTTPResponse:
        """Return the page in a state; where a form was refused, with what was filled in."""
        regions = self._regions(state.source, state.background)
        page = self.render.page(
            "sky.html",
            status,
            state=state,
            regions=regions,
            problems=[sentence(problem) for problem in regions.problems],
            surveys=self._surveys,
            names=bool(self.services.config.remote.resolver),
            selection=selector.selection_of(self.job_service, state),
            has_archive=self._has_archive,
            source_list=self._source_list(state),
            **self.control.values(state, filled),
        )
        page.set_header("Content-Security-Policy", self._policy)
        for name in state.jobs[-1:]:
            self.render.remember(page, self.job_service.open(name))
        return page

    def _source_list(self, state: SkyState) -> str:
        """Return where the sources to be drawn are, as JSON; '' for none. Raise BadRequest for what names no list."""
        if not state.sources:
            return ""
        job, slash, name = state.sources.partition("/")
        if not slash or not name or "/" in name:
            raise BadRequest(f"sources: {state.sources[:80]!r} came; the id of a job, / and the name of its result are "
                             "allowed")  # fmt: skip
        return self.render.link("jobs", job, "sources", name, "list.json")

    @property
    def _has_archive(self) -> bool:
        return self.services.config.folders.archive is not None

    def _sent(self) -> tuple[str, str]:
        """Return the texts of source and background, from the query or from a form."""
        if request.method != "POST":
            return request.query.getunicode("source", ""), request.query.getunicode("background", "")
        with forms.reading(request.environ, self.services.spool, _LONGEST) as form:
            return form.take("source") or "", form.take("background") or ""

    def _regions(self, source: str, background: str) -> SkyRegions:
        """Return two regions with what is wrong with them. Who may not enter is told nothing."""
        exposures = self.job_service.exposures if self._has_archive else None
        self.job_service.require_entry()
        return sky_regions(source, background, exposures)


def _json(document: dict[str, Any], status: int = 200) -> HTTPResponse:
    body = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return HTTPResponse(body, status, {"Content-Type": "application/json", "Cache-Control": "private, no-store"})
