"""Good time intervals as a value with set arithmetic, for one CCD and by CCD."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

from provenance.fits.gtitables import Times, joined
from reduction.errors import ReductionError


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
        """Make the value of intervals in any order, overlapping or not.

        Parameters
        ----------
        start
            Times in seconds at which the intervals start, shape (n,).
        stop
            Times in seconds at which they stop, shape (n,).
        parameter
            Job parameter named in the error.

        Returns
        -------
        GTI
            The intervals, sorted; those that overlap or touch are joined.

        Raises
        ------
        ReductionError
            There are more starts than stops or fewer, a time is not finite, or a stop comes before its start.
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
        return cls(*joined(starts, stops))

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
        return GTI(*joined(np.concatenate((self.start, other.start)), np.concatenate((self.stop, other.stop))))

    def __and__(self, other: GTI) -> GTI:
        edges = np.unique(np.concatenate((self.start, self.stop, other.start, other.stop)))
        inside = np.flatnonzero(self._good_after(edges[:-1]) & other._good_after(edges[:-1]))
        return GTI(*joined(edges[inside], edges[inside + 1]))

    def contains(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which times, in seconds, any shape, are good: start <= t <= stop. NaN is never good."""
        moments = np.asarray(times, dtype=np.float64)
        if not len(self):
            return np.zeros(moments.shape, dtype=bool)
        if moments.size and self.holds(float(moments.min()), float(moments.max())):  # the usual case
            return np.ones(moments.shape, dtype=bool)
        before = np.searchsorted(self.start, moments, side="right") - 1
        return np.asarray((before >= 0) & (moments <= self.stop[before]), dtype=np.bool_)

    def holds(self, first_s: float, last_s: float) -> bool:
        """Tell whether all time from a first to a last one is good, both in seconds. NaN is never good."""
        around = bisect_right(self._starts, first_s) - 1
        return around >= 0 and self._starts[around] <= first_s and last_s <= self._stops[around]

    @cached_property
    def _starts(self) -> list[float]:
        return [float(start) for start in self.start]

    @cached_property
    def _stops(self) -> list[float]:
        return [float(stop) for stop in self.stop]

    def _good_after(self, moments: Times) -> npt.NDArray[np.bool_]:
        """Tell whether the time right after each moment is good."""
        begun = np.searchsorted(self.start, moments, side="right")
        return np.asarray(begun > np.searchsorted(self.stop, moments, side="right"), dtype=np.bool_)

    def shifted(self, seconds: float) -> GTI:
        """Return the same intervals on a clock that shows `seconds` more."""
        return GTI(self.start + seconds, self.stop + seconds) if seconds else self


GTITables = Mapping[int | None, GTI]
"""Good time by CCD number; under None what holds for every CCD."""


def union(tables: Iterable[GTI]) -> GTI:
    """Return the time that is good in any of some tables."""
    return reduce(lambda one, other: one | other, tables, GTI(np.empty(0), np.empty(0)))


def of_ccd(tables: GTITables, ccd: int | None) -> GTI | None:
    """Return the good time of one CCD, its own table within the common one; None if neither is there."""
    own, common = tables.get(ccd) if ccd is not None else None, tables.get(None)
    if own is not None and common is not None:
        return own & common
    return own if own is not None else common


def of_user(tables: GTITables, user: GTITables, has_ccds: bool) -> tuple[GTITables, list[str]]:
    """Return a user's good times as they are for the CCDs of an event list.

    Parameters
    ----------
    tables
        Good times of the event list by CCD.
    user
        Those of the user; empty for none.
    has_ccds
        Whether the list tells the CCDs of its events: of one that does not, any time is good that is so for some CCD.

    Returns
    -------
    user, notes
        The good times, and a note on the CCDs that they leave out where the list itself has one table for all.
    """
    if not user or None in user:
        return user, []
    if not has_ccds:
        return {None: union(user.values())}, []
    there = ", ".join(str(ccd) for ccd in sorted(ccd for ccd in user if ccd is not None))
    note = f"gti: the file has the good times of CCD {there}; other CCDs have none"
    return user, [note] if set(tables) <= {None} else []


def combine(tables: GTITables, user: GTITables) -> dict[int | None, GTI]:
    """Return the good time of an event list within that of a user's GTI file, by CCD.

    A CCD that a user's file by CCD leaves out has no good time, whether the list has its own by CCD or one for all: so
    does a data subspace whose components, one a CCD, name a table each.
    """
    if not user:
        return dict(tables)
    ccds = set(tables) or {None}
    if None in ccds:
        ccds = (ccds - {None}) | set(user)
    result: dict[int | None, GTI] = {}
    for ccd in ccds:
        mine, theirs = of_ccd(tables, ccd), of_ccd(user, ccd)
        if theirs is None:
            theirs = GTI(np.empty(0), np.empty(0))
        result[ccd] = theirs if mine is None else mine & theirs
    return result


def span(tables: GTITables) -> tuple[float, float] | None:
    """Return the first start and last stop of all tables in seconds; None where there is no good time."""
    everything = union(tables.values())
    return (float(everything.start[0]), float(everything.stop[-1])) if len(everything) else None


def remaining(name: str, tables: GTITables, user: GTITables) -> dict[int | None, GTI]:
    """Return the good time that an event list has within that of a user's GTI file, as `combine` does.

    Parameters
    ----------
    name
        What the event list is called.
    tables
        Its good times by CCD.
    user
        Those of the user; empty for none.

    Returns
    -------
    dict
        Good times by CCD.

    Raises
    ------
    ReductionError
        Nothing is left; the sentence says where the good times lie.
    """
    found = combine(tables, user)
    if any(good.total > 0 for good in found.values()):
        return found
    mine, theirs = span(tables), span(user)
    if mine is None:
        raise ReductionError(f"{name} has no good time: its good time intervals are empty", "eventlist")
    if (union(tables.values()) & union(user.values())).total > 0:
        raise ReductionError(f"it leaves no good time: it has that of {_ccds(user)}, the event list that of "
                             f"{_ccds(tables)}", "gti")  # fmt: skip
    asked = f"GTI from {theirs[0]:.3f} to {theirs[1]:.3f} s" if theirs else "the GTI file holds no interval"
    raise ReductionError(f"it leaves no good time: event list from {mine[0]:.3f} to {mine[1]:.3f} s, {asked}", "gti")


def _ccds(tables: GTITables) -> str:
    """Return which CCDs have good time, in words."""
    numbers = sorted(ccd for ccd, good in tables.items() if ccd is not None and good.total > 0)
    return f"CCD {', '.join(map(str, numbers))}" if numbers else "no single CCD"
