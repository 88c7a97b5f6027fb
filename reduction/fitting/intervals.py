"""Intervals of parameters by profile likelihood: where the statistic, least in all other parameters, rose enough.

The statistic rises by the square of the deviation in standard deviations that holds the confidence: 1 for 68.3 %, 2.71
for 90 % (Cash 1976, A&A 52, 307; Lampton, Margon and Bowyer 1976, ApJ 208, 177).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.minimise import Minimum
from reduction.fitting.scoring import Descent, covariance, descend, excess_curvature
from reduction.responses.grid import Floats

MOST_PLACES = 25
"""Most places at which a profile is looked at for one end."""

ACCURACY = 0.003
"""Of an end: by which part of its height the rise of the statistic may be missed."""

DEEPER = 0.01
"""Fall of the statistic below the minimum from which on it is no minimum."""


@dataclass(frozen=True)
class End:
    """An end of an interval: its distance from the value, 0 or above; None where the limits hold no end, or it is not
    found."""

    distance: float | None
    is_beyond_limit: bool = False


class DeeperMinimum(Exception):
    """Raised where a profile finds a lower statistic than the minimum has; `values` is the place of it."""

    def __init__(self, values: Floats) -> None:
        super().__init__("the statistic is lower elsewhere")
        self.values = values


def rise_of(confidence: float, parameter: str = "confidence") -> float:
    """Return the rise of a statistic at the ends of an interval of one parameter.

    Raises ReductionError, naming the job parameter, for a probability that is none.
    """
    if not 0 < confidence < 1:
        raise ReductionError(f"{confidence:g} is no confidence; give a probability between 0 and 1, such as "
                             "0.6827 or 0.9", parameter)  # fmt: skip
    return NormalDist().inv_cdf((1 + confidence) / 2) ** 2


@dataclass(frozen=True)
class Shape:
    """A statistic about its minimum: what second derivatives have beyond the expected ones, and the covariance.

    Both have the shape (free, free); the covariance is None where the data do not determine all parameters.
    """

    excess: Floats
    covariance: Floats | None


def shape_of(likelihood: Likelihood, minimum: Minimum) -> Shape:
    """Return the shape of a statistic about its minimum, from the observed second derivatives."""
    excess = excess_curvature(likelihood, minimum.values, minimum.scale, range(minimum.values.size))
    return Shape(excess, covariance(minimum.slopes.curvature + excess))


def ends(likelihood: Likelihood, minimum: Minimum, shape: Shape, index: int, rise: float) -> tuple[End, End]:
    """Return both ends of the interval of a free parameter.

    Parameters
    ----------
    likelihood
        The statistic.
    minimum
        Its minimum.
    shape
        Its shape there.
    index
        Which of the free parameters.
    rise
        Rise of the statistic at the ends, from `rise_of`.

    Returns
    -------
    lower, upper
        The ends.

    Raises
    ------
    DeeperMinimum
        The statistic has a lower value than at the minimum.
    """
    lower, upper = (_Profile(likelihood, minimum, shape, index, sign, rise).end() for sign in (-1.0, 1.0))
    return lower, upper


class _Profile:
    """The profile of a statistic on one side of a minimum."""

    def __init__(
        self, likelihood: Likelihood, minimum: Minimum, shape: Shape, index: int, sign: float, rise: float
    ) -> None:
        self.likelihood, self.minimum, self.index, self.sign, self.rise = likelihood, minimum, index, sign, rise
        low, high = likelihood.limits
        self.value = float(minimum.values[index])
        self.room = float(high[index] - self.value if sign > 0 else self.value - low[index])
        self.moving = [each for each in range(minimum.values.size) if each != index]
        self.error = minimum.scale[index]
        self.direction = np.zeros(minimum.values.size)
        self.excess = shape.excess[np.ix_(self.moving, self.moving)]
        if shape.covariance is not None:
            self.error = math.sqrt(shape.covariance[index, index])
            self.direction = shape.covariance[:, index] / shape.covariance[index, index]

    def end(self) -> End:
        """Search the end: secants of the root of the rise, which is straight where the statistic is a parabola."""
        wanted = math.sqrt(self.rise)
        below, above = (0.0, 0.0), None
        distance = min(wanted * self.error, self.room)
        near = self.minimum.values
        if self.room <= 0:
            return End(None, True)
        for _ in range(MOST_PLACES):
            found = self._at(distance, near)
            risen = found.statistic - self.minimum.statistic
            if risen < -DEEPER:
                raise DeeperMinimum(found.values)
            root = math.sqrt(max(risen, 0.0)) if math.isfinite(risen) else math.inf
            if abs(risen - self.rise) < 2 * ACCURACY * self.rise:
                return End(distance)
            if root < wanted:
                if distance >= self.room:
                    return End(None, True)
                below, near = (distance, root), found.values
            else:
                above = (distance, root)
            distance = self._next(below, above, wanted)
        return End(None)

    def _next(self, below: tuple[float, float], above: tuple[float, float] | None, wanted: float) -> float:
        if above is None:
            slope = below[1] / below[0] if below[0] else 0.0
            ahead = wanted / slope if slope > 0 else math.inf
            return min(max(min(ahead, 5 * below[0]), 1.05 * below[0]), self.room)
        (near, low), (far, high) = below, above
        part = (wanted - low) / (high - low) if math.isfinite(high) else 0.5
        return near + min(max(part, 0.03), 0.97) * (far - near)

    def _at(self, distance: float, near: Floats) -> Descent:
        """Return the minimum in all other parameters at a distance of the value."""
        low, high = self.likelihood.limits
        shift = self.sign * distance
        start = near + self.direction * (self.value + shift - near[self.index])
        start = np.clip(start, low, high)
        start[self.index] = self.value + shift
        start[self.index] = min(max(start[self.index], low[self.index]), high[self.index])
        return descend(self.likelihood, start, self.minimum.scale, self.moving, ACCURACY * self.rise, self.excess)
