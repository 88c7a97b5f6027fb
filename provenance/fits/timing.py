"""What the times of a FITS file count from, as its headers say it: reference day, offset, unit, time system, place.

The one place that reads MJDREF, TIMEZERO, TIMESYS, TIMEREF and TIMEUNIT, however they are spelt or split. Sources:
OGIP/93-003; FITS Standard 4.0, chapter 9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from provenance.fits.headers import Cards, numeral
from provenance.text.errors import FitsError

SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""The units of times that are known, and how many seconds each is."""

KEYWORDS: Final = ("TIMESYS", "MJDREF", "MJDREFI", "MJDREFF", "JDREF", "JDREFI", "JDREFF", "DATEREF", "TIMEZERO",
                   "TIMEZERI", "TIMEZERF", "TIMEOFFS", "TIMEREF", "TREFPOS")  # fmt: skip
"""The keywords that say what times count from, but for TIMEUNIT."""

_UNITS: Final = {"": "s", "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "min", "mins": "min",
                 "minute": "min", "minutes": "min", "h": "h", "hr": "h", "hour": "h", "hours": "h",
                 "d": "d", "day": "d", "days": "d"}  # fmt: skip
_SYSTEMS: Final = {"TDT": "TT", "ET": "TT", "IAT": "TAI", "UT": "UTC", "GMT": "UTC"}
_PLACES: Final = {"LOCAL": "LOCAL", "TOPOCENT": "LOCAL", "SATELLIT": "LOCAL", "SPACECRA": "LOCAL",
                  "GEOCENTR": "GEOCENTRIC", "GEOCENTE": "GEOCENTRIC", "HELIOCEN": "HELIOCENTRIC",
                  "SOLARSYS": "SOLARSYSTEM", "BARYCENT": "SOLARSYSTEM", "SSB": "SOLARSYSTEM"}  # fmt: skip
_JD_OF_MJD: Final = 2400000.5
DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(\.\d*)?)?Z?")
"""A date as FITS writes it, in its parts."""


@dataclass(frozen=True)
class TimeOrigin:
    """What times count from: the MJD ``day + fraction``, from which they are away by `zero`, all in `system`.

    `day` is None where there is no reference. `zero` (TIMEZERO) is in `unit`: one of `SECONDS`, or the text that came.
    `system` is TT, TDB, TAI, UTC, ..., and `place`, where the photons would have arrived, LOCAL, GEOCENTRIC,
    HELIOCENTRIC or SOLARSYSTEM, in one spelling each; empty where it is not said, another text as it came.
    """

    day: float | None
    fraction: float
    zero: float
    unit: str
    system: str
    place: str

    def mjd(self, time: float, unit: str = "") -> float | None:
        """Return a time in `unit` (empty: that of the origin) as MJD in `system`; None where that is not known."""
        own, of_time = SECONDS.get(self.unit), SECONDS.get(unit or self.unit)
        if self.day is None or own is None or of_time is None:
            return None
        return self.day + (self.fraction + (time * of_time + self.zero * own) / SECONDS["d"])


def read(*headers: Cards) -> TimeOrigin:
    """Read what the times of a table count from.

    Parameters
    ----------
    *headers
        That of the table first, then those that hold for it too, such as the primary one: a keyword is looked up in
        each until one has it, TIMEZERO no further than the reference.

    Returns
    -------
    TimeOrigin
        The reference and what belongs to it.

    Raises
    ------
    FitsError
        A keyword is there and no number, nor a text that is one; no date, for DATEREF.
    """
    found = [(place, reference) for place, cards in enumerate(headers) if (reference := _reference(cards)) is not None]
    last, (day, fraction) = found[0] if found else (len(headers), (None, 0.0))
    zeros = (zero for cards in headers[: last + 1] if (zero := _zero(cards)) is not None)
    unit, system = unit_of(_first(headers, ("TIMEUNIT",))), system_of(_first(headers, ("TIMESYS",)))
    return TimeOrigin(day, fraction, next(zeros, 0.0), unit, system, _place(_first(headers, ("TIMEREF", "TREFPOS"))))


def unit_of(text: str) -> str:
    """Return a unit of time as FITS writes it (``s`` for sec, SECONDS and nothing); any other text as it came."""
    return _UNITS.get(text.strip().lower(), text.strip())


def system_of(text: str) -> str:
    """Return a time system in one spelling: TT for TDT and ET, UTC for GMT, without the realization in parentheses."""
    name = text.partition("(")[0].strip().upper()
    return _SYSTEMS.get(name, name)


def moment(cards: Cards, keyword: str) -> float | None:
    """Return a time such as TSTART, whole or in the parts TSTARTI and TSTARTF; None where it is absent or no number."""
    whole = cards.numeral(keyword)
    if whole is None and (part := cards.numeral(f"{keyword}I")) is not None:
        return part + (cards.numeral(f"{keyword}F") or 0.0)
    return whole


def calendar_mjd(text: str) -> float | None:
    """Return a date as FITS writes it as MJD in its own time system; None where it is no date."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        days = day_number(year, month, day)
    except ValueError:
        return None
    fraction = float(f"0{match[7]}") if match[7] else 0.0
    return days + (hour * 3600 + minute * 60 + second + fraction) / SECONDS["d"]


def day_number(year: int, month: int, day: int) -> int:
    """Return a calendar day as MJD.

    Parameters
    ----------
    year
        From 1 to 9999.
    month
        From 1 to 12.
    day
        From 1 on.

    Returns
    -------
    int
        The MJD at which the day begins.

    Raises
    ------
    ValueError
        The day is in no calendar.
    """
    return date(year, month, day).toordinal() - date(1858, 11, 17).toordinal()


def _reference(cards: Cards) -> tuple[float, float] | None:
    """Return the reference of a header as MJD, day and fraction; None where it has none. Raise FitsError."""
    for name, offset in (("MJDREF", 0.0), ("JDREF", _JD_OF_MJD)):
        whole, part, one = (_number(cards, name + ending) for ending in ("I", "F", ""))
        if whole is not None:
            return whole - offset, part or 0.0
        if one is not None:
            return one - offset, 0.0
    text = cards.text("DATEREF")
    if not text:
        return None
    day = calendar_mjd(text)
    if day is None:
        raise FitsError(f"DATEREF is {text[:40]!r}; a date such as 1998-01-01T00:00:00 is expected")
    return day, 0.0


def _zero(cards: Cards) -> float | None:
    """Return TIMEZERO, whole or in parts, else TIMEOFFS; None where there is none. Raise FitsError."""
    one, whole, part, offset = (_number(cards, name) for name in ("TIMEZERO", "TIMEZERI", "TIMEZERF", "TIMEOFFS"))
    if one is None and (whole is not None or part is not None):
        return (whole or 0.0) + (part or 0.0)
    return offset if one is None else one


def _number(cards: Cards, keyword: str) -> float | None:
    """Return the number of a keyword, None where it is absent or blank. Raise FitsError for what is no number."""
    value = cards.value(keyword)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found = numeral(value)
    if found is None:
        raise FitsError(f"{keyword} is {value!r:.40}; a number is expected")
    return found


def _first(headers: Iterable[Cards], keywords: Iterable[str]) -> str:
    """Return the text of the first keyword that a header has; empty where none has one."""
    return next((text for cards in headers for keyword in keywords if (text := cards.text(keyword))), "")


def _place(text: str) -> str:
    """Return a reference place in one spelling; any other text in capitals."""
    return _PLACES.get(text.strip().upper()[:8], text.strip().upper())
