"""Filtered event lists, event for event and byte for byte, against a selection by astropy, numpy and regions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from checkout import ROOT
from independent import events, hdu_bytes, in_region, in_tables, opened, raw_rows
from scriptjobs import prepare, run
from synthetic import LENGTH, START, Epic, gtis, write, write_gti

SCRIPT = ROOT / "job_definitions/events/run.py"
REAL = {
    "chandra": "chandra_m82/acis_10027_events.fits",
    "nustar": "nustar_b1937/dummy_evt.evt",
    "ngc300": "nicer/ngc300nicer_bary.evt",
    "j0218": "nicer/J0218_nicer_2070030405_cleanfilt_cut_bary.evt",
}
STRUCTURE = re.compile(r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|CHECKSUM|DATASUM|LONGSTRN")
RENEWED = re.compile(r"NAXIS2|CHECKSUM|DATASUM|\d*DS(TYP|VAL|FORM|UNIT?|REF)\d+|SLCTEXPR|LONGSTRN")


def filtered(folder: Path, eventlist: Path, **values: Any) -> Path:
    """The event list that the script of the definition makes."""
    done = run(prepare(folder, {"definition": "events"}, eventlist=eventlist, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    return next((folder / "results").glob("events.*"))


def refused(folder: Path, eventlist: Path, **values: Any) -> str:
    """The sentence with which the script ends; nothing is left in results."""
    done = run(prepare(folder, {"definition": "events"}, eventlist=eventlist, **values), SCRIPT)
    assert done.returncode == 1, done.stdout
    assert not [path for path in folder.glob("results/*") if path.stat().st_size]
    return done.stderr.partition("[ERROR] ")[2].strip()


def log(folder: Path, eventlist: Path, **values: Any) -> str:
    """What the script says."""
    return run(prepare(folder, {"definition": "events"}, eventlist=eventlist, **values), SCRIPT).stdout


@dataclass(frozen=True)
class Wanted:
    """A selection: the parameters, and the same in terms of columns (energies in the unit of `energy`)."""

    parameters: dict[str, str]
    region: str = ""
    energy: tuple[str, float, float] | None = None
    grades: tuple[int, ...] | None = None


CIRCLE = 'icrs\ncircle(148.96, 69.68, 20")'
BOX = 'fk5\nbox(294.91, 21.583, 60", 40", 30)'
SELECTIONS = {
    "chandra": Wanted({"region": CIRCLE, "energy": "0.5 8"}, CIRCLE, ("energy", 500, 8000), (0, 2, 3, 4, 6)),
    "nustar": Wanted({"region": BOX, "energy": "3 79"}, BOX, ("pi", 35, 1935)),
    "ngc300": Wanted({"energy": "0.3 2"}, "", ("pi", 30, 200)),
    "j0218": Wanted({"energy": "0.5 2"}, "", ("pi", 50, 200)),
}


@pytest.mark.parametrize("key", REAL)
@pytest.mark.parametrize("form", ["FITS", "FTZ"])
def test_real_lists_keep_the_very_rows_of_an_independent_selection(
    shared: Path, tmp_path: Path, key: str, form: str
) -> None:
    path, wanted = shared / "real" / REAL[key], SELECTIONS[key]
    columns, _ = events(path)
    chosen = in_tables(columns["time"], path, "GTI")
    if wanted.region:
        chosen &= in_region(path, wanted.region)
    if wanted.energy:
        name, low, high = wanted.energy
        chosen &= (columns[name] >= low) & (columns[name] <= high)
    if wanted.grades:
        chosen &= np.isin(columns["grade"], wanted.grades)
    assert 0 < chosen.sum() < len(chosen)
    product = filtered(tmp_path, path, format=form, **wanted.parameters)
    assert product.suffix == {"FITS": ".fits", "FTZ": ".FTZ"}[form]
    assert np.array_equal(raw_rows(product), raw_rows(path)[chosen])


@pytest.mark.parametrize("key", REAL)
def test_a_real_list_without_cuts_keeps_every_row_column_keyword_and_table(
    shared: Path, tmp_path: Path, key: str
) -> None:
    path = shared / "real" / REAL[key]
    product = filtered(tmp_path, path, pattern="all", flag="none")
    kept = raw_rows(path)[in_tables(events(path)[0]["time"], path, "GTI")]
    assert np.array_equal(raw_rows(product), kept)
    with opened(path) as before, opened(product) as after:
        for name, anew in (("PRIMARY", STRUCTURE), ("EVENTS", RENEWED)):
            cards = iter(card.image for card in after[name].header.cards)
            lost = [card.image for card in before[name].header.cards
                    if not anew.fullmatch(card.keyword) and card.image not in cards]  # fmt: skip
            assert lost == [], "the iterator goes on from card to card, so that their order counts"
        assert {hdu.name for hdu in before} <= {hdu.name for hdu in after}
        kinds = [(hdu.name, hdu.ver) for hdu in after]
        for index, hdu in enumerate(before):
            if hdu.name not in ("PRIMARY", "EVENTS", "GTI"):
                assert hdu_bytes(path, index) == hdu_bytes(product, kinds.index((hdu.name, hdu.ver))), hdu.name
        for edge in ("START", "STOP"):
            assert np.array_equal(before["GTI"].data[edge], after["GTI"].data[edge])


def test_every_cut_of_a_pn_list_is_that_of_plain_numpy(tmp_path: Path) -> None:
    rows = write(tmp_path / "pn.fits", Epic(rows=300_000, nan_times=500, bad=((4, 3, 5, 1, 2),)))
    write_gti(tmp_path / "user.fits", [START + 500.0, START + 6000.0], [START + 3000.0, START + 9000.0])
    values = {
        "region": "physical; ellipse(25000,27000,6000,3000,20)\n-circle(25000,27000,900)", "energy": "0.5 7",
        "pattern": "0:4", "flag": "default", "ccd": "1:4,9", "time": f"{START + 1000}:{START + 8000}",
        "gti": tmp_path / "user.fits", "period": 123.4, "epoch": "51972.5", "phases": "0.9:1.2,0.5:0.6",
    }  # fmt: skip
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", **values)
    turned = np.deg2rad(20.0)
    dx, dy = rows["X"] - 25000.0, rows["Y"] - 27000.0
    along, across = dx * np.cos(turned) + dy * np.sin(turned), dy * np.cos(turned) - dx * np.sin(turned)
    chosen = ((along / 6000) ** 2 + (across / 3000) ** 2 <= 1) & (np.hypot(dx, dy) > 900)
    chosen &= (rows["PI"] >= 500) & (rows["PI"] <= 7000) & (rows["PATTERN"] <= 4) & ((rows["FLAG"] & 0xCFA0000) == 0)
    chosen &= np.isin(rows["CCDNR"], (1, 2, 3, 4, 9))
    time = rows["TIME"]
    good = np.zeros(len(rows), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            good |= (rows["CCDNR"] == ccd) & (time >= start) & (time <= stop)
    good &= ((time >= START + 500) & (time <= START + 3000)) | ((time >= START + 6000) & (time <= START + 9000))
    good &= (time >= START + 1000) & (time <= START + 8000)
    phase = ((time - (51972.5 - 50814.0) * 86400.0) / 123.4) % 1
    good &= (phase >= 0.9) | (phase < 0.2) | ((phase >= 0.5) & (phase < 0.6))
    chosen &= good
    assert 100 < chosen.sum() < 10_000
    assert np.array_equal(raw_rows(product), raw_rows(tmp_path / "pn.fits")[chosen])
    counted = dict(line.split(",") for line in (tmp_path / "job/results/counts.csv").read_text().split()[-2:])
    assert int(counted["phase"]) == chosen.sum()


def test_good_times_and_on_times_follow_what_is_left(tmp_path: Path) -> None:
    """Chosen are CCDs 2 and 5, 3000 s of each, and phases 0.25 to 0.75 of 100 s: half of them."""
    write(tmp_path / "pn.fits", Epic(rows=20_000, cards=(("ONTIME", 8990.0), ("LIVETIME", 8090.0))))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", ccd="2,5", time=f"{START}:{START + 3000}", period=100.0,
                       phases="0.25:0.75")  # fmt: skip
    with fits.open(product) as hdus:
        tables = {int(hdu.name[-2:]): hdu.data for hdu in hdus if hdu.name.startswith("STDGTI")}
        assert set(tables) == {2, 5}
        for table in tables.values():
            assert len(table) == 30
            assert np.allclose(table["STOP"] - table["START"], 50.0, atol=1e-6)
            assert np.allclose((table["START"] / 100.0) % 1, 0.25, atol=1e-6)
        header = hdus["EVENTS"].header
        for ccd in range(1, 13):
            assert header[f"ONTIME{ccd:02d}"] == pytest.approx(1500.0 if ccd in (2, 5) else 0.0, abs=1e-4)
        before = sum(stop - start for ccd in (2, 5) for start, stop in gtis(ccd))
        assert header["ONTIME"] == pytest.approx(8990.0 * 3000.0 / before)
        assert header["LIVETIME"] == pytest.approx(8090.0 * 3000.0 / before)
        subspace = {header[f"DSTYP{n}"]: header[f"DSVAL{n}"] for n in range(1, 10) if f"DSTYP{n}" in header}
        assert (subspace["CCDNR"], subspace["PHASE"]) == ("2", "0.25:0.75")
        assert (header["PHPERIOD"], header["PHEPOCH"]) == (100.0, 0.0)
        assert set(np.unique(hdus["EVENTS"].data["CCDNR"])) == {2, 5}


def test_phases_of_a_pulsar_are_too_many_for_tables_and_this_is_told(tmp_path: Path) -> None:
    rows = write(tmp_path / "pn.fits", Epic(rows=20_000, cards=(("ONTIME", 8990.0),)))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", period=0.0331, phases="0.5:0.75", pattern="all",
                       flag="none")  # fmt: skip
    chosen = (rows["TIME"] / 0.0331) % 1
    with fits.open(product) as hdus:
        assert len(hdus["STDGTI01"].data) == 2
        assert hdus["EVENTS"].header["ONTIME"] == pytest.approx(8990.0 / 4)
        assert hdus["EVENTS"].header["ONTIME03"] == pytest.approx(sum(b - a for a, b in gtis(3)) / 4)
        kept = hdus["EVENTS"].data["TIME"]
        assert 0 < len(kept) < ((chosen >= 0.5) & (chosen < 0.75)).sum() + 1
        assert np.all((kept / 0.0331) % 1 >= 0.5)
    again = log(tmp_path / "again", tmp_path / "pn.fits", period=0.0331, phases="0.5:0.75")
    assert "Note: phases: their intervals are too many to be written" in again
    assert "Phase 0 of the period of 0.0331 s is at time 0 of the event list (TT, TIMEREF LOCAL)" in again
    assert "not those at the barycentre" in again


def test_a_range_in_utc_is_that_of_the_same_moments_in_seconds(tmp_path: Path) -> None:
    """2001-03-03T09:45:35.816 UTC is 32 + 32.184 s before the TT of the same digits, which is START."""
    write(tmp_path / "pn.fits", Epic(rows=20_000))
    texts = "2001-03-03T10:00:00/2001-03-03T10:30:00Z", "2001-03-03T11:00:00/2001-03-03T11:10:00.5"
    dates = filtered(tmp_path / "dates", tmp_path / "pn.fits", time=", ".join(texts))
    ranges = [(36_000.0, 37_800.0), (39_600.0, 40_200.5)]
    day = START - 9 * 3600 - 46 * 60 - 40 + 64.184
    text = ",".join(f"{day + low:.3f}:{day + high:.3f}" for low, high in ranges)
    seconds = filtered(tmp_path / "seconds", tmp_path / "pn.fits", time=text)
    assert np.array_equal(raw_rows(dates), raw_rows(seconds))
    assert len(raw_rows(dates)) > 300
    with fits.open(dates) as hdus:
        assert hdus["STDGTI01"].data["START"][0] == pytest.approx(day + 36_000.0, abs=1e-4)


def test_a_selection_of_a_selection_holds_both(tmp_path: Path) -> None:
    """The second region has a table of its own beside the first, and both are in the data subspace."""
    rows = write(tmp_path / "pn.fits", Epic(rows=100_000))
    first = filtered(tmp_path / "1", tmp_path / "pn.fits", region="physical; circle(25000,25000,4000)", energy="0.3 8")
    second = filtered(tmp_path / "2", first, region="physical; circle(27000,25000,4000)", energy="0.5 10")
    chosen = (
        (np.hypot(rows["X"] - 25000.0, rows["Y"] - 25000.0) <= 4000)
        & (np.hypot(rows["X"] - 27000.0, rows["Y"] - 25000.0) <= 4000)
        & (rows["PI"] >= 500)
        & (rows["PI"] <= 8000)
    )
    chosen &= (rows["PATTERN"] <= 4) & ((rows["FLAG"] & 0xCFA0000) == 0)
    good = np.zeros(len(rows), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            good |= (rows["CCDNR"] == ccd) & (rows["TIME"] >= start) & (rows["TIME"] <= stop)
    assert np.array_equal(raw_rows(second), raw_rows(tmp_path / "pn.fits")[chosen & good])
    with fits.open(second) as hdus:
        header = hdus["EVENTS"].header
        numbers = [n for n in range(1, 10) if f"DSTYP{n}" in header]
        regions = [header[f"DSREF{n}"] for n in numbers if header[f"DSTYP{n}"] == "POS(X,Y)"]
        assert regions == [":REG00101", ":REG00201"]
        assert [float(hdus[name.strip(":")].data["X"][0]) for name in regions] == [25000.0, 27000.0]
        assert [header[f"DSVAL{n}"] for n in numbers if header[f"DSTYP{n}"] == "PI"] == ["300:8000", "500:10000"]


def test_bad_pixels_and_exposures_stay_for_those_who_need_them(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=5000, bad=((4, 3, 5, 1, 2), (7, 9, 9, 2, 1))))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", time=f"{START}:{START + 1000}")
    with fits.open(tmp_path / "pn.fits") as before, fits.open(product) as after:
        for name in ("BADPIX04", "BADPIX07"):
            assert np.array_equal(before[name].data, after[name].data)
        tables = [hdu for hdu in after if hdu.name.startswith("STDGTI")]
        assert [hdu.name for hdu in tables] == [f"STDGTI{ccd:02d}" for ccd in range(1, 13)], "each once"
        assert all(hdu.data["STOP"].max() <= START + 1000 for hdu in tables)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ccd": "13:15"}, r"ccd: CCD 13, 14, 15 has no good time; the event list has that of CCD 1, 2, "),
        ({"ccd": "4:2"}, r"ccd: 4:2 is no range of CCDs"),
        ({"time": "5:3"}, r"time: a range from 5.000 to 3.000 s is empty"),
        ({"time": "5:30"}, r"time: it leaves no good time: good times from 100000000.000 to 100009990.000 s, asked"),
        ({"time": "yesterday"}, r"time: 'yesterday' is no range of times; write seconds .* or UTC"),
        ({"time": "2001-13-03T10:00:00/2001-13-03T11:00:00"}, r"time: 2001-13-03T10:00:00 is no date"),
        ({"phases": "0.1:0.2"}, r"period: phases are asked without a period"),
        ({"period": 12.0}, r"phases: a period or an epoch is given and no phase"),
        ({"period": 12.0, "phases": "0.4:0.2"}, r"phases: '0.4:0.2' is no range of phases"),
        ({"period": 12.0, "phases": "0 0.5"}, r"phases: '0 0.5' is no range of phases"),
        ({"period": 12.0, "phases": "0.4:1.5"}, r"phases: '0.4:1.5' is no range of phases"),
        ({"period": -1.0, "phases": "0.4:0.5"}, r"period: -1 s is no period"),
        ({"period": 1.0, "phases": "0.4:0.5", "epoch": "2001"}, ""),
        ({"period": 1.0, "phases": "0.4:0.5", "epoch": "x"}, r"epoch: 'x' is no epoch; write an MJD such as 53000.25"),
        ({"energy": "30 40"}, r"energy: XMM-Newton EPIC pn has channels from 0 to 20.48 keV, none from 30 to 40 keV"),
        ({"region": "icrs; circle(1,2"}, r"region: "),
    ],
)
def test_nonsense_ends_in_a_sentence(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    write(tmp_path / "pn.fits", Epic(rows=2000))
    if sentence:
        assert re.match(sentence, refused(tmp_path / "job", tmp_path / "pn.fits", **values))
    else:
        filtered(tmp_path / "job", tmp_path / "pn.fits", **values)


@pytest.mark.parametrize("mode", ["TIMING", "BURST"])
def test_timing_and_burst_mode_are_refused(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "pn.fits", Epic(rows=2000, cards=(("DATAMODE", mode),)))
    sentence = refused(tmp_path / "job", tmp_path / "pn.fits")
    assert re.match(rf"eventlist: .*{mode} mode.*RAWY is time, not a place on the sky", sentence)


def test_slews_and_the_closed_filter_are_told_and_filtered(tmp_path: Path) -> None:
    write(tmp_path / "slew.fits", Epic(rows=2000, cards=(("OBS_MODE", "SLEW"), ("FILTER", "Closed"))))
    said = log(tmp_path / "job", tmp_path / "slew.fits")
    assert "Note: OBS_MODE is SLEW: the telescope moved" in said
    assert "Note: FILTER is Closed: no light of the sky came in" in said
    assert "good time: " in said


def test_events_outside_of_every_good_time_are_an_error_that_says_so(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=2000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        hdus["EVENTS"].data["TIME"] += 1e6
    sentence = refused(tmp_path / "job", tmp_path / "pn.fits", pattern="all", flag="none")
    assert sentence == ("eventlist: all 2000 events that pass the other cuts lie outside the good times of pn.fits: "
                        "its GTI tables are not of its events")  # fmt: skip


def test_a_list_without_good_times_takes_tstart_to_tstop_and_says_so(tmp_path: Path) -> None:
    rows = write(tmp_path / "pn.fits", Epic(rows=2000, stdgti=False))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", pattern="all", flag="none")
    assert len(raw_rows(product)) == len(rows)
    said = log(tmp_path / "again", tmp_path / "pn.fits", pattern="all", flag="none")
    assert "Note: no good time intervals: TSTART to TSTOP is taken as good" in said
    with fits.open(product) as hdus:
        assert (hdus["GTI"].data["START"][0], hdus["GTI"].data["STOP"][0]) == (START, START + LENGTH)


def test_the_good_times_of_another_observation_or_time_system_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=2000))
    other = write_gti(tmp_path / "other.fits", [START + 1e6], [START + 1.1e6])
    assert re.match("gti: it leaves no good time: event list from ", refused(tmp_path / "1", tmp_path / "pn.fits",
                                                                            gti=other))  # fmt: skip
    tdb = write_gti(tmp_path / "tdb.fits", [START], [START + 10], TIMESYS="TDB")
    assert "its times are TDB, those of the event list are TT" in refused(tmp_path / "2", tmp_path / "pn.fits", gti=tdb)
    sun = write_gti(tmp_path / "sun.fits", [START], [START + 10], TIMEREF="SOLARSYSTEM")
    assert "its times are SOLARSYSTEM" in refused(tmp_path / "3", tmp_path / "pn.fits", gti=sun)


def test_a_band_without_events_gives_a_list_without_rows(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=2000))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", energy="20.1 20.4")
    assert fits.getval(product, "NAXIS2", "EVENTS") == 0
    assert "no event is left" in log(tmp_path / "again", tmp_path / "pn.fits", energy="20.1 20.4")
    if shutil.which("fitsverify"):
        subprocess.run(["fitsverify", "-q", str(product)], check=True)


@pytest.mark.parametrize("key", REAL)
def test_products_of_real_lists_are_sound(shared: Path, tmp_path: Path, key: str) -> None:
    if not shutil.which("fitsverify"):
        pytest.skip("no fitsverify: install the Debian package fitsverify")
    product = filtered(tmp_path, shared / "real" / REAL[key], **SELECTIONS[key].parameters)
    before, after = (subprocess.run(["fitsverify", "-q", str(path)], capture_output=True, text=True).stdout
                     for path in (shared / "real" / REAL[key], product))  # fmt: skip
    told = [re.search(r"(\d+) warnings and (\d+) errors", text) for text in (before, after)]
    warned, wrong = (0, 0) if told[1] is None else (int(told[1][1]), int(told[1][2]))
    assert wrong == 0
    assert warned <= (0 if told[0] is None else int(told[0][1])), after


def test_cfitsio_finds_the_same_events_by_what_a_product_says(tmp_path: Path) -> None:
    """Its filters, with the products' region and good times, give the product from its list and from itself."""
    fitscopy = shutil.which("fitscopy")
    if not fitscopy:
        pytest.skip("no fitscopy: install the Debian package libcfitsio-bin")
    write(tmp_path / "pn.fits", Epic(rows=50_000))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", region="physical; circle(25000,25000,4000)", ccd="3",
                       energy="0.2 12", time=f"{START}:{START + 3000}")  # fmt: skip
    plain = (f'regfilter("{product.parent}/regions.reg",X,Y) && gtifilter("{product}[STDGTI03]",TIME) && CCDNR==3 && '
             "(FLAG & 217710592) == 0 && PATTERN <= 4 && PI >= 200 && PI <= 12000")  # fmt: skip
    for number, path in enumerate((product, tmp_path / "pn.fits")):
        out = tmp_path / f"{number}.fits"
        subprocess.run([fitscopy, f"{path}[EVENTS][{plain}]", str(out)], check=True)
        assert np.array_equal(raw_rows(out), raw_rows(product))


@pytest.mark.parametrize("form", ["FITS", "FTZ"])
def test_topcat_s_library_reads_a_product(shared: Path, tmp_path: Path, form: str) -> None:
    stilts = shutil.which("stilts")
    if not stilts:
        pytest.skip("no stilts: install the Debian package stilts")
    path = shared / "real" / REAL["chandra"]
    product = filtered(tmp_path, path, format=form, **SELECTIONS["chandra"].parameters)
    done = subprocess.run([stilts, "tpipe", f"in={product}#1", "ifmt=fits", "omode=stats"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert f"Total Rows: {len(raw_rows(product))}" in done.stdout


READ_BY_STINGRAY = """
import json, sys
from stingray.events import EventList
found = EventList.read(sys.argv[1], fmt="hea")
print(json.dumps([[float(time) for time in found.time], [[float(edge) for edge in pair] for pair in found.gti]]))
"""


@pytest.mark.parametrize("key", ["chandra", "nustar", "ngc300"])
def test_stingray_reads_a_product_with_its_good_times(shared: Path, tmp_path: Path, key: str) -> None:
    """In a process of its own, as its readers leave files open."""
    pytest.importorskip("stingray", reason="stingray is not installed: pip install -e '.[oracles]'")
    product = filtered(tmp_path, shared / "real" / REAL[key], **SELECTIONS[key].parameters)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", READ_BY_STINGRAY, str(product)], capture_output=True,
                          text=True, check=True)  # fmt: skip
    times, good = (np.array(found) for found in json.loads(done.stdout.splitlines()[-1]))
    with opened(product) as hdus:
        assert np.allclose(times, np.sort(events(product)[0]["time"]), atol=1e-5, rtol=0)
        edges = np.array([hdus["GTI"].data["START"], hdus["GTI"].data["STOP"]]).T
    if key == "chandra":
        assert len(good) == 1, "that of the CCD"
    assert np.allclose(good, edges, atol=1e-5, rtol=0)


def test_stingray_takes_the_good_times_of_the_ccd_of_a_pn_list(tmp_path: Path) -> None:
    """CCD 4 alone: its table has the name that stingray looks for."""
    pytest.importorskip("stingray", reason="stingray is not installed: pip install -e '.[oracles]'")
    write(tmp_path / "pn.fits", Epic(rows=20_000))
    product = filtered(tmp_path / "job", tmp_path / "pn.fits", ccd="4", time=f"{START + 1000}:{START + 6000}")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", READ_BY_STINGRAY, str(product)], capture_output=True,
                          text=True, check=True)  # fmt: skip
    times, good = json.loads(done.stdout.splitlines()[-1])
    assert len(times) == len(raw_rows(product))
    assert np.allclose(good, [[START + 1000, START + 4004], [START + 5000, START + 6000]], atol=1e-5, rtol=0)


def test_a_run_again_is_the_same_bit_for_bit(shared: Path, tmp_path: Path) -> None:
    """What differs are the tags, with the times of the run: without them, and inflated, the bytes are the same."""
    path = shared / "real" / REAL["nustar"]
    for form in ("FITS", "FTZ"):
        one, two = (filtered(tmp_path / f"{form}{n}", path, energy="3 79", format=form) for n in (1, 2))
        with opened(one) as hdus:
            science = [index for index, hdu in enumerate(hdus) if hdu.name != "VO-TAGS"]
        assert [hdu_bytes(one, index) for index in science] == [hdu_bytes(two, index) for index in science]
        if form == "FTZ":
            head = one.read_bytes()[:10]
            assert head[3] & 0x18 == 0, "no name, no comment"
            assert head[4:8] == b"\0\0\0\0", "no time"


def test_a_list_larger_than_the_memory_is_filtered(tmp_path: Path) -> None:
    """180 MB of rows where the process may take 100 MB beyond what its libraries take before the list is opened."""
    piece = write(tmp_path / "small.fits", Epic(rows=200_000)).tobytes()
    whole = tmp_path / "large.fits"
    with fits.open(tmp_path / "small.fits") as hdus:
        info = hdus["EVENTS"].fileinfo()
        header = hdus["EVENTS"].header
        header["NAXIS2"] = 4_000_000
        tail = info["datLoc"] + info["datSpan"]
    small = (tmp_path / "small.fits").read_bytes()
    with whole.open("wb") as file:
        file.write(small[: info["hdrLoc"]] + header.tostring().encode("ascii"))
        for _ in range(20):
            file.write(piece)
        file.write(b"\0" * (-20 * len(piece) % 2880) + small[tail:])
    code = f"""
import resource, runpy, sys
import reduction.task, reduction.events.cuts, reduction.regions, isal.igzip
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 100_000_000,) * 2)
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    folder = prepare(tmp_path / "job", {"definition": "events"}, eventlist=whole, pattern="all", flag="none")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    kept = int(re.findall(r"good time: (\d+) events left", done.stdout)[0])
    assert fits.getval(folder / "results/events.fits", "NAXIS2", "EVENTS") == kept > 3_000_000
