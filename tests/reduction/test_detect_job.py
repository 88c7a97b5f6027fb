"""The definition detect: what it makes of event lists and images, what other programs read, and what it refuses."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from astropy.time import Time

from provenance import votags
from reduction import regions, task
from reduction.errors import ReductionError
from reduction.simulate import PowerLaw, Source, simulate, small
from scriptjobs import ROOT, prepare, run
from skies import EXPOSURE_S, Sky, nearest, points

SCRIPT = ROOT / "job_definitions/detect/run.py"


def made(folder: Path, **values: Any) -> dict[str, Path]:
    """The products of a detection."""
    done = run(prepare(folder, {"definition": "detect"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stdout)
    return {path.name: path for path in (folder / "results").iterdir()}


def refused(folder: Path, **values: Any) -> str:
    """The sentence with which a detection ends, in this process; it leaves no product."""
    job = task.read_task(prepare(folder, {"definition": "detect"}, **values), 4)
    try:
        with pytest.raises(ReductionError) as caught:
            runpy.run_path(str(SCRIPT))["main"](job)
    finally:
        job.close()
    assert not (folder / "results").exists()
    return task.message_of(caught.value)


@pytest.fixture(scope="module")
def sky() -> Sky:
    return points(np.random.default_rng(1), 12, 60, 600)


@pytest.fixture(scope="module")
def written(sky: Sky, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    return sky.write(tmp_path_factory.mktemp("sky"), np.random.default_rng(2))


@pytest.fixture(scope="module")
def products(written: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The products of a detection in three images with an exposure map."""
    return made(tmp_path_factory.mktemp("job") / "job", images=written[0], exposure_maps=[written[1]])


def printed(*command: str) -> str:
    """What a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def changed(path: Path, to: Path, pixels: Any = None, **cards: Any) -> Path:
    """A copy of an image with other pixels or keywords; None removes one."""
    header, data = fits.getheader(path), fits.getdata(path)
    for key, value in cards.items():
        if value is None:
            header.remove(key)
        else:
            header[key] = value
    fits.writeto(to, pixels(data) if pixels else data, header)
    return to


def test_images_give_the_sources_that_are_in_them(sky: Sky, products: dict[str, Path]) -> None:
    table = Table.read(products["sources.fits"], hdu="SOURCES")
    places = sky.wcs.all_pix2world(np.stack((sky.x, sky.y), axis=1), 0)
    for (ra, dec), counts in zip(places, sky.counts, strict=True):
        apart = np.hypot((table["RA"] - ra) * np.cos(np.radians(dec)), table["DEC"] - dec) * 3600
        row = table[int(np.argmin(apart))]
        assert apart.min() < 4 * row["RADEC_ERR"]
        assert row["RATE"] * EXPOSURE_S == pytest.approx(counts.sum(), abs=5 * row["RATE_ERR"] * EXPOSURE_S)
    assert len(table) <= len(sky.x) + 1
    assert list(table["SRC_ID"]) == list(range(1, len(table) + 1))
    assert (np.diff(table["DET_ML"]) <= 0).all()


def test_list_is_the_same_as_votable_and_as_regions(products: dict[str, Path]) -> None:
    table, votable = Table.read(products["sources.fits"], hdu="SOURCES"), parse_single_table(products["sources.vot"])
    other = votable.to_table()
    assert other.colnames == table.colnames
    for name in ("SRC_ID", "RA", "DEC", "DET_ML", "PN_2_RATE", "FLAG"):
        assert np.array(other[name]) == pytest.approx(np.array(table[name]), rel=1e-15), name
    assert [field.unit for field in votable.fields if field.name == "RADEC_ERR"] == ["arcsec"]
    assert votable.get_field_by_id_or_name("RA").ucd == "pos.eq.ra;meta.main"
    shapes = regions.parse(products["sources.reg"].read_text(), parameter="regions")
    assert len(shapes.to_ds9().split("circle(")) == len(table) + 1


def test_topcat_reads_both_lists_and_other_checkers_find_no_fault(products: dict[str, Path]) -> None:
    if not (stilts := shutil.which("stilts")):
        pytest.skip("stilts is not installed")
    checked = printed(stilts, "votlint", str(products["sources.vot"]))
    assert "ERROR" not in checked, checked
    assert "WARNING" not in checked, checked
    for name in ("sources.vot", "sources.fits#1"):
        counted = subprocess.run([stilts, "tpipe", f"in={products[name.split('#')[0]]}{'#1' if '#' in name else ''}",
                                  "cmd=keepcols 'SRC_ID RA DEC RADEC_ERR'", "omode=count"],
                                 capture_output=True, text=True, check=False)  # fmt: skip
        assert "columns: 4" in counted.stdout, counted.stderr
    if fitsverify := shutil.which("fitsverify"):
        for name in ("sources.fits", "image.fits"):
            verified = printed(fitsverify, "-q", str(products[name]))
            assert "OK" in verified, verified


def test_products_say_what_they_are(products: dict[str, Path], written: tuple[list[Path], Path]) -> None:
    tags = votags.read(products["sources.fits"])
    assert tags is not None
    assert tags.row["dataproduct_type"] == "measurements"
    assert tags.row["obs_id"] == "0123456789"
    assert tags.row["em_min"] == pytest.approx(12.398e-10 / 4.5, rel=1e-3)
    used = [name for name in json.dumps([step.args for step in tags.steps], default=str).split('"') if "image_" in name]
    assert used or str(written[0][0].name) in str(tags.steps)
    with fits.open(products["image.fits"]) as hdus:
        assert [hdu.name for hdu in hdus][:3] == ["PRIMARY", "BACKGROUND", "MODEL"]
        lit = fits.getdata(written[1]) > 0
        total = sum(np.where(lit, fits.getdata(path), 0) for path in written[0])
        assert (hdus[0].data == total).all()
        assert (hdus["BACKGROUND"].data + hdus["MODEL"].data).sum() == pytest.approx(total.sum(), rel=0.02)


def test_image_without_exposure_map_has_no_rates_and_says_so(
    sky: Sky, written: tuple[list[Path], Path], tmp_path: Path
) -> None:
    found = made(tmp_path / "job", images=written[0])
    assert "no exposure map" in (tmp_path / "job/log.txt").read_text()
    table = Table.read(found["sources.fits"], hdu="SOURCES")
    assert "RATE" not in table.colnames
    assert "COUNTS" in table.colnames
    away, _ = nearest(sky.x, sky.y, np.array(table["X_IMA"]) - 1, np.array(table["Y_IMA"]) - 1)
    assert np.mean(away[sky.counts.sum(axis=1) > 100] < 2) > 0.85


def test_rotated_image_has_the_same_places(sky: Sky, written: tuple[list[Path], Path], tmp_path: Path) -> None:
    """Pixels turned by 90 degrees under a CD matrix that turns with them."""

    def turned(path: Path) -> Path:
        header = fits.getheader(path)
        for key in ("CDELT1", "CDELT2"):
            header.remove(key)
        side, middle = 4 / 3600, (sky.size + 1) / 2
        header.update({"CD1_1": 0.0, "CD1_2": side, "CD2_1": side, "CD2_2": 0.0, "CRPIX1": middle, "CRPIX2": middle})
        fits.writeto(tmp_path / path.name, np.rot90(fits.getdata(path)), header)
        return tmp_path / path.name

    found = made(tmp_path / "job", images=[turned(path) for path in written[0]], exposure_maps=[turned(written[1])])
    table = Table.read(found["sources.fits"], hdu="SOURCES")
    places = sky.wcs.all_pix2world(np.stack((sky.x, sky.y), axis=1), 0)
    apart = [
        np.hypot((table["RA"] - ra) * np.cos(np.radians(dec)), table["DEC"] - dec).min() * 3600 for ra, dec in places
    ]
    assert np.median(apart) < 1.0


def test_pixels_without_values_are_not_exposed(written: tuple[list[Path], Path], tmp_path: Path) -> None:
    def with_gap(data: np.ndarray) -> np.ndarray:
        data = data.astype(np.float32)
        data[:40] = np.nan
        return data

    images = [changed(path, tmp_path / path.name, with_gap) for path in written[0]]
    found = made(tmp_path / "job", images=images, exposure_maps=[written[1]])
    assert "6,400 pixels have no value" in (tmp_path / "job/log.txt").read_text()
    assert (Table.read(found["sources.fits"], hdu="SOURCES")["Y_IMA"] > 38).all()


def test_an_empty_list_is_a_list(written: tuple[list[Path], Path], tmp_path: Path) -> None:
    """Nothing found: a table of no rows in FITS and VOTable, and a job that ends well."""
    even = changed(
        written[0][0], tmp_path / "even.fits", lambda data: (np.indices(data.shape).sum(axis=0) % 23 == 0) * 1
    )
    found = made(tmp_path / "job", images=[even], exposure_maps=[written[1]], likelihood=50)
    assert len(Table.read(found["sources.fits"], hdu="SOURCES")) == 0
    assert len(parse_single_table(found["sources.vot"]).to_table()) == 0
    assert "0 sources" in (tmp_path / "job/log.txt").read_text()


def test_what_is_no_image_of_counts_is_refused(written: tuple[list[Path], Path], tmp_path: Path) -> None:
    (first, second, _), exposure = written
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "nothing": ({}, "give event lists, or images of counts"),
        "negative": ({"images": [changed(first, tmp_path / "negative.fits", lambda data: data - 1)]},
                     "negative.fits has negative pixels (down to -1): a background seems to be subtracted"),
        "rates": ({"images": [changed(first, tmp_path / "rates.fits", lambda data: data / 7e3)]},
                  "rates.fits has pixels that are no whole numbers"),
        "smaller": ({"images": [first, changed(second, tmp_path / "smaller.fits", lambda data: data[:100])]},
                    f"smaller.fits has 160 x 100 pixels, {first.name} 160 x 160"),
        "scale": ({"images": [first, changed(second, tmp_path / "scale.fits", CDELT1=-2 / 3600, CDELT2=2 / 3600)]},
                  f"scale.fits has pixels of 2 arcsec, {first.name} of 4"),
        "shifted": ({"images": [first], "exposure_maps": [changed(exposure, tmp_path / "shifted.fits", CRVAL2=2.01)]},
                    "lie up to 36 arcsec apart"),
        "zero": ({"images": [changed(first, tmp_path / "zero.fits", lambda data: data * 0)],
                  "exposure_maps": [exposure]},
                 "there is not one count on the exposed pixels"),
        "dark": ({"images": [first],
                  "exposure_maps": [changed(exposure, tmp_path / "dark.fits", lambda data: data * 0)]},
                 "no pixel of any image is exposed"),
        "nan": ({"images": [changed(first, tmp_path / "nan.fits", lambda data: data * np.nan)]}, "all are NaN"),
        "flat": ({"images": [changed(first, tmp_path / "flat.fits", CTYPE1="LINEAR", CTYPE2="LINEAR")]},
                 "no projection of the sky"),
        "maps": ({"images": [first, second, first], "exposure_maps": [exposure, exposure]}, "2 files for 3 images"),
        "other": ({"images": [changed(first, tmp_path / "other.fits", INSTRUME="ACIS")]}, "psf_fwhm: "),
        "cube": ({"images": [changed(first, tmp_path / "cube.fits", lambda data: np.stack((data, data)))]},
                 "160 x 160 x 2"),
        "text": ({"images": [Path(__file__)]}, "cannot be read as a FITS image"),
    }  # fmt: skip
    for name, (values, sentence) in cases.items():
        assert sentence in refused(tmp_path / f"job-{name}", **values), name


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    header = fits.Header({"NAXIS": 2, "NAXIS1": 40_000, "NAXIS2": 40_000, "BITPIX": 8, "SIMPLE": True})
    (tmp_path / "huge.fits").write_bytes(header.tostring().encode() + bytes(2880))
    assert "huge.fits" in refused(tmp_path / "job", images=[tmp_path / "huge.fits"])


def test_lists_of_other_missions_need_a_width_and_a_sky(shared: Path, tmp_path: Path) -> None:
    chandra = shared / "real/chandra_m82/acis_10027_events.fits"
    assert refused(tmp_path / "none", eventlist=chandra).startswith(
        "psf_fwhm: no point spread function of Chandra ACIS"
    )
    found = made(tmp_path / "job", eventlist=chandra, psf_fwhm=1.0, bands=["0.5 7"], size=3)
    assert fits.getheader(found["sources.fits"], 1)["PSF1"] == "Gaussian with an FWHM of 1 arcsec"
    nicer = sorted((shared / "real/nicer").glob("*"))[0]
    assert "has no sky coordinates" in refused(tmp_path / "nicer", eventlist=nicer)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], tuple[Source, ...]]:
    """Event lists of the three cameras, of ten sources that are apart."""
    base = small()
    sources = tuple(
        Source(f"S{number}", base.ra + (number % 5 - 2) * 0.035 / np.cos(np.radians(base.dec)),
               base.dec + (number // 5 - 0.5) * 0.05 + 0.01, 1.5e-13 * (1 + number % 3), PowerLaw(1.7))
        for number in range(10)
    )  # fmt: skip
    observed = replace(base, sources=sources, flare=None, exposure_s=8000.0)
    return simulate(observed, tmp_path_factory.mktemp("events")), sources


def test_all_cameras_are_fitted_at_once(cameras: tuple[list[Path], tuple[Source, ...]], tmp_path: Path) -> None:
    lists, sources = cameras
    table = Table.read(made(tmp_path / "job", eventlist=lists, size=12)["sources.fits"], hdu="SOURCES")
    header = fits.getheader(tmp_path / "job/results/sources.fits", 1)
    assert header["NIMAGES"] == 9
    for name in ("sources.fits", "image.fits"):  # both were observed when the event list was
        product = tmp_path / "job/results" / name
        began = Time(fits.getheader(lists[0])["DATE-OBS"]).mjd
        assert fits.getheader(product, "VO-TAGS")["t_min"] == pytest.approx(began, abs=0.1)
    pulls = []
    for source in sources:
        east, north = (
            (table["RA"] - source.ra) * np.cos(np.radians(source.dec)) * 3600,
            (table["DEC"] - source.dec) * 3600,
        )
        row = int(np.argmin(np.hypot(east, north)))
        if np.hypot(east[row], north[row]) < 8:
            pulls += [float(axis[row] / table["RADEC_ERR"][row] * np.sqrt(2)) for axis in (east, north)]
            first, second = (table[f"{camera}_2_RATE"][row] for camera in ("M1", "M2"))
            assert first == pytest.approx(second, abs=6 * table["M1_2_RATE_ERR"][row])
    assert len(pulls) >= 16
    assert np.std(pulls) < 1.6
    assert len(table) <= len(pulls) / 2 + 2


def test_a_list_in_another_plane_is_brought_onto_the_first(
    cameras: tuple[list[Path], tuple[Source, ...]], tmp_path: Path
) -> None:
    """The X and Y of MOS1 about another tangent point: the sources of all cameras still lie on each other."""
    lists, _ = cameras
    moved = tmp_path / "moved.fits"
    with fits.open(lists[1]) as hdus:
        events = hdus["EVENTS"]
        y = [column.name for column in events.columns].index("Y") + 1
        tangent = events.header[f"TCRVL{y}"] + 2000 * events.header[f"TCDLT{y}"]
        events.data["Y"] -= 2000
        hdus.writeto(moved)
    for key in (f"TCRVL{y}", "REFYCRVL"):
        fits.setval(moved, key, value=tangent, ext=("EVENTS", 1))
    apart = []
    for number, second in enumerate((lists[1], moved)):
        job = tmp_path / f"job{number}"
        found = Table.read(
            made(job, eventlist=[lists[0], second], bands=["0.5 2"], size=12)["sources.fits"], hdu="SOURCES"
        )
        apart.append(found[:6])
    for one, other in zip(*apart, strict=True):
        east = (one["RA"] - other["RA"]) * np.cos(np.radians(one["DEC"]))
        assert np.hypot(east, one["DEC"] - other["DEC"]) * 3600 < 0.5
        assert one["M1_1_RATE"] == pytest.approx(other["M1_1_RATE"], rel=0.05)


def test_real_mosaic_is_as_complete_and_pure_as_promised(shared: Path, tmp_path: Path) -> None:
    """0004210201 against the marks of the pipeline: circles (points) and cyan ellipses (extended), once each."""
    folder = shared / "real/xmm_mosaics"
    found = made(tmp_path / "job", images=[folder / "P0004210201EPX000OIMAGE8000.fits"])
    table = Table.read(found["sources.fits"], hdu="SOURCES")
    marks = [line for line in (folder / "P0004210201_poly.reg").read_text().splitlines()
             if line.startswith(("circle", "ellipse")) and "color=white" not in line]  # fmt: skip
    x, y = np.array([[float(word) for word in mark[mark.index("(") + 1 :].split(",")[:2]] for mark in marks]).T
    away, _ = nearest(x, y, np.array(table["X_IMA"]), np.array(table["Y_IMA"]))
    back, _ = nearest(np.array(table["X_IMA"]), np.array(table["Y_IMA"]), x, y)
    assert np.mean(away <= 4) >= 0.80
    assert np.mean(back <= 4) >= 0.70
