"""Draws a light curve as SVG: bins with their errors against time, gaps as bands by cause. Imports the curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from uws_server.previews import svg
from uws_server.previews.axes import Linear
from uws_server.previews.curve import Curve, CurveSeries
from uws_server.previews.svg import HEIGHT, THUMB_HEIGHT, THUMB_WIDTH, WIDTH

_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 18, 34, 58
_COLOURS = {"CCD OFF": "gap gap1", "USER GTI": "gap gap2", "TELEMETRY": "gap gap3"}
"""The classes of the bands by cause; any other is grey."""

_WORDS = {"GTI": "no good time", "CCD OFF": "CCD off", "USER GTI": "cut by your GTI", "TELEMETRY": "telemetry lost"}
"""What the causes of our light curves mean; a gap without a cause, or with another, has no data."""

_LEAST_GAP = 5e-4
"""Part of the length below which a gap is not drawn."""

_UNITS = ((2e4, 1.0, "s"), (4e5, 1e3, "ks"), (float("inf"), 86400.0, "d"))
_STYLE = """
.gap{fill:#e9edf0}.gap1{fill:#dbe6f0}.gap2{fill:#f5e3d3}.gap3{fill:#e6dff0}
.c{fill:none;stroke-width:1.3}.dots{stroke:none}
.b0{stroke:#0b6b8c}.b1{stroke:#a8642a}.b2{stroke:#6a4c93}.b3{stroke:#3d7a3a}
.cut{fill:none;stroke:#b3261e;stroke-width:1.6;stroke-dasharray:7 4}
.d0{fill:#0b6b8c}.d1{fill:#a8642a}.d2{fill:#6a4c93}.d3{fill:#3d7a3a}
@media (prefers-color-scheme:dark){.gap{fill:#242f36}.gap1{fill:#1f3445}.gap2{fill:#43311f}
.gap3{fill:#352c45}.cut{stroke:#f2918a}
.b0{stroke:#66c2e0}.b1{stroke:#e0a067}.b2{stroke:#b79fe0}
.b3{stroke:#8fce86}.d0{fill:#66c2e0}.d1{fill:#e0a067}.d2{fill:#b79fe0}.d3{fill:#8fce86}}
"""


@dataclass(frozen=True)
class _Frame:
    """The axes: time in a unit, and rates."""

    x: Linear
    y: Linear
    unit_s: float
    unit: str


def draw(curve: Curve) -> str:
    """Draw the whole plot: frame, ticks, names of the axes, gaps, bins with their errors, key."""
    frame = _frame(curve, _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM)
    bottom = HEIGHT - _BOTTOM
    parts = [
        *_gaps(curve, frame, _TOP, bottom),
        *_x_ticks(frame.x, bottom),
        *_y_ticks(frame.y),
        *(_bins(curve, series, number, frame, 1.9) for number, series in enumerate(curve.series)),
        *_cut(curve, frame, _LEFT, WIDTH - _RIGHT),
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{WIDTH - _RIGHT - _LEFT}" height="{bottom - _TOP}"/>',
        f'<text x="{(WIDTH + _LEFT - _RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(_x_label(curve, frame))}</text>",
        f'<text transform="translate(20 {(bottom + _TOP) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(curve.y_label)}</text>",
        *_key(curve),
    ]
    return svg.document(WIDTH, HEIGHT, f"{curve.kind} {curve.title}", _description(curve), parts, _STYLE)


def draw_thumbnail(curve: Curve) -> str:
    """Draw the bins alone, small."""
    frame = _frame(curve, 4, THUMB_WIDTH - 4, 4, THUMB_HEIGHT - 4)
    box = f'<rect class="frame" x=".5" y=".5" width="{THUMB_WIDTH - 1}" height="{THUMB_HEIGHT - 1}"/>'
    bins = (_bins(curve, series, number, frame, 0) for number, series in enumerate(curve.series))
    cut = _cut(curve, frame, 1, THUMB_WIDTH - 1)
    parts = [*_gaps(curve, frame, 1, THUMB_HEIGHT - 1), *bins, *cut, box]
    return svg.document(THUMB_WIDTH, THUMB_HEIGHT, f"{curve.kind} {curve.title}", _description(curve), parts, _STYLE)


def _x_label(curve: Curve, frame: _Frame) -> str:
    if curve.along == "time":
        return f"Time ({frame.unit}) from {curve.start}"
    return f"Phase, {curve.start}" if curve.along == "phase" else f"Frequency (Hz), {curve.start}"


def _description(curve: Curve) -> str:
    notes = "; ".join(curve.notes)
    return f"{curve.summary()}{f' {notes[:1].upper()}{notes[1:]}.' if notes else ''}"


def _frame(curve: Curve, left: float, right: float, top: float, bottom: float) -> _Frame:
    low, high = np.inf, -np.inf
    for series in curve.series:
        error = np.zeros_like(series.rate) if series.error is None else np.nan_to_num(series.error)
        low, high = min(low, float(np.nanmin(series.rate - error))), max(high, float(np.nanmax(series.rate + error)))
    if curve.cut:
        high = max(high, curve.cut.rate)
    low = 0.0 if 0 <= low < 0.6 * high else low
    room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    unit_s, unit = next((unit_s, unit) for most, unit_s, unit in _UNITS if curve.length_s < most)
    if curve.along != "time":
        unit_s, unit = 1.0, ""
    begin = float(curve.time_s[0] - curve.widths_s[0] / 2)
    ends = (begin - 0.01 * curve.length_s) / unit_s, (begin + 1.01 * curve.length_s) / unit_s
    if curve.along == "phase":
        ends = 0.0, 2.0
    rates = Linear(low - room if low else low, high + room, bottom, top)
    return _Frame(Linear(*ends, left, right), rates, unit_s, unit)


def _gaps(curve: Curve, frame: _Frame, top: float, bottom: float) -> Iterator[str]:
    """Draw a band where there is no bin."""
    for gap in (gap for gap in curve.gaps if gap.stop_s - gap.start_s > _LEAST_GAP * curve.length_s):
        left, right = frame.x.at(gap.start_s / frame.unit_s), frame.x.at(gap.stop_s / frame.unit_s)
        yield (f'<rect class="{_COLOURS.get(gap.cause, "gap")}" x="{left:.1f}" y="{top}" '
               f'width="{max(right - left, 1):.1f}" height="{bottom - top}"/>')  # fmt: skip


def _cut(curve: Curve, frame: _Frame, left: float, right: float) -> Iterator[str]:
    """Draw a line at the rate above which time is no good."""
    if curve.cut:
        yield f'<path class="cut" d="M{left} {frame.y.at(curve.cut.rate):.1f}H{right}"/>'


def _x_ticks(axis: Linear, bottom: float) -> Iterator[str]:
    for value, text in axis.ticks(7):
        at = f"{axis.at(value):.1f}"
        yield f'<path class="grid" d="M{at} {_TOP}V{bottom}"/><path class="minor" d="M{at} {bottom}v6"/>'
        yield f'<text x="{at}" y="{bottom + 21}" text-anchor="middle">{text}</text>'


def _y_ticks(axis: Linear) -> Iterator[str]:
    for value, text in axis.ticks(6):
        at = axis.at(value)
        yield f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>'
        yield f'<path class="minor" d="M{_LEFT} {at:.1f}h-6"/>'
        yield f'<text x="{_LEFT - 11}" y="{at + 4.5:.1f}" text-anchor="end">{text}</text>'


def _bins(curve: Curve, series: CurveSeries, number: int, frame: _Frame, radius: float) -> str:
    """Draw each bin: its width, its error, and a dot where there are few enough to tell them apart."""
    lines, dots = [], []
    errors = np.full(series.rate.size, np.nan) if series.error is None else series.error
    halves = (curve.widths_s / 2).tolist()
    times, rates = curve.time_s.tolist(), series.rate.tolist()
    for time, half, rate, error in zip(times, halves, rates, errors.tolist(), strict=True):
        if not np.isfinite(rate):
            continue
        left, right = frame.x.at((time - half) / frame.unit_s), frame.x.at((time + half) / frame.unit_s)
        at, middle = frame.y.at(rate), frame.x.at(time / frame.unit_s)
        lines.append(f"M{left:.1f} {at:.1f}H{max(right, left + 0.8):.1f}")
        if np.isfinite(error):
            lines.append(f"M{middle:.1f} {frame.y.at(rate - error):.1f}V{frame.y.at(rate + error):.1f}")
        dots.append(f'<circle cx="{middle:.1f}" cy="{at:.1f}" r="{radius}"/>')
    marked = "".join(dots) if radius and len(dots) <= 400 else ""
    opacity = ".65" if marked else "1"
    return (f'<path class="c b{number}" stroke-opacity="{opacity}" d="{"".join(lines)}"/>'
            f'<g class="dots d{number}">{marked}</g>')  # fmt: skip


def _key(curve: Curve) -> Iterator[str]:
    """Draw the names of the bands, and what a band of grey and a broken line are."""
    at, right = _TOP - 16, WIDTH - _RIGHT
    for number, series in reversed(list(enumerate(curve.series))):
        if series.label:
            yield f'<circle class="d{number}" cx="{right - 4}" cy="{at}" r="3.5"/>'
            yield f'<text x="{right - 13}" y="{at + 4.5}" text-anchor="end">{escape(series.label)}</text>'
            right -= 90
    for cause in sorted({gap.cause if gap.cause in _WORDS else "" for gap in curve.gaps}, reverse=True):
        words = _WORDS.get(cause, "no data")
        yield f'<rect class="{_COLOURS.get(cause, "gap")}" x="{right - 16}" y="{at - 7}" width="14" height="14"/>'
        yield f'<text x="{right - 23}" y="{at + 4.5}" text-anchor="end">{words}</text>'
        right -= 45 + 7 * len(words)
    if curve.cut:
        yield f'<path class="cut" d="M{right - 26} {at}h24"/>'
        yield f'<text x="{right - 33}" y="{at + 4.5}" text-anchor="end">cut at {curve.cut.rate:.4g}</text>'
