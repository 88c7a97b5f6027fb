"""The simulator: the layout of real event lists, its truth, its repeatability; oracles: astropy and fitsverify."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from reduction import instruments
from reduction.errors import ReductionError
from reduction.simulate import (
    CAMERAS,
    BlackBody,
    Flare,
    Observation,
    PowerLaw,
    Source,
    simulate,
    small,
    truth_path,
    with_pn_rows,
)
from reduction.simulate.draw import detectors
from reduction.simulate.response import BuiltIn

NAMES = {
    "EPN": "P0999990101PNS003PIEVLI0000.FITS",
    "EMOS1": "P0999990101M1S001MIEVLI0000.FITS",
    "EMOS2": "P0999990101M2S002MIEVLI0000.FITS",
}


class Lists:
    """The demo's event lists, opened once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = dict(zip(CAMERAS, simulate(small(), folder), strict=True))
        self.truth: dict[str, Any] = json.loads(truth_path(folder, small()).read_text())
        self.events: dict[str, np.ndarray] = {}
        self.headers: dict[str, fits.Header] = {}
        self.tables: dict[str, dict[str, tuple[fits.Header, np.ndarray]]] = {}
        for key, path in self.paths.items():
            with fits.open(path, memmap=False) as hdus:
                self.headers[key], self.events[key] = hdus["EVENTS"].header, np.asarray(hdus["EVENTS"].data)
                self.tables[key] = {hdu.name: (hdu.header, np.asarray(hdu.data)) for hdu in hdus[2:]}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    return Lists(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(params=list(CAMERAS))
def camera(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def usual(lists: Lists, camera: str) -> np.ndarray:
    """The selection the file's own card and the usual patterns make, done here with plain numpy."""
    card = lists.headers[camera]["XMMEA_EP" if camera == "EPN" else "XMMEA_EM"]
    match = re.fullmatch(r"\(FLAG & (0x[0-9a-f]+)\) == 0", card)
    assert match
    rows = lists.events[camera]
    return ((rows["FLAG"].astype(np.int64) & int(match[1], 16)) == 0) & (
        rows["PATTERN"] <= (4 if camera == "EPN" else 12)
    )


def sky_of(header: fits.Header) -> WCS:
    at = {card.value: int(card.keyword[5:]) for card in header.cards if card.keyword.startswith("TTYPE")}
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [header[f"TCTYP{at[axis]}"] for axis in "XY"]
    wcs.wcs.crpix = [header[f"TCRPX{at[axis]}"] + 1 for axis in "XY"]
    wcs.wcs.crval = [header[f"TCRVL{at[axis]}"] for axis in "XY"]
    wcs.wcs.cdelt = [header[f"TCDLT{at[axis]}"] for axis in "XY"]
    wcs.wcs.cunit = [header[f"TCUNI{at[axis]}"] for axis in "XY"]
    wcs.wcs.radesys, wcs.wcs.equinox = header["RADECSYS"], header["EQUINOX"]
    wcs.wcs.set()
    return wcs


def test_files_and_sizes(lists: Lists) -> None:
    assert {key: path.name for key, path in lists.paths.items()} == NAMES
    total = sum(len(rows) for rows in lists.events.values())
    assert 150_000 < total < 250_000
    assert sorted(path.name for path in lists.folder.iterdir()) == sorted([*NAMES.values(), "0999990101_truth.json"])


def test_same_seed_same_bytes(lists: Lists, tmp_path: Path) -> None:
    (again,) = simulate(small(), tmp_path, cameras=["EMOS2"])
    assert again.read_bytes() == lists.paths["EMOS2"].read_bytes()
    (other,) = simulate(replace(small(), seed=2), tmp_path, cameras=["EMOS2"])
    assert other.read_bytes() != lists.paths["EMOS2"].read_bytes()


def test_rows_have_the_real_layout(lists: Lists, camera: str) -> None:
    header, rows = lists.headers[camera], lists.events[camera]
    pn = ["PAT_ID", "PAT_SEQ", "CCDNR", "TIME_RAW"] if camera == "EPN" else ["CCDNR"]
    assert header["NAXIS1"] == (45 if camera == "EPN" else 34)
    assert list(rows.dtype.names or ()) == [
        "TIME", "RAWX", "RAWY", "DETX", "DETY", "X", "Y", "PHA", "PI", "FLAG", "PATTERN", *pn
    ]  # fmt: skip
    forms = [header[f"TFORM{at}"] for at in range(1, header["TFIELDS"] + 1)]
    assert forms == list("DIIIIJJIIJB") + (list("IBBD") if camera == "EPN" else ["B"])
    for at, name in enumerate(rows.dtype.names or (), start=1):
        if f"TLMIN{at}" in header:
            assert header[f"TLMIN{at}"] <= rows[name].min()
            assert rows[name].max() <= header[f"TLMAX{at}"]
    assert (header["TLMIN6"], header["TLMAX6"], header["TLMIN9"], header["TLMAX9"]) == (1, 51840, 0, 20479)


def test_real_keywords_are_there(lists: Lists, camera: str, shared: Path) -> None:
    name = {"EPN": "PN_spectrum_grp20.fits", "EMOS1": "MOS1_spectrum_grp.fits"}.get(camera, "MOS2_spectrum_grp.fits")
    real = fits.getheader(shared / "real" / "xmm_ngc7793_ulx4" / name, 0)
    ours = lists.headers[camera]
    wanted = [
        "TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATAMODE", "SUBMODE", "FILTER", "OBJECT", "OBSERVER",
        "REVOLUT", "DATE-OBS", "DATE-END", "RA_OBJ", "DEC_OBJ", "RA_NOM", "DEC_NOM", "RA_PNT", "DEC_PNT", "PA_PNT",
        "EQUINOX", "RADECSYS",
        *(key for key in real if re.fullmatch(r"REF[XY](CTYP|CRPX|CRVL|CDLT|LMIN|LMAX|CUNI)", key)),
    ]  # fmt: skip
    assert [key for key in wanted if key not in real] == []
    for key in wanted:
        assert type(ours[key]) in ((int, float) if isinstance(real[key], int | float) else (type(real[key]),)), key
    for key in (
        "TELESCOP",
        "INSTRUME",
        "DATAMODE",
        "REFXCRPX",
        "REFXCTYP",
        "REFYCTYP",
        "REFXLMIN",
        "RADECSYS",
        "EQUINOX",
    ):
        assert ours[key] == real[key]
    assert ours["REFXCDLT"] == pytest.approx(real["REFXCDLT"])
    assert ours["EXP_ID"] == f"0999990101{ours['EXPIDSTR'][1:]}"


def test_time_keywords(lists: Lists, camera: str) -> None:
    header, rows = lists.headers[camera], lists.events[camera]
    assert (header["TIMESYS"], header["MJDREF"], header["TIMEZERO"]) == ("TT", 50814.0, 0)
    start = Time(50814, header["TSTART"] / 86400, format="mjd", scale="tt")
    assert start.utc.isot[:19] == header["DATE-OBS"] == "2026-03-01T10:00:00"
    assert header["TELAPSE"] == pytest.approx(12_000)
    assert header["TSTART"] < rows["TIME"].min() < rows["TIME"].max() < header["TSTOP"]
    frames = (rows["TIME"] - header["TSTART"]) / CAMERAS[camera].frame_s
    assert np.abs(frames - np.floor(frames) - 0.5).max() < 1e-4


def test_fitsverify_finds_nothing(lists: Lists, camera: str) -> None:
    if not shutil.which("fitsverify"):
        pytest.skip("no fitsverify: install the Debian package fitsverify")
    done = subprocess.run(["fitsverify", "-q", lists.paths[camera]], capture_output=True, text=True, check=False)
    assert "verification OK" in done.stdout, done.stdout


def test_grouped_by_ccd_and_sorted_in_time_inside(lists: Lists, camera: str) -> None:
    rows = lists.events[camera]
    ccds = rows["CCDNR"]
    assert list(np.unique(ccds)) == list(range(1, 13 if camera == "EPN" else 8))
    assert (np.diff(ccds.astype(int)) >= 0).all()
    for ccd in np.unique(ccds):
        assert (np.diff(rows["TIME"][ccds == ccd]) >= 0).all()
    assert (np.diff(rows["TIME"]) < 0).any()


def test_events_lie_in_the_good_time_of_their_ccd(lists: Lists, camera: str) -> None:
    rows, header = lists.events[camera], lists.headers[camera]
    totals = set()
    for ccd in np.unique(rows["CCDNR"]):
        head, gti = lists.tables[camera][f"STDGTI{ccd:02d}"]
        time = rows["TIME"][rows["CCDNR"] == ccd]
        at = np.searchsorted(gti["START"], time, side="right") - 1
        assert (at >= 0).all()
        assert (time < gti["STOP"][at]).all()
        assert len(gti) >= 2
        total = float(np.sum(gti["STOP"] - gti["START"]))
        assert header[f"ONTIME{ccd:02d}"] == pytest.approx(total, abs=1e-3)
        assert head["ONTIME"] == pytest.approx(total, abs=1e-3)
        assert header[f"LIVETI{ccd:02d}"] == pytest.approx(total * CAMERAS[camera].live_fraction)
        totals.add(round(total, 3))
        exposure = lists.tables[camera][f"EXPOSU{ccd:02d}"][1]
        assert np.sum(exposure["FRACEXP"] * exposure["TIMEDEL"]) == pytest.approx(header[f"LIVETI{ccd:02d}"], rel=1e-4)
    assert len(totals) > 4
    central = CAMERAS[camera].central_ccd
    assert header["ONTIME"] == header[f"ONTIME{central:02d}"]
    assert header["LIVETIME"] == header[f"LIVETI{central:02d}"]


def test_no_event_on_a_bad_pixel_and_its_neighbours_are_flagged(lists: Lists, camera: str) -> None:
    rows = lists.events[camera]
    flagged = 0
    for ccd in np.unique(rows["CCDNR"]):
        mine = rows[rows["CCDNR"] == ccd]
        for bad in lists.tables[camera][f"BADPIX{ccd:02d}"][1]:
            extent = bad["RAWY"] + np.arange(bad["YEXTENT"])
            assert not ((mine["RAWX"] == bad["RAWX"]) & np.isin(mine["RAWY"], extent)).any()
            next_to_bad = (np.abs(mine["RAWX"].astype(int) - bad["RAWX"]) == 1) & np.isin(mine["RAWY"], extent)
            assert (mine["FLAG"][next_to_bad] & 0x20 != 0).all()
            flagged += int(next_to_bad.sum())
    assert flagged > 0


def test_geometry_is_one_linear_map_per_ccd(lists: Lists, camera: str) -> None:
    rows = lists.events[camera]
    for ccd in np.unique(rows["CCDNR"]):
        mine = rows[rows["CCDNR"] == ccd]
        raw = np.stack([mine["RAWX"], mine["RAWY"], np.ones(len(mine))], axis=1).astype(float)
        for axis in ("DETX", "DETY", "X", "Y"):
            fit, *_ = np.linalg.lstsq(raw, mine[axis].astype(float), rcond=None)
            half = (82 if camera == "EPN" else 22) / 2 * (1 if axis.startswith("DET") else 1.42)
            assert np.abs(mine[axis] - raw @ fit).max() < half + 4
    apart = np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0)
    outside = rows["FLAG"] & 0x10000 != 0
    assert apart[~outside].max() < 18000 + 60
    assert apart[outside].min() > 18000 - 60
    assert 0 < outside.mean() < 0.2


def test_ccds_do_not_overlap_and_leave_gaps(camera: str) -> None:
    ccds = CAMERAS[camera].ccds
    boxes = []
    for ccd in ccds:
        x, y = ccd.to_detector(np.array([0.5, ccd.columns + 0.5]), np.array([0.5, ccd.rows + 0.5]))
        boxes.append((min(x), max(x), min(y), max(y)))
        back = ccd.to_raw(*ccd.to_detector(np.array([1.0, 7.0]), np.array([1.0, 9.0])))
        np.testing.assert_allclose(back, [[1, 7], [1, 9]])
    for i, (ax0, ax1, ay0, ay1) in enumerate(boxes):
        for bx0, bx1, by0, by1 in boxes[i + 1 :]:
            assert max(bx0 - ax1, ax0 - bx1, by0 - ay1, ay0 - by1) > 100


def test_brightest_place_is_the_source(lists: Lists, camera: str) -> None:
    rows, header = lists.events[camera], lists.headers[camera]
    wcs = sky_of(header)
    counts, xedges, yedges = np.histogram2d(rows["X"], rows["Y"], bins=np.arange(0, 51841, 80))
    ix, iy = np.unravel_index(np.argmax(counts), counts.shape)
    source = small().sources[0]
    place = SkyCoord(source.ra, source.dec, unit="deg")
    assert wcs.pixel_to_world(xedges[ix] + 40, yedges[iy] + 40).separation(place).arcsec < 8
    for source_truth, source in zip(lists.truth["cameras"][camera]["sources"], small().sources, strict=True):
        x, y = wcs.world_to_pixel(SkyCoord(source.ra, source.dec, unit="deg"))
        assert source_truth["x"] == pytest.approx(float(x), abs=0.01)
        assert source_truth["y"] == pytest.approx(float(y), abs=0.01)
        near = np.hypot(rows["X"] - x, rows["Y"] - y) < 200
        assert np.median(rows["X"][near]) == pytest.approx(float(x), abs=12)
        assert np.median(rows["Y"][near]) == pytest.approx(float(y), abs=12)


def test_truth_tells_the_exact_counts(lists: Lists, camera: str) -> None:
    rows, truth = lists.events[camera], lists.truth["cameras"][camera]
    good = usual(lists, camera)
    assert truth["rows"] == len(rows) == sum(truth["drawn"].values()) + sum(s["drawn"] for s in truth["sources"])
    for source in truth["sources"]:
        near = (rows["X"] - source["x"]) ** 2 + (rows["Y"] - source["y"]) ** 2 <= 800.0**2
        assert source["circle"]["usual"] == np.count_nonzero(near & good)
        band = (rows["PI"] >= 200) & (rows["PI"] <= 12000)
        assert source["circle"]["usual_200_12000_eV"] == np.count_nonzero(near & good & band)


def test_counts_are_poisson_about_what_is_expected(lists: Lists, camera: str) -> None:
    for source in lists.truth["cameras"][camera]["sources"]:
        for drawn, expected in (
            (source["drawn"], source["expected"]["detected"]),
            (source["circle"]["usual_from_source"], source["expected"]["in_circle_usual"]),
        ):
            assert abs(drawn - expected) < 4.5 * np.sqrt(expected + (0.003 * expected) ** 2)


def test_expected_counts_follow_from_the_spectrum(lists: Lists) -> None:
    # the first source is at the aim point: an independent integral of flux, area, light in the circle and live time
    truth = lists.truth["cameras"]["EMOS1"]
    energy = np.linspace(0.15, 15, 200_001)
    spectrum = lists.truth["observation"]["sources"][0]
    photons = spectrum["photons_cm2_s_keV_at_1_keV"] * energy ** -spectrum["spectrum"]["index"]
    band = (energy > 0.2) & (energy < 12)
    assert np.trapezoid((photons * energy)[band], energy[band]) * 1.602176634e-9 == pytest.approx(5.0e-12, rel=2e-3)
    inside = instruments.king("EMOS1", energy, 0.0).encircled(40.0)
    # the matrix has no channels below the threshold, nor above 12 keV
    matrix = BuiltIn(CAMERAS["EMOS1"], small().date).redistribution()
    detected = np.where(energy < 11.5, np.interp(energy, matrix.energies.middle, matrix.efficiency), 1.0)
    area = instruments.effective_area("EMOS1", energy) * instruments.carbon_since("EMOS1", energy, small().date)
    rate = np.trapezoid(photons * area * inside * detected, energy)
    live = lists.headers["EMOS1"]["LIVETI01"]
    assert truth["sources"][0]["expected"]["in_circle_usual"] == pytest.approx(rate * live, rel=0.01)


def sky_vignetting(camera: str, off_axis_arcmin: np.ndarray) -> np.ndarray:
    """The mean vignetting of the events of a power law of index 2, by angle."""
    energy = np.linspace(0.15, 15, 600)
    weight = instruments.effective_area(camera, energy) / energy**2
    return np.array([np.average(instruments.vignetting(energy, angle), weights=weight) for angle in off_axis_arcmin])


def test_background_level(lists: Lists, camera: str) -> None:
    rows, truth = lists.events[camera], lists.truth["cameras"][camera]
    central = CAMERAS[camera].central_ccd
    chip = next(c for c in detectors(small(), CAMERAS[camera]) if c.ccd.number == central)
    mine = rows[rows["CCDNR"] == central]
    far = np.ones(len(mine), dtype=bool)
    raw = np.stack(np.meshgrid(np.arange(1, chip.ccd.columns + 1), np.arange(1, chip.ccd.rows + 1), indexing="ij"))
    detx, dety = chip.ccd.to_detector(raw[0], raw[1])
    sky = CAMERAS[camera].to_sky(detx, dety, small().pa)
    pixels = chip.good & chip.in_field
    for source in truth["sources"]:
        far &= np.hypot(mine["X"] - source["x"], mine["Y"] - source["y"]) > 7000
        pixels &= np.hypot(sky[0] - source["x"], sky[1] - source["y"]) > 7000
    far &= mine["FLAG"] & 0x10000 == 0
    level, angles = truth["background"], np.linspace(0, 17, 60)
    away = np.hypot(sky[0] - 25921, sky[1] - 25921)[pixels] / 1200
    vignetted = np.interp(away, angles, sky_vignetting(camera, angles))
    hole = np.hypot(detx, dety)[pixels] < level["hole_arcmin"] * 1200
    per_arcsec2 = (
        level["sky_per_arcsec2"] * vignetted + level["proton_per_arcsec2"]
        + level["particle_per_arcsec2"] * (1 - level["board_share"] * hole)
    )  # fmt: skip
    expected = per_arcsec2.sum() * (chip.ccd.pixel / 20) ** 2
    assert expected > 200
    streak = 0.063 * truth["sources"][0]["drawn"] if camera == "EPN" else 0.0035 * truth["sources"][0]["drawn"]
    assert -5 * np.sqrt(expected) - 0.02 * expected < far.sum() - expected < 5 * np.sqrt(expected) + streak


def test_flare_is_seen_in_the_field_only(lists: Lists, camera: str) -> None:
    rows, (start, stop) = lists.events[camera], lists.truth["flare_interval"]
    source = np.zeros(len(rows), dtype=bool)
    for source_truth in lists.truth["cameras"][camera]["sources"]:
        source |= np.hypot(rows["X"] - source_truth["x"], rows["Y"] - source_truth["y"]) < 6000
    inside, field = (rows["TIME"] > start) & (rows["TIME"] < stop), rows["FLAG"] & 0x10000 == 0
    share = (stop - start) / (12_000 - (stop - start))
    quiet = np.count_nonzero(~inside & field & ~source)
    assert np.count_nonzero(inside & field & ~source) > 3 * share * quiet
    corners, quiet_corners = np.count_nonzero(inside & ~field), np.count_nonzero(~inside & ~field)
    assert abs(corners - share * quiet_corners) < 5 * np.sqrt(corners + 1)
    peak = start + 0.2 * (stop - start)
    counts, edges = np.histogram(rows["TIME"][field & ~source & inside], bins=10, range=(start, stop))
    assert abs(edges[np.argmax(counts)] - peak) < 0.15 * (stop - start)


def test_energies(lists: Lists, camera: str) -> None:
    rows, truth = lists.events[camera], lists.truth["cameras"][camera]
    near = [np.hypot(rows["X"] - s["x"], rows["Y"] - s["y"]) < 300 for s in truth["sources"]]
    hard, soft = (np.mean(rows["PI"][n] > 2000) for n in near)
    assert hard > 0.1  # power law of index 1.7
    assert soft < 0.05  # black body of 0.15 keV
    assert rows["PI"].min() >= 150
    ratio = rows["PI"] / np.maximum(rows["PHA"], 1)
    assert np.median(ratio) == pytest.approx(5, abs=0.1)
    usual_ones = rows["PATTERN"] <= CAMERAS[camera].usual_pattern
    assert np.mean(usual_ones) == pytest.approx(CAMERAS[camera].usual_share, abs=0.01)
    if camera == "EPN":
        for low, high in ((400, 600), (900, 1100), (4000, 9000)):
            band = usual_ones & (rows["PI"] >= low) & (rows["PI"] < high)
            wanted = np.mean(instruments.single_share(rows["PI"][band] / 1000))
            assert np.mean(rows["PATTERN"][band] == 0) == pytest.approx(wanted, abs=4 * 0.5 / np.sqrt(band.sum()))
    else:
        assert np.mean(rows["PATTERN"] == 0) == pytest.approx(CAMERAS[camera].patterns[0], abs=0.01)
    assert (rows["FLAG"][rows["PATTERN"] > 12] & 1 == 1).all()


def test_rows_can_be_chosen(tmp_path: Path) -> None:
    wanted = with_pn_rows(small(), 150_000)
    (path,) = simulate(wanted, tmp_path, cameras=["EPN"])
    assert fits.getval(path, "NAXIS2", "EVENTS") == pytest.approx(150_000, rel=0.02)
    with pytest.raises(ReductionError, match="rows cannot be had") as caught:
        with_pn_rows(small(), 10)
    assert caught.value.parameter == "rows"


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    quick = Observation("0000000001", 10.0, -10.0, 0.0, "2020-01-01T00:00:00", 200.0)
    simulate(quick, tmp_path, progress=lambda *call: calls.append(call), cameras=["EMOS1", "EMOS2"])
    assert [done for done, _, _ in calls] == list(range(15))
    assert {total for _, total, _ in calls} == {14}
    assert calls[0][2] == "EMOS1 CCD 1"


BAD: list[tuple[str, Any]] = [
    ("obs_id", lambda: replace(small(), obs_id="12")),
    ("exposure_s", lambda: replace(small(), exposure_s=float("nan"))),
    ("start", lambda: replace(small(), start="yesterday")),
    ("start", lambda: replace(small(), start="2026-02-31T10:00:00")),
    ("ra", lambda: replace(small(), dec=91.0)),
    ("particle_rate", lambda: replace(small(), particle_rate=-1.0)),
    ("proton_rate", lambda: replace(small(), proton_rate=float("nan"))),
    ("pn_mode", lambda: replace(small(), pn_mode="Timing")),
    ("seed", lambda: replace(small(), seed=-1)),
    ("target", lambda: replace(small(), target="α Cen")),
    ("flare", lambda: Flare(0.0, 10.0, 0.5)),
    ("sources", lambda: Source("a", 1.0, 2.0, 0.0, PowerLaw(2.0))),
    ("index", lambda: PowerLaw(float("nan"))),
    ("kt_kev", lambda: BlackBody(0.0)),
]


def test_each_of_several_flares_raises_the_rate(tmp_path: Path) -> None:
    """The truth tells when each was, and its counts of the background are those of all."""
    flares = Flare(400.0, 300.0, 60.0), Flare(1200.0, 300.0, 60.0)
    sky = replace(small(), sources=(), exposure_s=2000.0, flare=flares[0], further_flares=flares[1:])
    (path,) = simulate(sky, tmp_path, cameras=("EMOS1",))
    truth = json.loads(truth_path(tmp_path, sky).read_text(encoding="utf-8"))
    assert truth["flare_intervals"] == [[sky.tstart + 400.0, sky.tstart + 700.0],
                                        [sky.tstart + 1200.0, sky.tstart + 1500.0]]  # fmt: skip
    times = fits.getdata(path, "EVENTS")["TIME"]
    first, second = (np.count_nonzero((times > start) & (times < stop)) for start, stop in truth["flare_intervals"])
    quiet = np.count_nonzero((times > sky.tstart + 800.0) & (times < sky.tstart + 1100.0))
    assert first > 3 * quiet and second == pytest.approx(first, rel=0.1)


@pytest.mark.parametrize(("parameter", "make"), BAD)
def test_nonsense_is_refused(parameter: str, make: Any) -> None:
    with pytest.raises(ReductionError) as caught:
        make()
    assert caught.value.parameter == parameter


def test_far_source_and_unknown_camera_are_refused(tmp_path: Path) -> None:
    far = replace(small(), sources=(Source("far", 10.0, 2.0, 1e-12, PowerLaw(2.0)),))
    with pytest.raises(ReductionError, match="from the pointing"):
        simulate(far, tmp_path)
    with pytest.raises(ReductionError, match="EPN, EMOS1, EMOS2"):
        simulate(small(), tmp_path, cameras=["RGS1"])
    assert list(tmp_path.iterdir()) == []
