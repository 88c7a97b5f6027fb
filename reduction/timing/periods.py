"""Periods of a light curve: the H test of its events at many frequencies, and the profile folded at a period.

Both take the exposure into account: a gap makes no peak, and each phase has its own live time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reduction.errors import ReductionError
from reduction.events.goodtime import GTI
from reduction.timing.binning import Floats, counts_in
from reduction.timing.exposure import RegionTime
from reduction.timing.lightcurve import Background, Counts, LightCurve

HARMONICS = 4
"""The most harmonics of a profile that the periodogram looks for: a sine wave has one, narrow or double peaks more."""

_PENALTY = 4
"""What each further harmonic must add to Z^2."""

MOST_STEPS = 2**24
"""The most steps of time or frequency of a periodogram."""

_PER_PERIOD = 32
"""Steps of time in the shortest period that is searched: its fourth harmonic keeps 95 % of its power."""

_OVERSAMPLED = 4
"""Frequencies for each independent one."""


@dataclass(frozen=True)
class Periodogram:
    """The statistic H at frequencies in Hz, shape (n,) both."""

    frequency_hz: Floats
    power: Floats

    @property
    def best(self) -> int:
        """The index of the highest power."""
        return int(self.power.argmax())

    @property
    def period_s(self) -> float:
        """The period of the highest power in seconds."""
        return float(1 / self.frequency_hz[self.best])

    @property
    def chance(self) -> float:
        """At most the probability that a constant source has an H as high at any of the frequencies.

        H is the highest of Z^2 of m harmonics less 4 (m - 1), and Z^2 is distributed as chi^2 with 2 m degrees of
        freedom: the probabilities of each m are added, and so are those of all frequencies, neighbours included.
        """
        highest = float(self.power[self.best])
        single = 0.0
        for harmonics in range(1, HARMONICS + 1):
            half = (highest + _PENALTY * (harmonics - 1)) / 2
            single += math.exp(-half) * sum(half**k / math.factorial(k) for k in range(harmonics))
        return -math.expm1(self.power.size * math.log1p(-min(single, 1 - 1e-16)))


@dataclass(frozen=True)
class Profile:
    """Events folded at a period, in seconds, with phase 0 at the epoch, in seconds of the event list's clock.

    The edges of `curve` are phases from 0 to 1 in place of times.
    """

    curve: LightCurve
    period_s: float
    epoch_s: float


def periodogram(
    times_s: Floats, time: RegionTime, periods_s: tuple[float, float], parameter: str = "periods"
) -> Periodogram:
    """Return the periodogram of events between two periods.

    Parameters
    ----------
    times_s
        Times of the events in seconds, shape (n,).
    time
        The time in which their region was exposed: what a constant source would have given is taken off.
    periods_s
        Shortest and longest period in seconds.
    parameter
        Job parameter named in errors.

    Returns
    -------
    Periodogram
        H (de Jager, Raubenheimer and Swanepoel 1989, A&A 221, 180) of up to HARMONICS harmonics, of the counts in fine
        bins less the mean rate times their exposure, from one Fourier transform.

    Raises
    ------
    ReductionError
        There are no events, the range is none, reaches beyond the observation, or needs more than MOST_STEPS steps.
    """
    low, high = periods_s
    first, last = _span(time)
    length = last - first
    if not times_s.size:
        raise ReductionError("no event is selected, in which a period could be looked for", parameter)
    if not 0 < low < high <= length:
        raise ReductionError(f"{low:g} {high:g} s is no range of periods; give the shorter one first, both above 0 and "
                             f"within the {length:.6g} s from the first to the last good time", parameter)  # fmt: skip
    step = low / _PER_PERIOD
    bins = math.ceil(length / step)
    if bins * _OVERSAMPLED > MOST_STEPS:
        shortest = length * _OVERSAMPLED * _PER_PERIOD / MOST_STEPS
        raise ReductionError(f"periods from {low:g} s need {bins * _OVERSAMPLED:,} steps in {length:,.6g} s; at most "
                             f"{MOST_STEPS:,} are made: begin at {shortest:.3g} s or more", parameter)  # fmt: skip
    edges = first + step * np.arange(bins + 1, dtype=np.float64)
    counts, live = counts_in(times_s, edges), time.live_s(edges)
    residual = counts - counts.sum() * live / live.sum()
    size = 2 ** math.ceil(math.log2(bins * _OVERSAMPLED))
    amplitude = np.abs(np.fft.rfft(residual, size)) ** 2
    resolution = 1 / (size * step)
    chosen = np.arange(max(1, math.ceil(1 / (high * resolution))), math.floor(1 / (low * resolution)) + 1)
    z2, power = np.zeros(chosen.size), np.zeros(chosen.size)
    for number in range(HARMONICS):
        z2 += 2 / counts.sum() * amplitude[(number + 1) * chosen]
        np.maximum(power, z2 - _PENALTY * number, out=power)
    return Periodogram(chosen * resolution, power)


def fold(
    times_s: Floats,
    time: RegionTime,
    period_s: float,
    epoch_s: float,
    bins: int,
    background: tuple[Floats, RegionTime, float] | None = None,
) -> Profile:
    """Return the profile of events folded at a period.

    Parameters
    ----------
    times_s
        Times of the events in seconds, shape (n,).
    time
        The time in which their region was exposed.
    period_s
        The period in seconds.
    epoch_s
        When the phase is 0, in seconds of the same clock.
    bins
        Bins of the phase.
    background
        Times of the events of the background region, its exposed time, and the ratio of the areas; None for none.

    Returns
    -------
    Profile
        Counts and live time of each phase.

    Raises
    ------
    ReductionError
        The period or the number of bins is not above 0.
    """
    if not (np.isfinite(period_s) and period_s > 0):
        raise ReductionError(f"{period_s:g} s is no period; give seconds above 0", "period")
    if bins < 1:
        raise ReductionError(f"{bins} is no number of phase bins; give 1 or more", "phase_bins")
    edges = np.linspace(0.0, 1.0, bins + 1)
    live = _live_of_phase(time, period_s, epoch_s, edges)
    behind = None
    if background is not None:
        events, other, ratio = background
        behind = Background(_folded(events, period_s, epoch_s, edges), _live_of_phase(other, period_s, epoch_s, edges),
                            ratio)  # fmt: skip
    # A profile has no gaps: the live fraction makes the best exposed phase a whole one.
    most = float(live.max()) * bins
    curve = LightCurve(edges, _folded(times_s, period_s, epoch_s, edges), live, np.zeros((4, bins)), most, behind)
    return Profile(curve, period_s, epoch_s)


def _folded(times_s: Floats, period_s: float, epoch_s: float, edges: Floats) -> Counts:
    phase = (times_s - epoch_s) / period_s
    return counts_in(np.minimum(phase - np.floor(phase), np.nextafter(1.0, 0.0)), edges)


def _live_of_phase(time: RegionTime, period_s: float, epoch_s: float, edges: Floats) -> Floats:
    """Return the live time of a region in each bin of phase, shape (bins,), in seconds."""
    total = np.zeros(len(edges) - 1)
    for ccd in time.ccds:
        if len(ccd.received):
            total += ccd.share * ccd.live_fraction * period_s * _cycles(ccd.received, period_s, epoch_s, edges)
    return total


def _cycles(good: GTI, period_s: float, epoch_s: float, edges: Floats) -> Floats:
    """Return how much of good time lies in each bin of phase, in periods, shape (bins,)."""
    width = np.diff(edges)
    sums = np.zeros(len(width))
    for ends, sign in ((good.stop, 1), (good.start, -1)):
        phase = (ends - epoch_s) / period_s
        whole = np.floor(phase)
        for number, low in enumerate(edges[:-1]):
            sums[number] += sign * float(np.sum(whole * width[number] + np.clip(phase - whole - low, 0, width[number])))
    return np.maximum(sums, 0.0)


def _span(time: RegionTime) -> tuple[float, float]:
    """Return the first and the last good time of a region. Raise ReductionError if it has none."""
    received = [ccd.received for ccd in time.ccds if len(ccd.received)]
    if not received:
        raise ReductionError("the region has no live time: no good time of a CCD that it lies on", "source_region")
    return min(float(good.start[0]) for good in received), max(float(good.stop[-1]) for good in received)
