"""Light curves of a region: counts of source and background in bins, exposed seconds, rates with their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.timing import poisson
from reduction.timing.binning import Floats
from reduction.timing.exposure import CAUSES, RegionTime

Counts = npt.NDArray[np.int64]

LEAST_EXPOSED = 1e-6
"""Part of a bin below which it has no rate: what is left there is the rounding of its ends."""

_WHOLE = 1 - 1e-6
"""Part of a bin from which on it has no gap."""


@dataclass(frozen=True)
class Background:
    """The background of a light curve: counts and live time (seconds) in each bin, shape (bins,).

    `ratio` is the good area of the source region over that of the background region.
    """

    counts: Counts
    live_s: Floats
    ratio: float


@dataclass(frozen=True)
class LightCurve:
    """Counts of a region in bins.

    `edges_s` are ascending, on the clock of the event list, shape (bins + 1,). Of shape (bins,): `counts`, the live
    time of the region `live_s`; `lost_s` is that lost to each of `exposure.CAUSES`, shape (causes, bins).
    """

    edges_s: Floats
    counts: Counts
    live_s: Floats
    lost_s: Floats
    live_fraction: float
    background: Background | None = None

    @property
    def width_s(self) -> Floats:
        """The width of each bin in seconds, shape (bins,)."""
        return np.diff(self.edges_s)

    @property
    def middle_s(self) -> Floats:
        """The middle of each bin, shape (bins,)."""
        return np.asarray(self.edges_s[:-1] + self.width_s / 2, dtype=np.float64)

    @property
    def exposed(self) -> Floats:
        """The part of each bin in which the region was exposed, dead time apart (FRACEXP), shape (bins,)."""
        part = self.live_s / (self.width_s * self.live_fraction) if self.live_fraction > 0 else np.zeros(self.bins)
        return np.where(part >= LEAST_EXPOSED, np.minimum(part, 1.0), 0.0)

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.counts)

    @property
    def has_rate(self) -> npt.NDArray[np.bool_]:
        """Which bins were exposed, the background too where there is one, shape (bins,)."""
        exposed = self.exposed > 0
        return exposed if self.background is None else exposed & (self.background.live_s > 0)

    @property
    def background_rate(self) -> Floats:
        """The rate of the background in the area of the source, counts/s, shape (bins,); NaN where there is none."""
        return self._background(lambda counts: counts.astype(np.float64))

    @property
    def background_error(self) -> Floats:
        """The error of `background_rate`."""
        return self._background(poisson.error)

    @property
    def rate(self) -> Floats:
        """Counts/s less those of the background, shape (bins,); NaN where the region was not exposed."""
        rate = self._per_second(self.counts, self.live_s)
        return rate if self.background is None else rate - self.background_rate

    @property
    def errors(self) -> tuple[Floats, Floats]:
        """The 1 sigma errors of `rate` downwards and upwards, those of the background added in quadrature.

        The background's error upwards makes the net rate lower.
        """
        lower, upper = (self._per_second(error, self.live_s) for error in poisson.errors(self.counts))
        if self.background is None:
            return lower, upper
        below, above = (self._background(lambda counts, side=side: poisson.errors(counts)[side])  # type: ignore[misc]
                        for side in (0, 1))  # fmt: skip
        return np.hypot(lower, above), np.hypot(upper, below)

    @property
    def causes(self) -> list[str]:
        """What took most of each bin that is not exposed all the time; empty for a whole one."""
        largest = np.argmax(self.lost_s, axis=0)
        has_gap = self.lost_s.sum(axis=0) > (1 - _WHOLE) * self.width_s
        return [CAUSES[cause] if gap else "" for cause, gap in zip(largest.tolist(), has_gap.tolist(), strict=True)]

    def lost_by_cause(self) -> dict[str, float]:
        """Return the seconds that each of `exposure.CAUSES` took, largest first, those that took any."""
        sums = {cause: float(seconds) for cause, seconds in zip(CAUSES, self.lost_s.sum(axis=1), strict=True)}
        return dict(sorted(((cause, seconds) for cause, seconds in sums.items() if seconds > 0.05),
                           key=lambda found: -found[1]))  # fmt: skip

    def _per_second(self, counts: npt.NDArray[np.generic], live_s: Floats) -> Floats:
        known = self.has_rate
        return np.asarray(np.divide(counts, live_s, out=np.full(self.bins, np.nan), where=known), dtype=np.float64)

    def _background(self, of: Callable[[Counts], Floats]) -> Floats:
        if self.background is None:
            return np.zeros(self.bins)
        return self.background.ratio * self._per_second(of(self.background.counts), self.background.live_s)


def light_curve(edges_s: Floats, counts: Counts, time: RegionTime, background: Background | None = None) -> LightCurve:
    """Return the light curve of counts in bins.

    Parameters
    ----------
    edges_s
        Ascending edges of the bins in seconds, shape (bins + 1,).
    counts
        Events of the region in each bin, shape (bins,).
    time
        The time in which the region was exposed.
    background
        Its background; None for a light curve of all counts.

    Returns
    -------
    LightCurve
        Rates are over the live time of the region.
    """
    return LightCurve(edges_s, counts, time.live_s(edges_s), time.lost_s(edges_s), time.live_fraction, background)


def edges_on_clock(live_edges_s: Floats, time: RegionTime) -> Floats:
    """Return edges in live time as edges on the clock of the event list, ascending, shape (bins + 1,)."""
    edges = np.unique(time.moments_of(live_edges_s))
    if len(edges) < 2:
        raise ReductionError("the region has no live time: no good time of a CCD that it lies on", "source_region")
    return edges
