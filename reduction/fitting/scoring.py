"""Descent of a statistic by Fisher's scoring: steps by the curvature that is expected, damped until they go down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reduction.fitting.likelihood import Likelihood, Slopes
from reduction.responses.grid import Floats

MOST_STEPS = 200
"""Most steps of one descent."""

CLOSE = 1e-5
"""Expected fall of the statistic below which a place is a minimum."""

SLOW = 12
"""Steps after which the second derivatives are had from gradients: the expected ones mislead where a model is bad."""

PART = 1e-2
"""Of an error: how far apart gradients are compared."""

MOST_REST = 0.01
"""Most that the statistic may still be expected to fall at a minimum, as in XSPEC: a tenth of a standard deviation."""

DEGENERATE = 1e-6
"""Least eigenvalue of the curvature, in units of errors of parameters alone, of what the data determine: along other
directions the statistic is flat, and no place is more a minimum than another."""

ROUNDING = 1e-12
"""Rise of the statistic, as a part of it, that is none."""

SINGULAR = 1e-9
"""Least eigenvalue of the curvature, in units of the errors of parameters alone, of what the data determine."""

_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e9


@dataclass(frozen=True)
class Descent:
    """Where a descent ended: all free parameters, about their errors, the slopes there, and whether it is a minimum."""

    values: Floats
    scale: Floats
    slopes: Slopes
    is_minimum: bool

    @property
    def statistic(self) -> float:
        """The statistic there."""
        return self.slopes.statistic


def descend(
    likelihood: Likelihood,
    start: Floats,
    scale: Floats,
    moving: Sequence[int],
    close: float = CLOSE,
    excess: Floats | None = None,
) -> Descent:
    """Go down to a minimum of a statistic.

    Parameters
    ----------
    likelihood
        The statistic.
    start
        The free parameters to begin with, within their limits.
    scale
        About the error of each.
    moving
        Indices of the parameters that may change; the others are held.
    close
        Expected fall of the statistic below which the descent ends.
    excess
        What second derivatives have beyond those that are expected, from `excess_curvature`, shape (moving, moving);
        None for nothing, until steps turn out to be bad.

    Returns
    -------
    Descent
        Where it ended.
    """
    values, scale, damping = start, scale.copy(), 1e-3
    slopes = _slopes(likelihood, values, scale, moving, excess)
    for number in range(1, MOST_STEPS):
        scale = _scale(likelihood, slopes, scale, moving)
        step, fall = _step(likelihood, values, slopes, damping, moving)
        if abs(fall) < close and damping <= 1e-3:  # a damped step is short along valleys: look how far one without goes
            damping = min(damping, DEGENERATE)
            step, fall = _step(likelihood, values, slopes, damping, moving)
            if abs(fall) < close:
                break
        tried = np.clip(values + step, *likelihood.limits)
        if likelihood(tried) <= slopes.statistic + ROUNDING * abs(slopes.statistic):
            values, damping = tried, max(damping / 100, _LEAST_DAMPING)
            slopes = _slopes(likelihood, values, scale, moving, excess)
        elif damping < _MOST_DAMPING:
            damping *= 20
        else:
            break
        if number % SLOW == 0:
            excess, damping = excess_curvature(likelihood, values, scale, moving), 1e-3
            slopes = _slopes(likelihood, values, scale, moving, excess)
    rest = _step(likelihood, values, slopes, DEGENERATE, moving)[1]
    is_minimum = math.isfinite(slopes.statistic) and abs(rest) < max(close, MOST_REST)
    return Descent(values, scale, slopes, is_minimum)


def excess_curvature(likelihood: Likelihood, values: Floats, scale: Floats, moving: Sequence[int]) -> Floats:
    """Return what the second derivatives of a statistic have beyond those that are expected of a right model.

    Parameters
    ----------
    likelihood
        The statistic.
    values
        The free parameters.
    scale
        About their errors: gradients are compared a small part of them apart.
    moving
        Indices of the parameters that are asked for.

    Returns
    -------
    ndarray
        Shape (moving, moving); such that both together are positive definite.
    """
    here, high = likelihood.slopes(values, scale, moving), likelihood.limits[1]
    second = np.empty((len(moving), len(moving)))
    for place, index in enumerate(moving):
        moved, step = values.copy(), PART * scale[index]
        moved[index] += step if values[index] + step <= high[index] else -step
        gradient = likelihood.slopes(moved, scale, moving).gradient
        second[place] = (gradient - here.gradient) / (moved[index] - values[index])
    second = (second + second.T) / 2
    diagonal = np.diag(here.curvature)
    if not (np.isfinite(second).all() and (diagonal > 0).all()):
        return np.zeros_like(second)
    root = np.sqrt(np.outer(diagonal, diagonal))
    eigen, vectors = np.linalg.eigh(second / root)
    least = np.linalg.eigvalsh(here.curvature / root)[0] / 10
    return np.asarray((vectors * np.maximum(eigen, least)) @ vectors.T * root - here.curvature, dtype=np.float64)


def _slopes(
    likelihood: Likelihood, values: Floats, scale: Floats, moving: Sequence[int], excess: Floats | None
) -> Slopes:
    """Return the slopes, with the excess in the curvature where it stays positive definite so."""
    slopes = likelihood.slopes(values, scale, moving)
    if excess is None or not len(moving) or not np.isfinite(slopes.curvature).all():
        return slopes
    full = slopes.curvature + excess
    diagonal = np.diag(full)
    if not (diagonal > 0).all() or np.linalg.eigvalsh(full / np.sqrt(np.outer(diagonal, diagonal)))[0] < SINGULAR:
        return slopes
    return Slopes(slopes.statistic, slopes.gradient, full)


def guess_scale(likelihood: Likelihood, values: Floats) -> Floats:
    """Return about the error of parameters of which nothing is known: a tenth of their values, within their limits."""
    low, high = likelihood.limits
    return np.minimum(np.where(values != 0, np.abs(values) / 10, 1e-2), (high - low) / 10)


def covariance(curvature: Floats) -> Floats | None:
    """Return the covariance of parameters from the second derivatives of a statistic; None where it has none."""
    diagonal = np.diag(curvature)
    if not (np.isfinite(curvature).all() and (diagonal > 0).all()):
        return None
    root = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(curvature / np.outer(root, root))
    if values[0] <= SINGULAR:
        return None
    inverse = (vectors / values) @ vectors.T
    return np.asarray(2 * inverse / np.outer(root, root), dtype=np.float64)


def _scale(likelihood: Likelihood, slopes: Slopes, former: Floats, moving: Sequence[int]) -> Floats:
    """Return about the errors of parameters, none wider than a part of its limits."""
    low, high = likelihood.limits
    diagonal = np.diag(slopes.curvature)
    scale = former.copy()
    for place, index in enumerate(moving):
        if diagonal[place] > 0:
            widest = min(10 * former[index], (high[index] - low[index]) / 10)
            scale[index] = min(math.sqrt(2 / diagonal[place]), widest)
    return scale


def _step(
    likelihood: Likelihood, values: Floats, slopes: Slopes, damping: float, moving: Sequence[int]
) -> tuple[Floats, float]:
    """Return a damped step within the limits, and the fall that it promises.

    A parameter at a limit that the gradient presses it against stays. Of those that would cross a limit the first one
    goes to it, and the steps of the others are had anew with that one.
    """
    low, high = likelihood.limits
    at = np.asarray(moving, dtype=np.intp)
    gradient, curvature, diagonal = slopes.gradient, slopes.curvature, np.diag(slopes.curvature)
    if not np.isfinite(gradient).all():
        return np.zeros(values.size), 0.0
    down, up = low[at] - values[at], high[at] - values[at]
    held = ((down >= 0) & (gradient > 0)) | ((up <= 0) & (gradient < 0))
    short, loose = np.zeros(at.size), (diagonal > 0) & ~held
    while loose.any():
        root = np.sqrt(diagonal[loose])
        scaled = curvature[np.ix_(loose, loose)] / np.outer(root, root)
        scaled[np.diag_indices_from(scaled)] += damping
        rest = gradient[loose] + curvature[np.ix_(loose, ~loose)] @ short[~loose]
        short[loose] = np.linalg.lstsq(scaled, -rest / root, rcond=1e-13)[0] / root
        room = np.where(short < 0, down, up)
        parts = np.where(loose & (np.abs(short) > np.abs(room)), room / np.where(short != 0, short, 1.0), np.inf)
        first = int(np.argmin(parts))
        if not parts[first] < 1:
            break
        short[first], loose[first] = room[first], False
    step = np.zeros(values.size)
    step[at] = short
    return step, float(-(gradient @ short) - 0.5 * short @ curvature @ short)
