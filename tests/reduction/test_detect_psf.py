"""The definition detect with point spread functions of calibration files: what changes, what it says and refuses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from ccffiles import king_rows, write_ccf
from provenance import votags
from reduction.calibration.kingfile import read_king_table
from reduction.events import fitsfile
from reduction.instruments import Profiles, king
from reduction.simulate import simulate, small
from scriptjobs import ROOT, prepare, run
from skies import BANDS, PIXEL_ARCSEC, Sky, nearest

SCRIPT = ROOT / "job_definitions/detect/run.py"
FITTED_ARCSEC = 48.0
"""Radius within which the script fits a source."""


@pytest.fixture(autouse=True)
def nothing_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UWS_CALIBRATION", "SAS_CCFPATH", "SAS_CCF"):
        monkeypatch.delenv(name, raising=False)


def made(folder: Path, **values: Any) -> Table:
    """The sources that the script finds."""
    done = run(prepare(folder, {"definition": "detect"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stdout)
    return Table.read(folder / "results/sources.fits", hdu="SOURCES")


def refused(folder: Path, **values: Any) -> str:
    done = run(prepare(folder, {"definition": "detect"}, **values), SCRIPT)
    assert done.returncode == 1
    assert not (folder / "results").exists()
    return done.stderr


def sky_of(profiles: Profiles | None) -> Sky:
    """Nine bright sources apart from each other on next to no background."""
    x, y = (axis.ravel() for axis in np.meshgrid([27.3, 83.8, 133.1], [26.6, 80.2, 134.4]))
    return Sky(x, y, np.full((9, 3), 7000.0), np.zeros(9), background=1e-3, profiles=profiles)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration folder with a point spread function of pn whose core is twice as wide as the built-in one."""
    folder = tmp_path_factory.mktemp("wide")
    write_ccf(folder, "EPN", rows=king_rows("EPN", wider=2.0))
    return folder


@pytest.fixture(scope="module")
def images(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sky, dict[str, Any]]:
    """The sky as a telescope with that point spread function sees it."""
    path = wide / "XRT3_XPSF_0018.CCF"
    sky = sky_of(Profiles("EPN", read_king_table(fitsfile.scan(path, "psf"))[0], path.name))
    written, exposure = sky.write(tmp_path_factory.mktemp("sky"), np.random.default_rng(5))
    return sky, {"images": written, "exposure_maps": [exposure]}


def rows_of(sky: Sky, found: Table) -> Table:
    """The rows of the sources of a sky, in its order."""
    away, index = nearest(sky.x, sky.y, np.array(found["X_IMA"]) - 1, np.array(found["Y_IMA"]) - 1)
    assert away.max() < 0.5
    return found[index]


def test_a_file_with_the_built_in_values_gives_the_same_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sky = replace(sky_of(None), counts=np.full((9, 3), 200.0), background=0.02)
    images, exposure = sky.write(tmp_path / "sky", np.random.default_rng(6))
    given = {"images": images, "exposure_maps": [exposure]}
    built_in = made(tmp_path / "built-in", **given)
    write_ccf(tmp_path / "ccf", "EPN")
    monkeypatch.setenv("UWS_CALIBRATION", str(tmp_path / "ccf"))
    ours = made(tmp_path / "file", **given)
    again = made(tmp_path / "again", **given, psf="built-in")
    assert len(ours) == len(built_in) == len(again) >= 9
    for name in ("RA", "DEC", "DET_ML", "COUNTS", "EXT", "PN_2_CTS"):
        assert np.array(ours[name]) == pytest.approx(np.array(built_in[name]), rel=1e-3, abs=1e-3), name
        assert np.array_equal(again[name], built_in[name]), name
    headers = [
        fits.getheader(tmp_path / job / "results/sources.fits", "SOURCES") for job in ("built-in", "file", "again")
    ]
    assert [header["PSF2"] for header in headers] == [
        "King profile of EPN at 1.41 keV", "King profile of EPN at 1.41 keV from XRT3_XPSF_0018.CCF",
        "King profile of EPN at 1.41 keV",
    ]  # fmt: skip


def test_counts_and_extents_change_as_the_integrals_of_the_profiles_say(
    images: tuple[Sky, dict[str, Any]], wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without background the fit of a wrong profile gives the counts within the fitted radius over its part of them."""
    sky, given = images
    with_extents = rows_of(sky, made(tmp_path / "extents", **given))
    as_points = rows_of(sky, made(tmp_path / "points", **given, extent_likelihood=1000000))
    monkeypatch.setenv("SAS_CCFPATH", str(wide))
    right = rows_of(sky, made(tmp_path / "right", **given))
    assert (with_extents["EXT"] > 6).all() and (right["EXT"] == 0).all()
    seconds = sky.exposure[np.rint(sky.y).astype(int), np.rint(sky.x).astype(int)] / sky.exposure.max()
    truth = sky.counts.sum(axis=1) * seconds
    assert np.array(right["COUNTS"]) == pytest.approx(truth, rel=0.03)

    def part(core: float, slope: float) -> float:
        r = np.linspace(0, 300, 300_001)
        light = np.cumsum(r * (1 + (r / core) ** 2) ** -slope)
        return float(light[int(FITTED_ARCSEC * 1000)] / light[-1])

    middle = (sky.size - 1) / 2
    found, wanted = np.zeros(9), np.zeros(9)
    for index in range(9):
        away = np.hypot(sky.x[index] - middle, sky.y[index] - middle) * PIXEL_ARCSEC / 60
        for band, (low, high) in enumerate(BANDS, start=1):
            profile = king("EPN", np.array(np.sqrt(low * high)), float(away))
            core, slope = float(profile.core_arcsec), float(profile.slope)
            found[index] += as_points[index][f"PN_{band}_CTS"] / right[index][f"PN_{band}_CTS"] / 3
            wanted[index] += part(2 * core, slope) / part(core, slope) / 3
    assert (wanted < 0.9).all()
    assert found == pytest.approx(wanted, rel=0.03)
    assert found.mean() == pytest.approx(wanted.mean(), rel=0.015)


def test_event_lists_are_searched_with_the_file_of_their_camera_which_the_products_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = simulate(small(), tmp_path / "simulated", cameras=("EPN", "EMOS1"))
    ccf = write_ccf(tmp_path / "ccf", "EPN", issue=17)
    write_ccf(tmp_path / "ccf", "EPN", issue=18, VALDATE="2099-01-01T00:00:00")
    monkeypatch.setenv("UWS_CALIBRATION", str(tmp_path / "ccf"))
    made(tmp_path / "job", eventlist=lists, bands=["0.5 2", "2 8"], psf="calibration")
    origins = [f"King profile of EPN at {energy} keV from XRT3_XPSF_0017.CCF" for energy in (1, 4)]
    origins += [f"King profile of EMOS1 at {energy} keV" for energy in (1, 4)]
    header = fits.getheader(tmp_path / "job/results/sources.fits", "SOURCES")
    assert [header[f"PSF{number}"] for number in (1, 2, 3, 4)] == origins
    log = (tmp_path / "job/log.txt").read_text()
    assert all(f"counts; {origin}\n" in log for origin in origins) and str(tmp_path) not in log
    assert (
        "Note: the calibration folder has no XRT1_XPSF file: the point spread function of EMOS1 is the published" in log
    )
    used = {"name": "XRT3_XPSF_0017.CCF", "from": "point spread function",
            "sha256": hashlib.sha256(ccf.read_bytes()).hexdigest()}  # fmt: skip
    assert used in json.loads((tmp_path / "job/steps.json").read_text())["provenance"][-1]["calibration"]
    for name in ("sources.fits", "image.fits"):
        tags = votags.read(tmp_path / "job/results" / name)
        assert tags is not None and used in tags.steps[-1].extra["calibration"]


def test_a_mosaic_names_the_files_of_its_three_cameras(
    images: tuple[Sky, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are longer than a card of a header."""
    sky, _ = images
    pictures, exposure = replace(sky, camera="EPIC").write(tmp_path / "sky", np.random.default_rng(7))
    names = [write_ccf(tmp_path / "ccf", camera).name for camera in ("EPN", "EMOS1", "EMOS2")]
    monkeypatch.setenv("UWS_CALIBRATION", str(tmp_path / "ccf"))
    made(tmp_path / "job", images=pictures[:1], exposure_maps=[exposure])
    header = fits.getheader(tmp_path / "job/results/sources.fits", "SOURCES")
    assert header["PSF1"] == f"King profile of the mean EPIC camera at 0.707 keV from {', '.join(names)}"
    used = json.loads((tmp_path / "job/steps.json").read_text())["provenance"][-1]["calibration"]
    assert [each["name"] for each in used] == names


def test_what_gives_no_point_spread_function_is_refused(
    images: tuple[Sky, dict[str, Any]], wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, given = images
    told = refused(tmp_path / "none", **given, psf="calibration")
    assert "[ERROR] psf: no calibration files of a point spread function (XRTn_XPSF_nnnn.CCF) are set up" in told
    assert "[ERROR] psf: 'wide' is no point spread function; write auto" in refused(
        tmp_path / "word", **given, psf="wide"
    )
    write_ccf(tmp_path / "ccf", "EPN", extname="KING")
    monkeypatch.setenv("UWS_CALIBRATION", str(tmp_path / "ccf"))
    told = refused(tmp_path / "broken", **given, psf="calibration")
    assert "[ERROR] psf: XRT3_XPSF_0018.CCF has no table KING_PARAMS" in told and str(tmp_path) not in told
    assert told.rstrip().endswith("; built-in takes the published profile")
    published = made(tmp_path / "built-in", **given, psf="built-in")
    by_itself = made(tmp_path / "auto", **given)
    assert (tmp_path / "auto/log.txt").read_text().count("Note: XRT3_XPSF_0018.CCF has no table KING_PARAMS") == 1
    np.testing.assert_array_equal(by_itself["RATE"], published["RATE"])
    made(tmp_path / "width", **given, psf_fwhm=12.0)
    monkeypatch.setenv("UWS_CALIBRATION", str(wide))
    told = refused(tmp_path / "both", **given, psf="calibration", psf_fwhm=6.0)
    assert "[ERROR] psf_fwhm: a width of the point spread function is given, too; give one or the other" in told
