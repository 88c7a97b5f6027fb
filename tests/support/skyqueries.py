"""Queries of the sky, each with what its rows are by brute force: numpy, astropy and mocpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from mocpy import MOC

from starfield import Field, starfield

Rows = list[tuple[Any, ...]]
PLACES = ((10.0, 20.0), (0.05, -0.1), (359.9, 0.3), (180.0, 45.0), (-180.0, 44.5), (83.6, 22.0), (7.0, 89.7), (0, -90))
RADII = (0.02, 0.5, 3.0, 40.0)


@dataclass(frozen=True)
class Case:
    """A query, and what its rows are by other means."""

    query: str
    expected: Callable[[Field], Rows]


def separation(field: Field, ra: float, dec: float) -> np.ndarray:
    there = SkyCoord(ra * u.deg, dec * u.deg)
    return np.asarray(SkyCoord(field.ra * u.deg, field.dec * u.deg).separation(there).deg)


def directions(points: np.ndarray) -> np.ndarray:
    """Unit vectors of positions, degrees, in the last axis."""
    ra, dec = np.radians(points[..., 0]), np.radians(points[..., 1])
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def inside(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether points are on the same side of each edge of a convex polygon."""
    ends = directions(corners)
    normals = np.cross(ends, np.roll(ends, -1, axis=0))
    sides = np.sign(directions(points) @ normals.T)
    middle = np.sign(ends.sum(axis=0) @ normals.T)
    return np.asarray((sides == middle).all(axis=-1))


def in_arrow(field: Field) -> np.ndarray:
    """Which rows are in a concave polygon: two triangles, and a third between them."""
    points = np.stack([field.ra, field.dec], axis=1)
    triangles = (((9, 19), (11, 19), (10, 20)), ((9, 21), (11, 21), (10, 20)), ((9, 19), (10, 20), (9, 21)))
    return np.asarray(sum(inside(np.array(one, float), points) for one in triangles) > 0)


def in_box(field: Field, ra: float, dec: float, width: float, height: float) -> np.ndarray:
    frame = SkyOffsetFrame(origin=SkyCoord(ra * u.deg, dec * u.deg))
    there = SkyCoord(field.ra * u.deg, field.dec * u.deg).transform_to(frame)
    lon, lat = there.lon.wrap_at(180 * u.deg).rad, there.lat.rad
    up = np.abs(np.tan(lat) / np.cos(lon)) <= math.tan(math.radians(height / 2))
    return np.asarray((np.abs(lon) <= math.radians(width / 2)) & up)


def meets_circle(field: Field, ra: float, dec: float, radius: float) -> np.ndarray:
    """Which fields of the rows meet a circle: for polygons by many points along their edges."""
    there = SkyCoord(ra * u.deg, dec * u.deg)
    found = separation(field, ra, dec) <= field.radius + radius
    for row in np.flatnonzero(~field.is_circle & (separation(field, ra, dec) < radius + 3)):
        ends = directions(field.corners()[row])
        steps = np.linspace(0, 1, 400)[:, None]
        edges = np.concatenate(
            [a * (1 - steps) + b * steps for a, b in zip(ends, np.roll(ends, -1, axis=0), strict=True)]
        )
        edges /= np.linalg.norm(edges, axis=1)[:, None]
        nearest = np.degrees(np.arccos(np.clip(edges @ directions(np.array([ra, dec])), -1, 1))).min()
        assert abs(nearest - radius) > 1e-5, "choose another circle: brute force cannot tell"
        found[row] = nearest <= radius or inside(field.corners()[row], np.array([[there.ra.deg, dec]]))[0]
    return found


def sky_moc(field: Field, row: int, scale: float, parts: float) -> MOC:
    """The cells that the field of a row has, its size scaled, and each of them so many times smaller than it."""
    radius = float(field.radius[row])
    depth = math.ceil(math.log2(58.6 * parts / radius))
    if field.is_circle[row]:
        lon, lat = field.ra[row] * u.deg, field.dec[row] * u.deg
        return MOC.from_cone(lon, lat, radius=radius * scale * u.deg, max_depth=depth, delta_depth=1)
    middle = np.array([field.ra[row], field.dec[row]])
    corners = middle + (field.corners()[row] - middle) * scale
    return MOC.from_polygon_skycoord(SkyCoord(corners * u.deg), max_depth=depth)


@lru_cache
def by_moc(test: str, text: str, ra: float, dec: float) -> np.ndarray:
    """Which fields of the rows near a place pass a test of their cells and those of a MOC near it.

    A field that is a little smaller and one that is a little larger must tell the same.
    """
    field, moc = starfield(), MOC.from_string(text)
    outside = moc.complement()
    passes = {
        "meets": lambda own: not own.intersection(moc).empty(),
        "lies in": lambda own: own.intersection(outside).empty(),  # mocpy 0.21: difference loses cells
        "holds": lambda own: moc.intersection(own.complement()).empty(),
    }[test]
    found = np.zeros(len(field.id), bool)
    for row in np.flatnonzero(separation(field, ra, dec) < 4):
        for change, parts in ((0.05, 100), (0.003, 3000)):
            less, more = (passes(sky_moc(field, row, 1 + sign * change, parts)) for sign in (-1, 1))
            if less == more:
                break
        assert less == more, "choose another MOC: brute force cannot tell"
        found[row] = less
    return found


def mocs() -> Iterator[Case]:
    def around(ra: float, dec: float, radius: float, depth: int) -> str:
        cells = MOC.from_cone(ra * u.deg, dec * u.deg, radius=radius * u.deg, max_depth=depth)
        return " ".join(str(cells.to_string("ascii")).split())

    def asked(condition: str, test: str, table: str, text: str, ra: float, dec: float) -> Case:
        return where(condition.format(text), lambda field: by_moc(test, text, ra, dec), table)

    for ra, dec, radius, depth in ((10.3, 20.2, 0.6, 9), (0.1, 0.0, 1.3, 11), (180, 45, 0.03, 13)):
        for table in ("lab.stars", "lab.plain"):
            text = around(ra, dec, radius, depth)
            yield asked("1 = INTERSECTS(field, MOC('{}'))", "meets", table, text, ra, dec)
    for table in ("lab.stars", "lab.plain"):
        yield asked("1 = CONTAINS(field, MOC('{}'))", "lies in", table, around(10.3, 20.2, 1.5, 10), 10.3, 20.2)
        yield asked("1 = CONTAINS(MOC('{}'), field)", "holds", table, around(10.3, 20.2, 0.05, 14), 10.3, 20.2)
    yield Case(
        "SELECT TOP 1 INTERSECTS(MOC('3/5'), MOC('5/80-90')), INTERSECTS(MOC('3/5'), MOC('5/96')), "
        "CONTAINS(MOC('5/80-90'), MOC('3/5')), CONTAINS(MOC('5/80-96'), MOC('3/5')), "
        "INTERSECTS(CIRCLE(45, 20, 1), MOC('0/0')), CONTAINS(BOX(0, 0, 1, 1), MOC('0/4')), "
        "CONTAINS(MOC('9/1'), CIRCLE(45, 0, 20)) FROM lab.stars",
        lambda field: [(1, 0, 1, 0, 1, 1, 1)],
    )  # fmt: skip


def where(condition: str, mask: Callable[[Field], np.ndarray], table: str = "lab.stars") -> Case:
    return Case(f"SELECT id FROM {table} WHERE {condition}", lambda field: field.ids(mask(field)))


def cones() -> Iterator[Case]:
    forms = (
        "1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', {0}, {1}, {2}))",
        "CONTAINS(POINT(ra, dec), CIRCLE(POINT({0}, {1}), {2})) = 1",
        "DISTANCE(POINT(ra, dec), POINT({0}, {1})) < {2}",
        "{2} >= DISTANCE({0}, {1}, ra, dec)",
    )
    for number, (ra, dec) in enumerate(PLACES):
        for radius in RADII:
            for form in (forms[number % 4], forms[(number + 1) % 4]):
                table = "lab.plain" if number % 3 == 2 else "lab.stars"
                yield where(
                    form.format(ra, dec, radius),
                    lambda field, at=(ra, dec), r=radius: separation(field, *at) <= r,
                    table,
                )
    yield where("0 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 2))", lambda field: separation(field, 10, 20) > 2)
    yield where("1 <> INTERSECTS(CIRCLE(10, 20, 2), POINT(ra, dec))", lambda field: separation(field, 10, 20) > 2)
    yield where(
        "NOT 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 2)) AND n > 0",
        lambda field: (separation(field, 10, 20) > 2) & (field.n > 0),
    )
    yield where(
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, n / 10.0))",
        lambda field: (separation(field, 10, 20) <= field.n / 10) & (field.n >= 0),
    )
    yield where(
        "DISTANCE(POINT(ra, dec), POINT(83.6, 22)) BETWEEN 0.5 AND 1",
        lambda field: (separation(field, 83.6, 22) >= 0.5) & (separation(field, 83.6, 22) <= 1),
    )
    yield where("DISTANCE(POINT(ra, dec), POINT(83.6, 22)) > 170", lambda field: separation(field, 83.6, 22) > 170)


def areas() -> Iterator[Case]:
    shapes = (
        ((9, 19), (11, 19), (11, 21), (9, 21)),
        ((359, -1), (1, -1), (0, 1.5)),
        ((179, 44), (181.5, 44.2), (182, 46), (180, 46.5), (178.8, 45)),
        ((0, 89), (120, 89), (240, 89)),
        ((40, -89.5), (130, -89.6), (220, -89.2), (310, -89.7)),
        ((300, -20), (40, -20), (40, 50), (300, 50)),
    )
    for corners in shapes:
        numbers = ", ".join(f"{ra}, {dec}" for ra, dec in corners)
        points = ", ".join(f"POINT({ra}, {dec})" for ra, dec in reversed(corners))
        stcs = " ".join(f"{ra} {dec}" for ra, dec in corners)

        def mask(field: Field, corners: tuple[tuple[float, float], ...] = corners) -> np.ndarray:
            return inside(np.array(corners, float), np.stack([field.ra, field.dec], axis=1))

        yield where(f"1 = CONTAINS(POINT(ra, dec), POLYGON({numbers}))", mask)
        yield where(f"CONTAINS(POINT(ra, dec), POLYGON('ICRS', {points})) = 1", mask, "lab.plain")
        yield where(f"1 = INTERSECTS(POINT(ra, dec), REGION('POLYGON ICRS {stcs}'))", mask)
    for table in ("lab.stars", "lab.plain"):
        for turn in (1, -1):  # a square without a corner, whichever way round
            arrow = ((9, 19), (11, 19), (10, 20), (11, 21), (9, 21))[::turn]
            numbers = ", ".join(f"{ra}, {dec}" for ra, dec in arrow)
            yield where(f"1 = CONTAINS(POINT(ra, dec), POLYGON({numbers}))", in_arrow, table)
    ring = [(10 + 1.4 * math.cos(turn) / 0.94, 20 + 1.4 * math.sin(turn)) for turn in np.linspace(0, 6.2, 25).tolist()]
    for corners in (ring, ring[::-1]):
        numbers = ", ".join(f"{ra!r}, {dec!r}" for ra, dec in corners)
        yield where(
            f"1 = CONTAINS(POINT(ra, dec), POLYGON({numbers}))",
            lambda field, corners=corners: inside(np.array(corners), np.stack([field.ra, field.dec], axis=1)),
        )
    for ra, dec, width, height in (
        (10, 20, 1, 2),
        (0, 0, 3, 0.5),
        (180, 45, 2, 2),
        (50, 89.5, 2, 1),
        (83.6, 22, 60, 30),
    ):
        yield where(
            f"1 = CONTAINS(POINT(ra, dec), BOX({ra}, {dec}, {width}, {height}))",
            lambda field, box=(ra, dec, width, height): in_box(field, *box),
        )
        yield where(
            f"1 = CONTAINS(POINT(ra, dec), REGION('Box ICRS {ra} {dec} {width} {height}'))",
            lambda field, box=(ra, dec, width, height): in_box(field, *box),
            "lab.plain",
        )
    for ra, dec, radius in (
        (10.4, 20.3, 0.2),
        (0.0, 0.0, 0.7),
        (180, 45.5, 1.5),
        (300, -89.8, 0.3),
        (120, 88, 1),
        (83, 22, 5),
    ):
        for condition in ("1 = INTERSECTS(field, CIRCLE({}, {}, {}))", "INTERSECTS(CIRCLE({}, {}, {}), field) = 1"):
            for table in ("lab.stars", "lab.plain"):
                yield where(
                    condition.format(ra, dec, radius),
                    lambda field, at=(ra, dec, radius): meets_circle(field, *at),
                    table,
                )
    for ra, dec in ((10.4, 20.3), (0.0, 0.0), (180, 45.5), (83, 22)):
        for table in ("lab.stars", "lab.plain"):
            yield where(
                f"1 = CONTAINS(POINT({ra}, {dec}), field)",
                lambda field, at=(ra, dec): meets_circle(field, *at, 0.0),
                table,
            )
    yield where(
        "1 = CONTAINS(field, CIRCLE(10, 20, 1.5)) AND MOD(n, 2) = 0",
        lambda field: (separation(field, 10, 20) + field.radius <= 1.5) & (field.n % 2 == 0),
    )


def cells() -> Iterator[Case]:
    for text in ("2/0-30", "0/0 3/100-200 5/9000", "1/5 7 9-12 4/1"):
        for table in ("lab.stars", "lab.plain"):
            yield where(
                f"1 = CONTAINS(POINT(ra, dec), MOC('{text}'))",
                lambda field, text=text: np.asarray(
                    MOC.from_string(text).contains_lonlat(field.ra * u.deg, field.dec * u.deg)
                ),
                table,
            )
    many = "6/" + " ".join(map(str, range(0, 49152, 5)))
    yield where(f"1 = CONTAINS(POINT(ra, dec), MOC('{many}'))", lambda field: (field.cell >> 46) % 5 == 0)
    for order in (0, 3, 8, 13, 29):
        for table in ("lab.stars", "lab.plain"):
            yield Case(
                f"SELECT id, IVO_HEALPIX_INDEX({order}, ra, dec) FROM {table}",
                lambda field, shift=2 * (29 - order): list(
                    zip(field.id.tolist(), (field.cell >> shift).tolist(), strict=True)
                ),
            )
