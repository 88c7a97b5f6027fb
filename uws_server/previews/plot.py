"""The plot of a spectrum as a value: series, axes, captions; also as JSON. Imports the spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uws_server.previews.spectra import (
    DISPLAY_COUNTS,
    Floats,
    NoPreview,
    Points,
    SpectrumFile,
    display_starts,
    points,
    read_spectrum,
)


@dataclass(frozen=True)
class Series:
    """One spectrum in a plot."""

    label: str
    points: Points


@dataclass(frozen=True)
class Facts:
    """The row of a spectrum in the table below its plot."""

    label: str
    file: str
    counts: int
    exposure_s: float
    backscal: float
    instrument: str


@dataclass(frozen=True)
class Plot:
    """A plot with logarithmic axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    facts: tuple[Facts, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to draw."""
        return not any(len(series.points.rate) for series in self.series)

    def x_range(self) -> tuple[float, float]:
        """Return the lowest and the highest edge of a point."""
        edges = np.concatenate([np.concatenate([s.points.low, s.points.high]) for s in self.series])
        return float(edges.min()), float(edges.max())

    def y_range(self) -> tuple[float, float]:
        """Return the range from below the lowest point (a bar may reach down to zero) to the highest end of a bar."""
        rates = np.concatenate([s.points.rate for s in self.series])
        tops = np.concatenate([s.points.rate_high for s in self.series])
        return float(rates.min()) / 2, float(tops.max())

    def summary(self) -> str:
        """Return what the plot shows, in words."""
        if self.empty:
            return "No channel of good quality has counts."
        low, high = self.x_range()
        parts = [f"{f.label}: {f.counts:,} counts in {f.exposure_s:,.0f} s" for f in self.facts]
        return f"{self.y_label} against {self.x_label} from {low:.3g} to {high:.3g}. " + "; ".join(parts) + "."


def make_plot(path: Path, beside: Mapping[str, Path]) -> Plot:
    """Return the plot of the spectrum in a file, with its background if the header names one of the files beside it.

    `beside` maps file names to the files a header may refer to.
    """
    source = read_spectrum(path, beside)
    starts = display_starts(source)
    background, why_none = _background(source, beside)
    notes = [_grouping_note(source), _error_note(source), source.channels.origin, *why_none]
    label = "Background" if source.is_background else "Source" if background else "Spectrum"
    series = [Series(label, points(source, starts))]
    facts = [_facts(label, source)]
    if background is not None:
        ratio = source.backscal / background.backscal
        if np.array_equal(background.channel, source.channel):
            background = replace(background, channels=source.channels)  # counted with the same response
            scaled = points(background, starts, ratio)
        else:
            scaled = points(background, display_starts(background), ratio)
        series.append(Series("Background, scaled", scaled))
        facts.append(_facts("Background", background))
        notes.append(f"the background is scaled by the ratio of BACKSCAL, {ratio:.4g}")
    bad = int(np.count_nonzero(source.quality))
    if bad:
        notes.append(f"{bad:,} channels with QUALITY other than 0 are left out")
    unit = source.channels.unit
    return Plot(
        title=path.name,
        x_label="Energy (keV)" if unit == "keV" else "Channel",
        y_label=f"Counts / s / {unit}",
        series=tuple(series),
        facts=tuple(facts),
        notes=tuple(notes),
    )


def plot_json(plot: Plot) -> dict[str, Any]:
    """Return the plot as data for a page: arrays of numbers with five digits."""
    return {
        "title": plot.title,
        "x": plot.x_label,
        "y": plot.y_label,
        "series": [
            {
                "label": series.label,
                "middle": _numbers(series.points.middle),
                "low": _numbers(series.points.low),
                "high": _numbers(series.points.high),
                "rate": _numbers(series.points.rate),
                "rateLow": _numbers(series.points.rate_low),
                "rateHigh": _numbers(series.points.rate_high),
            }
            for series in plot.series
        ],
    }


def _numbers(values: Floats) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _background(source: SpectrumFile, beside: Mapping[str, Path]) -> tuple[SpectrumFile | None, Sequence[str]]:
    """Return the background of a spectrum, or None, and notes that say why a background is not drawn."""
    path = beside.get(source.background_file)
    if path is None:
        return None, ()
    try:
        background = read_spectrum(path, beside)
    except NoPreview as reason:
        return None, (f"the background {path.name} is not drawn: {reason}",)
    same = np.array_equal(background.channel, source.channel)
    if not same and background.channels.unit != source.channels.unit:
        return None, (f"the background {path.name} is not drawn: its channels have other units",)
    return background, ()


def _facts(label: str, spectrum: SpectrumFile) -> Facts:
    header = spectrum.header
    words = [str(header.get(key) or "").strip() for key in ("TELESCOP", "INSTRUME", "FILTER")]
    return Facts(
        label,
        spectrum.name,
        round(float(spectrum.counts.sum())),
        spectrum.exposure_s,
        spectrum.backscal,
        " ".join(word for word in words if word and word.upper() != "NONE")[:80],
    )


def _grouping_note(source: SpectrumFile) -> str:
    if source.starts is not None:
        return "channels in the groups of GROUPING"
    return f"no groups in the file: for this plot channels are joined until each bin holds {DISPLAY_COUNTS} counts"


def _error_note(source: SpectrumFile) -> str:
    if source.stat_error is not None:
        return "error bars from STAT_ERR"
    return "error bars: 1\N{NARROW NO-BREAK SPACE}σ Poisson limits of Gehrels (1986)"
