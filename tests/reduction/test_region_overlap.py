"""How much of a region lies in another one, and regions in ICRS; oracles: areas of caps and lenses, astropy."""

from __future__ import annotations

import math

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord

from reduction.errors import ReductionError
from reduction.regions import parse
from reduction.regions.overlap import shared


def lens(radius: float, apart: float) -> float:
    """The part of a circle that lies in an equal one, by the distance of their middles."""
    half = apart / 2 / radius
    return 2 / math.pi * (math.acos(half) - half * math.sqrt(1 - half * half))


@pytest.mark.parametrize(("lon", "lat"), [(83.63, 22.01), (0.001, -0.5), (359.9999, 60.0), (12.0, 89.999), (5, -90)])
def test_two_circles_share_a_lens(lon: float, lat: float) -> None:
    first = SkyCoord(lon, lat, unit="deg")
    second = first.directional_offset_by(140 * u.deg, 30 * u.arcsec)
    found = shared(parse(f'icrs; circle({lon}, {lat}, 40")'),
                   parse(f'icrs; circle({float(second.ra.deg)!r}, {float(second.dec.deg)!r}, 40")'))  # fmt: skip
    assert found.of_first == pytest.approx(lens(40, 30), rel=2e-3)
    assert found.of_second == pytest.approx(found.of_first, rel=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "of_first", "of_second"),
    [
        ('icrs; circle(83.63, 22.01, 40")', 'icrs; annulus(83.63, 22.01, 40", 80")', 0, 0),
        ('icrs; circle(83.63, 22.01, 40")', 'icrs; annulus(83.63, 22.01, 20", 80")', 3 / 4, 1200 / 6000),
        ('icrs; circle(83.63, 22.01, 40")', 'icrs; circle(83.63, 22.01, 80")\n-circle(83.63, 22.01, 41")', 0, 0),
        ('icrs; circle(83.63, 22.01, 40")\n-circle(83.63, 22.01, 20")', 'icrs; circle(83.63, 22.01, 20")', 0, 0),
        ('icrs; circle(83.63, 22.01, 40")', 'icrs; circle(263.63, -22.01, 40")', 0, 0),
        ('icrs; box(83.63, 22.01, 40", 40", 0)', 'icrs; box(83.63, 22.01, 40", 40", 45)', 0.8284, 0.8284),
        ("physical; circle(100, 100, 40)", "physical; circle(100, 100, 20)", 1 / 4, 1),
    ],
)
def test_parts_that_are_known(first: str, second: str, of_first: float, of_second: float) -> None:
    found = shared(parse(first), parse(second))
    assert found.of_first == pytest.approx(of_first, rel=2e-3, abs=1e-5)
    assert found.of_second == pytest.approx(of_second, rel=2e-3, abs=1e-5)


def test_the_sense_of_rotation_of_a_polygon_does_not_count() -> None:
    corners = [(359.99, -0.01), (0.01, -0.01), (0.01, 0.01), (359.99, 0.01)]
    texts = [f"icrs; polygon({', '.join(f'{x}, {y}' for x, y in turn)})" for turn in (corners, corners[::-1])]
    for text in texts:
        assert shared(parse(text), parse('icrs; circle(0, 0, 18")')).of_second == pytest.approx(1)
    assert shared(parse(texts[0]), parse(texts[1])).of_first == pytest.approx(1)


def test_pixels_and_sky_are_not_compared() -> None:
    with pytest.raises(ReductionError):
        shared(parse("physical; circle(100, 100, 40)"), parse('icrs; circle(83.63, 22.01, 40")'))


@pytest.mark.parametrize("frame", ["fk5", "fk4", "galactic"])
def test_a_region_in_icrs_is_at_the_same_place(frame: str) -> None:
    at = SkyCoord(150.1, 2.2, unit="deg").transform_to(frame)
    lon, lat = float(at.spherical.lon.deg), float(at.spherical.lat.deg)
    given = parse(f'{frame}; ellipse({lon!r}, {lat!r}, 60", 10", 25)\n-circle({lon!r}, {lat!r}, 5")')
    turned = given.in_icrs()
    centre = turned.include[0].center
    assert centre.frame.name == "icrs" and centre.separation(SkyCoord(150.1, 2.2, unit="deg")).arcsec < 1e-6
    # a point on the long axis stays on it: DS9's angle counts from the west, in the frame of the shape
    tip = at.directional_offset_by((25 - 90) * u.deg, 50 * u.arcsec).icrs
    along = centre.position_angle(tip) + 90 * u.deg
    assert abs((turned.include[0].angle - along).wrap_at(180 * u.deg).deg) < 1e-3
    assert turned.exclude[0].radius.to_value("arcsec") == pytest.approx(5)
    assert shared(given, turned).of_smaller == pytest.approx(1, abs=2e-3)
    vertices = parse(f"{frame}; polygon({lon}, {lat}, {lon + 0.1}, {lat}, {lon}, {lat + 0.1})").in_icrs()
    assert vertices.include[0].vertices[0].separation(at.icrs).arcsec < 1e-6
