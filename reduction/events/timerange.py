"""Ranges of time as a user writes them: seconds of the event list, or dates in UTC."""

from __future__ import annotations

import re

from astropy.time import Time

from reduction.errors import ReductionError
from reduction.events.clock import SECONDS_PER_DAY, Clock
from reduction.events.goodtime import GTI

_NUMBER = r"[-+]?\d+(?:\.\d*)?"
_SECONDS = re.compile(rf"({_NUMBER}):({_NUMBER})")
_DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?Z?"
_DATES = re.compile(rf"({_DATE})/({_DATE})")
_SCALES = {"TT": "tt", "TAI": "tai", "UTC": "utc", "TDB": "tdb"}


def parse_times(text: str, clock: Clock, parameter: str = "time") -> GTI | None:
    """Read ranges of time.

    Parameters
    ----------
    text
        Ranges with commas between: seconds of the event list, ``92870729:92880000``, or UTC,
        ``2000-12-10T21:24:27/2000-12-11T01:00:00``; empty for all times.
    clock
        The clock of the event list.
    parameter
        Job parameter named in errors.

    Returns
    -------
    GTI or None
        The ranges as good times of the event list; None for all.

    Raises
    ------
    ReductionError
        A range makes no sense, or is a date and the event list does not say what its times count from, or counts them
        at the barycentre of the solar system.
    """
    if not text.strip():
        return None
    pairs = [_pair(part.strip(), clock, parameter) for part in text.split(",")]
    for low, high in pairs:
        if not low < high:
            raise ReductionError(f"a range from {low:.3f} to {high:.3f} s is empty; write its start first", parameter)
    return GTI.of([low for low, _ in pairs], [high for _, high in pairs], parameter)


def _pair(text: str, clock: Clock, parameter: str) -> tuple[float, float]:
    """Read one range, in seconds of the clock. Raise ReductionError."""
    if found := _SECONDS.fullmatch(text):
        return float(found[1]), float(found[2])
    if found := _DATES.fullmatch(text):
        return _seconds(found[1], clock, parameter), _seconds(found[2], clock, parameter)
    raise ReductionError(f"{text[:60]!r} is no range of times; write seconds of the event list, 92870729:92880000, or "
                         "UTC, 2000-12-10T21:24:27/2000-12-11T01:00:00", parameter)  # fmt: skip


def _seconds(text: str, clock: Clock, parameter: str) -> float:
    """Return a date in UTC in seconds of the clock. Raise ReductionError."""
    scale = _SCALES.get(clock.system)
    if clock.day is None or scale is None:
        raise ReductionError(f"the times of the event list are in {clock.system or 'no time system'} and count from "
                             f"{'no MJDREF' if clock.day is None else f'MJD {clock.day:g}'}: a date cannot be found in "
                             "them; write seconds of the event list", parameter)  # fmt: skip
    if clock.place not in ("", "LOCAL"):
        raise ReductionError(f"the times of the event list are {clock.place} (TIMEREF), up to 500 s from those of the "
                             "spacecraft; write seconds of the event list", parameter)  # fmt: skip
    try:
        moment = getattr(Time(text.removesuffix("Z"), format="isot", scale="utc"), scale)
    except ValueError as error:
        raise ReductionError(f"{text} is no date", parameter) from error
    origin = Time(clock.day, clock.fraction, format="mjd", scale=scale)
    return float((moment.jd1 - origin.jd1) + (moment.jd2 - origin.jd2)) * SECONDS_PER_DAY - clock.zero_s
