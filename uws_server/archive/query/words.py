"""Values as they are typed: numbers with units, dates, texts. Raises ValueError with a sentence. Imports the columns.

A date that is not given to the second is all of its day, month, year, hour or minute: `date > 2005` begins in 2006.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from uws_server.archive.query.columns import Column

_NUMBER: Final = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(\S*)", re.ASCII)
_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?)?)?)?Z?", re.ASCII
)
_MJD: Final = re.compile(r"\d{5}(?:\.\d*)?", re.ASCII)
_MJD_ZERO: Final = datetime(1858, 11, 17, tzinfo=UTC)
_LONGEST_PATTERN: Final = 100
_DAY_S: Final = 86400.0

Span = tuple[float, float]
"""The begin of a time and the begin of what follows it, MJD."""


def number(typed: str, column: Column) -> float:
    """Read a number in the unit of a column."""
    allowed = _allowed(column)
    match = _NUMBER.fullmatch(typed.strip())
    if match is None:
        raise ValueError(f"{shown(typed)} came; {column.name} is a number{allowed}")
    factor = _factor(match[2], column.units)
    if factor is None:
        raise ValueError(f"{shown(match[2])} is no unit of {column.name}, which is a number{allowed}")
    value = float(match[1]) * factor
    if not math.isfinite(value):
        raise ValueError(f"{shown(typed)} is too large a number")
    return value


def angle(typed: str, units: Sequence[tuple[str, float]]) -> float:
    """Read a radius in degrees."""
    match = _NUMBER.fullmatch(typed.strip())
    factor = _factor(match[2], units) if match else None
    value = math.nan if match is None or factor is None else float(match[1]) * factor
    if not 0 < value <= 90:
        raise ValueError(f"{shown(typed)} came; a radius is more than 0 and at most 90 degrees, such as 1deg, "
                         "10arcmin or 30arcsec (degrees without a unit)")  # fmt: skip
    return value


def text(typed: str, column: Column) -> str:
    """Read a text: in lower case, its blanks single."""
    value = " ".join(typed.split()).lower()
    if "\0" in value or len(value) > 1000:
        raise ValueError(f"what {column.name} is compared with has a NUL character or more than 1,000 characters")
    return value


def pattern(typed: str, column: Column) -> str:
    """Read the form of a text: `%` and `*` stand for any characters, `_` for one. All of the first are `%` then."""
    value = re.sub(r"[%*]+", "%", text(typed, column))
    if len(value) > _LONGEST_PATTERN:
        raise ValueError(f"a text of more than {_LONGEST_PATTERN} characters cannot stand behind LIKE")
    return value


def span(typed: str, column: Column) -> Span:
    """Read a date, or an MJD."""
    stripped = typed.strip()
    if _MJD.fullmatch(stripped):
        return float(stripped), float(stripped)
    match = _DATE.fullmatch(stripped)
    try:
        if match is None:
            raise ValueError
        return _span(match.groups())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shown(typed)} came; {column.name} is a date such as 2005, 2005-01, 2005-01-31 or "
                         "2005-01-31T12:30:00, or an MJD such as 53401.5") from error  # fmt: skip


def _span(parts: Sequence[str | None]) -> Span:
    year, month, day, hour, minute = (int(part or least) for part, least in zip(parts, (0, 1, 1, 0, 0), strict=False))
    second = parts[5]
    begin = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(seconds=float(second or 0))
    if second is not None:
        if float(second) >= 60:
            raise ValueError("seconds are below 60")
        return _mjd(begin), _mjd(begin)
    if minute or parts[4] is not None:
        end = begin + timedelta(minutes=1)
    elif parts[2] is not None:
        end = begin + timedelta(days=1)
    elif parts[1] is not None:
        end = begin.replace(year=year + month // 12, month=month % 12 + 1)
    else:
        end = begin.replace(year=year + 1)
    return _mjd(begin), _mjd(end)


def _mjd(when: datetime) -> float:
    since = when - _MJD_ZERO
    return since.days + (since.seconds + since.microseconds / 1e6) / _DAY_S


def _factor(unit: str, units: Sequence[tuple[str, float]]) -> float | None:
    """Return what a unit is in the first one; capitals count where they tell two apart. Return None for no unit."""
    if not unit:
        return 1.0
    known = dict(units)
    if unit in known:
        return known[unit]
    lower = {name.lower(): factor for name, factor in reversed(units)}
    return lower.get(unit.lower()) if unit.lower() != "ms" else None


def _allowed(column: Column) -> str:
    if not column.units:
        return ""
    names = [name for name, _ in column.units if name.isalpha() and name not in ("degree", "degrees", "sec", "hr")]
    return f" in {column.unit}; the units {', '.join(names)} may follow it"


def shown(typed: str) -> str:
    """Return what was typed as it stands in a sentence."""
    return repr(typed if len(typed) <= 60 else f"{typed[:57]}...")
