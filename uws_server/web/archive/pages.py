"""The archive as people look at it: the search bar and its observations, one observation, pictures of footprints.

Imports the services and, when a picture is asked for, the previews.
"""

from __future__ import annotations

from typing import Any

from bottle import HTTPResponse, request

from uws_server.archive.query.columns import CAMERAS, COLUMNS
from uws_server.archive.query.errors import QueryError
from uws_server.archive.query.parts import Counts
from uws_server.errors import BadRequest, NotFound, counted
from uws_server.incoming import forms
from uws_server.services.archive_search import ArchiveSearch, ObservationFound
from uws_server.services.context import Services
from uws_server.web.archive.observation import Observation, definitions_for
from uws_server.web.archive.view import PER_PAGE, View
from uws_server.web.shared import quantities as texts
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy for a drawing opened by itself: its own style sheet, and nothing else."""
_MOST_NAMED = 2000
"""Exposures that an address or a form may name."""


class ArchivePages(Page):
    """The pages of the archive over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def _search(self) -> ArchiveSearch:
        """The search, for a caller who may use the server at all."""
        self.job_service.require_entry()
        return self.job_service.archive_search

    def page(self) -> HTTPResponse:
        """GET the search bar and a page of the observations that the search of the query finds."""
        view = View.of(request.query)
        search = self._search
        problem: QueryError | None = None
        found: list[ObservationFound] = []
        counts, status = Counts(0, 0), 200
        try:
            found, counts = search.observations_and_counts(view.q, part=view.part)
        except QueryError as error:
            problem, status = error, error.status
        if view.page > 1 and problem is None and not found:
            there = counted(counts.observations, "observation")
            raise NotFound(f"what this search finds, {there}, has no page {view.page}")
        return self.render.page(
            "archive.html",
            status,
            view=view,
            found=found,
            counts=counts,
            all=search.counts() if view.q else counts,
            problem=problem,
            pages=-(-counts.observations // PER_PAGE),
            per_page=PER_PAGE,
            columns=COLUMNS,
            cameras=texts.cameras(CAMERAS),
            names_up=search.looks_names_up,
            has_archive=self.services.config.folders.archive is not None,
            texts=texts,
        )

    def observation(self, obs_id: str) -> HTTPResponse:
        """GET an observation: its exposures, products, footprints and ObsCore columns."""
        observation = Observation.of(obs_id, self._search.files_of(obs_id))
        definitions = self.job_service.definitions
        return self.render.page(
            "observation.html",
            one=observation,
            runnable=definitions_for(one.definition for one in definitions if definitions.may_run(one.definition)),
            texts=texts,
        )

    def footprints(self) -> HTTPResponse:
        """GET the footprints of exposures, and regions, as a drawing.

        `exposure` names one, any number of times; without it those are drawn that `q` finds and that see the region.
        Regions are `REGION` or `source`, and `background`; `size` is narrow for a small window.
        """
        from uws_server.previews import footprints as drawing

        given = [(name.upper(), value) for name, value in forms.query(request.environ)]
        sources = [value for name, value in given if name == "EXPOSURE" and value]
        if len(sources) > _MOST_NAMED:
            raise BadRequest(f"exposure: {len(sources):,} came; {_MOST_NAMED:,} are allowed")
        asked = {name: value.strip() for name, value in given}
        region = asked.get("REGION") or asked.get("SOURCE", "")
        search = self._search
        regions = search.regions(region, asked.get("BACKGROUND", ""))
        text = asked.get("Q", "")
        if not (sources or region or text):
            raise BadRequest("exposure, REGION or q is needed: which footprints are to be drawn")
        found = search.footprints(sources, text, region, drawing.MOST_DRAWN)
        shown = [drawing.Footprint(row["instrument"], *_names(row), cells) for row, cells in found.found]
        layout = drawing.NARROW if asked.get("SIZE") == "narrow" else drawing.WIDE
        body = drawing.draw(shown, found.order, regions, found.total, layout).encode()
        headers = {
            "Content-Type": "image/svg+xml",
            "Content-Security-Policy": DRAWING_POLICY,
            "Cache-Control": "private, no-cache",
        }
        return HTTPResponse(body, 200, headers)


def _names(row: Any) -> tuple[str, str]:
    """Return what an exposure is called, in full and beside the name of its camera."""
    whole = " ".join(filter(None, (row["obs_id"], row["instrument"], row["exposure"])))
    return whole or str(row["source"]), str(row["exposure"])
