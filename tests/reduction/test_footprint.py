"""Footprints of event lists: the CCDs that were on are inside, what is far from them is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from mocpy import MOC

from reduction.events.eventlist import open_eventlist
from reduction.events.footprint import Pointing, fields_of_view, footprint
from reduction.missions import EPN
from synthetic import Epic, Geometry, write

ORDER = 12
CELL_ARCSEC = np.degrees(np.sqrt(np.pi / 3)) / 2**ORDER * 3600


def seen(path: Path) -> tuple[MOC | None, str]:
    with open_eventlist(path) as events:
        found = footprint(events, ORDER)
        return found.cells, found.way


def sky_of(path: Path, x: np.ndarray, y: np.ndarray) -> SkyCoord:
    with open_eventlist(path) as events:
        return events.wcs.pixel_to_world(x, y).icrs


@pytest.mark.parametrize(("rows", "ccds", "way"), [(60_000, 12, "events"), (60_000, 4, "events"), (1_500, 12, "hull")])
def test_the_field_of_the_ccds_that_were_on(tmp_path: Path, rows: int, ccds: int, way: str) -> None:
    epic = Epic(rows=rows, ccds=ccds)
    write(tmp_path / "events.fits", epic)
    moc, how = seen(tmp_path / "events.fits")
    assert how == way and moc is not None
    random = np.random.default_rng(4)
    x, y = random.uniform(5000, 46000, (2, 40_000))
    on = np.isin(Geometry().pixel(x, y)[0], np.arange(1, ccds + 1))
    steps = np.linspace(-1, 1, 9) * 2.5 * CELL_ARCSEC / 0.05  # what is farther than a cell and the bins lies outside
    near = np.zeros(len(x), dtype=bool)
    for dx in steps:
        for dy in steps:
            near |= np.isin(Geometry().pixel(x + dx, y + dy)[0], np.arange(1, ccds + 1))
    covered = moc.contains_skycoords(sky_of(tmp_path / "events.fits", x, y))
    assert on.sum() > 2000 and (~near).sum() > 2000
    assert covered[on].mean() > (0.999 if way == "events" else 0.97)
    assert not covered[~near].any()


def test_a_list_filtered_to_a_region_sees_that_region(tmp_path: Path) -> None:
    rows = write(tmp_path / "all.fits", Epic(rows=60_000))
    with fits.open(tmp_path / "all.fits") as hdus:
        hdus["EVENTS"].data = hdus["EVENTS"].data[np.hypot(rows["X"] - 27000, rows["Y"] - 26000) < 2400]
        hdus.writeto(tmp_path / "some.fits")
    moc, _ = seen(tmp_path / "some.fits")
    assert moc is not None
    area = moc.sky_fraction * 4 * np.pi * (180 / np.pi * 3600) ** 2
    assert area == pytest.approx(np.pi * 120**2, rel=1.0)  # cells of 52 arcsec at its edge
    assert moc.contains_skycoords(sky_of(tmp_path / "some.fits", np.array([27000.0]), np.array([26000.0]))).all()


def test_events_out_of_the_field_of_view_are_left_out(tmp_path: Path) -> None:
    rows = write(tmp_path / "all.fits", Epic(rows=60_000))
    with fits.open(tmp_path / "all.fits", mode="update") as hdus:
        data = hdus["EVENTS"].data
        data["FLAG"] = np.where(rows["X"] > 30000, 0x10000, 0)
    moc, _ = seen(tmp_path / "all.fits")
    assert moc is not None
    assert not moc.contains_skycoords(
        sky_of(tmp_path / "all.fits", np.full(50, 33000.0), np.linspace(2e4, 3e4, 50))
    ).any()


@pytest.mark.parametrize("name", ["chandra_m82/acis_10027_events.fits", "nustar_b1937/dummy_evt.evt"])
def test_real_lists_of_few_events_see_where_these_lie(shared: Path, name: str) -> None:
    path = shared / "real" / name
    moc, how = seen(path)
    with open_eventlist(path) as events:
        x, y = (np.concatenate([column.floats(rows) for rows in events.chunks()]) for column in (events.x, events.y))
    good = np.isfinite(x) & np.isfinite(y)
    assert how in ("hull", "events") and moc is not None
    assert moc.contains_skycoords(sky_of(path, x[good], y[good])).mean() > 0.98
    assert moc.sky_fraction * 41253 < 1


def test_a_list_without_positions_sees_its_pointing_or_nothing(tmp_path: Path) -> None:
    write(tmp_path / "timing.fits", Epic(rows=100, sky=False, cards=(("RA_PNT", 83.6), ("DEC_PNT", 22.0))))
    moc, how = seen(tmp_path / "timing.fits")
    assert how == "pointing" and moc is not None
    assert moc.contains_skycoords(SkyCoord([83.6], [22.2], unit="deg")).all()
    write(tmp_path / "lost.fits", Epic(rows=100, sky=False))
    assert seen(tmp_path / "lost.fits") == (None, "")


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
def test_the_field_about_a_pointing_is_that_of_the_events(tmp_path: Path, camera: str) -> None:
    """The model of the field against the simulated CCDs, whose events lie where the simulator puts its detectors."""
    from reduction.simulate import simulate, small

    simulate(small(), tmp_path, cameras=(camera,))
    path = next(tmp_path.glob("*.FIT*"))
    lit, way = seen(path)
    assert way == "events" and lit is not None
    with open_eventlist(path) as events:
        pointing = Pointing(*(float(events.keywords[name]) for name in ("RA_PNT", "DEC_PNT", "PA_PNT")))
        field = events.mission.field
    turned = replace(pointing, angle_deg=pointing.angle_deg + 180)
    shares = []
    for one in (pointing, turned):
        moc = fields_of_view(field, [one], ORDER)[0]
        shares.append(moc.intersection(lit).sky_fraction / moc.union(lit).sky_fraction)
    assert shares[0] > 0.9
    assert shares[0] > shares[1] + (0.05 if camera == "EPN" else -0.01)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 90.0), (10.0, -89.95), (0.0, 0.0), (359.99, 60.0)])
@pytest.mark.parametrize("angle", [30.0, float("nan")])
def test_fields_at_the_poles_and_on_ra_0_are_as_large_as_elsewhere(ra: float, dec: float, angle: float) -> None:
    usual, there = fields_of_view(EPN.field, [Pointing(100.0, 20.0, angle), Pointing(ra, dec, angle)], 14)
    assert there.sky_fraction == pytest.approx(usual.sky_fraction, rel=0.02)
    assert there.contains_skycoords(SkyCoord([ra], [dec], unit="deg")).all()
    area = usual.sky_fraction * 4 * np.pi * (180 / np.pi * 60) ** 2
    assert area == pytest.approx(np.pi * 15**2 if np.isnan(angle) else 660, rel=0.03)


@pytest.mark.parametrize(("rows", "sky"), [(60_000, True), (1_500, True), (100, False)])
def test_the_outline_goes_about_what_is_seen(tmp_path: Path, rows: int, sky: bool) -> None:
    cards = () if sky else (("RA_PNT", 83.6), ("DEC_PNT", 22.0), ("PA_PNT", 40.0))
    write(tmp_path / "events.fits", Epic(rows=rows, sky=sky, cards=cards))
    with open_eventlist(tmp_path / "events.fits") as events:
        found = footprint(events, ORDER)
    assert found.cells is not None and len(found.outline) < 200
    corners = SkyCoord(found.outline, unit="deg")
    inside = MOC.from_polygon_skycoord(corners, max_depth=ORDER)
    missed = found.cells.difference(inside)
    assert missed.sky_fraction < 0.02 * found.cells.sky_fraction
    middle = SkyCoord(found.cells.barycenter())
    angles = np.unwrap(middle.position_angle(corners).rad)
    assert np.all(np.diff(angles) > -1e-6) and angles[-1] - angles[0] > np.pi  # north, east, south, west
