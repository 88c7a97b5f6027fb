"""Lines of equal height through a grid of numbers, by marching squares. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_Edge = tuple[int, int, int]
"""Row and column of a point of the grid, and where its edge leads: 0 to the next column, 1 to the next row."""


def lines(x: Floats, y: Floats, heights: Floats, level: float) -> list[Floats]:
    """Return the lines at which a surface has a height.

    Parameters
    ----------
    x, y
        Places of the columns, shape (n,), and of the rows, shape (m,).
    heights
        The surface, shape (m, n); a cell with a corner that is no number has no line.
    level
        The height.

    Returns
    -------
    list of ndarray
        Points of each line, shape (points, 2); a closed one ends where it begins.
    """
    neighbours: dict[_Edge, list[_Edge]] = {}
    for first, second in _segments(heights, level):
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    found = []
    while neighbours:
        start = next((edge for edge, others in neighbours.items() if len(others) == 1), next(iter(neighbours)))
        edges = list(_walk(start, neighbours))
        found.append(np.array([_place(edge, x, y, heights, level) for edge in edges]))
    return found


def _segments(heights: Floats, level: float) -> Iterator[tuple[_Edge, _Edge]]:
    """Yield the parts of the lines in each cell, from edge to edge."""
    above = heights > level
    known = np.isfinite(heights)
    rows, columns = heights.shape
    for row in range(rows - 1):
        for column in range(columns - 1):
            if not known[row : row + 2, column : column + 2].all():
                continue
            ring = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            edges = [(row, column, 0), (row, column + 1, 1), (row + 1, column, 0), (row, column, 1)]
            crossed = [edges[i] for i in range(4) if above[ring[i]] != above[ring[(i + 1) % 4]]]
            if len(crossed) == 2:
                yield crossed[0], crossed[1]
            elif len(crossed) == 4:  # a saddle: its middle says which corners belong together
                middle = heights[row : row + 2, column : column + 2].mean() > level
                turned = bool(middle) == bool(above[row, column])
                yield (crossed[0], crossed[1]) if turned else (crossed[3], crossed[0])
                yield (crossed[2], crossed[3]) if turned else (crossed[1], crossed[2])


def _walk(start: _Edge, neighbours: dict[_Edge, list[_Edge]]) -> Iterator[_Edge]:
    """Yield the edges along a line, and take them out of what is left."""
    here: _Edge | None = start
    while here is not None:
        yield here
        onward = neighbours.get(here)
        if not onward:
            neighbours.pop(here, None)
            return
        there = onward.pop()
        if not onward:
            del neighbours[here]
        back = neighbours.get(there, [])
        back.remove(here)
        if not back:
            neighbours.pop(there, None)
            yield there
            return
        here = there


def _place(edge: _Edge, x: Floats, y: Floats, heights: Floats, level: float) -> tuple[float, float]:
    """Return where a line crosses an edge, between its two points in proportion to their heights."""
    row, column, along = edge
    to = (row + 1, column) if along else (row, column + 1)
    low, high = heights[row, column], heights[to]
    part = float((level - low) / (high - low)) if high != low else 0.5
    return (float(x[column] + part * (x[to[1]] - x[column])), float(y[row] + part * (y[to[0]] - y[row])))
