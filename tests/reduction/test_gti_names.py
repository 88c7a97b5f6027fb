"""Names of good times in products: those that the tables of the event list had, so that others find them as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction.events import dss
from reduction.events.eventlist import open_eventlist
from reduction.events.filtered import writing_events
from reduction.events.gathering import Target, gather
from reduction.events.goodtime import GTI
from reduction.events.selection import choose
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import extract
from synthetic import Epic, gti_table, write

REAL = {"chandra_m82/acis_10027_events.fits": "0.5 7", "nustar_b1937/dummy_evt.evt": "3 7",
        "nicer/ngc300nicer_bary.evt": "0.3 7"}  # fmt: skip


def products(path: Path, folder: Path, energy: str, user: dict[int | None, GTI] | None = None) -> list[Path]:
    """The filtered list and the spectrum of all events."""
    with open_eventlist(path) as events:
        selection = choose(events, energy, user_gti=user)
        subspace = dss.describe(events, selection, None)
        with writing_events(folder / "events.fits", events, subspace, selection.gtis) as sink:
            gather(events, selection, [Target(None, sink)])
        (spectrum,) = extract(events, selection, {"source_region": None}).values()
        write_spectrum(folder / "spectrum.fits", spectrum, events, subspace)
    return [folder / "events.fits", folder / "spectrum.fits"]


def tables(path: Path) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """The tables of good times of a file, by name and version, as astropy finds them."""
    with fits.open(path) as hdus:
        return {(hdu.name, hdu.ver): list(zip(hdu.data["START"].tolist(), hdu.data["STOP"].tolist(), strict=True))
                for hdu in hdus[1:] if hdu.columns.names[:2] == ["START", "STOP"]}  # fmt: skip


def references(path: Path) -> set[str]:
    """What the data subspace of a product refers to."""
    return {value for key, value in fits.getheader(path, 1).items() if "DSREF" in key}


@pytest.mark.parametrize("name", REAL)
def test_good_times_keep_name_version_and_intervals(shared: Path, tmp_path: Path, name: str) -> None:
    theirs = tables(shared / "real" / name)
    assert {key[0] for key in theirs} == {"GTI"}
    for path in products(shared / "real" / name, tmp_path, REAL[name]):
        assert tables(path) == theirs
        # as CIAO writes it: the name and the version of the table, of one that has a version
        assert references(path) == ({":GTI7"} if "chandra" in name else {":GTI"})


def acis(path: Path, names: dict[int, str]) -> Path:
    """Write a list of some CCDs whose tables of good times are called so, each of another length."""
    header = fits.Header({"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "TIMESYS": "TT", "MJDREF": 50814.0})
    ccds = np.repeat(list(names), 50)
    columns = [fits.Column("time", "D", array=np.tile(np.arange(50.0) + 0.5, len(names))),
               fits.Column("energy", "E", array=np.full(ccds.size, 2000.0)),
               fits.Column("pi", "J", array=np.full(ccds.size, 137)),
               fits.Column("ccd_id", "I", array=ccds)]  # fmt: skip
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")]
    hdus += [gti_table(name, [0.0], [10.0 + ccd], CCD_ID=ccd, EXTVER=ccd) for ccd, name in names.items()]
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize(("names", "referred"), [
    ({2: "GTI", 3: "GTI", 7: "GTI"}, {":GTI2", ":GTI3", ":GTI7"}), ({7: "STDGTI07"}, {":STDGTI07"}),
    ({6: "GTI6", 7: "GTI7"}, {":GTI6", ":GTI7"}), ({6: "GTI7", 7: "GTI"}, {":GTI6", ":GTI7"}),
    ({7: "GTI_FILT"}, {":GTI_FILT7"}),
])  # fmt: skip
def test_tables_of_several_ccds_are_told_apart(tmp_path: Path, names: dict[int, str], referred: set[str]) -> None:
    path = acis(tmp_path / "acis.fits", names)
    for product in products(path, tmp_path, "0.5 7"):
        found = tables(product)
        assert references(product) == referred
        assert {name if name[-1].isdigit() else f"{name}{version}" for name, version in found} == {
            reference.lstrip(":") for reference in referred
        }
        assert sorted(found.values()) == [[(0.0, 10.0 + ccd)] for ccd in names]
    with open_eventlist(tmp_path / "events.fits") as again:
        assert {ccd: good.total for ccd, good in again.gtis.items()} == {ccd: 10.0 + ccd for ccd in names}
        assert again.nrows == sum(10 + ccd for ccd in names)


def test_a_name_that_is_taken_is_not_taken_twice(tmp_path: Path) -> None:
    """GTI00101 is what the good times of the second CCD are called, whatever the list calls those of all CCDs."""
    write(tmp_path / "pn.fits", Epic(rows=1000))
    with fits.open(tmp_path / "pn.fits", mode="append") as hdus:
        hdus.append(gti_table("GTI00101", [1.0e8], [1.0e8 + 3000]))
    for product in products(tmp_path / "pn.fits", tmp_path, "0.2 12"):
        with fits.open(product) as hdus:
            keys = [(hdu.name, hdu.ver) for hdu in hdus]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("name", "kept"), [("SRC_GTIS", "SRC_GTIS"), ("FLAREGTI", "FLAREGTI"), ("SPECTRUM", "GTI")])
def test_good_times_of_another_name_keep_it_unless_it_misleads(tmp_path: Path, name: str, kept: str) -> None:
    """A table that only HDUCLAS1 makes one of good times does not go on as SPECTRUM beside the spectrum."""
    write(tmp_path / "pn.fits", Epic(rows=1000, stdgti=False))
    with fits.open(tmp_path / "pn.fits", mode="append") as hdus:
        hdus.append(gti_table(name, [1.0e8], [1.0e8 + 3000], HDUCLAS1="GTI"))
    for product in products(tmp_path / "pn.fits", tmp_path, "0.2 12"):
        assert tables(product) == {(kept, 1): [(1.0e8, 1.0e8 + 3000)]}


def test_good_times_of_a_user_by_ccd_are_called_by_the_ccd(shared: Path, tmp_path: Path) -> None:
    path = shared / "real/chandra_m82/acis_10027_events.fits"
    with open_eventlist(path) as events:
        (good,) = events.gtis.values()
    middle = (good.start[0] + good.stop[-1]) / 2
    for product in products(path, tmp_path, "0.5 7", {7: GTI.of([middle], [good.stop[-1]])}):
        assert tables(product) == {("GTI", 7): [(middle, good.stop[-1])]}
