"""A FITS file with all its times moved to the barycentre of the solar system: columns, good times and keywords."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from astropy.time import Time

from provenance.fits import gtitables, timing
from provenance.fits.atomic import replacing
from provenance.fits.bintable import Table
from provenance.fits.cards import SIZE, Value
from provenance.fits.columns import Column
from provenance.fits.hdus import TAGS_EXTNAME, Hdu
from provenance.fits.headers import Cards
from reduction.errors import ReductionError
from reduction.events import fitswrite
from reduction.events.clock import SECONDS_PER_DAY, Clock
from reduction.events.fitsfile import FitsFile, reduction_errors
from reduction.missions import CREATOR
from reduction.timing.barycentre import SolarSystem, corrections
from reduction.timing.hermite import Floats
from reduction.timing.orbit import Orbit

_TIME_COLUMNS = ("TIME", "START", "STOP")
_PIECE: Final = 1024**2
_RENEWED = re.compile(r"CHECKSUM|DATASUM|TIMESYS|TIMEREF|TREFPOS|TREFDIR|PLEPHEM|BARYRA|BARYDEC")
_DATES = {"DATE-OBS": "TSTART", "DATE-END": "TSTOP"}


@dataclass(frozen=True)
class Barycentre:
    """What it takes to move times: orbit, ephemeris, and the direction of the source (degrees, ICRS; unit vector)."""

    orbit: Orbit
    system: SolarSystem
    position_deg: tuple[float, float]
    towards: Floats

    def moved(self, times_s: Floats) -> Floats:
        """Return times at the barycentre, shape of `times_s`."""
        return times_s + corrections(times_s, self.orbit, self.system, self.towards)


def main_table(file: FitsFile) -> Hdu:
    """Return the table whose clock is that of the file: the events, else a light curve, else the first good times.

    Raises ReductionError if there is none.
    """
    strict = _strict(file)
    if not strict:
        raise ReductionError(f"{file.name} has no events, no light curve and no good times; it has {file.names[:200]}",
                             file.parameter)  # fmt: skip
    return strict[0]


def clock_of(file: FitsFile) -> Clock:
    """Return the clock of a file whose times are those at a telescope, in TT.

    Raises ReductionError for times that are at the barycentre or elsewhere already, or in another system.
    """
    with reduction_errors(file.parameter):
        clock = Clock.of(main_table(file).cards, file.hdus[0].cards)
    if clock.place == "SOLARSYSTEM" or clock.system == "TDB":
        raise ReductionError(f"the times of {file.name} are at the barycentre already (TIMESYS {clock.system}, TIMEREF "
                             f"{clock.place}); give the list as the mission has it", file.parameter)  # fmt: skip
    if clock.place not in ("", "LOCAL"):
        raise ReductionError(f"the times of {file.name} are {clock.place} (TIMEREF); only those at the telescope "
                             "(LOCAL) are moved", file.parameter)  # fmt: skip
    if clock.system not in ("", "TT"):
        raise ReductionError(f"the times of {file.name} are {clock.system} (TIMESYS); only TT is moved",
                             file.parameter)  # fmt: skip
    return clock


def require_covered(file: FitsFile, clock: Clock, orbit: Orbit, parameter: str = "orbit") -> None:
    """Raise ReductionError, with the times, if an event, a bin or a good time lies where the orbit is not known.

    Parameters
    ----------
    file
        The file to be moved.
    clock
        Its clock.
    orbit
        The orbit on that clock.
    parameter
        Job parameter named in the error.

    Raises
    ------
    ReductionError
        A time is not covered.
    """
    first, last = orbit.span_s
    for hdu in _strict(file):
        table, shift = file.table(hdu), _shift(file, hdu, clock)
        outside, number = [], 0
        for rows in table.chunks(file.path):
            for column in _columns(table):
                times = column.floats(rows) + shift
                times = times[np.isfinite(times) & ~orbit.covers(times)]
                number += times.size
                outside += [float(times.min()), float(times.max())] if times.size else []
        if number:
            within = f", with {len(orbit.gaps)} gaps" if len(orbit.gaps) else ""
            raise ReductionError(f"{orbit.name} covers {first:.3f} to {last:.3f} s{within}; {number} times of table "
                                 f"{hdu.name} lie outside, from {min(outside):.3f} to {max(outside):.3f} s; give the "
                                 "orbit of the whole observation", parameter)  # fmt: skip


def write_barycentred(path: Path, file: FitsFile, clock: Clock, to: Barycentre) -> None:
    """Write a file with its times at the barycentre, whole or not at all; tags are left out, as they are of the former.

    Parameters
    ----------
    path
        The file to write.
    file
        The file with times at the telescope.
    clock
        Its clock.
    to
        Orbit, ephemeris and direction.

    Raises
    ------
    ReductionError
        A column of times is none of double precision, or a header cannot be read.
    """
    with replacing(path) as target, file.path.open("rb") as source:
        for hdu in file.hdus:
            if hdu.name == TAGS_EXTNAME:
                continue
            table = file.table(hdu) if hdu.is_table else None
            columns = _columns(table) if table else []
            if not columns and not _has_times(hdu):
                _copy(source, hdu.start, hdu.end, target)
                continue
            shift = _shift(file, hdu, clock)
            target.write(_header(hdu, clock, shift, to))
            if table and columns:
                _write_rows(target, file, table, columns, shift, to)
                _copy(source, hdu.data + table.rows * table.dtype.itemsize, hdu.end, target)
            else:
                _copy(source, hdu.data, hdu.end, target)


def _strict(file: FitsFile) -> list[Hdu]:
    """Return the tables whose every time must be covered by the orbit: events, light curves, good times."""
    tables = [hdu for hdu in file.hdus if hdu.is_table]
    events = [hdu for hdu in tables if hdu.name in ("EVENTS", "STDEVT")]
    curves = [hdu for hdu in tables if str(hdu.cards.get("HDUCLAS1") or "").strip().upper() == "LIGHTCURVE"]
    good = gtitables.gti_tables(file.hdus) or gtitables.interval_tables(file.hdus)
    return [hdu for hdu in (*events, *curves, *good) if _columns(file.table(hdu))]


def _columns(table: Table) -> list[Column]:
    """Return the columns of times in seconds. Raise ReductionError for those of single precision or whole numbers."""
    found = [column for name in _TIME_COLUMNS if (column := table.columns.get(name)) and column.is_number
             and timing.SECONDS.get(timing.unit_of(column.unit)) == 1.0]  # fmt: skip
    for column in found:
        if column.letter != "D" or column.scaled:
            raise ReductionError(f"column {column.name} of {table.title} is of type {column.form}; times are moved in "
                                 "double precision (D) only")  # fmt: skip
    return found


def _has_times(hdu: Hdu) -> bool:
    return any(key in hdu.cards for key in ("TSTART", "TSTARTI", "TIMESYS", "TIMEREF"))


def _shift(file: FitsFile, hdu: Hdu, clock: Clock) -> float:
    """Return the seconds to add to times of a table to get those of the clock of the file. Raise ReductionError."""
    with reduction_errors(file.parameter):
        return Clock.of(hdu.cards, file.hdus[0].cards).seconds_to(clock, file.parameter)


def _write_rows(
    target: BinaryIO, file: FitsFile, table: Table, columns: list[Column], shift: float, to: Barycentre
) -> None:
    """Write the rows of a table with their times moved."""
    for rows in table.chunks(file.path):
        moved = rows.copy()
        for column in columns:
            moved[column.field] = to.moved(column.floats(rows) + shift) - shift
        target.write(moved.view(np.uint8).data)


def _copy(source: BinaryIO, start: int, end: int, target: BinaryIO) -> None:
    source.seek(start)
    left = end - start
    while left > 0 and (data := source.read(min(left, _PIECE))):
        target.write(data)
        left -= len(data)
    target.write(b"\0" * left)


def _header(hdu: Hdu, clock: Clock, shift: float, to: Barycentre) -> bytes:
    """Return the header of an HDU with its times moved and the keywords that say so."""
    values = _moved_keywords(hdu, clock, shift, to)
    kept = fitswrite.without(fitswrite.raw_cards(hdu.header), _RENEWED)
    texts = [text for _, text in fitswrite.replaced(kept, values.get)]
    longitude, latitude = to.position_deg
    added: fitswrite.Cards = [
        ("TIMESYS", "TDB", "barycentric dynamical time"), ("TIMEREF", "SOLARSYSTEM", "times are at the barycentre"),
        ("TREFPOS", "BARYCENTER", "times are at the barycentre"),
        ("TREFDIR", "BARYRA,BARYDEC", "direction of the source"),
        ("PLEPHEM", to.system.name, "ephemeris of the solar system"),
        ("BARYRA", longitude, "[deg] right ascension (ICRS) of the source"),
        ("BARYDEC", latitude, "[deg] declination (ICRS) of the source"),
    ]  # fmt: skip
    history = f"HISTORY Times moved to the barycentre by {CREATOR}".ljust(SIZE)
    return fitswrite.from_texts([*texts, *fitswrite.texts(added), history])


def _moved_keywords(hdu: Hdu, clock: Clock, shift: float, to: Barycentre) -> Mapping[str, Value]:
    """Return new values of the keywords of time; an end beyond the orbit is moved as the orbit's end is."""
    cards, found, ends = Cards(hdu.cards), dict[str, Value](), dict[str, float]()
    for key in ("TSTART", "TSTOP"):
        before = timing.moment(cards, key)
        if before is None:
            continue
        inside = np.clip(before + shift, *to.orbit.span_s)
        after = before + float(to.moved(np.array([inside]))[0] - inside)
        ends[key] = after
        if key in hdu.cards:
            found[key] = after
        elif f"{key}I" in hdu.cards:
            found |= {f"{key}I": int(np.floor(after)), f"{key}F": float(after - np.floor(after))}
    if len(ends) == 2 and "TELAPSE" in hdu.cards:
        found["TELAPSE"] = ends["TSTOP"] - ends["TSTART"]
    if clock.day is not None:
        for key, end in _DATES.items():
            if key in hdu.cards and end in ends:
                found[key] = _date(clock, ends[end] + shift).isot
        if "MJD-OBS" in hdu.cards and "TSTART" in ends:
            found["MJD-OBS"] = float(_date(clock, ends["TSTART"] + shift).mjd)
    return found


def _date(clock: Clock, time_s: float) -> Time:
    assert clock.day is not None
    fraction = clock.fraction + (time_s + clock.zero_s) / SECONDS_PER_DAY
    return Time(clock.day, fraction, format="mjd", scale="tdb")


def position_of(keywords: Mapping[str, Value]) -> tuple[float, float, str] | None:
    """Return right ascension and declination in degrees and their frame, from RA_OBJ and DEC_OBJ; None without them."""
    cards = Cards(keywords)
    longitude, latitude = cards.numeral("RA_OBJ"), cards.numeral("DEC_OBJ")
    if longitude is None or latitude is None or not (0 <= longitude <= 360 and -90 <= latitude <= 90):
        return None
    frame = (cards.text("RADECSYS") or cards.text("RADESYS")).upper()
    return longitude, latitude, frame if frame in ("FK5", "FK4") else "ICRS"
