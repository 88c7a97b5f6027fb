"""Contours: how a statistic rises around the best values of two parameters, minimal in all others (a profile)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.parameters import did_you_mean
from reduction.fitting.result import FitResult, Fitted
from reduction.fitting.scoring import descend, guess_scale
from reduction.responses.grid import Floats

CONTOURS: Final = "contours"
SIDE: Final = 25
"""Places along each side of a grid; with an odd number the best values are one of them."""

LEVELS: Final = (0.6827, 0.90, 0.99)
"""Confidences whose contours are drawn: the statistic has risen by 2.30, 4.61 and 9.21."""

_REACH: Final = 3.5
"""Half the width of a grid, in errors."""

_CLOSE: Final = 0.01
"""Expected fall of the statistic below which a descent ends: a contour is drawn no finer."""


@dataclass(frozen=True)
class Contour:
    """The rise of a statistic above its minimum on a grid of two parameters.

    `x` and `y` are the values of the parameters, shape (n,) and (m,); `rise` has the shape (m, n).
    """

    x_name: str
    y_name: str
    x_unit: str
    y_unit: str
    x: Floats
    y: Floats
    rise: Floats
    best: tuple[float, float]

    @property
    def deeper(self) -> float:
        """By how much the statistic is lower somewhere on the grid than the fit found, 0 where it is nowhere."""
        return max(0.0, -float(np.nanmin(self.rise, initial=0.0)))


def likelihood_of(result: FitResult) -> Likelihood:
    """Return the statistic of a fit, as a function of its free parameters, which begins at the values found."""
    parameters = tuple(each.parameter for each in result.parameters)
    return Likelihood.of([each.data for each in result.datasets], result.model, parameters, result.statistic_name)


def pair_of(text: str, result: FitResult) -> tuple[Fitted, Fitted]:
    """Return the two parameters that a text names, such as ``tbabs.nH powerlaw.PhoIndex``.

    Raises ReductionError for another number of names, one that is no free parameter of the fit, or one twice.
    """
    words = text.replace(",", " ").split()
    free = {name.lower(): name for name in result.free_names}
    if len(words) != 2:
        raise ReductionError(f"{text[:60]!r} came; two free parameters of the model are allowed: "
                             f"{', '.join(free.values())}", CONTOURS)  # fmt: skip
    for word in words:
        if word.lower() not in free:
            raise ReductionError(f"{word[:60]!r} is no free parameter of {result.model.expression}"
                                 f"{did_you_mean(word, free.values())}; free are {', '.join(free.values())}",
                                 CONTOURS)  # fmt: skip
    first, second = (free[word.lower()] for word in words)
    if first == second:
        raise ReductionError(f"{first} came twice; two different parameters are allowed", CONTOURS)
    return result[first], result[second]


def contour(result: FitResult, x: Fitted, y: Fitted, side: int = SIDE) -> Contour:
    """Return the rise of the statistic around the best values of two parameters.

    Parameters
    ----------
    result
        A fit that converged.
    x
        One of its free parameters.
    y
        Another one.
    side
        Places along each side of the grid.

    Returns
    -------
    Contour
        The grid reaches three and a half errors to both sides, but not beyond the limits. At each place all other free
        parameters are fitted, from those of the place beside it on.
    """
    likelihood = likelihood_of(result)
    names = list(result.free_names)
    at = names.index(x.name), names.index(y.name)
    start, scale = likelihood.start, scale_of(likelihood, result)
    moving = [index for index in range(start.size) if index not in at]
    across, up = (_places(likelihood, index, scale[index], side) for index in at)
    rise = np.full((up.size, across.size), np.nan)
    with np.errstate(all="ignore"):
        for half in (range(side // 2, up.size), range(side // 2 - 1, -1, -1)):
            _fill(rise, likelihood, ((across, up), at, moving), half, scale)
    rise -= result.statistic
    return Contour(x.name, y.name, x.parameter.unit, y.parameter.unit, across, up, rise, (x.value, y.value))


def _fill(
    rise: Floats, likelihood: Likelihood, grid: tuple[tuple[Floats, Floats], tuple[int, int], list[int]],
    rows: range, scale: Floats,
) -> None:  # fmt: skip
    """Fill rows with the statistic, each place from the values that were found at the one before, to and fro."""
    (x, y), at, moving = grid
    values = likelihood.start
    for number, row in enumerate(rows):
        columns = range(x.size) if number % 2 == 0 else range(x.size - 1, -1, -1)
        for column in columns:
            values = values.copy()
            values[at[0]], values[at[1]] = x[column], y[row]
            if moving:
                values = descend(likelihood, values, scale, moving, _CLOSE).values
            rise[row, column] = likelihood(values)


def scale_of(likelihood: Likelihood, result: FitResult) -> Floats:
    """Return about the errors of the free parameters."""
    if result.covariance is None:
        return guess_scale(likelihood, likelihood.start)
    return np.sqrt(np.diag(result.covariance))


def _places(likelihood: Likelihood, index: int, error: float, side: int) -> Floats:
    """Return the places along one side: around the best value, within the limits."""
    low, high = (float(limit[index]) for limit in likelihood.limits)
    best = float(likelihood.start[index])
    half = side // 2
    below = np.linspace(max(low, best - _REACH * error), best, half + 1)
    above = np.linspace(best, min(high, best + _REACH * error), half + 1)
    return np.unique(np.concatenate((below, above)))
