"""A plot of points with errors, of a spectrum, a light curve or several of them, as a value; which part of it is shown.

Imports no file of a product: what reads them makes charts of what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from uws_server.previews.axes import Axis, Linear, Log
from uws_server.previews.extent import Extent
from uws_server.previews.spectra import NoPreview

Floats = npt.NDArray[np.float64]

_ROOM = {"linear": 0.05, "log": 1.1}
"""What is left free above the highest and below the lowest bar: a part of the range, and a factor."""

_LEAST_RANGE, _MOST_RANGE = 1e-280, 1e280
"""Ranges of an axis that cannot be divided into ticks: their quotients are 0 or no numbers."""


@dataclass(frozen=True)
class ChartSeries:
    """Points of one colour, shape (n,) each: edges and middle on the x axis, y and the ends of its bar (NaN for none).

    `joined` points are drawn as one line, `stepped` ones as a line of steps, from edge to edge. `colour` is the number
    of its colour and its mark; None for its place among the series. Points that are `rows` of a table, by their numbers
    from 1, have no order and no bars: dots.
    """

    label: str
    low: Floats
    middle: Floats
    high: Floats
    y: Floats
    y_low: Floats
    y_high: Floats
    joined: bool = False
    stepped: bool = False
    colour: int | None = None
    rows: Floats | None = None

    def part(self, low: float, high: float) -> ChartSeries:
        """Return the points with a y of which some lies between two x."""
        keep = (self.high >= low) & (self.low <= high) & np.isfinite(self.y)
        return replace(
            self, low=self.low[keep], middle=self.middle[keep], high=self.high[keep],
            y=self.y[keep], y_low=self.y_low[keep], y_high=self.y_high[keep],
            rows=None if self.rows is None else self.rows[keep],
        )  # fmt: skip


@dataclass(frozen=True)
class Band:
    """Where the x axis has no points, and why: one of the causes of a light curve's gaps, '' for any other."""

    low: float
    high: float
    cause: str = ""


@dataclass(frozen=True)
class Cut:
    """A line across the plot, and what it is."""

    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A plot: its words, its points, its axes. `x_range` is the whole of the x axis, without any room around it.

    `names` are those of the columns of x and y in a table; `mjd` is the MJD at x = 0, `day` the length of a day in x.
    `residuals` are points of a second plot below the first, over the same x axis, with `residual_label` at its own y
    axis; none for most charts. The y axis of counts begins at 0: `from_zero`.
    """

    kind: str
    title: str
    x_label: str
    y_label: str
    series: tuple[ChartSeries, ...]
    summary: str
    x_range: tuple[float, float]
    x_scale: str
    y_scale: str
    names: tuple[str, str]
    bands: tuple[Band, ...] = ()
    cut: Cut | None = None
    mjd: float | None = None
    day: float = 0.0
    residuals: tuple[ChartSeries, ...] = ()
    residual_label: str = ""
    from_zero: bool = False

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to draw."""
        return not any(np.isfinite(points.y).any() for points in self.series)

    def axes(self, extent: Extent, box: tuple[float, float, float, float]) -> tuple[Axis, Axis]:
        """Return the axes of the part to show in a box: left, right, top, bottom. Raise NoPreview for none."""
        left, right, top, bottom = box
        x_scale, y_scale = extent.x_scale or self.x_scale, extent.y_scale or self.y_scale
        x = (Log if x_scale == "log" else Linear)(*self._x_ends(extent, x_scale), left, right)
        shown = [points.part(x.low, x.high) for points in self.series]
        y = (Log if y_scale == "log" else Linear)(*self._y_ends(extent, y_scale, shown), bottom, top)
        return x, y

    def residual_axis(self, x: Axis, top: float, bottom: float) -> Axis:
        """Return the y axis of the residuals that lie on an x axis: as far below 0 as above, 3 at least."""
        shown = [points.part(x.low, x.high) for points in self.residuals]
        ends = [np.fmax(np.abs(points.y_low), np.abs(points.y_high)) for points in shown if points.y.size]
        most = max([3.0, *(float(np.nanmax(np.fmax(end, 0.0))) for end in ends)])
        return Linear(-1.05 * most, 1.05 * most, bottom, top)

    def shown(self, x: Axis) -> Iterator[ChartSeries]:
        """Yield the points on an x axis, of each series those that a picture can tell apart."""
        for points in self.series:
            yield points.part(x.low, x.high)

    def _x_ends(self, extent: Extent, scale: str) -> tuple[float, float]:
        low, high = self.x_range
        if scale == "log":
            if low <= 0:
                above = np.concatenate([points.high[points.high > 0] for points in self.series])
                low = float(above.min()) / 2 if above.size else 1.0
            low, high = low / 1.04, max(high, low) * 1.04
        elif self.names[0] != "phase":
            room = 0.01 * (high - low) or _room_of_one(high)
            low, high = low - room, high + room
        return _ordered("x", extent.x_low, extent.x_high, low, high, scale)

    def _y_ends(self, extent: Extent, scale: str, shown: list[ChartSeries]) -> tuple[float, float]:
        """Return the ends of the y axis: of the points that are shown, where nothing else was asked for."""
        y = np.concatenate([points.y for points in shown]) if shown else np.empty(0)
        tops = np.concatenate([np.fmax(points.y, points.y_high) for points in shown]) if shown else y
        bottoms = np.concatenate([np.fmin(points.y, points.y_low) for points in shown]) if shown else y
        if scale == "log":
            above = y[y > 0]
            low, high = (above.min() / 2, tops[y > 0].max()) if above.size else (0.1, 1.0)
            low, high = low / _ROOM["log"], max(high, self._cut_y()) * _ROOM["log"]
        else:
            low, high = (bottoms.min(), max(tops.max(), self._cut_y())) if y.size else (0.0, 1.0)
            low = 0.0 if low >= 0 and (self.from_zero or low < 0.6 * high) else low
            room = _ROOM["linear"] * (high - low) or _room_of_one(high)
            low, high = low - room if low else low, high + room
        return _ordered("y", extent.y_low, extent.y_high, float(low), float(high), scale)

    def _cut_y(self) -> float:
        return self.cut.y if self.cut else -np.inf


def _room_of_one(value: float) -> float:
    """Return how far an axis reaches to each side of the only value on it."""
    return 0.01 * abs(value) or 1.0


def _ordered(
    axis: str, low: float | None, high: float | None, usual_low: float, usual_high: float, scale: str
) -> tuple[float, float]:
    """Return the ends of an axis; where one was chosen the other moves out of its way. Raise NoPreview for none."""
    begin, end = usual_low if low is None else low, usual_high if high is None else high
    if begin >= end and low is None:
        begin = end / 10 if scale == "log" else end - abs(end or 1.0)
    elif begin >= end:
        end = begin * 10 if scale == "log" else begin + abs(begin or 1.0)
    if scale == "log" and begin <= 0:
        raise NoPreview(f"a logarithmic {axis} axis begins above 0, not at {begin:g}")
    if not end - begin > max(1e-9 * max(abs(begin), abs(end)), _LEAST_RANGE):
        raise NoPreview(f"the {axis} axis from {begin:g} to {end:g} is too short")
    if not end - begin < _MOST_RANGE or (scale == "log" and not end / begin < _MOST_RANGE):
        raise NoPreview(f"the {axis} axis from {begin:g} to {end:g} is too long")
    return begin, end
