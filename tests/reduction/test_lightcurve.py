"""Light curves: counts bin for bin those of an independent count, rates over live time, gaps with their causes, errors.

The independent counts are made with astropy, regions and numpy alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from regions import PixCoord, Regions

from provenance import votags
from reduction import regions
from reduction.events.eventlist import open_eventlist
from reduction.events.goodtime import span
from reduction.events.selection import choose
from reduction.simulate import simulate, small, truth_path
from reduction.timing import poisson
from reduction.timing.binning import constant_edges
from reduction.timing.extraction import extract_events
from reduction.timing.lightcurve import Background, LightCurve
from scriptjobs import ROOT, prepare, run
from synthetic import LENGTH, START, Epic, gti_table, gtis, write, write_gti

OBSERVATIONS = int(os.environ.get("UWS_OBSERVATIONS", "100"))
"""How many observations the pulls of rates come from."""

SCRIPT = ROOT / "job_definitions/lightcurve/run.py"
SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
RING = f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")'


def make(folder: Path, **values: object) -> Path:
    """Run the script; the folder of its products."""
    done = run(prepare(folder, {"definition": "lightcurve"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stdout)
    return folder / "results"


def refusal(folder: Path, **values: object) -> str:
    """The sentence with which the script refuses; nothing is left in its results."""
    done = run(prepare(folder, {"definition": "lightcurve"}, **values), SCRIPT)
    assert done.returncode == 1, done.stdout
    assert not list(folder.glob("results/*"))
    return done.stderr.strip().removeprefix("[ERROR] ")


def curve_of(results: Path) -> tuple[np.ndarray, fits.Header]:
    with fits.open(results / "lightcurve.fits") as hdus:
        return np.asarray(hdus["RATE"].data), hdus["RATE"].header


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(small(), tmp_path_factory.mktemp("simulated"), cameras=("EPN",))[0]


# --- counts --------------------------------------------------------------------------------------------------


def sky_mask(hdu: fits.BinTableHDU, ds9: str) -> np.ndarray:
    """Which events lie in a region, by astropy and regions."""
    table, header = hdu.data, hdu.header
    names = [name.lower() for name in hdu.columns.names]
    x, y = (names.index(axis) + 1 for axis in ("x", "y"))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [header[f"TCTYP{x}"], header[f"TCTYP{y}"]]
    wcs.wcs.crpix = [header[f"TCRPX{x}"], header[f"TCRPX{y}"]]
    wcs.wcs.crval = [header[f"TCRVL{x}"], header[f"TCRVL{y}"]]
    wcs.wcs.cdelt = [header[f"TCDLT{x}"], header[f"TCDLT{y}"]]
    wcs.wcs.radesys = str(header.get("RADESYS", header.get("RADECSYS", "ICRS"))).strip()
    region = Regions.parse(ds9.replace("; ", "\n"), format="ds9")[0].to_pixel(wcs)
    return np.asarray(region.contains(PixCoord(table["x"].astype(float) - 1, table["y"].astype(float) - 1)))


@pytest.mark.parametrize(
    ("file", "region", "energy", "grades", "bin_size"),
    [
        ("chandra_m82/acis_10027_events.fits", 'icrs; circle(148.96, 69.68, 20")', (0.5, 8.0), {0, 2, 3, 4, 6}, 500.0),
        ("chandra_m82/acis_10027_events.fits", "", (0.5, 8.0), {0, 2, 3, 4, 6}, 1.0),
        ("nustar_b1937/dummy_evt.evt", 'fk5; circle(294.9107, 21.5831, 60")', (3.0, 79.0), set(range(27)), 100.0),
        ("nicer/ngc300nicer_bary.evt", "", (0.3, 8.0), None, 16.0),
        ("nicer/J0218_nicer_2070030405_cleanfilt_cut_bary.evt", "", (0.3, 8.0), None, 0.7),
    ],
)
def test_the_counts_of_real_lists_are_those_of_an_independent_count(
    shared: Path, tmp_path: Path, file: str, region: str, energy: tuple[float, float], grades: set[int] | None,
    bin_size: float,
) -> None:  # fmt: skip
    path = shared / "real" / file
    values = {"eventlist": path, "source_region": region, "energy": f"{energy[0]} {energy[1]}", "bin_size": bin_size}
    rows, header = curve_of(make(tmp_path / "job", **values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as hdus:
            table = hdus["EVENTS"].data
            start, stop = hdus["GTI"].data["START"].astype(float), hdus["GTI"].data["STOP"].astype(float)
            time = table["time"].astype(float)
            chosen = ((time[:, None] >= start) & (time[:, None] <= stop)).any(axis=1)
            scale = {"CHANDRA": lambda: table["energy"] / 1000, "NuSTAR": lambda: table["PI"] * 0.04 + 1.6,
                     "NICER": lambda: table["PI"] * 0.01}[hdus["EVENTS"].header["TELESCOP"].strip()]()  # fmt: skip
            chosen &= (scale >= energy[0] - 1e-9) & (scale <= energy[1] + 1e-9)
            if grades is not None:
                chosen &= np.isin(table["grade"], list(grades))
            if region:
                chosen &= sky_mask(hdus["EVENTS"], region)
    number = int(np.ceil((stop.max() - start.min()) / bin_size))
    edges = start.min() + bin_size * np.arange(number + 1)
    assert chosen.sum() > 20
    assert np.array_equal(rows["COUNTS"], np.histogram(time[chosen], edges)[0])
    assert np.allclose(rows["TIME"], (edges[:-1] + edges[1:]) / 2, rtol=0, atol=1e-6)
    good = [
        sum(max(0.0, min(high, b) - max(low, a)) for a, b in zip(start, stop, strict=True))
        for low, high in pairwise(edges[:201])
    ]
    assert rows["FRACEXP"][:200] == pytest.approx(np.array(good) / bin_size, abs=1e-6)
    exposed = rows["FRACEXP"] > 0
    live = rows["TIMEDEL"] if "TIMEDEL" in rows.dtype.names else header["TIMEDEL"]
    counts = (rows["RATE"] * live * rows["FRACEXP"] * header["DEADC"])[exposed]
    assert counts == pytest.approx(rows["COUNTS"][exposed], abs=1e-6)
    assert np.isnan(rows["RATE"][~exposed]).all()


def test_a_list_of_thousands_of_good_times(tmp_path: Path) -> None:
    """3,000 intervals of half a second to 40 s, bins of 7 s: counts and exposed time of each bin by plain sums."""
    generator = np.random.default_rng(7)
    ends = np.cumsum(generator.uniform(0.5, 40.0, 6000)) + 1e8
    start, stop = ends[0::2], ends[1::2]
    time = np.sort(generator.uniform(start[0], stop[-1], 40_000))
    header = fits.Header([("TELESCOP", "NICER"), ("INSTRUME", "XTI"), ("TIMESYS", "TT"), ("MJDREFI", 56658),
                          ("MJDREFF", 0.000777592592592593), ("TIMEREF", "LOCAL"), ("TIMEUNIT", "s")])  # fmt: skip
    columns = [fits.Column("TIME", "D", unit="s", array=time),
               fits.Column("PI", "I", array=np.full(time.size, 100))]  # fmt: skip
    events = fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")
    path = tmp_path / "list.fits"
    fits.HDUList([fits.PrimaryHDU(), events, gti_table("GTI", start, stop, MJDREF=56658.000777592592593)]).writeto(path)
    rows, _ = curve_of(make(tmp_path / "job", eventlist=path, bin_size=7.0))
    inside = ((time[:, None] >= start) & (time[:, None] <= stop)).any(axis=1)
    edges = start[0] + 7.0 * np.arange(len(rows) + 1)
    assert len(rows) > 15_000
    assert np.array_equal(rows["COUNTS"], np.histogram(time[inside], edges)[0])
    fine = np.histogram(np.concatenate([np.arange(a, b, 0.01) for a, b in zip(start, stop, strict=True)]), edges)[0]
    assert np.abs(rows["FRACEXP"] - fine * 0.01 / 7.0).max() < 0.01


def test_the_curve_of_coma_8_comes_out_of_its_own_counts_and_good_times(shared: Path, tmp_path: Path) -> None:
    """The real 10-12 keV curve of pn says how many events each bin of 100 s had, its file the good times."""
    with fits.open(shared / "real/xmm_coma8/PN_rate.fits") as hdus:
        header, real = hdus["RATE"].header, hdus["RATE"].data
        counts = np.rint(real["RATE"] * header["TIMEDEL"]).astype(int)
        tables = [hdus[f"STDGTI{ccd:02d}"].copy() for ccd in range(1, 13)]
        middle = real["TIME"].copy()
    good = [(table.data["START"].copy(), table.data["STOP"].copy()) for table in tables]
    generator = np.random.default_rng(8)
    # CCD 4 was on throughout but for its gap: an event in good time, well within its bin, for each count
    start, stop = good[3]
    times = []
    for centre, number in zip(middle, counts, strict=True):
        tried = centre + generator.uniform(-49, 49, 40 * number + 400)
        times.append(tried[((tried[:, None] > start) & (tried[:, None] < stop)).any(axis=1)][:number])
    path = tmp_path / "coma8.fits"
    write(path, Epic(rows=sum(map(len, times)), stdgti=False))
    with fits.open(path) as hdus:
        data = hdus["EVENTS"].data
        data["TIME"], data["CCDNR"], data["PI"] = np.concatenate(times), 4, 11_000
        data["PATTERN"], data["FLAG"] = 0, 0
        hdus.extend(tables)
        hdus.writeto(tmp_path / "list.fits")
    values = {"eventlist": tmp_path / "list.fits", "energy": "10 12", "pattern": "0:0", "bin_size": 100.0}
    rows, _ = curve_of(make(tmp_path / "job", **values))
    assert rows["TIME"][0] == pytest.approx(middle[0], abs=2.0)
    assert rows["COUNTS"].sum() == sum(map(len, times))
    edges = min(float(a[0]) for a, _ in good) + 100.0 * np.arange(len(rows) + 1)
    assert np.array_equal(rows["COUNTS"], np.histogram(np.concatenate(times), edges)[0])
    assert rows["GAP"][0].strip() != "" or rows["FRACEXP"][0] > 0.99


def test_the_rates_of_erosita_are_those_of_its_pipeline(shared: Path) -> None:
    """Counts, background, ratio of areas and FRACEXP of the real curve give its rates, for three bands and 24 bins."""
    data = fits.getdata(shared / "real/erosita/LightCurve_bexvar.fits", "RATE")
    exposed = np.flatnonzero(data["FRACEXP"][:, 0] > 0)
    assert exposed.size == 24
    for row in data[exposed]:
        for band in range(3):
            live = np.array([row["FRACEXP"][band] * row["TIMEDEL"]], dtype=float)
            edges = np.array([row["TIME"], row["TIME"] + row["TIMEDEL"]])
            behind = Background(np.array([int(row["BACK_COUNTS"][band])]), live, float(row["BACKRATIO"]))
            curve = LightCurve(edges, np.array([row["COUNTS"][band]]), live, np.zeros((4, 1)), 1.0, behind)
            if row["FRACEXP"][band] < 1e-6:
                assert np.isnan(curve.rate[0])  # a few microseconds of exposure are none
            else:
                assert curve.rate[0] == pytest.approx(row["RATE"][band], rel=1e-6)


# --- bins that follow the events -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("binning", "more"), [("counts", {"min_counts": 40}), ("snr", {"min_snr": 6.0}), ("blocks", {})]
)
def test_bins_follow_the_events(pn: Path, tmp_path: Path, binning: str, more: dict[str, float]) -> None:
    values = {"eventlist": pn, "source_region": CIRCLE, "background_region": RING, "binning": binning, **more}
    rows, header = curve_of(make(tmp_path / "job", **values))
    assert rows["COUNTS"].sum() == 16391  # those of the truth file
    assert rows["BCOUNTS"].sum() == 1615
    if binning == "counts":
        assert rows["COUNTS"].min() == 40 and np.median(rows["COUNTS"]) <= 41
    elif binning == "snr":
        assert (rows["RATE"] / rows["ERROR"]).min() > 5.8
    else:
        assert len(rows) == 1  # the source is constant
    width = rows["TIMEDEL"] if "TIMEDEL" in rows.dtype.names else np.array([header["TIMEDEL"]])
    assert rows["TIME"][0] - width[0] / 2 == pytest.approx(header["TSTART"], abs=1e-6)
    assert np.allclose(rows["TIME"][1:] - rows["TIME"][:-1], (width[1:] + width[:-1]) / 2, atol=1e-6)


def test_a_flare_gets_blocks_of_its_own_and_gaps_get_none(tmp_path: Path) -> None:
    path = tmp_path / "list.fits"
    rows = write(path, Epic(rows=30_000))
    with fits.open(path, mode="update") as hdus:
        flare = rows["TIME"].copy()
        chosen = np.random.default_rng(9).choice(len(rows), 3000, replace=False)
        flare[chosen] = START + 7000.0 + np.random.default_rng(10).uniform(0, 300, 3000)
        hdus["EVENTS"].data["TIME"] = flare
    found, _ = curve_of(make(tmp_path / "job", eventlist=path, binning="blocks", flag="none", pattern="all"))
    edges = found["TIME"] - found["TIMEDEL"] / 2
    brightest = int(np.argmax(found["RATE"]))
    assert edges[brightest] == pytest.approx(START + 7000, abs=2)
    assert found["TIMEDEL"][brightest] == pytest.approx(300, abs=4)
    assert len(found) <= 5  # not one for the 1000 s between the good times


# --- gaps and errors -----------------------------------------------------------------------------------------


def test_every_gap_has_its_cause(tmp_path: Path) -> None:
    """All CCDs off from 4012 to 5000 s; the CCD of the region until 4001 s; a user's gap; frames lost on the way."""
    path = tmp_path / "list.fits"
    write(path, Epic(rows=60_000))
    frames = {"TIME": START + 100.0 * np.arange(100), "TIMEDEL": [100.0] * 100, "FRACEXP": [0.9] * 100}
    frames["FRACEXP"][20:23] = [0.0] * 3
    columns = [fits.Column(name, "D", array=np.array(values)) for name, values in frames.items()]
    lost = fits.BinTableHDU.from_columns(columns, name="EXPOSU01")
    with fits.open(path, mode="append") as hdus:
        hdus.append(lost)
    gti = write_gti(tmp_path / "user.fits", [START, START + 1200], [START + 1000, START + LENGTH])
    with fits.open(path) as hdus:
        data = hdus["EVENTS"].data
        x, y = (float(np.median(data[axis][data["CCDNR"] == 1])) for axis in "XY")
    region = f"physical; circle({x}, {y}, 900)"
    rows, header = curve_of(make(tmp_path / "job", eventlist=path, source_region=region, gti=gti, bin_size=50.0))
    at = rows["TIME"] - START
    gap = np.char.strip(rows["GAP"].astype(str))
    assert set(gap[(at > 1000) & (at < 1200)]) == {"USER GTI"}
    assert set(gap[(at > 2000) & (at < 2300)]) == {"TELEMETRY"}
    assert set(gap[(at > 4050) & (at < 5000)]) == {"GTI"}
    assert set(gap[(at > 100) & (at < 950)]) == {""}
    told = fits.getdata(tmp_path / "job/results/lightcurve.fits", "GAPS")
    longest = [(row["START"] - START, row["STOP"] - START, row["CAUSE"].strip()) for row in told]
    assert [(round(a), round(b), cause) for a, b, cause in longest] == [
        (1000, 1200, "USER GTI"), (2000, 2300, "TELEMETRY"), (4001, 5000, "GTI"), (9990, 10000, "GTI")]  # fmt: skip
    assert header["LOST3"] == pytest.approx(200.0, abs=0.1)
    assert header["LOST4"] == pytest.approx(300.0, abs=0.1)
    ends = [stop for _, stop in gtis(1)]
    assert header["LOST2"] == pytest.approx(11.0, abs=0.2)  # CCD 12 has the last 11 s before the gap, CCD 1 not
    assert ends[0] == START + 4001


def test_errors_are_the_exact_poisson_limits_to_the_accuracy_of_gehrels() -> None:
    special = pytest.importorskip("scipy.special")
    counts = np.array([0, 1, 2, 3, 5, 8, 13, 30, 100, 3000])
    lower, upper = poisson.errors(counts)
    side = special.ndtr(1.0)
    exact_up = special.gammaincinv(counts + 1, side) - counts
    exact_low = counts - np.where(counts > 0, special.gammaincinv(np.maximum(counts, 1), 1 - side), 0)
    assert counts + upper == pytest.approx(counts + exact_up, rel=0.015)
    assert counts[1:] - lower[1:] == pytest.approx(counts[1:] - exact_low[1:], rel=0.015, abs=0.01)
    assert lower[0] == 0.0


def test_the_pulls_of_rates_have_mean_0_and_width_1() -> None:
    """Net rates of bins of 60 counts or so, of source and background drawn with their own exposures and areas."""
    generator = np.random.default_rng(11)
    pulls, backgrounds = [], []
    for _ in range(OBSERVATIONS):
        bins, rate, behind, ratio = 25, 0.5, 0.8, 0.2
        edges = 100.0 * np.arange(bins + 1)
        live = generator.uniform(30.0, 100.0, bins) * 0.95
        other = generator.uniform(30.0, 100.0, bins) * 0.93
        counts = generator.poisson((rate + ratio * behind) * live)
        background = Background(generator.poisson(behind * other), other, ratio)
        curve = LightCurve(edges, counts, live, np.zeros((4, bins)), 0.95, background)
        lower, upper = curve.errors
        pulls.append((curve.rate - rate) / np.where(curve.rate > rate, lower, upper))
        expected = ratio * behind
        backgrounds.append((curve.background_rate - expected) / curve.background_error)
    for found in (np.concatenate(pulls), np.concatenate(backgrounds)):
        assert abs(found.mean()) < 0.1
        assert abs(found.std() - 1) < 0.1


def test_the_pulls_of_simulated_observations_have_mean_0_and_width_1(tmp_path: Path) -> None:
    """Net rate of a faint source in bins of 200 s, against the rate that the simulator expects in its circle.

    The background is on another CCD, beyond the wings of the source.
    """
    source, pulls = replace(small().sources[0], flux=1e-12), []
    circle = regions.parse(f'icrs; circle({source.ra}, {source.dec}, 40")')
    away = regions.parse(f'icrs; circle({source.ra}, {source.dec - 0.11}, 90")')
    for seed in range(OBSERVATIONS):
        observation = replace(small(), sources=(source,), exposure_s=4000.0, seed=1000 + seed)
        folder = tmp_path / str(seed)
        (path,) = simulate(observation, folder, cameras=("EPN",))
        truth = json.loads(truth_path(folder, observation).read_text())["cameras"]["EPN"]
        expected = truth["sources"][0]["expected"]["in_circle_usual"]
        with open_eventlist(path) as events:
            selection = choose(events, "0.01 200")
            first, last = span(selection.gtis) or (0.0, 0.0)
            edges = constant_edges(first, last, 200.0)
            on_pixels = {"source_region": circle.on(events.wcs), "background_region": away.on(events.wcs)}
            curve = extract_events(events, selection, on_pixels, edges).curve(edges)
        shutil.rmtree(folder)
        rate, (lower, upper) = expected / curve.live_s.sum(), curve.errors
        pull = (curve.rate - rate) / np.where(curve.rate > rate, lower, upper)
        pulls += pull[curve.exposed > 0.3].tolist()
    assert len(pulls) > 15 * OBSERVATIONS
    assert abs(np.mean(pulls)) < 0.1
    assert abs(np.std(pulls) - 1) < 0.1


# --- the files -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(pn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything") / "job"
    return make(folder, eventlist=pn, source_region=CIRCLE, background_region=RING, soft_band="0.5 2.0",
                hard_band="2.0 10.0", periods="50 1000", period=100.0)  # fmt: skip


def test_the_products_are_sound_and_tagged(everything: Path) -> None:
    names = sorted(path.name for path in everything.glob("*.fits"))
    assert names == ["hardness.fits", "lightcurve.fits", "periodogram.fits", "profile.fits"]
    for name in names:
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(everything / name)], check=True)
        tags = votags.read(everything / name)
        assert tags is not None
        row = tags.row
        assert row["dataproduct_type"] == "timeseries"
        assert 61100 < float(row["t_min"]) < float(row["t_max"]) < float(row["t_min"]) + 0.15


def test_the_hardness_counts_are_those_of_each_band(pn: Path, everything: Path, tmp_path: Path) -> None:
    data = fits.getdata(everything / "hardness.fits", "RATE")
    for letter, energy in (("S", "0.5 2.0"), ("H", "2.0 10.0")):
        values = {"eventlist": pn, "source_region": CIRCLE, "background_region": RING, "energy": energy}
        alone, _ = curve_of(make(tmp_path / letter, **values))
        assert np.array_equal(data[f"COUNTS_{letter}"], alone["COUNTS"])
        assert data[f"RATE_{letter}"] == pytest.approx(alone["RATE"], rel=1e-12)
    total = data["RATE_H"] + data["RATE_S"]
    assert data["HR"] == pytest.approx((data["RATE_H"] - data["RATE_S"]) / total, rel=1e-9)
    spread = np.std(data["HR"]) / np.mean(data["HR_ERR"])
    assert 0.8 < spread < 1.25


def test_phase_0_is_at_the_epoch(pn: Path, tmp_path: Path) -> None:
    """MJD 61100.5 (TT) in seconds from MJDREF 50814; the period is told to be one at the telescope."""
    results = make(tmp_path / "job", eventlist=pn, source_region=CIRCLE, period=700.0, epoch=61100.5, phase_bins=8)
    with fits.open(results / "profile.fits") as hdus:
        header, rows = hdus["PROFILE"].header, hdus["PROFILE"].data
    assert header["TPHASE0"] == (61100.5 - 50814) * 86400
    with fits.open(pn) as hdus:
        table = hdus["EVENTS"].data
        chosen = sky_mask(hdus["EVENTS"], CIRCLE) & (table["PATTERN"] <= 4) & (table["FLAG"] & 0xCFA0000 == 0)
        chosen &= (table["PI"] >= 200) & (table["PI"] <= 12000)
        good = np.zeros(len(table), dtype=bool)
        for ccd in range(1, 13):
            intervals = hdus[f"STDGTI{ccd:02d}"].data
            within = (table["TIME"][:, None] >= intervals["START"]) & (table["TIME"][:, None] <= intervals["STOP"])
            good |= (table["CCDNR"] == ccd) & within.any(axis=1)
    phase = ((table["TIME"][chosen & good] - header["TPHASE0"]) / 700.0) % 1
    assert np.array_equal(rows["COUNTS"], np.histogram(phase, np.linspace(0, 1, 9))[0])
    assert rows["COUNTS"].sum() == 16391
    assert "the motion of the Earth shifts the period" in (tmp_path / "job/log.txt").read_text()


def test_astropy_reads_the_curve_as_a_time_series(everything: Path) -> None:
    timeseries = pytest.importorskip("astropy.timeseries")
    table = fits.getdata(everything / "lightcurve.fits", "RATE")
    series = timeseries.TimeSeries.read(everything / "lightcurve.fits", time_column="TIME", time_format="cxcsec", hdu=1)
    assert len(series) == len(table)
    assert np.allclose(series["RATE"].value, table["RATE"])


def test_topcats_library_reads_the_curve(everything: Path) -> None:
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package")
    command = ["stilts", "tpipe", f"in={everything / 'lightcurve.fits'}#1", "omode=out", "ofmt=csv",
               "cmd=keepcols 'TIME RATE COUNTS GAP'"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.strip().splitlines()
    rows = fits.getdata(everything / "lightcurve.fits", "RATE")
    assert lines[0] == "TIME,RATE,COUNTS,GAP" and len(lines) == len(rows) + 1
    assert [int(line.split(",")[2]) for line in lines[1:]] == rows["COUNTS"].tolist()


def test_stingray_reads_the_curve(everything: Path) -> None:
    pytest.importorskip("stingray")
    from stingray.io import lcurve_from_fits

    rows = fits.getdata(everything / "lightcurve.fits", "RATE")
    header = fits.getheader(everything / "lightcurve.fits", "RATE")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = lcurve_from_fits(str(everything / "lightcurve.fits"))
        gross = lcurve_from_fits(str(everything / "lightcurve.fits"), ratecolumn="COUNTS")
    whole = rows["FRACEXP"] == 1
    assert whole.sum() > 100
    assert np.allclose(net["time"].astype(float), rows["TIME"]) and net["dt"] == header["TIMEDEL"]
    assert net["counts"][whole] == pytest.approx(rows["RATE"][whole] * header["TIMEDEL"])
    most = rows["FRACEXP"] >= 0.9
    assert gross["counts"][most] == pytest.approx(rows["COUNTS"][most] / rows["FRACEXP"][most])
    assert net["mjdref"] == 50814.0


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bin_size": 1e6}, "bin_size: bins of 1e+06 s are longer than the observation"),
        ({"bin_size": 1e-3}, "at most 1,000,000 are made: give 0.012 s or more"),
        ({"soft_band": "0.5 2"}, "hard_band: it is empty; a hardness ratio needs both bands"),
        ({"soft_band": "0.5 2", "hard_band": "2 15"}, "hard_band: 2 to 15 keV does not lie within energy"),
        ({"periods": "ten twenty"}, "periods: 'ten twenty' is no range of periods"),
        ({"periods": "10 1e9"}, "periods: 10 1e+09 s is no range of periods"),
        ({"binning": "wavelets"}, "binning: 'wavelets' is no binning"),
        ({"background_region": CIRCLE}, "background_region: it is the same area as source_region"),
        ({"source_region": 'icrs; circle(150.5, 69.65, 40")'}, "source_region: the region lies outside the field"),
    ],
)
def test_what_makes_no_light_curve_is_refused(pn: Path, tmp_path: Path, values: dict[str, object], said: str) -> None:
    assert said in refusal(tmp_path / "job", **{"eventlist": pn, "source_region": CIRCLE, **values})


def test_timing_mode_is_refused_with_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "list.fits"
    write(path, Epic(rows=1000, cards=(("DATAMODE", "TIMING"),)))
    assert "in timing and burst mode RAWY is time, not a place on the sky" in refusal(tmp_path / "job", eventlist=path)


def test_a_list_without_good_times_takes_the_whole_exposure_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "list.fits"
    write(path, Epic(stdgti=False))
    rows, _ = curve_of(make(tmp_path / "job", eventlist=path))
    assert len(rows) == 100 and (rows["FRACEXP"] > 0.999999).all()
    assert "TSTART to TSTOP is taken as good" in (tmp_path / "job/log.txt").read_text()


@pytest.mark.parametrize("binning", ["constant", "counts", "snr", "blocks"])
def test_an_empty_band_and_events_outside_all_good_times_give_zero_counts(tmp_path: Path, binning: str) -> None:
    path = tmp_path / "list.fits"
    write(path, Epic())
    rows, _ = curve_of(make(tmp_path / "band", eventlist=path, energy="150 200", binning=binning))
    assert rows["COUNTS"].sum() == 0
    assert np.nanmax(rows["RATE"]) == 0 and np.nanmin(rows["ERRORUP"]) > 0
    gti = write_gti(tmp_path / "user.fits", [START + 9990], [START + 9999.9])
    if binning == "constant":
        assert "leaves no good time" in refusal(tmp_path / "late", eventlist=path, gti=write_gti(
            tmp_path / "none.fits", [START + 2e6], [START + 3e6]), bin_size=1.0)  # fmt: skip
        assert "no good time" in refusal(tmp_path / "end", eventlist=path, gti=gti, bin_size=1.0)


def test_a_million_bins_are_made(tmp_path: Path) -> None:
    path = tmp_path / "list.fits"
    write(path, Epic())
    rows, _ = curve_of(make(tmp_path / "job", eventlist=path, bin_size=0.01))
    assert len(rows) == pytest.approx(999_000, abs=1000)
    assert rows["COUNTS"].sum() > 5000
