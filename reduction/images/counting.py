"""Counts of events in the pixels of one or several images and bands, in one pass over an event list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.gathering import Tally, Target, gather
from reduction.events.selection import Mask, Region, Selection
from reduction.images.bands import Band, around
from reduction.images.grid import Grid

Counts = npt.NDArray[np.int32]

MOST_CELLS = 36_000_000
"""Most pixels of all bands together: 144 MB."""

_MOST_WAITING = 1_500_000
"""Most events of all bands whose pixels wait to be counted together: 12 MB."""


@dataclass
class Counter:
    """Counts of the selected events in the pixels of a grid, by band: `counts` of shape (bands, rows, columns).

    `outside` are events with a position beyond the grid, `unplaced` those that have none, by band.
    """

    events: EventList
    grid: Grid
    bands: Sequence[Band]
    outside: npt.NDArray[np.int64] = field(init=False)
    unplaced: npt.NDArray[np.int64] = field(init=False)
    _counts: Counts = field(init=False)
    _tests: list[Callable[[Rows], npt.NDArray[np.bool_]]] = field(init=False)
    _waiting: npt.NDArray[np.intp] = field(init=False)
    _fill: list[int] = field(init=False)

    def __post_init__(self) -> None:
        if len(self.bands) * self.grid.pixels > MOST_CELLS:
            raise ReductionError(f"{len(self.bands)} bands of {self.grid.pixels:,} pixels each are more than "
                                 f"{MOST_CELLS:,} pixels; give fewer bands, larger bins or a smaller size",
                                 "bands")  # fmt: skip
        self._counts = np.zeros((len(self.bands), *self.grid.shape), dtype=np.int32)
        self._waiting = np.empty((len(self.bands), max(_MOST_WAITING // len(self.bands), 1)), dtype=np.intp)
        self._fill = [0 for _ in self.bands]
        self.outside, self.unplaced = np.zeros((2, len(self.bands)), dtype=np.int64)
        anything = Selection((0.0, 0.0), None, 0, {})
        limits = [band.within(self.events, anything).stored_energies(self.events) for band in self.bands]
        self._tests = [self.events.energy.between(low, high) for low, high in limits]

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        for index in range(len(self.bands)):
            self._add(index)
        return self._counts

    def _add(self, index: int) -> None:
        """Add the pixels of a band that wait: for a few events at a time, zeroing an image costs more than they do."""
        if self._fill[index]:
            pixels = self._waiting[index, : self._fill[index]]
            found = np.bincount(pixels, minlength=self.grid.pixels + 1)
            self._counts[index] += found[1:].reshape(self.grid.shape)
            self._fill[index] = 0

    def _await(self, index: int, pixels: npt.NDArray[Any], on_grid: Mask) -> None:
        """Have pixels of a band wait, numbered from 1: 0 stands for what is not counted.

        To copy the others together would cost five times as much. They wait in memory that is taken once.
        """
        room = self._waiting.shape[1]
        for first in range(0, pixels.size, room):
            part = slice(first, first + room)
            size = pixels[part].size
            if self._fill[index] + size > room:
                self._add(index)
            place = self._waiting[index, self._fill[index] : self._fill[index] + size]
            np.multiply(pixels[part] + pixels.dtype.type(1), on_grid[part], out=place, casting="unsafe")
            self._fill[index] += size

    def __call__(self, rows: Rows, wanted: Mask | None = None) -> None:
        """Count some rows, or those of them that are wanted: most, for every row is placed."""
        placed = self.grid.place(rows)
        for index, test in enumerate(self._tests):
            mine = test(rows) if wanted is None else test(rows) & wanted
            on_grid = mine & placed.inside
            self._await(index, placed.pixel, on_grid)
            unplaced = 0 if placed.known is None else np.count_nonzero(mine & ~placed.known)
            self.unplaced[index] += unplaced
            self.outside[index] += np.count_nonzero(mine) - np.count_nonzero(on_grid) - unplaced


def count(
    events: EventList,
    selection: Selection,
    counters: Sequence[Counter],
    region: Region | None = None,
    observers: Iterable[Callable[[Rows], None]] = (),
) -> Tally:
    """Go once through an event list and count for every image.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be; its energies are replaced by those of the bands.
    counters
        The images; their counts grow.
    region
        Where it must be, in the plane of the X,Y columns; None for everywhere.
    observers
        Called with every chunk of rows before selection.

    Returns
    -------
    Tally
        What was selected between the lowest and the highest energy of all bands, without counts of its channels.

    Raises
    ------
    ReductionError
        A region is given and the list has no sky columns.
    """
    every = replace(selection, energy_kev=around([band for counter in counters for band in counter.bands]))

    def observer(rows: Rows, wanted: Mask) -> None:
        for counter in counters:
            counter(rows, wanted)

    (tally,) = gather(events, every, [Target(region, observer=observer, channels=False)], observers)
    return tally
