"""Simulated sources that vary, are extended, come from an image or are seen by a moving telescope, by numpy alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from reduction import instruments
from reduction.errors import ReductionError
from reduction.fitting.absorption import morrison_mccammon
from reduction.simulate import (
    BetaModel,
    Burst,
    Eclipse,
    Gaussian,
    Modelled,
    Observation,
    Periodic,
    PowerLaw,
    Source,
    read_attitude,
    read_sky_image,
    simulate,
    truth_path,
)

PLACE = (148.9740, 69.6510)
EMPTY = Observation("0999990401", *PLACE, 30.0, "2026-03-01T10:00:00", 4000.0, particle_rate=0.0, sky_rate=0.0, seed=11)
DRAW = 20_000


def observed(folder: Path, observation: Observation, camera: str = "EMOS1") -> tuple[fits.Header, Any, Any]:
    """Header and rows of the list of a camera, and what is true of its only source."""
    (path,) = simulate(observation, folder, cameras=[camera])
    truth = json.loads(truth_path(folder, observation).read_text())
    with fits.open(path, memmap=False) as hdus:
        header, rows = hdus["EVENTS"].header, np.asarray(hdus["EVENTS"].data)
    return header, rows, truth


def with_source(flux: float = 2e-11, **more: Any) -> Observation:
    return replace(EMPTY, sources=(Source("S", *PLACE, flux, PowerLaw(1.7), **more),))


def in_circle(truth: Any, camera: str = "EMOS1") -> tuple[int, float]:
    """Counts that were drawn into the circle about the source, and the mean of such counts."""
    source = truth["cameras"][camera]["sources"][0]
    return source["circle"]["usual_from_source"], source["expected"]["in_circle_usual"]


KINDS = [
    Burst(start_s=1000.0, factor=20.0, decay_s=300.0, rise_s=100.0),
    Burst(start_s=3900.0, factor=5.0, decay_s=900.0),
    Eclipse(period_s=900.0, duration_s=200.0, middle_s=450.0, depth=0.8),
    Periodic(period_s=613.0, fraction=0.6, epoch_s=77.0),
]


@pytest.mark.parametrize("kind", KINDS)
def test_times_follow_the_flux(kind: Any) -> None:
    """The drawn times against the integral of the flux, by the test of Kolmogorov: 1.95 / sqrt(n) is 0.1 %."""
    times = np.sort(kind.draw(np.random.default_rng(3), DRAW, 4000.0))
    grid = np.linspace(0, 4000, 400_001)
    middle = (grid[1:] + grid[:-1]) / 2
    flux = kind.relative(middle)
    assert kind.mean(4000.0) == pytest.approx(flux.mean(), rel=1e-4)
    cumulative = np.interp(times, grid, np.concatenate(([0.0], np.cumsum(flux) / flux.sum())))
    assert len(times) == DRAW
    assert np.abs(cumulative - (np.arange(DRAW) + 0.5) / DRAW).max() < 1.95 / np.sqrt(DRAW)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_a_variable_source_are_those_expected(tmp_path: Path, kind: Any) -> None:
    drawn, expected = in_circle(observed(tmp_path, with_source(variability=kind))[2])
    assert expected > 1000
    assert abs(drawn - expected) < 4 * np.sqrt(expected)


def test_a_period_is_in_the_arrival_times(tmp_path: Path) -> None:
    kind = Periodic(period_s=61.3, fraction=0.5, epoch_s=20.0)
    header, rows, truth = observed(tmp_path, with_source(variability=kind))
    phase = 2 * np.pi * (rows["TIME"] - header["TSTART"] - kind.epoch_s) / kind.period_s
    # a sine of the fraction f gives means of f / 2 of its sine and 0 of its cosine
    error = np.sqrt(0.5 / len(rows))
    assert np.sin(phase).mean() == pytest.approx(0.25, abs=4 * error)
    assert np.cos(phase).mean() == pytest.approx(0.0, abs=4 * error)
    assert truth["observation"]["sources"][0]["variability"] == {
        "kind": "periodic", "period_s": 61.3, "fraction": 0.5, "epoch_s": 20.0
    }  # fmt: skip


def distances(rows: Any) -> npt.NDArray[np.float64]:
    return np.asarray(np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) / 20)


def test_a_gaussian_is_as_wide_as_asked_for(tmp_path: Path) -> None:
    """Its encircled light beside that of a point: the median radius of a Gaussian of 30 arcsec, blurred, is more."""
    rows = observed(tmp_path, with_source(extent=Gaussian(30.0)))[1]
    draw = np.random.default_rng(0)
    energy = np.interp(
        draw.random(40_000), np.linspace(0, 1, 500), np.sort(rows["PI"] / 1000)[:: len(rows) // 500][:500]
    )
    blur, turn = instruments.king("EMOS1", energy, 0.0).radius(draw.random(40_000)), 2 * np.pi * draw.random(40_000)
    wide = np.hypot(
        blur * np.cos(turn) + 30 * draw.standard_normal(40_000), blur * np.sin(turn) + 30 * draw.standard_normal(40_000)
    )
    for part in (0.25, 0.5, 0.75):
        radius = np.quantile(wide, part)
        assert np.mean(distances(rows) < radius) == pytest.approx(part, abs=4 * 0.5 / np.sqrt(len(rows)) + 0.01)


def test_a_beta_model_has_its_profile() -> None:
    extent = BetaModel(core_arcsec=40.0, beta=0.67, limit_arcsec=400.0)
    x, y = extent.offsets((np.arange(100_000) + 0.5) / 100_000, np.linspace(0, 1, 100_000))
    radius = np.linspace(0, 400, 4001)
    bright = (1 + (radius / 40) ** 2) ** (0.5 - 3 * 0.67) * radius
    light = np.concatenate(([0.0], np.cumsum((bright[1:] + bright[:-1]) / 2)))
    for r in (20, 40, 80, 200, 399):
        assert np.mean(np.hypot(x, y) < r) == pytest.approx(np.interp(r, radius, light / light[-1]), abs=2e-3)
    assert np.hypot(x, y).max() <= 400


@pytest.mark.parametrize("extent", [Gaussian(30.0), BetaModel(60.0, 0.6, 500.0)])
@pytest.mark.parametrize("north", [0.0, 8.0])
def test_counts_of_an_extended_source_are_those_expected(tmp_path: Path, extent: Any, north: float) -> None:
    source = Source("wide", PLACE[0], PLACE[1] + north / 60, 5e-11, PowerLaw(1.7), extent)
    truth = observed(tmp_path, replace(EMPTY, sources=(source,)))[2]
    drawn, expected = in_circle(truth)
    assert expected > 500
    assert abs(drawn - expected) < 4 * np.sqrt(expected) + 0.02 * expected
    all_drawn, all_expected = (
        truth["cameras"]["EMOS1"]["sources"][0]["drawn"],
        truth["cameras"]["EMOS1"]["sources"][0]["expected"]["detected"],
    )
    assert abs(all_drawn - all_expected) < 4 * np.sqrt(all_expected) + 0.01 * all_expected


def write_image(path: Path, values: npt.NDArray[Any], angle: float = 0.0) -> Path:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], list(PLACE), ["deg", "deg"]
    wcs.wcs.crpix = [(values.shape[1] + 1) / 2, (values.shape[0] + 1) / 2]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-cos, sin], [sin, cos]]) * 4 / 3600
    fits.PrimaryHDU(values, wcs.to_header()).writeto(path)
    return path


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_photons_come_from_the_bright_pixels_of_an_image(tmp_path: Path, angle: float) -> None:
    values = np.zeros((101, 121), dtype=np.float32)
    values[80, 20], values[10, 100], values[50, 60], values[0, 0] = 3.0, 1.0, np.nan, -5.0
    path = write_image(tmp_path / "sky.fits", values, angle)
    image, centre = read_sky_image(path)
    source = Source("sky", float(centre.ra.deg), float(centre.dec.deg), 2e-11, PowerLaw(1.7), image)
    header, rows, _ = observed(tmp_path, replace(EMPTY, sources=(source,)))
    at = {card.value: int(card.keyword[5:]) for card in header.cards if card.keyword.startswith("TTYPE")}
    sky = WCS(naxis=2)
    sky.wcs.ctype = [header[f"TCTYP{at[axis]}"] for axis in "XY"]
    sky.wcs.crpix = [header[f"TCRPX{at[axis]}"] + 1 for axis in "XY"]
    sky.wcs.crval = [header[f"TCRVL{at[axis]}"] for axis in "XY"]
    sky.wcs.cdelt = [header[f"TCDLT{at[axis]}"] for axis in "XY"]
    column, row = WCS(fits.getheader(path)).world_to_pixel(sky.pixel_to_world(rows["X"], rows["Y"]))
    bright, faint = (
        (np.abs(column - c) < 1.1) & (np.abs(row - r) < 1.1) for r, c in ((80, 20), (10, 100))
    )  # fmt: skip
    assert np.mean(bright | faint) > 0.99  # 1.1 pixels: the half of one, and the error of a detector pixel
    assert bright.sum() / faint.sum() == pytest.approx(3.0, rel=0.15)


def test_an_image_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReductionError, match="nowhere above 0"):
        read_sky_image(write_image(tmp_path / "none.fits", np.full((5, 5), np.nan)))
    fits.PrimaryHDU(np.ones((4, 4))).writeto(tmp_path / "flat.fits")
    with pytest.raises(ReductionError, match="no celestial coordinates"):
        read_sky_image(tmp_path / "flat.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(ReductionError, match="cannot be read"):
        read_sky_image(tmp_path / "text.fits")


def test_a_real_mosaic_is_a_sky(tmp_path: Path, shared: Path) -> None:
    path = shared / "real" / "xmm_mosaics" / "P0004210201EPX000OIMAGE8000.fits"
    image, centre = read_sky_image(path)
    source = Source("sky", float(centre.ra.deg), float(centre.dec.deg), 1e-10, PowerLaw(1.7), image)
    pointing = replace(EMPTY, ra=source.ra, dec=source.dec, sources=(source,))
    rows = observed(tmp_path, pointing, "EPN")[1]
    values = np.nan_to_num(fits.getdata(path))
    row, column = np.unravel_index(np.argmax(values), values.shape)
    x, y = (25921 + 80 * sign * (at - (size - 1) / 2)
            for at, size, sign in ((column, values.shape[1], 1), (row, values.shape[0], 1)))  # fmt: skip
    near = np.hypot(rows["X"] - x, rows["Y"] - y) < 400
    ring = (np.hypot(rows["X"] - x, rows["Y"] - y) < 1600) & ~near
    assert near.sum() / 400**2 > 3 * ring.sum() / (1600**2 - 400**2)


def write_attitude(path: Path, times: Any, ra: Any, dec: Any, pa: Any, names: tuple[str, ...]) -> Path:
    columns = [
        fits.Column(name, "D", array=np.asarray(values))
        for name, values in zip(("TIME", *names), (times, ra, dec, pa), strict=True)
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SCATS1")]).writeto(path)
    return path


def test_a_moving_telescope_smears_the_detector_and_not_the_sky(tmp_path: Path) -> None:
    """The pointing goes 60 arcsec to the north: the source moves on the detector, and stays where it is on the sky."""
    start = EMPTY.tstart
    times, north = start + np.linspace(-10, 4010, 50), np.linspace(-30, 30, 50)
    path = write_attitude(tmp_path / "attitude.fits", times, np.full(50, PLACE[0]), PLACE[1] + north / 3600,
                          np.full(50, 30.0), ("AHFRA", "AHFDEC", "AHFPA"))  # fmt: skip
    moving = replace(with_source(), attitude=read_attitude(path))
    _, rows, truth = observed(tmp_path, moving)
    still = observed(tmp_path / "still", with_source())[1]
    for axis in ("X", "Y"):
        assert np.median(rows[axis]) == pytest.approx(np.median(still[axis]), abs=12)
        near = [np.abs(r[axis] - np.median(r[axis])) for r in (rows, still)]
        assert np.median(near[0]) == pytest.approx(np.median(near[1]), rel=0.06)
    first, last = (rows[np.abs(rows["TIME"] - start - at) < 200] for at in (200, 3800))
    moved = np.hypot(*(np.median(last[axis]) - np.median(first[axis]) for axis in ("DETX", "DETY"))) / 20
    assert moved == pytest.approx(60 * 3600 / 4020, abs=2)
    assert truth["observation"]["attitude"] == "attitude.fits"


def test_an_attitude_of_another_time_is_refused(tmp_path: Path) -> None:
    path = write_attitude(tmp_path / "a.fits", [0.0, 10.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0], ("RA", "DEC", "PA"))
    with pytest.raises(ReductionError, match=r"a\.fits has pointings from TIME 0 to 10; the observation lasts"):
        replace(EMPTY, attitude=read_attitude(path))
    with pytest.raises(ReductionError, match="no table with TIME"):
        read_attitude(write_image(tmp_path / "image.fits", np.ones((3, 3))))


@pytest.mark.parametrize(
    ("parameter", "make"),
    [
        ("variability", lambda: Burst(-1.0, 1.0, 10.0)),
        ("variability", lambda: Eclipse(100.0, 100.0)),
        ("variability", lambda: Periodic(0.0, 0.5)),
        ("variability", lambda: Periodic(10.0, float("nan"))),
        ("extent", lambda: Gaussian(0.0)),
        ("extent", lambda: BetaModel(50.0, 0.1)),
    ],
)
def test_nonsense_of_a_source_is_refused(parameter: str, make: Any) -> None:
    with pytest.raises(ReductionError) as caught:
        make()
    assert caught.value.parameter == parameter


def test_a_model_is_its_own_truth(tmp_path: Path) -> None:
    """Photons of an absorbed power law: the flux by another integral, and the energies by the same law."""
    spectrum = Modelled.of("wabs*powerlaw", {"wabs.nH": 0.5, "powerlaw.PhoIndex": 2.0, "powerlaw.norm": 3e-3})
    energy = np.linspace(0.2, 12, 1_000_001)
    photons = 3e-3 * energy**-2.0 * np.exp(-0.5 * morrison_mccammon(energy))
    assert spectrum.flux == pytest.approx(np.trapezoid(photons * energy, energy) * 1.602176634e-9, rel=2e-3)
    assert spectrum.shape(np.array([1.0, 5.0])) == pytest.approx(photons[[67797, 406780]], rel=1e-3)
    source = Source("S", *PLACE, spectrum.flux, spectrum)
    _, rows, truth = observed(tmp_path, replace(EMPTY, sources=(source,)))
    drawn, expected = in_circle(truth)
    assert abs(drawn - expected) < 4 * np.sqrt(expected)
    described = truth["observation"]["sources"][0]
    assert described["spectrum"] == {
        "model": "wabs*powerlaw", "wabs": {"nH": 0.5}, "powerlaw": {"PhoIndex": 2.0, "norm": 3e-3}
    }  # fmt: skip
    assert described["photons_cm2_s_keV_at_1_keV"] == pytest.approx(3e-3 * np.exp(-0.5 * 2.42), rel=0.02)
    # absorbed: hardly any below 0.5 keV
    assert np.mean(rows["PI"] < 450) < 0.03


def test_a_model_that_is_none_is_refused() -> None:
    with pytest.raises(ReductionError, match="column 6"):
        Modelled.of("wabs*powerlw", {})
    with pytest.raises(ReductionError, match="PhoIndx"):
        Modelled.of("powerlaw", {"powerlaw.PhoIndx": 2.0})
    with pytest.raises(ReductionError, match="no photons"):
        Modelled.of("powerlaw", {"powerlaw.norm": 0.0})
