"""Times, durations, sizes and sentences as pages write them. Imports nothing of ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_NAMED = re.compile(r"[\w.]+:", re.ASCII)
"""A message that begins with the name of a parameter."""

_LONG = 1000
_LONG_LINES = 10


def when(time: datetime | None) -> str:
    """Return a time in UTC to the second, such as 2026-11-20 02:13:41; a dash for None."""
    return "–" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(time: datetime) -> str:
    """Return a time for the datetime attribute of HTML."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float | None) -> str:
    """Return a duration as hours, minutes and seconds, such as 00:00:17; a dash for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest:02d}"


def size(count: int) -> str:
    """Return a number of bytes with three digits in B, KiB, MiB or GiB."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1024, ["KiB", "MiB", "GiB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.1f} {units[0]}" if value < 99.95 else f"{value:.0f} {units[0]}"


def is_long(text: str) -> bool:
    """Return whether a text would take more than some ten lines of a page."""
    return len(text) > _LONG or text.count("\n") > _LONG_LINES


def sentence(text: str) -> str:
    """Return a message of the server as a sentence: with a capital at its beginning (names as they are) and a full
    stop.
    """
    text = text.strip()
    if _NAMED.match(text):
        return text
    end = "" if text.endswith((".", "!", "?", ":", "”", '"')) or not text else "."
    return text[:1].upper() + text[1:] + end
