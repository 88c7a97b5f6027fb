"""Cuts on top of a selection, by CCD, time and phase, and one pass over an event list that counts what each leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.goodtime import GTI, combine, of_ccd, span
from reduction.events.phase import Phases
from reduction.events.selection import Mask, Region, Selection, in_good_time, in_region, keep, row_tests
from reduction.missions import Ranges

_SHARP: Final = 0.25
"""A cut that leaves less than this part of the rows copies them together: a copy costs more than a few tests."""


@dataclass(frozen=True)
class Cut:
    """A cut and the number of events that it and those before it leave."""

    name: str
    left: int


@dataclass(frozen=True)
class Passage:
    """What a pass over an event list left: the cuts in their order, of which the first is the whole list.

    `no_time` and `bad_time` events were dropped at the cut of the good times because they have no time, or lie outside
    of the good time.
    """

    cuts: tuple[Cut, ...]
    no_time: int
    bad_time: int

    @property
    def kept(self) -> int:
        """How many events were left by all cuts."""
        return self.cuts[-1].left


def require_band(events: EventList, selection: Selection) -> None:
    """Raise ReductionError if the instrument has no channel in the energies of a selection."""
    if selection.takes_all_energies:
        return
    mission, (low, high) = events.mission, selection.energy_kev
    edges = mission.channel_energies()
    least, most = max(float(edges[0]), 0.0), float(edges[-1])
    if high <= least or low >= most:
        raise ReductionError(f"{mission.name} has channels from {least:g} to {most:g} keV, none from {low:g} to "
                             f"{high:g} keV; give other energies, or none for all", "energy")  # fmt: skip


def require_in_time(events: EventList, selection: Selection, passage: Passage) -> None:
    """Check that the event list's own good times leave some of its events.

    Parameters
    ----------
    events
        The event list.
    selection
        What was selected.
    passage
        What was left.

    Raises
    ------
    ReductionError
        All events lie outside.
    """
    if not passage.kept and passage.bad_time and selection.gtis == events.gtis:
        raise ReductionError(f"all {passage.bad_time} events that pass the other cuts lie outside the good times of "
                             f"{events.name}: its GTI tables are not of its events", "eventlist")  # fmt: skip


def on_ccds(events: EventList, selection: Selection, ccds: Ranges | None) -> Selection:
    """Narrow a selection to some CCDs.

    Parameters
    ----------
    events
        The event list.
    selection
        What was selected so far.
    ccds
        The numbers of the CCDs; None for all.

    Returns
    -------
    Selection
        The selection with the good times of these CCDs alone.

    Raises
    ------
    ReductionError
        The list has no column of CCDs, or these have no good time.
    """
    if ccds is None:
        return selection
    wanted = [ccd for low, high in ccds for ccd in range(low, high + 1)]
    if events.ccd is None:
        raise ReductionError(f"{events.name} has no column {events.mission.ccd}; write all", "ccd")
    gtis: dict[int | None, GTI] = {ccd: good for ccd in wanted if (good := of_ccd(selection.gtis, ccd))}
    if not any(good.total > 0 for good in gtis.values()):
        there = ", ".join(str(ccd) for ccd in sorted(ccd for ccd in selection.gtis if ccd is not None))
        raise ReductionError(f"CCD {', '.join(map(str, wanted))[:60]} has no good time; the event list has that of "
                             f"{f'CCD {there}' if there else 'all CCDs together'}", "ccd")  # fmt: skip
    return replace(selection, gtis=gtis, ccds=ccds)


def in_time(selection: Selection, times: GTI | None) -> Selection:
    """Return a selection narrowed to some ranges of time. Raise ReductionError if they leave no good time."""
    if times is None:
        return selection
    gtis = combine(selection.gtis, {None: times})
    if not any(good.total > 0 for good in gtis.values()):
        mine, asked = span(selection.gtis), span({None: times})
        assert mine and asked
        raise ReductionError(f"it leaves no good time: good times from {mine[0]:.3f} to {mine[1]:.3f} s, asked from "
                             f"{asked[0]:.3f} to {asked[1]:.3f} s", "time")  # fmt: skip
    return replace(selection, gtis=gtis)


def at_phases(selection: Selection, phases: Phases | None) -> Selection:
    """Return a selection narrowed to some phases of a period."""
    return replace(selection, phases=phases)


def filter_events(
    events: EventList, selection: Selection, region: Region | None, sink: Callable[[Rows], None]
) -> Passage:
    """Go once through an event list, hand on what is selected, and count what each cut leaves.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    region
        Where it must be, in the plane of the X,Y columns; None for everywhere.
    sink
        Called with the selected rows, in the order of the list; they are valid during the call.

    Returns
    -------
    Passage
        The counts.

    Raises
    ------
    ReductionError
        A region is given and the event list has no sky columns.
    """
    if region is not None and (events.x is None or events.y is None):
        raise ReductionError(f"a region is given, but {events.name} ({events.mission.name}) has no sky columns; leave "
                             "the region empty", "region")  # fmt: skip
    counter = _Counter(events, selection, region)
    for rows in events.chunks():
        kept = counter.left_of(rows)
        if kept.size:
            sink(kept)
    return counter.passage()


class _Counter:
    """Applies the cuts to rows, chunk by chunk, and counts."""

    def __init__(self, events: EventList, selection: Selection, region: Region | None) -> None:
        self._events, self._region, self._phases = events, region, selection.phases
        self._selection = replace(selection, phases=None)
        self._tests = row_tests(events, selection, [region])
        self._left = dict.fromkeys(_names([name for name, _ in self._tests], region, selection), 0)
        self._cut_here: dict[str, int] = {}
        self._no_time = self._bad_time = 0

    def left_of(self, rows: Rows) -> Rows:
        """Return the rows that pass every cut."""
        self._left[_ALL] += rows.size
        passed = np.ones(rows.size, dtype=np.bool_)
        for name, test in self._tests:
            passed &= test(rows)
            left = int(np.count_nonzero(passed))
            self._cut_here[name] = left
            if left < _SHARP * rows.size:
                rows = keep(rows, passed)
                passed = np.ones(left, dtype=np.bool_)
        if self._region is not None:
            rows = keep(rows, passed)
            passed = in_region(self._events, self._region, rows)
            self._cut_here[_REGION] = int(np.count_nonzero(passed))
        passed &= self._in_time(rows, passed)
        for name, left in self._cut_here.items():
            self._left[name] += left
        return keep(rows, passed)

    def _in_time(self, rows: Rows, passed: Mask) -> Mask:
        """Tell which of the rows that passed are in good time and at the phases that are kept."""
        times = self._events.time.floats(rows)
        ccds, on_ccd = self._events.ccd.whole(rows) if self._events.ccd else (None, None)
        good = passed & in_good_time(self._selection, times, ccds)
        if on_ccd is not None:
            good &= on_ccd
        known = int(np.count_nonzero(passed & np.isfinite(times)))
        in_time = int(np.count_nonzero(good))
        self._no_time += int(np.count_nonzero(passed)) - known
        self._bad_time += known - in_time
        self._cut_here[_TIME] = in_time
        if self._phases is not None:
            good[good] = self._phases.contains(times[good])
            self._cut_here[_PHASE] = int(np.count_nonzero(good))
        return good

    def passage(self) -> Passage:
        """Return what was counted."""
        cuts = tuple(Cut(name, left) for name, left in self._left.items())
        return Passage(cuts, self._no_time, self._bad_time)


_ALL, _REGION, _TIME, _PHASE = "all events", "region", "good time", "phase"


def _names(tests: Iterable[str], region: Region | None, selection: Selection) -> list[str]:
    """Return the names of all cuts in their order."""
    last = [_TIME] if selection.phases is None else [_TIME, _PHASE]
    return [_ALL, *tests, *([_REGION] if region is not None else []), *last]
