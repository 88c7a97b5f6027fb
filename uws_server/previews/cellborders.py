"""The border of cells of HEALPix as closed lines on the sky: Gorski et al. 2005, ApJ 622, 759, sections 4 and 5.

Cells are numbered as in the nested scheme. Where two faces meet, corners are told to be the same by their places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_RINGS: Final = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_TURNS: Final = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
"""Of each of the twelve faces: its lowest corner counted from the north, and its middle in eighths of a turn."""
_SIDES: Final = (
    ((0, 0), (1, 0), (0, -1)),
    ((1, 0), (1, 1), (1, 0)),
    ((1, 1), (0, 1), (0, 1)),
    ((0, 1), (0, 0), (-1, 0)),
)
"""Of a cell anticlockwise: where each side begins and ends, and which cell lies beyond it."""
_DIGITS: Final = 7
"""Decimals to which corners of neighbouring faces agree: a cell of order 18 is 4e-6."""


def coarser(runs: npt.NDArray[np.integer], order: int, most: int) -> tuple[Integers, int]:
    """Return the cells of runs (first, behind the last; shape (runs, 2)), and their order: the highest at which they
    are at most so many; a cell of a lower order is taken if it overlaps one."""
    first, behind = runs.astype(np.int64).reshape(-1, 2).T
    while order and (behind - first).sum() > most:
        first, behind, order = first >> 2, ((behind - 1) >> 2) + 1, order - 1
        overlap = np.maximum(np.append(0, behind[:-1]) - first, 0)
        first = np.minimum(first + overlap, behind)
    count = behind - first
    cells = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    return cells, order


def borders(cells: Integers, order: int) -> list[Floats]:
    """Return the closed lines around cells of an order, anticlockwise, as unit vectors of shape (corners, 3)."""
    starts, ends = _sides(cells, order)
    return [np.array(line) for line in _chained(starts, ends)]


def _sides(cells: Integers, order: int) -> tuple[Floats, Floats]:
    """Return begin and end of each side of a cell that has none beyond it, as unit vectors of shape (sides, 3)."""
    side = 1 << order
    face, x, y = cells >> (2 * order), _even_bits(cells, order), _even_bits(cells >> 1, order)
    there = np.sort((face * side + y) * side + x)
    starts, ends = [], []
    for begin, end, (across, up) in _SIDES:
        beyond_x, beyond_y = x + across, y + up
        wanted = (face * side + beyond_y) * side + beyond_x
        at = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
        on_face = (beyond_x >= 0) & (beyond_x < side) & (beyond_y >= 0) & (beyond_y < side)
        open_ = ~(on_face & (there[at] == wanted))
        starts.append(_corner(face[open_], (x[open_] + begin[0]) / side, (y[open_] + begin[1]) / side))
        ends.append(_corner(face[open_], (x[open_] + end[0]) / side, (y[open_] + end[1]) / side))
    return np.concatenate(starts), np.concatenate(ends)


def _even_bits(numbers: Integers, order: int) -> Integers:
    """Return the number that every second bit makes, from the lowest on."""
    found = np.zeros_like(numbers)
    for bit in range(order):
        found |= ((numbers >> (2 * bit)) & 1) << bit
    return found


def _corner(face: Integers, x: Floats, y: Floats) -> Floats:
    """Return places within faces (x to the north-east, y to the north-west, 0 to 1) as unit vectors."""
    ring = _RINGS[face] - x - y
    polar = np.minimum(np.minimum(ring, 4 - ring), 1.0)
    z = np.where(ring < 1, 1 - polar**2 / 3, np.where(ring > 3, polar**2 / 3 - 1, (2 - ring) * 2 / 3))
    turn = np.pi / 4 * (_TURNS[face] + np.divide(x - y, polar, out=np.zeros_like(polar), where=polar > 0))
    across = np.sqrt(np.maximum((1 - z) * (1 + z), 0.0))
    return np.stack((across * np.cos(turn), across * np.sin(turn), z), axis=1)


def _chained(starts: Floats, ends: Floats) -> Iterator[list[Floats]]:
    """Yield the closed lines that sides make; a side of one face on that of another is none of the border."""
    keys = [list(map(tuple, (np.round(places, _DIGITS) + 0.0).tolist())) for places in (starts, ends)]
    sides = {(begin, end): number for number, (begin, end) in enumerate(zip(*keys, strict=True))}
    onward = defaultdict(list)
    for (begin, end), number in sides.items():
        if (end, begin) not in sides:
            onward[begin].append((end, number))
    for first in list(onward):
        while onward[first]:
            line, at = [], first
            while onward[at]:
                at, number = onward[at].pop()
                line.append(starts[number])
            yield line
