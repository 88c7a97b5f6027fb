"""Closed curves in a plane: points inside, extent, intersections with horizontal lines; may import numpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

Extent = tuple[float, float, float, float]


class Outline(Protocol):
    """Closed curve that bounds an area; points are float arrays of shape (N,), in pixels."""

    @property
    def extent(self) -> Extent:
        """(xmin, xmax, ymin, ymax)."""

    @property
    def size(self) -> float:
        """Area enclosed."""

    @property
    def breaks(self) -> np.ndarray:
        """Values of y at which the width of the curve is not a smooth function of y."""

    def inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside or on the border."""

    def within(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside, not on the border."""

    def crossings(self, y: np.ndarray) -> np.ndarray:
        """Return where horizontal lines at `y` (L,) cross the curve: sorted x (L, K), K even, padded with NaN."""


@dataclass(frozen=True)
class Ellipse:
    """Ellipse with semi-axis `a` at `angle` (rad) anticlockwise from +x, and `b` across."""

    x: float
    y: float
    a: float
    b: float
    angle: float

    @cached_property
    def extent(self) -> Extent:
        """(xmin, xmax, ymin, ymax)."""
        if self.a == self.b:
            return self.x - self.a, self.x + self.a, self.y - self.a, self.y + self.a
        half_x = float(np.hypot(self.a * np.cos(self.angle), self.b * np.sin(self.angle)))
        half_y = float(np.hypot(self.a * np.sin(self.angle), self.b * np.cos(self.angle)))
        return self.x - half_x, self.x + half_x, self.y - half_y, self.y + half_y

    @property
    def size(self) -> float:
        """Area enclosed."""
        return float(np.pi * self.a * self.b)

    @property
    def breaks(self) -> np.ndarray:
        """Lowest and highest point."""
        return np.array(self.extent[2:])

    def inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside or on the border."""
        distance, limit = self._distance(x, y)
        return np.asarray(distance <= limit)

    def within(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside, not on the border."""
        distance, limit = self._distance(x, y)
        return np.asarray(distance < limit)

    def inside_ring(self, hole: Ellipse, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside or on the border, but not within a hole, on whose border they may lie.

        Parameters
        ----------
        hole
            What is cut out, be it around another point.
        x
            X of the points in the plane of the outline, shape (n,).
        y
            Their Y, shape (n,).

        Returns
        -------
        array
            Shape (n,); False for NaN.
        """
        distance, limit = self._distance(x, y)
        inside = np.asarray(distance <= limit)
        if (hole.x, hole.y) == (self.x, self.y) and hole.a == hole.b and self.a == self.b:
            inside &= distance >= hole.a * hole.a  # of two circles around one point the distance is the same
        else:
            inside &= ~hole.within(x, y)
        return inside

    def crossings(self, y: np.ndarray) -> np.ndarray:
        """Return x of both sides, from the quadratic equation of the rotated ellipse in x."""
        dy = y - self.y
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        square = (cos / self.a) ** 2 + (sin / self.b) ** 2
        middle = -dy * cos * sin * (self.a**-2 - self.b**-2) / square
        discriminant = middle**2 - (dy**2 * ((sin / self.a) ** 2 + (cos / self.b) ** 2) - 1) / square
        half = np.sqrt(np.where(discriminant >= 0, discriminant, np.nan))
        return np.stack([self.x + middle - half, self.x + middle + half], axis=1)

    def _distance(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """Return a squared distance and its value on the border; for a circle in whole pixels both are exact."""
        dx, dy = x - self.x, y - self.y
        if self.a == self.b:
            dx *= dx
            dy *= dy
            dx += dy
            return dx, self.a * self.a
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return ((cos * dx + sin * dy) / self.a) ** 2 + ((cos * dy - sin * dx) / self.b) ** 2, 1.0


@dataclass(frozen=True, eq=False)
class Polygon:
    """Polygon that does not cross itself, vertices `xs`, `ys` (V,) in either sense of rotation."""

    xs: np.ndarray
    ys: np.ndarray

    @cached_property
    def extent(self) -> Extent:
        """(xmin, xmax, ymin, ymax)."""
        return float(self.xs.min()), float(self.xs.max()), float(self.ys.min()), float(self.ys.max())

    @property
    def size(self) -> float:
        """Area enclosed, by the shoelace formula about the first vertex."""
        x, y = self.xs - self.xs[0], self.ys - self.ys[0]
        return float(abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2)

    @property
    def breaks(self) -> np.ndarray:
        """Heights of the vertices."""
        return self.ys

    def inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside: an odd number of sides is to the right. The border may count as either."""
        odd = np.zeros(x.shape, dtype=bool)
        for x0, y0, x1, y1 in self._sides:
            left_of_side = (y >= y0) & (y < y1)
            left_of_side &= x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0))
            odd ^= left_of_side
        return odd

    def within(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the same as `inside`."""
        return self.inside(x, y)

    def crossings(self, y: np.ndarray) -> np.ndarray:
        """Return x on every side that spans the height; a polygon that does not cross itself has an even number."""
        x0, y0, x1, y1 = np.array(self._sides).T
        line = y[:, None]
        x = x0 + (line - y0) * ((x1 - x0) / (y1 - y0))
        x = np.sort(np.where((line >= y0) & (line < y1), x, np.nan), axis=1)
        used = int((~np.isnan(x)).sum(axis=1).max(initial=0))
        return x[:, : used + used % 2]

    @cached_property
    def _sides(self) -> list[tuple[float, float, float, float]]:
        """Sides that are not horizontal, from the lower to the upper end, whatever the sense of rotation."""
        ends = zip(self.xs, self.ys, np.roll(self.xs, -1), np.roll(self.ys, -1), strict=True)
        return [
            (float(x0), float(y0), float(x1), float(y1)) if y0 < y1 else (float(x1), float(y1), float(x0), float(y0))
            for x0, y0, x1, y1 in ends
            if y0 != y1
        ]


@dataclass(frozen=True)
class Rectangle:
    """Rectangle with full `width` at `angle` (rad) anticlockwise from +x, and full `height` across."""

    x: float
    y: float
    width: float
    height: float
    angle: float

    @property
    def extent(self) -> Extent:
        """(xmin, xmax, ymin, ymax)."""
        return self._polygon.extent

    @property
    def size(self) -> float:
        """Area enclosed."""
        return self.width * self.height

    @property
    def breaks(self) -> np.ndarray:
        """Heights of the corners."""
        return self._polygon.breaks

    def inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside or on the border."""
        along, across = self._along_across(x, y)
        return np.asarray((along <= self.width / 2) & (across <= self.height / 2))

    def within(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether points lie inside, not on the border."""
        along, across = self._along_across(x, y)
        return np.asarray((along < self.width / 2) & (across < self.height / 2))

    def crossings(self, y: np.ndarray) -> np.ndarray:
        """Return where horizontal lines cross the sides."""
        return self._polygon.crossings(y)

    def _along_across(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = x - self.x, y - self.y
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.abs(cos * dx + sin * dy), np.abs(cos * dy - sin * dx)

    @cached_property
    def _polygon(self) -> Polygon:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = np.array([-1, 1, 1, -1]) * self.width / 2, np.array([-1, -1, 1, 1]) * self.height / 2
        return Polygon(self.x + u * cos - v * sin, self.y + u * sin + v * cos)


def spans(outline: Outline, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends (L, K/2) of the intervals of x inside the curve along horizontal lines at `y` (L,).

    Start and end are equal where a line has fewer intervals than others.
    """
    x = outline.crossings(y)
    starts, stops = x[:, 0::2], x[:, 1::2]
    missing = np.isnan(stops)
    return np.where(missing, outline.extent[0], starts), np.where(missing, outline.extent[0], stops)
