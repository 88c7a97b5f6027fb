"""Good time intervals: set arithmetic against brute force, tables of real and odd files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from reduction.errors import ReductionError
from reduction.events import gti
from reduction.events.fitsfile import scan
from reduction.events.gti import GTI, Clock
from synthetic import gti_table, write_gti

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


def test_real_per_ccd_tables(shared: Path) -> None:
    path = shared / "real/xmm_coma8/PN_image.fits"
    found = gti.read_tables(scan(path, "gti"), CLOCK)
    assert set(found) == set(range(1, 13))
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            assert found[hdu.header["CCDID"]].total == pytest.approx(hdu.header["ONTIME"], rel=1e-9)


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
    columns = [fits.Column(name, "D", unit="d", array=[1.0]) for name in ("START", "STOP")]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="GTI")]).writeto(path, overwrite=True)
    with pytest.raises(ReductionError, match="is in d; good times are read in s"):
        gti.read_file(path, CLOCK)


def test_combining_with_a_users_intervals() -> None:
    mine = {1: GTI.of([0], [10]), 2: GTI.of([5], [20])}
    everywhere = gti.combine(mine, {None: GTI.of([8], [30])})
    assert everywhere == {1: GTI.of([8], [10]), 2: GTI.of([8], [20])}
    only_first = gti.combine(mine, {1: GTI.of([2], [3])})
    assert only_first[1] == GTI.of([2], [3])
    assert only_first[2].total == 0
    assert gti.combine({None: GTI.of([0], [10])}, {None: GTI.of([9], [30])}) == {None: GTI.of([9], [10])}
    assert gti.combine(mine, {}) == mine
