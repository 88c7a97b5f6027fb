"""Background maps: a two-dimensional cubic spline times the exposure, fitted to what lies between the sources."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.images.background import Real

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_NODES = 60
"""Most nodes along an axis: the fit solves for the square of their number."""

COUNTS_PER_NODE = 100.0
"""Counts that a node of the spline needs: with fewer it would follow the noise. Faint images get fewer nodes."""

_ROUNDS = 4
_CELLS_PER_NODE = 8
_LINES = 32
"""Rows of an image that are evaluated at once: so few that no threads are started for the product of matrices."""
_LOWEST = 0.05
"""Lowest rate of a background, in units of its mean: a spline may fall below 0 where nothing holds it."""

_STIFFNESS = 1e-2
"""Weight that draws coefficients without data to their neighbours, relative to a typical one with data."""


def spline_background(
    counts: npt.NDArray[Real], exposure: npt.NDArray[Real], kept: Mask, nodes: int
) -> npt.NDArray[Real]:
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
    exposed = exposure > 0
    part = _inner(np.flatnonzero(exposed.any(axis=1))), _inner(np.flatnonzero(exposed.any(axis=0)))
    lit = kept[part] & exposed[part]
    images = [image[part] * lit for image in (counts, exposure)]
    total, seconds = (float(image.sum(dtype=np.float64)) for image in images)
    mean = max(total, 0.5) / max(seconds, 1e-300)
    nodes = int(np.clip(np.sqrt(max(total, 0.0) / COUNTS_PER_NODE), 2, nodes))
    sizes = lit.shape[::-1]
    whole = [_basis((np.arange(size) + 0.5) / size, nodes) for size in sizes]
    cells = [_cells(size, nodes) for size in sizes]
    across, up = (_basis(middles, nodes) for _, middles in cells)
    data, weight = (_summed(image, cells[1][0], cells[0][0]) / seconds for image in images)
    rate = np.full(data.shape, mean)
    coefficients = np.zeros((up.shape[1], across.shape[1]))
    for _ in range(_ROUNDS):
        coefficients = _solve(data / rate, weight / rate, across, up)
        rate = np.maximum(up @ coefficients @ across.T, _LOWEST * mean)
    result = np.zeros_like(exposure)
    columns = whole[0].T.astype(result.dtype)
    lines = (whole[1] @ coefficients).astype(result.dtype)
    for first in range(0, len(lines), _LINES):
        some = slice(first, first + _LINES)
        rate = np.maximum(lines[some] @ columns, result.dtype.type(_LOWEST * mean))
        np.multiply(rate, exposure[part][some], out=result[part][some])
    return result


def _inner(used: npt.NDArray[np.intp]) -> slice:
    """Return all numbers from the first used one to the last."""
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)


def _cells(length: int, nodes: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the first pixel of each cell along an axis, and the middles of the cells as parts of the axis.

    There are `_CELLS_PER_NODE` cells from one node to the next, within which the spline hardly changes, so that the
    sums of counts and of exposure of a cell say as much as its pixels.
    """
    size = max(1, int(length / (nodes - 1) / _CELLS_PER_NODE))
    first = np.arange(0, length, size)
    last = np.append(first[1:], length)
    return first, (first + last) / 2 / length


def _summed(image: npt.NDArray[Real], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Floats:
    """Return the sums of the cells of an image that begin at some rows and columns."""
    for first in (rows, columns):
        size = int(first[1]) if len(first) > 1 else len(image)
        sums = np.zeros_like(image, shape=(len(first), image.shape[1]))
        for start in range(size):
            lines = image[start::size]
            sums[: len(lines)] += lines
        image = sums.T
    return image.astype(np.float64)


def _basis(place: Floats, nodes: int) -> Floats:
    """Return cubic B-splines on evenly spaced nodes at places from 0 to 1, shape (places, nodes + 2)."""
    away = np.abs(place[:, None] * (nodes - 1) - np.arange(-1, nodes + 1))
    square, beyond = away * away, 2 - away  # products, as powers take numpy ten times as long
    near, far = 2 / 3 - square + square * away / 2, beyond * beyond * beyond / 6
    basis: Floats = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    return basis


def _solve(data: Floats, weight: Floats, across: Floats, up: Floats) -> Floats:
    """Return the coefficients of least squares, shape (nodes, nodes); neighbours differ little without data."""
    size, width = up.shape[1], across.shape[1]
    normal = np.zeros((size, width, size, width))
    near = [_pairs(size, offset) for offset in range(-3, 4)]
    low, high = (np.concatenate([numbers[axis] for numbers in near]) for axis in (0, 1))
    pairs = (up[:, low] * up[:, high]).T
    for offset in range(-3, 4):
        first, second = _pairs(width, offset)
        along = weight @ (across[:, first] * across[:, second])  # (rows, pairs)
        normal[low[:, None], first, high[:, None], second] = pairs @ along
    matrix = normal.reshape(size * width, size * width)
    matrix += _STIFFNESS * np.trace(matrix) / len(matrix) * _differences(size, width)
    return _banded(matrix, (up.T @ data @ across).ravel(), 3 * width).reshape(size, width)


def _banded(matrix: Floats, right: Floats, block: int) -> Floats:
    """Solve a positive definite system whose matrix is 0 farther than a block from its diagonal, block by block.

    A spline of n x n nodes takes n^4 steps so, and n^6 otherwise.
    """
    edges = [*range(0, len(right), block), len(right)]
    parts = [slice(low, high) for low, high in pairwise(edges)]
    solved: list[Floats] = []  # of each block what of the next one is in it, then what is left of the right side
    for number, part in enumerate(parts):
        behind = matrix[part, parts[number + 1]] if number + 1 < len(parts) else np.zeros((part.stop - part.start, 0))
        own, known = matrix[part, part], right[part]
        if number:
            before = matrix[part, parts[number - 1]]
            own, known = own - before @ solved[-1][:, :-1], known - before @ solved[-1][:, -1]
        solved.append(np.asarray(np.linalg.solve(own, np.column_stack((behind, known))), dtype=np.float64))
    result = np.zeros(len(right))
    for number in reversed(range(len(parts))):
        left = solved[number]
        result[parts[number]] = left[:, -1]
        if number + 1 < len(parts):
            result[parts[number]] -= left[:, :-1] @ result[parts[number + 1]]
    return result


def _pairs(size: int, offset: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return all pairs of numbers below `size` that differ by an offset."""
    first = np.arange(max(0, -offset), min(size, size - offset))
    return first, first + offset


def _differences(rows: int, columns: int) -> Floats:
    """Return the quadratic form of the differences between neighbours."""
    one = [np.diff(np.eye(size), axis=0) for size in (rows, columns)]
    return np.asarray(np.kron(one[0].T @ one[0], np.eye(columns)) + np.kron(np.eye(rows), one[1].T @ one[1]))
