"""The good area of a region: its size less the gaps between CCDs and the bad pixels, and how it is shared by the CCDs.

Where CCDs lie on the sky is learnt from the events themselves: each has its raw pixel and its sky pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.eventlist import BadPixels, EventList
from reduction.events.selection import Region, Rows
from reduction.missions import Window

Floats = npt.NDArray[np.float64]

SAMPLE_ROWS = 60_000
"""Events looked at to place the CCDs, spread over the list."""

MIN_EVENTS = 100
"""Fewest events that place a CCD: the mean of 100 is good to 2.5 sky pixels of 0.05 arcsec for pn, 0.6 for MOS."""

GRID = 501
"""Points of the grid over a region along each side; odd, so that it keeps no step with the pixels."""


class SizedRegion(Region, Protocol):
    """A region that knows its area."""

    def area(self) -> float:
        """Area in squared pixels of the X,Y plane."""


@dataclass(frozen=True)
class CcdPlace:
    """Where one CCD lies in the plane of the X,Y columns.

    ``(RAWX, RAWY) = matrix @ (X, Y) + offset``; `good` says of each raw pixel of `window` whether it counts, shape
    (columns, rows).
    """

    matrix: Floats
    offset: Floats
    window: Window
    good: npt.NDArray[np.bool_]

    @property
    def pixel_area(self) -> float:
        """Area of a raw pixel in squared sky pixels."""
        return float(1 / abs(np.linalg.det(self.matrix)))

    @property
    def extent(self) -> tuple[Floats, Floats]:
        """Lowest and highest X,Y of the window, shape (2,) each."""
        columns = self.window.rawx[0] - 1.0, self.window.rawx[1] + 1.0
        rows = self.window.rawy[0] - 1.0, self.window.rawy[1] + 1.0
        corners = np.array([(column, row) for column in columns for row in rows]).T
        sky = np.linalg.solve(self.matrix, corners - self.offset[:, None])
        return sky.min(axis=1), sky.max(axis=1)

    def covers(self, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
        """Which points, shape (n,), lie on a good pixel."""
        raw = np.floor(self.matrix @ np.stack((x, y)) + self.offset[:, None] + 0.5)
        column = raw[0] - self.window.rawx[0]
        row = raw[1] - self.window.rawy[0]
        on = (column >= 0) & (column < self.good.shape[0]) & (row >= 0) & (row < self.good.shape[1])
        covered = np.zeros(x.size, dtype=np.bool_)
        covered[on] = self.good[column[on].astype(np.intp), row[on].astype(np.intp)]
        return covered


@dataclass
class Sampler:
    """Looks at some events of every chunk, before selection, and remembers their raw and sky pixels and CCD."""

    events: EventList
    _parts: list[Floats] = field(default_factory=list)

    def __call__(self, rows: Rows) -> None:
        """Take the sample of a chunk."""
        events = self.events
        if events.x is None or events.y is None:
            return
        some = rows[:: max(1, events.nrows // SAMPLE_ROWS)]
        columns = [events.x, events.y]
        if events.ccd and events.rawx and events.rawy and events.mission.detector:
            columns += [events.ccd, events.rawx, events.rawy]
        part = np.stack([column.values(some).astype(np.float64) for column in columns])
        for column in (events.x, events.y):
            valid = column.valid(some)
            if valid is not None:
                part[0, ~valid] = np.nan
        self._parts.append(part[:, np.isfinite(part).all(axis=0)])

    @property
    def table(self) -> Floats:
        """X, Y and, where a CCD can be placed, CCD, RAWX and RAWY: shape (2 or 5, n)."""
        return np.concatenate(self._parts, axis=1) if self._parts else np.empty((2, 0))


@dataclass(frozen=True)
class GoodArea:
    """Area of a region in squared sky pixels and the part of each CCD in it (empty: not known)."""

    pixels: float
    shares: Mapping[int | None, float]
    notes: tuple[str, ...] = ()


def place_ccds(events: EventList, table: Floats) -> dict[int, CcdPlace]:
    """Place the CCDs by a robust linear fit of X,Y on RAWX,RAWY for each; CCDs with too few events are left out."""
    places: dict[int, CcdPlace] = {}
    if events.mission.detector is None or table.shape[0] < 5:
        return places
    for ccd in np.unique(table[2]):
        mine = table[:, table[2] == ccd]
        fit = _fit(mine[3:5], mine[0:2])
        if fit is None:
            continue
        matrix, offset = fit
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        full = events.mission.detector
        window = Window(_read_out(mine[3], full.rawx), _read_out(mine[4], full.rawy))
        good = _good_pixels(window, events.bad_pixels.get(int(ccd)))
        places[int(ccd)] = CcdPlace(inverse, -inverse @ offset, window, good)
    return places


def _fit(raw: Floats, sky: Floats) -> tuple[Floats, Floats] | None:
    """Least squares of ``sky = matrix @ raw + offset``, outliers cut at 4 sigma (from the median); None if unfit."""
    kept = np.ones(raw.shape[1], dtype=bool)
    solution: Floats = np.empty((3, 2))
    limit = 0.0
    for _ in range(5):
        if np.count_nonzero(kept) < MIN_EVENTS:
            return None
        design = np.column_stack((raw[:, kept].T, np.ones(np.count_nonzero(kept))))
        found, _, rank, _ = np.linalg.lstsq(design, sky[:, kept].T, rcond=1e-9)
        if rank < 3:
            return None
        solution = np.asarray(found, dtype=np.float64)
        rest = np.abs(sky - (solution[:2].T @ raw + solution[2][:, None])).max(axis=0)
        limit = 4 * 1.4826 * float(np.median(rest[kept])) + 1e-9
        now = rest <= limit
        if np.array_equal(now, kept):
            break
        kept = now
    matrix = solution[:2].T
    # A true place leaves half a pixel, so the limit is some 3 pixels; raw pixels that say nothing leave far more.
    pixel = float(np.sqrt(abs(np.linalg.det(matrix))))
    return (matrix, solution[2]) if limit < 8 * pixel else None


def _read_out(values: Floats, limits: tuple[int, int]) -> tuple[int, int]:
    """Pixels read out along one axis: the whole detector unless events stop well short of its edge (a window mode)."""
    low, high = int(values.min()), int(values.max())
    slack = max(3.0, 12.0 * (high - low + 1) / values.size)
    return (low if low - limits[0] > slack else limits[0]), (high if limits[1] - high > slack else limits[1])


def _good_pixels(window: Window, bad: BadPixels | None) -> npt.NDArray[np.bool_]:
    """Pixels of a window that are not bad, shape (columns, rows)."""
    (first_x, last_x), (first_y, last_y) = window.rawx, window.rawy
    good = np.ones((last_x - first_x + 1, last_y - first_y + 1), dtype=np.bool_)
    if bad is None:
        return good
    for column, row, extent in zip(bad.rawx.tolist(), bad.rawy.tolist(), bad.extent.tolist(), strict=True):
        if first_x <= column <= last_x:
            good[column - first_x, max(row - first_y, 0) : max(row - first_y + max(extent, 1), 0)] = False
    return good


def good_area(
    events: EventList, region: SizedRegion | None, places: Mapping[int, CcdPlace], ccds: Mapping[int | None, int]
) -> GoodArea:
    """Area of a region (None: of all CCDs) that the detector sees.

    The region's own area is taken times the part of a grid of points over it that falls on good pixels.

    Parameters
    ----------
    events
        The open event list.
    region
        A region in the plane of the X,Y columns.
    places
        The CCDs, from `place_ccds`.
    ccds
        CCDs with events in the region; one that could not be placed means no correction.
    """
    lost = sorted(ccd for ccd in ccds if ccd is not None and ccd not in places)
    if not places or lost:
        notes = []
        if events.mission.detector is not None:
            which = f"CCD {', '.join(map(str, lost))}" if lost else "the CCDs"
            notes.append(f"too few events to place {which}: gaps and bad pixels are not taken off the area")
        return GoodArea(region.area() if region else 1.0, {}, tuple(notes))
    notes = [] if events.bad_pixels else ["no BADPIX tables: bad pixels are not taken off the area"]
    if region is None:
        areas = {ccd: place.pixel_area * np.count_nonzero(place.good) for ccd, place in places.items()}
        total = float(sum(areas.values()))
        return GoodArea(total, {ccd: float(area) / total for ccd, area in areas.items()}, tuple(notes))
    x, y = _grid(region)
    free = np.ones(x.size, dtype=np.bool_)
    shares: dict[int | None, float] = {}
    for ccd, place in places.items():
        low, high = place.extent
        near = np.flatnonzero(free & (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
        on = near[place.covers(x[near], y[near])]
        free[on] = False
        if on.size:
            shares[ccd] = on.size / x.size
    seen = sum(shares.values())
    return GoodArea(region.area() * seen, {ccd: part / seen for ccd, part in shares.items()}, tuple(notes))


def _grid(region: Region) -> tuple[Floats, Floats]:
    """Evenly spaced points of the box around a region that lie in it."""
    low_x, high_x, low_y, high_y = region.bounds
    across = low_x + (np.arange(GRID) + 0.5) * (high_x - low_x) / GRID
    up = low_y + (np.arange(GRID) + 0.5) * (high_y - low_y) / GRID
    x, y = (axis.ravel() for axis in np.meshgrid(across, up))
    inside = region.contains(x, y)
    return x[inside], y[inside]


def require_in_field(events: EventList, region: Region, table: Floats, seen: bool, parameter: str) -> None:
    """Refuse a region without events that lies outside the field.

    Parameters
    ----------
    events, region
        The open event list and a region in which none of its events were found.
    table
        The sample of the events.
    seen
        Whether any CCD is known to see the region.
    parameter
        Job parameter named in the error.

    Raises
    ------
    ReductionError
        The box around the region and that around the events have nothing in common, or no CCD sees the region.
    """
    if table.shape[1] == 0 or events.wcs is None:
        return
    low, high = np.percentile(table[:2], (0.1, 99.9), axis=1)
    bounds = region.bounds
    apart = bounds[1] < low[0] or bounds[0] > high[0] or bounds[3] < low[1] or bounds[2] > high[1]
    if seen and not apart:
        return
    centre = (low + high) / 2
    radius = float(np.percentile(np.hypot(*(table[:2] - centre[:, None])), 99.9))
    lon, lat = (float(value) for value in events.wcs.wcs_pix2world([centre], 0)[0])
    arcmin = radius * abs(float(events.wcs.wcs.cdelt[1])) * 60
    raise ReductionError(f"the region lies outside the field of the event list, which is centred on {lon:.5f} "
                         f"{lat:+.5f} deg ({events.wcs.wcs.radesys}) with a radius of {arcmin:.1f} arcmin",
                         parameter)  # fmt: skip
