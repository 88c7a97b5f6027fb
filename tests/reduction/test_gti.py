"""Good time intervals: set arithmetic against brute force, tables of real and odd files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from provenance import obscore
from reduction.errors import ReductionError
from reduction.events import gti
from reduction.events.eventlist import open_eventlist
from reduction.events.fitsfile import scan
from reduction.events.gti import GTI, Clock
from synthetic import START, Epic, gti_table, write, write_gti

CLOCK = Clock(50814.0, 0.0, 0.0, "TT")

intervals = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8).map(
    lambda pairs: GTI.of([a for a, _ in pairs], [a + length for a, length in pairs])
)
MIDDLES = np.arange(80) + 0.5


@given(intervals, intervals)
def test_union_and_intersection_are_those_of_every_second(one: GTI, other: GTI) -> None:
    a, b = one.contains(MIDDLES), other.contains(MIDDLES)
    assert np.array_equal((one | other).contains(MIDDLES), a | b)
    assert np.array_equal((one & other).contains(MIDDLES), a & b)
    assert (one | other).total == np.count_nonzero(a | b)
    assert (one & other).total == np.count_nonzero(a & b)
    assert one & other == other & one
    assert one | one == one & one == one


@given(intervals)
def test_intervals_are_sorted_and_apart(one: GTI) -> None:
    assert (one.stop > one.start).all()
    assert (one.start[1:] > one.stop[:-1]).all()


@given(intervals, st.integers(-1, 80), st.integers(0, 20))
def test_all_time_between_two_moments_is_good_where_each_half_second_of_it_is(good: GTI, first: int, more: int) -> None:
    assert good.holds(first, first + more) == bool(good.contains(np.arange(first, first + more + 0.5, 0.5)).all())
    assert not good.holds(np.nan, first)
    assert not good.holds(first, np.nan)


def test_both_ends_are_good_and_nan_is_not() -> None:
    good = GTI.of([10.0, 30.0], [20.0, 40.0])
    assert good.contains([9.9, 10.0, 20.0, 20.1, 30.0, 40.0, np.nan]).tolist() == [False, True, True, False, True, True,
                                                                                   False]  # fmt: skip
    assert not GTI.of([], []).contains([1.0]).any()


@pytest.mark.parametrize(("start", "stop", "words"), [
    ([10.0, 5.0], [20.0, 4.0], "interval 2 stops .4.000 s. before it starts .5.000 s."),
    ([np.nan], [1.0], "no finite START and STOP"), ([0.0], [np.inf], "no finite"),
    ([1.0, 2.0], [3.0], "2 starts and 1"),
])  # fmt: skip
def test_nonsense_is_refused(start: list[float], stop: list[float], words: str) -> None:
    with pytest.raises(ReductionError, match=words) as caught:
        GTI.of(start, stop)
    assert caught.value.parameter == "gti"


def test_real_coma_file(shared: Path) -> None:
    path = shared / "real/xmm_coma8/PN_gti.fits"
    found = gti.read_file(path, CLOCK)
    header = fits.getheader(path, 1)
    assert set(found) == {None}
    assert found[None].total == pytest.approx(header["ONTIME"])
    assert gti.span(found) == (pytest.approx(header["TSTART"]), pytest.approx(header["TSTOP"]))


def test_the_real_tables_of_pn_are_of_the_ccd_in_their_name(shared: Path) -> None:
    """Their CCDID is the number within a quadrant, 0 to 2, of which pn has four."""
    path = shared / "real/xmm_coma8/PN_rate.fits"
    found = gti.read_tables(scan(path, "gti"), CLOCK)
    assert set(found) == set(range(1, 13))
    with fits.open(path) as hdus:
        for ccd in range(1, 13):
            table = hdus[f"STDGTI{ccd:02d}"]
            assert table.header["CCDID"] == (ccd - 1) % 3
            assert list(zip(found[ccd].start, found[ccd].stop, strict=True)) == [tuple(row) for row in table.data]


def test_real_per_ccd_tables(shared: Path) -> None:
    path = shared / "real/xmm_coma8/PN_image.fits"
    found = gti.read_tables(scan(path, "gti"), CLOCK)
    assert set(found) == set(range(1, 13))
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            assert found[hdu.header["CCDID"]].total == pytest.approx(hdu.header["ONTIME"], rel=1e-9)


def test_ccds_of_the_tables_of_a_raw_list_of_pn(shared: Path) -> None:
    """The STDGTInn that the SAS writes for pn: CCDID is 0 to 2, the number within the quadrant, of four tables each."""
    path = shared / "real/xmm_coma8/PN_rate.fits"
    found = gti.read_tables(scan(path, "gti"), CLOCK)
    assert set(found) == set(range(1, 13))
    with fits.open(path) as hdus:
        for ccd in range(1, 13):
            rows = hdus[f"STDGTI{ccd:02d}"].data
            assert found[ccd].start.tolist() == rows["START"].tolist()
            assert found[ccd].stop.tolist() == rows["STOP"].tolist()


def test_the_quadrant_of_a_table_without_a_number_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "e.fits"
    fits.HDUList([fits.PrimaryHDU(), gti_table("GTI00004", [0], [40], CCDID=2, QUADRANT=3)]).writeto(path)
    assert set(gti.read_tables(scan(path, "gti"), CLOCK)) == {12}


def test_ccd_of_a_table_from_the_data_subspace_where_it_does_not_say(shared: Path, tmp_path: Path) -> None:
    """MOS1 lost CCD 6: GTI00503 is the sixth table, of CCD 7; only the DS keywords tell when CCDID is gone."""
    path = tmp_path / "mos1.fits"
    with fits.open(shared / "real/xmm_ngc7793_ulx4/MOS1background_spectrum.fits") as hdus:
        for hdu in hdus:
            hdu.header.remove("CCDID", ignore_missing=True)
        hdus.writeto(path)
    assert set(gti.read_tables(scan(path, "gti"), CLOCK)) == {1, 2, 3, 4, 5, 7}


def test_two_tables_of_one_ccd_are_intersected(tmp_path: Path) -> None:
    path = tmp_path / "e.fits"
    fits.HDUList([fits.PrimaryHDU(), gti_table("STDGTI04", [0, 50], [40, 90]),
                  gti_table("GTI00303", [30], [60], CCDID=4)]).writeto(path)  # fmt: skip
    assert gti.read_tables(scan(path, "gti"), CLOCK) == {4: GTI.of([30, 50], [40, 60])}


def test_other_reference_day_is_converted(tmp_path: Path) -> None:
    path = write_gti(tmp_path / "g.fits", [0.0], [100.0], MJDREF=50815.0)
    assert gti.read_file(path, CLOCK)[None] == GTI.of([86400.0], [86500.0])
    split = write_gti(tmp_path / "h.fits", [0.0], [100.0], MJDREF=None, MJDREFI=50814, MJDREFF=0.5, TIMEZERO=1.0)
    assert gti.read_file(split, CLOCK)[None] == GTI.of([43201.0], [43301.0])


def test_other_time_system_is_refused(tmp_path: Path) -> None:
    path = write_gti(tmp_path / "g.fits", [0.0], [100.0], TIMESYS="UTC")
    with pytest.raises(ReductionError, match="its times are UTC, those of the event list are TT") as caught:
        gti.read_file(path, CLOCK)
    assert caught.value.parameter == "gti"


def test_files_without_good_times_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.fits"
    fits.HDUList([fits.PrimaryHDU()]).writeto(path)
    with pytest.raises(ReductionError, match="no table of good time intervals"):
        gti.read_file(path, CLOCK)
    columns = [fits.Column("BEGIN", "D", array=[1.0])]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="GTI")]).writeto(path, overwrite=True)
    with pytest.raises(ReductionError, match="no columns START and STOP; it has BEGIN"):
        gti.read_file(path, CLOCK)
    columns = [fits.Column(name, "D", array=[1.0]) for name in ("TIME", "RATE")]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="RATE")]).writeto(path, overwrite=True)
    with pytest.raises(ReductionError, match=r"is looked for, .*; it has PRIMARY, RATE \(TIME, RATE\)"):
        gti.read_file(path, CLOCK)


@pytest.mark.parametrize("name", ["FLAREGTI", "SRC_GTIS", "INTERVALS", "GTI_FILT", "SPAM"])
@pytest.mark.parametrize("kind", [fits.BinTableHDU, fits.TableHDU])
def test_a_users_table_of_any_name_binary_or_ascii(tmp_path: Path, name: str, kind: type) -> None:
    path = tmp_path / "g.fits"
    form = "D25.6" if kind is fits.TableHDU else "D"
    columns = [fits.Column(edge, form, unit="s", array=[value]) for edge, value in (("START", 5.25), ("STOP", 9.0))]
    primary = fits.PrimaryHDU(header=fits.Header({"MJDREF": 50815.0, "TIMESYS": "TT"}))
    fits.HDUList([primary, kind.from_columns(columns, name=name)]).writeto(path)
    found = gti.read_file(path, CLOCK)
    assert found == {None: GTI.of([86405.25], [86409.0])}, "MJDREF of the primary header counts"
    assert ("the good times of g.fits are those of" in " ".join(found.notes)) == (not name.startswith("GTI"))


def test_tables_that_are_passed_over_are_told(tmp_path: Path) -> None:
    path = tmp_path / "g.fits"
    tables = [gti_table("GTI", [0], [10]), gti_table("FLAREGTI", [5], [8]), gti_table("BTI", [1], [2])]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)
    found = gti.read_file(path, CLOCK)
    assert found == {None: GTI.of([0], [10])}
    assert found.notes == ["FLAREGTI of g.fits with START and STOP: not taken for good times"]


@pytest.mark.parametrize("cards", [
    {"MJDREF": 50814.0}, {"MJDREF": "50814.0"}, {"MJDREF": None, "MJDREFI": 50814, "MJDREFF": 0.0},
    {"MJDREF": None, "MJDREFI": "50813", "MJDREFF": "1.0D+00"}, {"MJDREF": None, "JDREF": 2450814.5},
    {"MJDREF": None, "JDREFI": 2450814, "JDREFF": 0.5}, {"MJDREF": None, "DATEREF": "1998-01-01T00:00:00"},
    {"MJDREF": 50813.5, "TIMEZERO": "43200.0"}, {"MJDREF": 50813.5, "TIMEZERI": 43199, "TIMEZERF": 1.0},
    {"MJDREF": 50813.5, "TIMEZERO": 0.5, "TIMEUNIT": "d"}, {"MJDREF": 50813.5, "TIMEOFFS": 43200},
    {"TIMESYS": "TDT"}, {"TIMESYS": "et"}, {"TIMESYS": "TT(TAI)"}, {"TIMEREF": "TOPOCENTER"}, {"TIMEREF": " local "},
    {"TREFPOS": "TOPOCENT"},
])  # fmt: skip
def test_a_clock_however_it_is_written(tmp_path: Path, cards: dict[str, Any]) -> None:
    path = write_gti(tmp_path / "g.fits", [1000.0], [2000.0], **cards)
    found = gti.read_file(path, Clock(50814.0, 0.0, 0.0, "TT", "LOCAL"))
    assert found == {None: GTI.of([1000.0], [2000.0])}
    assert found.notes == []
    assert obscore.from_file(path)["t_min"] == pytest.approx(50814 + 1000 / 86400, abs=1e-9)


@pytest.mark.parametrize(("cards", "words"), [
    ({"TIMEREF": "SOLARSYSTEM"}, "are SOLARSYSTEM .TIMEREF., those of the event list are LOCAL"),
    ({"TREFPOS": "BARYCENTER"}, "are SOLARSYSTEM"), ({"TIMEREF": "GEOCENTRIC"}, "are GEOCENTRIC"),
    ({"TIMESYS": "GMT"}, "are UTC"), ({"TIMESYS": "IAT"}, "are TAI"),
    ({"MJDREF": "long ago"}, "MJDREF is 'long ago'; a number is expected"),
    ({"TIMEZERO": True}, "TIMEZERO is True; a number is expected"),
    ({"MJDREF": None, "DATEREF": "2026"}, "DATEREF is '2026'; a date"),
    ({"TIMEZERO": 1.0, "TIMEUNIT": "furlong"}, "TIMEZERO is in furlong .TIMEUNIT.; s, min, h, d are read"),
])  # fmt: skip
def test_good_times_on_another_clock_are_refused(tmp_path: Path, cards: dict[str, Any], words: str) -> None:
    path = write_gti(tmp_path / "g.fits", [1000.0], [2000.0], **cards)
    with pytest.raises(ReductionError, match=f"table STDGTI of g.fits: .*{words}") as caught:
        gti.read_file(path, Clock(50814.0, 0.0, 0.0, "TT", "LOCAL"))
    assert caught.value.parameter == "gti"


def test_what_a_clock_does_not_say_is_told(tmp_path: Path) -> None:
    """A file of one's own without a word on its times is taken, on a barycentred list with a note."""
    path = write_gti(tmp_path / "g.fits", [1000.0], [2000.0], MJDREF=None)
    found = gti.read_file(path, Clock(50814.0, 0.0, 12.0, "TT", "SOLARSYSTEM"))
    assert found.notes == ["table STDGTI of g.fits has no MJDREF and TIMEREF: taken to be as in the event list"]
    assert found == {None: GTI.of([1000.0], [2000.0])}
    assert gti.read_file(path, Clock(None, 0.0, 0.0, "", "LOCAL")).notes == []
    said = write_gti(tmp_path / "said.fits", [1000.0], [2000.0])
    assert gti.read_file(said, Clock(None, 0.0, 0.0, "", "LOCAL")) == {None: GTI.of([1000.0], [2000.0])}


def test_the_time_of_a_ccd_lies_within_that_of_all() -> None:
    tables = {1: GTI.of([0], [10]), 2: GTI.of([30], [40]), None: GTI.of([5], [20])}
    assert gti.of_ccd(tables, 1) == GTI.of([5], [10])
    assert gti.of_ccd(tables, 2) == GTI.of([], [])
    assert gti.of_ccd(tables, 3) == gti.of_ccd(tables, None) == GTI.of([5], [20])
    assert gti.of_ccd({1: GTI.of([0], [10])}, 2) is None


@pytest.mark.parametrize(("unit", "seconds"), [("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0)])
def test_good_times_are_read_in_their_unit(tmp_path: Path, unit: str, seconds: float) -> None:
    path = write_gti(tmp_path / "g.fits", [1.5, 4.0], [2.5, 4.25])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["TUNIT1"] = hdus[1].header["TUNIT2"] = unit
    found = gti.read_file(path, CLOCK)[None]
    assert found.start.tolist() == [1.5 * seconds, 4 * seconds]
    assert found.stop.tolist() == [2.5 * seconds, 4.25 * seconds]


def test_combining_with_a_users_intervals() -> None:
    mine = {1: GTI.of([0], [10]), 2: GTI.of([5], [20])}
    everywhere = gti.combine(mine, {None: GTI.of([8], [30])})
    assert everywhere == {1: GTI.of([8], [10]), 2: GTI.of([8], [20])}
    only_first = gti.combine(mine, {1: GTI.of([2], [3])})
    assert only_first[1] == GTI.of([2], [3])
    assert only_first[2].total == 0
    assert gti.combine({None: GTI.of([0], [10])}, {None: GTI.of([9], [30])}) == {None: GTI.of([9], [10])}
    assert gti.combine(mine, {}) == mine
    # of a list with one table for all CCDs, each CCD of a user's file has its own time
    by_ccd = gti.combine({None: GTI.of([0], [10])}, {1: GTI.of([2], [3]), 4: GTI.of([8], [12])})
    assert gti.of_ccd(by_ccd, 1) == GTI.of([2], [3])
    assert gti.of_ccd(by_ccd, 4) == GTI.of([8], [10])
    assert gti.of_ccd(by_ccd, 3) is None, "as of a list with a table for each CCD, one that is left out has none"
    assert gti.combine({}, {1: GTI.of([2], [3])}) == {1: GTI.of([2], [3])}
    mixed = gti.combine({1: GTI.of([0], [5]), None: GTI.of([1], [10])}, {1: GTI.of([0], [3]), 2: GTI.of([4], [6])})
    assert mixed == {1: GTI.of([1], [3]), 2: GTI.of([4], [6])}


by_ccd = st.dictionaries(st.sampled_from([None, 1, 2, 3]), intervals, max_size=4)


@given(by_ccd, by_ccd, st.sampled_from([1, 2, 3]))
def test_a_second_is_good_where_both_say_so_of_its_ccd(
    mine: dict[int | None, GTI], user: dict[int | None, GTI], ccd: int
) -> None:
    """Each of the two tells of a CCD by the table of that and by the one for all; without either it has none."""

    def seconds(tables: dict[int | None, GTI]) -> npt.NDArray[np.bool_]:
        named = [tables[key].contains(MIDDLES) for key in (ccd, None) if key in tables]
        return np.logical_and.reduce(named) if named else np.full(MIDDLES.shape, not tables)

    found = gti.of_ccd(gti.combine(mine, user), ccd)
    if mine or user:
        good = found.contains(MIDDLES) if found is not None else np.zeros(MIDDLES.shape, dtype=bool)
        assert np.array_equal(good, seconds(mine) & seconds(user))
    else:
        assert found is None


def test_a_table_is_of_the_ccd_whose_component_refers_to_it(tmp_path: Path) -> None:
    """As the SAS writes it, without CCDID; the other descriptors hold whole numbers too (FLAG 0, PATTERN 4)."""
    write(tmp_path / "pn.fits", Epic(rows=10, stdgti=False))
    cards = {"DSTYP1": "CCDNR", "DSVAL1": "5", "DSTYP2": "FLAG", "DSVAL2": "0", "DSTYP3": "PATTERN", "DSVAL3": "4",
             "DSTYP4": "TIME", "DSVAL4": "TABLE", "DSREF4": ":GTI00001", "2DSVAL1": "9", "2DSREF4": ":GTI00103",
             "12DSVAL1": "12", "12DSREF4": ":GTI00203"}  # fmt: skip
    lengths = {"GTI00001": 100.0, "GTI00103": 200.0, "GTI00203": 300.0}
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        hdus["EVENTS"].header.update(cards)
        for name, length in lengths.items():
            hdus.append(gti_table(name, [START], [START + length]))
    with open_eventlist(tmp_path / "pn.fits") as events:
        assert {ccd: good.total for ccd, good in events.gtis.items()} == {5: 100.0, 9: 200.0, 12: 300.0}
        assert events.gti_names == {5: "GTI00001", 9: "GTI00103", 12: "GTI00203"}
