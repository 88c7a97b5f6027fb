"""Limits of the counts of a source above a known background, right from 0 counts on.

Source: Kraft, Burrows and Nousek (1991, ApJ 374, 344): the narrowest interval that holds a part of the posterior
probability of the source's counts, which are not below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

MOST_COUNTS = 100_000
"""The most counts for which limits are summed up."""

_HALVINGS = 80
_LEAST_TERM = 1e-17
"""Part of a sum below which a term changes it no more."""


@dataclass(frozen=True)
class Limits:
    """The interval of the counts of a source, from `lower` to `upper`, that holds `confidence` of the probability.

    With `lower` 0 nothing is detected at that confidence, and `upper` is the upper limit.
    """

    confidence: float
    lower: float
    upper: float


class _Posterior:
    """The probability of a source's counts, of N counts seen and B expected of the background."""

    def __init__(self, counts: int, background: float) -> None:
        self.counts, self.background = counts, background
        numbers = np.arange(1, counts + 1, dtype=np.float64)
        self._log_factorials = np.concatenate(([0.0], np.cumsum(np.log(numbers))))
        self._numbers = np.concatenate(([0.0], numbers))
        self._whole = self._log_below(background)

    def _log_below(self, mean: float) -> float:
        """Return the logarithm of the probability of N counts or fewer of a mean."""
        if mean <= 0:
            return 0.0
        terms = self._numbers * math.log(mean) - mean - self._log_factorials
        highest = float(terms.max())
        return highest + math.log(float(np.exp(terms - highest).sum()))

    def above(self, source: float) -> float:
        """Return the probability that the source has more counts than these."""
        return math.exp(self._log_below(source + self.background) - self._whole)

    def log_density(self, source: float) -> float:
        """Return the logarithm of the density at some counts, but for a constant."""
        mean = source + self.background
        if mean <= 0:
            return 0.0 if self.counts == 0 else -math.inf
        return self.counts * math.log(mean) - mean


def limits(counts: int, background: float, confidence: float, parameter: str = "confidence") -> Limits:
    """Return the limits of the counts of a source.

    Parameters
    ----------
    counts
        Counts seen in the region of the source.
    background
        Counts that the background gives there on average, taken as known.
    confidence
        Probability within the limits, above 0 and below 1.
    parameter
        Job parameter named in the error of a confidence that is none.

    Returns
    -------
    Limits
        The narrowest interval.

    Raises
    ------
    ReductionError
        The confidence is not between 0 and 1, the background is below 0 or no number, or there are more than
        MOST_COUNTS counts.
    """
    if not 0 < confidence < 1:
        raise ReductionError(f"{confidence:g} is no confidence; give a probability above 0 and below 1, such as 0.95",
                             parameter)  # fmt: skip
    if not (math.isfinite(background) and background >= 0):
        raise ReductionError(f"{background:g} is no mean of background counts", "background_region")
    if counts > MOST_COUNTS:
        raise ReductionError(f"{counts:,} counts are in it; limits are made for up to {MOST_COUNTS:,}: give a smaller "
                             "region", "source_region")  # fmt: skip
    if counts == 0:
        return Limits(confidence, 0.0, -math.log1p(-confidence))
    posterior = _Posterior(counts, background)
    upper = _upper(posterior, 0.0, confidence)
    if posterior.log_density(0.0) >= posterior.log_density(upper):
        return Limits(confidence, 0.0, upper)

    def is_too_low(lower: float) -> bool:
        return posterior.log_density(lower) < posterior.log_density(_upper(posterior, lower, confidence))

    lower = _last_where(is_too_low, 0.0, _end(posterior, confidence))
    return Limits(confidence, lower, _upper(posterior, lower, confidence))


def chance(counts: int, background: float) -> float:
    """Return the probability that a background of that mean alone gives so many counts or more."""
    if counts == 0:
        return 1.0
    if counts <= background:
        return -math.expm1(_Posterior(counts - 1, 0.0)._log_below(background))
    if background == 0:
        return 0.0
    # summed from the counts on, each term smaller than the one before: the difference to 1 would be of rounding errors
    number, term, total = counts, 1.0, 1.0
    while term > _LEAST_TERM * total:
        number += 1
        term *= background / number
        total += term
    return math.exp(counts * math.log(background) - background - math.lgamma(counts + 1) + math.log(total))


def _upper(posterior: _Posterior, lower: float, confidence: float) -> float:
    """Return the counts up to which the confidence is reached from `lower` on; the mass above must be there."""
    left = posterior.above(lower) - confidence
    if left <= 0:
        return math.inf
    top = posterior.counts + 10.0
    while posterior.above(top) > left:
        top *= 2
    return _last_where(lambda source: posterior.above(source) > left, lower, top)


def _end(posterior: _Posterior, confidence: float) -> float:
    """Return an end that the lower limit does not reach: the peak, or where less than the confidence lies above."""
    peak = max(0.0, posterior.counts - posterior.background)
    if posterior.above(peak) > confidence:
        return peak
    return _last_where(lambda source: posterior.above(source) > confidence, 0.0, peak)


def _last_where(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds at `low` ends, by halving up to `high`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2
