"""Shapes in the X,Y plane of an event list: the events in them, their area, their SAS region table.

Every shape is bounded by a curve (an ellipse or a polygon); rings have a second curve cut out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import regions
from numpy.typing import ArrayLike

from reduction.regions.outlines import Ellipse, Extent, Outline, Polygon, Rectangle, spans

AREA_LINES = 8192
"""Scan lines for an area: the relative error for a circle is 1e-6."""
SHARED_LINES = 2048
"""Scan lines for an area that two selections share, where a few digits are enough."""
WEIGHTS = (1, 1 << 15, 1 << 30, 1 << 45)
"""What a shape that is included in, or excluded from, a first and a second selection adds to the depth at a point.

Each is larger than the largest number of shapes times the one before."""


class TableRow(NamedTuple):
    """Row of a SAS region table: SHAPE ('!' in front excludes), vectors X, Y, R in pixels and ROTANG in degrees."""

    shape: str
    x: list[float]
    y: list[float]
    r: list[float]
    rotang: list[float]


@dataclass(frozen=True)
class PixelRegionSet:
    """Shapes in values of the X and Y columns; points in any `include` and in no `exclude` are selected.

    The border belongs to a shape.
    """

    include: tuple[regions.PixelRegion, ...]
    exclude: tuple[regions.PixelRegion, ...] = ()

    def contains(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Return whether points are selected, shape (N,) like `x` and `y` in pixels; NaN is never inside."""
        xs, ys = np.asarray(x), np.asarray(y)
        inside = np.zeros(xs.shape, dtype=bool)
        for area in self._included:
            if _all_near(area, xs, ys):  # as of a grid over the box: none is copied together
                inside |= area.inside(np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64))
                continue
            rows = _near(area, xs, ys)
            inside[rows[area.inside(_floats(xs, rows), _floats(ys, rows))]] = True
        if self._excluded and inside.any():
            kept = np.flatnonzero(inside)
            kept_x, kept_y = _floats(xs, kept), _floats(ys, kept)
            for area in self._excluded:
                rows = _near(area, kept_x, kept_y)
                inside[kept[rows[area.inside(kept_x[rows], kept_y[rows])]]] = False
        return inside

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """(xmin, xmax, ymin, ymax) around the included shapes; it may be slightly too wide, never too narrow."""
        edges = np.array([area.extent for area in self._included])
        return float(edges[:, 0].min()), float(edges[:, 1].max()), float(edges[:, 2].min()), float(edges[:, 3].max())

    def area(self) -> float:
        """Return the area in square pixels.

        For one included shape alone it is that of its formula. For several shapes, or with excluded ones, the plane is
        cut by 8,192 or more horizontal lines, evenly spaced between neighbouring vertices and tops; along every line
        the intervals are exact, and the relative error of the area is about 1e-6.
        """
        if len(self._included) == 1 and not self._excluded:
            return self._included[0].size
        return _scanned_area(self._included, self._excluded)

    def shared_area(self, other: PixelRegionSet) -> float:
        """Return the area in square pixels that is selected by both, along lines as in `area`.

        The lines are evenly spaced, whatever the vertices: the error is a thousandth of an area as wide as both.
        """
        (ax0, ax1, ay0, ay1), (bx0, bx1, by0, by1) = self.bounds, other.bounds
        low, high = max(ay0, by0), min(ay1, by1)
        if low >= high or max(ax0, bx0) >= min(ax1, bx1):
            return 0.0
        step = (high - low) / SHARED_LINES
        lines = low + (np.arange(SHARED_LINES) + 0.5) * step
        groups = (self._included, self._excluded, other._included, other._excluded)
        return sum(float(np.sum(_shared_length(part, groups))) * step for part in _chunks(lines))

    def table_rows(self) -> list[TableRow]:
        """Return the rows of a REGnnnnn table, in the columns of the ASC region format that SAS writes.

        R holds the radius, the two radii of a ring, the semi-axes of an ellipse or the full sizes of a box. Shapes of
        the same COMPONENT are joined by AND, components by OR: an included shape begins a component (see `components`),
        and the excluded shapes that overlap it follow.
        """
        rows = []
        for shape, area in zip(self.include, self._included, strict=True):
            rows.append(_row(shape, ""))
            rows += [
                _row(other, "!") for other, cut in zip(self.exclude, self._excluded, strict=True) if _overlap(area, cut)
            ]
        return rows

    def components(self) -> list[int]:
        """Return the COMPONENT numbers of `table_rows`, from 0."""
        return list(np.cumsum([not row.shape.startswith("!") for row in self.table_rows()]) - 1)

    @cached_property
    def _included(self) -> tuple[_Area, ...]:
        return tuple(_area(shape) for shape in self.include)

    @cached_property
    def _excluded(self) -> tuple[_Area, ...]:
        return tuple(_area(shape) for shape in self.exclude)


@dataclass(frozen=True)
class _Area:
    """Area inside an outline; if the shape is a ring, another outline is cut out."""

    outer: Outline
    hole: Outline | None

    @cached_property
    def extent(self) -> Extent:
        x0, x1, y0, y1 = self.outer.extent
        slack = 1e-12 * max(abs(x0), abs(x1), abs(y0), abs(y1)) + 1e-9
        return x0 - slack, x1 + slack, y0 - slack, y1 + slack

    @property
    def size(self) -> float:
        return self.outer.size - (self.hole.size if self.hole else 0.0)

    def inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if isinstance(self.outer, Ellipse) and isinstance(self.hole, Ellipse):
            return self.outer.inside_ring(self.hole, x, y)
        within = self.outer.inside(x, y)
        if self.hole:
            within &= ~self.hole.within(x, y)
        return within


def _area(shape: regions.PixelRegion) -> _Area:
    """Return the area of a shape. Raise TypeError for a shape that none of the readers makes."""
    hole: Outline | None = None
    if isinstance(shape, regions.PolygonPixelRegion):
        return _Area(Polygon(np.asarray(shape.vertices.x, float), np.asarray(shape.vertices.y, float)), hole)
    x, y = float(shape.center.x), float(shape.center.y)
    if isinstance(shape, regions.CirclePixelRegion):
        return _Area(Ellipse(x, y, shape.radius, shape.radius, 0.0), hole)
    if isinstance(shape, regions.CircleAnnulusPixelRegion):
        outer, inner = shape.outer_radius, shape.inner_radius
        return _Area(Ellipse(x, y, outer, outer, 0.0), Ellipse(x, y, inner, inner, 0.0))
    angle = float(shape.angle.to_value("rad"))
    if isinstance(shape, regions.EllipsePixelRegion):
        return _Area(Ellipse(x, y, shape.width / 2, shape.height / 2, angle), hole)
    if isinstance(shape, regions.EllipseAnnulusPixelRegion):
        hole = Ellipse(x, y, shape.inner_width / 2, shape.inner_height / 2, angle)
        return _Area(Ellipse(x, y, shape.outer_width / 2, shape.outer_height / 2, angle), hole)
    if isinstance(shape, regions.RectanglePixelRegion):
        return _Area(Rectangle(x, y, shape.width, shape.height, angle), hole)
    raise TypeError(f"no event selection is defined for {type(shape).__name__}")


def _row(shape: regions.PixelRegion, sign: str) -> TableRow:
    """Return the row of a shape, `sign` in front of its name."""
    if isinstance(shape, regions.PolygonPixelRegion):
        xs, ys = (np.asarray(v, float).tolist() for v in (shape.vertices.x, shape.vertices.y))
        return TableRow(f"{sign}POLYGON", xs, ys, [], [])
    x, y = [float(shape.center.x)], [float(shape.center.y)]
    if isinstance(shape, regions.CirclePixelRegion):
        return TableRow(f"{sign}CIRCLE", x, y, [float(shape.radius)], [])
    if isinstance(shape, regions.CircleAnnulusPixelRegion):
        return TableRow(f"{sign}ANNULUS", x, y, [float(shape.inner_radius), float(shape.outer_radius)], [])
    angle = float(shape.angle.to_value("deg"))
    if isinstance(shape, regions.EllipsePixelRegion):
        return TableRow(f"{sign}ELLIPSE", x, y, [float(shape.width) / 2, float(shape.height) / 2], [angle])
    if isinstance(shape, regions.RectanglePixelRegion):
        return TableRow(f"{sign}BOX", x, y, [float(shape.width), float(shape.height)], [angle])
    axes = shape.inner_width, shape.inner_height, shape.outer_width, shape.outer_height
    return TableRow(f"{sign}ELLIPTANNULUS", x, y, [float(axis) / 2 for axis in axes], [angle, angle])


def box_around(shape: regions.PixelRegion) -> Extent:
    """Return (xmin, xmax, ymin, ymax) around a shape; it may be slightly too wide, never too narrow."""
    return _area(shape).extent


def _all_near(area: _Area, x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether all of some points lie in the box around an area; False if there is none, or one is NaN."""
    x0, x1, y0, y1 = area.extent
    return bool(x.size and x.min() >= x0 and x.max() <= x1 and y.min() >= y0 and y.max() <= y1)


def _near(area: _Area, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the indices of the points in the box around an area."""
    x0, x1, y0, y1 = area.extent
    near = (x >= x0) & (x <= x1)
    near &= (y >= y0) & (y <= y1)
    return np.flatnonzero(near)


def _floats(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(values[rows], dtype=np.float64)


def _overlap(a: _Area, b: _Area) -> bool:
    """Return whether the boxes around two areas overlap."""
    (ax0, ax1, ay0, ay1), (bx0, bx1, by0, by1) = a.extent, b.extent
    return ax0 <= bx1 and bx0 <= ax1 and ay0 <= by1 and by0 <= ay1


def _scanned_area(included: tuple[_Area, ...], excluded: tuple[_Area, ...]) -> float:
    """Return the area in any included and no excluded area, from the lengths along horizontal lines."""
    edges = np.unique(
        np.concatenate([outline.breaks for a in (*included, *excluded) for outline in (a.outer, a.hole) if outline])
    )
    low, high = min(a.outer.extent[2] for a in included), max(a.outer.extent[3] for a in included)
    edges = np.unique(np.clip(edges, low, high))
    heights = np.diff(edges)
    counts = np.maximum(4, np.ceil(AREA_LINES * heights / (high - low))).astype(int)
    steps = np.repeat(heights / counts, counts)
    order = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    lines = np.repeat(edges[:-1], counts) + (order + 0.5) * steps
    total = 0.0
    for part, widths in zip(_chunks(lines), _chunks(steps), strict=True):
        total += float(np.sum(_selected_length(part, included, excluded) * widths))
    return total


def _chunks(values: np.ndarray) -> list[np.ndarray]:
    """Return the values in parts that bound the memory which their lines take."""
    return [values[first : first + 256] for first in range(0, len(values), 256)]


def _selected_length(y: np.ndarray, included: tuple[_Area, ...], excluded: tuple[_Area, ...]) -> np.ndarray:
    """Return the length of horizontal lines at `y` (L,) inside any included and no excluded area, shape (L,)."""
    widths, (inside, outside) = _depths(y, (included, excluded))
    return np.asarray(np.sum(np.where((inside > 0) & (outside == 0), widths, 0.0), axis=1))


def _shared_length(y: np.ndarray, groups: tuple[tuple[_Area, ...], ...]) -> np.ndarray:
    """Return the length of horizontal lines at `y` (L,) that is selected by two selections, shape (L,)."""
    widths, (inside, outside, also_inside, also_outside) = _depths(y, groups)
    shared = (inside > 0) & (outside == 0) & (also_inside > 0) & (also_outside == 0)
    return np.asarray(np.sum(np.where(shared, widths, 0.0), axis=1))


def _depths(y: np.ndarray, groups: Sequence[tuple[_Area, ...]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the parts into which the borders cut horizontal lines at `y` (L,), and in how many areas each part lies.

    Parameters
    ----------
    y
        Heights of the lines, ascending.
    groups
        Areas that are counted together; at most as many groups as there are `WEIGHTS`.

    Returns
    -------
    widths, counts
        Widths of the parts, shape (L, K); for each group the number of its areas that hold a part, shape (L, K).
    """
    ends, weights = [np.zeros((len(y), 1))], [np.zeros((len(y), 1), dtype=np.int64)]
    for weight, areas in zip(WEIGHTS, groups, strict=False):
        for area in areas:
            for outline, sign in ((area.outer, 1), (area.hole, -1)):
                if outline and outline.extent[2] <= y[-1] and outline.extent[3] >= y[0]:
                    starts, stops = spans(outline, y)
                    ends += [starts, stops]
                    weights += [np.full(starts.shape, sign * weight), np.full(stops.shape, -sign * weight)]
    x, change = np.concatenate(ends, axis=1), np.concatenate(weights, axis=1)
    order = np.argsort(x, axis=1)
    depth = np.cumsum(np.take_along_axis(change, order, axis=1), axis=1)[:, :-1]
    counts = [(depth // weight) % WEIGHTS[1] for weight, _ in zip(WEIGHTS, groups, strict=False)]
    return np.diff(np.take_along_axis(x, order, axis=1), axis=1), counts
