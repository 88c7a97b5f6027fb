"""Which events are wanted: energies, patterns, flags, good times and regions, and the tests of rows for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Column, Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.goodtime import GTI, of_ccd, of_user, remaining
from reduction.events.gti import TabledGTI
from reduction.events.phase import Phases
from reduction.missions import Ranges, parse_patterns

Mask = npt.NDArray[np.bool_]

ALL_FLAG_BITS = 0xFFFFFFFF
ENERGY_LIMITS_KEV = (0.01, 200.0)

ALL_ENERGIES_KEV = (-math.inf, math.inf)
"""The energies of a selection that does not ask for any."""


class Region(Protocol):
    """A region in the plane of the X,Y columns."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest and largest X, smallest and largest Y."""

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Mask:
        """Tell which of the points, shape (n,) each, lie in the region."""


@dataclass(frozen=True)
class Selection:
    """What an event must be, the region apart.

    `energy_kev` is inclusive at both ends, infinite where all energies are taken; `patterns` None takes all; an event
    is taken if no bit of `flag_mask` is set in its flag (0 takes all); `gtis` are the good times by CCD. `ccds` and
    `phases` None take all.
    """

    energy_kev: tuple[float, float]
    patterns: Ranges | None
    flag_mask: int
    gtis: Mapping[int | None, GTI]
    notes: tuple[str, ...] = ()
    ccds: Ranges | None = None
    phases: Phases | None = None

    @property
    def takes_all_energies(self) -> bool:
        """Whether no energy is selected."""
        return self.energy_kev == ALL_ENERGIES_KEV

    def stored_energies(self, events: EventList) -> tuple[float, float]:
        """Return the energy range in values of the energy column, whole numbers where the column has such."""
        low, high = (events.mission.energy_to_value(energy) for energy in self.energy_kev)
        if events.energy.is_whole:
            return float(math.ceil(low - 1e-6)), float(math.floor(high + 1e-6))
        return float(f"{low:.10g}"), float(f"{high:.10g}")  # without the last digits of the division


def parse_energy(value: str | Sequence[float], parameter: str = "energy") -> tuple[float, float]:
    """Read an energy range in keV: two numbers, the lower first, as text or as a sequence. Raise ReductionError."""
    parts = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else list(value)
    lowest, highest = ENERGY_LIMITS_KEV
    try:
        low, high = (float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise ReductionError(f"{str(value)[:60]!r} is no energy range; give two numbers in keV, such as 0.2 12.0",
                             parameter) from error  # fmt: skip
    if not lowest <= low < high <= highest:
        raise ReductionError(f"{low:g} {high:g} is no energy range; give the lower end first, both within {lowest:g} "
                             f"to {highest:g} keV", parameter)  # fmt: skip
    return low, high


def choose(
    events: EventList,
    energy: str | Sequence[float] | None,
    pattern: str = "default",
    flag: str = "default",
    user_gti: Mapping[int | None, GTI] | None = None,
) -> Selection:
    """Return the selection that the texts of a user mean for an event list.

    Parameters
    ----------
    events
        The open event list.
    energy
        Two numbers in keV; None for all energies, also of events that have none.
    pattern
        ``default``, ``all`` or a list (see `missions.parse_patterns`).
    flag
        ``default`` (the mask of the file), ``strict`` (no bit set) or ``none``.
    user_gti
        Good time intervals taken together with those of the event list, on its clock.

    Returns
    -------
    Selection
        What an event must be, with notes about what cannot be selected and where the mask of the flag is from.

    Raises
    ------
    ReductionError
        A word is not understood, asks for a column that is not there, or leaves no good time.
    """
    patterns = parse_patterns(pattern, events.mission)
    notes = []
    if patterns is not None and events.pattern is None:
        if pattern.strip().lower() != "default":
            raise ReductionError(f"{events.name} has no column {events.mission.pattern}; write default or all",
                                 "pattern")  # fmt: skip
        notes.append(f"no column {events.mission.pattern} of numbers: no selection of patterns")
        patterns = None
    mask, note = _flag_mask(events, flag.strip().lower())
    notes += user_gti.notes if isinstance(user_gti, TabledGTI) else []
    user, left_out = of_user(events.gtis, user_gti or {}, has_ccds=events.ccd is not None)
    gtis = remaining(events.name, events.gtis, user)
    energy_kev = ALL_ENERGIES_KEV if energy is None else parse_energy(energy)
    return Selection(energy_kev, patterns, mask, gtis, tuple(notes + left_out + note))


def _flag_mask(events: EventList, word: str) -> tuple[int, list[str]]:
    """Return the mask of the flag bits that must be unset, and notes about it. Raise ReductionError."""
    if word not in ("default", "strict", "none"):
        raise ReductionError(f"{word[:40]!r} is no choice of flags; write default, strict or none", "flag")
    if events.flag is None:
        if word == "strict":
            raise ReductionError(f"events of {events.mission.name} have no flag in {events.name}; write default or "
                                 "none", "flag")  # fmt: skip
        return 0, [f"no column {events.mission.flag} of numbers: no selection of flags"] if events.mission.flag else []
    if word == "default":
        mask, origin = events.mission.flag_mask(events.keywords)
        return mask, [f"flag: (FLAG & {mask:#x}) == 0, from {origin}"]
    return (ALL_FLAG_BITS if word == "strict" else 0), []


def keep(rows: Rows, mask: Mask) -> Rows:
    """Return the rows where the mask holds; a copy unless it holds everywhere.

    As opaque bytes: numpy copies structured rows field by field, twenty times slower.
    """
    if mask.all():
        return rows
    return rows.view(f"V{rows.dtype.itemsize}").compress(mask).view(rows.dtype)


def row_tests(
    events: EventList, selection: Selection, regions: Sequence[Region | None]
) -> list[tuple[str, Callable[[Rows], Mask]]]:
    """Return what an event must be in any of some regions, but for the regions themselves and the times.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    regions
        Regions in the plane of the X,Y columns; None for all events.

    Returns
    -------
    list
        The name of each cut and its test of rows, the cheap and the sharp ones first; two may have one name.
    """
    tests: list[tuple[str, Callable[[Rows], Mask]]] = []
    boxes = [region.bounds for region in regions if region]
    if len(boxes) == len(regions):
        tests += [("box around the region", test) for test in box_tests(events, boxes)]
    if events.ccd and selection.ccds is not None:
        tests.append(("CCD", _among(events.ccd, selection.ccds)))
    if events.flag and selection.flag_mask:
        tests.append(("flag", _unset(events.flag, selection.flag_mask)))
    if events.pattern and selection.patterns is not None:
        tests.append(("pattern", _among(events.pattern, selection.patterns)))
    if not selection.takes_all_energies:
        tests.append(("energy", events.energy.between(*selection.stored_energies(events))))
    return tests


def box_tests(events: EventList, boxes: Sequence[tuple[float, float, float, float]]) -> list[Callable[[Rows], Mask]]:
    """Return the tests, first of X and then of Y, that rows lie in the box around some boxes; none without a sky."""
    if not boxes or events.x is None or events.y is None:
        return []
    low_x, high_x, low_y, high_y = zip(*boxes, strict=True)
    return [events.x.between(min(low_x), max(high_x)), events.y.between(min(low_y), max(high_y))]


def _unset(column: Column, mask: int) -> Callable[[Rows], Mask]:
    """Return a test that no bit of the mask is set in the value, whole numbers of any type; a row without one fails."""
    if mask == ALL_FLAG_BITS:
        return column.between(0, 0)
    if column.is_whole and not column.scaled and column.null is None:
        kind = np.dtype(f"u{column.dtype.itemsize}")
        bits = kind.type(mask & (2 ** (8 * column.dtype.itemsize) - 1))

        def test_bits(rows: Rows) -> Mask:
            stored = column.stored(rows).view(kind)
            stored &= bits
            return np.asarray(stored == 0, dtype=np.bool_)

        return test_bits

    def test(rows: Rows) -> Mask:
        numbers, valid = column.whole(rows)
        unset = np.asarray((numbers.astype(np.int64) & mask) == 0, dtype=np.bool_)
        return unset if valid is None else unset & valid

    return test


def _among(column: Column, ranges: Ranges) -> Callable[[Rows], Mask]:
    """Return a test that the value, a whole number but for rounding, lies in one of the ranges."""
    tests = [column.between(low - 0.5, high + 0.5) for low, high in ranges]
    if len(tests) == 1:
        return tests[0]
    return lambda rows: np.logical_or.reduce([test(rows) for test in tests])


def in_region(events: EventList, region: Region, rows: Rows) -> Mask:
    """Tell which rows lie in a region.

    Parameters
    ----------
    events
        The event list, which has sky columns.
    region
        The region in the plane of the X,Y columns.
    rows
        Rows of the list, shape (n,).

    Returns
    -------
    Mask
        Shape (n,); a row without a position lies nowhere.
    """
    assert events.x is not None and events.y is not None
    x, y = events.x.floats(rows), events.y.floats(rows)
    inside = np.isfinite(x) & np.isfinite(y)
    inside[inside] = region.contains(x[inside], y[inside])
    return inside


def in_good_time(selection: Selection, times: npt.NDArray[np.float64], ccds: npt.NDArray[Any] | None) -> Mask:
    """Tell which events lie in the good time of their CCD, and at a phase that is kept.

    Parameters
    ----------
    selection
        Its good times and phases. A CCD without good time intervals has no good time.
    times
        Times in seconds, shape (n,).
    ccds
        The CCDs of the same events; None where the list has none.

    Returns
    -------
    Mask
        Shape (n,).
    """
    good = np.zeros(times.size, dtype=np.bool_)
    present = present_ccds(ccds)
    for ccd in present:
        intervals = of_ccd(selection.gtis, ccd)
        if intervals is None:
            continue
        mine = slice(None) if len(present) == 1 else ccds == ccd
        good[mine] = intervals.contains(times[mine])
    if selection.phases is not None:
        good[good] = selection.phases.contains(times[good])
    return good


def surely_in_good_time(selection: Selection, first_s: float, last_s: float, present: Sequence[int | None]) -> bool:
    """Tell whether all events are kept of which the times and the CCDs are known; False where one has to look.

    Parameters
    ----------
    selection
        Its good times and phases.
    first_s
        The first time in seconds, NaN where some event has none.
    last_s
        The last one.
    present
        The CCDs of the events, as `present_ccds` returns them.

    Returns
    -------
    bool
        True where the events are of one CCD, one of its good time intervals holds both times, and all phases are kept.
    """
    intervals = of_ccd(selection.gtis, present[0]) if len(present) == 1 and selection.phases is None else None
    return intervals is not None and intervals.holds(first_s, last_s)


def present_ccds(ccds: npt.NDArray[Any] | None) -> list[int | None]:
    """Return the CCDs of some events, None for no number. Lists have one CCD after the other: one is the usual case."""
    if ccds is None:
        return [None]
    if ccds.size and ccds.min() == ccds.max():
        return [int(ccds[0])]
    return [int(ccd) for ccd in np.unique(ccds)]
