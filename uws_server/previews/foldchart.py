"""A folded model beside data, before a fit: the chart of the result of a fit, and what a page tells beside it."""

from __future__ import annotations

from typing import Any

from reduction.fitting.foldedmodel import FoldedModel
from uws_server.previews import chartplot
from uws_server.previews.chart import Chart
from uws_server.previews.extent import Extent
from uws_server.previews.fitchart import SetOfBins, chart_of


def chart(folded: FoldedModel) -> Chart:
    """Return the chart of a folded model."""
    sets = [
        SetOfBins(one.name, one.data.low_kev, one.data.high_kev, one.rate_per_kev, one.error_per_kev,
                  one.background_per_kev, one.model_per_kev, one.residual_sigma)
        for one in folded.bins
    ]  # fmt: skip
    return chart_of("Folded model", sets, folded.expression, statistic_text(folded))


def statistic_text(folded: FoldedModel) -> str:
    """Return the statistic in words."""
    return f"{folded.statistic_name} {folded.statistic:.5g} in {folded.size:,} bins, {folded.dof:,} degrees of freedom."


def shown(folded: FoldedModel, extent: Extent) -> dict[str, Any]:
    """Return what a page shows of a folded model.

    That is its drawing (svg) and what it shows in words (summary), what lies where in it (plot), the parameters, the
    statistic and the notes.
    """
    drawn = chart(folded)
    parameters = [
        {"name": one.name, "value": one.value, "min": one.min, "max": one.max, "unit": one.unit, "frozen": one.frozen,
         "tied": one.tied, "about": one.description}
        for one in folded.parameters
    ]  # fmt: skip
    return {
        "svg": chartplot.draw(drawn, extent), "summary": drawn.summary, "plot": chartplot.describe(drawn, extent),
        "parameters": parameters, "notes": list(folded.messages), "statistic": statistic_text(folded),
        "expression": folded.expression,
    }  # fmt: skip
