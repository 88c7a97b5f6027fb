"""How long a region was exposed in each bin of a light curve, and to what the rest of the bin was lost.

The CCDs of a region count by the part of its area that is on each, with their own good time and live fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.events.eventlist import EventList
from reduction.events.goodtime import GTI, GTITables, of_ccd, union
from reduction.timing.binning import Floats, exposed_s, good_time_before

CAUSES = ("GTI", "CCD OFF", "USER GTI", "TELEMETRY")
"""What takes exposure from a region: no CCD of the list had good time; those of the region had none while others had;
the good times that the user gave, such as a flare filter; frames that were lost on the way down."""

LEAST_GAP_S = 1e-3
"""Shorter gaps are the rounding of the ends of good times."""

_NO_TIME = GTI(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class CcdTime:
    """The good time of one CCD of a region: that of the event list, that within the user's, and that received.

    `share` is the part of the region's area on it, `live_fraction` the part of good time in which it could see photons.
    """

    share: float
    live_fraction: float
    listed: GTI
    chosen: GTI
    received: GTI


@dataclass(frozen=True)
class Gap:
    """A time in which a region was not exposed at all, in seconds of the list's clock, and what took most of it."""

    start_s: float
    stop_s: float
    cause: str


@dataclass(frozen=True)
class RegionTime:
    """The time in which a region was exposed: that of its CCDs, and the time in which any CCD of the list was on."""

    ccds: tuple[CcdTime, ...]
    any_ccd: GTI

    @property
    def live_fraction(self) -> float:
        """The live fraction of the region: that of its CCDs, by their shares."""
        return sum(ccd.share * ccd.live_fraction for ccd in self.ccds)

    def live_s(self, edges_s: Floats) -> Floats:
        """Return the live time in each bin, shape (bins,), in seconds."""
        parts = [ccd.share * ccd.live_fraction * exposed_s(edges_s, ccd.received) for ccd in self.ccds]
        return self._sum(parts, edges_s)

    def live_before(self, moments_s: npt.ArrayLike) -> Floats:
        """Return the live time in seconds before each moment, shape of `moments_s`."""
        moments = np.asarray(moments_s, dtype=np.float64)
        total = np.zeros(moments.shape)
        for ccd in self.ccds:
            total += ccd.share * ccd.live_fraction * good_time_before(moments, ccd.received)
        return total

    def moments_of(self, live_s: npt.ArrayLike) -> Floats:
        """Return when so much live time had gone by, shape of `live_s`: within a gap, when it ends."""
        ends = np.concatenate([np.concatenate((ccd.received.start, ccd.received.stop)) for ccd in self.ccds])
        turns = np.unique(ends)
        before = np.maximum.accumulate(self.live_before(turns))
        return np.asarray(np.interp(np.asarray(live_s, dtype=np.float64), before, turns), dtype=np.float64)

    def lost_s(self, edges_s: Floats) -> Floats:
        """Return the time in each bin that each of `CAUSES` took, shape (causes, bins), in seconds of all CCDs on."""
        width = np.diff(edges_s)
        left = [width, exposed_s(edges_s, self.any_ccd)]
        for name in ("listed", "chosen", "received"):
            left.append(self._sum([ccd.share * exposed_s(edges_s, getattr(ccd, name)) for ccd in self.ccds], edges_s))
        return np.asarray(np.maximum(np.array(left[:-1]) - np.array(left[1:]), 0.0), dtype=np.float64)

    def gaps(self, start_s: float, stop_s: float) -> tuple[Gap, ...]:
        """Return the times between two moments in which no CCD of the region was exposed, in order."""
        exposed = union(ccd.received for ccd in self.ccds) & GTI.of([start_s], [stop_s])
        edges = np.concatenate(([start_s], np.column_stack((exposed.start, exposed.stop)).ravel(), [stop_s]))
        missing = edges.reshape(-1, 2)
        missing = missing[missing[:, 1] - missing[:, 0] > LEAST_GAP_S]
        if not missing.size:
            return ()
        flat, places = np.unique(missing.ravel(), return_inverse=True)
        lost = self.lost_s(flat)[:, places.reshape(-1, 2)[:, 0]]
        return tuple(Gap(float(start), float(stop), CAUSES[cause])
                     for (start, stop), cause in zip(missing, lost.argmax(axis=0).tolist(), strict=True))  # fmt: skip

    @staticmethod
    def _sum(parts: list[Floats], edges_s: Floats) -> Floats:
        total = np.sum(parts, axis=0) if parts else np.zeros(len(edges_s) - 1)
        return np.asarray(total, dtype=np.float64)


def region_time(
    events: EventList, chosen: GTITables, shares: Mapping[int | None, float], lost_frames: Mapping[int, GTI]
) -> RegionTime:
    """Return the time in which a region was exposed.

    Parameters
    ----------
    events
        The open event list: its good times and live fractions.
    chosen
        Good times within those of the user, by CCD.
    shares
        CCD number (None: no CCD column) -> part of the region's area on it; their sum is 1.
    lost_frames
        CCD number -> time in which its frames were lost.

    Returns
    -------
    RegionTime
        A CCD without good time has none.
    """
    ccds = []
    for ccd, share in shares.items():
        fraction, _ = events.mission.live_fraction(events.keywords, ccd)
        within = of_ccd(chosen, ccd) or _NO_TIME
        lost = lost_frames.get(ccd) if ccd is not None else None
        received = within & complement(lost, within) if lost is not None and len(lost) and len(within) else within
        ccds.append(CcdTime(share, fraction, of_ccd(events.gtis, ccd) or _NO_TIME, within, received))
    return RegionTime(tuple(ccds), union(events.gtis.values()))


def complement(lost: GTI, of: GTI) -> GTI:
    """Return the time from the first to the last of some good time that is in none of the intervals `lost`."""
    start = np.concatenate(([of.start[0]], lost.stop))
    stop = np.concatenate((lost.start, [of.stop[-1]]))
    some = stop > start
    return GTI.of(start[some], stop[some])
