"""The search page: the form, the query that it stands for, and what it finds with what can be done with that.

A query in ADQL is answered on the same page. Imports its neighbours, the services and what pages share.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Final
from urllib.parse import quote, urlencode

from bottle import HTTPResponse, request

from uws_server.discovery import adql
from uws_server.errors import BadRequest
from uws_server.jobs.definition import Definition
from uws_server.previews.extent import NAMES as EXTENT_NAMES
from uws_server.services import product_search, sky_places
from uws_server.services.context import Services
from uws_server.services.query_answers import QueryAnswers, QueryProblem
from uws_server.services.query_service import QueryService
from uws_server.web.search import plots
from uws_server.web.search.answer import ShownAnswer, shown_rows
from uws_server.web.search.form import KINDS, SearchForm, Wanted
from uws_server.web.search.products import FoundProduct, ProductFinder
from uws_server.web.search.query import FORMATS, ROWS, AskedQuery
from uws_server.web.shared import quantities
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

MOST: Final = 200
"""The most products on the page; the table that is sent or downloaded has all of them."""
_MOST_DRAWN: Final = 60


class SearchPages(Page):
    """The search page over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the form and, once something was asked, the products that fulfil it."""
        self.job_service.require_entry()
        if "adql" in request.query:
            return self._answer_page()
        form, asked, wanted, problem = SearchForm.of(request.query), bool(request.query_string), Wanted((), ()), ""
        try:
            wanted = form.wanted(lambda text: sky_places.sky_place(self.services, text))
        except BadRequest as error:
            problem = str(error)
        found = self._found(wanted) if asked and not problem else []
        return self._page(
            400 if problem else 200,
            form,
            asked=asked,
            problem=problem,
            found=found[:MOST],
            is_cut=len(found) > MOST,
            adql=adql.query(wanted.conditions, 1000),
            table=f"{self.render.link('sia2')}?{urlencode(wanted.sia)}",
            drawing=self._drawing(found, wanted),
        )

    def plot(self, suffix: str) -> HTTPResponse:
        """GET the plot of columns of the answer to a query: as a picture (svg), its data (json) or a table (csv)."""
        self.job_service.require_entry()
        return plots.picture(AskedQuery.of(request.query), self._answers(), plots.asked_extent(), suffix)

    def _answer_page(self) -> HTTPResponse:
        """Return the page with the answer to a query, or with what is wrong with it."""
        asked = AskedQuery.of(request.query)
        try:
            answer = self._answered(asked)
        except QueryProblem as error:
            answer = ShownAnswer.refused(asked, error)
        return self._page(
            400 if answer.problem else 200,
            SearchForm(),
            asked=True,
            answer=answer,
            typed={name: request.query.getunicode(name, "") for name in EXTENT_NAMES},
            adql=asked.adql,
            table="" if answer.problem else self.render.link("tap", "sync", **asked.sync("votable")),
            drawing=self._drawing(answer.products, Wanted((), ())),
        )

    def _answered(self, asked: AskedQuery) -> ShownAnswer:
        """Return the answer to a query. Raise QueryProblem."""
        answers = self._answers()
        found = answers.first(asked.adql, asked.rows)
        rows = shown_rows(found, self._finder.of_rows(found, answers))
        summary, problem = plots.tried(asked, answers) if asked.x else ("", "")
        return ShownAnswer(asked, found.columns, rows, found.is_cut, plot_problem=problem, plot_summary=summary)

    def _page(self, status: int, form: SearchForm, **values: object) -> HTTPResponse:
        usual: dict[str, object] = {"problem": "", "found": [], "is_cut": False, "answer": None}
        return self.render.page(
            "search.html",
            status,
            form=form,
            kinds=KINDS,
            most=MOST,
            row_choices=ROWS,
            formats=FORMATS,
            runnable=self._runnable(),
            texts=quantities,
            names_up=self.job_service.archive_search.looks_names_up,
            **{**usual, **values},
        )

    @cached_property
    def _finder(self) -> ProductFinder:
        return ProductFinder(self.services.base_url, lambda name: self.render.link("datalink", ID=name))

    def _answers(self) -> QueryAnswers:
        """Return the answers to the queries of the reader."""
        return QueryAnswers(QueryService(self.services, self.job_service.caller))

    def _found(self, wanted: Wanted) -> list[FoundProduct]:
        """Return the first products, and one more than the page has room for."""
        rows = product_search.found(self.services, self.job_service.caller, wanted.conditions)
        return [self._finder.product(row) for row in itertools.islice(rows, MOST + 1)]

    def _runnable(self) -> list[Definition]:
        """Return the definitions that the reader may run over event lists of the archive."""
        definitions = self.job_service.definitions
        return [
            one.definition
            for one in definitions
            if definitions.may_run(one.definition)
            and any(spec.name == "eventlist" and spec.type == "eventlist" for spec in one.definition.parameters)
        ]

    def _drawing(self, found: Sequence[FoundProduct], wanted: Wanted) -> str:
        """Return the address of the picture of what the event lists see; '' without any."""
        sources = [one.source for one in found if one.is_list][:_MOST_DRAWN]
        if not sources:
            return ""
        region = ""
        if wanted.place is not None:
            region = f"&REGION={quote(f'Circle ICRS {wanted.place.ra} {wanted.place.dec} {wanted.place.radius}')}"
        named = "&".join(f"exposure={quote(source, safe='/')}" for source in sources)
        return f"{self.render.link('archive', 'footprints.svg')}?{named}{region if wanted.place else ''}"
