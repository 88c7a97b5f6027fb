"""What a rise of a statistic above its minimum means: confidences of one or two parameters, chances of chi-squared.

Sources: Avni (1976, ApJ 210, 642); Abramowitz and Stegun (1964), 6.5.29 and 6.5.31.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_TERMS = 10_000
_PRECISION = 1e-14
_TINY = 1e-300


def rise(confidence: float, parameters: int = 1) -> float:
    """Return how far a statistic rises above its minimum at the edge of a region of some confidence.

    Parameters
    ----------
    confidence
        Probability within, above 0 and below 1.
    parameters
        Number of parameters of interest, 1 or 2.

    Returns
    -------
    float
        The quantile of chi-squared with so many degrees of freedom: 1.00 for 68.27 % of one, 2.30 of two.

    Raises
    ------
    ValueError
        For another number of parameters.
    """
    if parameters == 1:
        return NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    if parameters == 2:
        return -2 * math.log1p(-confidence)
    raise ValueError(f"{parameters} parameters; 1 or 2 are allowed")


def chance_above(chi_squared: float, dof: float) -> float:
    """Return the probability of chi-squared with some degrees of freedom to be above a value."""
    shape, place = dof / 2, chi_squared / 2
    if place <= 0:
        return 1.0
    scale = math.exp(shape * math.log(place) - place - math.lgamma(shape))
    if place < shape + 1:
        return max(0.0, 1 - scale * _series(shape, place))
    return min(1.0, scale * _fraction(shape, place))


def _series(shape: float, place: float) -> float:
    """Return the lower incomplete gamma function without its scale, by its series."""
    term = total = 1 / shape
    for number in range(1, _TERMS):
        term *= place / (shape + number)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _fraction(shape: float, place: float) -> float:
    """Return the upper incomplete gamma function without its scale, by its continued fraction (Lentz's method)."""
    start = place + 1 - shape
    upper, lower = 1 / _TINY, 1 / start
    total = lower
    for number in range(1, _TERMS):
        factor = -number * (number - shape)
        start += 2
        lower = factor * lower + start
        lower = 1 / (lower if abs(lower) > _TINY else _TINY)
        upper = start + factor / upper
        upper = upper if abs(upper) > _TINY else _TINY
        total *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return total
