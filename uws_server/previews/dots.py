"""Draws the rows of a table as dots in a plot; of those that no picture can tell apart one. Imports the chart."""

from __future__ import annotations

from typing import Final

from uws_server.previews.axes import Axis
from uws_server.previews.chart import ChartSeries

MOST_MARKS: Final = 400
"""Dots up to which each is an element; more are one path of smaller ones."""
_FINE: Final = 2
"""Places a pixel in which a dot can lie, in each direction."""


def places(series: ChartSeries, x: Axis, y: Axis) -> list[tuple[int, float, float]]:
    """Return the points that lie in the plot: which point it is, and its pixels; the first one of each place."""
    found: dict[tuple[int, int], tuple[int, float, float]] = {}
    for which, (across, up) in enumerate(zip(series.middle.tolist(), series.y.tolist(), strict=True)):
        if x.low <= across <= x.high and y.low <= up <= y.high:
            at_x, at_y = x.at(across), y.at(up)
            found.setdefault((round(_FINE * at_x), round(_FINE * at_y)), (which, at_x, at_y))
    return list(found.values())


def draw(series: ChartSeries, x: Axis, y: Axis, radius: float) -> str:
    """Return the elements of the points of a series; a radius of 0 is that of a thumbnail, where dots are small."""
    found = places(series, x, y)
    if radius and len(found) <= MOST_MARKS:
        return "".join(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="{1.3 * radius:g}"/>' for _, at_x, at_y in found)
    return f'<path class="dots" d="{"".join(f"M{at_x:.1f} {at_y:.1f}h0" for _, at_x, at_y in found)}"/>'
