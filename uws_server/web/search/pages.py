"""The search page: the form, the query that it stands for, and the products found with what can be done with them.

Imports the form, the services and what pages share.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from bottle import HTTPResponse, request

from uws_server.discovery import adql
from uws_server.errors import BadRequest
from uws_server.jobs.definition import Definition
from uws_server.services import product_search, sky_places
from uws_server.services.archive_files import archive_address
from uws_server.services.context import Services
from uws_server.web.search.form import KINDS, SearchForm, Wanted
from uws_server.web.shared import quantities
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

MOST: Final = 200
"""The most products on the page; the table that is sent or downloaded has all of them."""
_MOST_DRAWN: Final = 60
_MTYPES: Final[Mapping[str, str]] = {
    "image": "image.load.fits",
    "spectrum": "table.load.fits spectrum.load.ssa-generic",
}
"""The messages of SAMP by which a kind of product is sent; other kinds are tables."""


@dataclass(frozen=True)
class FoundProduct:
    """A product that was found: its ObsCore row, its links, and its name in the archive, '' for one of a job."""

    row: Mapping[str, Any]
    links: str
    source: str

    @property
    def url(self) -> str:
        """The address of the file."""
        return str(self.row.get("access_url") or "")

    @property
    def name(self) -> str:
        """The name of the file."""
        return unquote(self.url.rpartition("/")[2])

    @property
    def kind(self) -> str:
        """The kind of product; '' where it is not known."""
        return str(self.row.get("dataproduct_type") or "")

    @property
    def mtypes(self) -> str:
        """The messages of SAMP by which it is sent."""
        return _MTYPES.get(self.kind, "table.load.fits")

    @property
    def is_list(self) -> bool:
        """Check whether it is an event list of the archive, which jobs may name."""
        return self.kind == "event" and bool(self.source)


class SearchPages(Page):
    """The search page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the form and, once something was asked, the products that fulfil it."""
        self.job_service.require_entry()
        form, asked, wanted, problem = SearchForm.of(request.query), bool(request.query_string), Wanted((), ()), ""
        try:
            wanted = form.wanted(lambda text: sky_places.sky_place(self.services, text))
        except BadRequest as error:
            problem = str(error)
        found = self._found(wanted) if asked and not problem else []
        return self.render.page(
            "search.html",
            400 if problem else 200,
            form=form,
            kinds=KINDS,
            asked=asked,
            problem=problem,
            found=found[:MOST],
            is_cut=len(found) > MOST,
            most=MOST,
            adql=adql.query(wanted.conditions, 1000),
            table=f"{self.render.link('sia2')}?{urlencode(wanted.sia)}",
            runnable=self._runnable(),
            drawing=self._drawing(found, wanted),
            texts=quantities,
            names_up=self.job_service.archive_search.looks_names_up,
        )

    def _found(self, wanted: Wanted) -> list[FoundProduct]:
        """Return the first products, and one more than the page has room for."""
        rows = product_search.found(self.services, self.job_service.caller, wanted.conditions)
        return [self._product(row) for row in itertools.islice(rows, MOST + 1)]

    def _product(self, row: Mapping[str, Any]) -> FoundProduct:
        url, beginning = str(row.get("access_url") or ""), archive_address(self.services.base_url, "")
        source = unquote(url.removeprefix(beginning)) if url.startswith(beginning) else ""
        return FoundProduct(row, self.render.link("datalink", ID=str(row.get("obs_publisher_did") or url)), source)

    def _runnable(self) -> list[Definition]:
        """Return the definitions that the reader may run over event lists of the archive."""
        definitions = self.job_service.definitions
        return [
            one.definition
            for one in definitions
            if definitions.may_run(one.definition)
            and any(spec.name == "eventlist" and spec.type == "eventlist" for spec in one.definition.parameters)
        ]

    def _drawing(self, found: list[FoundProduct], wanted: Wanted) -> str:
        """Return the address of the picture of what the event lists see; '' without any."""
        sources = [one.source for one in found if one.is_list][:_MOST_DRAWN]
        if not sources:
            return ""
        region = ""
        if wanted.place is not None:
            region = f"&REGION={quote(f'Circle ICRS {wanted.place.ra} {wanted.place.dec} {wanted.place.radius}')}"
        named = "&".join(f"exposure={quote(source, safe='/')}" for source in sources)
        return f"{self.render.link('archive', 'footprints.svg')}?{named}{region if wanted.place else ''}"
