"""One pass over an event list, which counts the selected events of several regions and hands them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.selection import (
    Mask,
    Region,
    Selection,
    box_tests,
    in_good_time,
    in_region,
    keep,
    present_ccds,
    row_tests,
    surely_in_good_time,
)

Test = Callable[[Rows], Mask]


@dataclass
class Tally:
    """The events of one region that were counted during the pass.

    `counts` are those of the channels of the mission, shape (n,); `per_ccd` are those by CCD (None: no CCD column).
    """

    counts: npt.NDArray[np.int64]
    per_ccd: dict[int | None, int] = field(default_factory=dict)
    selected: int = 0
    no_time: int = 0
    bad_time: int = 0
    off_channels: int = 0
    first_s: float = math.inf
    last_s: float = -math.inf


@dataclass(frozen=True)
class Target:
    """A region to gather events of; None takes all events.

    `sink` gets the selected rows, `observer` rows and which of them are selected, without the cost of copying these
    together; both are valid during the call. An image needs no `channels`: its tally then has counts of 0 in them.
    """

    region: Region | None
    sink: Callable[[Rows], None] | None = None
    observer: Callable[[Rows, Mask], None] | None = None
    channels: bool = True


def gather(
    events: EventList,
    selection: Selection,
    targets: Sequence[Target],
    observers: Iterable[Callable[[Rows], None]] = (),
) -> list[Tally]:
    """Go once through the event list and tally every target.

    The cheapest test comes first: where every target has a region, rows outside the smallest box around all of them
    fall out on X alone, by a strided look at one column. Rows that pass stay in place, beside a mask, as long as a test
    leaves at least half of them; else they are copied together. So are those in the box around the region of a target,
    and those that go to its `sink`.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    targets
        Regions in the plane of the X,Y columns; each event may count for several.
    observers
        Called with every chunk of rows before selection.

    Returns
    -------
    list
        A tally for each target, in the order of `targets`.

    Raises
    ------
    ReductionError
        A region is given and the event list has no sky columns.
    """
    if any(target.region for target in targets) and (events.x is None or events.y is None):
        raise ReductionError(f"{events.name} has no sky columns for a region", "source_region")
    size = events.mission.last_channel - events.mission.first_channel + 1
    tallies = [Tally(np.zeros(size, dtype=np.int64)) for _ in targets]
    tests = [test for _, test in row_tests(events, selection, [target.region for target in targets])]
    boxes = [box_tests(events, [target.region.bounds]) if target.region else [] for target in targets]
    watching, every = tuple(observers), np.ones(0, dtype=np.bool_)
    for rows in events.chunks():
        for observer in watching:
            observer(rows)
        every = every if every.size >= rows.size else np.ones(rows.size, dtype=np.bool_)
        passing = _passing(_Sieved(rows, every[: rows.size], rows.size), tests)
        for target, box, tally in zip(targets, boxes, tallies, strict=True):
            if not passing.number:
                break
            mine = passing if target.region is None else _within(events, target.region, _passing(passing, box))
            if mine.number:
                _count(events, selection, target, tally, mine)
    return tallies


class _Sieved(NamedTuple):
    """Rows, which of them are wanted, and how many that are."""

    rows: Rows
    wanted: Mask
    number: int


def _passing(sieved: _Sieved, tests: Sequence[Test]) -> _Sieved:
    """Return the rows that passed all tests, too.

    They are copied together as soon as most have failed, so that what follows has little to do: before that, the copy
    of whole rows would cost more than to look at single columns of some too many.
    """
    rows, wanted, number = sieved
    for test in tests:
        passed = test(rows)
        wanted = passed if number == rows.size else np.logical_and(passed, wanted, out=passed)
        number = int(np.count_nonzero(wanted))
        if not number:
            return _Sieved(rows[:0], wanted[:0], 0)
        if 2 * number < rows.size:
            rows, wanted = keep(rows, wanted), np.ones(number, dtype=np.bool_)
    return _Sieved(rows, wanted, number)


def _within(events: EventList, region: Region, sieved: _Sieved) -> _Sieved:
    """Return the rows that lie in a region, too."""
    if not sieved.number:
        return sieved
    rows = keep(sieved.rows, sieved.wanted)
    inside = in_region(events, region, rows)
    return _Sieved(rows, inside, int(np.count_nonzero(inside)))


def _count(events: EventList, selection: Selection, target: Target, tally: Tally, sieved: _Sieved) -> None:
    """Apply the good times to the rows of a region that are wanted, then count them by channel and by CCD."""
    rows, good, known = sieved
    times = events.time.floats(rows)
    ccds, on_ccd = events.ccd.whole(rows) if events.ccd else (None, None)
    span, present = (float(times.min()), float(times.max())), present_ccds(ccds)
    if on_ccd is not None or not surely_in_good_time(selection, *span, present):
        known = int(np.count_nonzero(good & np.isfinite(times)))
        good = good & in_good_time(selection, times, ccds)
        if on_ccd is not None:
            good &= on_ccd
    selected = sieved.number if good is sieved.wanted else int(np.count_nonzero(good))
    tally.no_time += sieved.number - known
    tally.bad_time += known - selected
    if not selected:
        return
    tally.selected += selected
    if not tally.first_s <= span[0] <= span[1] <= tally.last_s:
        _span(tally, times[good])
    if ccds is not None:
        for ccd in present:
            mine = selected if len(present) == 1 else int(np.count_nonzero(good & (ccds == ccd)))
            if mine:
                tally.per_ccd[ccd] = tally.per_ccd.get(ccd, 0) + mine
    if target.channels:
        channels = _channels(events, rows)
        on = good & (channels >= 0) & (channels < tally.counts.size)
        counted = channels[on]
        tally.off_channels += selected - counted.size
        tally.counts += np.bincount(counted, minlength=tally.counts.size)
    if target.observer:
        target.observer(rows, good)
    if target.sink:
        target.sink(keep(rows, good))


def _span(tally: Tally, times: npt.NDArray[np.float64]) -> None:
    """Take in the first and the last time of good events."""
    tally.first_s, tally.last_s = min(tally.first_s, float(times.min())), max(tally.last_s, float(times.max()))


def _channels(events: EventList, rows: Rows) -> npt.NDArray[np.int64]:
    """Return the place of each row among the channels of the mission, -1 for one without a channel."""
    column, mission = events.channel, events.mission
    if column.is_whole and column.null is None:
        channels: npt.NDArray[np.int64] = np.floor_divide(column.values(rows), mission.channel_divisor).astype(np.int64)
        return channels - mission.first_channel
    numbers = np.floor(column.floats(rows) / mission.channel_divisor + 1e-9) - mission.first_channel
    on = (numbers >= 0) & (numbers <= mission.last_channel)
    return np.where(on, numbers, -1.0).astype(np.int64)
