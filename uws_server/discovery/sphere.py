"""Shapes on the celestial sphere, and whether two have a point in common. Degrees, ICRS; imports nothing of ours.

The edges of a polygon are great circles, those of a range meridians and parallels. Source of the formulas: spherical
trigonometry with unit vectors; a distance is taken with atan2, which is exact for small and for large ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

Vector: TypeAlias = tuple[float, float, float]
Arc: TypeAlias = tuple[Vector, Vector]


@dataclass(frozen=True)
class Circle:
    """All points within `radius` of a centre."""

    ra: float
    dec: float
    radius: float

    @cached_property
    def centre(self) -> Vector:
        """The centre as a unit vector."""
        return vector(self.ra, self.dec)


@dataclass(frozen=True)
class Polygon:
    """The smaller part of the sphere within some corners, right ascension and declination; less than a hemisphere.

    Raises ValueError for fewer than three different corners, or a polygon as large as a hemisphere.
    """

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(set(self.corners)) < 3:
            raise ValueError(f"a polygon has at least 3 different corners; {len(set(self.corners))} came")
        if any(_dot(self.middle, corner) <= 1e-9 for corner in self.vertices):
            raise ValueError("the polygon is as large as a hemisphere, or larger")

    @cached_property
    def vertices(self) -> tuple[Vector, ...]:
        """The corners as unit vectors."""
        return tuple(vector(*corner) for corner in self.corners)

    @cached_property
    def middle(self) -> Vector:
        """The mean of the corners; zero where they surround the sphere."""
        return _unit((sum(v[0] for v in self.vertices), sum(v[1] for v in self.vertices),
                      sum(v[2] for v in self.vertices)))  # fmt: skip

    @cached_property
    def reach(self) -> float:
        """The largest distance of a corner from the middle, degrees."""
        return max(_distance(self.middle, corner) for corner in self.vertices)

    def edges(self) -> Iterator[Arc]:
        """Yield the edges."""
        return pairwise((*self.vertices, self.vertices[0]))

    def holds(self, point: Vector) -> bool:
        """Check whether a point is inside: the bearings of the corners from there go round once."""
        if _dot(point, self.middle) <= 0:
            return False
        east, north = _axes(point)
        bearings = [math.atan2(_dot(corner, east), _dot(corner, north)) for corner in self.vertices]
        turn = sum(math.remainder(b - a, math.tau) for a, b in pairwise((*bearings, bearings[0])))
        return abs(turn) > math.pi


@dataclass(frozen=True)
class Range:
    """All points between two right ascensions, going east from the first, and between two declinations."""

    west: float
    east: float
    south: float
    north: float

    @cached_property
    def width(self) -> float:
        """The extent in right ascension, degrees, at most 360."""
        return 360.0 if self.east - self.west >= 360 else (self.east - self.west) % 360

    def has_longitude(self, ra: float) -> bool:
        """Check whether a right ascension is in the range."""
        return (ra - self.west) % 360 <= self.width

    def holds(self, point: Vector) -> bool:
        """Check whether a point is in the range; a pole is at every right ascension."""
        ra, dec = _longitude(point), math.degrees(math.asin(max(-1.0, min(1.0, point[2]))))
        return self.south <= dec <= self.north and (abs(dec) > 90 - 1e-9 or self.has_longitude(ra))

    @cached_property
    def corners(self) -> tuple[Vector, ...]:
        """The four corners as unit vectors."""
        return tuple(vector(ra, dec) for ra in (self.west, self.west + self.width) for dec in (self.south, self.north))

    def sides(self) -> Iterator[Arc]:
        """Yield its meridians, each in two halves, so that the ends of none are opposite points."""
        middle = (self.south + self.north) / 2
        if self.width < 360:
            for ra in (self.west, self.west + self.width):
                yield vector(ra, self.south), vector(ra, middle)
                yield vector(ra, middle), vector(ra, self.north)

    def distance(self, point: Vector) -> float:
        """Return the distance of a point from the range in degrees; 0 inside."""
        if self.has_longitude(_longitude(point)):
            dec = math.degrees(math.asin(max(-1.0, min(1.0, point[2]))))
            return max(0.0, self.south - dec, dec - self.north)
        return min(_from_arc(point, side) for side in self.sides())


Outline: TypeAlias = Circle | Polygon
Shape: TypeAlias = Circle | Polygon | Range


def vector(ra: float, dec: float) -> Vector:
    """Return a position as a unit vector."""
    lon, lat = math.radians(ra), math.radians(dec)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def separation(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the angle between two positions, degrees."""
    return _distance(vector(*a), vector(*b))


def overlap(shape: Shape, other: Outline) -> bool:
    """Check whether two shapes have a point in common."""
    match shape, other:
        case Circle(), Circle():
            return _distance(shape.centre, other.centre) <= shape.radius + other.radius
        case Circle(), Polygon():
            return _polygon_and_circle(other, shape)
        case Polygon(), Circle():
            return _polygon_and_circle(shape, other)
        case Polygon(), Polygon():
            return _polygons(shape, other)
        case Range(), Circle():
            return shape.distance(other.centre) <= other.radius
    assert isinstance(shape, Range) and isinstance(other, Polygon)
    return _range_and_polygon(shape, other)


def _polygon_and_circle(polygon: Polygon, circle: Circle) -> bool:
    if _distance(polygon.middle, circle.centre) > polygon.reach + circle.radius:
        return False
    near = any(_from_arc(circle.centre, edge) <= circle.radius for edge in polygon.edges())
    return near or polygon.holds(circle.centre)


def _polygons(a: Polygon, b: Polygon) -> bool:
    if _distance(a.middle, b.middle) > a.reach + b.reach:
        return False
    if any(map(a.holds, b.vertices)) or any(map(b.holds, a.vertices)):
        return True
    return any(_cross(one, other) for one in a.edges() for other in b.edges())


def _range_and_polygon(wanted: Range, polygon: Polygon) -> bool:
    if any(map(wanted.holds, polygon.vertices)) or any(map(polygon.holds, wanted.corners)):
        return True
    edges = list(polygon.edges())
    if any(_cross(side, edge) for side in wanted.sides() for edge in edges):
        return True
    return any(
        wanted.has_longitude(_longitude(point))
        for edge in edges
        for dec in (wanted.south, wanted.north)
        for point in _at_declination(edge, dec)
    ) or any(abs(dec) == 90 and polygon.holds((0.0, 0.0, dec / 90)) for dec in (wanted.south, wanted.north))


def _at_declination(edge: Arc, dec: float) -> Iterator[Vector]:
    """Yield the points of an arc at a declination: at most two."""
    a, b = edge
    across = _unit(_difference(b, _scaled(a, _dot(a, b))))
    length = math.radians(_distance(a, b))
    height = math.hypot(a[2], across[2])
    if not height or abs(math.sin(math.radians(dec))) > height:
        return
    middle, half = math.atan2(across[2], a[2]), math.acos(math.sin(math.radians(dec)) / height)
    for angle in (middle - half, middle + half):
        turn = angle % math.tau
        if turn <= length:
            yield _sum(_scaled(a, math.cos(turn)), _scaled(across, math.sin(turn)))


def _cross(one: Arc, other: Arc) -> bool:
    """Check whether two arcs cross; of arcs on one great circle that is not told."""
    first, second = _product(*one), _product(*other)
    line = _unit(_product(first, second))
    return any(line) and any(
        _within(point, one, first) and _within(point, other, second) for point in (line, _scaled(line, -1.0))
    )


def _within(point: Vector, arc: Arc, normal: Vector) -> bool:
    """Check whether a point of the great circle of an arc lies between its ends."""
    return _dot(_product(normal, arc[0]), point) >= 0 and _dot(_product(arc[1], normal), point) >= 0


def _from_arc(point: Vector, arc: Arc) -> float:
    """Return the distance of a point from an arc, degrees."""
    normal = _unit(_product(*arc))
    if any(normal) and _within(point, arc, normal):
        return abs(math.degrees(math.asin(max(-1.0, min(1.0, _dot(normal, point))))))
    return min(_distance(point, end) for end in arc)


def _distance(a: Vector, b: Vector) -> float:
    return math.degrees(math.atan2(math.hypot(*_product(a, b)), _dot(a, b)))


def _longitude(point: Vector) -> float:
    return math.degrees(math.atan2(point[1], point[0])) % 360


def _axes(point: Vector) -> tuple[Vector, Vector]:
    """Return two directions at a right angle to a point and to each other."""
    helper = (0.0, 0.0, 1.0) if abs(point[2]) < 0.9 else (1.0, 0.0, 0.0)
    east = _unit(_product(helper, point))
    return east, _product(point, east)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _product(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _difference(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _scaled(a: Vector, factor: float) -> Vector:
    return a[0] * factor, a[1] * factor, a[2] * factor


def _unit(a: Vector) -> Vector:
    """Return a vector of length 1; one of almost no length as zero."""
    length = math.hypot(*a)
    return _scaled(a, 1 / length) if length > 1e-15 else (0.0, 0.0, 0.0)
