"""Folding of a model through a response: what photons per cm2 and second in bins of energy give as counts in groups.

The matrix is multiplied by effective area and exposure and summed over the channels of each group once, when the
channels are chosen; what is left for each step of a fit is a product of a few dense blocks with a vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.responses.grid import Floats
from reduction.responses.redistribution import Redistribution

Whole = npt.NDArray[np.int64]

BLOCKS = (64, 128, 256, 512, 1024)
"""Bins of photon energy in a block: fewer cost more calls, more cost more products with zeros."""

CALL = 10_000
"""Elements whose product takes as long as the call for a block does: measured, 1 microsecond."""


@dataclass(frozen=True)
class Block:
    """A part of a matrix in which it is dense: the first bin of energy, the first group, and its elements.

    `elements` has the shape (groups, energies).
    """

    energy: int
    group: int
    elements: Floats


@dataclass(frozen=True)
class Fold:
    """Counts in groups of channels for each photon per cm2 and second in a bin of energy.

    `low` and `high` are the edges in keV of the bins of energy that matter to the groups, shape (energies,).
    """

    low_kev: Floats
    high_kev: Floats
    groups: int
    blocks: tuple[Block, ...]

    def __call__(self, photons: Floats) -> Floats:
        """Return the counts expected in each group, of photons/cm2/s in each bin of energy."""
        counts = np.zeros(self.groups)
        for block in self.blocks:
            rows, columns = block.elements.shape
            part = block.elements @ photons[block.energy : block.energy + columns]
            counts[block.group : block.group + rows] += part
        return counts

    @property
    def edges_kev(self) -> Floats:
        """Edges of the bins of energy in keV, shape (energies + 1,); where bins leave gaps, the lower edge counts."""
        return np.append(self.low_kev, self.high_kev[-1])

    def matrix(self) -> Floats:
        """Return the whole matrix, shape (groups, energies)."""
        full = np.zeros((self.groups, self.low_kev.size))
        for block in self.blocks:
            rows, columns = block.elements.shape
            full[block.group : block.group + rows, block.energy : block.energy + columns] += block.elements
        return full


def fold_of(redistribution: Redistribution, weights: Floats, group_of_channel: Whole, groups: int) -> Fold:
    """Return the folding of a model into groups of channels.

    Parameters
    ----------
    redistribution
        Probabilities by photon energy and channel.
    weights
        Effective area in cm2 times exposure in s, shape (energies,).
    group_of_channel
        The group that each channel is counted in, -1 for none, shape (channels,).
    groups
        Number of groups.

    Returns
    -------
    Fold
        The folding, with the bins of energy from the first to the last that gives counts in a group.
    """
    low, high = _group_ranges(redistribution, group_of_channel, groups)
    used = np.flatnonzero((low < high) & (weights > 0))
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
    low[weights <= 0], high[weights <= 0] = groups, 0
    size = _block_size(low[first:last], high[first:last])
    lookup = np.where(group_of_channel < 0, groups, group_of_channel).astype(np.int32)
    blocks = []
    for begin in range(first, last, size):
        end = min(begin + size, last)
        bottom, top = int(low[begin:end].min()), int(high[begin:end].max())
        if bottom < top:
            elements = _elements(redistribution, (begin, end), (bottom, top), lookup)
            blocks.append(Block(begin - first, bottom, elements * weights[begin:end]))
    energies = redistribution.energies
    return Fold(energies.low[first:last], energies.high[first:last], groups, tuple(blocks))


def _group_ranges(redistribution: Redistribution, group_of_channel: Whole, groups: int) -> tuple[Whole, Whole]:
    """Return the first group that each bin of energy has counts in, and the one behind the last, shape (energies,).

    Groups are numbered in the order of their channels. Where there are none, the first is not below the last.
    """
    ahead = np.where(group_of_channel < 0, groups, group_of_channel)
    ahead = np.append(np.minimum.accumulate(ahead[::-1])[::-1], groups)
    behind = np.append(0, np.maximum.accumulate(group_of_channel) + 1)
    rows = np.repeat(np.arange(redistribution.energies.size), np.diff(redistribution.rows))
    low, high = np.full(redistribution.energies.size, groups), np.zeros(redistribution.energies.size, dtype=np.int64)
    np.minimum.at(low, rows, ahead[redistribution.starts])
    np.maximum.at(high, rows, behind[redistribution.starts + redistribution.lengths])
    return low, high


def _block_size(low: Whole, high: Whole) -> int:
    """Return the size of blocks with which a product takes least time, from the groups of each bin of energy."""

    def cost(size: int) -> int:
        begins = np.arange(0, low.size, size)
        heights = np.maximum.reduceat(high, begins) - np.minimum.reduceat(low, begins)
        return int(np.maximum(heights, 0).sum()) * min(size, low.size) + CALL * begins.size

    return min(BLOCKS, key=cost)


def _elements(
    redistribution: Redistribution, energies: tuple[int, int], groups: tuple[int, int], lookup: npt.NDArray[np.int32]
) -> Floats:
    """Return the sums of probabilities of some bins of energy over the channels of some groups, (groups, energies)."""
    begin, end = energies
    part = redistribution.first_values[begin : end + 1]
    size, height = end - begin, groups[1] - groups[0]
    group = lookup[redistribution.channel[part[0] : part[-1]]] - groups[0]
    row = np.repeat(np.arange(size), np.diff(part))
    values, inside = redistribution.values[part[0] : part[-1]], (group >= 0) & (group < height)
    if not inside.all():
        group, row, values = group[inside], row[inside], values[inside]
    flat = np.bincount(group * size + row, values, minlength=height * size)
    return np.asarray(flat.reshape(height, size), dtype=np.float64)
