"""The good area of a region: its area less the gaps between CCDs and the bad pixels, and the part of it on each CCD.

The position of a CCD on the sky is fitted to the events themselves: every event has a raw pixel and a sky pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import BadPixels, EventList
from reduction.events.selection import Region
from reduction.missions import Window
from reduction.spectra.field import Circle

Floats = npt.NDArray[np.float64]

SAMPLE_ROWS = 60_000
"""Number of events, spread over the list, from which the CCDs are placed."""

MIN_EVENTS = 100
"""Fewest events that place a CCD: the mean of 100 is good to 2.5 sky pixels (of 0.05 arcsec) for pn, 0.6 for MOS."""

GRID = 501
"""Points along each side of the grid over a region; an odd number, so that the grid is not in step with the pixels."""


class SizedRegion(Region, Protocol):
    """Region whose area is known."""

    def area(self) -> float:
        """Return the area in squared pixels of the X,Y plane."""


@dataclass(frozen=True)
class CcdPlace:
    """Position of one CCD in the plane of the X,Y columns.

    ``(RAWX, RAWY) = matrix @ (X, Y) + offset``, with a matrix of shape (2, 2) and an offset of shape (2,) in raw
    pixels. `good` has the shape (columns, rows) of `window` and is False for bad pixels.
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
        """Lowest and highest X,Y of the window, shape (2,) both."""
        columns = self.window.rawx[0] - 1.0, self.window.rawx[1] + 1.0
        rows = self.window.rawy[0] - 1.0, self.window.rawy[1] + 1.0
        corners = np.array([(column, row) for column in columns for row in rows]).T
        sky = np.linalg.solve(self.matrix, corners - self.offset[:, None])
        return sky.min(axis=1), sky.max(axis=1)

    def covers(self, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
        """Return whether points of the X,Y plane lie on a good pixel, shape (n,) like `x` and `y`."""
        raw = self.matrix @ np.stack((x, y))
        raw += self.offset[:, None]
        raw += 0.5
        np.floor(raw, out=raw)
        raw -= [[self.window.rawx[0]], [self.window.rawy[0]]]
        column, row = raw
        columns, rows = self.good.shape
        in_window = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        column *= rows
        column += row  # the place of the pixel, row by row of `good`
        covered = np.zeros(x.size, dtype=np.bool_)
        covered[in_window] = self.good.reshape(-1)[column[in_window].astype(np.intp)]
        return covered


@dataclass
class Sampler:
    """Keep CCD, raw pixel and sky pixel of a sample of the events, taken from every chunk before selection."""

    events: EventList
    _parts: list[Floats] = field(default_factory=list)

    def __call__(self, rows: Rows) -> None:
        """Add a sample of the rows of one chunk."""
        events = self.events
        if events.x is None or events.y is None:
            return
        sample = rows[:: max(1, events.nrows // SAMPLE_ROWS)]
        columns = [events.x, events.y]
        if events.ccd and events.rawx and events.rawy and events.mission.detector:
            columns += [events.ccd, events.rawx, events.rawy]
        part = np.stack([column.floats(sample) for column in columns])
        finite = np.isfinite(part)
        self._parts.append(part if finite.all() else part[:, finite.all(axis=0)])

    @property
    def table(self) -> Floats:
        """X, Y and, where CCDs can be placed, CCD, RAWX and RAWY of n events: shape (2, n) or (5, n)."""
        return np.concatenate(self._parts, axis=1) if self._parts else np.empty((2, 0))


@dataclass(frozen=True)
class GoodArea:
    """Area of a region in squared sky pixels, and the part of it that lies on each CCD (empty if that is not known).

    The parts in `shares`, by CCD number, have the sum 1. `notes` are sentences for the log of the job.
    """

    pixels: float
    shares: Mapping[int | None, float]
    notes: tuple[str, ...] = ()


def place_ccds(events: EventList, table: Floats) -> dict[int, CcdPlace]:
    """Place the CCDs by a robust linear fit of X,Y to RAWX,RAWY.

    Parameters
    ----------
    events
        The open event list.
    table
        Sample of its events from `Sampler.table`, shape (2, n) or (5, n).

    Returns
    -------
    dict
        CCD number -> its position. CCDs with fewer than `MIN_EVENTS` events in the sample, or whose sky positions do
        not follow their raw ones, are left out.
    """
    places: dict[int, CcdPlace] = {}
    if events.mission.detector is None or table.shape[0] < 5:
        return places
    for ccd in np.unique(table[2]):
        of_ccd = table[:, table[2] == ccd]
        fit = _fit(of_ccd[3:5], of_ccd[0:2])
        if fit is None:
            continue
        matrix, offset = fit
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        full = events.mission.detector
        window = Window(_read_out(of_ccd[3], full.rawx), _read_out(of_ccd[4], full.rawy))
        good = _good_pixels(window, events.bad_pixels.get(int(ccd)))
        places[int(ccd)] = CcdPlace(inverse, -inverse @ offset, window, good)
    return places


def _fit(raw: Floats, sky: Floats) -> tuple[Floats, Floats] | None:
    """Fit ``sky = matrix @ raw + offset`` by least squares, outliers cut at 4 sigma (from the median of the residuals).

    Returns None if there are too few events or the positions do not follow the raw pixels.
    """
    kept = np.ones(raw.shape[1], dtype=bool)
    solution: Floats = np.empty((3, 2))
    limit = 0.0
    for _ in range(5):
        if np.count_nonzero(kept) < MIN_EVENTS:
            return None
        design = np.column_stack((raw[:, kept].T, np.ones(np.count_nonzero(kept))))
        coefficients, _, rank, _ = np.linalg.lstsq(design, sky[:, kept].T, rcond=1e-9)
        if rank < 3:
            return None
        solution = np.asarray(coefficients, dtype=np.float64)
        residual = np.abs(sky - (solution[:2].T @ raw + solution[2][:, None])).max(axis=0)
        limit = 4 * 1.4826 * float(np.median(residual[kept])) + 1e-9
        within_limit = residual <= limit
        if np.array_equal(within_limit, kept):
            break
        kept = within_limit
    matrix = solution[:2].T
    # Events of a placed CCD scatter by half a raw pixel, so that the limit is some 3 pixels; where X,Y do not follow
    # RAWX,RAWY the residuals are far larger.
    pixel = float(np.sqrt(abs(np.linalg.det(matrix))))
    return (matrix, solution[2]) if limit < 8 * pixel else None


def _read_out(values: Floats, limits: tuple[int, int]) -> tuple[int, int]:
    """Return the first and last pixel that is read out along one axis.

    That is the whole detector, unless the events stop well short of its edge, as in a window mode.
    """
    low, high = int(values.min()), int(values.max())
    slack = max(3.0, 12.0 * (high - low + 1) / values.size)
    return (low if low - limits[0] > slack else limits[0]), (high if limits[1] - high > slack else limits[1])


def _good_pixels(window: Window, bad: BadPixels | None) -> npt.NDArray[np.bool_]:
    """Return which pixels of a window are not bad, shape (columns, rows)."""
    (first_x, last_x), (first_y, last_y) = window.rawx, window.rawy
    good = np.ones((last_x - first_x + 1, last_y - first_y + 1), dtype=np.bool_)
    if bad is None:
        return good
    for column, row, extent in zip(bad.rawx.tolist(), bad.rawy.tolist(), bad.extent.tolist(), strict=True):
        if first_x <= column <= last_x:
            good[column - first_x, max(row - first_y, 0) : max(row - first_y + max(extent, 1), 0)] = False
    return good


def good_area(
    events: EventList, region: SizedRegion | None, places: Mapping[int, CcdPlace], ccds: Mapping[int | None, int],
    edge: Circle | None = None,
) -> GoodArea:  # fmt: skip
    """Return the area of a region that lies on good pixels within the field of view.

    It is the geometrical area of the region times the part of a regular grid of points in it that falls on good pixels;
    a point that lies on two overlapping CCDs counts for the first. The SAS, too, leaves out what lies outside of the
    field of view (`backscale`, whose parameter ignoreoutoffov is true).

    Parameters
    ----------
    events
        The open event list.
    region
        A region in the plane of the X,Y columns (pixels); None for all CCDs.
    places
        CCD number -> its position, from `place_ccds`.
    ccds
        CCD number -> counts in the region.
    edge
        The edge of the field of view; None where the region does not reach it.

    Returns
    -------
    GoodArea
        Area in squared sky pixels with the share of each CCD. If no CCD, or not every one of `ccds`, could be placed,
        it is the geometrical area within the field without shares (1 without a region), and a note says so.
    """
    x, y = points_in(region) if region is not None else (np.empty(0), np.empty(0))
    free = np.ones(x.size, dtype=np.bool_) if edge is None else edge.distance(x, y) <= 0
    seen = np.count_nonzero(free) / x.size if x.size else 1.0
    cut = [] if seen == 1 else [f"{percent(1 - seen)} of the region lies outside of the field of view and is not in "
                                "its area"]  # fmt: skip
    lost = sorted(ccd for ccd in ccds if ccd is not None and ccd not in places)
    if not places or lost:
        notes = []
        if events.mission.detector is not None:
            which = f"CCD {', '.join(map(str, lost))}" if lost else "the CCDs"
            notes.append(f"too few events to place {which}: gaps and bad pixels are not taken off the area")
        return GoodArea(region.area() * seen if region else 1.0, {}, tuple(notes + cut))
    notes = [] if events.bad_pixels else ["no BADPIX tables: bad pixels are not taken off the area"]
    if region is None:
        areas = {ccd: place.pixel_area * np.count_nonzero(place.good) for ccd, place in places.items()}
        total = float(sum(areas.values()))
        return GoodArea(total, {ccd: float(area) / total for ccd, area in areas.items()}, tuple(notes))
    shares: dict[int | None, float] = {}
    first_x, last_x, first_y, last_y = region.bounds
    for ccd, place in places.items():
        low, high = place.extent
        if first_x > high[0] or last_x < low[0] or first_y > high[1] or last_y < low[1]:
            continue  # none of the points is near
        near = np.flatnonzero(free & (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
        covered = near[place.covers(x[near], y[near])]
        free[covered] = False
        if covered.size:
            shares[ccd] = covered.size / x.size
    good = sum(shares.values())
    return GoodArea(region.area() * good, {ccd: part / good for ccd, part in shares.items()}, tuple(notes + cut))


def percent(part: float) -> str:
    """Return a part of something, 0 to 1, as a log has it: "all" is all of it."""
    if part >= 1:
        return "all"
    return f"{100 * part:.2g} %" if part < 0.995 else "more than 99 %"


def points_in(region: Region) -> tuple[Floats, Floats]:
    """Return evenly spaced points in a region, of a grid of GRID x GRID over its bounds: X and Y, shape (n,) both."""
    low_x, high_x, low_y, high_y = region.bounds
    across = low_x + (np.arange(GRID) + 0.5) * (high_x - low_x) / GRID
    up = low_y + (np.arange(GRID) + 0.5) * (high_y - low_y) / GRID
    x, y = (axis.ravel() for axis in np.meshgrid(across, up))
    inside = region.contains(x, y)
    return x[inside], y[inside]


def require_in_field(events: EventList, region: Region, table: Floats, seen: bool, parameter: str) -> None:
    """Raise ReductionError if a region without events lies outside the field.

    Parameters
    ----------
    events
        The open event list.
    region
        A region in which none of its events were found.
    table
        Sample of the events from `Sampler.table`: rows X and Y in pixels, shape (2, n) or (5, n).
    seen
        Whether some part of the region is known to lie on a CCD.
    parameter
        Job parameter named in the error.

    Raises
    ------
    ReductionError
        The box around the region and the box around the events do not overlap, or no part of the region lies on a CCD.
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
