"""Whether a model describes the counts: the statistic against what it would be if the model were right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reduction.fitting.result import FittedData
from reduction.fitting.statistics import Observed, cstat, wstat
from reduction.responses.grid import Floats

FEW = 10.0
"""Counts expected below which the mean of the statistic is more than 2 % from that of chi-squared. A background of more
counts is taken as known."""

ENOUGH = 20.0
"""Counts of a background over which it is smoothed."""

POOR = 3.0
"""Deviations above its expectation from which on a statistic is that of a poor fit."""

_COUNTS = np.arange(32, dtype=np.float64)
_LOG_FACTORIALS = np.concatenate(([0.0], np.cumsum(np.log(_COUNTS[1:]))))


@dataclass(frozen=True)
class Expectation:
    """The statistic that a right model gives on average, and its standard deviation."""

    mean: float
    deviation: float

    def deviations(self, statistic: float) -> float:
        """Return by how many standard deviations a statistic is above the mean."""
        return (statistic - self.mean) / self.deviation if self.deviation > 0 else 0.0


def expectation(statistic: str, datasets: Sequence[FittedData], free: int) -> Expectation:
    """Return the statistic that is expected if the model is right.

    Parameters
    ----------
    statistic
        Its name.
    datasets
        The spectra with the counts that the model gives.
    free
        Number of free parameters, each of which takes 1 from the mean on average.

    Returns
    -------
    Expectation
        Chi-squared has a mean of 1 a group and a variance of 2. For Poisson statistics both are summed over all counts
        that a group may have, where few are expected (Kaastra 2017, A&A 605, A51, for C; for W over the counts of both
        regions).
    """
    moments = [_moments(statistic, each) for each in datasets]
    mean = sum(float(first.sum()) for first, _ in moments) - free
    variance = sum(float(second.sum()) for _, second in moments)
    return Expectation(mean, math.sqrt(variance))


def _moments(statistic: str, fitted: FittedData) -> tuple[Floats, Floats]:
    """Return mean and variance of the statistic of each group."""
    size = fitted.source.size
    mean, variance = np.ones(size), np.full(size, 2.0)
    observed = fitted.data.observed
    behind = smoothed(observed.background, fitted.data.high_kev - fitted.data.low_kev)
    few = np.flatnonzero(fitted.source + observed.ratio * behind < FEW)
    if statistic not in ("cstat", "wstat") or not few.size:
        return mean, variance
    ratio, behind = observed.ratio[few], behind[few]
    rounded = _two_digits(np.stack((fitted.source[few], behind, ratio)))
    unique, place = np.unique(rounded, axis=1, return_inverse=True)
    moments = _sums(statistic, *unique)
    mean[few], variance[few] = moments[:, place.reshape(-1)]
    return mean, variance


def smoothed(counts: Floats, width_kev: Floats) -> Floats:
    """Return the counts of groups that are expected of their neighbours: those of about ENOUGH counts around each.

    The background that W finds for a group follows the counts of that very group, and is no expectation of them where
    they are few.
    """
    size = counts.size
    reach = int(np.ceil(ENOUGH / 2 * size / max(float(counts.sum()), 1.0)))
    first, last = np.maximum(np.arange(size) - reach, 0), np.minimum(np.arange(size) + reach + 1, size)
    in_reach, widths = (np.concatenate(([0.0], np.cumsum(each))) for each in (counts, np.abs(width_kev)))
    return np.asarray((in_reach[last] - in_reach[first]) / (widths[last] - widths[first]) * np.abs(width_kev))


def _two_digits(values: Floats) -> Floats:
    """Return numbers rounded to two digits, so that groups that are nearly alike are summed up once."""
    unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-9))) - 1)
    return np.asarray(np.round(values / unit) * unit, dtype=np.float64)


def _sums(statistic: str, source: Floats, behind: Floats, ratio: Floats) -> Floats:
    """Return mean and variance over the counts that groups may have, shape (2, groups)."""
    by_w = (behind > 0) & (behind < FEW) & (statistic == "wstat")
    found = np.empty((2, source.size))
    total = source + ratio * behind
    none = np.zeros((int((~by_w).sum()), _COUNTS.size))
    counts = np.broadcast_to(_COUNTS, none.shape)
    found[:, ~by_w] = _mean_and_variance(cstat(Observed(counts, none, none), total[~by_w, None] + none),
                                         _probabilities(total[~by_w]))  # fmt: skip
    shape = (int(by_w.sum()), _COUNTS.size, _COUNTS.size)
    first, second = (np.broadcast_to(each, shape) for each in (_COUNTS[:, None], _COUNTS))
    ratios, model = (np.broadcast_to(each[by_w, None, None], shape) for each in (ratio, source))
    weights = _probabilities(total[by_w])[:, :, None] * _probabilities(behind[by_w])[:, None, :]
    values = wstat(Observed(first, second, ratios), model)
    found[:, by_w] = _mean_and_variance(values.reshape(shape[0], _COUNTS.size**2),
                                        weights.reshape(shape[0], _COUNTS.size**2))  # fmt: skip
    return found


def _probabilities(expected: Floats) -> Floats:
    """Return the Poisson probabilities of the counts, shape (groups, counts)."""
    logs = _COUNTS * np.log(np.maximum(expected, 1e-12))[:, None] - expected[:, None] - _LOG_FACTORIALS
    return np.asarray(np.exp(logs), dtype=np.float64)


def _mean_and_variance(values: Floats, weights: Floats) -> Floats:
    mean = (values * weights).sum(axis=1)
    return np.stack((mean, ((values - mean[:, None]) ** 2 * weights).sum(axis=1)))
