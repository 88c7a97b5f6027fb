"""Bayesian blocks of photons: the partition of a light curve into pieces of constant rate that fits its events best.

The fitness is that of Scargle et al. (2013, ApJ 764, 167), and so is the prior of the number of blocks. Times are live
times, in which a gap has no length: a gap is then no block without events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

MOST_CELLS = 50_000
"""The most events that are partitioned one by one; more are first put together to cells."""

BINNED_CELLS = 4000
"""How many cells of equal counts larger lists are put together to."""

_PRUNE_EVERY = 32
_ROUNDING = 1e-7
"""What rounding may do to a sum of fitness: candidates within it are kept."""


@dataclass(frozen=True)
class _Cells:
    """Cells of the events: their edges, shape (cells + 1,), and the number of events before each edge."""

    edges: Floats
    before: Floats

    def coarse(self, cells: int) -> _Cells:
        """Return at most so many cells of nearly equal counts, whose edges are among these."""
        last = len(self.edges) - 1
        if cells >= last:
            return self
        kept = np.unique(np.linspace(0, last, cells + 1).round().astype(np.intp))
        return _Cells(self.edges[kept], self.before[kept])


def bayesian_blocks(
    times_s: npt.ArrayLike,
    false_alarm: float = 0.01,
    start_s: float | None = None,
    stop_s: float | None = None,
    cells: int | None = None,
) -> Floats:
    """Return the edges of the blocks of constant rate.

    Parameters
    ----------
    times_s
        Live times of the events in seconds, in any order, shape (n,).
    false_alarm
        Probability that a constant source gets a change point, above 0 and below 1: equation 21 of Scargle et al.
    start_s
        The live time from which there was exposure; None for the first event.
    stop_s
        The live time at which it ended; None for the last event.
    cells
        Partition at most so many cells of equal counts, then move each edge to the best place within its cells; None
        for events one by one, up to MOST_CELLS of them.

    Returns
    -------
    Floats
        Ascending live times in seconds, shape (blocks + 1,).

    Raises
    ------
    ReductionError
        The probability is not between 0 and 1.
    """
    if not 0 < false_alarm < 1:
        raise ReductionError(f"{false_alarm:g} is no probability; give one above 0 and below 1, such as 0.01",
                             "false_alarm")  # fmt: skip
    events = np.sort(np.asarray(times_s, dtype=np.float64))
    first = (events[0] if events.size else 0.0) if start_s is None else start_s
    last = (events[-1] if events.size else 0.0) if stop_s is None else stop_s
    if events.size < 2:
        return np.array([first, last], dtype=np.float64)
    fine = _cells(events, float(first), float(last))
    if cells is None and len(fine.edges) - 1 > MOST_CELLS:
        cells = BINNED_CELLS
    penalty = 4 - np.log(73.53 * false_alarm * (len(fine.edges) - 1) ** -0.478)
    coarse = fine if cells is None else fine.coarse(cells)
    found = coarse.edges[_change_points(coarse, float(penalty))]
    return found if coarse is fine else _refined(found, fine, coarse)


def _cells(events: Floats, first: float, last: float) -> _Cells:
    """Return a cell for each time of sorted events: from half-way to the one before to half-way to the next."""
    times, numbers = np.unique(events, return_counts=True)
    edges = np.concatenate(([first], (times[1:] + times[:-1]) / 2, [last]))
    before = np.concatenate(([0], np.cumsum(numbers))).astype(np.float64)
    kept = np.concatenate(([True], np.diff(edges) > 0))
    kept[-1] = True
    return _Cells(edges[kept], before[kept])


class _Candidates:
    """The edges at which the last block may begin.

    One may be dropped once no rate is left for which a block from it is better than one from a later edge: it can be
    best for no later end (functional pruning: Rigaill 2015; Maidstone et al. 2017, Stat. Comput. 27, 519). `low` and
    `high` enclose the logarithms of those rates; they are never narrower than they are, so that the result is exact.
    """

    def __init__(self) -> None:
        self._columns = np.empty((5, 256))
        self._indices = np.empty(256, dtype=np.intp)
        self._size = 0
        self._compared = 0

    def add(self, index: int, before: float, edge: float, fitness: float) -> None:
        """Add an edge, with the events before it, its place and the best fitness up to it."""
        if self._size == self._indices.size:
            self._columns = np.concatenate((self._columns, np.empty_like(self._columns)), axis=1)
            self._indices = np.concatenate((self._indices, np.empty_like(self._indices)))
        self._columns[:, self._size] = before, edge, fitness, -np.inf, np.inf
        self._indices[self._size] = index
        self._size += 1

    def best(self, before: float, edge: float) -> tuple[float, int]:
        """Return the best fitness up to an end, the prior left out, and the edge at which its last block begins."""
        start, place, fitness = self._columns[:3, : self._size]
        counts = before - start
        sums = np.log(counts / (edge - place))
        sums *= counts
        sums += fitness
        best = int(sums.argmax())
        return float(sums[best]), int(self._indices[best])

    def prune(self) -> None:
        """Drop what can be best no more, once there are enough new edges."""
        if self._size - self._compared < _PRUNE_EVERY:
            return
        columns = self._columns[:, : self._size]
        low, high = _better_rates(columns[:3, :, None], columns[:3, None, self._compared :])
        np.maximum(columns[3], low.max(axis=1), out=columns[3])
        np.minimum(columns[4], high.min(axis=1), out=columns[4])
        kept = np.flatnonzero(columns[3] <= columns[4])
        self._columns[:, : kept.size] = columns[:, kept]
        self._indices[: kept.size] = self._indices[kept]
        self._size = self._compared = kept.size


def _better_rates(early: Floats, late: Floats) -> tuple[Floats, Floats]:
    """Return between which logarithms of the rate a block from an early edge is better than one from a later one.

    The difference of both is D + N x - T exp(x), which is highest at log(N / T). With m its height there over N it is
    above 0 between the roots of exp(u) - 1 - u = m; the lower is above -sqrt(2 m) - m (Chatzigeorgiou 2013), and a
    step of Newton from sqrt(2 m), above the upper one, stays above it.
    """
    counts, length = late[0] - early[0], late[1] - early[1]
    is_later = counts > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.log(counts / length)
        height = early[2] - late[2] + counts * middle
        m = np.maximum(height + _ROUNDING, 0.0) / counts
        root = np.sqrt(2 * m)
        grown = np.expm1(root)
        upper = root - np.where(root > 1e-6, (grown - root - m) / grown, 0.0)
        low = np.where(height < -_ROUNDING, np.inf, middle - root - m - 1e-9)
        high = middle + upper + 1e-9
    return np.where(is_later, low, -np.inf), np.where(is_later, high, np.inf)


def _change_points(cells: _Cells, penalty: float) -> npt.NDArray[np.intp]:
    """Return the indices of the edges of the blocks, the first and the last edge included."""
    before, edges = cells.before.tolist(), cells.edges.tolist()
    begins = np.zeros(len(edges), dtype=np.intp)
    candidates, fitness = _Candidates(), 0.0
    for end in range(1, len(edges)):
        candidates.add(end - 1, before[end - 1], edges[end - 1], fitness)
        best, begins[end] = candidates.best(before[end], edges[end])
        fitness = best - penalty
        candidates.prune()
    found = [len(edges) - 1]
    while found[-1] > 0:
        found.append(int(begins[found[-1]]))
    return np.array(found[::-1], dtype=np.intp)


def _refined(blocks: Floats, fine: _Cells, coarse: _Cells) -> Floats:
    """Move each inner edge to the place within the two coarse cells beside it that fits the events best."""
    places = np.searchsorted(fine.edges, blocks)
    beside = np.searchsorted(fine.edges, coarse.edges)
    for number in range(1, len(places) - 1):
        cell = int(np.searchsorted(beside, places[number]))
        low = max(int(places[number - 1]) + 1, int(beside[cell - 1]))
        high = min(int(places[number + 1]) - 1, int(beside[cell + 1]))
        tried = np.arange(low, high + 1)
        sums = _fitness(fine, int(places[number - 1]), tried) + _fitness(fine, tried, int(places[number + 1]))
        places[number] = tried[int(sums.argmax())]
    return fine.edges[places]


def _fitness(cells: _Cells, begin: int | npt.NDArray[np.intp], end: int | npt.NDArray[np.intp]) -> Floats:
    counts = cells.before[end] - cells.before[begin]
    return np.asarray(counts * np.log(counts / (cells.edges[end] - cells.edges[begin])), dtype=np.float64)
