"""Dates, times and time ranges, UTC. Imports words only.

A Julian date is taken as UTC with days of 86,400 s: on the day of a leap second it may be up to 1 s beside another
reading of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from uws_server.jobs.definition import ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.words import short_word, shorten

_ISO = r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:\s?(?:[Zz]|[Uu][Tt][Cc]?|[-+]\d\d:?\d\d))?|[Zz])?"
_JULIAN = r"(?:[Mm]?[Jj][Dd])\s*\d{1,8}(?:\.\d{1,12})?"
_WHEN = rf"(?:{_ISO}|{_JULIAN})"
_TIME = re.compile(_WHEN, re.ASCII)
_RANGE = re.compile(rf"({_WHEN})(?:\s*[/,]\s*|\s+to\s+|\s+)({_WHEN}|\d{{1,8}}(?:\.\d{{1,12}})?)", re.ASCII)
_MJD_0 = datetime(1858, 11, 17, tzinfo=UTC)
_JD_OF_MJD_0 = Decimal("2400000.5")


def moment(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read a date and time: ISO 8601 (UTC where it has no offset), MJD or JD."""
    del spec
    canonical = write_time(read_time(text))
    return ParameterValue(canonical, canonical)


def read_time(text: str) -> datetime:
    """Return the time of a text as `moment` reads it. Raise ValueError for any other text."""
    word = short_word(text)
    if not _TIME.fullmatch(word):
        raise ValueError(
            f"{shorten(text)} is not a time; expected is ISO 8601 in UTC such as 2026-11-20T12:00:00Z, or MJD 53000.5"
        )
    return _read(word)


def time_range(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read two times, the earlier one first, with '/', a comma, 'to' or a blank between them."""
    del spec
    match = _RANGE.fullmatch(short_word(text))
    if match is None:
        raise ValueError(
            f"{shorten(text)} is not a range of time; expected are a beginning and an end such as "
            "2026-11-20T12:00:00Z/2026-11-20T18:00:00Z, or MJD 53000.5 53001.25"
        )
    first, last = match.groups()
    if last[0].isdigit() and "-" not in last:  # a number alone: of the kind that the beginning is
        kind = re.match(r"[A-Za-z]*", first)
        assert kind is not None
        if not kind[0]:
            raise ValueError(f"{shorten(text)}: a time and a number came; write both times alike")
        last = f"{kind[0]} {last}"
    begin, end = _read(first), _read(last)
    if not begin < end:
        raise ValueError(f"{shorten(text)}: the beginning must come first and be before the end")
    canonical = f"{write_time(begin)}/{write_time(end)}"
    return ParameterValue(canonical, canonical)


def write_time(when: datetime) -> str:
    """Write ISO 8601 in UTC with Z, to the microsecond where it has any."""
    plain = when.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{plain.rstrip('0') if '.' in plain else plain}Z"


def _read(word: str) -> datetime:
    kind = word[:3].upper().rstrip(" 0123456789.")
    try:
        if kind in ("MJD", "JD"):
            days = Decimal(word[len(kind) :].strip())
            return _after_mjd_0(days if kind == "MJD" else days - _JD_OF_MJD_0)
        plain = re.sub(r"\s?(z|utc?)$", "+00:00", word.lower()).replace("t", " ")
        plain = re.sub(r"\s(?=[-+]\d\d:?\d\d$)", "", plain)
        plain = plain[:10] if plain[10:] == "+00:00" else plain  # a date alone has no offset
        when = datetime.fromisoformat(plain)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shorten(word)} is not a time of the calendar (years 1 to 9999, no leap second)") from error


def _after_mjd_0(days: Decimal) -> datetime:
    microseconds = (days * 86_400_000_000).to_integral_value()
    return _MJD_0 + timedelta(microseconds=int(microseconds))
