"""Good time intervals: a value with set arithmetic, and the tables of event lists and GTI files that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.fitsfile import Hdu, scan

SECONDS_PER_DAY = 86400.0

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GTI:
    """Good time intervals, sorted and apart: shape (n,) each, in seconds of the event list's own clock.

    Make one with `GTI.of`, which sorts, joins what touches and refuses nonsense. Both ends are good, as for cfitsio's
    gtifilter: archive lists whose last frame is at the very stop exist.

    >>> GTI.of([0, 5, 20], [6, 10, 30]).total
    20.0
    """

    start: Times
    stop: Times

    @classmethod
    def of(cls, start: npt.ArrayLike, stop: npt.ArrayLike, parameter: str = "gti") -> GTI:
        """Intervals in any order, overlapping or not.

        Raises ReductionError (naming `parameter`) if a time is not finite or a stop comes before its start.
        """
        starts = np.atleast_1d(np.asarray(start, dtype=np.float64))
        stops = np.atleast_1d(np.asarray(stop, dtype=np.float64))
        if starts.ndim != 1 or starts.shape != stops.shape:
            raise ReductionError(f"there are {starts.size} starts and {stops.size} stops of good time", parameter)
        if not (np.isfinite(starts).all() and np.isfinite(stops).all()):
            raise ReductionError("a good time interval has no finite START and STOP; times are seconds", parameter)
        wrong = np.flatnonzero(stops < starts)
        if wrong.size:
            row = int(wrong[0])
            raise ReductionError(f"good time interval {row + 1} stops ({stops[row]:.3f} s) before it starts "
                                 f"({starts[row]:.3f} s)", parameter)  # fmt: skip
        return cls._join(starts, stops)

    @classmethod
    def _join(cls, starts: Times, stops: Times) -> GTI:
        """Sort, leave out the empty, join those that overlap or touch."""
        order = np.argsort(starts, kind="stable")
        starts, stops = starts[order], stops[order]
        kept = stops > starts
        starts, stops = starts[kept], stops[kept]
        if starts.size == 0:
            return cls(starts, stops)
        reach = np.maximum.accumulate(stops)
        new = np.concatenate(([True], starts[1:] > reach[:-1]))
        last = np.concatenate((np.flatnonzero(new)[1:] - 1, [starts.size - 1]))
        return cls(starts[new], reach[last])

    @property
    def total(self) -> float:
        """Good time in seconds."""
        return float((self.stop - self.start).sum())

    def __len__(self) -> int:
        return int(self.start.size)

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, GTI) and np.array_equal(self.start, other.start)
                and np.array_equal(self.stop, other.stop))  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.start.tobytes(), self.stop.tobytes()))

    def __or__(self, other: GTI) -> GTI:
        return self._join(np.concatenate((self.start, other.start)), np.concatenate((self.stop, other.stop)))

    def __and__(self, other: GTI) -> GTI:
        edges = np.unique(np.concatenate((self.start, self.stop, other.start, other.stop)))
        inside = np.flatnonzero(self._good_after(edges[:-1]) & other._good_after(edges[:-1]))
        return self._join(edges[inside], edges[inside + 1])

    def contains(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which times are good: start <= t <= stop. Times in seconds, any shape; NaN is never good."""
        moments = np.asarray(times, dtype=np.float64)
        if not len(self):
            return np.zeros(moments.shape, dtype=bool)
        before = np.searchsorted(self.start, moments, side="right") - 1
        return np.asarray((before >= 0) & (moments <= self.stop[before]), dtype=np.bool_)

    def _good_after(self, moments: Times) -> npt.NDArray[np.bool_]:
        """Whether the time right after each moment is good."""
        begun = np.searchsorted(self.start, moments, side="right")
        return np.asarray(begun > np.searchsorted(self.stop, moments, side="right"), dtype=np.bool_)

    def shifted(self, seconds: float) -> GTI:
        """The same intervals on a clock that shows `seconds` more."""
        return GTI(self.start + seconds, self.stop + seconds) if seconds else self


GTITables = Mapping[int | None, GTI]
"""Good time by CCD number; under None what holds for every CCD."""


@dataclass(frozen=True)
class Clock:
    """Where a file's times count from: MJDREF in days (whole, fraction), TIMEZERO in seconds, and the time system."""

    day: float | None
    fraction: float
    zero_s: float
    system: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Clock:
        """Read MJDREF or MJDREFI and MJDREFF, TIMEZERO and TIMESYS; `day` is None where there is no MJDREF."""

        def real(key: str) -> float | None:
            value = header.get(key)
            return float(value) if isinstance(value, int | float) and np.isfinite(value) else None

        day, fraction = real("MJDREFI"), real("MJDREFF") or 0.0
        if day is None:
            day, fraction = real("MJDREF"), 0.0
        return cls(day, fraction, real("TIMEZERO") or 0.0, str(header.get("TIMESYS") or "").strip().upper())

    def seconds_to(self, other: Clock, parameter: str) -> float:
        """Seconds to add to times of this clock to get times of the other.

        A missing MJDREF or TIMESYS is taken to be the other's. Raises ReductionError if the time systems differ.
        """
        if self.system and other.system and self.system != other.system:
            raise ReductionError(f"its times are {self.system}, those of the event list are {other.system}; make the "
                                 f"good time intervals in {other.system}", parameter)  # fmt: skip
        if self.day is None or other.day is None:
            return 0.0
        days = (self.day - other.day) + (self.fraction - other.fraction)
        shift = days * SECONDS_PER_DAY + self.zero_s - other.zero_s
        return shift if abs(shift) > 1e-6 else 0.0


def read_tables(hdus: Sequence[Hdu], clock: Clock, parameter: str) -> dict[int | None, GTI]:
    """Good time intervals of a file, on the given clock, by CCD (None: all).

    Found are tables named STDGTInn, GTInnnnn or GTI, or with HDUCLAS1 = GTI. The CCD comes from CCDID or CCD_ID, else
    from the name (STDGTInn is CCD nn) or from the data subspace keywords that refer to the table. Several tables of
    one CCD are intersected: each came from a selection on top of the others.

    Raises ReductionError (naming `parameter`) for a table that makes no sense.
    """
    found: dict[int | None, GTI] = {}
    referred = _referred_ccds(hdus)
    for hdu in hdus:
        if not hdu.is_table or not _is_gti(hdu):
            continue
        ccd = _ccd_of(hdu, referred)
        good = _read_table(hdu, clock, parameter)
        found[ccd] = found[ccd] & good if ccd in found else good
    return found


def read_file(path: Path, clock: Clock, parameter: str = "gti") -> dict[int | None, GTI]:
    """Good time intervals of a user's FITS file, on the given clock, by CCD (None: all).

    Raises ReductionError if the file is no FITS file or has no good time intervals.
    """
    hdus = scan(path, parameter)
    found = read_tables(hdus, clock, parameter)
    if not found:
        names = ", ".join(hdu.name or "(no name)" for hdu in hdus)
        raise ReductionError(f"{path.name} has no table of good time intervals (STDGTI, GTI, or HDUCLAS1 = GTI, with "
                             f"columns START and STOP); it has {names[:200]}", parameter)  # fmt: skip
    return found


def _is_gti(hdu: Hdu) -> bool:
    named = re.fullmatch(r"(STDGTI|GTI)\d*", hdu.name) is not None
    return named or str(hdu.header.get("HDUCLAS1", "")).strip().upper() == "GTI"


def _referred_ccds(hdus: Sequence[Hdu]) -> dict[str, int]:
    """CCD by name of GTI table, from data subspace keywords such as 2DSVAL1 = '2' beside 2DSREF6 = ':GTI00103'."""
    found: dict[str, int] = {}
    for hdu in (each for each in hdus if "DSTYP1" in each.header):
        ccd_keys = {key[5:] for key, value in hdu.header.items() if re.fullmatch(r"DSTYP\d", key) and value == "CCDNR"}
        for key, value in hdu.header.items() if ccd_keys else ():
            match = re.fullmatch(r"(\d*)DSREF\d", key)
            if match and str(value).startswith(":GTI"):
                ccds = [str(hdu.header.get(f"{match[1]}DSVAL{number}")).strip() for number in ccd_keys]
                found |= {str(value)[1:].strip(): int(ccd) for ccd in ccds if re.fullmatch(r"\d{1,3}", ccd)}
    return found


def _ccd_of(hdu: Hdu, referred: Mapping[str, int]) -> int | None:
    for key in ("CCDID", "CCD_ID", "CCDNR"):
        value = hdu.header.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    if found := re.fullmatch(r"STDGTI(\d\d)", hdu.name):
        return int(found[1])
    return referred.get(hdu.name)


def _read_table(hdu: Hdu, clock: Clock, parameter: str) -> GTI:
    """Intervals of one table, on the given clock."""
    rows, columns = hdu.table(parameter)
    where = f"table {hdu.name} of {hdu.path.name}"
    try:
        start, stop = columns["START"], columns["STOP"]
    except KeyError as error:
        raise ReductionError(f"{where} has no columns START and STOP; it has {', '.join(columns)[:200]}",
                             parameter) from error  # fmt: skip
    units = {column.unit.lower() for column in (start, stop)} - {"", "s", "sec", "second", "seconds"}
    if units:
        raise ReductionError(f"{where} is in {', '.join(sorted(units))[:40]}; good times are read in s", parameter)
    try:
        good = GTI.of(start.values(rows), stop.values(rows), parameter)
        return good.shifted(Clock.of(hdu.header).seconds_to(clock, parameter))
    except ReductionError as error:
        raise ReductionError(f"{where}: {error}", parameter) from error


def union(tables: Iterable[GTI]) -> GTI:
    """Time that is good in any of some tables."""
    return reduce(lambda one, other: one | other, tables, GTI(np.empty(0), np.empty(0)))


def of_ccd(tables: GTITables, ccd: int | None) -> GTI | None:
    """Good time of one CCD: its own table within the common one; None if neither is there."""
    own, common = tables.get(ccd) if ccd is not None else None, tables.get(None)
    if own is not None and common is not None:
        return own & common
    return own if own is not None else common


def combine(tables: GTITables, user: GTITables) -> dict[int | None, GTI]:
    """Good time of an event list within that of a user's GTI file, by CCD.

    A CCD of the event list that a per-CCD user table leaves out has no good time.
    """
    if not user:
        return dict(tables)
    ccds: set[int | None] = set(tables) or {None}
    if None in ccds and len(ccds) == 1:
        ccds |= set(user)
    result: dict[int | None, GTI] = {}
    for ccd in ccds:
        mine, theirs = of_ccd(tables, ccd), of_ccd(user, ccd)
        if theirs is None:
            theirs = union(user.values()) if ccd is None else GTI(np.empty(0), np.empty(0))
        result[ccd] = theirs if mine is None else mine & theirs
    return result


def span(tables: GTITables) -> tuple[float, float] | None:
    """First start and last stop of all tables in seconds, None where there is no good time."""
    everything = union(tables.values())
    return (float(everything.start[0]), float(everything.stop[-1])) if len(everything) else None
