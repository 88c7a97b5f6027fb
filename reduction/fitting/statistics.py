"""Statistics of fits: how unlikely counts are under a model, for each group of channels.

All are twice the negative logarithm of a likelihood, but for a constant: a rise by 1 from the minimum is one standard
deviation of one parameter. None of them needs a subtracted background but the two chi-squared ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reduction.errors import ReductionError
from reduction.responses.grid import Floats

FLOOR = 1e-30
"""The least counts expected of a model: with 0 the counts that were seen would be impossible."""


@dataclass(frozen=True)
class Observed:
    """What was counted in groups of channels, shape (groups,) each.

    `ratio` is the counts in the source's region for each count of the background; both are 0 without a background.
    """

    counts: Floats
    background: Floats
    ratio: Floats

    @property
    def net(self) -> Floats:
        """Counts without the background scaled to the source."""
        return self.counts - self.ratio * self.background


def cstat(observed: Observed, model: Floats) -> Floats:
    """Return the C statistic of Cash for counts without background, or with one that the model includes.

    With S counts and m expected it is ``2 (m - S + S ln(S/m))`` in each group: the likelihood of Poisson counts,
    divided by that of a model that fits each group exactly, so that with many counts it becomes chi-squared. It is
    right from 0 counts on, and wants no grouping.

    Parameters
    ----------
    observed
        What was counted, shape (groups,).
    model
        Counts expected, shape (groups,).

    Returns
    -------
    ndarray
        The statistic of each group, shape (groups,).

    Notes
    -----
    Cash (1979, ApJ 228, 939), with the constant of Castor as in XSPEC and sherpa.
    """
    expected = np.maximum(model, FLOOR)
    return 2.0 * (expected - observed.counts + _log_term(observed.counts, expected))


def wstat(observed: Observed, model: Floats) -> Floats:
    """Return the W statistic, for counts with a background that was measured and has no model.

    Source and background are both Poisson counts. For each group the background's expectation is the one that makes
    the counts of both regions most likely (profiled), so that nothing is subtracted and no error is taken from counts.
    In groups with very few background counts it is biased: the profiled background of a group without any is 0.

    Parameters
    ----------
    observed
        What was counted in both regions, shape (groups,).
    model
        Counts expected of the source alone, shape (groups,).

    Returns
    -------
    ndarray
        The statistic of each group, shape (groups,).

    Notes
    -----
    Wachter, Leach and Kellogg (1979, ApJ 230, 274); as in XSPEC (appendix B of its manual) and sherpa.
    """
    expected = np.maximum(model, 0.0)
    behind = profiled_background(observed, expected)
    total = np.maximum(expected + observed.ratio * behind, FLOOR)
    source = total - observed.counts + _log_term(observed.counts, total)
    return 2.0 * (source + behind - observed.background + _log_term(observed.background, np.maximum(behind, FLOOR)))


def profiled_background(observed: Observed, model: Floats) -> Floats:
    """Return the counts of the background's region that make the counts of both regions most likely.

    With S and B counts, m expected of the source and the ratio a it is the root above 0 of
    ``a (1 + a) f^2 + ((1 + a) m - a (S + B)) f - B m = 0``.

    Parameters
    ----------
    observed
        What was counted in both regions, shape (groups,).
    model
        Counts expected of the source alone, shape (groups,).

    Returns
    -------
    ndarray
        Counts expected in the region of the background, shape (groups,); B where the ratio is 0.
    """
    ratio = observed.ratio
    square = ratio * (1 + ratio)
    linear = (1 + ratio) * model - ratio * (observed.counts + observed.background)
    product = observed.background * model
    root = np.sqrt(linear * linear + 4 * square * product)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(linear > 0, 2 * product / (linear + root), (root - linear) / (2 * square))
    return np.where(np.isfinite(found), found, observed.background)


def chi2(observed: Observed, model: Floats) -> Floats:
    """Return chi-squared of the net counts, with the variance of the counts themselves.

    The variance of a group is ``S + a^2 B``, for S counts and a background of B counts scaled by a; that of a group
    without counts is 1. It is biased where groups have few counts (a group that happened to have fewer weighs more):
    use it from some 25 counts a group on.

    Parameters
    ----------
    observed
        What was counted in both regions, shape (groups,).
    model
        Counts expected of the source alone, shape (groups,).

    Returns
    -------
    ndarray
        The statistic of each group, shape (groups,).

    Notes
    -----
    XSPEC's standard weights, sherpa's chi2datavar.
    """
    variance = observed.counts + observed.ratio**2 * observed.background
    return (observed.net - model) ** 2 / np.where(variance > 0, variance, 1.0)


def chi2gehrels(observed: Observed, model: Floats) -> Floats:
    """Return chi-squared of the net counts, with the errors of Gehrels.

    The error of N counts is ``1 + sqrt(N + 0.75)``: too large, so that chi-squared comes out too small for a model that
    is right, and intervals too wide.

    Parameters
    ----------
    observed
        What was counted in both regions, shape (groups,).
    model
        Counts expected of the source alone, shape (groups,).

    Returns
    -------
    ndarray
        The statistic of each group, shape (groups,).

    Notes
    -----
    Gehrels (1986, ApJ 303, 336), equation 7; sherpa's chi2gehrels.
    """
    variance = (1 + np.sqrt(observed.counts + 0.75)) ** 2
    behind = np.where(observed.ratio > 0, (1 + np.sqrt(observed.background + 0.75)) ** 2, 0.0)
    return (observed.net - model) ** 2 / (variance + observed.ratio**2 * behind)


Statistic = Callable[[Observed, Floats], Floats]

STATISTICS: Mapping[str, Statistic] = {"cstat": cstat, "wstat": wstat, "chi2": chi2, "chi2gehrels": chi2gehrels}
"""The statistics by the names that XSPEC and sherpa have for them."""


def statistic_named(name: str, parameter: str = "statistic") -> Statistic:
    """Return a statistic. Raise ReductionError, naming the job parameter, if there is none of that name."""
    found = STATISTICS.get(name.strip().lower())
    if found is None:
        raise ReductionError(f"{name[:40]!r} is no statistic; write {', '.join(STATISTICS)}", parameter)
    return found


def _log_term(counts: Floats, expected: Floats) -> Floats:
    """Return ``S ln(S/m)``, which is 0 without counts."""
    return counts * np.log(np.where(counts > 0, counts, 1.0) / np.where(counts > 0, expected, 1.0))
