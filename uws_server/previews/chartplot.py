"""Draws a chart as SVG, and tells a page what lies where in the drawing. Imports the chart.

Bars are drawn as long as their errors, gaps as bands by their cause, each series in a colour and a mark of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np

from uws_server.previews import dots, svg
from uws_server.previews.axes import Axis, Log
from uws_server.previews.chart import Chart, ChartSeries, Floats
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.svg import HEIGHT, THUMB_HEIGHT, THUMB_WIDTH, WIDTH

_LEFT, _RIGHT, _TOP, _BOTTOM, _LINE = 84, 18, 34, 58, 19
_NARROW, _NARROW_HEIGHT, _NARROW_LEFT = 400, 330, 66
_BETWEEN, _BELOW = 10, 118
"""The space above the plot of the residuals, and its height."""

MOST_MARKS: Final = 400
"""Points of a series above which they have no marks: their bars touch."""

COLOURS: Final = ("#0b6b8c", "#a8642a", "#6a4c93", "#3d7a3a", "#b3261e", "#4a5a64", "#8a6d00", "#a33c78")
_AT_NIGHT: Final = ("#66c2e0", "#e0a067", "#b79fe0", "#8fce86", "#f2918a", "#b4c1c9", "#d9bd52", "#e59ac5")
_GAPS: Final = {"CCD OFF": "gap gap1", "USER GTI": "gap gap2", "TELEMETRY": "gap gap3"}
"""The classes of the bands by cause; any other is grey."""

_CAUSES: Final = {
    "GTI": "no good time",
    "CCD OFF": "CCD off",
    "USER GTI": "cut by your GTI",
    "TELEMETRY": "telemetry lost",
}
"""What the causes of our light curves mean; a gap without a cause, or with another, has no data."""

_LEAST_GAP: Final = 5e-4
"""Part of the axis below which a gap is not drawn."""

_LETTER: Final = 6.6
"""Width of a letter of the key, about."""

_CAPITAL: Final = 10.0
"""The same of a capital."""

_DIGIT: Final = 7.6
"""Width of a digit of a tick, about."""
_LEAST_BESIDE: Final = 36
"""Pixels left of the numbers of the y axis, for its name, and between them and the axis."""

_KEY_WIDTHS: Final = {"s": 18, "l": 25}
"""Widths in the key of a mark, and of a line."""


def _colour_rules(colours: tuple[str, ...]) -> str:
    """Return the rules of the colours of the series: marks are filled in the first, the third and so on."""
    return "".join(f".s{i}{{stroke:{colour};fill:{'none' if i % 2 else colour}}}" for i, colour in enumerate(colours))


_STYLE = (
    ".dots{fill:none;stroke-width:3;stroke-linecap:round;stroke-opacity:.6}.gap{fill:#e9edf0}.gap1{fill:#dbe6f0}.gap2{fill:#f5e3d3}.gap3{fill:#e6dff0}.bars{fill:none;stroke-width:1.3}"
    f".cut{{fill:none;stroke:#b3261e;stroke-width:1.6;stroke-dasharray:7 4}}{_colour_rules(COLOURS)}"
    "@media (prefers-color-scheme:dark){.gap{fill:#242f36}.gap1{fill:#1f3445}.gap2{fill:#43311f}.gap3{fill:#352c45}"
    f".cut{{stroke:#f2918a}}{_colour_rules(_AT_NIGHT)}}}.bars{{fill:none}}"
)


@dataclass(frozen=True)
class _Frame:
    """A chart in its drawing: the box of the plot, its axes, and the size of the whole.

    `below` is the y axis of the plot of the residuals; None where there is none.
    """

    chart: Chart
    x: Axis
    y: Axis
    width: int
    height: int
    below: Axis | None = None

    @classmethod
    def of(cls, chart: Chart, extent: Extent) -> _Frame:
        """Return the frame of a drawing, higher by what the key needs. Raise NoPreview."""
        width, high, left = (_NARROW, _NARROW_HEIGHT, _NARROW_LEFT) if extent.is_narrow else (WIDTH, HEIGHT, _LEFT)
        key = _key_rows(chart, width - left - _RIGHT)
        height = high + _LINE * max(len(key) - 1, 0)
        bottom = height - _BOTTOM
        top = _TOP + height - high
        x, y = chart.axes(extent, (left, width - _RIGHT, top, bottom))
        if (wide := _tick_width(y)) > left - _LEAST_BESIDE:  # long numbers get the room that they need
            x, y = chart.axes(extent, (wide + _LEAST_BESIDE, width - _RIGHT, top, bottom))
        if not chart.residuals:
            return cls(chart, x, y, width, height)
        top = bottom + _BETWEEN
        return cls(chart, x, y, width, height + _BETWEEN + _BELOW, chart.residual_axis(x, top, top + _BELOW))

    @property
    def top(self) -> float:
        """The upper edge of the plot."""
        return self.y.end

    @property
    def bottom(self) -> float:
        """The lower edge of the plot."""
        return self.y.start

    @property
    def foot(self) -> float:
        """The lower edge of the lowest plot, below which the x axis is told."""
        return self.below.start if self.below else self.bottom


def draw(chart: Chart, extent: Extent = WHOLE) -> str:
    """Draw a part of a chart: frame, ticks, names of the axes, gaps, points with their errors, key."""
    if chart.empty:
        return svg.say(f"No preview: {chart.summary}")
    frame = _Frame.of(chart, extent)
    left, across, up = frame.x.start, frame.x.end - frame.x.start, frame.bottom - frame.top
    parts = [
        *_gaps(frame),
        *_x_ticks(frame),
        *_y_ticks(frame),
        *(_points(series, number, frame, 2.2) for number, series in enumerate(chart.shown(frame.x))),
        *_cut(frame),
        f'<rect class="frame" x="{left:g}" y="{frame.top:g}" width="{across:g}" height="{up:g}"/>',
        f'<text x="{left + across / 2:g}" y="{frame.height - 12}" text-anchor="middle">'
        f"{escape(_fitting(chart.x_label, frame.width))}</text>",
        f'<text transform="translate({_name_at(frame)} {(frame.bottom + frame.top) / 2:g}) rotate(-90)" '
        'text-anchor="middle">'
        f"{escape(chart.y_label)}</text>",
        *_key(frame),
        *_residuals(frame),
    ]
    return svg.document(frame.width, frame.height, f"{chart.kind} {chart.title}", chart.summary, parts, _STYLE)


def _name_at(frame: _Frame) -> int:
    """Return where the name of a y axis stands."""
    return 20 if frame.width == WIDTH else 14


def _tick_width(axis: Axis) -> float:
    """Return how wide the numbers along an axis are, about."""
    return max((_DIGIT * len(tick.text) for tick in axis.marks(6)), default=0.0)


def _fitting(text: str, width: float) -> str:
    """Return the name of an axis without its last clauses where it is too long."""
    while _LETTER * len(text) > width and re.search("[,;] ", text):
        text = re.split("[,;] (?!.*[,;] )", text)[0]
    return text


def draw_thumbnail(chart: Chart) -> str:
    """Draw the points alone, small."""
    if chart.empty:
        return svg.say("no counts", THUMB_WIDTH, THUMB_HEIGHT)
    x, y = chart.axes(WHOLE, (4, THUMB_WIDTH - 4, 4, THUMB_HEIGHT - 4))
    frame = _Frame(chart, x, y, THUMB_WIDTH, THUMB_HEIGHT)
    box = f'<rect class="frame" x=".5" y=".5" width="{THUMB_WIDTH - 1}" height="{THUMB_HEIGHT - 1}"/>'
    points = (_points(series, number, frame, 0) for number, series in enumerate(chart.series))
    parts = [*_gaps(frame), *points, *_cut(frame), box]
    return svg.document(THUMB_WIDTH, THUMB_HEIGHT, f"{chart.kind} {chart.title}", chart.summary, parts, _STYLE)


def describe(chart: Chart, extent: Extent = WHOLE) -> dict[str, Any]:
    """Return what a page needs to tell what lies under the pointer: where the plot is, its axes and its points."""
    series = {"title": chart.title, "x": chart.x_label, "y": chart.y_label}
    if chart.empty:
        return {**series, "series": [_numbers(points) for points in chart.series]}
    frame = _Frame.of(chart, extent)
    return {
        **series,
        "drawing": [frame.width, frame.height],
        "box": [frame.x.start, frame.top, frame.x.end - frame.x.start, frame.bottom - frame.top],
        "axes": [{"low": axis.low, "high": axis.high, "log": isinstance(axis, Log)} for axis in (frame.x, frame.y)],
        "series": [_described(points.part(frame.x.low, frame.x.high), frame)
                   for points in (*chart.series, *chart.residuals)],
    }


def _described(points: ChartSeries, frame: _Frame) -> dict[str, Any]:
    """Return the numbers of the points of a series; of rows of a table those that the drawing tells apart."""
    if points.rows is None:
        return _numbers(points)
    told = [which for which, _, _ in dots.places(points, frame.x, frame.y)]
    columns = {"middle": points.middle, "rate": points.y}
    found = {name: [float(f"{value:.7g}") for value in values[told].tolist()] for name, values in columns.items()}
    return {"label": points.label, **found, "rows": [int(row) for row in points.rows[told]]}


def _numbers(points: ChartSeries) -> dict[str, Any]:
    """Return the points of a series, seven digits of each number, None where there is none."""

    def listed(values: Floats) -> list[float | None]:
        return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]

    return {
        "label": points.label,
        "middle": listed(points.middle),
        "low": listed(points.low),
        "high": listed(points.high),
        "rate": listed(points.y),
        "rateLow": listed(points.y_low),
        "rateHigh": listed(points.y_high),
    }


def _gaps(frame: _Frame) -> Iterator[str]:
    """Draw a band where there is no point."""
    least, top = _LEAST_GAP * (frame.x.high - frame.x.low), frame.top
    for band in frame.chart.bands:
        if band.high - band.low > least and band.low < frame.x.high and band.high > frame.x.low:
            left, right = frame.x.at(band.low), frame.x.at(band.high)
            yield (f'<rect class="{_GAPS.get(band.cause, "gap")}" x="{left:.1f}" y="{top:g}" '
                   f'width="{max(right - left, 1):.1f}" height="{frame.bottom - top:g}"/>')  # fmt: skip


def _cut(frame: _Frame) -> Iterator[str]:
    """Draw a line at the rate above which time is no good."""
    cut = frame.chart.cut
    if cut and frame.y.low < cut.y < frame.y.high:
        yield f'<path class="cut" d="M{frame.x.start:g} {frame.y.at(cut.y):.1f}H{frame.x.end:g}"/>'


def _x_ticks(frame: _Frame) -> Iterator[str]:
    for tick in frame.x.marks(7 if frame.width == WIDTH else 4):
        at = f"{frame.x.at(tick.value):.1f}"
        if tick.grid:
            yield f'<path class="grid" d="M{at} {frame.top:g}V{frame.foot:g}"/>'
        yield f'<path class="minor" d="M{at} {frame.foot:g}v{6 if tick.grid else 4}"/>'
        if tick.text:
            middle = min(frame.x.at(tick.value), frame.width - 1 - _DIGIT * len(tick.text) / 2)  # no digit is cut off
            yield f'<text x="{middle:.1f}" y="{frame.foot + 21:g}" text-anchor="middle">{tick.text}</text>'


def _y_ticks(frame: _Frame) -> Iterator[str]:
    for tick in frame.y.marks(6):
        at = frame.y.at(tick.value)
        if tick.grid:
            yield f'<path class="grid" d="M{frame.x.start:g} {at:.1f}H{frame.x.end:g}"/>'
        yield f'<path class="minor" d="M{frame.x.start:g} {at:.1f}h-{6 if tick.grid else 4}"/>'
        if tick.text:
            yield f'<text x="{frame.x.start - 11:g}" y="{at + 4.5:.1f}" text-anchor="end">{tick.text}</text>'


def _residuals(frame: _Frame) -> Iterator[str]:
    """Draw the plot of the residuals: its frame, a line at 0, the points, and what its y axis is."""
    if frame.below is None:
        return
    axis, left, right = frame.below, frame.x.start, frame.x.end
    yield f'<rect class="frame" x="{left:g}" y="{axis.end:g}" width="{right - left:g}" height="{_BELOW}"/>'
    yield f'<path class="minor" d="M{left:g} {axis.at(0):.1f}H{right:g}"/>'
    for tick in axis.marks(6):
        yield f'<path class="minor" d="M{left:g} {axis.at(tick.value):.1f}h-6"/>'
        yield (f'<text x="{left - 11:g}" y="{axis.at(tick.value) + 4.5:.1f}" text-anchor="end">{tick.text}</text>')
    at = _name_at(frame)
    yield (f'<text transform="translate({at} {(axis.start + axis.end) / 2:g}) rotate(-90)" text-anchor="middle">'
           f"{escape(frame.chart.residual_label)}</text>")  # fmt: skip
    below = replace(frame, y=axis)
    for number, points in enumerate(frame.chart.residuals):
        yield _points(points.part(frame.x.low, frame.x.high), number, below, 1.8)


def _colour(series: ChartSeries, number: int) -> int:
    return number if series.colour is None else series.colour


def _points(series: ChartSeries, number: int, frame: _Frame, radius: float) -> str:
    """Draw cross-shaped bars and a mark for each point: a dot for the first series, an open square for the second."""
    number = _colour(series, number)
    kind = f"s{number % len(COLOURS)}"
    if series.joined or series.stepped:
        line = _steps(series, frame) if series.stepped else _line(series, frame)
        return f'<g class="{kind}"><path class="bars" d="{line}"/></g>'
    if series.rows is not None:
        return f'<g class="{kind}">{dots.draw(series, frame.x, frame.y, radius)}</g>'
    bars, marks = [], []
    marked = radius > 0 and len(series.y) <= MOST_MARKS
    columns = (series.low, series.middle, series.high, series.y, series.y_low, series.y_high)
    for low, middle, high, y, below, above in zip(*(column.tolist() for column in columns), strict=True):
        at_x, at_y, inside = frame.x.at(middle), frame.y.at(y), frame.y.low <= y <= frame.y.high
        if inside:
            left = frame.x.at(low)
            bars.append(f"M{left:.1f} {at_y:.1f}H{max(frame.x.at(high), left + 0.8):.1f}")
        if not frame.x.low <= middle <= frame.x.high:
            continue
        if below < frame.y.high and above > frame.y.low:
            bars.append(f"M{at_x:.1f} {frame.y.at(below):.1f}V{frame.y.at(above):.1f}")
        if marked and inside:
            marks.append(_mark(at_x, at_y, number, radius))
    opacity = ' stroke-opacity=".65"' if marked else ""
    return f'<g class="{kind}"><path class="bars"{opacity} d="{"".join(bars)}"/>{"".join(marks)}</g>'


def _line(series: ChartSeries, frame: _Frame) -> str:
    """Return a line through the points; outside of the plot it runs along its edge."""
    places = zip(series.middle.tolist(), series.y.tolist(), strict=True)
    return "M" + "L".join(f"{frame.x.at(x):.1f} {frame.y.at(y):.1f}" for x, y in places) if series.y.size else ""


def _steps(series: ChartSeries, frame: _Frame) -> str:
    """Return a line of steps, broken where a bin does not begin at the end of the one before."""
    parts, end = [], float("nan")
    for low, high, y in zip(series.low.tolist(), series.high.tolist(), series.y.tolist(), strict=True):
        at = f"{frame.y.at(y):.1f}"
        parts.append(f"V{at}" if math.isclose(low, end, rel_tol=1e-6) else f"M{frame.x.at(low):.1f} {at}")
        parts.append(f"H{frame.x.at(high):.1f}")
        end = high
    return "".join(parts)


def _mark(x: float, y: float, number: int, radius: float) -> str:
    """Return the mark of a series: dots and squares in turn, then diamonds and triangles."""
    side = 2 * radius
    if number % 4 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
    if number % 4 == 1:
        return f'<path d="M{x - radius:.1f} {y - radius:.1f}h{side}v{side}h-{side}z"/>'
    if number % 4 == 2:
        half = f"{side * 0.7:.2f}"
        return f'<path d="M{x:.1f} {y - side * 0.7:.1f}l{radius} {half}l-{radius} {half}l-{radius} -{half}z"/>'
    return f'<path d="M{x:.1f} {y - radius:.1f}l{radius} {side}h-{side}z"/>'


def _key_rows(chart: Chart, most: float) -> list[list[tuple[str, str]]]:
    """Return the rows of the key: kind and text of each entry, from the right; a long label gets a row of its own."""
    labelled = [(number, series) for number, series in enumerate(chart.series) if series.label]
    entries = [(f"{'l' if series.stepped else 's'}{_colour(series, number)}", series.label)
               for number, series in labelled]  # fmt: skip
    entries = entries if len(entries) > 1 or len(chart.series) > 1 else []
    rows: list[list[tuple[str, str]]] = [[]]
    causes = sorted({band.cause if band.cause in _CAUSES else "" for band in chart.bands})
    others = [(_GAPS.get(cause, "gap"), _CAUSES.get(cause, "no data")) for cause in causes]
    others += [("cut", chart.cut.label)] if chart.cut else []
    for entry in [*entries, *others]:
        width = sum(_entry_width(text) for _, text in [*rows[-1], entry])
        if width > most and rows[-1]:
            rows.append([])
        rows[-1].append(entry)
    return [row for row in rows if row]


def _entry_width(text: str) -> float:
    return 46 + sum(_CAPITAL if letter.isupper() else _LETTER for letter in text)


def _key(frame: _Frame) -> Iterator[str]:
    """Draw the names of the series, and what a band of grey and a broken line are."""
    for number, row in enumerate(_key_rows(frame.chart, frame.x.end - frame.x.start)):
        at, right = _TOP - 16 + _LINE * number, frame.x.end
        for kind, text in reversed(row):
            if kind.startswith("s"):
                which = int(kind[1:])
                yield f'<g class="s{which % len(COLOURS)}">{_mark(right - 8, at, which, 3)}</g>'
            elif kind.startswith("l"):
                line = f'<path class="bars" d="M{right - 20:.1f} {at}h18"/>'
                yield f'<g class="s{int(kind[1:]) % len(COLOURS)}">{line}</g>'
            elif kind == "cut":
                yield f'<path class="cut" d="M{right - 26:.1f} {at}h24"/>'
            else:
                yield f'<rect class="{kind}" x="{right - 16:.1f}" y="{at - 7}" width="14" height="14"/>'
            before = right - (33 if kind == "cut" else _KEY_WIDTHS.get(kind[0], 23))
            yield f'<text x="{before:.1f}" y="{at + 4.5}" text-anchor="end">{escape(text)}</text>'
            right -= _entry_width(text)
