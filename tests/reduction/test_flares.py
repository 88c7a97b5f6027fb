"""Flare filters: the real Coma 8 curves with what the SAS made of them, and simulated flares whose place is known."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clip

from checkout import ROOT
from independent import opened, raw_rows
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.goodtime import GTI
from reduction.events.gti import read_file
from reduction.simulate import simulate, small
from reduction.timing import flarecurve, flares
from scriptjobs import prepare, run
from synthetic import START, Epic, gtis, write

SCRIPT = ROOT / "job_definitions/flare_filter/run.py"
RATE, SAS_GTI, FBKTSR = "PN_rate.fits", "PN_gti.fits", "P0124710801PNS001FBKTSR0000.FTZ"


@pytest.fixture
def coma(shared: Path) -> Path:
    return shared / "real/xmm_coma8"


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated pn list whose background is eight times as high at 8000 s and falls until 10,000 s."""
    flare = small().flare
    assert flare is not None
    observation = replace(small(), flare=replace(flare, factor=8.0))
    (path,) = simulate(observation, tmp_path_factory.mktemp("flare"), cameras=["EPN"])
    return path


def run_filter(folder: Path, **values: Any) -> tuple[Path, str]:
    """The folder of the results, and the log."""
    done = run(prepare(folder, {"definition": "flare_filter"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    return folder / "results", done.stdout


def refused(folder: Path, **values: Any) -> str:
    """The sentence with which the script ends."""
    done = run(prepare(folder, {"definition": "flare_filter"}, **values), SCRIPT)
    assert done.returncode == 1, done.stdout
    assert not list(folder.glob("results/*"))
    return done.stderr.partition("[ERROR] ")[2].strip()


def intervals(path: Path) -> list[tuple[float, float]]:
    with fits.open(path) as hdus:
        return list(zip(hdus["STDGTI"].data["START"], hdus["STDGTI"].data["STOP"], strict=True))


def drawn(coma: Path, threshold: float) -> list[tuple[float, float]]:
    """What a reader draws: whole bins up to a rate, joined, cut where no CCD was on any more."""
    with opened(coma / RATE) as hdus:
        table, width = hdus["RATE"].data, hdus["RATE"].header["TIMEDEL"]
        last = max(hdu.data["STOP"].max() for hdu in hdus if hdu.name.startswith("STDGTI"))
        first = min(hdu.data["START"].min() for hdu in hdus if hdu.name.startswith("STDGTI"))
        kept = sorted(float(time) for time, rate in zip(table["TIME"], table["RATE"], strict=True) if rate <= threshold)
    found: list[list[float]] = []
    for time in kept:
        if found and abs(time - width / 2 - found[-1][1]) < 1e-3:
            found[-1][1] = time + width / 2
        else:
            found.append([time - width / 2, time + width / 2])
    return [(max(start, first), min(stop, last)) for start, stop in found]


def test_the_real_curve_gives_the_good_time_that_a_reader_draws(coma: Path, tmp_path: Path) -> None:
    """That of the SAS (a cut at 0.5 count/s) but for its end, which lies 50 s behind that of the exposure."""
    products, said = run_filter(tmp_path, lightcurve=coma / RATE, threshold=0.5)
    ours = intervals(products / "gti.fits")
    expected = drawn(coma, 0.5)
    assert len(ours) == len(expected) == 4
    assert np.allclose(ours, expected, atol=1e-6, rtol=0)
    with fits.open(coma / SAS_GTI) as hdus:
        theirs = np.array([hdus["STDGTI"].data["START"], hdus["STDGTI"].data["STOP"]]).T
        assert np.allclose(np.array(ours)[:-1], theirs[:-1], atol=1e-3, rtol=0)
        assert theirs[-1][1] - ours[-1][1] == pytest.approx(50.5, abs=0.3)
    left = sum(stop - start for start, stop in ours)
    assert f"Good time left: {left:.1f} of " in said
    assert "(91.2 %) in 4 intervals" in said
    assert "Note: kept though above the threshold over their good time: 1 of the bins" in said, "the last, half a bin"
    for name in ("gti.fits", "lightcurve.fits"):
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(products / name)], check=True)


def test_sigma_clipping_is_that_of_astropy(coma: Path, tmp_path: Path) -> None:
    products, _ = run_filter(tmp_path, lightcurve=coma / RATE, method="sigma", sigma=3.0)
    with opened(coma / RATE) as hdus:
        rates = np.array(hdus["RATE"].data["RATE"])
    theirs = ~sigma_clip(rates, sigma_lower=np.inf, sigma_upper=3.0, maxiters=None, cenfunc=np.median).mask
    with opened(products / "lightcurve.fits") as hdus:
        assert np.array_equal(hdus["RATE"].data["GOOD"] == 1, theirs)
        assert hdus["RATE"].header["FLCUTTHR"] < rates[~theirs].min()
    assert rates[theirs].max() < 0.54, "the flare is off"
    assert theirs.sum() > 0.95 * (rates < 0.41).sum(), "the quiet time is kept"


def test_the_best_signal_to_noise_is_that_of_the_sas(coma: Path) -> None:
    """FBKTSR has the optimum of bkgoptrate for its own curve (FLCUTTHR, NBINOPT), whose bins count as equal there."""
    with opened(coma / FBKTSR) as hdus:
        rates = np.array(hdus["RATE"].data["RATE"], dtype=float)
        threshold = hdus["RATE"].header["FLCUTTHR"]
        bins = hdus["SN_TO_BKGCUT"].header["NBINOPT"]
    edges = 10.0 * np.arange(len(rates) + 1)
    curve = flares.FlareCurve.of_counts(edges, rates * 10.0, np.full(len(rates), 10.0), 1.0)
    cut = flares.best_signal(curve, rates * 10.0)
    assert cut.threshold == pytest.approx(threshold, rel=1e-6)
    assert np.count_nonzero(cut.kept) == bins


def test_the_curve_of_the_pipeline_is_cut_where_its_header_says(coma: Path, tmp_path: Path) -> None:
    """Its rates are divided by FRACEXP already, and its good times have names that are no numbers of CCDs."""
    products, said = run_filter(tmp_path, lightcurve=coma / FBKTSR, threshold=20.56707)
    with opened(coma / FBKTSR) as old, opened(products / "lightcurve.fits") as new:
        assert np.allclose(new["RATE"].data["RATE"], old["RATE"].data["RATE"])
        assert np.allclose(new["RATE"].data["FRACEXP"], old["RATE"].data["FRACEXP"])
        kept = old["RATE"].data["RATE"] <= 20.56707
        assert np.array_equal(new["RATE"].data["GOOD"] == 1, kept)
    assert "2279 of 2375 bins kept" in said


def independent_rates(path: Path, width: float, pattern: int, low: int, high: int, mask: int) -> tuple[Any, ...]:
    """Counts of a band in bins, and the good time of each, the mean of those of the CCDs; by numpy alone."""
    with opened(path) as hdus:
        rows = hdus["EVENTS"].data
        good = {int(hdu.name[-2:]): list(zip(hdu.data["START"], hdu.data["STOP"], strict=True))
                for hdu in hdus if hdu.name.startswith("STDGTI")}  # fmt: skip
        header = hdus["EVENTS"].header
        chosen = (rows["PATTERN"] <= pattern) & (rows["PI"] >= low) & (rows["PI"] <= high)
        chosen &= (rows["FLAG"] & mask) == 0
        times, ccds = np.array(rows["TIME"][chosen]), np.array(rows["CCDNR"][chosen])
    begin = min(start for pairs in good.values() for start, _ in pairs)
    end = max(stop for pairs in good.values() for _, stop in pairs)
    edges = begin + width * np.arange(int(np.ceil((end - begin) / width)) + 1)
    inside = np.zeros(len(times), dtype=bool)
    exposed = np.zeros(len(edges) - 1)
    for ccd, pairs in good.items():
        for start, stop in pairs:
            inside |= (ccds == ccd) & (times >= start) & (times <= stop)
            exposed += np.clip(np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start), 0, None) / len(good)
    live = np.mean([header[f"LIVETI{ccd:02d}"] / header[f"ONTIME{ccd:02d}"] for ccd in good])
    return np.histogram(times[inside], edges)[0], exposed, live, edges


@pytest.mark.parametrize("width", [100.0, 37.3])
def test_the_curve_of_an_event_list_has_the_live_time_of_its_ccds(pn: Path, tmp_path: Path, width: float) -> None:
    products, _ = run_filter(tmp_path, eventlist=pn, bin_size=width, threshold=0.2)
    counts, exposed, live, edges = independent_rates(pn, width, 0, 10_000, 12_000, 0xCFA0000)
    with fits.open(products / "lightcurve.fits") as hdus:
        table, header = hdus["RATE"].data, hdus["RATE"].header
        assert np.array_equal(table["COUNTS"], counts)
        assert np.allclose(table["FRACEXP"], exposed / width, atol=1e-5)
        seen = exposed > 0.1 * width
        assert np.allclose(table["RATE"][seen], (counts / (exposed * live))[seen], rtol=1e-4)
        assert np.allclose(table["TIME"], edges[:-1] + width / 2, atol=1e-3)
        assert (header["TIMEDEL"], header["HDUCLAS1"], header["HDUCLAS3"]) == (width, "LIGHTCURVE", "RATE")
        assert header["DSVAL4"] == "10000:12000"
        assert header["DEADC"] == pytest.approx(live, rel=1e-6)


def test_a_simulated_flare_is_cut_out_where_it_is(pn: Path, tmp_path: Path) -> None:
    flare = small().flare
    assert flare is not None
    products, said = run_filter(tmp_path, eventlist=pn, method="sigma")
    good = read_file(products / "gti.fits", Clock(50814.0, 0.0, 0.0, "TT"))[None]
    begin = small().tstart + flare.start_s
    high = GTI.of([begin + 0.2 * flare.duration_s], [begin + 0.28 * flare.duration_s])
    assert (good & high).total == 0
    quiet = GTI.of([small().tstart], [begin])
    assert (good & quiet).total > 0.97 * quiet.total * 0.98
    assert "standard deviations" in said


def test_the_good_time_is_what_events_and_spectra_take(pn: Path, tmp_path: Path) -> None:
    products, _ = run_filter(tmp_path / "flares", eventlist=pn, method="sigma")
    folder = prepare(tmp_path / "events", {"definition": "events"}, eventlist=pn, gti=products / "gti.fits")
    done = run(folder, ROOT / "job_definitions/events/run.py")
    assert done.returncode == 0, done.stderr
    with opened(pn) as hdus:
        rows, mask = hdus["EVENTS"].data, 0xCFA0000
        chosen = (rows["PATTERN"] <= 4) & ((rows["FLAG"] & mask) == 0)
        times, ccds = np.array(rows["TIME"]), np.array(rows["CCDNR"])
        inside = np.zeros(len(times), dtype=bool)
        for hdu in hdus:
            if hdu.name.startswith("STDGTI"):
                for start, stop in zip(hdu.data["START"], hdu.data["STOP"], strict=True):
                    inside |= (ccds == int(hdu.name[-2:])) & (times >= start) & (times <= stop)
    good = np.zeros(len(times), dtype=bool)
    for start, stop in intervals(products / "gti.fits"):
        good |= (times >= start) & (times <= stop)
    assert np.array_equal(raw_rows(folder / "results/events.fits"), raw_rows(pn)[chosen & inside & good])
    folder = prepare(tmp_path / "spectrum", eventlist=pn, gti=products / "gti.fits")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    with fits.open(folder / "results/source_spectrum.fits") as hdus:
        total = int((chosen & inside & good & (rows["PI"] >= 200) & (rows["PI"] <= 12000)).sum())
        assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == total


def test_the_source_is_what_the_best_signal_is_of(pn: Path, tmp_path: Path) -> None:
    """A source so faint that the flare drowns it: time of high rates is cut, and T / sqrt(N) of what is left is larger
    than for any other threshold."""
    region = f'icrs; circle({small().ra + 0.05}, {small().dec + 0.06}, 200")'
    products, said = run_filter(tmp_path, eventlist=pn, method="signal", source_region=region, bin_size=200.0,
                                source_energy="0.2 12")  # fmt: skip
    assert "best signal to noise of the source" in said
    with fits.open(products / "lightcurve.fits") as hdus:
        table = hdus["RATE"].data
        rates, kept, exposed = table["RATE"], table["GOOD"] == 1, table["FRACEXP"] * 200.0
        starts = table["TIME"] - 100.0
    folder = prepare(tmp_path / "region", {"definition": "events"}, eventlist=pn, region=region, energy="0.2 12")
    assert run(folder, ROOT / "job_definitions/events/run.py").returncode == 0
    times = np.array(fits.getdata(folder / "results/events.fits", "EVENTS")["TIME"])
    counts = np.histogram(times, np.append(starts, starts[-1] + 200.0))[0]
    signals = {rate: exposed[rates <= rate].sum() / np.sqrt(counts[rates <= rate].sum()) for rate in rates}
    best = max(signals, key=lambda rate: signals[rate])
    assert np.array_equal(kept, rates <= best)
    assert 0.3 < kept.mean() < 1


def test_a_bin_of_which_a_tenth_is_missing_says_nothing() -> None:
    edges, counts, exposed = np.array([0.0, 10, 20, 30]), np.array([1.0, 0, 5]), np.array([10.0, 0.9, 0])
    curve = flares.FlareCurve.of_counts(edges, counts, exposed, 0.5)
    assert curve.rate[:2].tolist() == [0.2, 0.0]
    assert np.isnan(curve.rate[2])
    assert curve.usable.tolist() == [True, False, False]
    assert flares.fixed(curve, 0.3).kept.tolist() == [True, False, False]
    with pytest.raises(ReductionError, match=r"0\.1 count/s leaves no good time: rates are from 0\.2 to 0\.2"):
        flares.good_time(curve, flares.fixed(curve, 0.1), GTI.of([0.0], [30.0]))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"bin_size": 20_000.0}, "bin_size: bins of 20000 s are longer than the observation"),
        ({"bin_size": 0.001}, "bin_size: bins of 0.001 s would be .*; at most 1,000,000"),
        ({"bin_size": 0.0}, "bin_size: 0 s is no width of a bin"),
        ({"threshold": 1e-9, "energy": "0.2 12"}, "threshold: a threshold of 1e-09 count/s leaves no good time: "),
        ({"threshold": -1.0}, "threshold: -1 is no threshold"),
        ({"method": "sigma", "sigma": -2.0}, "sigma: -2 is no number of standard deviations"),
        ({"method": "signal"}, "source_region: the best signal to noise wants an event list and the region"),
        ({"method": "signal", "source_region": "physical; circle(1,1,2)"}, "source_region: no event of source_energy"),
    ],
)
def test_nonsense_ends_in_a_sentence(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    write(tmp_path / "pn.fits", Epic(rows=40_000))
    assert re.match(sentence, refused(tmp_path / "job", eventlist=tmp_path / "pn.fits", **values))


def test_lists_and_curves_that_make_no_flare_curve_are_refused_or_told(tmp_path: Path, shared: Path) -> None:
    assert refused(tmp_path / "0") == "eventlist: an event list or a light curve is wanted, and not both"
    for number, mode in enumerate(("TIMING", "BURST"), start=1):
        write(tmp_path / f"{mode}.fits", Epic(rows=2000, cards=(("DATAMODE", mode),)))
        sentence = refused(tmp_path / f"{number}", eventlist=tmp_path / f"{mode}.fits")
        assert re.match(rf"eventlist: .*{mode} mode.*RAWY is time", sentence)
    nustar = shared / "real/nustar_b1937/dummy_evt.evt"
    assert refused(tmp_path / "3", eventlist=nustar) == (
        "energy: for NuSTAR FPMA no energies without photons of the sky are known; give a band")  # fmt: skip
    assert re.match("threshold: no threshold is given", refused(tmp_path / "4", eventlist=nustar, energy="100 160"))
    assert "has no table with columns TIME and RATE" in refused(tmp_path / "5", lightcurve=nustar)
    write(tmp_path / "away.fits", Epic(rows=40_000))
    with fits.open(tmp_path / "away.fits", mode="update") as hdus:
        hdus["EVENTS"].data["TIME"] += 1e6
    assert "lie outside the good times of away.fits" in refused(tmp_path / "6", eventlist=tmp_path / "away.fits")
    write(tmp_path / "closed.fits", Epic(rows=40_000, stdgti=False, cards=(("FILTER", "Closed"), ("OBS_MODE", "SLEW"))))
    _, said = run_filter(tmp_path / "7", eventlist=tmp_path / "closed.fits", method="sigma")
    for note in ("FILTER is Closed", "OBS_MODE is SLEW", "no good time intervals: TSTART to TSTOP is taken as good"):
        assert f"Note: {note}" in said


def test_a_curve_without_good_times_or_in_days_is_taken_as_it_says(tmp_path: Path) -> None:
    """Ten bins of a tenth of a day, one of them high; its last is written first."""
    rates = np.array([1.0, 1, 1, 9, 1, 1, 1, 1, 1, 1])
    order = np.roll(np.arange(10), 1)
    columns = [fits.Column("TIME", "D", unit="d", array=(5.05 + 0.1 * np.arange(10))[order]),
               fits.Column("RATE", "E", unit="count/s", array=rates[order])]  # fmt: skip
    header = fits.Header({"TIMEDEL": 0.1, "MJDREF": 50814.0, "TIMESYS": "TT"})
    table = fits.BinTableHDU.from_columns(columns, header=header, name="RATE")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "curve.fits")
    products, said = run_filter(tmp_path / "job", lightcurve=tmp_path / "curve.fits", threshold=2.0)
    assert "Note: curve.fits has no good time intervals: its bins are taken as good" in said
    found = np.array(intervals(products / "gti.fits")) / 86400.0
    assert np.allclose(found, [[5.0, 5.3], [5.4, 6.0]], atol=1e-9)


def test_ccds_of_their_own_good_times_are_exposed_by_their_mean(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=200_000))
    products, _ = run_filter(tmp_path / "job", eventlist=tmp_path / "pn.fits", threshold=100.0, bin_size=500.0)
    with fits.open(products / "lightcurve.fits") as hdus:
        fraction = hdus["RATE"].data["FRACEXP"]
    edges = START + 500.0 * np.arange(21)
    expected = np.mean([[sum(max(0.0, min(high, stop) - max(low, start)) for start, stop in gtis(ccd))
                         for low, high in itertools.pairwise(edges)] for ccd in range(1, 13)], axis=0)  # fmt: skip
    assert np.allclose(fraction, expected / 500.0, atol=1e-6)
    assert flarecurve.read(products / "lightcurve.fits").curve.corrected
