"""Background maps: a two-dimensional cubic spline times the exposure, fitted to what lies between the sources."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_NODES = 60
"""Most nodes along an axis: the fit solves for the square of their number."""

COUNTS_PER_NODE = 100.0
"""Counts that a node of the spline needs: with fewer it would follow the noise. Faint images get fewer nodes."""

_ROUNDS = 4
_LOWEST = 0.05
"""Lowest rate of a background, in units of its mean: a spline may fall below 0 where nothing holds it."""

_STIFFNESS = 1e-2
"""Weight that draws coefficients without data to their neighbours, relative to a typical one with data."""


def spline_background(counts: Floats, exposure: Floats, kept: Mask, nodes: int) -> Floats:
    """Return the background counts of an image.

    The spline is that of the highest likelihood, found by weighted least squares with weights renewed: the variance of
    counts is their expected mean.

    Parameters
    ----------
    counts
        Counts without those of known sources, shape (rows, columns).
    exposure
        Seconds of each pixel, shape (rows, columns).
    kept
        The pixels to be fitted: exposed, and no sources.
    nodes
        Most nodes of the spline along each axis of the exposed part, from 2 to `MOST_NODES`.

    Returns
    -------
    array
        Expected counts, shape (rows, columns), above 0 where there is exposure.

    Raises
    ------
    ReductionError
        The number of nodes is out of its bounds.
    """
    if not 2 <= nodes <= MOST_NODES:
        raise ReductionError(f"{nodes} nodes of a spline; from 2 to {MOST_NODES} are allowed", "spline_nodes")
    lit = kept & (exposure > 0)
    total, seconds = float(counts[lit].sum()), float(exposure[lit].sum())
    mean = max(total, 0.5) / max(seconds, 1e-300)
    nodes = int(np.clip(np.sqrt(total / COUNTS_PER_NODE), 2, nodes))
    rows, columns = (_inner(np.flatnonzero((exposure > 0).any(axis=axis))) for axis in (1, 0))
    part = np.ix_(rows, columns)
    across, up = (_basis(len(axis), nodes) for axis in (columns, rows))
    data, weight = np.where(lit, counts, 0.0)[part], np.where(lit, exposure, 0.0)[part] / seconds
    rate = np.full(data.shape, mean)
    for _ in range(_ROUNDS):
        coefficients = _solve(data / rate / seconds, weight / rate, across, up)
        rate = np.maximum(up @ coefficients @ across.T, _LOWEST * mean)
    result = np.zeros(counts.shape)
    result[part] = rate
    return np.asarray(result * exposure)


def _inner(used: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return all numbers from the first used one to the last."""
    return np.arange(used[0], used[-1] + 1) if used.size else np.arange(1)


def _basis(length: int, nodes: int) -> Floats:
    """Return cubic B-splines on evenly spaced nodes over a number of pixels, shape (pixels, nodes + 2)."""
    place = (np.arange(length) + 0.5) / length * (nodes - 1)
    away = np.abs(place[:, None] - np.arange(-1, nodes + 1))
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    basis: Floats = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    return basis


def _solve(data: Floats, weight: Floats, across: Floats, up: Floats) -> Floats:
    """Return the coefficients of least squares, shape (nodes, nodes); neighbours differ little without data."""
    size, width = up.shape[1], across.shape[1]
    normal = np.zeros((size, width, size, width))
    for offset in range(-3, 4):
        first, second = _pairs(width, offset)
        along = weight @ (across[:, first] * across[:, second])  # (rows, pairs)
        for other in range(-3, 4):
            low, high = _pairs(size, other)
            normal[low[:, None], first, high[:, None], second] = (up[:, low] * up[:, high]).T @ along
    matrix = normal.reshape(size * width, size * width)
    matrix += _STIFFNESS * np.trace(matrix) / len(matrix) * _differences(size, width)
    return np.asarray(np.linalg.solve(matrix, (up.T @ data @ across).ravel()), dtype=np.float64).reshape(size, width)


def _pairs(size: int, offset: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return all pairs of numbers below `size` that differ by an offset."""
    first = np.arange(max(0, -offset), min(size, size - offset))
    return first, first + offset


def _differences(rows: int, columns: int) -> Floats:
    """Return the quadratic form of the differences between neighbours."""
    one = [np.diff(np.eye(size), axis=0) for size in (rows, columns)]
    return np.asarray(np.kron(one[0].T @ one[0], np.eye(columns)) + np.kron(np.eye(rows), one[1].T @ one[1]))
