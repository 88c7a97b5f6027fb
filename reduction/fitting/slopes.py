"""Slopes of the statistics against the counts of a model, for minimisers: first derivative and mean curvature."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from reduction.fitting.statistics import FLOOR, Observed, profiled_background
from reduction.responses.grid import Floats

Slopes = tuple[Floats, Floats]
"""The first derivative in each group, and the second one that is expected (Fisher's), shape (groups,) each."""

LEAST_COUNTS = 1e-3
"""Counts below which the curvature does not rise further: a group in which nothing is expected says nothing."""


def of_cstat(observed: Observed, model: Floats) -> Slopes:
    """Return the slopes of C: ``2 (1 - S/m)`` and ``2/m``."""
    expected = np.maximum(model, FLOOR)
    return 2 * (1 - observed.counts / expected), 2 / np.maximum(model, LEAST_COUNTS)


def of_wstat(observed: Observed, model: Floats) -> Slopes:
    """Return the slopes of W; the profiled background adds its share to the variance, and none to the first slope."""
    expected = np.maximum(model, 0.0)
    behind = profiled_background(observed, expected)
    total = np.maximum(expected + observed.ratio * behind, FLOOR)
    variance = total + observed.ratio**2 * behind
    return 2 * (1 - observed.counts / total), 2 / np.maximum(variance, LEAST_COUNTS)


def of_chi2(observed: Observed, model: Floats) -> Slopes:
    """Return the slopes of chi-squared with the variance of the counts."""
    variance = observed.counts + observed.ratio**2 * observed.background
    weight = 2 / np.where(variance > 0, variance, 1.0)
    return weight * (model - observed.net), weight


def of_chi2gehrels(observed: Observed, model: Floats) -> Slopes:
    """Return the slopes of chi-squared with the errors of Gehrels."""
    behind = np.where(observed.ratio > 0, (1 + np.sqrt(observed.background + 0.75)) ** 2, 0.0)
    weight = 2 / ((1 + np.sqrt(observed.counts + 0.75)) ** 2 + observed.ratio**2 * behind)
    return weight * (model - observed.net), weight


SLOPES: Mapping[str, Callable[[Observed, Floats], Slopes]] = {
    "cstat": of_cstat, "wstat": of_wstat, "chi2": of_chi2, "chi2gehrels": of_chi2gehrels,
}  # fmt: skip
"""Slopes by the name of the statistic."""
