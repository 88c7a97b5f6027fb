"""Draws a plot of a spectrum as SVG, for pages without JavaScript and for thumbnails. Imports the plot.

The drawing has a title and a description, follows the reader's light or dark colours, and holds no script.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from uws_server.previews.plot import Plot, Series

WIDTH, HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 18, 34, 58
THUMB_WIDTH, THUMB_HEIGHT = 144, 84

_STYLE = """
.paper{fill:#fff}
text{font:13px system-ui,sans-serif;fill:#46525b}
.frame{fill:none;stroke:#9aa6ae}.grid{stroke:#e4e8eb}.minor{stroke:#9aa6ae}
.s0{stroke:#0b6b8c;fill:#0b6b8c}.s1{stroke:#a8642a;fill:none}
@media (prefers-color-scheme:dark){.paper{fill:#171f24}text{fill:#aab6be}
.frame,.minor{stroke:#56636c}.grid{stroke:#29333a}
.s0{stroke:#66c2e0;fill:#66c2e0}.s1{stroke:#e0a067}}
"""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from `low` to `high`, drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value; values outside land on the ends."""
        value = min(max(value, self.low), self.high)
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[tuple[float, bool]]:
        """Return the 1, 2, ... 9 of every decade that lie on the axis, each with whether it begins a decade."""
        for decade in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            for digit in range(1, 10):
                value = digit * 10.0**decade
                if self.low <= value <= self.high:
                    yield value, digit == 1

    def labelled(self) -> set[float]:
        """Return the ticks that carry a number: decades, and where there are few also 2 and 5, else all."""
        ticks = [value for value, _ in self.ticks()]
        decades = {value for value, major in self.ticks() if major}
        if len(decades) > 3:
            return decades
        chosen = {value for value in ticks if round(value / 10 ** math.floor(math.log10(value) + 1e-9)) in (1, 2, 5)}
        return chosen if len(chosen) > 1 else set(ticks)


def draw(plot: Plot) -> str:
    """Draw the whole plot: frame, ticks, numbers, names of the axes, points with error bars, key."""
    if plot.empty:
        return say(f"No preview: {plot.summary()}")
    x, y = _axes(plot, _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM)
    parts = [
        *_x_ticks(x),
        *_y_ticks(y),
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{WIDTH - _RIGHT - _LEFT}" '
        f'height="{HEIGHT - _BOTTOM - _TOP}"/>',
        f'<text x="{(WIDTH + _LEFT - _RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(plot.x_label)}</text>",
        f'<text transform="translate(20 {(HEIGHT - _BOTTOM + _TOP) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(plot.y_label)}</text>",
        *(_points(series, number, x, y, 2.2) for number, series in enumerate(plot.series)),
        *_key(plot),
    ]
    return document(WIDTH, HEIGHT, f"Spectrum {plot.title}", plot.summary(), parts)


def draw_thumbnail(plot: Plot) -> str:
    """Draw the points alone, small."""
    if plot.empty:
        return say("no counts", THUMB_WIDTH, THUMB_HEIGHT)
    x, y = _axes(plot, 4, THUMB_WIDTH - 4, 4, THUMB_HEIGHT - 4)
    frame = f'<rect class="frame" x=".5" y=".5" width="{THUMB_WIDTH - 1}" height="{THUMB_HEIGHT - 1}"/>'
    parts = [frame, *(_points(series, number, x, y, 1) for number, series in enumerate(plot.series))]
    return document(THUMB_WIDTH, THUMB_HEIGHT, f"Spectrum {plot.title}", plot.summary(), parts)


def say(sentence: str, width: int = WIDTH, height: int = 60) -> str:
    """Draw a sentence, for a file that has no picture."""
    text = f'<text x="8" y="{height / 2 + 4}">{escape(sentence[:110])}</text>'
    return document(width, height, "No preview", sentence, [text])


def _axes(plot: Plot, left: float, right: float, top: float, bottom: float) -> tuple[_Axis, _Axis]:
    (x_low, x_high), (y_low, y_high) = plot.x_range(), plot.y_range()
    return _Axis(x_low / 1.04, x_high * 1.04, left, right), _Axis(y_low / 1.1, y_high * 1.1, bottom, top)


def _x_ticks(axis: _Axis) -> Iterator[str]:
    labelled = axis.labelled()
    bottom = HEIGHT - _BOTTOM
    for value, major in axis.ticks():
        at = f"{axis.at(value):.1f}"
        if major:
            yield f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>'
        yield f'<path class="minor" d="M{at} {bottom}v{6 if major else 4}"/>'
        if value in labelled:
            yield f'<text x="{at}" y="{bottom + 21}" text-anchor="middle">{value:g}</text>'


def _y_ticks(axis: _Axis) -> Iterator[str]:
    labelled = axis.labelled()
    for value, major in axis.ticks():
        at = axis.at(value)
        if major:
            yield f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>'
        yield f'<path class="minor" d="M{_LEFT} {at:.1f}h-{6 if major else 4}"/>'
        if value in labelled:
            yield f'<text x="{_LEFT - 11}" y="{at + 4.5:.1f}" text-anchor="end">{_power(value)}</text>'


def _power(value: float) -> str:
    """Write a number for the axis of rates: 0.001 to 1000 as they are, others as powers of ten."""
    if 0.00099 < value < 1001:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    digit = round(value / 10**exponent)
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if digit == 1 else f"{digit}·{power}"


def _points(series: Series, number: int, x: _Axis, y: _Axis, radius: float) -> str:
    """Draw cross-shaped bars and a mark for each point: a dot for the first series, an open square for the others."""
    bars, marks = [], []
    points = series.points
    for low, high, middle, rate, below, above in zip(
        points.low, points.high, points.middle, points.rate, points.rate_low, points.rate_high, strict=True
    ):
        at_x, at_y = x.at(middle), y.at(rate)
        bars.append(f"M{x.at(low):.1f} {at_y:.1f}H{x.at(high):.1f}")
        bars.append(f"M{at_x:.1f} {y.at(max(below, y.low)):.1f}V{y.at(above):.1f}")
        if number == 0:
            marks.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="{radius}"/>')
        else:
            side = 2 * radius
            marks.append(f'<path d="M{at_x - radius:.1f} {at_y - radius:.1f}h{side}v{side}h-{side}z"/>')
    marked = "".join(marks) if radius > 1 else ""
    return f'<g class="s{min(number, 1)}"><path stroke-opacity=".65" d="{"".join(bars)}"/>{marked}</g>'


def _key(plot: Plot) -> Iterator[str]:
    if len(plot.series) < 2:
        return
    at = _TOP - 16
    for number, series in enumerate(plot.series):
        right = WIDTH - _RIGHT - 6 - 160 * (len(plot.series) - 1 - number)
        yield f'<text x="{right - 10}" y="{at + 4.5}" text-anchor="end">{escape(series.label)}</text>'
        if number == 0:
            yield f'<circle class="s0" cx="{right}" cy="{at}" r="3"/>'
        else:
            yield f'<path class="s1" d="M{right - 3} {at - 3}h6v6h-6z"/>'


def document(width: int, height: int, title: str, description: str, parts: list[str], style: str = "") -> str:
    """Return a drawing with its title and its description, which say what it shows to who does not see it.

    Parameters
    ----------
    width, height
        Its size.
    title, description
        What it is, and what there is to see.
    parts
        Its elements.
    style
        Rules beside those of every drawing.

    Returns
    -------
    str
        The SVG document.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description"><title id="title">{escape(title)}</title>'
        f'<desc id="description">{escape(description)}</desc><style>{_STYLE}{style}</style>'
        f'<rect class="paper" width="{width}" height="{height}"/>{"".join(parts)}</svg>'
    )
