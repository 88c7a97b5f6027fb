"""Phases of a period: read from texts, told for times, and as the good times in which they are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.clock import SECONDS_PER_DAY, Clock
from reduction.events.goodtime import GTI

Floats = npt.NDArray[np.float64]

MAX_WINDOWS = 100_000
"""Most intervals of phase that good times are cut into: more of them are not written."""

_RANGE = re.compile(r"(\d*\.?\d+):(\d*\.?\d+)")
_MJD = re.compile(r"(\d{1,6})(\.\d*)?")


@dataclass(frozen=True)
class Phases:
    """Phases of a period that are kept.

    A phase is ``((t - epoch_s) / period_s) mod 1`` of a time t in seconds of the event list. `ranges` are within 0..1,
    sorted and apart; the lower end belongs to one, the upper does not. `text` is what the user wrote, `epoch` says in
    words what phase 0 is.
    """

    period_s: float
    epoch_s: float
    ranges: tuple[tuple[float, float], ...]
    text: str
    epoch: str

    @property
    def share(self) -> float:
        """The part of a period that is kept."""
        return sum(high - low for low, high in self.ranges)

    def of(self, times: npt.ArrayLike) -> Floats:
        """Return the phases of times in seconds, shape (n,): 0 <= phase < 1."""
        cycles = (np.asarray(times, dtype=np.float64) - self.epoch_s) / self.period_s
        return np.asarray(cycles - np.floor(cycles), dtype=np.float64)

    def contains(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which times, in seconds, shape (n,), have a phase that is kept."""
        phases = self.of(times)
        kept = np.zeros(phases.shape, dtype=np.bool_)
        for low, high in self.ranges:
            kept |= (phases >= low) & (phases < high)
        return kept

    def within(self, good: GTI) -> GTI | None:
        """Return the part of some good time whose phases are kept; None where it has more than MAX_WINDOWS pieces."""
        if not len(good):
            return good
        first, last = (math.floor((time - self.epoch_s) / self.period_s) for time in (good.start[0], good.stop[-1]))
        if (last - first + 1) * len(self.ranges) > MAX_WINDOWS:
            return None
        cycles = np.arange(first, last + 1, dtype=np.float64)
        starts, stops = (self.epoch_s + self.period_s * np.add.outer(cycles, np.array(ends)).ravel()
                         for ends in zip(*self.ranges, strict=True))  # fmt: skip
        return good & GTI.of(starts, stops, "phases")


def parse_phases(text: str, period_s: float | None, epoch: str, clock: Clock) -> Phases | None:
    """Read which phases a user wants.

    Parameters
    ----------
    text
        Ranges such as ``0.2:0.4`` or ``0.9:1.1,0.4:0.6``; empty for all phases.
    period_s
        The period in seconds.
    epoch
        The time of phase 0 as MJD in the time system of the event list; empty for its time 0.
    clock
        The clock of the event list.

    Returns
    -------
    Phases or None
        The phases; None for all.

    Raises
    ------
    ReductionError
        A text makes no sense, a phase is asked without a period or the reverse, or the list tells no MJD.
    """
    if not text.strip():
        if period_s is not None or epoch.strip():
            raise ReductionError("a period or an epoch is given and no phase; write phases such as 0.2:0.4", "phases")
        return None
    if period_s is None:
        raise ReductionError("phases are asked without a period; give it in seconds", "period")
    if not (math.isfinite(period_s) and period_s > 0):
        raise ReductionError(f"{period_s:g} s is no period; it is above 0", "period")
    epoch_s, words = _epoch(epoch.strip(), clock)
    return Phases(period_s, epoch_s, _ranges(text), re.sub(r"\s", "", text), words)


def _ranges(text: str) -> tuple[tuple[float, float], ...]:
    """Read ranges of phase, cut at whole phases and joined where they overlap. Raise ReductionError."""
    pieces: list[tuple[float, float]] = []
    for part in (piece.strip() for piece in text.split(",")):
        found = _RANGE.fullmatch(re.sub(r"\s*:\s*", ":", part))
        low, high = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
        if not (0 <= low < high <= low + 1 and high <= 2):
            raise ReductionError(f"{part[:40]!r} is no range of phases; write the lower end first, such as 0.2:0.4, or "
                                 "0.9:1.1 across phase 0", "phases")  # fmt: skip
        whole = math.floor(low)
        low, high = low - whole, high - whole
        pieces += [(low, high)] if high <= 1 else [(low, 1.0), (0.0, high - 1)]
    joined: list[tuple[float, float]] = []
    for low, high in sorted(pieces):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def _epoch(text: str, clock: Clock) -> tuple[float, str]:
    """Return the time of phase 0 in seconds of the clock, and in words. Raise ReductionError."""
    where = f"{clock.system or 'the time system of the list'}{f', TIMEREF {clock.place}' if clock.place else ''}"
    if not text:
        return 0.0, f"time 0 of the event list ({where})"
    found = _MJD.fullmatch(text)
    if found is None:
        raise ReductionError(f"{text[:40]!r} is no epoch; write an MJD such as 53000.25, in {where}", "epoch")
    if clock.day is None:
        raise ReductionError("the event list has no MJDREF, so that an MJD cannot be found in it; leave the epoch "
                             "empty for its time 0", "epoch")  # fmt: skip
    days = (int(found[1]) - clock.day) + (float(f"0{found[2]}") if found[2] else 0.0) - clock.fraction
    return days * SECONDS_PER_DAY - clock.zero_s, f"MJD {text} ({where})"
