"""The sources of a source list that a job made: a page of rows, each with the way to a spectrum of it, and as JSON.

Imports the services and the previews.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.job import Job, Result
from uws_server.services.context import Services
from uws_server.web.jobs.imageview import archive_lists
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

if TYPE_CHECKING:
    from uws_server.previews.sourcelist import ListedSource

ROWS_A_PAGE = 200
SPECTRUM, PRODUCTS = "spectrum", "source_products"
"""The definitions that a row leads to."""


class SourcesPage(Page):
    """The pages of source lists over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render = render
        self.pictures = pictures

    def page(self, job_id: str, name: str) -> HTTPResponse:
        """GET the rows of a list, `ROWS_A_PAGE` at a time; `from` in the query is the first row, from 0 on."""
        job, result = self._result(job_id, name)
        found = self._sources(job, result)
        first = _first(request.query.get("from", ""), len(found))
        shown = found[first : first + ROWS_A_PAGE]
        links = self._links(job, result, found)
        return self.render.page(
            "sources.html",
            job=job,
            result=result,
            title=f"Sources of {result.place}",
            sources=[(source, links(source), links.products(source)) for source in shown],
            flags=self._flags(job, result),
            has_products=any(one.definition.name == PRODUCTS for one in self.job_service.definitions),
            first=first,
            total=len(found),
            rows_a_page=ROWS_A_PAGE,
            lists=archive_lists(self.job_service, job, result),
            sky=self.render.link("sky", sources=f"{job.id}/{result.name}"),
        )

    def listed(self, job_id: str, name: str) -> HTTPResponse:
        """GET all sources as JSON, as the sky page draws them."""
        job, result = self._result(job_id, name)
        found = self._sources(job, result)
        links = self._links(job, result, found)
        rows = [
            {"number": one.number, "name": one.name, "ra": one.ra, "dec": one.dec,
             "error_arcsec": one.error_arcsec if math.isfinite(one.error_arcsec) else None,
             "extent_arcsec": one.extent_arcsec, "spectrum": links(one)}
            for one in found if math.isfinite(one.ra) and math.isfinite(one.dec)
        ]  # fmt: skip
        page = self.render.link("jobs", job.id, "sources", result.name)
        body = json.dumps({"title": result.place, "page": page, "sources": rows})
        headers = {"Content-Type": "application/json", "Cache-Control": "private, no-cache"}
        return HTTPResponse(body, 200, headers)

    def _result(self, job_id: str, name: str) -> tuple[Job, Result]:
        """Return a job and its result of that name. Raise NotFound."""
        job = self.job_service.bare(job_id)
        result = self.job_service.results.named(job, name)
        if result is None or result.name != name:
            raise NotFound(f"job {job.id} has no result {name[:64]!r}")
        return job, result

    def _sources(self, job: Job, result: Result) -> tuple[ListedSource, ...]:
        """Return the rows of a list. Raise NotFound if the file is gone or is no source list."""
        from uws_server.previews import sourcelist  # not before there is a list: numpy takes 12 MiB
        from uws_server.previews.spectra import NoPreview

        file = self.pictures.file(job, result)
        if file is None:
            raise NotFound(f"the file of result {result.name!r} of job {job.id} is gone")
        try:
            return sourcelist.read(file.path)
        except NoPreview as error:
            raise NotFound(str(error)) from error

    def _links(self, job: Job, result: Result, found: Sequence[ListedSource]) -> _Links:
        """Return what makes the address of the form of a spectrum of a source."""
        address = self.render.link("store", result.id, result.file_name)
        return _Links(self.render, archive_lists(self.job_service, job, result), found, address)

    def _flags(self, job: Job, result: Result) -> Mapping[int, str]:
        """Return what each bit of the flags of a list says, as its header has it."""
        from uws_server.previews import sourcelist

        file = self.pictures.file(job, result)
        return sourcelist.flags(file.path) if file else {}


class _Links:
    """The forms of a spectrum and of all products of each source, with its place and the event lists filled in."""

    def __init__(self, render: Renderer, lists: Sequence[str], found: Sequence[ListedSource], address: str) -> None:
        self._render, self._lists, self._found, self._address = render, list(lists), found, address

    def __call__(self, source: ListedSource) -> str:
        from uws_server.previews.sourcelist import background_region, source_region

        regions = {"source_region": source_region(source), "background_region": background_region(source, self._found)}
        return self._render.link("new", SPECTRUM, eventlist=self._lists, **regions)

    def products(self, source: ListedSource) -> str:
        """Return the address of the form of all products of a source; the list says where its neighbours are."""
        position = f"{source.ra:.5f} {source.dec:.5f}"
        given = {"position": position, "source_list": self._address}
        return self._render.link("new", PRODUCTS, eventlist=self._lists, **given)


def _first(text: str, total: int) -> int:
    """Return the first row to show. Raise BadRequest for what is no number of a row."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < max(total, 1)):
        raise BadRequest(f"from: {text[:40]!r} came; 0 to {max(total - 1, 0)} are allowed")
    return int(text)
