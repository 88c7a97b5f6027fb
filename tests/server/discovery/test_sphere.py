"""Shapes on the sphere against brute force: points in both of them, and MOCs that hold all they cover."""

from __future__ import annotations

import math
import random

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from mocpy import MOC

from uws_server.discovery.footprints import covered, shapes_of
from uws_server.discovery.sphere import Circle, Polygon, Range, Shape, overlap, separation, vector

ORDER = 8


def star(chance: random.Random, centre: tuple[float, float], size: float) -> Polygon:
    """A polygon with corners in and out, about a centre."""
    middle, count = SkyCoord(*centre, unit="deg"), chance.randint(3, 9)
    found = [middle.directional_offset_by(360 * k / count * u.deg, size * chance.uniform(0.4, 1) * u.deg)
             for k in range(count)]  # fmt: skip
    return Polygon(tuple((each.ra.deg, each.dec.deg) for each in found))


def moc_of(shape: Shape) -> MOC:
    """The cells that a shape touches, by another program."""
    if isinstance(shape, Circle):
        where = {"lon": Longitude(shape.ra * u.deg), "lat": Latitude(shape.dec * u.deg)}
        return MOC.from_cone(**where, radius=shape.radius * u.deg, max_depth=ORDER)
    if isinstance(shape, Polygon):
        lon, lat = zip(*shape.corners, strict=True)
        return MOC.from_polygon(lon * u.deg, lat * u.deg, max_depth=ORDER)
    west, east = Longitude([shape.west, shape.east] * u.deg)
    return MOC.from_zone(SkyCoord([west, east], [shape.south, shape.north] * u.deg), max_depth=ORDER)


def pairs(count: int) -> list[tuple[Shape, Circle | Polygon]]:
    """Shapes of many sizes near each other, anywhere on the sphere."""
    chance, found = random.Random(20261129), []
    while len(found) < count:
        size = chance.choice([0.3, 3, 20])
        first = chance.uniform(0, 360), math.degrees(math.asin(chance.uniform(-1, 1)))
        near = SkyCoord(*first, unit="deg").directional_offset_by(
            chance.uniform(0, 360) * u.deg, chance.uniform(0, 2 * size) * u.deg
        )
        made = [
            Circle(*where, size * chance.uniform(0.1, 0.9)) if chance.random() < 0.5 else star(chance, where, size)
            for where in (first, (near.ra.deg, near.dec.deg))
        ]
        if chance.random() < 0.3:
            south = chance.uniform(-90, 89)
            made[0] = Range(first[0], (first[0] + chance.uniform(0.1, 300)) % 360, south, min(90, south + size))
        found.append((made[0], made[1]))
    return found


def test_two_shapes_overlap_where_their_cells_do() -> None:
    told = []
    for shape, other in pairs(250):
        cells = moc_of(shape).intersection(moc_of(other))
        found = overlap(shape, other)
        told.append(found)
        if found:
            assert not cells.empty(), (shape, other)
    assert 60 < sum(told) < 190


def test_shapes_with_a_point_in_common_overlap() -> None:
    generator = np.random.default_rng(7)
    for shape, other in pairs(150):
        ra, dec = generator.uniform(0, 360, 3000), np.degrees(np.arcsin(generator.uniform(-1, 1, 3000)))
        if isinstance(other, Circle):
            near = SkyCoord(other.ra, other.dec, unit="deg").directional_offset_by(
                generator.uniform(0, 360, 300) * u.deg, generator.uniform(0, other.radius, 300) * u.deg
            )
            ra, dec = near.ra.deg, near.dec.deg
        both = [each for each in zip(ra, dec, strict=True) if inside(shape, *each) and inside(other, *each)]
        assert overlap(shape, other) or not both, (shape, other, both[:1])


def inside(shape: Shape, ra: float, dec: float) -> bool:
    if isinstance(shape, Circle):
        return separation((ra, dec), (shape.ra, shape.dec)) <= shape.radius
    return shape.holds(vector(ra, dec))


@pytest.mark.parametrize(
    ("shape", "other", "expected"),
    [
        (Circle(0.05, 0, 0.1), Circle(359.95, 0, 0.01), True),  # across the beginning of right ascension
        (Range(350, 10, -1, 1), Circle(0, 0, 0.001), True),
        (Range(10, 350, -1, 1), Circle(0, 0, 0.001), False),
        (Range(0, 360, 80, 90), Polygon(((0, 85), (120, 85), (240, 85))), True),  # around a pole
        (Range(100, 101, 89.5, 90), Polygon(((0, 85), (120, 85), (240, 85))), True),
        (Circle(0, 90, 0), Polygon(((0, 85), (120, 85), (240, 85))), True),
        (Circle(0, -90, 0), Polygon(((0, 85), (120, 85), (240, 85))), False),
        (Range(0, 0, 0, 0), Circle(0, 0, 0), True),
        (Range(0, 360, -90, 90), Circle(5, 5, 0), True),
        (Circle(10, 10, 180), Polygon(((190, -10), (191, -10), (190, -11))), True),
        (Polygon(((0, 0), (10, 0), (5, 8))), Polygon(((4, 2), (6, 2), (5, 3))), True),  # one inside the other
        (Polygon(((4, 2), (6, 2), (5, 3))), Polygon(((0, 0), (10, 0), (5, 8))), True),
        (
            Polygon(((-5, 0), (5, 0), (0, 0.1))),
            Polygon(((-1, -5), (1, -5), (0, 5))),
            True,
        ),  # crossing, no corner inside
        (Range(40, 60, 10, 10.1), Polygon(((50, 0), (51, 0), (50.5, 20))), True),  # a parallel across a polygon
    ],
)
def test_at_the_edges_of_the_sky(shape: Shape, other: Circle | Polygon, expected: bool) -> None:
    assert overlap(shape, other) is expected


def test_polygons_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 different corners; 2 came"):
        Polygon(((0, 0), (1, 1), (0, 0)))
    with pytest.raises(ValueError, match="as large as a hemisphere"):
        Polygon(((0, 0), (120, 0), (240, 0)))


def test_what_a_row_covers_is_read_from_its_region_or_its_circle() -> None:
    circle, polygon = Circle(10, 20, 0.5), Polygon(((1, 2), (3, 2), (3, 4)))
    assert shapes_of("Circle ICRS 10 20 0.5") == (circle,)
    assert shapes_of("POLYGON 1 2 3 2 3 4") == (polygon,)
    assert shapes_of("Union ICRS ( Circle 10 20 0.5 Polygon 1 2 3 2 3 4 )") == (circle, polygon)
    assert shapes_of("Difference ICRS ( Circle 10 20 0.5 Circle 10 20 0.1 )") == (circle,)
    for text in ("Circle GALACTIC 1 2 3", "Circle 1 2", "Union (Circle 1 2 3", "", "Polygon nan 1 2 3 4 5", "7"):
        assert shapes_of(text) == ()
    assert covered({"s_region": "what?", "s_ra": 10.0, "s_dec": 20.0, "s_fov": 1.0}) == (circle,)
    assert covered({"s_ra": 10.0, "s_dec": 20.0}) == (Circle(10, 20, 0),)
    assert covered({"s_ra": 10.0}) == ()
