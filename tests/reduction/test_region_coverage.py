"""MOCs of regions: every point of a region is in its cells, and the cells reach no farther than their size allows."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from reduction import regions
from reduction.errors import ReductionError
from reduction.regions.coverage import highest_order, suitable_order, to_moc

ORDER = 13
CELL = np.degrees(np.sqrt(np.pi / 3)) / 2**ORDER * u.deg
"""Side of a cell of a mean shape."""

FARTHEST = 2 * np.sqrt(2) * CELL + 0.01 * u.deg
"""The diagonals of two cells (a cut-out leaves its border), and how far the points of the test are apart."""

SHAPES = {
    "circle": "icrs; circle(83.6, 22, 0.3)",
    "circle at the pole": "icrs; circle(10, 89.9, 0.3)",
    "circle on RA 0": "icrs; circle(0.01, -5, 0.4)",
    "galactic ellipse": "galactic; ellipse(184.5, -5.8, 0.5, 0.2, 30)",
    "box": "fk5; box(200, -60, 1, 0.4, 20)",
    "ring": "icrs; annulus(120, 45, 0.2, 0.5)",
    "elliptical ring": "icrs; ellipse(120, 45, 0.1, 0.2, 0.3, 0.6, 40)",
    "polygon": "icrs; polygon(150, 2, 151, 2, 151, 3, 150.5, 2.5)",
    "circle cut out": "icrs; circle(83.6, 22, 0.3)\n-circle(83.6, 22, 0.1)",
}


def points_about(region: regions.RegionSet, count: int = 20000) -> SkyCoord:
    """Random points around the middle of a region."""
    centre, radius = region.centre_and_radius()  # type: ignore[misc]
    random = np.random.default_rng(3)
    away = 1.3 * radius * np.sqrt(random.random(count))
    return centre.directional_offset_by(random.random(count) * 2 * np.pi * u.rad, away)


def inside(region: regions.RegionSet, points: SkyCoord) -> np.ndarray:
    """Which points lie in a region, in a tangent plane at its middle."""
    from astropy.wcs import WCS

    centre = region.centre_and_radius()[0]  # type: ignore[index]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (centre.ra.deg, centre.dec.deg), (-1e-4, 1e-4)
    wcs.wcs.radesys = "ICRS"
    return region.on(wcs).contains(*wcs.world_to_pixel(points))


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_cells_hold_the_region_and_little_more(text: str) -> None:
    region = regions.parse(text)
    moc = to_moc(region, ORDER)
    points = points_about(region)
    selected, covered = inside(region, points), moc.contains_skycoords(points)
    assert selected.sum() > 2000
    assert covered[selected].all()
    extra = points[covered & ~selected]
    assert len(extra) > 0
    assert (points[selected][:, None].separation(extra[None, ::20]).min(axis=0) < FARTHEST).all()


def test_an_order_that_suits_a_region_shows_its_shape() -> None:
    small, large = (regions.parse(f"icrs; circle(10, 20, {size})") for size in ('15"', "10d"))
    assert suitable_order(small, 12) == 18
    assert suitable_order(large, 0) < suitable_order(large, 12) == 12
    circle = to_moc(small, 18).sky_fraction * 4 * np.pi
    assert circle == pytest.approx(np.pi * np.radians(15 / 3600) ** 2, rel=0.15)


@pytest.mark.parametrize("text", [*SHAPES.values(), "icrs; circle(83, 22, 60)\n-circle(83, 22, 20)"])
def test_the_highest_order_bounds_the_cells_of_a_region(text: str) -> None:
    region = regions.parse(text)
    orders = [highest_order(region, seconds) for seconds in (1e-9, 0.01, 0.04, 0.16, 1e9)]
    assert orders == sorted(orders) and orders[0] == 0 and orders[-1] == 29
    assert orders[3] - orders[1] in (3, 4, 5)  # each order has twice the cells on a border
    assert len(to_moc(region, orders[1]).to_depth29_ranges) < 0.01 / 1e-6


def test_shapes_are_joined_as_one_by_one() -> None:
    shapes = [f"circle({10 + i * 0.3}, 20, 0.2)" for i in range(6)]
    cuts = ["-circle(10.3, 20, 0.15)", "-box(11, 20, 0.3, 0.3, 0)"]
    joined = to_moc(regions.parse("icrs; " + "\n".join(shapes + cuts)), ORDER)
    one_by_one = to_moc(regions.parse(f"icrs; {shapes[0]}"), ORDER)
    for shape in shapes[1:]:
        one_by_one = one_by_one.union(to_moc(regions.parse(f"icrs; {shape}"), ORDER))
    for cut in cuts:
        one_by_one = one_by_one.difference(to_moc(regions.parse(f"icrs; {cut[1:]}"), ORDER).remove_neighbours())
    assert joined == one_by_one


def test_regions_that_have_no_cells_are_refused_by_name() -> None:
    with pytest.raises(ReductionError, match=r"physical X,Y has no sky position"):
        to_moc(regions.parse("physical; circle(20000, 20000, 100)"), 10)
    with pytest.raises(ReductionError, match="from 0 to 29, not 30") as caught:
        to_moc(regions.parse("icrs; circle(10, 20, 1)"), 30)
    assert caught.value.parameter == "order"
