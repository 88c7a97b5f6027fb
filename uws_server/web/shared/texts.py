"""Times, durations, sizes and sentences as pages write them. Imports the jobs' values."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from uws_server.jobs.job import Position

_NAMED = re.compile(r"[\w.]+:", re.ASCII)
"""A message that begins with the name of a parameter."""

_FIRST = re.compile(r"[a-z]+(?=[\s,;:.]*(?:\s|$))", re.ASCII)
_ORDINARY = """
    a about add after all allow an and another any anything are ask at be before both by came can cannot choose close
    could delete did do does each every everything exactly exclude fill for from give go had has have here if import in
    install into is it its leave look looked make may more most must name no nobody none not nothing of on one only open
    or other press reload repeat run same save say send set several should sign some somebody start take that the there
    these this those to too try two under until use wait was were what when where which while who whose why will with
    without would you your

    account address addresses archive background bands bytes channels characters column columns counts days definition
    definitions description destruction draft empty energy error events exposure file files frame good header input jobs
    job line lines longitudes message number numbers page parameter parameters parentheses printable product region
    request requests resolver result results revision sandbox script seconds shape source sources step steps table text
    time times token trials unit unknown upload value values version
"""
_WORDS = frozenset(_ORDINARY.split())
"""The words that get a capital at the beginning of a message; a program has another name."""

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


def roughly(seconds: float) -> str:
    """Return a duration that is not exactly known, as people say it: less than a minute, about 5 minutes."""
    if seconds < 60:
        return "less than a minute"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length or length == 60:
            number = round(seconds / length)
            return f"about {number} {unit}{'' if number == 1 else 's'}"
    return ""


def position(at: Position | None, now: datetime) -> str:
    """Return where a job stands that waits, and when it starts about; '' where nobody knows."""
    if at is None:
        return ""
    if at.obstacle:
        return f"cannot start on this server: {at.obstacle}; it waits for a larger one, ask who runs it"
    start = f", starts in {roughly((at.start - now).total_seconds())}" if at.start else ""
    return f"place {at.place:,} of {at.total:,}{' among short jobs' if at.short else ''}{start}"


def cpu(seconds: float) -> str:
    """Return seconds of CPU as a person reads them: 0.84 s, 12.3 s, 01:12:05."""
    if seconds >= 600:
        return span(seconds)
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


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
    """Return a message as a sentence: with a capital at its beginning and a full stop.

    A name keeps its case: spectrum.fits, evselect, p_max. Only what is known as an ordinary word gets the capital.
    """
    text = text.strip()
    if _NAMED.match(text):
        return text
    end = "" if text.endswith((".", "!", "?", ":", "”", '"')) or not text else "."
    first = _FIRST.match(text)
    return (text[:1].upper() + text[1:] if first and first[0] in _WORDS else text) + end
