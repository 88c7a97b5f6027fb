"""How long a job will probably run, from those before it: as a value, without a database. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import NamedTuple

MOST_SAMPLES = 30
"""Past jobs of a definition that are looked at."""
_ENOUGH = 8
"""Past jobs, and sizes among them, from which on the size of the input may count."""
_CLEAR = 0.6
"""The rank correlation (Spearman) of size and duration from which on it does."""


class Sample(NamedTuple):
    """A job that was COMPLETED: the seconds that it ran, and the bytes of its input files."""

    seconds: float
    size: int


def expected_seconds(samples: Sequence[Sample], size: int) -> float | None:
    """Return the seconds that a job with that many bytes of input is expected to run; None without a sample.

    The median of the samples; where the duration clearly grows with the size, a line through them instead (Theil and
    Sen: the median of the slopes of all pairs, which a few odd ones do not move), within a factor of three of what was
    ever seen.
    """
    if not samples:
        return None
    import statistics  # here: a server that starts need not load it, with the fractions and decimals that it imports

    seconds = [each.seconds for each in samples]
    sizes = [each.size for each in samples]
    if (
        len(set(sizes)) < _ENOUGH
        or len(set(seconds)) < 2
        or statistics.correlation(_ranks(seconds), _ranks(sizes)) < _CLEAR
    ):
        return statistics.median(seconds)
    slope = statistics.median(
        (one.seconds - other.seconds) / (one.size - other.size)
        for one, other in combinations(samples, 2)
        if one.size != other.size
    )
    base = statistics.median(each.seconds - slope * each.size for each in samples)
    return min(max(base + slope * size, min(seconds) / 3), max(seconds) * 3)


def expected_end(started: datetime, reached: datetime, done: int, total: int, now: datetime) -> datetime | None:
    """Return when a job will end that goes on as it went until `reached`, when it had done so many of its stages.

    None before the first has been done, and where that time has passed: then it goes on more slowly.
    """
    if not 0 < done <= total or reached <= started:
        return None
    end = started + (reached - started) * (total / done)
    return end if end > now else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal ones share the middle of theirs."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
