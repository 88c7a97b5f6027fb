"""The plot of a spectrum as a value: series, axes, captions; also as a chart. Imports the spectra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from provenance.fits.scales import Scale
from reduction import missions
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.spectra import (
    DISPLAY_COUNTS,
    Floats,
    NoPreview,
    Points,
    SpectrumFile,
    display_starts,
    instrument_of,
    joined_starts,
    points,
    read_spectrum,
)

SHARED_AREA = "BKGSHARE"
"""Keyword of the spectrum job: the part of the source's region that lies in that of its background."""


@dataclass(frozen=True)
class Series:
    """One spectrum in a plot."""

    label: str
    points: Points


@dataclass(frozen=True)
class Facts:
    """The row of a spectrum in the table below its plot; counts are None where they are not known."""

    label: str
    file: str
    counts: int | None
    exposure: Scale
    backscal: Scale
    instrument: str

    @property
    def counts_text(self) -> str:
        """Return the counts, or that they are not known."""
        return "not known" if self.counts is None else f"{self.counts:,}"

    @property
    def exposure_text(self) -> str:
        """Return the exposure in seconds, or that it is not known."""
        return _range_text(self.exposure, "{:,.1f}", " s")

    @property
    def backscal_text(self) -> str:
        """Return BACKSCAL, or that it is not known."""
        large = self.backscal.values is not None and self.backscal.values.max() >= 1000
        return _range_text(self.backscal, "{:,.0f}" if large else "{:.6g}", "")

    @property
    def sentence(self) -> str:
        """Return the counts and the exposure in words."""
        number = self.exposure.number
        exposure = f"in {number:,.0f} s" if number else f"in {self.exposure_text}" if self.exposure.is_known else ""
        counts = f"{self.counts:,} counts" if self.counts is not None else "rates"
        return f"{self.label}: {counts} {exposure or 'without a known exposure'}"


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

    def summary(self) -> str:
        """Return what the plot shows, in words."""
        if self.empty:
            return "No channel of good quality has counts."
        low, high = self.x_range()
        parts = "; ".join(facts.sentence for facts in self.facts)
        return f"{self.y_label} against {self.x_label} from {low:.3g} to {high:.3g}. {parts}."


def make_plot(path: Path, beside: Mapping[str, Path]) -> Plot:
    """Return the plot of the spectrum in a file, with its background if the header names one of the files beside it.

    `beside` maps file names to the files a header may refer to. Without EXPOSURE counts are shown, without BACKSCAL the
    background is not scaled; the notes say so.
    """
    source = read_spectrum(path, beside)
    background, notes = _background(source, beside)
    notes = [_grouping_note(source), _error_note(source), source.channels.origin, *notes, *_more_notes(source)]
    unit = source.channels.unit
    label = "Background" if source.is_background else "Source" if background else "Spectrum"
    series, facts = [Series(label, points(source, display_starts(source)))], [_facts(label, source)]
    if background is not None:
        series.append(background)
        facts.append(_facts("Background", background.file))
    return Plot(
        title=path.name,
        x_label="Energy (keV)" if unit == "keV" else "Channel",
        y_label=f"Counts / s / {unit}" if source.has_rates else f"Counts / {unit}",
        series=tuple(series),
        facts=tuple(facts),
        notes=tuple(notes),
    )


def chart_of(plot: Plot) -> Chart:
    """Return the chart of a plot."""
    unit = "keV" if plot.x_label.startswith("Energy") else "channel"
    drawn = [(series.label, series.points) for series in plot.series]
    return Chart(
        "Spectrum", plot.title, plot.x_label, plot.y_label,
        tuple(ChartSeries(label, found.low, found.middle, found.high, found.rate, found.rate_low, found.rate_high)
              for label, found in drawn),
        plot.summary(), (1.0, 10.0) if plot.empty else plot.x_range(), "log", "log",
        ("energy_keV" if unit == "keV" else unit, plot.y_label.lower().replace(" / ", "_per_").replace("kev", "keV")),
    )  # fmt: skip


@dataclass(frozen=True)
class _Background(Series):
    """The background of a spectrum as it is drawn, with its file."""

    file: SpectrumFile


def _background(source: SpectrumFile, beside: Mapping[str, Path]) -> tuple[_Background | None, list[str]]:
    """Return the background of a spectrum, or None, and notes that say how it is scaled, or why it is not drawn."""
    reference = source.pha.background
    path = beside.get(reference.name)
    if path is None:
        return None, []
    try:
        background = read_spectrum(path, beside, reference, source.pha.row)
    except NoPreview as reason:
        return None, [f"the background {path.name} is not drawn: {reason}"]
    same = np.array_equal(background.pha.channel, source.pha.channel)
    if not same and background.channels.unit != source.channels.unit:
        return None, [f"the background {path.name} is not drawn: its channels have other units"]
    if not (background.has_rates if source.has_rates else background.counts is not None):
        return None, [f"the background {path.name} is not drawn: its {background.pha.exposure.sentence}"]
    drawn = background if source.has_rates else background.in_counts
    if same:
        drawn = replace(drawn, channels=source.channels)  # counted with the same response
    ratio, words = _ratio(source, background)
    label = "Background, not scaled" if ratio is None else "Background, scaled"
    starts = joined_starts(drawn, display_starts(source)) if same else display_starts(drawn)
    drawn_points = points(drawn, starts, 1.0 if ratio is None else ratio)
    if same and background.counts is not None:
        words = f"{words}, in groups of the source joined until each holds {DISPLAY_COUNTS} counts"
    return _Background(label, drawn_points, background), [words]


def _ratio(source: SpectrumFile, background: SpectrumFile) -> tuple[Floats | float | None, str]:
    """Return the ratio of BACKSCAL, one number or one for each channel, and a note; None where it is not known."""
    ours, theirs = source.pha.backscal, background.pha.backscal
    if not source.has_rates:
        return None, "the background is not scaled: the exposure of the source is not known"
    odd = next((f"BACKSCAL of {file.name} {file.pha.backscal.words}" for file in (source, background)
                if not file.pha.backscal.is_known), "")  # fmt: skip
    if odd or ours.values is None or theirs.values is None:
        return None, f"the background is not scaled: {odd}"
    if ours.number and theirs.number:
        ratio = ours.number / theirs.number
        return ratio, f"the background is scaled by the ratio of BACKSCAL, {ratio:.4g}"
    if not ours.number and source.pha.channel.size != background.pha.channel.size:
        return None, "the background is not scaled: it has other channels than BACKSCAL of the source"
    above = ours.number or ours.values
    ratios = np.divide(above, theirs.values, out=np.zeros_like(theirs.values), where=theirs.values > 0)
    return ratios, f"the background is scaled by the ratio of BACKSCAL of each channel, {_span(ratios)}"


def _facts(label: str, spectrum: SpectrumFile) -> Facts:
    return Facts(
        label,
        spectrum.name,
        None if spectrum.counts is None else round(float(spectrum.counts.sum())),
        spectrum.pha.exposure,
        spectrum.pha.backscal,
        instrument_of(spectrum.pha.header),
    )


def _range_text(scale: Scale, form: str, unit: str) -> str:
    """Return a factor as text: one number, or the lowest above 0 and the highest of its channels."""
    if scale.values is None:
        return "not known"
    if scale.number is not None:
        return form.format(scale.number) + unit
    known = scale.values[scale.values > 0]
    return f"{form.format(known.min())} to {form.format(known.max())}{unit}"


def _span(values: Floats) -> str:
    """Return the lowest and highest of some numbers above 0, as one where they are equal."""
    known = values[values > 0]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _more_notes(source: SpectrumFile) -> list[str]:
    """Return notes about bad channels, factors that are not given, and which spectrum of several is drawn."""
    notes = []
    if bad := int(np.count_nonzero(source.pha.quality)):
        notes.append(f"{bad:,} channels with QUALITY other than 0 are left out")
    if shared := missions.number(source.pha.header, SHARED_AREA):
        notes.append(f"{shared:.0%} of the source region lies in the background region: its counts are subtracted too")
    if source.pha.rows > 1:
        notes.append(f"number {source.pha.row} of the {source.pha.rows} spectra of the file is drawn")
    return [*notes, *source.odd_scales]


def _grouping_note(source: SpectrumFile) -> str:
    if source.pha.starts is not None:
        return "channels in the groups of GROUPING"
    if source.counts is None:
        return "no groups in the file, and no counts by which to join channels"
    return f"no groups in the file: for this plot channels are joined until each bin holds {DISPLAY_COUNTS} counts"


def _error_note(source: SpectrumFile) -> str:
    if source.pha.stat_error is not None:
        return "error bars from STAT_ERR"
    if source.counts is None:
        return "no error bars: neither STAT_ERR nor counts are known"
    return "error bars: 1\N{NARROW NO-BREAK SPACE}σ Poisson limits of Gehrels (1986)"
