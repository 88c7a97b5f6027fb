"""From differences of the C statistic to detection likelihoods, -ln p, as emldetect of the SAS counts them.

The C statistic is ``C = 2 sum(m - c ln m)`` (Cash 1979, ApJ 228, 939). Half of its difference L between the models
without and with a source of n free parameters makes the chance ``p = Q(n / 2, L)``, Q the upper regularised incomplete
gamma function: what a chi squared distribution of n degrees of freedom has beyond 2 L. -ln p is L itself for n = 2.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from reduction.images.background import Real

Floats = npt.NDArray[np.float64]

LEAST_EXPECTED = 1e-6
"""Counts that are expected at least, so that one count where none can be is very unlikely and not impossible."""


def detection_likelihood(difference: npt.ArrayLike, parameters: int) -> Floats:
    """Return -ln Q(parameters / 2, difference).

    Parameters
    ----------
    difference
        Half of the difference of the C statistic; below 0 counts as 0.
    parameters
        Free parameters of the source, 1 or more.

    Returns
    -------
    array
        Shape of `difference`; finite, also where p itself is 0 in floating point.
    """
    value = np.maximum(np.asarray(difference, dtype=np.float64), 0.0)
    x = np.maximum(value, 1e-300)
    half = 0.5 * (parameters % 2)
    logarithm = _log_erfc_of_root(x) if parameters % 2 else -x
    order = half if parameters % 2 else 1.0
    while order < parameters / 2:  # Q(a + 1, x) = Q(a, x) + x^a exp(-x) / Gamma(a + 1)
        logarithm = np.logaddexp(logarithm, order * np.log(x) - x - math.lgamma(order + 1))
        order += 1
    return np.asarray(np.maximum(-logarithm, 0.0))


def _log_erfc_of_root(x: Floats) -> Floats:
    """Return ln erfc(sqrt(x)), far out by the continued fraction of Laplace."""
    near = np.minimum(x, 25.0)
    direct = np.log(np.asarray(np.frompyfunc(math.erfc, 1, 1)(np.sqrt(near)), dtype=np.float64))
    far = np.sqrt(np.maximum(x, 25.0))
    fraction = far
    for k in range(40, 0, -1):
        fraction = far + k / 2 / fraction
    return np.where(x < 25.0, direct, -np.maximum(x, 25.0) - 0.5 * math.log(math.pi) - np.log(fraction))


def excess(counts: npt.NDArray[Real], expected: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Return half of the C statistic of expected counts over that of the counts themselves, 0 where there are fewer.

    It is ``n ln(n / b) - (n - b)``, the likelihood ratio of a Poisson mean; fewer than `LEAST_EXPECTED` counts are
    never expected.
    """
    mean = np.maximum(expected, LEAST_EXPECTED)
    more = np.maximum(counts, mean)
    return np.asarray(more * np.log(more / mean) - (more - mean))
