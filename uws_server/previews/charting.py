"""A chart in each form that a page or a program asks for: picture, data of the page, table. Imports the chart."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from uws_server.previews import chartplot, svg, table
from uws_server.previews.chart import Chart
from uws_server.previews.extent import Extent
from uws_server.previews.preview import Drawing
from uws_server.previews.spectra import NoPreview

LOG = logging.getLogger(__name__)


def drawing(make: Callable[[], Chart], suffix: str, extent: Extent) -> Drawing:
    """Return a part of a chart as a picture (svg), as what a page reads (json), or as a table (csv).

    A chart that cannot be made, or not shown so, becomes a picture of the reason.
    """
    return drawn(lambda: _form(make(), suffix, extent), _MIMES[suffix], "a chart")


def drawn(draw: Callable[[], str | bytes], mime: str, what: str) -> Drawing:
    """Return what a function draws, or a picture of the reason why there is none; a fault is logged with `what`."""
    try:
        found = draw()
    except NoPreview as reason:
        return Drawing(svg.say(f"No preview: {reason}").encode(), "image/svg+xml", ok=False)
    except Exception:
        LOG.exception("the picture of %s failed", what)
        return Drawing(svg.say("No preview: the picture failed").encode(), "image/svg+xml", ok=False)
    return Drawing(found.encode() if isinstance(found, str) else found, mime)


_MIMES = {"svg": "image/svg+xml", "json": "application/json", "csv": "text/csv"}


def _form(chart: Chart, suffix: str, extent: Extent) -> str:
    if suffix == "csv":
        return table.of_chart(chart, extent)
    if suffix == "json":
        return json.dumps(chartplot.describe(chart, extent))
    return chartplot.draw(chart, extent)
