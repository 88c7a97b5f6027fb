"""Several spectra, or several light curves, in one plot, to be compared. Imports the plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.curve import Curve
from uws_server.previews.curvechart import chart_in, unit_of
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.plot import Plot
from uws_server.previews.spectra import NoPreview

Zero = Literal["date", "start"]


def overlay(plots: Sequence[Plot], labels: Sequence[str]) -> Plot:
    """Return one plot of the sources of several, under labels of their own; their backgrounds are left out.

    Raises NoPreview where the axes have other units.
    """
    first = plots[0]
    if len({(plot.x_label, plot.y_label) for plot in plots}) > 1:
        raise NoPreview("the spectra have axes of other units")
    if any(plot.empty for plot in plots):
        raise NoPreview("one of the spectra has no counts in channels of good quality")
    pairs = tuple(zip(plots, labels, strict=True))
    notes = [f"{label}: {note}" for plot, label in pairs for note in plot.notes[:2]]
    return replace(
        first,
        series=tuple(replace(plot.series[0], label=label) for plot, label in pairs),
        facts=tuple(replace(plot.facts[0], label=label) for plot, label in pairs),
        notes=tuple(dict.fromkeys(notes)),
    )


def curves(found: Sequence[Curve], labels: Sequence[str], zero: Zero, extent: Extent = WHOLE) -> Chart:
    """Return one chart of several light curves (profiles, periodograms), under labels of their own.

    Parameters
    ----------
    found
        The curves, at least one.
    labels
        Their labels.
    zero
        Where the time of each begins: ``start``, at its own start; ``date``, at that of the one that begins first.
    extent
        The part to show.

    Returns
    -------
    Chart
        The chart.

    Raises
    ------
    NoPreview
        They are of other kinds or units, or are to have one time and the MJD of one is not known.
    """
    if len({(curve.along, curve.y_label) for curve in found}) > 1:
        raise NoPreview("the light curves have axes of other units")
    starts = [curve.mjd for curve in found]
    known = [start for start in starts if start is not None]
    timed, from_start = found[0].along == "time", zero == "start"
    if timed and not from_start and len(known) < len(starts):
        raise NoPreview("the date of one of the light curves is not known: choose the time from the start of each")
    first = min(known, default=0.0)
    shifts = [0.0 if from_start or not timed or start is None else (start - first) * 86400 for start in starts]
    ends = [shift + curve.time_s[-1] + curve.widths_s[-1] / 2 for shift, curve in zip(shifts, found, strict=True)]
    unit_s, unit = unit_of(float(max(ends))) if timed else (1.0, "")
    charts = [_moved(chart_in(curve, unit_s, unit, _back(extent, shift / unit_s)), shift / unit_s)
              for curve, shift in zip(found, shifts, strict=True)]  # fmt: skip
    earliest = charts[shifts.index(min(shifts))]
    return replace(
        earliest,
        title=" and ".join(dict.fromkeys(chart.title for chart in charts)),
        x_label=f"Time ({unit}) from the start of each" if timed and from_start else earliest.x_label,
        series=tuple(series for chart, label in zip(charts, labels, strict=True) for series in _named(chart, label)),
        summary=" ".join(f"{label}: {chart.summary}" for chart, label in zip(charts, labels, strict=True)),
        x_range=(min(chart.x_range[0] for chart in charts), max(chart.x_range[1] for chart in charts)),
        bands=(),
        cut=None,
        mjd=None if from_start else earliest.mjd,
    )  # fmt: skip


def _named(chart: Chart, label: str) -> list[ChartSeries]:
    """Return the series of a chart under the label of its product; with several bands the name of each beside it."""
    return [replace(series, label=f"{label}, {series.label}" if series.label else label) for series in chart.series]


def _back(extent: Extent, shift: float) -> Extent:
    """Return an extent in the times of a curve that is shifted."""
    low, high = (None if end is None else end - shift for end in (extent.x_low, extent.x_high))
    return replace(extent, x_low=low, x_high=high)


def _moved(chart: Chart, shift: float) -> Chart:
    """Return a chart whose x are larger by a shift."""
    series = tuple(replace(each, low=each.low + shift, middle=each.middle + shift, high=each.high + shift)
                   for each in chart.series)  # fmt: skip
    return replace(chart, series=series, x_range=(chart.x_range[0] + shift, chart.x_range[1] + shift))
