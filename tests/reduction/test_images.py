"""Images: counts, pixel for pixel, against astropy and numpy alone; where pixels lie; what is refused, in sentences."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from provenance import votags
from reduction import task
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.images.bands import around, overlaps, parse_bands
from reduction.images.counting import Counter, count
from reduction.images.grid import detector_grid, sky_grid
from reduction.simulate import simulate, small
from scriptjobs import ROOT, prepare, run
from synthetic import Epic, write

SCRIPT = ROOT / "job_definitions/image/run.py"
REAL: dict[str, tuple[tuple[float, float], str, float, float, str, set[int]]] = {
    "chandra_m82/acis_10027_events.fits": ((0.5, 8.0), "energy", 0.0, 1.0, "grade", {0, 2, 3, 4, 6}),
    "nustar_b1937/dummy_evt.evt": ((3.0, 79.0), "PI", 1600.0, 40.0, "GRADE", set(range(27))),
}
"""List -> band in keV, column of energy, zero and step in eV, column of patterns, those that are kept."""


def made(folder: Path, **values: Any) -> dict[str, Path]:
    """The products of an image job."""
    done = run(prepare(folder, {"definition": "image"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    return {path.name: path for path in (folder / "results").iterdir()}


def refused(folder: Path, **values: Any) -> str:
    """The sentence with which an image job ends, in this process; it leaves no product."""
    job = task.read_task(prepare(folder, {"definition": "image"}, **values), 5)
    try:
        with pytest.raises(ReductionError) as caught:
            runpy.run_path(str(SCRIPT))["main"](job)
    finally:
        job.close()
    assert not list(folder.glob("results/*.fits"))
    return task.message_of(caught.value)


def list_wcs(header: fits.Header, names: list[str]) -> WCS:
    """The projection of the columns X and Y, on values that count from 1."""
    wcs = WCS(naxis=2)
    x, y = (names.index(axis) + 1 for axis in ("x", "y"))
    for key in ("ctype", "crpix", "crval", "cdelt"):
        word = {"ctype": "TCTYP", "crpix": "TCRPX", "crval": "TCRVL", "cdelt": "TCDLT"}[key]
        setattr(wcs.wcs, key, [header[f"{word}{x}"], header[f"{word}{y}"]])
    return wcs


def independent(path: Path, image: Path, keep: np.ndarray) -> np.ndarray:
    """Events on the pixels of an image, by the projection of the list and that in the header of the image."""
    with warnings.catch_warnings(), fits.open(path) as hdus:
        warnings.simplefilter("ignore")
        table, header = hdus["EVENTS"].data[keep], hdus["EVENTS"].header
        names = [name.lower() for name in hdus["EVENTS"].columns.names]
        ra, dec = list_wcs(header, names).wcs_pix2world(table["x"].astype(float), table["y"].astype(float), 1)
        shape = fits.getdata(image).shape
        x, y = WCS(fits.getheader(image), naxis=2).wcs_world2pix(ra, dec, 1)
    edges = [np.arange(size + 1) + 0.5 for size in shape]
    return np.histogram2d(y, x, bins=edges)[0]


def in_good_time(path: Path, per_ccd: bool) -> np.ndarray:
    with fits.open(path) as hdus:
        table = hdus["EVENTS"].data
        good = np.zeros(len(table), dtype=bool)
        for hdu in hdus:
            if not (hdu.name.startswith("STDGTI") if per_ccd else hdu.name == "GTI"):
                continue
            mine = table["CCDNR"] == int(hdu.name[-2:]) if per_ccd else np.ones(len(table), dtype=bool)
            for start, stop in zip(hdu.data["START"], hdu.data["STOP"], strict=True):
                good |= mine & (table["TIME"] >= start) & (table["TIME"] <= stop)
    return good


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(small(), folder)
    return folder


@pytest.mark.parametrize("name", REAL)
def test_real_lists_give_the_counts_of_an_independent_histogram(name: str, shared: Path, tmp_path: Path) -> None:
    path = shared / "real" / name
    band, column, zero, step, pattern, kept = REAL[name]
    products = made(tmp_path / "job", eventlist=path, bands=[f"{band[0]} {band[1]}"], smoothing="none")
    image = products[f"image_{band[0]:g}-{band[1]:g}keV.fits"]
    with fits.open(path) as hdus:
        table = hdus["EVENTS"].data
        energy = zero + step * table[column].astype(float)
        keep = (energy >= 1000 * band[0]) & (energy <= 1000 * band[1]) & np.isin(table[pattern], list(kept))
    expected = independent(path, image, keep & in_good_time(path, per_ccd=False))
    assert expected.sum() > 600
    np.testing.assert_array_equal(fits.getdata(image), expected)


@pytest.mark.parametrize("camera", ["PN", "M1", "M2"])
def test_epic_lists_give_the_counts_of_an_independent_histogram(simulated: Path, camera: str, tmp_path: Path) -> None:
    path = next(simulated.glob(f"*{camera}S*.FITS"))
    products = made(tmp_path / "job", eventlist=path, bands=["0.5 2", "2 7.5"], background="none", smoothing="none")
    with fits.open(path) as hdus:
        table, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        mask = int(re.search(r"0x[0-9a-f]+", header.get("XMMEA_EP") or header["XMMEA_EM"])[0], 0)  # type: ignore[index]
        keep = ((table["FLAG"].astype(np.int64) & mask) == 0) & (table["PATTERN"] <= (4 if camera == "PN" else 12))
        bands = [(table["PI"] >= 500) & (table["PI"] < 2000), (table["PI"] >= 2000) & (table["PI"] <= 7500)]
    good = in_good_time(path, per_ccd=True)
    for band, name in zip(bands, ("image_0.5-2keV.fits", "image_2-7.5keV.fits"), strict=True):
        expected = independent(path, products[name], keep & good & band)
        assert expected.sum() > 1000
        np.testing.assert_array_equal(fits.getdata(products[name]), expected)


@pytest.fixture(scope="module")
def coma(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """An event list with an event for each count of the real Coma 8 image, anywhere in its pixel, and the header of it.

    X and Y have the limits of a file that went through integers of 16 bits.
    """
    real = shared / "real/xmm_coma8/PN_image.fits"
    folder = tmp_path_factory.mktemp("coma")
    with fits.open(real) as hdus:
        counts, header = hdus[0].data, hdus[0].header
        rows, columns = np.nonzero(counts)
        draw = np.random.default_rng(8)
        repeat = counts[rows, columns]
        x, y = (np.repeat(axis, repeat) * 80 + draw.integers(1, 81, repeat.sum()) for axis in (columns, rows))
        start, stop = hdus[1].data["START"][0], hdus[1].data["STOP"][-1]
        gti = hdus[1].data
        size = x.size
        table = fits.BinTableHDU.from_columns([
            fits.Column("TIME", "D", "s", array=draw.choice(gti["START"], size) + 1.0),
            fits.Column("X", "J", array=x), fits.Column("Y", "J", array=y),
            fits.Column("PI", "I", "CHAN", array=np.full(size, 1000)),
            fits.Column("FLAG", "J", array=np.zeros(size)), fits.Column("PATTERN", "B", array=np.zeros(size)),
            fits.Column("CCDNR", "B", array=np.ones(size)),
        ], name="EVENTS")  # fmt: skip
        keep = (
            "TELESCOP",
            "INSTRUME",
            "OBS_ID",
            "DATAMODE",
            "FILTER",
            "TIMESYS",
            "MJDREF",
            "TIMEREF",
            "RADECSYS",
            "EQUINOX",
            *(f"REF{axis}{word}" for axis in "XY" for word in ("CTYP", "CRPX", "CRVL", "CDLT", "CUNI")),
        )
        for key in keep:
            table.header[key] = header[key]
        for axis in "XY":
            table.header[f"REF{axis}LMIN"], table.header[f"REF{axis}LMAX"] = 1, -13696
        table.header["TSTART"], table.header["TSTOP"] = start, stop
        intervals = fits.BinTableHDU(gti, name="STDGTI01")
        intervals.header["CCDID"] = 1
        fits.HDUList([fits.PrimaryHDU(), table, intervals]).writeto(folder / "coma.fits")
    yield folder / "coma.fits", real


def test_an_image_of_coma_8_overlays_the_real_one(coma: tuple[Path, Path], tmp_path: Path) -> None:
    path, real = coma
    image = made(tmp_path / "job", eventlist=path, bands=["0.5 12"], background="none", smoothing="none")[
        "image_0.5-12keV.fits"]  # fmt: skip
    np.testing.assert_array_equal(fits.getdata(image), fits.getdata(real))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = (WCS(fits.getheader(each), naxis=2) for each in (image, real))
    corners = np.array([[1.0, 1.0], [648.0, 1.0], [1.0, 648.0], [648.0, 648.0], [324.5, 324.5]])
    apart = mine.wcs_world2pix(theirs.wcs_pix2world(corners, 1), 1) - corners
    assert np.abs(apart).max() < 1e-6
    assert mine.wcs.radesys == "FK5"
    ours, header = fits.getheader(image), fits.getheader(real)
    same = ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CRPIX1L", "CRVAL1L", "CDELT1L", "LTV1", "LTV2",
            "LTM1_1", "LTM2_2", "CTYPE1L", "CTYPE2L", "HDUCLAS1", "HDUCLAS2", "DSVAL3", "DSVAL4")  # fmt: skip
    for key in same:
        assert ours[key] == pytest.approx(header[key]) if isinstance(header[key], float) else ours[key] == header[key]


def test_an_event_on_the_edge_of_two_bands_counts_once(tmp_path: Path) -> None:
    rows = write(tmp_path / "pn.fits", Epic(rows=30_000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        hdus["EVENTS"].data["PI"][:3000] = 2000
    with open_eventlist(tmp_path / "pn.fits") as events:
        bands = parse_bands(["0.5 2", "2 12", "0.5 12"])
        counter = Counter(events, sky_grid(events), bands)
        count(events, choose(events, around(bands), "all", "none"), [counter])
    soft, hard, both = counter.counts.sum(axis=(1, 2))
    assert rows.size > both > 10_000
    assert soft + hard == both
    assert [sentence.partition(":")[0] for sentence in overlaps(bands)] == [
        "the bands 0.5-2keV and 0.5-12keV overlap",
        "the bands 0.5-12keV and 2-12keV overlap",
    ]


def test_few_events_are_counted_as_many_are(tmp_path: Path) -> None:
    """Whether most events of the rows that are looked at together count, or next to none, or those of all bands."""
    rows = write(tmp_path / "pn.fits", Epic(rows=30_000))
    bands = parse_bands(["0.2 12", "1 1.05", "11.9 12"])
    with open_eventlist(tmp_path / "pn.fits") as events:
        grid = sky_grid(events)
        counter, alone = Counter(events, grid, bands), Counter(events, grid, bands[:1])
        count(events, choose(events, around(bands), "all", "none"), [counter])
        count(events, choose(events, around(bands[:1]), "all", "none"), [alone])
        low, step, (height, width) = grid.low, grid.step, grid.shape
    good = in_good_time(tmp_path / "pn.fits", per_ccd=True)
    for number, band in enumerate(bands):
        mine = rows[good & (rows["PI"] >= band.low_kev * 1000) & (rows["PI"] <= band.high_kev * 1000)]
        expected = np.zeros((height, width), dtype=int)
        pixels = [np.floor((mine[axis] - low[at]) / step).astype(int) for at, axis in enumerate("XY")]
        np.add.at(expected, (pixels[1], pixels[0]), 1)
        np.testing.assert_array_equal(counter.counts[number], expected)
    np.testing.assert_array_equal(alone.counts[0], counter.counts[0])


def test_images_of_another_centre_and_size_lie_on_the_same_pixels(simulated: Path) -> None:
    path = next(simulated.glob("*PNS*.FITS"))
    with open_eventlist(path) as events:
        selection, bands = choose(events, (0.2, 12.0)), parse_bands(["0.2 12"])
        whole = Counter(events, sky_grid(events), bands)
        part = Counter(events, sky_grid(events, centre=(148.9740, 69.6512), size_arcmin=[10, 6]), bands)
        beyond = Counter(events, sky_grid(events, centre=(147.96, 69.3), size_arcmin=[8]), bands)
        count(events, selection, [whole, part, beyond])
    assert part.grid.shape == (90, 150)
    column, row = (round((part.grid.low[axis] - whole.grid.low[axis]) / part.grid.step) for axis in (0, 1))
    np.testing.assert_array_equal(part.counts[0], whole.counts[0][row : row + 90, column : column + 150])
    assert part.counts.sum() + part.outside.sum() == whole.counts.sum()
    peak = np.unravel_index(int(np.argmax(part.counts[0])), part.grid.shape)
    assert np.abs(np.array(peak) - (45, 75)).max() <= 2
    assert beyond.grid.low[0] > 45_000


def test_an_image_of_the_detector_has_the_counts_of_its_columns(simulated: Path, tmp_path: Path) -> None:
    path = next(simulated.glob("*M1S*.FITS"))
    products = made(tmp_path / "job", eventlist=path, bands=["0.2 12"], coordinates="both", flag="none", pattern="all")
    with fits.open(products["detector_0.2-12keV.fits"]) as hdus, fits.open(path) as source:
        header, table = hdus[0].header, source["EVENTS"].data
        keep = in_good_time(path, per_ccd=True) & (table["PI"] >= 200) & (table["PI"] <= 12000)
        edges = [header[f"CRVAL{axis}"] + header[f"CDELT{axis}"] * (np.arange(header[f"NAXIS{axis}"] + 1) - 0.5)
                 for axis in (1, 2)]  # fmt: skip
        expected = np.histogram2d(table["DETY"][keep], table["DETX"][keep], bins=edges[::-1])[0]
        np.testing.assert_array_equal(hdus[0].data, expected)
        assert (header["CTYPE1"], header["CTYPE2"], header["CDELT1"]) == ("DETX", "DETY", 80.0)


def test_a_region_cuts_counts_and_exposure(simulated: Path, tmp_path: Path) -> None:
    path = next(simulated.glob("*PNS*.FITS"))
    region = "physical; circle(26000,26000,3000)\n-circle(26000,26000,800)"
    products = made(tmp_path / "job", eventlist=path, bands=["0.2 12"], region=region, flag="none", pattern="all")
    counts, seconds = (fits.getdata(products[name]) for name in ("image_0.2-12keV.fits", "exposure.fits"))
    rows, columns = np.indices(counts.shape)
    away = np.hypot(columns * 80 + 40.5 - 26000, rows * 80 + 40.5 - 26000)
    for image in (counts, seconds):
        assert image[(away < 2900) & (away > 900)].sum() > 0
        assert image[(away > 3060) | (away < 740)].sum() == 0
    everywhere = fits.getdata(made(tmp_path / "whole", eventlist=path, bands=["0.2 12"], flag="none", pattern="all",
                                   background="none", smoothing="none")["exposure.fits"])  # fmt: skip
    inside = (away < 2900) & (away > 900)
    np.testing.assert_allclose(seconds[inside], everywhere[inside], rtol=1e-6)
    step = (np.arange(20) - 9.5) * 4
    near = away < 3200
    fine = np.hypot((columns[near] * 80 + 40.5 - 26000)[:, None] + np.tile(step, 20),
                    (rows[near] * 80 + 40.5 - 26000)[:, None] + np.repeat(step, 20))  # fmt: skip
    part = ((fine <= 3000) & (fine >= 800)).mean(axis=-1)
    assert seconds.sum() == pytest.approx((everywhere[near] * part).sum(), rel=2e-3)
    with fits.open(products["image_0.2-12keV.fits"]) as hdus:
        assert {"REG00101", "VO-TAGS"} < {hdu.name for hdu in hdus}


def test_the_outline_is_that_of_the_field_or_of_the_image(simulated: Path, tmp_path: Path) -> None:
    path = next(simulated.glob("*PNS*.FITS"))
    given = {"eventlist": path, "bands": ["0.2 12"], "background": "none", "smoothing": "none"}
    whole = votags.read(made(tmp_path / "whole", **given)["image_0.2-12keV.fits"])
    part = votags.read(made(tmp_path / "part", **given, size=[10])["image_0.2-12keV.fits"])
    assert whole is not None
    assert part is not None
    ra, dec, radius = (float(word) for word in str(whole.row["s_region"]).removeprefix("Circle ICRS ").split())
    field = SkyCoord(small().ra, small().dec, unit="deg", frame="fk5")
    assert SkyCoord(ra, dec, unit="deg").separation(field).arcsec < 3
    assert radius == pytest.approx(0.25, abs=1e-3)
    assert whole.row["s_fov"] == pytest.approx(0.5, abs=2e-3)
    assert str(part.row["s_region"]).startswith("Polygon ICRS ")
    assert part.row["s_fov"] == pytest.approx(10 * 2**0.5 / 60, rel=1e-3)


def test_every_file_is_sound(simulated: Path, tmp_path: Path) -> None:
    if shutil.which("fitsverify") is None:
        pytest.skip("fitsverify is not installed")
    path = next(simulated.glob("*PNS*.FITS"))
    products = made(tmp_path / "job", eventlist=path, bands=["0.2 0.5", "0.5 2", "2 12"], size=[12],
                    coordinates="both", smoothing="snr", smoothing_counts=5, vignetting="0 1, 15 0.4")  # fmt: skip
    images = [each for name, each in products.items() if name.endswith(".fits")]
    assert len(images) == 3 * 5 + 1
    done = subprocess.run(["fitsverify", "-q", *map(str, images)], capture_output=True, text=True, check=False)
    assert done.stdout.count("verification OK") == len(images), done.stdout
    assert products["rgb.png"].read_bytes().startswith(b"\x89PNG")


def test_the_same_job_gives_the_same_bytes(simulated: Path, tmp_path: Path) -> None:
    from provenance.fits.digests import digests

    path = next(simulated.glob("*PNS*.FITS"))
    values = {"eventlist": path, "bands": ["0.2 0.5", "0.5 2", "2 12"], "size": [12], "smoothing": "counts"}
    once, again = (made(tmp_path / name, **values) for name in ("once", "again"))
    assert {name: digests(each).science for name, each in once.items()} == {
        name: digests(each).science for name, each in again.items()
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"bin_size": 0}, "bin_size: 0 arcsec is no side of a pixel; give a number above 0"),
        ({"bin_size": 0.05}, "bin_size: bins of 0.05 arcsec make 51,840 x 51,840 pixels, at most 9,000,000 are"),
        ({"bin_size": 4, "size": [6667]}, "bin_size: bins of 4 arcsec make 100,005 x 100,005 pixels, at most"),
        ({"bin_size": 1, "bands": [f"1 {n}" for n in range(2, 8)]}, "bands: 6 bands of 6,718,464 pixels each are more"),
        ({"size": [0]}, "size: 0 arcmin is no size of an image"),
        ({"bands": ["2 2"]}, "bands: 2 2 is no energy range; give the lower end first"),
        ({"bands": ["0.5 2", "0.5 2"]}, "bands: the band 0.5-2keV is given twice; give each band once"),
        ({"bands": [f"1 {n}" for n in range(2, 13)]}, "bands: 11 bands are given, at most 10 are allowed"),
        ({"centre": "10 10"}, "centre: 10 +10 lies 138.4 deg from the centre of the event list, at 150.00000 +2.00000"),
        ({"coordinates": "moon"}, "coordinates: 'moon' are no coordinates; write sky, detector or both"),
        ({"smoothing": "much"}, "smoothing: 'much' is no smoothing; write gaussian, counts, snr, none"),
        ({"smoothing_sigma": 0}, "smoothing_sigma: 0 arcsec is no width of a kernel"),
        ({"background": "sky"}, "background: 'sky' is no background; write local or none"),
        ({"vignetting": "1 0"}, "vignetting: angles of a vignetting rise from 0 or more, its factors are above 0"),
        ({"vignetting": "on axis"}, "vignetting: 'on axis' is no vignetting; write pairs of an angle in arcmin"),
        ({"coordinates": "detector"}, "coordinates: pn.fits does not state the legal values (TLMIN, TLMAX)"),
    ],
)  # fmt: skip
def test_what_makes_no_image_is_refused_with_a_sentence(values: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000))
    assert refused(tmp_path / "job", eventlist=tmp_path / "pn.fits", **values).startswith(sentence)


def test_a_list_without_a_sky_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000, sky=False))
    assert refused(tmp_path / "job", eventlist=tmp_path / "pn.fits") == (
        "eventlist: pn.fits (XMM-Newton EPIC pn) has no sky coordinates: its X and Y columns or their projection are "
        "missing, so there is no image of the sky")  # fmt: skip


def test_timing_mode_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000, cards=(("DATAMODE", "TIMING"),)))
    assert "is in TIMING mode" in refused(tmp_path / "job", eventlist=tmp_path / "pn.fits")


def test_a_band_without_events_is_an_empty_image_and_told(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000))
    folder = prepare(tmp_path / "job", eventlist=tmp_path / "pn.fits", bands=["100 120"])
    done = run(folder, SCRIPT)
    assert done.returncode == 0, done.stderr
    assert "Note: band 100-120keV: no event was counted" in done.stdout
    assert fits.getdata(folder / "results/image_100-120keV.fits").sum() == 0


def test_bins_of_whole_numbers_hold_as_many_of_them_each(shared: Path) -> None:
    """NuSTAR's X are whole numbers of 2.46 arcsec: bins of 4 arcsec would hold now one, now two of them."""
    with open_eventlist(shared / "real/nustar_b1937/dummy_evt.evt") as events:
        grid = sky_grid(events, 4.0)
        assert grid.step == 2.0
        assert grid.shape == (500, 500)
        assert grid.notes == ("bins of 4.91621 arcsec: X and Y hold whole numbers of 2.45811 arcsec, of which a bin "
                              "holds 2",)  # fmt: skip
        assert detector_grid(events, 2.46).shape == (360, 360)
    with open_eventlist(shared / "real/chandra_m82/acis_10027_events.fits") as events:
        assert sky_grid(events, 4.0).arcsec == pytest.approx(4.0)
        with pytest.raises(ReductionError, match="has no detx and dety, so there is no image of the detector"):
            detector_grid(events)
