"""Flares of soft protons: the light curve of a band without photons of the sky, and the cut above which it is no good.

The threshold is a fixed one, one by sigma clipping, or the one of the best signal to noise of a source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.goodtime import GTI
from reduction.timing.binning import Floats

Mask = npt.NDArray[np.bool_]

LEAST_EXPOSED = 0.1
"""Part of a bin that must be good time: what is less says nothing about its rate, and is no good time."""

MOST_ROUNDS = 100


@dataclass(frozen=True)
class FlareCurve:
    """Rates in bins, shape (bins,) each, sorted in time and apart.

    `start_s` and `stop_s` are the edges of the bins in seconds of the event list; `exposed_s` is their good time, the
    mean over the CCDs, of which `live_fraction` is live. `counts` are those of all CCDs; `rate` and `error` are per
    second of live time, NaN where nothing was exposed, but where they are not `corrected`: then per second of the bin.
    """

    start_s: Floats
    stop_s: Floats
    counts: Floats
    exposed_s: Floats
    rate: Floats
    error: Floats
    live_fraction: float = 1.0
    corrected: bool = True

    @classmethod
    def of_counts(cls, edges_s: Floats, counts: Floats, exposed_s: Floats, live_fraction: float) -> FlareCurve:
        """Make the curve of counts in adjoining bins.

        Parameters
        ----------
        edges_s
            Edges of the bins in seconds, shape (bins + 1,).
        counts
            Counts of all CCDs, shape (bins,).
        exposed_s
            Good time of the bins in seconds, shape (bins,).
        live_fraction
            The part of the good time that is live.

        Returns
        -------
        FlareCurve
            With errors of Gehrels (1986), ApJ 303, 336, equation 7, upwards: right at few counts.
        """
        live_s = np.where(exposed_s > 0, exposed_s * live_fraction, np.nan)
        error = 1 + np.sqrt(counts + 0.75)
        return cls(edges_s[:-1], edges_s[1:], counts, exposed_s, counts / live_s, error / live_s, live_fraction)

    @property
    def fraction(self) -> Floats:
        """The part of each bin that is good time, shape (bins,)."""
        return np.asarray(self.exposed_s / (self.stop_s - self.start_s), dtype=np.float64)

    @property
    def usable(self) -> Mask:
        """Which bins were exposed long enough to have a rate, shape (bins,)."""
        return np.asarray((self.fraction >= LEAST_EXPOSED) & np.isfinite(self.rate), dtype=np.bool_)


@dataclass(frozen=True)
class FlareCut:
    """A threshold in counts per second, which bins it keeps, shape (bins,), and in words where it is from."""

    threshold: float
    kept: Mask
    origin: str


def fixed(curve: FlareCurve, threshold: float) -> FlareCut:
    """Return the cut at a rate: bins up to it are kept. Raise ReductionError if the rate is below 0."""
    if not (math.isfinite(threshold) and threshold > 0):
        raise ReductionError(f"{threshold:g} is no threshold; give a rate above 0 in count/s", "threshold")
    return _at(curve, threshold, "fixed")


def clipped(curve: FlareCurve, sigmas: float) -> FlareCut:
    """Return the cut by iterated sigma clipping of what is too high.

    Parameters
    ----------
    curve
        The light curve.
    sigmas
        How many standard deviations above their median rates may be.

    Returns
    -------
    FlareCut
        At the limit of the last round, which takes no further bin away.

    Raises
    ------
    ReductionError
        The number is not above 0.
    """
    if not (math.isfinite(sigmas) and sigmas > 0):
        raise ReductionError(f"{sigmas:g} is no number of standard deviations; it is above 0", "sigma")
    rates = curve.rate[curve.usable]
    limit = math.inf
    for _ in range(MOST_ROUNDS if rates.size else 0):
        limit = float(np.median(rates) + sigmas * np.std(rates))
        left = rates[rates <= limit]
        if left.size == rates.size:
            break
        rates = left
    return _at(curve, limit, f"median + {sigmas:g} standard deviations, clipped until no bin is above")


def best_signal(curve: FlareCurve, source_counts: Floats) -> FlareCut:
    """Return the cut at which a constant source has the best signal to noise.

    Bins are taken in order of their rate. Signal grows with the time T taken, noise with the root of all counts N in
    the region of the source, its background among them: T / sqrt(N) is largest at the cut, as for the SAS's bkgoptrate.

    Parameters
    ----------
    curve
        The light curve, by whose rate bins are taken.
    source_counts
        Counts in the region of the source, shape (bins,).

    Returns
    -------
    FlareCut
        At the rate of the last bin taken; bins of one rate are taken together.

    Raises
    ------
    ReductionError
        There is no count in the region.
    """
    usable = np.flatnonzero(curve.usable)
    if not source_counts[usable].sum() > 0:
        raise ReductionError("no event of source_energy lies in the region, so that it has no signal", "source_region")
    order = usable[np.argsort(curve.rate[usable], kind="stable")]
    rates = curve.rate[order]
    ends = np.flatnonzero(np.concatenate((rates[1:] > rates[:-1], [True])))
    time_s, counts = np.cumsum(curve.exposed_s[order])[ends], np.cumsum(source_counts[order])[ends]
    signal = time_s / np.sqrt(np.where(counts > 0, counts, np.inf))
    best = int(np.argmax(signal))
    gain = 100 * (signal[best] / signal[-1] - 1)
    return _at(curve, float(rates[ends[best]]), f"best signal to noise of the source, {gain:.1f} % above all time")


def hidden(curve: FlareCurve, cut: FlareCut) -> int:
    """Return how many bins are kept whose rate over their good time is above the threshold of a cut.

    There are none but in a curve that is not corrected: a flare at the end of an exposure fills a part of a bin.
    """
    if curve.corrected:
        return 0
    return int(np.count_nonzero(curve.rate[cut.kept] > cut.threshold * curve.fraction[cut.kept]))


def good_time(curve: FlareCurve, cut: FlareCut, listed: GTI) -> GTI:
    """Return the good time that a cut leaves.

    Parameters
    ----------
    curve
        The light curve.
    cut
        Its cut.
    listed
        The good time of the event list: the bins reach beyond it.

    Returns
    -------
    GTI
        The bins that are kept, joined, within it.

    Raises
    ------
    ReductionError
        Nothing is left.
    """
    good = GTI.of(curve.start_s[cut.kept], curve.stop_s[cut.kept]) & listed
    if good.total > 0:
        return good
    rates = curve.rate[curve.usable]
    span = f"from {rates.min():.4g} to {rates.max():.4g} count/s" if rates.size else "not known, as nothing was exposed"
    raise ReductionError(f"a threshold of {cut.threshold:.4g} count/s leaves no good time: rates are {span}",
                         "threshold")  # fmt: skip


def _at(curve: FlareCurve, threshold: float, origin: str) -> FlareCut:
    with np.errstate(invalid="ignore"):
        return FlareCut(threshold, curve.usable & (curve.rate <= threshold), origin)
