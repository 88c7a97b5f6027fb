"""Regions of a source: neighbours in simulated lists, the best radius by brute force, a ring without neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import choose
from reduction.instruments import king
from reduction.simulate import Observation, PowerLaw, Source, simulate
from reduction.sources import apertures, summary, surroundings

PLACE = (148.9740, 69.6510)


def source(name: str, east: float, north: float, flux: float) -> Source:
    """A source so many arcsec from the pointing."""
    at = SkyCoord(*PLACE, unit="deg").spherical_offsets_by(east * u.arcsec, north * u.arcsec)
    return Source(name, float(at.ra.deg), float(at.dec.deg), flux, PowerLaw(1.7))


SOURCES = (source("target", 0, 0, 3e-13), source("near", 50, 0, 3e-13), source("bright", -150, 100, 3e-12),
           source("faint", 100, -180, 3e-14), source("far", 0, 900, 1e-12))  # fmt: skip
FIELD = Observation("0999990501", *PLACE, 40.0, "2026-03-01T10:00:00", 12_000.0, sources=SOURCES, seed=3)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventList]:
    (path,) = simulate(FIELD, tmp_path_factory.mktemp("field"), cameras=["EMOS1"])
    with open_eventlist(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def near(events: EventList) -> surroundings.Surroundings:
    selection = choose(events, "0.2 12.0", "default", "default", None)
    return surroundings.around(events, selection, SkyCoord(*PLACE, unit="deg"))


def test_neighbours_are_found_where_they_are(near: surroundings.Surroundings) -> None:
    found = surroundings.sought(near)
    places = SkyCoord([each.ra for each in found], [each.dec for each in found], unit="deg")
    for each in SOURCES[1:3]:
        assert SkyCoord(each.ra, each.dec, unit="deg").separation(places).arcsec.min() < 5
    target = SkyCoord(*PLACE, unit="deg")
    assert target.separation(places).arcsec.min() > 20
    assert len(found) <= 4  # those two, the faint one, and one by chance
    assert [each.apart_arcsec for each in found] == sorted(each.apart_arcsec for each in found)
    bright = max(found, key=lambda each: each.counts)
    # its counts: ten times those of the target, as the truth has it
    assert bright.counts / found[0].counts == pytest.approx(10, rel=0.3)


def test_an_empty_field_has_no_neighbours(tmp_path: Path) -> None:
    found = 0
    for seed in range(4):
        (path,) = simulate(replace(FIELD, sources=(), exposure_s=8000.0, seed=seed), tmp_path, cameras=["EMOS2"])
        with open_eventlist(path) as opened:
            selection = choose(opened, "0.2 12.0", "default", "default", None)
            around = surroundings.around(opened, selection, SkyCoord(*PLACE, unit="deg"))
            found += len(surroundings.sought(around))
            chosen = apertures.choose(around, [])
            assert chosen.radius_arcsec < 25  # what is not seen is sought near its place
    assert found <= 1


def flat(source: float, behind: float, camera: str = "EPN") -> surroundings.Surroundings:
    """Surroundings that hold just what is expected: a point of so many counts, and counts for each pixel behind it."""
    axis = (np.arange(211) - 105) * surroundings.PIXEL_ARCSEC
    x, y = np.meshgrid(axis, axis)
    psf = king(camera, np.array(surroundings.MEAN_KEV), 0.0)
    light = source * surroundings.surface(psf, np.hypot(x, y)) * surroundings.PIXEL_ARCSEC**2
    any_list: Any = None
    return surroundings.Surroundings(PLACE, light + behind, np.ones_like(x), x, y, psf, any_list)


@pytest.mark.parametrize(("counts", "behind"), [(50.0, 0.5), (300.0, 0.2), (3000.0, 0.05), (300.0, 3.0)])
def test_the_radius_has_the_best_signal_to_noise(counts: float, behind: float) -> None:
    around = flat(counts, behind)
    chosen = apertures.choose(around, [])
    radius = np.linspace(2, 60, 2000)
    signal = counts * around.psf.encircled(radius)
    ratio = signal / np.sqrt(signal + behind * np.pi * radius**2 / 16)
    best = ratio.max()
    at = np.interp(chosen.radius_arcsec, radius, ratio)
    assert at > 0.97 * best
    assert chosen.signal_to_noise == pytest.approx(best, rel=0.12)
    assert chosen.encircled == pytest.approx(float(around.psf.encircled(chosen.radius_arcsec)))
    assert chosen.ring[0] >= 1.5 * chosen.radius_arcsec - 1
    assert chosen.ring[1] ** 2 - chosen.ring[0] ** 2 >= 4.9 * chosen.radius_arcsec**2


def test_the_ring_has_no_neighbour_in_it(events: EventList, near: surroundings.Surroundings) -> None:
    chosen = apertures.choose(near, surroundings.sought(near))
    ring = regions.parse(chosen.background_region).on(events.wcs)
    circle = regions.parse(chosen.source_region).on(events.wcs)
    for each, inside in ((SOURCES[0], True), (SOURCES[1], False), (SOURCES[2], False)):
        x, y = FIELD.positions[SOURCES.index(each)]
        assert bool(circle.contains(np.array([x]), np.array([y]))[0]) is inside
        assert not ring.contains(np.array([x]), np.array([y]))[0]
    # 50 arcsec from another one as bright, half of the way is the most
    assert chosen.radius_arcsec <= 26
    assert "a neighbour 50 arcsec away limits the radius" in chosen.notes[0]
    assert apertures.choose(near, [], 33.0).radius_arcsec == 33.0


def test_a_list_of_sources_says_who_the_neighbours_are(near: surroundings.Surroundings, tmp_path: Path) -> None:
    table = Table({"ra": [each.ra for each in SOURCES] + [np.nan], "dec": [each.dec for each in SOURCES] + [np.nan]})
    table.write(tmp_path / "list.fits")
    found = surroundings.listed(tmp_path / "list.fits", near)
    assert [round(each.apart_arcsec) for each in found] == [50, 180, 206]
    for content, words in ((b"text", "cannot be read"), (None, "RA and DEC")):
        path = tmp_path / f"{words[:3]}.fits"
        if content is None:
            fits.PrimaryHDU(np.ones((3, 3))).writeto(path)
        else:
            path.write_bytes(content)
        with pytest.raises(ReductionError, match=words) as caught:
            surroundings.listed(path, near)
        assert caught.value.parameter == "source_list"


def test_a_position_outside_of_the_field_is_refused(events: EventList) -> None:
    selection = choose(events, "0.2 12.0", "default", "default", None)
    for place in ((PLACE[0], PLACE[1] + 0.4), (10.0, -30.0)):
        with pytest.raises(ReductionError) as caught:
            surroundings.around(events, selection, SkyCoord(*place, unit="deg"))
        assert caught.value.parameter == "position"


def test_sums_of_event_lists() -> None:
    one = {"telescope": "XMM", "instrument": "EPN", "obs_id": "1", "counts": 10, "background_counts": 40, "ratio": 0.1,
           "exposure_s": 1000.0, "encircled": 0.8, "chance": 0.01, "radius_arcsec": 20.0,
           "limits": [{"confidence": 0.9, "rate_low": 0.0, "rate_high": 0.01}]}  # fmt: skip
    other = one | {"obs_id": "2", "counts": 20, "exposure_s": 3000.0, "encircled": 0.6}
    mos = one | {"instrument": "EMOS1", "counts": 3}
    rows = summary.rows_of({1: one, 2: other, 3: mos})
    assert [row["part"] for row in rows] == ["1", "2", "3", "camera", "all"]
    camera = rows[3]
    assert (camera["counts"], camera["background"], camera["exposure_s"]) == (30, 8.0, 4000.0)
    assert camera["rate"] == pytest.approx(22 / (800 + 1800))
    assert rows[4]["counts"] == 33
    assert np.isnan(rows[4]["rate"])
    lines = summary.text_of(rows).splitlines()
    assert lines[4].split()[:2] == ["camera", "EPN"]
    assert lines[4].split()[-2:] == ["below", f"{camera['rate_high']:.3g}"] or "to" in lines[4].split()
    table = Table.read(summary.table_of(rows).decode(), format="ascii.ecsv")
    assert list(table["counts"]) == [10, 20, 3, 30, 33]
