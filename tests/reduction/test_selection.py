"""Selections: every row once, and cells without a value (TNULLn) never; the oracle is a mask in plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from reduction.events.gathering import Target, gather
from reduction.events.goodtime import GTI
from reduction.events.selection import choose, in_region
from reduction.spectra.spectrum import extract
from synthetic import LENGTH, START, Epic, gti_table, gtis, write

CIRCLE = "physical; circle(25921,25921,6000)"


def with_null(path: Path, column: str, null: int, every: int) -> np.ndarray:
    """Write a list in which each such row has no value in a column; return its rows."""
    write(path, Epic(rows=20_000))
    with fits.open(path, mode="update") as hdus:
        table = hdus["EVENTS"]
        table.data[column][::every] = null
        number = table.columns.names.index(column) + 1
        table.header[f"TNULL{number}"] = null
    return np.asarray(fits.getdata(path, "EVENTS"))


def in_good_time(rows: np.ndarray) -> np.ndarray:
    good = np.zeros(len(rows), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            good |= (rows["CCDNR"] == ccd) & (rows["TIME"] >= start) & (rows["TIME"] <= stop)
    return good


def test_the_rows_of_all_chunks_are_counted(tmp_path: Path) -> None:
    """A list of 13.5 MB is read in two pieces."""
    rows = write(tmp_path / "pn.fits", Epic(rows=300_000))
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000)
    with open_eventlist(tmp_path / "pn.fits") as events:
        assert sum(1 for _ in events.chunks()) > 1
        (tally,) = gather(events, choose(events, "0.2 12.0", "all", "none"), [Target(None)])
    assert tally.selected == np.count_nonzero(wanted)
    assert np.array_equal(tally.counts, np.bincount(rows["PI"][wanted] // 5, minlength=4096))
    ccds, counts = np.unique(rows["CCDNR"][wanted], return_counts=True)
    assert tally.per_ccd == dict(zip(ccds.tolist(), counts.tolist(), strict=True))
    in_band = np.count_nonzero((rows["PI"] >= 200) & (rows["PI"] <= 12000))
    assert (tally.bad_time, tally.no_time, tally.off_channels) == (in_band - tally.selected, 0, 0)
    assert (tally.first_s, tally.last_s) == (rows["TIME"][wanted].min(), rows["TIME"][wanted].max())


def test_events_beyond_the_last_channel_are_selected_and_counted_apart(tmp_path: Path) -> None:
    """The channels of MOS end at 12 keV, its events do not."""
    rows = write(tmp_path / "mos.fits", Epic(cards=(("INSTRUME", "EMOS1"),)))
    rows["PI"][::10] = 13_000
    with fits.open(tmp_path / "mos.fits", mode="update") as hdus:
        hdus["EVENTS"].data["PI"] = rows["PI"]
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 15_000)
    with open_eventlist(tmp_path / "mos.fits") as events:
        (tally,) = gather(events, choose(events, "0.2 15", "all", "none"), [Target(None)])
    assert tally.selected == np.count_nonzero(wanted)
    assert tally.off_channels == np.count_nonzero(wanted & (rows["PI"] >= 12_000)) > 1000
    assert tally.counts.size == 2400
    assert tally.counts.sum() == tally.selected - tally.off_channels


def test_both_ends_of_an_energy_range_are_in_it(tmp_path: Path) -> None:
    """Divided by 0.001 keV, the lower end comes out above its whole number, the upper end below."""
    assert 4.001 / 0.001 > 4001
    assert 5.004 / 0.001 < 5004
    write(tmp_path / "pn.fits", Epic(rows=10))
    with open_eventlist(tmp_path / "pn.fits") as events:
        assert choose(events, [4.001, 5.004]).stored_energies(events) == (4001.0, 5004.0)


def test_energies_between_whole_ones_take_only_what_lies_within(tmp_path: Path) -> None:
    rows = write(tmp_path / "pn.fits", Epic(rows=20_000))
    wanted = in_good_time(rows) & (rows["PI"] / 1000 >= 0.8005) & (rows["PI"] / 1000 <= 0.9995)
    with open_eventlist(tmp_path / "pn.fits") as events:
        (tally,) = gather(events, choose(events, "0.8005 0.9995", "all", "none"), [Target(None)])
    assert tally.selected == np.count_nonzero(wanted) > 100
    assert np.count_nonzero(in_good_time(rows) & np.isin(rows["PI"], (800, 1000))) > 0


def test_energies_of_a_column_of_floats_have_all_their_digits(shared: Path) -> None:
    """Each limit is the energy of an event, moved by a hundredth of an eV so that just that event falls out."""
    path = shared / "real/chandra_m82/acis_10027_events.fits"
    energies_ev = np.sort(fits.getdata(path, "EVENTS")["energy"].astype(float))
    low, high = energies_ev[500] + 0.01, energies_ev[-500] - 0.01
    with open_eventlist(path) as events:
        whole, part = (gather(events, choose(events, band, "all"), [Target(None)])[0].selected
                       for band in ([0.01, 100.0], [low / 1000, high / 1000]))  # fmt: skip
    assert whole - part == np.count_nonzero((energies_ev >= 10) & (energies_ev < low)) + np.count_nonzero(
        (energies_ev > high) & (energies_ev <= 1e5)
    )


@pytest.mark.parametrize("flag", [1, 2, 0x10, 2**30, -(2**31), -1])
def test_strict_flags_let_no_bit_pass(tmp_path: Path, flag: int) -> None:
    """The highest bit makes FLAG negative."""
    rows = write(tmp_path / "pn.fits", Epic(rows=2000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        hdus["EVENTS"].data["FLAG"][::5] = rows["FLAG"][::5] = flag
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000) & (rows["FLAG"] == 0)
    with open_eventlist(tmp_path / "pn.fits") as events:
        (tally,) = gather(events, choose(events, "0.2 12.0", "all", "strict"), [Target(None)])
    assert tally.selected == np.count_nonzero(wanted) > 100


def test_all_events_beside_a_region_are_all_events(tmp_path: Path) -> None:
    """The box around the region must not bound a target without one."""
    rows = write(tmp_path / "pn.fits", Epic())
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000)
    inside = np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) <= 6000
    with open_eventlist(tmp_path / "pn.fits") as events:
        targets = [Target(None), Target(regions.parse(CIRCLE).on(events.wcs))]
        whole, part = gather(events, choose(events, "0.2 12.0", "all", "none"), targets)
    assert whole.selected == np.count_nonzero(wanted)
    assert part.selected == np.count_nonzero(wanted & inside) < whole.selected


@pytest.mark.parametrize(
    ("column", "null"),
    [("PI", 1000), ("X", 25921), ("Y", 25000), ("PATTERN", 2), ("PATTERN", 0), ("CCDNR", 4)],
)
def test_a_row_without_a_value_is_in_no_selection(tmp_path: Path, column: str, null: int) -> None:
    """The null lies among the values that are asked for, so that only its card tells it from a value."""
    rows = with_null(tmp_path / "pn.fits", column, null, 3)
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000) & (rows["PATTERN"] <= 4)
    wanted &= np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) <= 6000
    nulls = np.count_nonzero(wanted & (rows[column] == null))
    wanted &= rows[column] != null
    assert nulls > 100
    assert np.count_nonzero(wanted) > 100
    with open_eventlist(tmp_path / "pn.fits") as events:
        region = regions.parse(CIRCLE).on(events.wcs)
        spectrum = extract(events, choose(events, "0.2 12.0", flag="none"), {"source_region": region})["source_region"]
    assert spectrum.selected == np.count_nonzero(wanted)
    assert np.array_equal(spectrum.counts, np.bincount(rows["PI"][wanted] // 5, minlength=4096))


class Outside:
    """All but a disc, written so that what has no place lies in it: whoever asks must leave that out."""

    bounds = (-1e9, 1e9, -1e9, 1e9)

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        distance = np.hypot(np.asarray(x) - 25921.0, np.asarray(y) - 25921.0)
        return np.asarray(~(distance <= 6000))


@pytest.mark.parametrize(("column", "null"), [("X", 25921), ("Y", 25000)])
def test_a_row_without_a_position_is_not_outside_a_circle_either(tmp_path: Path, column: str, null: int) -> None:
    rows = with_null(tmp_path / "pn.fits", column, null, 3)
    outside = (rows[column] != null) & (np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) > 6000)
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000) & outside
    with open_eventlist(tmp_path / "pn.fits") as events:
        found = np.concatenate([in_region(events, Outside(), chunk) for chunk in events.chunks()])
        assert np.array_equal(found, outside)
        (tally,) = gather(events, choose(events, "0.2 12.0", "all", "none"), [Target(Outside())])
    assert tally.selected == np.count_nonzero(wanted) > 100
    assert np.array_equal(tally.counts, np.bincount(rows["PI"][wanted] // 5, minlength=4096))


@pytest.mark.parametrize("has_ccds", [True, False])
def test_good_times_by_ccd_for_a_list_with_one_table_for_all(tmp_path: Path, has_ccds: bool) -> None:
    """A CCD that the user's file leaves out has none; of a list that tells no CCD, what is good for one is good."""
    rows = write(tmp_path / "pn.fits", Epic(rows=20_000, stdgti=False))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        hdus.append(gti_table("GTI", [START], [START + LENGTH]))
        if not has_ccds:
            hdus["EVENTS"].columns.change_name("CCDNR", "OTHER")
    user = {4: GTI.of([START + 100], [START + 4000]), 7: GTI.of([START + 3000], [START + 6000])}
    inside = {ccd: (rows["TIME"] >= good.start[0]) & (rows["TIME"] <= good.stop[0]) for ccd, good in user.items()}
    if has_ccds:
        wanted = np.logical_or.reduce([(rows["CCDNR"] == ccd) & mine for ccd, mine in inside.items()])
    else:
        wanted = inside[4] | inside[7]
    wanted &= (rows["PI"] >= 200) & (rows["PI"] <= 12000)
    with open_eventlist(tmp_path / "pn.fits") as events:
        selection = choose(events, "0.2 12.0", "all", "none", user_gti=user)
        (tally,) = gather(events, selection, [Target(None)])
    assert tally.selected == np.count_nonzero(wanted) > 100
    told = "gti: the file has the good times of CCD 4, 7; other CCDs have none"
    assert (told in selection.notes) == has_ccds


@pytest.mark.parametrize("column", ["X", "Y"])
def test_positions_without_a_value_do_not_place_a_ccd(tmp_path: Path, column: str) -> None:
    """Half of the positions are nulls: taken for values, they would leave no CCD with a fit."""
    with_null(tmp_path / "pn.fits", column, 1, 2)
    with open_eventlist(tmp_path / "pn.fits") as events:
        region = regions.parse("physical; circle(25921,25921,2500)").on(events.wcs)
        spectrum = extract(events, choose(events, "0.2 12.0"), {"source_region": region})["source_region"]
    assert not any("too few events to place" in note for note in spectrum.notes)
    assert spectrum.backscal < 0.98 * np.pi * 2500**2


def test_good_times_of_other_ccds_are_told(tmp_path: Path) -> None:
    """The span of time alone would be a riddle: it fits."""
    write(tmp_path / "pn.fits", Epic(rows=10, ccds=1))
    with open_eventlist(tmp_path / "pn.fits") as events:
        others = {14: events.gtis[1], 15: events.gtis[1]}
        with pytest.raises(ReductionError, match="that of CCD 14, 15, the event list that of CCD 1, 2, 3") as caught:
            choose(events, "0.2 12.0", user_gti=others)
    assert caught.value.parameter == "gti"
