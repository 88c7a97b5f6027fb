"""Folding of a model through a response: what photons per cm2 and second in bins of energy give as counts in groups.

The matrix is multiplied by effective area and exposure and summed over the channels of each group once, when the
channels are chosen; what is left for each step of a fit is a product of a few dense blocks with a vector. A matrix that
no cache of a core holds takes as long as the memory needs to send it: its elements are kept in single precision, which
is what files hold, and blocks are read to and fro, so that each product begins with what the last one ended with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.responses.grid import Floats
from reduction.responses.redistribution import Redistribution

Whole = npt.NDArray[np.int64]
Elements = npt.NDArray[np.floating[Any]]
Step = tuple[Elements, slice, slice]

CALL = 4_000
"""Elements whose product takes as long as the call for a block does: measured."""

MOST_PARTS, MOST_JOINED = 512, 64
"""Parts that groups are cut into at most, and how many of them a block may have."""

MOST_DOUBLE = 250_000
"""Most elements that are kept in double precision: 2 MB, what a core has of cache. Of more, counts are right within
4e-7 (files hold elements within 6e-8)."""


@dataclass(frozen=True)
class Block:
    """A part of a matrix in which it is dense: the first bin of energy, the first group, and its elements.

    `elements` has the shape (groups, energies).
    """

    energy: int
    group: int
    elements: Elements


@dataclass(frozen=True)
class _Part:
    """Some groups, from the first to the one behind the last, and likewise the bins of energy they have counts from."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def width(self) -> int:
        """Number of bins of energy."""
        return max(self.last - self.first, 0)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return (self.end - self.begin) * self.width


@dataclass
class _Turn:
    """Whether the next product reads the blocks from the last to the first."""

    backwards: bool = False


@dataclass(frozen=True)
class Fold:
    """Counts in groups of channels for each photon per cm2 and second in a bin of energy.

    `low` and `high` are the edges in keV of the bins of energy that matter to the groups, shape (energies,). No two
    blocks have a group in common.
    """

    low_kev: Floats
    high_kev: Floats
    groups: int
    blocks: tuple[Block, ...]
    _turn: _Turn = field(default_factory=_Turn, init=False, repr=False, compare=False)

    def __call__(self, photons: Floats) -> Floats:
        """Return the counts expected in each group, of photons/cm2/s in each bin of energy.

        Photons of several models, shape (models, energies), are folded in hardly more time than those of two.
        """
        given = photons.astype(np.float32) if self.is_single else photons
        return np.asarray(self._product(given), dtype=np.float64)

    @property
    def is_single(self) -> bool:
        """Whether the elements are in single precision."""
        return bool(self.blocks) and self.blocks[0].elements.dtype == np.float32

    def _product(self, photons: Elements) -> Elements:
        counts = np.zeros((*photons.shape[:-1], self.groups), photons.dtype)
        self._turn.backwards = not self._turn.backwards
        steps = self._steps[self._turn.backwards]
        if photons.ndim == 1:
            for elements, energies, groups in steps:
                elements.dot(photons[energies], counts[groups])
        else:
            for elements, energies, groups in steps:
                np.matmul(photons[:, energies], elements.T, out=counts[:, groups])
        return counts

    @cached_property
    def _steps(self) -> tuple[list[Step], list[Step]]:
        """The elements of each block with its bins of energy and its groups, to and fro."""
        steps = [(block.elements, slice(block.energy, block.energy + block.elements.shape[1]),
                  slice(block.group, block.group + block.elements.shape[0])) for block in self.blocks]  # fmt: skip
        return steps, steps[::-1]

    @property
    def edges_kev(self) -> Floats:
        """Edges of the bins of energy in keV, shape (energies + 1,); where bins leave gaps, the lower edge counts."""
        return np.append(self.low_kev, self.high_kev[-1])

    def matrix(self) -> Floats:
        """Return the whole matrix, shape (groups, energies)."""
        full = np.zeros((self.groups, self.low_kev.size))
        for block in self.blocks:
            rows, columns = block.elements.shape
            full[block.group : block.group + rows, block.energy : block.energy + columns] = block.elements
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
    low[weights <= 0], high[weights <= 0] = groups, 0
    used = np.flatnonzero(low < high)
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
    energies = redistribution.energies
    parts = _parts(*_energy_ranges(low[first:last], high[first:last], groups))
    within = redistribution.first_values[first : last + 1]
    begin, end = int(within[0]), int(within[-1])
    energy = np.repeat(np.arange(last - first), np.diff(within))
    group = group_of_channel[redistribution.channel[begin:end]]
    lit = weights[first:last] > 0
    if not lit.all():
        group = np.where(lit[energy], group, -1)
    blocks = _blocks(parts, group, energy, redistribution.values[begin:end] * weights[first:last][energy], last - first)
    return Fold(energies.low[first:last], energies.high[first:last], groups, blocks)


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


def _energy_ranges(low: Whole, high: Whole, groups: int) -> tuple[Whole, Whole]:
    """Return the first bin of energy that each group may have counts from, and the one behind the last, (groups,).

    Both rise with the groups. `low` and `high` are the same of the groups of each bin of energy.
    """
    every = np.arange(groups)
    first = np.searchsorted(np.maximum.accumulate(high), every, side="right")
    return first, np.searchsorted(np.minimum.accumulate(low[::-1])[::-1], every, side="right")


def _parts(first: Whole, last: Whole) -> list[_Part]:
    """Return the parts of all groups whose products take least time together, from the energies of each group.

    The best partition of the groups up to each one is that up to an earlier one, and a part behind it.
    """
    edges = np.append(np.arange(0, first.size, -(-first.size // MOST_PARTS)), first.size)
    least, before = np.zeros(edges.size), np.zeros(edges.size, dtype=np.int64)
    for end in range(1, edges.size):
        begin = max(0, end - MOST_JOINED)
        begins = edges[begin:end]
        cost = least[begin:end] + np.maximum(last[edges[end] - 1] - first[begins], 0) * (edges[end] - begins)
        before[end] = begin + int(np.argmin(cost))
        least[end] = cost[before[end] - begin] + CALL
    found, end = [], edges.size - 1
    while end > 0:
        begin = int(before[end])
        groups = int(edges[begin]), int(edges[end])
        found.append(_Part(*groups, int(first[groups[0]]), int(last[groups[1] - 1])))
        end = begin
    return [each for each in reversed(found) if each.elements]


def _blocks(parts: Sequence[_Part], group: Whole, energy: Whole, values: Floats, energies: int) -> tuple[Block, ...]:
    """Return the sums of values over the channels of each group, in the parts; those of the group -1 are left out."""
    starts = np.cumsum([0, *(each.elements for each in parts)]).tolist()
    place = np.full(max((each.end for each in parts), default=0) + 1, starts[-1])  # the last one is that of -1
    for each, start in zip(parts, starts, strict=False):
        place[each.begin : each.end] = start - each.first + each.width * np.arange(each.end - each.begin)
    flat = np.bincount(place[group] + energy, values, minlength=starts[-1] + energies)
    elements: Elements = flat[: starts[-1]].astype(np.float64 if starts[-1] < MOST_DOUBLE else np.float32)
    return tuple(Block(each.first, each.begin, elements[start : start + each.elements].reshape(-1, each.width))
                 for each, start in zip(parts, starts, strict=False))  # fmt: skip
