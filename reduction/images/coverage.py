"""The part of each image pixel that lies on good pixels of a CCD, in the field of view and in a region.

Pixels that lie inside or outside as a whole are told by their centres; of the others a grid of points is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.events.selection import Region
from reduction.images.grid import Grid
from reduction.spectra.area import CcdPlace
from reduction.spectra.field import Circle

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_POINTS, MOST_POINTS = 9, 25
"""Points along each side of a pixel that is not covered as a whole; odd numbers."""

_BATCH = 4096
"""Pixels whose points are looked at together: 20 MB."""


@dataclass(frozen=True)
class Part:
    """A part of an image, from `row` and `column` on: what of each pixel is covered, 0 to 1, shape (rows, columns)."""

    row: int
    column: int
    covered: Floats

    @property
    def window(self) -> tuple[slice, slice]:
        """Where it lies in the image."""
        rows, columns = self.covered.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)


@dataclass(frozen=True)
class Cut:
    """What limits the image besides the CCDs: the field of view and a region; None for no limit."""

    field: Circle | None = None
    region: Region | None = None

    def holds(self, x: Floats, y: Floats) -> Mask:
        """Tell which points, shape (n,), lie within the limits."""
        inside = np.ones(x.shape, dtype=np.bool_)
        if self.field is not None:
            inside &= self.field.distance(x, y) <= 0
        if self.region is not None:
            inside[inside] = self.region.contains(x[inside], y[inside])
        return inside


def covered_by(place: CcdPlace, grid: Grid, cut: Cut) -> Part | None:
    """Return what of each pixel of a grid lies on good pixels of a CCD and within the limits.

    Parameters
    ----------
    place
        The CCD.
    grid
        A grid in the plane of X and Y.
    cut
        The field of view and the region.

    Returns
    -------
    Part or None
        The part of the image around the CCD; None if the CCD lies beyond the image.
    """
    low, high = place.extent
    first = [int(np.floor((low[axis] - grid.low[axis]) / grid.step)) for axis in (0, 1)]
    last = [int(np.ceil((high[axis] - grid.low[axis]) / grid.step)) for axis in (0, 1)]
    first = [max(first[axis], 0) for axis in (0, 1)]
    last = [min(last[axis], grid.shape[1 - axis]) for axis in (0, 1)]
    if last[0] <= first[0] or last[1] <= first[1]:
        return None
    across, up = grid.centres()
    x, y = (axis.ravel() for axis in np.meshgrid(across[first[0] : last[0]], up[first[1] : last[1]]))
    whole, none = _on_ccd(place, grid, x, y)
    inside, outside = _within_cut(cut, grid, x, y, ~none)
    covered = (whole & inside).astype(np.float64)
    mixed = np.flatnonzero(~(whole & inside) & ~(none | outside))
    points = _points(place, grid)
    for begin in range(0, mixed.size, _BATCH):
        some = mixed[begin : begin + _BATCH]
        covered[some] = _share(place, grid, cut, x[some], y[some], points)
    return Part(first[1], first[0], covered.reshape(last[1] - first[1], last[0] - first[0]))


def _on_ccd(place: CcdPlace, grid: Grid, x: Floats, y: Floats) -> tuple[Mask, Mask]:
    """Tell which image pixels lie on good pixels as a whole, and which not at all."""
    raw = place.matrix @ np.stack((x, y)) + place.offset[:, None]
    reach = np.abs(place.matrix).sum(axis=1) * grid.step / 2  # half the box around an image pixel, in raw pixels
    low = np.array([place.window.rawx[0], place.window.rawy[0]]) - 0.5
    high = np.array([place.window.rawx[1], place.window.rawy[1]]) + 0.5
    within = np.all((raw - reach[:, None] >= low[:, None]) & (raw + reach[:, None] <= high[:, None]), axis=0)
    none = np.any((raw + reach[:, None] <= low[:, None]) | (raw - reach[:, None] >= high[:, None]), axis=0)
    return within & ~_bad_near(place, raw, reach), none


def _bad_near(place: CcdPlace, raw: Floats, reach: Floats) -> Mask:
    """Tell which boxes of raw pixels hold a bad one, by a table of sums over all pixels below and to the left."""
    sums = np.zeros((place.good.shape[0] + 1, place.good.shape[1] + 1), dtype=np.int64)
    sums[1:, 1:] = np.cumsum(np.cumsum(~place.good, axis=0, dtype=np.int64), axis=1)
    first = (place.window.rawx[0], place.window.rawy[0])
    low, high = [], []
    for axis in (0, 1):
        size = place.good.shape[axis]
        low.append(np.clip(np.floor(raw[axis] - reach[axis] + 0.5) - first[axis], 0, size).astype(np.intp))
        high.append(np.clip(np.floor(raw[axis] + reach[axis] + 0.5) - first[axis] + 1, 0, size).astype(np.intp))
    found = sums[high[0], high[1]] - sums[low[0], high[1]] - sums[high[0], low[1]] + sums[low[0], low[1]]
    return np.asarray(found > 0)


def _within_cut(cut: Cut, grid: Grid, x: Floats, y: Floats, wanted: Mask) -> tuple[Mask, Mask]:
    """Tell which image pixels lie within the limits as a whole, and which not at all."""
    inside, outside = np.ones(x.size, dtype=np.bool_), np.zeros(x.size, dtype=np.bool_)
    if cut.field is not None:
        away, reach = cut.field.distance(x, y), grid.step / np.sqrt(2)
        inside, outside = away <= -reach, away >= reach
    if cut.region is not None:
        lit, dark = _within_region(cut.region, grid, x, y, wanted & ~outside)
        inside, outside = inside & lit, outside | dark
    return inside, outside


def _within_region(region: Region, grid: Grid, x: Floats, y: Floats, wanted: Mask) -> tuple[Mask, Mask]:
    """Tell which image pixels lie in a region, and which do not, by their corners and their middle.

    A shape, or a hole, that is smaller than a pixel may fall between these; pixels next to any change are left open.
    """
    lit, dark = np.zeros(x.size, dtype=np.bool_), np.ones(x.size, dtype=np.bool_)
    bounds, half = region.bounds, grid.step / 2
    near = wanted & (x >= bounds[0] - grid.step) & (x <= bounds[1] + grid.step)
    near &= (y >= bounds[2] - grid.step) & (y <= bounds[3] + grid.step)
    some = np.flatnonzero(near)
    if max(bounds[1] - bounds[0], bounds[3] - bounds[2]) < 8 * grid.step:
        dark[some] = False
        return lit, dark
    hits = np.zeros(some.size, dtype=int)
    for dx, dy in ((0, 0), (-half, -half), (half, -half), (-half, half), (half, half)):
        hits += region.contains(x[some] + dx, y[some] + dy)
    lit[some], dark[some] = hits == 5, hits == 0
    return lit, dark


def _points(place: CcdPlace, grid: Grid) -> int:
    """Return how many points are looked at along a side of an image pixel: two or more to a raw pixel."""
    wanted = int(np.ceil(2 * grid.step / np.sqrt(place.pixel_area))) | 1
    return int(np.clip(wanted, LEAST_POINTS, MOST_POINTS))


def _share(place: CcdPlace, grid: Grid, cut: Cut, x: Floats, y: Floats, points: int) -> Floats:
    """Return what part of the points of some image pixels is covered, shape (n,)."""
    steps = ((np.arange(points) + 0.5) / points - 0.5) * grid.step
    dx, dy = (axis.ravel() for axis in np.meshgrid(steps, steps))
    px, py = (x[:, None] + dx).ravel(), (y[:, None] + dy).ravel()
    covered = place.covers(px, py)
    covered[covered] = cut.holds(px[covered], py[covered])
    return np.asarray(covered.reshape(x.size, -1).mean(axis=1))
