"""The plot of columns of the answer to a query, in each form. Imports the services and the previews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.previews.extent import Extent
from uws_server.services.query_answers import MOST_PLOTTED, QueryAnswers
from uws_server.web.search.query import AskedQuery

if TYPE_CHECKING:
    from uws_server.previews.chart import Chart

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""The policy for a drawing opened by itself: its own style sheet, and nothing else."""


def asked_extent() -> Extent:
    """Return what of a plot the address says that is to be shown. Raise BadRequest."""
    try:
        return Extent.read(request.query)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def chart(asked: AskedQuery, answers: QueryAnswers, extent: Extent) -> Chart:
    """Return the chart of the columns that were chosen. Raise QueryProblem, and NoPreview if nothing can be drawn."""
    import numpy as np  # not before there is a plot: it takes 12 MiB

    from uws_server.previews import scatterchart

    names = [("x", asked.x), *([("y", asked.y)] if asked.y else [])]
    found = answers.numbers(asked.adql, names)
    columns = [
        scatterchart.PlottedColumn(column.name, column.label, np.array(values, np.float64))
        for column, values in zip(found.columns, found.values, strict=True)
    ]
    note = f"The answer has more rows: the first {MOST_PLOTTED:,} are plotted." if found.is_cut else ""
    if len(columns) == 1:
        return scatterchart.histogram(columns[0], extent, note)
    return scatterchart.scatter(columns[0], columns[1], extent, note)


def tried(asked: AskedQuery, answers: QueryAnswers) -> tuple[str, str]:
    """Return what a plot shows in words, and '', or '' and why there is none."""
    from uws_server.previews.spectra import NoPreview

    try:
        extent = asked_extent()
        made = chart(asked, answers, extent)
        made.axes(extent, (0.0, 1.0, 0.0, 1.0))
    except (NoPreview, BadRequest) as reason:
        return "", str(reason)
    return made.summary, ""


def picture(asked: AskedQuery, answers: QueryAnswers, extent: Extent, suffix: str) -> HTTPResponse:
    """Return the plot as a picture (svg), as its data (json) or as a table of what it shows (csv). Raise BadRequest."""
    from uws_server.previews.charting import drawing

    if not asked.x:
        raise BadRequest("x: nothing came; the name of a column of the answer is needed")
    drawn = drawing(lambda: chart(asked, answers, extent), suffix, extent)
    kind = drawn.mime if drawn.mime == "application/json" else f"{drawn.mime}; charset=UTF-8"
    headers = {"Content-Type": kind, "Cache-Control": "private, no-cache", "Content-Security-Policy": _POLICY}
    return HTTPResponse(drawn.data, 200, headers)
