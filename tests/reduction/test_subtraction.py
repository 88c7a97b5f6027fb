"""Whether a background can be subtracted: areas shared by two regions, against geometry; what the job says of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.errors import ReductionError
from reduction.regions.pixel import PixelRegionSet
from reduction.spectra.subtraction import overlap, require_separate
from scriptjobs import prepare, run
from synthetic import Epic, Geometry, write
from uws_server.previews.plot import make_plot

CIRCLE = "physical; circle(24000,27000,2500)"


def region(text: str) -> PixelRegionSet:
    return regions.parse(f"physical; {text}").on(None)


def lens(radius: float, apart: float) -> float:
    """Area that two circles of one radius share, by the textbook's formula for two circular segments."""
    return float(2 * radius**2 * np.arccos(apart / 2 / radius) - apart / 2 * np.sqrt(4 * radius**2 - apart**2))


@pytest.mark.parametrize("apart", [10.0, 50.0, 100.0, 150.0, 195.0])
def test_two_circles_share_a_lens(apart: float) -> None:
    shared = lens(100.0, apart) / (np.pi * 100**2)
    found = overlap(region("circle(0,0,100)"), region(f"circle({apart},0,100)"))
    assert found.of_source == pytest.approx(shared, abs=3e-4)
    assert found.of_background == pytest.approx(shared, abs=3e-4)
    assert found.is_there


@pytest.mark.parametrize(
    ("source", "background", "of_source", "of_background"),
    [
        ("circle(0,0,100)", "annulus(0,0,100,200)", 0, 0),
        ("circle(0,0,100)", "annulus(0,0,50,150)", 0.75, (100**2 - 50**2) / (150**2 - 50**2)),
        ("circle(0,0,100)", "circle(0,0,200)", 1, 0.25),
        ("box(0,0,40,40,0)", "box(40,0,40,40,0)", 0, 0),
        ("box(0,0,40,40,0)", "box(30,0,40,40,0)", 0.25, 0.25),
        ("circle(0,0,100)", "circle(500,0,100)", 0, 0),
    ],
)
def test_parts_of_both_areas(source: str, background: str, of_source: float, of_background: float) -> None:
    found = overlap(region(source), region(background))
    assert found.of_source == pytest.approx(of_source, abs=5e-4)
    assert found.of_background == pytest.approx(of_background, abs=5e-4)
    assert found.is_there == (of_source > 0)


def test_regions_that_are_one_are_refused() -> None:
    with pytest.raises(ReductionError, match="same area as source_region") as caught:
        require_separate(region("circle(0,0,100)"), region("ellipse(0,0,100,100,20)"))
    assert caught.value.parameter == "background_region"
    assert require_separate(region("circle(0,0,100)"), region("circle(0,0,110)")).of_source == 1


# ---- the job


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pn") / "pn.fits"
    write(path, Epic(rows=20000))
    return path


def test_all_events_have_no_background(pn: Path, shared: Path, tmp_path: Path) -> None:
    """Their area is 1 on Chandra and NuSTAR, that of corners outside the field too on EPIC: refused on all three."""
    for name, place in (("pn", pn), ("acis", shared / "real/chandra_m82/acis_10027_events.fits"),
                        ("fpma", shared / "real/nustar_b1937/dummy_evt.evt")):  # fmt: skip
        x, y = (float(np.median(fits.getdata(place, "EVENTS")[axis])) for axis in ("X", "Y"))
        folder = prepare(tmp_path / name, eventlist=place, background_region=f"physical; circle({x},{y},60)")
        done = run(folder)
        assert done.returncode == 1
        assert "[ERROR] source_region: it is empty, which means all events" in done.stderr
        assert "leave background_region empty" in done.stderr
        assert not (folder / "results/source_spectrum.fits").exists()


def test_a_background_over_the_source_is_told_in_the_log_the_file_and_the_plot(pn: Path, tmp_path: Path) -> None:
    folder = prepare(
        tmp_path / "job",
        eventlist=pn,
        source_region=CIRCLE,
        background_region="physical; annulus(24000,27000,1250,5000)",
    )
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "Note: 75 % of the source region lies in the background region (20 % of that one)" in done.stdout
    results = {path.name: path for path in (folder / "results").iterdir()}
    assert fits.getval(results["source_spectrum.fits"], "BKGSHARE", "SPECTRUM") == pytest.approx(0.75, abs=2e-3)
    assert "BKGSHARE" not in fits.getheader(results["background_spectrum.fits"], "SPECTRUM")
    notes = make_plot(results["source_spectrum.fits"], results).notes
    assert any(note.startswith("75% of the source region lies in the background region") for note in notes)


def test_a_background_beside_the_source_is_not_remarked(pn: Path, tmp_path: Path) -> None:
    folder = prepare(
        tmp_path / "job",
        eventlist=pn,
        source_region=CIRCLE,
        background_region="physical; annulus(24000,27000,2500,5000)",
    )
    done = run(folder)
    assert "background region" not in done.stdout.replace("background region:", "")
    assert "BKGSHARE" not in fits.getheader(folder / "results/source_spectrum.fits", "SPECTRUM")


@pytest.mark.parametrize("name", ["source_region", "background_region"])
def test_a_region_of_bad_pixels_alone_cannot_be_scaled(tmp_path: Path, name: str) -> None:
    """Events of bad pixels are in the list, so that the region is no empty one; its area is none."""
    bad = tuple((4, column, 81, 1, 40) for column in range(13, 53))
    write(tmp_path / "list.fits", Epic(rows=20000, bad=bad))
    x, y = Geometry().sky(np.array([4]), np.array([32.5]), np.array([100.5]))[:, 0]
    places = {"source_region": CIRCLE, "background_region": "physical; circle(30000,31000,2500)"}
    places[name] = f"physical; circle({x},{y},1000)"
    done = run(prepare(tmp_path / "job", eventlist=tmp_path / "list.fits", **places))
    assert done.returncode == 1
    assert f"[ERROR] {name}: no good pixel lies in it" in done.stderr
    assert not (tmp_path / "job/results/source_spectrum.fits").exists()


SKY_KEPT_OUT, SOURCE_ON = "no light of the sky came in", "the calibration source was on"


@pytest.mark.parametrize(
    ("wheel", "told"),
    [
        ("Closed", {SKY_KEPT_OUT}),
        ("CalClosed", {SKY_KEPT_OUT, SOURCE_ON}),
        ("CalThin1", {SOURCE_ON}),
        ("CalMedium", {SOURCE_ON}),
        ("Medium", set()),
        ("Open", set()),
    ],
)
@pytest.mark.parametrize("hdu", [0, 1])
def test_a_closed_filter_and_a_calibration_source_are_told_and_reduced(
    pn: Path, tmp_path: Path, wheel: str, told: set[str], hdu: int
) -> None:
    """Such lists serve as backgrounds; through CalThin1 the sky is seen, under the lines of the source."""
    path = shutil.copy(pn, tmp_path / "list.fits")
    with fits.open(path, mode="update") as hdus:
        del hdus[1].header["FILTER"]
        hdus[hdu].header["FILTER"] = wheel
    done = run(prepare(tmp_path / "job", eventlist=path, source_region=CIRCLE))
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if f"FILTER is {wheel}:" in line] or [""]
    assert {words for words in (SKY_KEPT_OUT, SOURCE_ON) if words in line} == told
    assert ("serves as a background" in line) == (SKY_KEPT_OUT in told)
    spectrum = fits.getheader(tmp_path / "job/results/source_spectrum.fits", "SPECTRUM")
    assert spectrum["FILTER"] == wheel
    assert fits.getheader(tmp_path / "job/results/events.fits", hdu)["FILTER"] == wheel


def test_a_filter_of_a_telescope_without_a_wheel_is_not_remarked(shared: Path, tmp_path: Path) -> None:
    path = shutil.copy(shared / "real/chandra_m82/acis_10027_events.fits", tmp_path / "list.fits")
    fits.setval(path, "FILTER", value="calibrated", ext=1)
    done = run(prepare(tmp_path / "job", eventlist=path, energy="0.5 7"))
    assert done.returncode == 0, done.stderr
    assert "FILTER" not in done.stdout
