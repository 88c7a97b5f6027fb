"""Errors of counts: the Poisson limits of Gehrels, which hold from 0 counts on.

Source: Gehrels (1986, ApJ 303, 336), equations 9 and 14 for 1 sigma (84.13 % on either side); they differ from the
exact limits by less than 1.5 %.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def errors(counts: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the 1 sigma errors downwards and upwards of counts, shape of `counts` both; downwards 0 for 0 counts."""
    number = np.asarray(counts, dtype=np.float64)
    above = number + 1
    upper = above * (1 - 1 / (9 * above) + 1 / (3 * np.sqrt(above))) ** 3 - number
    some = np.maximum(number, 1)
    lower = number - some * (1 - 1 / (9 * some) - 1 / (3 * np.sqrt(some))) ** 3
    return np.where(number > 0, lower, 0.0), upper


def error(counts: npt.ArrayLike) -> Floats:
    """Return one error for both sides of counts: the mean of those downwards and upwards."""
    lower, upper = errors(counts)
    return np.asarray((lower + upper) / 2, dtype=np.float64)
