"""Queries to begin with, /tap/examples: a page that programs read, too (DALI 1.1, 2.3). Imports the services."""

from __future__ import annotations

from html import escape
from typing import Final, NamedTuple

from bottle import Bottle, HTTPResponse

from uws_server.services.context import Services


class _Example(NamedTuple):
    id: str
    title: str
    text: str
    query: str
    table: str


_EXAMPLES: Final = (
    _Example(
        "cone", "Products near a position", "Everything within a tenth of a degree of the Crab, the newest first.",
        "SELECT TOP 100 obs_id, target_name, dataproduct_type, instrument_name, t_min, access_url\n"
        "FROM ivoa.obscore\nWHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 83.633, 22.014, 0.1))\n"
        "ORDER BY t_min DESC", "ivoa.obscore",
    ),
    _Example(
        "counts", "How many products of which kind", "One row for each camera and kind of product.",
        "SELECT instrument_name, dataproduct_type, COUNT(*) AS products, SUM(t_exptime) AS exposure\n"
        "FROM ivoa.obscore\nGROUP BY instrument_name, dataproduct_type", "ivoa.obscore",
    ),
    _Example(
        "jobs", "What my jobs made", "The results of the jobs of who asks, with the definition that made them.",
        "SELECT j.definition, j.created, r.name, r.bytes, r.access_url\n"
        "FROM uws.results AS r JOIN uws.jobs AS j ON r.job_id = j.job_id\nWHERE j.phase = 'COMPLETED'", "uws.jobs",
    ),
    _Example(
        "tables", "Which columns hold a position", "The columns of all tables, by their UCDs.",
        "SELECT table_name, column_name, unit, description\n"
        "FROM TAP_SCHEMA.columns\nWHERE ucd LIKE 'pos.eq.%'", "TAP_SCHEMA.columns",
    ),
)  # fmt: skip


class Examples:
    """The examples over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/tap/examples", "GET", self.page)

    def page(self) -> HTTPResponse:
        """GET the page."""
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en">\n'
            "<head><title>Examples of queries</title></head>\n"
            '<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>Examples of queries</h1>\n'
            f"{''.join(map(_section, _EXAMPLES))}</body>\n</html>\n"
        )
        return HTTPResponse(document, 200, {"Content-Type": "application/xhtml+xml; charset=UTF-8"})


def _section(example: _Example) -> str:
    return (
        f'<div typeof="example" id="{example.id}" resource="#{example.id}">\n'
        f'<h2 property="name">{escape(example.title)}</h2>\n<p>{escape(example.text)} Table: '
        f'<span property="table">{escape(example.table)}</span></p>\n'
        f'<pre property="query">{escape(example.query)}</pre>\n</div>\n'
    )
