"""Grids of square pixels in the plane of two columns of an event list: their size and place, and their projection.

Sky grids lie as those of the SAS: pixel 1 begins half a unit below the lowest legal value of its column, and the image
reaches over all legal values, so that images of one list overlay each other pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from provenance.fits.columns import Column, Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.missions import number

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[Any]

MOST_PIXELS = 9_000_000
"""Most pixels of an image: 3000 x 3000, for XMM-Newton the whole plane at 0.9 arcsec."""

_FARTHEST_DEG = 5.0
"""Farthest that a centre may lie from the tangent point of the list: wider than every field of view."""


@dataclass(frozen=True)
class Placed:
    """The pixels of some events, numbered row by row, shape (n,); the number of one outside of the grid means nothing.

    `inside` tells which lie on the grid, `known` which have a position at all; None where all have one.
    """

    pixel: Pixels
    inside: Mask
    known: Mask | None


@dataclass(frozen=True)
class _WholeAxis:
    """An axis of whole numbers in bins of whole numbers of them, whose pixels are reckoned in `whole` and `bare`.

    `edge` is the first number of the first pixel, `step` the numbers of a pixel and `size` the pixels.
    """

    column: Column
    whole: np.dtype[Any]
    edge: Any
    bare: np.dtype[Any]
    step: Any
    size: Any

    def place(self, rows: Rows) -> tuple[Pixels, Mask, None]:
        """Return the pixel of each row, and whether it is one of the grid.

        One below the first pixel becomes a huge number without a sign, so that one comparison does for both ends. All
        is done in place: new memory for each step takes half as long again.
        """
        pixel = self.column.values(rows).astype(self.whole, copy=False)
        pixel -= self.edge
        pixel = pixel.view(self.bare)
        pixel //= self.step
        return pixel, pixel < self.size, None


@dataclass(frozen=True)
class Grid:
    """Square pixels in the plane of two columns, `x` to the right and `y` upwards.

    `low` is the outer corner of the first pixel and `step` the side of a pixel, in values of the columns; `shape` is
    (rows, columns); `arcsec` is the side of a pixel on the sky.
    """

    x: Column
    y: Column
    low: tuple[float, float]
    step: float
    shape: tuple[int, int]
    arcsec: float
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return self.shape[0] * self.shape[1]

    def place(self, rows: Rows) -> Placed:
        """Return the pixels of some rows of the event list."""
        axes = [self._along(rows, axis) for axis in (0, 1)]
        (column, across, known_x), (row, up, known_y) = axes
        row *= row.dtype.type(self.shape[1])
        row += column.astype(row.dtype, copy=False)
        across &= up
        return Placed(row, across, _both(known_x, known_y))

    def _along(self, rows: Rows, axis: int) -> tuple[Pixels, Mask, Mask | None]:
        """Return the pixel of each row along an axis, whether it is one of the grid, and whether the row has a value.

        Whole numbers in bins of whole numbers of them stay integers, which takes half the time; None: all have one.
        """
        whole = self._whole[axis]
        if whole is not None:
            return whole.place(rows)
        column, size = (self.x, self.y)[axis], self.shape[1 - axis]
        values = column.floats(rows)
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            place = np.floor((values - self.low[axis]) / self.step)
        inside = (place >= 0) & (place < size)
        return np.where(inside, place, 0.0).astype(np.int64), inside, known

    @cached_property
    def _whole(self) -> tuple[_WholeAxis | None, _WholeAxis | None]:
        """The axes along which whole numbers lie in bins of whole numbers of them."""
        return self._whole_axis(0), self._whole_axis(1)

    def _whole_axis(self, axis: int) -> _WholeAxis | None:
        column, size, edge = (self.x, self.y)[axis], self.shape[1 - axis], self.low[axis] + 0.5
        if not (column.is_whole and column.null is None and self.step.is_integer() and edge.is_integer()):
            return None
        short = column.dtype.itemsize <= 4 and not column.scaled and abs(edge) + size * self.step < 2**31
        whole, bare = (np.int32, np.uint32) if short else (np.int64, np.uint64)
        return _WholeAxis(column, np.dtype(whole), whole(edge), np.dtype(bare), bare(self.step), bare(size))

    def centres(self) -> tuple[Floats, Floats]:
        """Return the values of the columns at the centres of the pixels: shape (columns,) and (rows,)."""
        across, up = (np.arange(count, dtype=np.float64) + 0.5 for count in (self.shape[1], self.shape[0]))
        return np.asarray(self.low[0] + across * self.step), np.asarray(self.low[1] + up * self.step)

    def reference(self, value: float, axis: int) -> float:
        """Return the pixel coordinate, as FITS counts, of a value of the column of an axis (0: x, 1: y)."""
        return (value - self.low[axis]) / self.step + 0.5


def _both(one: Mask | None, other: Mask | None) -> Mask | None:
    """Return what holds for both; None stands for everywhere."""
    return other if one is None else one if other is None else one & other


def sky_grid(
    events: EventList,
    bin_arcsec: float = 4.0,
    centre: tuple[float, float] | None = None,
    size_arcmin: Sequence[float] = (),
) -> Grid:
    """Return the grid of an image of the sky.

    Parameters
    ----------
    events
        The open event list.
    bin_arcsec
        Side of a pixel. Where columns hold whole numbers it becomes the nearest whole number of them, and a note says
        so: other bins would hold now more, now fewer of these numbers, which is seen as stripes.
    centre
        Right ascension and declination (ICRS, degrees) of a place in the middle pixel; None for the middle of the
        list's own plane.
    size_arcmin
        Width and height, or one number for both; empty for the list's own plane.

    Returns
    -------
    Grid
        Its pixels lie on the lattice of the list's own plane, whatever the centre.

    Raises
    ------
    ReductionError
        The list has no sky, or a size, bin or centre makes no image; the error names the parameter.
    """
    if events.wcs is None or events.x is None or events.y is None:
        raise ReductionError(f"{events.name} ({events.mission.name}) has no sky coordinates: its X and Y columns or "
                             "their projection are missing, so there is no image of the sky", "eventlist")  # fmt: skip
    scales = np.abs(np.asarray(events.wcs.wcs.cdelt, dtype=float)) * 3600
    if abs(scales[0] / scales[1] - 1) > 1e-4:
        raise ReductionError(f"the pixels of X and Y are not square: {scales[0]:g} by {scales[1]:g} arcsec",
                             "eventlist")  # fmt: skip
    limits = [_legal(events, column, axis, float(events.wcs.wcs.crpix[axis]) - 1)
              for axis, column in enumerate((events.x, events.y))]  # fmt: skip
    whole = own_grid(events.x, events.y, limits, float(scales[0]), bin_arcsec)
    return _require_few(_cut(whole, events.wcs, centre, size_arcmin))


def detector_grid(events: EventList, bin_arcsec: float = 4.0) -> Grid:
    """Return the grid of an image of the detector, over all legal values of its columns.

    Parameters
    ----------
    events
        The open event list.
    bin_arcsec
        Side of a pixel, as for `sky_grid`.

    Returns
    -------
    Grid
        The grid in the plane of DETX and DETY, or what the mission calls them.

    Raises
    ------
    ReductionError
        The list has no such columns, or does not state their legal values, or there are too many pixels.
    """
    plane = events.mission.detector_plane
    found = [events.table.columns.get(name.upper()) for name in plane.columns] if plane else []
    columns = [column for column in found if column is not None and column.is_number]
    if plane is None or len(columns) < 2:
        wanted = " and ".join(plane.columns) if plane else "such columns"
        raise ReductionError(f"{events.name} ({events.mission.name}) has no {wanted}, so there is no image of the "
                             "detector; write sky", "coordinates")  # fmt: skip
    limits = [limit for column in columns if (limit := _stated(events, column, ""))]
    if len(limits) < 2:
        raise ReductionError(f"{events.name} does not state the legal values (TLMIN, TLMAX) of "
                             f"{' and '.join(plane.columns)}, over which an image of the detector reaches; write sky",
                             "coordinates")  # fmt: skip
    return _require_few(own_grid(columns[0], columns[1], limits, plane.arcsec, bin_arcsec))


def own_grid(
    x: Column, y: Column, limits: Sequence[tuple[float, float]], unit_arcsec: float, bin_arcsec: float
) -> Grid:
    """Return the grid over all legal values of two columns.

    Parameters
    ----------
    x
        The column to the right.
    y
        The column upwards.
    limits
        Lowest and highest legal value of each, the edges of whole numbers included (0.5 for 1).
    unit_arcsec
        A unit of the columns on the sky.
    bin_arcsec
        Side of a pixel.

    Returns
    -------
    Grid
        As many pixels as reach over the limits.

    Raises
    ------
    ReductionError
        The bin is no size above 0.
    """
    if not (math.isfinite(bin_arcsec) and bin_arcsec > 0):
        raise ReductionError(f"{bin_arcsec:g} arcsec is no side of a pixel; give a number above 0", "bin_size")
    step, notes = bin_arcsec / unit_arcsec, []
    if x.is_whole or y.is_whole:
        step = float(max(1, round(step)))
        if abs(step * unit_arcsec / bin_arcsec - 1) > 1e-6:
            notes.append(f"bins of {step * unit_arcsec:.6g} arcsec: {x.name} and {y.name} hold whole numbers of "
                         f"{unit_arcsec:.6g} arcsec, of which a bin holds {step:g}")  # fmt: skip
    elif abs(step - round(step)) < 1e-7 * step:
        step = float(round(step))
    counts = [max(1, math.ceil((high - low) / step - 1e-6)) for low, high in limits]
    return Grid(x, y, (limits[0][0], limits[1][0]), step, (counts[1], counts[0]), step * unit_arcsec, tuple(notes))


def _legal(events: EventList, column: Column, axis: int, reference: float) -> tuple[float, float]:
    """Return the edges of the legal values of a column of the sky.

    Where none are stated they are 1 to twice the reference less 2, as those of the SAS: 51840 for 25921.
    """
    stated = _stated(events, column, f"REF{'XY'[axis]}")
    return stated or (0.5, max(2 * reference - 1.5, 1.5))


def _stated(events: EventList, column: Column, prefix: str) -> tuple[float, float] | None:
    """Return the legal values that a header states of a column: TLMIN and TLMAX, else those of REFX or REFY.

    Limits that are no range are passed over: 51840 in an integer of 16 bits has become -13696 in some files.
    """
    pairs = [(f"TLMIN{column.index}", f"TLMAX{column.index}")]
    if prefix:
        pairs.append((f"{prefix}LMIN", f"{prefix}LMAX"))
    for first, last in pairs:
        low, high = number(events.keywords, first), number(events.keywords, last)
        if low is not None and high is not None and low < high:
            return (low - 0.5, high + 0.5) if column.is_whole else (low, high)
    return None


def _cut(whole: Grid, wcs: WCS, centre: tuple[float, float] | None, size_arcmin: Sequence[float]) -> Grid:
    """Return the part of the lattice of a grid that a user asks for, which may reach beyond it."""
    sizes = [float(size) for size in size_arcmin]
    if any(not (math.isfinite(size) and size > 0) for size in sizes) or len(sizes) > 2:
        raise ReductionError(f"{' '.join(f'{size:g}' for size in sizes)} arcmin is no size of an image; give its width "
                             "and height, or one number for both, above 0", "size")  # fmt: skip
    own_counts = (whole.shape[1], whole.shape[0])
    counts = [max(1, round(size * 60 / whole.arcsec)) for size in (*sizes, *sizes)[:2]] or list(own_counts)
    if centre is None:
        first = [(own - count) // 2 for own, count in zip(own_counts, counts, strict=True)]
    else:
        middle = [math.floor((value - low) / whole.step)
                  for value, low in zip(_place(wcs, centre), whole.low, strict=True)]  # fmt: skip
        first = [place - count // 2 for place, count in zip(middle, counts, strict=True)]
    low_x, low_y = (edge + index * whole.step for edge, index in zip(whole.low, first, strict=True))
    return replace(whole, low=(low_x, low_y), shape=(counts[1], counts[0]))


def _place(wcs: WCS, centre: tuple[float, float]) -> tuple[float, float]:
    """Return the pixel (from 0) of a place in ICRS. Raise ReductionError if it is far from the field."""
    sky = SkyCoord(*centre, unit="deg", frame="icrs").transform_to(wcs_to_celestial_frame(wcs))
    tangent = SkyCoord(*np.asarray(wcs.wcs.crval) * u.deg, frame=sky.frame.replicate_without_data())
    away = float(sky.separation(tangent).deg)
    if away > _FARTHEST_DEG:
        raise ReductionError(f"{centre[0]:g} {centre[1]:+g} lies {away:.1f} deg from the centre of the event list, at "
                             f"{tangent.ra.deg:.5f} {tangent.dec.deg:+.5f}; at most {_FARTHEST_DEG:g} are allowed",
                             "centre")  # fmt: skip
    values: Any = wcs.wcs_world2pix([[sky.spherical.lon.deg, sky.spherical.lat.deg]], 0)[0]
    return float(values[0]), float(values[1])


def _require_few(grid: Grid) -> Grid:
    """Return the grid. Raise ReductionError if it has more than `MOST_PIXELS` pixels."""
    if grid.pixels > MOST_PIXELS:
        rows, columns = grid.shape
        raise ReductionError(f"bins of {grid.arcsec:g} arcsec make {columns:,} x {rows:,} pixels, at most "
                             f"{MOST_PIXELS:,} are allowed; give larger bins or a smaller size",
                             "bin_size")  # fmt: skip
    return grid
