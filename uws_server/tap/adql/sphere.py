"""Circles and polygons on the sphere, one at a time: read from text, joined, measured. The database calls it for rows.

Edges are great circles, boxes have the sides that ADQL 2.1 gives them, a polygon is the smaller of its two sides and
lies within a hemisphere. Imports nothing but the standard library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

Vector = tuple[float, float, float]

MAX_VERTICES: Final = 10_000
_WORD: Final = re.compile(r"[^\s,()]+")
_FRAMES: Final = (
    "ICRS", "FK5", "J2000", "UNKNOWNFRAME", "GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "UNKNOWNREFPOS",
    "SPHERICAL2",
)  # fmt: skip
_SMALLEST_COSINE: Final = 1e-9


@dataclass(frozen=True)
class Circle:
    """All that is no further from a centre than a radius, radians; a point has the radius 0."""

    centre: Vector
    radius: float


@dataclass(frozen=True)
class Polygon:
    """What great circles between vertices enclose."""

    vertices: tuple[Vector, ...]

    @cached_property
    def centre(self) -> Vector:
        """The direction of the mean of the vertices."""
        return unit(tuple(sum(vertex[axis] for vertex in self.vertices) for axis in range(3)))  # type: ignore[arg-type]

    @cached_property
    def plane(self) -> tuple[Vector, Vector, list[tuple[float, float]]]:
        """The axes of the tangent plane at the centre, and the vertices on it; great circles are straight there."""
        east, north = axes(self.centre)
        return east, north, [projected(vertex, self.centre, east, north) for vertex in self.vertices]

    def edges(self) -> Iterator[tuple[Vector, Vector]]:
        """Yield the ends of each edge."""
        return zip(self.vertices, (*self.vertices[1:], self.vertices[0]), strict=True)


Region = Circle | Polygon


def vector(ra_deg: float, dec_deg: float) -> Vector:
    """Return the direction of a position, degrees."""
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    return math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)


def position(direction: Vector) -> tuple[float, float]:
    """Return right ascension and declination of a direction, degrees."""
    x, y, z = direction
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


def unit(direction: Vector) -> Vector:
    """Return a vector of length 1; raise ValueError for the null vector."""
    length = math.sqrt(dot(direction, direction))
    if length < 1e-12:
        raise ValueError("a polygon lies within a hemisphere")
    return direction[0] / length, direction[1] / length, direction[2] / length


def dot(one: Vector, other: Vector) -> float:
    """Return the scalar product."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def cross(one: Vector, other: Vector) -> Vector:
    """Return the vector product."""
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def angle(one: Vector, other: Vector) -> float:
    """Return the angle between two directions, radians, exact for small and large ones."""
    normal = cross(one, other)
    return math.atan2(math.sqrt(dot(normal, normal)), dot(one, other))


def axes(centre: Vector) -> tuple[Vector, Vector]:
    """Return the directions of east and north at a place."""
    x, y, z = centre
    across = math.hypot(x, y)
    if across < 1e-30:
        return (0.0, 1.0, 0.0), (-z, 0.0, 0.0)
    return (-y / across, x / across, 0.0), (-z * x / across, -z * y / across, across)


def projected(direction: Vector, centre: Vector, east: Vector, north: Vector) -> tuple[float, float]:
    """Return a direction on the tangent plane; raise ValueError if it is 90 degrees away or more."""
    depth = dot(direction, centre)
    if depth < _SMALLEST_COSINE:
        raise ValueError("a polygon lies within a hemisphere")
    return dot(direction, east) / depth, dot(direction, north) / depth


def box_corners(ra_deg: float, dec_deg: float, width_deg: float, height_deg: float) -> tuple[float, ...]:
    """Return the corners of a BOX, degrees: its sides are great circles, at right angles with a cross at the centre.

    On the tangent plane these are the sides of a rectangle. Source: ADQL 2.1, section 4.2.5.
    """
    centre = vector(ra_deg, dec_deg)
    east, north = axes(centre)
    x, y = math.tan(math.radians(width_deg) / 2), math.tan(math.radians(height_deg) / 2)
    corners: list[float] = []
    for right, up in ((-x, -y), (-x, y), (x, y), (x, -y)):
        corner = tuple(centre[axis] + right * east[axis] + up * north[axis] for axis in range(3))
        corners += position(unit(corner))  # type: ignore[arg-type]
    return tuple(corners)


def region(name: str, numbers: Sequence[float]) -> Region:
    """Return a region of numbers, degrees; raise ValueError, with a sentence, if it is none."""
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a region has a coordinate that is no number")
    if name == "BOX" and len(numbers) == 4:
        if not (0 < numbers[2] < 180 and 0 < numbers[3] < 180):
            raise ValueError("width and height of a BOX lie between 0 and 180 degrees")
        _check_latitudes(numbers[1:2])
        return region("POLYGON", box_corners(*numbers))
    if name in ("POINT", "POSITION") and len(numbers) == 2:
        _check_latitudes(numbers[1:])
        return Circle(vector(*numbers), 0.0)
    if name == "CIRCLE" and len(numbers) == 3:
        _check_latitudes(numbers[1:2])
        if not 0 <= numbers[2] <= 180:
            raise ValueError(f"the radius of a CIRCLE lies between 0 and 180 degrees; {numbers[2]:g} came")
        return Circle(vector(*numbers[:2]), math.radians(numbers[2]))
    if name == "POLYGON":
        return _polygon(numbers)
    raise ValueError(f"{name} does not have {len(numbers)} numbers")


def _polygon(numbers: Sequence[float]) -> Polygon:
    if len(numbers) % 2 or not 6 <= len(numbers) <= 2 * MAX_VERTICES:
        raise ValueError(f"a POLYGON has three vertices or more, two numbers each; {len(numbers)} numbers came")
    _check_latitudes(numbers[1::2])
    polygon = Polygon(tuple(vector(ra, dec) for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)))
    polygon.plane  # noqa: B018 raises if the polygon is larger than a hemisphere
    return polygon


def _check_latitudes(latitudes: Sequence[float]) -> None:
    for latitude in latitudes:
        if not -90 <= latitude <= 90:
            raise ValueError(f"a declination lies between -90 and 90 degrees; {latitude:g} came")


def parse(text: str) -> tuple[str, tuple[float, ...]]:
    """Return name and numbers of a region in STC-S, ICRS, or as DALI's numbers; raise ValueError if it is neither."""
    words = _WORD.findall(text)
    name = "" if not words or _is_number(words[0]) else words.pop(0).upper()
    while name and words and not _is_number(words[0]):
        frame = words.pop(0).upper()
        if frame not in _FRAMES:
            raise ValueError(f"regions are told in ICRS degrees; {frame[:20]!r} is not read")
    numbers = tuple(float(word) for word in words)
    if not name:
        name = {2: "POINT", 3: "CIRCLE"}.get(len(numbers), "POLYGON")
    return "POINT" if name == "POSITION" else name, numbers


def _is_number(word: str) -> bool:
    return word[0] in "+-.0123456789"


@lru_cache(maxsize=2048)
def read(text: str) -> Region | None:
    """Return the region that a text describes, or None if it describes none."""
    try:
        return region(*parse(text))
    except ValueError:
        return None


def holds_point(outer: Region, direction: Vector) -> bool:
    """Whether a direction lies within a region."""
    if isinstance(outer, Circle):
        return angle(outer.centre, direction) <= outer.radius + 1e-15
    depth = dot(direction, outer.centre)
    if depth < _SMALLEST_COSINE:
        return False
    east, north, corners = outer.plane
    return _crossings(dot(direction, east) / depth, dot(direction, north) / depth, corners)


def _crossings(x: float, y: float, corners: Sequence[tuple[float, float]]) -> bool:
    """Whether a line from a point to the right crosses an odd number of edges."""
    inside = False
    x1, y1 = corners[-1]
    for x2, y2 in corners:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def _to_edge(direction: Vector, one: Vector, other: Vector) -> float:
    """Return the angle from a direction to the great circle between two others, radians."""
    normal = cross(one, other)
    if dot(cross(normal, one), direction) > 0 > dot(cross(normal, other), direction):
        return abs(math.asin(max(-1.0, min(1.0, dot(unit(normal), direction)))))
    return min(angle(direction, one), angle(direction, other))


def _meet(one: tuple[Vector, Vector], other: tuple[Vector, Vector]) -> bool:
    """Whether two edges, each shorter than 180 degrees, cross."""
    first, second = cross(*one), cross(*other)
    across, along = dot(first, other[0]), dot(first, other[1])
    back, forth = dot(second, one[0]), dot(second, one[1])
    return across * along < 0 and back * forth < 0 and across * back < 0


def intersects(one: Region, other: Region) -> bool:
    """Whether two regions have a place in common."""
    if isinstance(one, Circle) and isinstance(other, Circle):
        return angle(one.centre, other.centre) <= one.radius + other.radius + 1e-15
    if isinstance(one, Circle):
        one, other = other, one
    assert isinstance(one, Polygon)
    if isinstance(other, Circle):
        return holds_point(one, other.centre) or any(
            _to_edge(other.centre, *edge) <= other.radius for edge in one.edges()
        )
    return (
        holds_point(one, other.vertices[0])
        or holds_point(other, one.vertices[0])
        or any(_meet(edge, crossed) for edge in one.edges() for crossed in other.edges())
    )


def contains(outer: Region, inner: Region) -> bool:
    """Whether one region lies within another."""
    if isinstance(inner, Circle):
        if isinstance(outer, Circle):
            return angle(outer.centre, inner.centre) + inner.radius <= outer.radius + 1e-15
        clear = inner.radius == 0 or all(_to_edge(inner.centre, *edge) >= inner.radius for edge in outer.edges())
        return holds_point(outer, inner.centre) and clear
    if not all(holds_point(outer, vertex) for vertex in inner.vertices):
        return False
    if isinstance(outer, Circle):
        return True
    return not any(_meet(edge, crossed) for edge in inner.edges() for crossed in outer.edges())


def area(of: Region) -> float:
    """Return the area, square degrees; of a polygon by its triangles with the centre."""
    if isinstance(of, Circle):
        return 4 * math.pi * math.sin(of.radius / 2) ** 2 * math.degrees(1) ** 2
    total = 0.0
    for one, other in of.edges():
        volume = dot(of.centre, cross(one, other))
        total += 2 * math.atan2(volume, 1 + dot(one, other) + dot(of.centre, one) + dot(of.centre, other))
    return abs(total) * math.degrees(1) ** 2


def half_spaces(polygon: Polygon) -> list[Vector] | None:
    """Return the normals of the edges, turned inwards, or None if the polygon is not convex.

    A direction lies within a convex polygon if it is on the inner side of each edge.
    """
    normals = [cross(*edge) for edge in polygon.edges()]
    side = 1.0 if dot(normals[0], polygon.centre) >= 0 else -1.0
    inward = [(side * x, side * y, side * z) for x, y, z in normals]
    convex = all(dot(normal, vertex) >= -1e-14 for normal in inward for vertex in polygon.vertices)
    return inward if convex else None


def bounds(of: Region) -> tuple[float, float, float]:
    """Return centre and radius, degrees, of a circle that holds the region."""
    if isinstance(of, Circle):
        return (*position(of.centre), math.degrees(of.radius))
    return (*position(of.centre), math.degrees(max(angle(of.centre, vertex) for vertex in of.vertices)))
