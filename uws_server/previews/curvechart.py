"""The chart of a light curve, a folded profile or a periodogram; bins that no picture can tell apart are joined."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from uws_server.previews.chart import Band, Chart, ChartSeries, Cut
from uws_server.previews.curve import GAP, Curve, CurveSeries, Floats
from uws_server.previews.extent import WHOLE, Extent

MOST_BINS = 1500
"""The most bins that are drawn; more are joined."""

UNITS: Final = ((2e4, 1.0, "s"), (4e5, 1e3, "ks"), (float("inf"), 86400.0, "d"))
"""Lengths in seconds up to which a unit of time is used, how many seconds the unit is, and its name."""

_NAMES: Final = {"phase": "phase", "frequency": "frequency_Hz", "energy": "energy_keV"}


def unit_of(length_s: float) -> tuple[float, str]:
    """Return the unit of time for a length, in seconds, and its name."""
    return next((unit_s, unit) for most, unit_s, unit in UNITS if length_s < most)


def chart_of(curve: Curve, extent: Extent = WHOLE) -> Chart:
    """Return the chart of a light curve; bins of the part to show are joined until a picture can tell them apart."""
    unit_s, unit = unit_of(curve.length_s) if curve.along == "time" else (1.0, "")
    return chart_in(curve, unit_s, unit, extent)


def chart_in(curve: Curve, unit_s: float, unit: str, extent: Extent = WHOLE) -> Chart:
    """Return the chart of a light curve in a unit of time of so many seconds."""
    ends = [None if end is None else end * unit_s for end in (extent.x_low, extent.x_high)]
    bins = _Bins.of(curve).between(ends[0], ends[1])
    drawn = bins.highest(MOST_BINS) if curve.along == "frequency" else bins.joined(MOST_BINS)
    notes = list(curve.notes)
    if len(drawn.times) < len(bins.times):
        notes.insert(0, f"{len(bins.times):,} bins are joined to {len(drawn.times):,} for this plot")
    words = "; ".join(notes)
    begin = float(curve.time_s[0] - curve.widths_s[0] / 2)
    whole = (0.0, 2.0) if curve.along == "phase" else (begin / unit_s, (begin + curve.length_s) / unit_s)
    return Chart(
        curve.kind, curve.title, _x_label(curve, unit), curve.y_label, tuple(drawn.points(curve, unit_s)),
        f"{curve.summary()}{f' {words[:1].upper()}{words[1:]}.' if words else ''}", whole, "linear", "linear",
        (_NAMES.get(curve.along, f"time_{unit}"), _column(curve.y_label)),
        tuple(Band(gap.start_s / unit_s, gap.stop_s / unit_s, gap.cause) for gap in curve.gaps),
        Cut(curve.cut.rate, f"cut at {curve.cut.rate:.4g}") if curve.cut else None,
        curve.mjd if curve.along == "time" else None, 86400.0 / unit_s,
    )  # fmt: skip


def _x_label(curve: Curve, unit: str) -> str:
    if curve.along == "time":
        return f"Time ({unit}) from {curve.start}"
    if curve.along == "energy":
        return f"Energy (keV); {curve.start}"
    return f"Phase, {curve.start}" if curve.along == "phase" else f"Frequency (Hz), {curve.start}"


def _column(label: str) -> str:
    """Return the name of a column of what an axis shows."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower().replace("/", "per")).strip("_")


@dataclass(frozen=True)
class _Bins:
    """The bins of a light curve: middles and widths, shape (n,), rates (n, bands), errors (2, n, bands) or None."""

    times: Floats
    widths: Floats
    rates: Floats
    errors: Floats | None

    @classmethod
    def of(cls, curve: Curve) -> _Bins:
        """Return the bins of a light curve, a profile or a periodogram."""
        return cls(curve.time_s, curve.widths_s, np.stack([series.rate for series in curve.series], axis=1),
                   _errors(curve.series))  # fmt: skip

    def between(self, low: float | None, high: float | None) -> _Bins:
        """Return the bins between two times in seconds, None for no end."""
        first = 0 if low is None else int(np.searchsorted(self.times, low - self.widths.max()))
        last = len(self.times) if high is None else int(np.searchsorted(self.times, high + self.widths.max(), "right"))
        chosen = slice(first, max(last, first))
        return _Bins(self.times[chosen], self.widths[chosen], self.rates[chosen],
                     None if self.errors is None else self.errors[:, chosen])  # fmt: skip

    def joined(self, most: int) -> _Bins:
        """Join neighbouring bins, never across a gap, until at most about so many are left: mean times and rates."""
        together = -(-len(self.times) // most)
        if together <= 1:
            return self
        usual, apart = float(np.median(self.widths)), np.diff(self.times)
        reach = GAP * np.maximum(usual, (self.widths[:-1] + self.widths[1:]) / 2)
        part = np.concatenate(([0], np.cumsum(apart > reach)))
        within = np.arange(len(self.times)) - np.searchsorted(part, part)
        begins = np.flatnonzero(within % together == 0)
        held = np.diff(np.append(begins, len(self.times)))
        known, errors = np.isfinite(self.rates), self.errors
        numbers = np.add.reduceat(known, begins)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.add.reduceat(np.where(known, self.rates, 0.0), begins) / numbers
            if errors is not None:
                squares = np.where(known, np.nan_to_num(errors) ** 2, 0.0)
                errors = np.sqrt(np.add.reduceat(squares, begins, axis=1)) / numbers
        times, widths = np.add.reduceat(self.times, begins) / held, np.add.reduceat(self.widths, begins)
        return _Bins(times, widths, means, errors)

    def highest(self, most: int) -> _Bins:
        """Keep the highest of neighbouring powers, until at most so many are left: no peak is lost."""
        together = -(-len(self.times) // most)
        if together <= 1:
            return self
        begins = np.arange(0, len(self.times), together)
        ends = np.append(begins[1:], len(self.times))
        places = np.array([begin + int(self.rates[begin:end, 0].argmax())
                           for begin, end in zip(begins, ends, strict=True)])  # fmt: skip
        return replace(self, times=self.times[places], widths=self.widths[places], rates=self.rates[places])

    def points(self, curve: Curve, unit_s: float) -> list[ChartSeries]:
        """Return the points of each band."""
        found = []
        for band, series in enumerate(curve.series):
            rate = self.rates[:, band]
            down, up = np.full((2, rate.size), np.nan) if self.errors is None else self.errors[:, :, band]
            middle, half = self.times / unit_s, self.widths / 2 / unit_s
            found.append(ChartSeries(series.label, middle - half, middle, middle + half, rate, rate - down, rate + up,
                                curve.along == "frequency"))  # fmt: skip
        return found


def _errors(series: tuple[CurveSeries, ...]) -> Floats | None:
    """Return the errors of all bands downwards and upwards, shape (2, n, bands); None if one band has none."""
    if any(each.error is None or each.error_up is None for each in series):
        return None
    return np.array([np.stack([each.error for each in series if each.error is not None], axis=1),
                     np.stack([each.error_up for each in series if each.error_up is not None], axis=1)])  # fmt: skip
