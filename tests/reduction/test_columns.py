"""Columns of every type that FITS has for a number: the same events select the same, whatever they are stored as.

The oracle is a mask in plain numpy on what astropy.io.fits reads of the list before a column is stored otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.events.eventlist import open_eventlist
from reduction.events.gathering import Tally, Target, gather
from reduction.events.selection import choose
from synthetic import Epic, gti_table, gtis, write

CIRCLE = "physical; circle(25921,25921,6000)"
ROWS = 8000
NULL = 99
TYPES: dict[str, dict[str, Any]] = {
    "bytes": {"format": "B"}, "16 bits": {"format": "I"}, "32 bits": {"format": "J"}, "64 bits": {"format": "K"},
    "signed bytes": {"format": "B", "bzero": -128}, "unsigned 16 bits": {"format": "I", "bzero": 2**15},
    "unsigned 32 bits": {"format": "J", "bzero": 2**31}, "unsigned 64 bits": {"format": "K", "bzero": 2**63},
    "float": {"format": "E"}, "double": {"format": "D"}, "scaled": {"format": "J", "bscale": 0.1},
    "scaled and moved": {"format": "J", "bscale": 0.5, "bzero": 100.0}, "scaled float": {"format": "D", "bscale": 2.0},
}  # fmt: skip
SKY = {"REFXCTYP": "RA---TAN", "REFXCRPX": 25921, "REFXCRVL": 150.0, "REFXCDLT": -1.38888888888889e-5,
       "REFYCTYP": "DEC--TAN", "REFYCRPX": 25921, "REFYCRVL": 2.0, "REFYCDLT": 1.38888888888889e-5}  # fmt: skip
COLUMNS = {"FLAG": 0x800000, "PATTERN": 13, "PI": 20000, "CCDNR": 12, "X": 52000, "Y": 52000}
"""The columns of an event list that a selection looks at, and their largest values."""
LARGEST = {"bytes": 255, "signed bytes": 127, "16 bits": 2**15 - 1, "unsigned 16 bits": 2**16 - 1, "float": 2**24,
           "scaled": 2e8, "scaled and moved": 1e9}  # fmt: skip


def converted(path: Path, column: str, how: dict[str, Any], without: int = 0) -> Path:
    """Write a list with a column stored in some way, every so many of its rows without a value."""
    plain = path.with_name("plain.fits")
    if not plain.exists():
        write(plain, Epic(rows=ROWS))
    kind = {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8"}[how["format"]]
    scale, zero = how.get("bscale", 1), how.get("bzero", 0)
    with fits.open(plain) as hdus:
        events = hdus["EVENTS"]
        values = events.data[column].tolist()
        stored = np.array([value - zero if scale == 1 else (value - zero) / scale for value in values])
        stored = stored.astype(kind) if kind in ("f4", "f8") or scale == 1 else np.rint(stored).astype(kind)
        if without:
            stored[::without] = np.nan if kind in ("f4", "f8") else NULL
        columns = [fits.Column(column, how["format"], array=stored) if each.name == column else each
                   for each in events.columns]  # fmt: skip
        number = events.columns.names.index(column) + 1
        header = events.header.copy(strip=True)
        hdus["EVENTS"] = fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")
        hdus["EVENTS"].header.update(SKY)
        hdus.writeto(path)
    cards = {"TSCAL": scale if scale != 1 else None, "TZERO": zero or None,
             "TNULL": NULL if without and kind not in ("f4", "f8") else None}  # fmt: skip
    with fits.open(path, mode="update") as hdus:
        hdus["EVENTS"].header.update({f"{key}{number}": value for key, value in cards.items() if value is not None})
    return path


def in_good_time(rows: np.ndarray) -> np.ndarray:
    good = np.zeros(len(rows), dtype=bool)
    for ccd in range(1, 13):
        for start, stop in gtis(ccd):
            good |= (rows["CCDNR"] == ccd) & (rows["TIME"] >= start) & (rows["TIME"] <= stop)
    return good


def tallies(path: Path, pattern: str = "default", flag: str = "default") -> list[Tally]:
    """Of the whole field, and of a circle."""
    with open_eventlist(path) as events:
        circle = regions.parse(CIRCLE).on(events.wcs)
        return gather(events, choose(events, "0.2 12.0", pattern, flag), [Target(None), Target(circle)])


def expected(rows: np.ndarray, patterns: tuple[int, ...], mask: int) -> list[np.ndarray]:
    wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000) & np.isin(rows["PATTERN"], patterns)
    wanted &= (rows["FLAG"] & mask) == 0
    return [wanted, wanted & (np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) <= 6000)]


CASES = [(column, name) for column, most in COLUMNS.items() for name in TYPES if most <= LARGEST.get(name, 2**62)]


@pytest.mark.parametrize(("column", "name"), CASES)
@pytest.mark.parametrize("without", [0, 3])
def test_a_column_of_any_type_selects_the_same_events(tmp_path: Path, column: str, name: str, without: int) -> None:
    how = TYPES[name]
    path = converted(tmp_path / "pn.fits", column, how, without)
    rows = np.asarray(fits.getdata(tmp_path / "plain.fits", "EVENTS"))
    has_value = np.arange(ROWS) % without != 0 if without else np.ones(ROWS, dtype=bool)
    for pattern, patterns in (("default", (0, 1, 2, 3, 4)), ("0,2:4,6", (0, 2, 3, 4, 6))):
        for flag, mask in (("default", 0xCFA0000), ("strict", 2**31 - 1)):
            found = tallies(path, pattern, flag)
            for place, (tally, wanted) in enumerate(zip(found, expected(rows, patterns, mask), strict=True)):
                # of the whole field, an event without a position is one
                selected = wanted & (has_value if place or column not in "XY" else True)
                assert tally.selected == np.count_nonzero(selected), (pattern, flag, place)
                assert np.array_equal(tally.counts, np.bincount(rows["PI"][selected] // 5, minlength=4096))
                ccds, counts = np.unique(rows["CCDNR"][selected], return_counts=True)
                assert tally.per_ccd == dict(zip(ccds.tolist(), counts.tolist(), strict=True))
    assert found[1].selected > 50


@pytest.mark.parametrize(("form", "null"), [("I", -1), ("I", 150), ("J", -1), ("J", 150), ("E", None), ("D", None)])
def test_an_event_without_a_channel_is_off_the_channels(tmp_path: Path, form: str, null: int | None) -> None:
    """Chandra selects by energy and counts by pi, which may be absent where the energy is not: 150 is a channel too."""
    channels = np.array([100, 200, 200, 300])
    values: np.ndarray = channels.astype(float)
    values[1] = np.nan if null is None else null
    header = fits.Header({"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "TSTART": 0.0, "TSTOP": 9.0, "MJDREF": 50814.0})
    columns = [fits.Column("time", "D", array=np.arange(4.0)), fits.Column("energy", "E", array=np.full(4, 2000.0)),
               fits.Column("pi", form, array=values, null=null)]  # fmt: skip
    path = tmp_path / "acis.fits"
    table = fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), table, gti_table("GTI", [0.0], [9.0])]).writeto(path)
    with open_eventlist(path) as events:
        (tally,) = gather(events, choose(events, "0.5 7"), [Target(None)])
    assert (tally.selected, tally.off_channels, tally.counts.sum()) == (4, 1, 3)
    assert np.flatnonzero(tally.counts).tolist() == [99, 199, 299]


def test_strict_flags_of_64_bits_let_no_bit_pass(tmp_path: Path) -> None:
    path = converted(tmp_path / "pn.fits", "FLAG", TYPES["64 bits"])
    with fits.open(path, mode="update") as hdus:
        hdus["EVENTS"].data["FLAG"] = np.where(np.arange(ROWS) % 2, 2**40, 0)
        rows = np.asarray(hdus["EVENTS"].data)
        wanted = in_good_time(rows) & (rows["PI"] >= 200) & (rows["PI"] <= 12000) & (rows["FLAG"] == 0)
        wanted_count = np.count_nonzero(wanted)
    assert tallies(path, "all", "strict")[0].selected == wanted_count > 100


@pytest.mark.parametrize("moved", [(), ("TCTYP",), ("TCRPX",), ("TCRVL", "TCDLT"), ("TCRPX", "TCRVL", "TCDLT")])
@pytest.mark.parametrize("as_text", [False, True])
def test_sky_keywords_half_on_the_column_and_half_in_refx(
    tmp_path: Path, moved: tuple[str, ...], as_text: bool
) -> None:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10))
    names = {"TCTYP": "CTYP", "TCRPX": "CRPX", "TCRVL": "CRVL", "TCDLT": "CDLT"}
    with fits.open(path) as hdus:
        events = hdus["EVENTS"]
        number = {axis: events.columns.names.index(axis) + 1 for axis in "XY"}
        header = events.header.copy()
    with fits.open(path, mode="update") as hdus:
        for axis, column in number.items():
            for keyword in moved:
                value = header[f"{keyword}{column}"]
                hdus["EVENTS"].header[f"REF{axis}{names[keyword]}"] = str(value) if as_text else value
                del hdus["EVENTS"].header[f"{keyword}{column}"]
    with open_eventlist(path) as found:
        assert found.wcs is not None
        assert found.wcs.wcs_pix2world([[25921, 25921]], 0)[0] == pytest.approx([150.0, 2.0])
        assert found.wcs.wcs_pix2world([[25921, 26921]], 0)[0] == pytest.approx([150.0, 2.0 + 1000 / 72000], abs=1e-6)
