"""Exposure of a region: the live times of its CCDs weighed by the good area that each has in it, by brute force.

The shares are counted on a fine grid over the true geometry; no number is taken from `reduction.spectra`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.simulate import simulate, small, truth_path
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.draw import detectors
from reduction.spectra.spectrum import Spectrum, extract
from synthetic import PIXEL, Epic, Geometry, gtis, write

X, Y, RADIUS = 27000.0, 25000.0, 5000.0
"""A circle over the corners of four CCDs, off centre so that no two have the same part of it."""

FRACTIONS = {ccd: 0.30 + 0.05 * ccd for ccd in range(1, 13)}
"""Live fractions, far apart, so that any other weight gives another exposure."""

LIVE_S = {ccd: FRACTIONS[ccd] * sum(stop - start for start, stop in gtis(ccd)) for ccd in range(1, 13)}

BAD = tuple((10, column, 1, 1, 120) for column in range(1, 31))
"""Dead rows 1 to 120 of 30 columns of CCD 10: they have no events, nor area."""


def unevenly_lit(path: Path, rows: int = 60_000, bad: tuple[tuple[int, int, int, int, int], ...] = BAD) -> np.ndarray:
    """Write a list in which CCD 3 holds a tenth of the events that its area would give; return its rows."""
    live = tuple((f"LIVETI{ccd:02d}", seconds) for ccd, seconds in LIVE_S.items())
    write(path, Epic(rows=rows, cards=live, bad=bad))
    with fits.open(path, mode="update") as hdus:
        data = hdus["EVENTS"].data
        third = np.flatnonzero(data["CCDNR"] == 3)
        kept = np.ones(len(data), dtype=bool)
        kept[third[np.arange(third.size) % 10 > 0]] = False
        hdus["EVENTS"].data = data[kept]
    return np.asarray(fits.getdata(path, "EVENTS"))


def good_parts(x: float, y: float, radius: float) -> dict[int, float]:
    """Good area of each CCD in a circle, by four million points on the true geometry."""
    steps = (np.arange(2000) + 0.5) / 1000 - 1
    px, py = (axis.ravel() * radius for axis in np.meshgrid(steps, steps))
    inside = np.hypot(px, py) <= radius
    ccd, rawx, rawy = Geometry().pixel(x + px[inside], y + py[inside])
    for number, column, row, _, extent in BAD:
        ccd[(ccd == number) & (rawx == column) & (rawy >= row) & (rawy < row + extent)] = 0
    numbers, points = np.unique(ccd[ccd > 0], return_counts=True)
    return dict(zip(numbers.tolist(), (points * (radius / 1000) ** 2).tolist(), strict=True))


def weighed(seconds: Mapping[int, float], weights: Mapping[int, float]) -> float:
    """Mean of the live times with these weights."""
    return sum(seconds[ccd] * weight for ccd, weight in weights.items()) / sum(weights.values())


def spectrum_of(path: Path, text: str | None) -> Spectrum:
    with open_eventlist(path) as events:
        region = regions.parse(text).on(events.wcs) if text else None
        return extract(events, choose(events, "0.2 12.0", "all", "none"), {"source_region": region})["source_region"]


def test_ccds_are_weighed_by_their_good_area_not_by_their_counts(tmp_path: Path) -> None:
    rows = unevenly_lit(tmp_path / "pn.fits")
    spectrum = spectrum_of(tmp_path / "pn.fits", f"physical; circle({X},{Y},{RADIUS})")
    parts = good_parts(X, Y, RADIUS)
    inside = rows["CCDNR"][np.hypot(rows["X"] - X, rows["Y"] - Y) <= RADIUS]
    by_counts = weighed(LIVE_S, dict(zip(*np.unique(inside, return_counts=True), strict=True)))
    expected = weighed(LIVE_S, parts)
    assert len(parts) == 4
    assert abs(by_counts / expected - 1) > 0.03, "the two weights are too near each other to tell"
    assert spectrum.exposure_s == pytest.approx(expected, rel=1e-3)
    assert spectrum.shares == {ccd: pytest.approx(part / sum(parts.values()), abs=2e-3) for ccd, part in parts.items()}
    assert spectrum.backscal == pytest.approx(sum(parts.values()), rel=2e-3)


def test_all_events_are_weighed_by_the_good_pixels_of_each_ccd(tmp_path: Path) -> None:
    rows = unevenly_lit(tmp_path / "pn.fits")
    pixels = {ccd: 64 * 200 - (30 * 120 if ccd == 10 else 0) for ccd in range(1, 13)}
    by_counts = weighed(LIVE_S, dict(zip(*np.unique(rows["CCDNR"], return_counts=True), strict=True)))
    expected = weighed(LIVE_S, pixels)
    assert abs(by_counts / expected - 1) > 0.02
    spectrum = spectrum_of(tmp_path / "pn.fits", None)
    assert spectrum.exposure_s == pytest.approx(expected, rel=1e-3)
    assert spectrum.backscal == pytest.approx(sum(pixels.values()) * PIXEL**2, rel=2e-3)


def test_ccds_that_cannot_be_placed_are_weighed_by_their_counts(tmp_path: Path) -> None:
    rows = unevenly_lit(tmp_path / "pn.fits", rows=600)
    spectrum = spectrum_of(tmp_path / "pn.fits", f"physical; circle({X},{Y},{RADIUS})")
    good = np.zeros(len(rows), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            good |= (rows["CCDNR"] == ccd) & (rows["TIME"] >= start) & (rows["TIME"] <= stop)
    good &= (np.hypot(rows["X"] - X, rows["Y"] - Y) <= RADIUS) & (rows["PI"] >= 200) & (rows["PI"] <= 12000)
    counts = dict(zip(*np.unique(rows["CCDNR"][good], return_counts=True), strict=True))
    assert spectrum.exposure_s == pytest.approx(weighed(LIVE_S, counts))
    assert spectrum.backscal == pytest.approx(np.pi * RADIUS**2)
    assert "too few events to place CCD" in spectrum.notes[0]


def test_without_counts_and_area_all_ccds_weigh_the_same(tmp_path: Path) -> None:
    unevenly_lit(tmp_path / "pn.fits", rows=600)
    spectrum = spectrum_of(tmp_path / "pn.fits", f"physical; circle({X},{Y},1)")
    assert spectrum.selected == 0
    assert spectrum.exposure_s == pytest.approx(np.mean(list(LIVE_S.values())))


def test_without_counts_and_area_a_ccd_without_good_time_weighs_nothing(tmp_path: Path) -> None:
    unevenly_lit(tmp_path / "pn.fits", rows=600)
    with open_eventlist(tmp_path / "pn.fits") as events:
        region = regions.parse(f"physical; circle({X},{Y},1)").on(events.wcs)
        user = {ccd: events.gtis[ccd] for ccd in (2, 7)}
        selection = choose(events, "0.2 12.0", "all", "none", user)
        spectrum = extract(events, selection, {"source_region": region})["source_region"]
    assert spectrum.selected == 0
    assert spectrum.exposure_s == pytest.approx((LIVE_S[2] + LIVE_S[7]) / 2)


def test_a_live_time_that_is_not_known_is_told(tmp_path: Path) -> None:
    """Without LIVETInn, LIVETIME, DTCOR and DEADC the exposure is the good time itself."""
    unevenly_lit(tmp_path / "pn.fits")
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        del hdus["EVENTS"].header["LIVETI*"]
    spectrum = spectrum_of(tmp_path / "pn.fits", None)
    assert "live fraction: no LIVETIME and ONTIME: taken as 1" in spectrum.notes
    for ccd, seconds in spectrum.live_s.items():
        assert ccd is not None
        assert seconds == pytest.approx(sum(stop - start for start, stop in gtis(ccd)))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(small(), folder)
    return folder


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
@pytest.mark.parametrize(("dx", "dy", "radius"), [(0, 0, 7500), (-4000, 6500, 4000)])
def test_area_and_exposure_are_those_of_the_simulated_detector(
    simulated: Path, camera: str, dx: float, dy: float, radius: float
) -> None:
    """The simulator knows where its CCDs lie, which pixels are bad and how long each was live."""
    observation, model = small(), CAMERAS[camera]
    truth = json.loads(truth_path(simulated, observation).read_text())["cameras"][camera]
    steps = (np.arange(1200) + 0.5) / 600 - 1
    px, py = (axis.ravel() * radius for axis in np.meshgrid(steps, steps))
    inside = np.hypot(px, py) <= radius
    x, y = 25921.0 + dx, 25921.0 + dy
    detx, dety = model.to_detector(x + px[inside], y + py[inside], observation.pa)
    points, live_s = {}, {}
    for chip in detectors(observation, model):
        column, row = (np.floor(raw + 0.5).astype(int) - 1 for raw in chip.ccd.to_raw(detx, dety))
        on = (column >= 0) & (column < chip.ccd.columns) & (row >= 0) & (row < chip.ccd.rows)
        points[chip.ccd.number] = int(np.count_nonzero(chip.good[column[on], row[on]]))
        live_s[chip.ccd.number] = truth["ontime_s"][f"{chip.ccd.number:02d}"] * truth["live_fraction"]
    spectrum = spectrum_of(simulated / truth["file"], f"physical; circle({x},{y},{radius})")
    assert sum(number > 0 for number in points.values()) > 1
    assert spectrum.backscal == pytest.approx(sum(points.values()) * (radius / 600) ** 2, rel=4e-3)
    assert spectrum.exposure_s == pytest.approx(weighed(live_s, points), rel=1e-4)
