"""The plots of a report: value by truth, pulls, completeness, false detections, positions; may import numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reduction.bench.ensemble import Compared, Completeness, FalseRate
from reduction.bench.plots import Axis, Plot

_PULL = 5.0
_RATIO_OF_LOG = 30.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


def value_by_truth(compared: Compared) -> str:
    """Return the values of the runs by what is true; by the number of the run where the truth is always the same."""
    truth, value, unit = compared.truth, compared.value, compared.comparison.unit
    label = f" ({unit})" if unit else ""
    low, high = value - np.abs(compared.low), value + np.abs(compared.high)
    name = compared.comparison.name
    if np.ptp(truth) <= 1e-6 * np.abs(truth).max():
        runs = compared.runs.astype(np.float64)
        plot = Plot(name, Axis.around("run", runs), Axis.around(f"value{label}", value, truth, low, high))
        plot.errors(runs, low, high)
        plot.points(runs, value)
        plot.line(np.array([plot.x.low, plot.x.high]), np.full(2, truth[0]), "truth")
        return plot.svg()
    is_log = bool((truth > 0).all() and (value > 0).all() and truth.max() / truth.min() > _RATIO_OF_LOG)
    plot = Plot(name, Axis.around(f"truth{label}", truth, is_log=is_log),
                Axis.around(f"value{label}", value, truth, low, high, is_log=is_log))  # fmt: skip
    plot.errors(truth, low, high)
    plot.points(truth, value)
    ends = np.array([max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)])
    plot.line(ends, ends, "truth")
    return plot.svg()


def pulls(compared: Compared) -> str:
    """Return the histogram of the pulls beside the Gaussian of mean 0 and width 1."""
    found = compared.pulls[np.isfinite(compared.pulls)]
    count = int(np.clip(2 * math.sqrt(len(found)), 8, 40))
    edges = np.linspace(-_PULL, _PULL, count + 1)
    heights = np.histogram(np.clip(found, -_PULL, _PULL), edges)[0].astype(np.float64)
    x = np.linspace(-_PULL, _PULL, 200)
    wanted = len(found) * (edges[1] - edges[0]) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    top = max(float(heights.max()), float(wanted.max())) * 1.1
    plot = Plot(
        "Pulls, and a Gaussian of width 1", Axis("(value - truth) / error", -_PULL, _PULL), Axis("runs", 0, top)
    )
    plot.bars(edges, heights)
    plot.line(x, wanted, "model")
    return plot.svg()


def completeness(found: Completeness) -> str:
    """Return the share of detected sources by flux."""
    middle, some = np.sqrt(found.edges[1:] * found.edges[:-1]), found.sources > 0
    x = Axis.around("flux 0.2-12 keV (erg/cm2/s)", found.edges, is_log=True)
    plot = Plot("Completeness", x, Axis("share detected", 0.0, 1.05))
    plot.errors(middle[some], found.low[some], found.high[some])
    plot.points(middle[some], found.share[some])
    plot.line(middle[some], found.share[some])
    return plot.svg()


def false_rate(found: FalseRate) -> str:
    """Return the false detections a field by the cut in likelihood."""
    x = Axis.around("least likelihood", found.cut, is_log=True)
    plot = Plot("False detections a field", x, Axis("a field", 0.0, max(float(found.per_field.max()) * 1.1, 0.1)))
    plot.line(found.cut, found.per_field)
    return plot.svg()


def purity(found: FalseRate) -> str:
    """Return purity by completeness as the cut in likelihood changes."""
    plot = Plot("Purity by completeness", Axis("share of sources detected", 0.0, 1.02), Axis("purity", 0.0, 1.05))
    plot.line(found.completeness, found.purity)
    plot.points(found.completeness, found.purity)
    return plot.svg()


def positions(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return plots of how far detections are off their sources, and of what they measure by the true flux."""
    seen = [each for each in sources if each["is_detected"]]
    if not seen:
        return []
    flux, apart = (np.array([each[name] for each in seen]) for name in ("flux", "apart_arcsec"))
    x = Axis.around("flux 0.2-12 keV (erg/cm2/s)", flux, is_log=True)
    offsets = Plot("Offset of the position", x, Axis("arcsec", 0.0, float(apart.max()) * 1.1 + 0.1))
    offsets.points(flux, apart)
    pictures = [offsets.svg()]
    if all(each.get("error_arcsec", 0) > 0 for each in seen):
        pictures.append(_offset_pulls(apart / np.array([each["error_arcsec"] for each in seen])))
    if all("measured" in each for each in seen):
        value = np.array([each["measured"] for each in seen])
        plot = Plot("Measured by true flux", x, Axis.around("measured", value, is_log=bool((value > 0).all())))
        plot.points(flux, value)
        pictures.append(plot.svg())
    return pictures


def _offset_pulls(ratio: Any) -> str:
    """Return the histogram of offsets in units of the error of each coordinate, beside that of Rayleigh."""
    edges = np.linspace(0, 5, 26)
    heights = np.histogram(np.clip(ratio, 0, 5), edges)[0].astype(np.float64)
    x = np.linspace(0, 5, 200)
    wanted = len(ratio) * 0.2 * x * np.exp(-(x**2) / 2)
    top = max(float(heights.max()), float(wanted.max())) * 1.1
    plot = Plot("Offset / error of a coordinate", Axis("offset / error", 0, 5), Axis("detections", 0, top))
    plot.bars(edges, heights)
    plot.line(x, wanted, "model")
    return plot.svg()
