"""Plots as SVG, in colours that follow those of the page; may import numpy.

A plot is a frame with axes, and marks on it. The classes are in `STYLE`; every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 30, 46
_MOST_MARKS = 3000
"""Most points of a scatter: of more, every nth is drawn."""

STYLE = """\
.plot{background:var(--paper);max-width:100%;height:auto}
.plot text{fill:var(--ink);font:12px system-ui,sans-serif}
.plot .title{font-weight:600;font-size:13px}
.plot .frame{fill:none;stroke:var(--line)}
.plot .grid{stroke:var(--grid)}
.plot .points{fill:var(--blue);fill-opacity:.55}
.plot .bars{fill:var(--blue);fill-opacity:.45;stroke:var(--blue)}
.plot .errors{stroke:var(--blue);stroke-opacity:.5;fill:none}
.plot .line{stroke:var(--blue);fill:none;stroke-width:2}
.plot .model{stroke:var(--orange);fill:none;stroke-width:2}
.plot .truth{stroke:var(--orange);fill:none;stroke-dasharray:5 4;stroke-width:1.5}
"""


@dataclass(frozen=True)
class Axis:
    """An axis: its label, its range, and whether it is logarithmic."""

    label: str
    low: float
    high: float
    is_log: bool = False

    @staticmethod
    def around(label: str, *values: Floats, is_log: bool = False, margin: float = 0.05) -> Axis:
        """Return the axis that holds values, with a margin.

        Parameters
        ----------
        label
            Its label.
        *values
            Arrays; what is not finite, or on a logarithmic axis not above 0, is left out.
        is_log
            Whether it is logarithmic.
        margin
            Part of the range that is added at both ends.

        Returns
        -------
        Axis
            The axis.
        """
        every = np.concatenate([np.ravel(each) for each in values] or [np.zeros(0)])
        every = every[np.isfinite(every) & ((every > 0) | (not is_log))]
        low, high = (float(every.min()), float(every.max())) if len(every) else (0.1, 1.0)
        if is_log:
            reach = max(high / low, 1.1) ** margin
            return Axis(label, low / reach, high * reach, True)
        reach = margin * (high - low) or abs(high) * 0.1 or 1.0
        return Axis(label, low - reach, high + reach)

    def part(self, values: Floats) -> Floats:
        """Return where values lie, from 0 at the low end to 1 at the high one, shape (n,)."""
        if self.is_log:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))

    def ticks(self) -> list[float]:
        """Return round values along the axis."""
        if self.is_log and self.high / self.low >= 9:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            every = max(1, len(powers) // 6)
            return [10.0**power for power in list(powers)[::every]]
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= step)


@dataclass
class Plot:
    """A plot that is being drawn: title, axes, and the marks so far."""

    title: str
    x: Axis
    y: Axis
    _marks: list[str] = field(default_factory=list)

    def points(self, x: Floats, y: Floats) -> None:
        """Draw points, shape (n,) both."""
        every = max(1, math.ceil(len(x) / _MOST_MARKS))
        across, up, shown = self._placed(x[::every], y[::every])
        marks = (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>' for a, b in zip(across[shown], up[shown], strict=True))
        self._marks.append(f'<g class="points">{"".join(marks)}</g>')

    def errors(self, x: Floats, low: Floats, high: Floats) -> None:
        """Draw upright error bars.

        Parameters
        ----------
        x
            Where, shape (n,).
        low
            Their lower ends, shape (n,).
        high
            Their upper ends, shape (n,).
        """
        every = max(1, math.ceil(len(x) / _MOST_MARKS))
        across, bottom, shown = self._placed(x[::every], np.clip(low[::every], self.y.low, self.y.high))
        _, top, also = self._placed(x[::every], np.clip(high[::every], self.y.low, self.y.high))
        shown &= also
        paths = (f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(across[shown], bottom[shown], top[shown], strict=True))
        self._marks.append(f'<path class="errors" d="{"".join(paths)}"/>')

    def bars(self, edges: Floats, heights: Floats) -> None:
        """Draw a histogram: edges of shape (n + 1,), heights (n,)."""
        across = self._across(edges)
        up = self._up(np.minimum(heights, self.y.high))
        marks = (
            f'<rect x="{a:.1f}" y="{h:.1f}" width="{b - a:.1f}" height="{max(self._floor - h, 0):.1f}"/>'
            for a, b, h in zip(across, across[1:], up, strict=False)
        )
        self._marks.append(f'<g class="bars">{"".join(marks)}</g>')

    def line(self, x: Floats, y: Floats, kind: str = "line") -> None:
        """Draw a line through points.

        Parameters
        ----------
        x
            Shape (n,).
        y
            Shape (n,).
        kind
            A class of `STYLE`: line, model or truth.
        """
        across, up, shown = self._placed(x, y)
        places = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across[shown], up[shown], strict=True))
        self._marks.append(f'<polyline class="{kind}" points="{places}"/>')

    def svg(self) -> str:
        """Return the plot."""
        title = escape(self.title)
        return (
            f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="{title}"><title>{title}</title><text class="title" x="{_LEFT}" y="18">{title}</text>'
            f"{self._grid()}{''.join(self._marks)}"
            f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" '
            f'height="{self._floor - _TOP}"/></svg>'
        )

    @property
    def _floor(self) -> int:
        return HEIGHT - _BOTTOM

    def _across(self, x: Floats) -> Floats:
        return np.asarray(_LEFT + self.x.part(np.asarray(x, float)) * (WIDTH - _LEFT - _RIGHT))

    def _up(self, y: Floats) -> Floats:
        return np.asarray(self._floor - self.y.part(np.asarray(y, float)) * (self._floor - _TOP))

    def _placed(self, x: Floats, y: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Return where points are on the picture, and which of them lie on the plot."""
        across, up = self._across(x), self._up(y)
        inside = np.isfinite(across) & np.isfinite(up)
        inside &= (across >= _LEFT - 0.5) & (across <= WIDTH - _RIGHT + 0.5) & (up >= _TOP - 0.5)
        return across, up, inside & (up <= self._floor + 0.5)

    def _grid(self) -> str:
        """Return grid lines, labels of the ticks, and those of the axes."""
        marks = []
        for value, place in _with_places(self.x.ticks(), self._across):
            marks.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{self._floor}"/>')
            marks.append(f'<text x="{place:.1f}" y="{self._floor + 16}" text-anchor="middle">{number(value)}</text>')
        for value, place in _with_places(self.y.ticks(), self._up):
            right = WIDTH - _RIGHT
            marks.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}"/>')
            marks.append(f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{number(value)}</text>')
        middle, centre = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + self._floor) / 2
        marks.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x.label)}</text>')
        marks.append(f'<text transform="translate(14 {centre}) rotate(-90)" text-anchor="middle">'
                     f"{escape(self.y.label)}</text>")  # fmt: skip
        return "".join(marks)


def _with_places(values: Sequence[float], place: object) -> list[tuple[float, float]]:
    assert callable(place)
    return list(zip(values, place(np.array(values, dtype=np.float64)).tolist(), strict=True))


def number(value: float) -> str:
    """Return a number as short as four digits allow."""
    if not math.isfinite(value):
        return "-"
    if 0 < abs(value) < 1e-3:
        mantissa, _, power = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(power)}"
    return f"{value:.4g}".replace("e+0", "e").replace("e+", "e")


def with_error(value: float, error: float) -> str:
    """Return a number with its error, which has two digits, and as many decimals as that."""
    if not (math.isfinite(error) and error > 0):
        return number(value)
    decimals = 1 - math.floor(math.log10(error))
    if -3 <= decimals <= 5:
        return f"{value:.{max(decimals, 0)}f} ± {error:.{max(decimals, 0)}f}"
    power = math.floor(math.log10(max(abs(value), error)))
    digits = max(decimals + power, 0)
    return f"({value / 10.0**power:.{digits}f} ± {error / 10.0**power:.{digits}f})e{power}"
