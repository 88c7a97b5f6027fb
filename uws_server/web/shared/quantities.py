"""Positions, times and lists of products and observations as pages write them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)


def ra(degrees: float | None) -> str:
    """Return a right ascension in degrees; a dash for None."""
    return "–" if degrees is None else f"{degrees:.4f}"


def dec(degrees: float | None) -> str:
    """Return a declination in degrees; a dash for None."""
    return "–" if degrees is None else f"{degrees:+.4f}".replace("-", "−")


def sexagesimal(ra_deg: float | None, dec_deg: float | None) -> str:
    """Return a position in hours and degrees, such as 05:34:31.9 +22:00:52; '' where it is not known."""
    if ra_deg is None or dec_deg is None:
        return ""
    tenths = round(ra_deg * 2400) % 864000
    seconds = round(abs(dec_deg) * 3600)
    return (f"{tenths // 36000:02d}:{tenths // 600 % 60:02d}:{tenths % 600 / 10:04.1f} {'-' if dec_deg < 0 else '+'}"
            f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}")  # fmt: skip


def time(mjd: float | None) -> datetime | None:
    """Return an MJD as a time, UTC; None for None and for one that no calendar has."""
    if mjd is None:
        return None
    try:
        return _MJD_ZERO + timedelta(days=mjd)
    except OverflowError:
        return None


def date(mjd: float | None) -> str:
    """Return the day of an MJD; a dash for None."""
    found = time(mjd)
    return "–" if found is None else found.strftime("%Y-%m-%d")


def seconds(value: float | None) -> str:
    """Return a live time; a dash for None."""
    if value is None:
        return "–"
    return f"{value / 1000:.1f} ks" if value >= 1000 else f"{value:.0f} s"


def listed(values: Sequence[str]) -> str:
    """Return texts in a row; a dash for none."""
    return ", ".join(values) or "–"


def cameras(words: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the instruments that words for cameras stand for, each with its words."""
    found: dict[str, list[str]] = {}
    for word, instruments in words.items():
        found.setdefault(", ".join(instruments), []).append(word)
    return [(instruments, ", ".join(every)) for instruments, every in found.items()]
