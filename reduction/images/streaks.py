"""Read-out streaks: the events that came while a CCD was read out, spread along its columns.

While a CCD is read out it sees the sky still, and a photon that comes then gets a row (RAWY) by chance: a bright source
draws a line along its column. A mode has a known part of such events (XMM-Newton Users Handbook, section 3.3.10); what
a column holds of them is that part of all its events, the same on each of its rows. The task epchain of the SAS does
the same with an event list whose rows were shuffled. Events on bad pixels and beyond the field of view are not in the
list, so that the part is that of the others: too low by at most the part itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Column, Rows
from reduction.events.eventlist import EventList
from reduction.images.bands import Band
from reduction.images.counting import Counter
from reduction.images.grid import Grid, Placed
from reduction.images.observed import Exposure

Floats = npt.NDArray[np.float64]

_MOST_CCD = 15


@dataclass(frozen=True)
class ColumnGrid(Grid):
    """A grid whose rows are CCDs and whose columns are theirs: pixel (CCDNR, RAWX), both from 0 on."""

    ccd: Column | None = None

    def place(self, rows: Rows) -> Placed:
        """Return the column of the CCD of some rows of the list."""
        assert self.ccd is not None
        ccd, column = (each.values(rows).astype(np.int64) for each in (self.ccd, self.x))
        height, width = self.shape
        inside = (ccd >= 0) & (ccd < height) & (column >= 0) & (column < width)
        return Placed(ccd * width + column, inside, None)


def column_counter(events: EventList, bands: tuple[Band, ...]) -> Counter | None:
    """Return a counter of the events by CCD, column and band.

    None for a list without such columns, or of a mission of which the part of events out of time is not known.
    """
    detector = events.mission.detector
    columns = (events.ccd, events.rawx, events.rawy)
    if detector is None or not events.mission.late_share(events.keywords) or None in columns:
        return None
    assert events.ccd is not None and events.rawx is not None and events.rawy is not None
    if not (events.ccd.is_whole and events.rawx.is_whole):
        return None
    shape = (_MOST_CCD + 1, detector.rawx[1] + 1)
    return Counter(events, ColumnGrid(events.rawx, events.rawy, (0.0, 0.0), 1.0, shape, 1.0, ccd=events.ccd), bands)


def streaks(counts: Floats, late: float, exposure: Exposure, grid: Grid) -> Floats:
    """Return the expected counts of events out of time.

    Parameters
    ----------
    counts
        Events by CCD and column, shape (CCDs, columns), both from 0 on.
    late
        The part of the events that came out of time.
    exposure
        Where the CCDs lie, and what of each pixel of the image they cover.
    grid
        The grid of the image in the plane of X and Y.

    Returns
    -------
    array
        Counts, shape (rows, columns).
    """
    expected = np.zeros(grid.shape)
    across, up = grid.centres()
    edges = np.arange(counts.shape[1] + 1) - 0.5
    for ccd, place in exposure.places.items():
        live_s = exposure.live_s.get(ccd, 0.0)
        if ccd >= len(counts) or live_s <= 0:
            continue
        column, row = (matrix[0] * across + matrix[1] * up[:, None] + offset
                       for matrix, offset in zip(place.matrix, place.offset, strict=True))  # fmt: skip
        half = grid.step * float(np.hypot(*place.matrix[0])) / 2  # of a pixel of the image, in columns
        first, last = place.window.rawy
        near = (row > first - half - 0.5) & (row < last + half + 0.5)
        summed = np.concatenate(([0.0], np.cumsum(counts[ccd])))
        held = np.interp(column + half, edges, summed) - np.interp(column - half, edges, summed)
        rows = grid.step**2 / place.pixel_area / (2 * half)  # of a column, in a pixel of the image
        covered = np.minimum(exposure.seconds / live_s, 1.0)
        expected += np.where(near, late / (last - first + 1) * rows * held * covered, 0.0)
    return expected
