"""What a region sees of a source on an event list whose geometry is known: rings, gaps, angles, rows of the CCD."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from reduction import regions
from reduction.calibration.view import middle_of, row_at, view_extended, view_point
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.pointing import optical_axis
from reduction.instruments import king, vignetting
from reduction.instruments.psf import CORE, SLOPE
from reduction.spectra.area import CcdPlace, Sampler, place_ccds
from synthetic import Epic, Geometry, write

KEV = np.array([0.5, 1.5, 4.0, 8.0])
AXIS = (25921.0, 25921.0)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventList]:
    path = tmp_path_factory.mktemp("list") / "pn.fits"
    write(path, Epic(rows=60000, bad=((9, 32, 1, 1, 200),)))
    with open_eventlist(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def places(events: EventList) -> dict[int, CcdPlace]:
    sampler = Sampler(events)
    for rows in events.chunks():
        sampler(rows)
    return place_ccds(events, sampler.table)


def region(text: str, events: EventList) -> regions.core.PixelRegionSet:  # type: ignore[name-defined]
    return regions.parse(text).on(events.wcs)


def sky(ccd: int, rawx: float, rawy: float) -> tuple[float, float]:
    x, y = Geometry().sky(np.array([ccd]), np.array([rawx]), np.array([rawy]))
    return float(x[0]), float(y[0])


def physical(x: float, y: float, arcsec: float) -> str:
    return f"physical; circle({x}, {y}, {arcsec * 20})"


def test_a_circle_on_one_ccd_sees_the_encircled_energy_of_its_radius(
    events: EventList, places: dict[int, CcdPlace]
) -> None:
    source = sky(3, 32, 100)
    seen = view_point(events, region(physical(*source, 40), events), places, source)
    expected = king("EPN", KEV, seen.angle_arcmin).encircled(40.0)
    assert seen.encircled("EPN", KEV) == pytest.approx(expected, rel=0.004)
    away = np.hypot(*(np.array(source) - optical_axis(events))) / 1200
    assert seen.angle_arcmin == pytest.approx(away)
    assert seen.factor("EPN", KEV) == pytest.approx(expected * vignetting(KEV, away), rel=0.004)


def test_a_gap_beside_the_source_is_taken_off_once(events: EventList, places: dict[int, CcdPlace]) -> None:
    """On the edge of a CCD at the border of the camera half of the light is lost."""
    source = sky(1, 0.5, 100)
    seen = view_point(events, region(physical(*source, 40), events), places, source)
    whole = view_point(events, region(physical(*source, 40), events), {}, source)
    part = seen.encircled("EPN", KEV) / whole.encircled("EPN", KEV)
    assert part == pytest.approx(0.5, abs=0.01)


def test_a_bad_column_through_the_source_costs_more_than_its_share_of_the_area(
    events: EventList, places: dict[int, CcdPlace]
) -> None:
    source = sky(9, 32, 40)
    text = region(physical(*source, 40), events)
    seen, whole = (view_point(events, text, of, source).encircled("EPN", KEV) for of in (places, {}))
    # an independent sum over a fine grid of the published profile, half a pixel to each side of the column left out
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-40, 40, (2, 4_000_000))
    inside = np.hypot(x, y) < 40
    bad = np.abs(x) < 4.1 / 2
    angle = np.hypot(*(np.array(source) - AXIS)) / 1200
    for number, energy in enumerate(KEV):
        terms = np.array([1.0, energy, angle, energy * angle])
        core, slope = np.dot(CORE["EPN"], terms), np.dot(SLOPE["EPN"], terms)
        light = (1 + (x**2 + y**2) / core**2) ** -slope
        expected = light[inside & ~bad].sum() / light[inside].sum()
        assert seen[number] / whole[number] == pytest.approx(expected, abs=0.01)


def test_the_source_may_lie_beside_the_middle_of_its_region(events: EventList, places: dict[int, CcdPlace]) -> None:
    middle = sky(3, 32, 100)
    circle = region(physical(*middle, 40), events)
    assert middle_of(circle) == pytest.approx(middle)
    there = view_point(events, circle, places, middle).encircled("EPN", KEV)
    beside = view_point(events, circle, places, (middle[0] + 600, middle[1])).encircled("EPN", KEV)
    assert (beside < there - 0.05).all() and (beside > 0.3).all()
    with pytest.raises(ReductionError, match="no good pixel of the region lies within 300 arcsec of the source"):
        view_point(events, circle, places, (middle[0] + 9000, middle[1]))


def test_an_annulus_sees_what_two_circles_leave(events: EventList, places: dict[int, CcdPlace]) -> None:
    source = sky(3, 32, 100)
    ring = region(f"physical; annulus({source[0]}, {source[1]}, 300, 800)", events)
    found = view_point(events, ring, places, source).encircled("EPN", KEV)
    profile = king("EPN", KEV, np.hypot(*(np.array(source) - AXIS)) / 1200)
    inner, outer = profile.encircled(15.0), profile.encircled(40.0)
    assert found == pytest.approx(outer - inner, abs=0.01)


def test_a_flat_source_has_the_mean_vignetting_of_its_region(events: EventList, places: dict[int, CcdPlace]) -> None:
    source = sky(3, 32, 100)
    shape = region(physical(*source, 100), events)
    seen = view_extended(events, shape, places)
    rng = np.random.default_rng(1)
    radius, turn = 2000 * np.sqrt(rng.uniform(size=200_000)), rng.uniform(0, 2 * np.pi, 200_000)
    x, y = source[0] + radius * np.cos(turn), source[1] + radius * np.sin(turn)
    expected = vignetting(KEV[:, None], np.hypot(x - AXIS[0], y - AXIS[1]) / 1200).mean(axis=1)
    assert seen.factor("EPN", KEV) / seen.good == pytest.approx(expected, rel=0.002)
    ccd, rawx, _ = Geometry().pixel(x, y)
    good = (ccd > 0) & ~((ccd == 9) & (rawx == 32))
    assert seen.good == pytest.approx(good.mean(), abs=0.005)


def test_events_weigh_an_extended_source_without_what_vignetting_took(
    events: EventList, places: dict[int, CcdPlace]
) -> None:
    """A source that is as bright everywhere gives fewer events far from the axis: the flat answer comes back."""
    shape = region(physical(26000, 26000, 600), events)
    rng = np.random.default_rng(2)
    radius, turn = 12000 * np.sqrt(rng.uniform(size=400_000)), rng.uniform(0, 2 * np.pi, 400_000)
    x, y = 26000 + radius * np.cos(turn), 26000 + radius * np.sin(turn)
    kept = rng.uniform(size=x.size) < vignetting(np.array(1.5), np.hypot(x - AXIS[0], y - AXIS[1]) / 1200)
    flat = view_extended(events, shape, places).factor("EPN", KEV)
    weighted = view_extended(events, shape, places, (x[kept], y[kept])).factor("EPN", KEV)
    assert weighted == pytest.approx(flat, rel=0.005)
    core = np.hypot(x - AXIS[0], y - AXIS[1]) < 1200
    assert (view_extended(events, shape, places, (x[core], y[core])).factor("EPN", KEV) > flat * 1.1).all()
    with pytest.raises(ReductionError, match="no events to weigh it by"):
        view_extended(events, shape, places, (x[:0], y[:0]))


def test_the_row_of_a_place_is_that_of_its_ccd(places: dict[int, CcdPlace]) -> None:
    for ccd, rawx, rawy in ((3, 32, 190), (9, 10, 5), (12, 60, 111)):
        assert row_at(places, sky(ccd, rawx, rawy)) == pytest.approx(rawy, abs=1)
    assert row_at({}, AXIS) is None
