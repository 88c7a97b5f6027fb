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
from reduction.images.grid import Grid, Placed

Counts = npt.NDArray[np.int32]

MOST_CELLS = 36_000_000
"""Most pixels of all bands together: 144 MB."""

_ONE = np.int32(1)

_FEW = 4
"""Where less than one in so many rows counts, their pixels are copied together: else it costs more than it saves."""


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
    counts: Counts = field(init=False)
    _tests: list[Callable[[Rows], npt.NDArray[np.bool_]]] = field(init=False)

    def __post_init__(self) -> None:
        if len(self.bands) * self.grid.pixels > MOST_CELLS:
            raise ReductionError(f"{len(self.bands)} bands of {self.grid.pixels:,} pixels each are more than "
                                 f"{MOST_CELLS:,} pixels; give fewer bands, larger bins or a smaller size",
                                 "bands")  # fmt: skip
        self.counts = np.zeros((len(self.bands), *self.grid.shape), dtype=np.int32)
        self.outside, self.unplaced = np.zeros((2, len(self.bands)), dtype=np.int64)
        anything = Selection((0.0, 0.0), None, 0, {})
        limits = [band.within(self.events, anything).stored_energies(self.events) for band in self.bands]
        self._tests = [self.events.energy.between(low, high) for low, high in limits]

    def _add(self, index: int, pixels: npt.NDArray[Any], on_grid: Mask, number: int) -> None:
        """Add the events of a band that are on the grid, as many as `number`, to its image.

        Most events count as a rule: the others are then counted in the first pixel and taken away again, which costs a
        fifth of copying together those that count.
        """
        image = self.counts[index].reshape(-1)
        if _FEW * number < pixels.size:
            np.add.at(image, pixels[on_grid].astype(np.intp, copy=False), _ONE)
            return
        places = np.empty(pixels.size, dtype=np.intp)
        np.multiply(pixels, on_grid, out=places, casting="unsafe")
        np.add.at(image, places, _ONE)
        image[0] -= pixels.size - number

    def __call__(self, rows: Rows, wanted: Mask | None = None) -> None:
        """Count some rows, or those of them that are wanted: most, for every row is placed."""
        placed = self.grid.place(rows)
        for index, test in enumerate(self._tests):
            self._count(index, placed, test(rows) if wanted is None else test(rows) & wanted)

    def among(self, selection: Selection) -> Callable[[Rows, Mask], None]:
        """Return what counts those of some rows that passed a selection: its energies are not looked at again."""
        if [band.within(self.events, selection) for band in self.bands] != [selection]:
            return self
        return lambda rows, wanted: self._count(0, self.grid.place(rows), wanted)

    def _count(self, index: int, placed: Placed, mine: Mask) -> None:
        """Count the events of a band, of all that were placed."""
        on_grid = mine & placed.inside
        number = int(np.count_nonzero(on_grid))
        if number:
            self._add(index, placed.pixel, on_grid, number)
        unplaced = 0 if placed.known is None else np.count_nonzero(mine & ~placed.known)
        self.unplaced[index] += unplaced
        self.outside[index] += np.count_nonzero(mine) - number - unplaced


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
    counting = [counter.among(every) for counter in counters]

    def observer(rows: Rows, wanted: Mask) -> None:
        for counter in counting:
            counter(rows, wanted)

    (tally,) = gather(events, every, [Target(region, observer=observer, channels=False)], observers)
    return tally
