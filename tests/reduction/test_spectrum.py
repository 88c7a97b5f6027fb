"""Spectra: counts against independent ones, the OGIP file beside those of the SAS, filtered event lists, odd input."""

from __future__ import annotations

import doctest
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
import regions as astropy_regions
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

import reduction
from independent import in_tables
from reduction import regions
from reduction.errors import ReductionError
from reduction.events import dss, gti
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.filtered import writing_events
from reduction.events.selection import Selection, choose, parse_energy
from reduction.simulate import simulate, small, truth_path
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import Spectrum, extract
from synthetic import LENGTH, START, Epic, gtis, write, write_gti

CHANDRA, NUSTAR = "real/chandra_m82/acis_10027_events.fits", "real/nustar_b1937/dummy_evt.evt"


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pn") / "pn.fits"
    write(path, Epic(rows=40000, nan_times=400, bad=((4, 3, 3, 1, 2),)))
    return path


def spectrum_of(events: EventList, selection: Selection, text: str | None) -> Spectrum:
    region = regions.parse(text, parameter="source_region").on(events.wcs) if text else None
    return extract(events, selection, {"source_region": region})["source_region"]


def products(path: Path, folder: Path, text: str | None, **words: Any) -> tuple[Spectrum, Path, Path]:
    """Spectrum, its file and the filtered event list of one region."""
    with open_eventlist(path) as events:
        selection = choose(events, **{"energy": "0.2 12.0", **words})
        region = regions.parse(text, parameter="source_region").on(events.wcs) if text else None
        subspace = dss.describe(events, selection, region)
        with writing_events(folder / "events.fits", events, subspace, selection.gtis) as sink:
            spectrum = extract(events, selection, {"source_region": region}, {"source_region": sink})["source_region"]
        grouped = spectrum.grouped_by_counts(20, selection.energy_kev)
        write_spectrum(folder / "spectrum.fits", grouped, events, subspace, background_file="background.fits")
    return grouped, folder / "spectrum.fits", folder / "events.fits"


def verified(path: Path) -> None:
    """Pass fitsverify without errors or warnings."""
    if shutil.which("fitsverify") is None:
        pytest.skip("no fitsverify: install the Debian package ftools-fv or fitsverify")
    result = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, check=False)
    messages = [line for line in result.stdout.splitlines() if line.startswith(("***", "      "))]
    assert "0 warning(s) and 0 error(s)" in result.stdout, "\n".join(messages)[:3000]


def independent(path: Path, centre: SkyCoord, radius_arcsec: float) -> tuple[fits.FITS_rec, np.ndarray]:
    """Rows of a list and which lie in a circle, by astropy's pixel list projection and its regions package."""
    with warnings.catch_warnings(), fits.open(path) as hdus:
        warnings.simplefilter("ignore")
        hdu = hdus["EVENTS"]
        data, header = hdu.data.copy(), hdu.header.copy()
        names = [name.upper() for name in hdu.columns.names]
        wcs = WCS(header, keysel=["pixel"], colsel=[names.index("X") + 1, names.index("Y") + 1])
    circle = astropy_regions.CircleSkyRegion(centre, radius_arcsec * u.arcsec).to_pixel(wcs)
    # astropy counts pixels from 0, the columns count as FITS does, from 1
    x, y = (np.asarray(data[name], dtype=float) - 1 for name in "XY")
    return data, circle.contains(astropy_regions.PixCoord(x, y))


def test_chandra_counts_equal_an_independent_count(shared: Path) -> None:
    centre = SkyCoord(148.96, 69.68, unit="deg", frame="icrs")
    data, inside = independent(shared / CHANDRA, centre, 20)
    expected = inside & (data["energy"] >= 500) & (data["energy"] <= 8000) & np.isin(data["grade"], [0, 2, 3, 4, 6])
    with fits.open(shared / CHANDRA) as hdus:
        start, stop = hdus["GTI"].data["START"][0], hdus["GTI"].data["STOP"][0]
        header = hdus["EVENTS"].header
    expected &= (data["time"] >= start) & (data["time"] <= stop)
    with open_eventlist(shared / CHANDRA) as events:
        spectrum = spectrum_of(events, choose(events, "0.5 8"), 'icrs; circle(148.96,69.68,20")')
    assert expected.sum() > 100
    assert spectrum.total == spectrum.selected == expected.sum()
    assert np.array_equal(spectrum.counts, np.histogram(data["pi"][expected], np.arange(0.5, 1025))[0])
    assert spectrum.exposure_s == pytest.approx((stop - start) * header["DTCOR"])
    assert spectrum.backscal == pytest.approx(np.pi * (20 / 3600 / 1.3666666666667e-4) ** 2, rel=1e-3)


def test_nustar_counts_equal_an_independent_count(shared: Path) -> None:
    centre = SkyCoord(294.9107, 21.58308, unit="deg", frame="fk5")
    data, inside = independent(shared / NUSTAR, centre, 30)
    energy = data["PI"] * 0.04 + 1.6
    expected = inside & (energy >= 3) & (energy <= 79) & (data["GRADE"] <= 26)
    with open_eventlist(shared / NUSTAR) as events:
        spectrum = spectrum_of(events, choose(events, [3.0, 79.0]), 'fk5; circle(294.9107,21.58308,30")')
        assert spectrum.exposure_s == pytest.approx(events.header["EXPOSURE"], rel=1e-9)
    assert expected.sum() > 100
    assert spectrum.total == expected.sum()
    assert np.array_equal(spectrum.counts, np.histogram(data["PI"][expected], np.arange(-0.5, 4096))[0])


@pytest.mark.parametrize("name", ["ngc300nicer_bary.evt", "J0218_nicer_2070030405_cleanfilt_cut_bary.evt"])
def test_nicer_counts_without_a_sky(shared: Path, name: str) -> None:
    path = shared / "real/nicer" / name
    with open_eventlist(path) as events:
        spectrum = spectrum_of(events, choose(events, "0.3 10"), None)
        data = fits.getdata(path, "EVENTS")
        chosen = (data["PI"] >= 30) & (data["PI"] <= 1000) & in_tables(data["TIME"], path, "GTI")
        assert np.array_equal(spectrum.counts, np.bincount(data["PI"][chosen], minlength=len(spectrum.counts)))
        assert spectrum.total == np.count_nonzero(chosen) > 1000
        assert spectrum.backscal == 1.0
        with pytest.raises(ReductionError, match="no sky"):
            spectrum_of(events, choose(events, "0.3 10"), 'icrs; circle(13.77,-37.69,30")')
        with pytest.raises(ReductionError, match="has no sky columns; leave the region empty") as caught:
            spectrum_of(events, choose(events, "0.3 10"), "physical; circle(1,1,30)")
        assert caught.value.parameter == "source_region"


def epic_mask(data: np.ndarray, patterns: Any, flag: int, user: tuple[float, float] | None = None) -> np.ndarray:
    """Which rows of the synthetic list a selection takes, row by row rules in plain numpy."""
    good = np.zeros(len(data), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            low, high = (max(start, user[0]), min(stop, user[1])) if user else (start, stop)
            good |= (data["CCDNR"] == ccd) & (data["TIME"] >= low) & (data["TIME"] <= high)
    good &= (data["PI"] >= 200) & (data["PI"] <= 12000) & ((data["FLAG"] & flag) == 0)
    return good & np.isin(data["PATTERN"], patterns)


@pytest.mark.parametrize(("words", "patterns", "flag"), [
    ({}, range(5), 0xCFA0000), ({"pattern": "0"}, [0], 0xCFA0000), ({"flag": "strict"}, range(5), 0x7FFFFFFF),
    ({"pattern": "all", "flag": "none"}, range(14), 0), ({"pattern": "0,2:4,12"}, [0, 2, 3, 4, 12], 0xCFA0000),
])  # fmt: skip
def test_pn_counts_of_source_and_background(pn: Path, words: Mapping[str, str], patterns: Any, flag: int) -> None:
    data = np.asarray(fits.getdata(pn, "EVENTS"))
    chosen = epic_mask(data, patterns, flag)
    distance = np.hypot(data["X"] - 24000.0, data["Y"] - 27000.0)
    with open_eventlist(pn) as events:
        found = extract(events, choose(events, "0.2 12.0", **words), {
            "source_region": regions.parse("physical; circle(24000,27000,2500)").on(events.wcs),
            "background_region": regions.parse("physical; annulus(24000,27000,2600,5000)").on(events.wcs),
        })  # fmt: skip
    ring = (distance >= 2600) & (distance <= 5000)
    for name, inside in (("source_region", distance <= 2500), ("background_region", ring)):
        wanted = chosen & inside
        assert wanted.sum() > 20
        assert np.array_equal(found[name].counts, np.bincount(data["PI"][wanted] // 5, minlength=4096))
        assert found[name].total == found[name].selected


def test_times_that_are_no_numbers_are_dropped_and_counted(pn: Path) -> None:
    data = np.asarray(fits.getdata(pn, "EVENTS"))
    with open_eventlist(pn) as events:
        spectrum = spectrum_of(events, choose(events, "0.2 12.0", "all", "none"), None)
    in_band = (data["PI"] >= 200) & (data["PI"] <= 12000)
    assert spectrum.no_time == np.count_nonzero(np.isnan(data["TIME"]) & in_band) > 100
    assert spectrum.bad_time + spectrum.no_time + spectrum.selected == in_band.sum()


def test_exposure_on_a_single_ccd_is_its_live_time(pn: Path) -> None:
    live = {ccd: sum(b - a for a, b in gtis(ccd)) * (0.90 + ccd / 1000) for ccd in range(1, 13)}
    with open_eventlist(pn) as events:
        selection = choose(events, "0.2 12.0")
        for ccd in (4, 9):
            rows = np.asarray(fits.getdata(pn, "EVENTS"))
            of_ccd = rows[rows["CCDNR"] == ccd]
            text = f"physical; circle({of_ccd['X'].mean()},{of_ccd['Y'].mean()},800)"
            assert spectrum_of(events, selection, text).exposure_s == pytest.approx(live[ccd], rel=1e-6)


def test_user_gti_narrows_counts_and_exposure(pn: Path, tmp_path: Path) -> None:
    window = (START + 1000.0, START + 6000.0)
    data = np.asarray(fits.getdata(pn, "EVENTS"))
    with open_eventlist(pn) as events:
        user = gti.read_file(write_gti(tmp_path / "g.fits", [window[0]], [window[1]]), events.clock)
        spectrum = spectrum_of(events, choose(events, "0.2 12.0", user_gti=user), None)
    assert spectrum.total == epic_mask(data, range(5), 0xCFA0000, window).sum()
    assert spectrum.live_s[4] == pytest.approx((3004.0 + 1000.0) * 0.904)


def test_gti_that_excludes_everything_is_refused(pn: Path, tmp_path: Path) -> None:
    with open_eventlist(pn) as events:
        user = gti.read_file(write_gti(tmp_path / "g.fits", [5.0], [9.0]), events.clock)
        with pytest.raises(ReductionError) as caught:
            choose(events, "0.2 12.0", user_gti=user)
    assert caught.value.parameter == "gti"
    assert str(caught.value) == (f"it leaves no good time: event list from {START:.3f} to {START + LENGTH - 10:.3f} s, "
                                 "GTI from 5.000 to 9.000 s")  # fmt: skip


def test_channels_are_grouped_whose_middle_lies_in_the_energies(pn: Path) -> None:
    """Channels of pn are 5 eV wide: the middle of channel 40 is at 0.2025 keV, that of 100 at 0.5025 keV."""
    with open_eventlist(pn) as events:
        spectrum = spectrum_of(events, choose(events, "0.2 12.0"), None)
    assert spectrum.channels_of((0.201, 0.504)) == (40, 101)
    assert spectrum.channels_of((0.203, 0.502)) == (41, 100)


def test_no_counts_make_a_valid_spectrum(pn: Path, tmp_path: Path) -> None:
    spectrum, path, filtered = products(pn, tmp_path, "physical; circle(24000,27000,2)")
    assert spectrum.total == 0
    assert spectrum.exposure_s > 0
    assert spectrum.backscal > 0
    assert fits.getval(filtered, "NAXIS2", "EVENTS") == 0
    assert fits.getdata(path, "SPECTRUM")["COUNTS"].sum() == 0
    verified(path)
    verified(filtered)


@pytest.mark.parametrize(("value", "words"), [
    ("0.2", "two numbers in keV"), ("a b", "two numbers"), ("12 0.2", "lower end first"), ("0.2 nan", "lower end"),
    ("0 12", "within 0.01 to 200"), ([0.5, 300.0], "within"), ("200 12000", "within 0.01 to 200 keV"),
])  # fmt: skip
def test_odd_energy_ranges_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ReductionError, match=words) as caught:
        parse_energy(value)
    assert caught.value.parameter == "energy"


def test_choices_that_the_list_cannot_meet(shared: Path) -> None:
    with open_eventlist(shared / CHANDRA) as events:
        with pytest.raises(ReductionError, match="have no flag") as caught:
            choose(events, "0.5 8", flag="strict")
        assert caught.value.parameter == "flag"
        with pytest.raises(ReductionError, match="write default, strict or none"):
            choose(events, "0.5 8", flag="lax")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(small(), folder)
    return folder


@pytest.mark.parametrize("camera", ["EPN", "EMOS1", "EMOS2"])
def test_counts_of_a_simulated_observation_are_the_true_ones(simulated: Path, camera: str) -> None:
    truth = json.loads(truth_path(simulated, small()).read_text())["cameras"][camera]
    with open_eventlist(simulated / truth["file"]) as events:
        selection = choose(events, "0.2 12.0")
        for source in truth["sources"]:
            spectrum = spectrum_of(events, selection, f"physical; circle({source['x']},{source['y']},800)")
            assert spectrum.selected == source["circle"]["usual_200_12000_eV"] > 1000
            assert 0.9 < spectrum.backscal / (np.pi * 800**2) <= 1.0
            assert spectrum.notes == ()
        first = truth["sources"][0]
        brightest = spectrum_of(events, selection, f"physical; circle({first['x']},{first['y']},800)")
        assert brightest.backscal == pytest.approx(np.pi * 800**2, rel=1e-3)
        (ccd,) = brightest.shares
        assert brightest.exposure_s == pytest.approx(truth["ontime_s"][f"{ccd:02d}"] * truth["live_fraction"], rel=1e-6)


def test_a_list_without_rows_makes_an_empty_spectrum(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=0))
    spectrum, path, filtered = products(tmp_path / "pn.fits", tmp_path, "physical; circle(25921,25921,800)")
    assert spectrum.total == 0
    assert spectrum.exposure_s > 0
    verified(path)
    verified(filtered)


# ---- the files


def test_spectrum_has_the_keywords_and_columns_of_the_sas(pn: Path, shared: Path, tmp_path: Path) -> None:
    _, path, _ = products(pn, tmp_path, "physical; circle(25921,25921,3000)")
    verified(path)
    made_by_arfgen = {"XPROC0", "XPROC1", "XPROC2", "XDAL0", "QUALITY"}
    with fits.open(shared / "real/xmm_ngc7793_ulx4/PN_spectrum_grp20.fits") as sas, fits.open(path) as ours:
        assert [hdu.name for hdu in ours][:2] == ["PRIMARY", "SPECTRUM"]
        theirs_only = set(sas[1].header) - set(ours[1].header) - made_by_arfgen
        # the SAS kept two descriptors of FLAG from earlier selections, so that its numbers run further
        assert all(re.fullmatch(r"\d*DS(TYP|UNI|FORM|VAL|REF)\d", key) for key in theirs_only)
        described = [{header[f"DSTYP{n}"] for n in range(1, 9) if f"DSTYP{n}" in header}
                     for header in (sas[1].header, ours[1].header)]  # fmt: skip
        assert described[0] == described[1]
        assert ours[1].columns.names == sas[1].columns.names == ["CHANNEL", "COUNTS", "GROUPING", "QUALITY"]
        assert ours[1].columns.formats == sas[1].columns.formats
        assert np.array_equal(ours[1].data["CHANNEL"], sas[1].data["CHANNEL"])
        same = ("TELESCOP", "INSTRUME", "FILTER", "HDUCLASS", "HDUCLAS1", "HDUCLAS2", "HDUCLAS3", "HDUVERS1",
                "AREASCAL", "CORRSCAL", "POISSERR", "SYS_ERR", "CHANTYPE", "DETCHANS", "SPECDELT", "SPECPIX", "SPECVAL",
                "TLMIN1", "TLMAX1", "DSTYP1", "MTYPE1", "MFORM1", "12DSVAL1", "TUNIT2")  # fmt: skip
        assert {key: ours[1].header[key] for key in same} == {key: sas[1].header[key] for key in same}
        assert ours[1].header["HDUVERS"] == "1.2.1"
        assert ours[1].header["BACKFILE"] == "background.fits"
        assert {ours[1].header[key] for key in ("RESPFILE", "ANCRFILE", "CORRFILE")} == {"NONE"}
        sas_tables = {hdu.name[:3]: hdu for hdu in sas[2:]}
        our_tables = {hdu.name[:3]: hdu for hdu in ours[2:]}
        assert set(sas_tables) == set(our_tables) == {"GTI", "REG"}
        assert sum(hdu.name.startswith("GTI") for hdu in ours) == sum(hdu.name.startswith("GTI") for hdu in sas) == 12
        assert our_tables["REG"].columns.names == sas_tables["REG"].columns.names
        assert set(sas_tables["GTI"].header) <= set(our_tables["GTI"].header)


def test_data_subspace_refers_to_tables_that_are_there(pn: Path, tmp_path: Path) -> None:
    _, path, filtered = products(pn, tmp_path, "physical; circle(25921,25921,3000)\n-circle(25921,25921,500)")
    for product in (path, filtered):
        with fits.open(product) as hdus:
            header = hdus[1].header
            names = {hdu.name for hdu in hdus}
            referred = {str(value).lstrip(":") for key, value in header.items() if "DSREF" in key}
            assert referred <= names
            assert len(referred) == 13
            values = {header[f"DSTYP{n}"]: header[f"DSVAL{n}"] for n in range(1, 7)}
            assert values == {"CCDNR": "1", "FLAG": "b00xx00000x0xxxxxxxxxxxxxxxxx", "PATTERN": ":4", "PI": "200:12000",
                              "TIME": "TABLE", "POS(X,Y)": "TABLE"}  # fmt: skip
            assert "circle(25921,25921,3000)" in header["SLCTEXPR"]
            table = hdus["REG00101"].data
            assert [str(shape).strip() for shape in table["SHAPE"]] == ["CIRCLE", "!CIRCLE"]
            assert table["R"].tolist() == [3000.0, 500.0]


def test_filtered_list_holds_the_selected_rows_byte_by_byte(pn: Path, tmp_path: Path) -> None:
    spectrum, _, filtered = products(pn, tmp_path, "physical; circle(24000,27000,2500)")
    verified(filtered)
    data = fits.getdata(pn, "EVENTS")
    wanted = epic_mask(np.asarray(data), range(5), 0xCFA0000) & (
        np.hypot(data["X"] - 24000.0, data["Y"] - 27000.0) <= 2500
    )
    with fits.open(filtered) as hdus, fits.open(pn) as source:
        assert hdus["EVENTS"].data.tobytes() == data[wanted].tobytes()
        assert len(hdus["EVENTS"].data) == spectrum.selected
        kept = set(source["EVENTS"].header) - set(hdus["EVENTS"].header)
        assert kept == set()
        assert hdus["EVENTS"].header["TCRVL6"] == 150.0
        assert hdus["EVENTS"].header["ONTIME04"] == source["EVENTS"].header["ONTIME04"]


def test_a_filtered_list_gives_the_same_spectrum_again(pn: Path, tmp_path: Path) -> None:
    window = [START + 1000.0], [START + 6000.0]
    with open_eventlist(pn) as events:
        user = gti.read_file(write_gti(tmp_path / "g.fits", *window), events.clock)
    text = "physical; circle(24000,27000,2500)"
    first, _, filtered = products(pn, tmp_path, text, user_gti=user)
    with open_eventlist(filtered) as events:
        again = spectrum_of(events, choose(events, "0.2 12.0"), text)
        assert events.header["ONTIME04"] == pytest.approx(4004.0)
    assert np.array_equal(first.counts, again.counts)
    assert again.live_s == pytest.approx(first.live_s)


@pytest.mark.parametrize("name", [CHANDRA, NUSTAR])
def test_products_of_other_missions_verify(shared: Path, tmp_path: Path, name: str) -> None:
    text = {CHANDRA: 'icrs; circle(148.96,69.68,20")', NUSTAR: 'fk5; circle(294.91,21.583,30")'}[name]
    spectrum, path, filtered = products(shared / name, tmp_path, text, energy="3 7")
    verified(path)
    verified(filtered)
    header = fits.getheader(path, "SPECTRUM")
    assert header["DETCHANS"] == len(spectrum.channel)
    assert (header["TLMIN1"], header["TLMAX1"]) == (spectrum.channel[0], spectrum.channel[-1])
    assert fits.getheader(path, 0)["OBS_ID"] == fits.getheader(shared / name, 0)["OBS_ID"]
    with open_eventlist(filtered) as events:
        assert spectrum_of(events, choose(events, "3 7"), text).total == spectrum.total


def test_long_regions_are_described_by_their_table(pn: Path, tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    corners = ",".join(f"{25921 + 3000 * np.cos(a):.3f},{25921 + 3000 * np.sin(a):.3f}" for a in angles)
    _, path, _ = products(pn, tmp_path, f"physical; polygon({corners})")
    verified(path)
    with fits.open(path) as hdus:
        assert hdus[1].header["SLCTEXPR"].endswith("region(REG00101)")
        assert hdus["REG00101"].data["X"].shape == (1, 300)


def test_a_failed_run_leaves_no_file(pn: Path, tmp_path: Path) -> None:
    with pytest.raises(ReductionError, match="outside the field"):
        products(pn, tmp_path, "physical; circle(-90000,-90000,10)")
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_the_package_is_true() -> None:
    done = doctest.testmod(reduction)
    assert done.failed == 0 and done.attempted > 0
