"""The bins of a light curve: their edges, the events in each, and how long each was exposed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.goodtime import GTI

Floats = npt.NDArray[np.float64]

MOST_BINS = 1_000_000
"""The most bins of a light curve."""


def constant_edges(start_s: float, stop_s: float, width_s: float, parameter: str = "bin_size") -> Floats:
    """Return the edges of bins of one width, from a start until they hold a stop.

    Parameters
    ----------
    start_s
        The first edge, in seconds of the event list's clock.
    stop_s
        The time that the last bin reaches at least.
    width_s
        Width of a bin in seconds.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Floats
        Ascending edges in seconds, shape (bins + 1,); the last bin may reach beyond `stop_s`.

    Raises
    ------
    ReductionError
        The width is not above 0, longer than from start to stop, or gives more than MOST_BINS bins.
    """
    length = stop_s - start_s
    if not (np.isfinite(width_s) and width_s > 0):
        raise ReductionError(f"{width_s:g} s is no width of a bin; give seconds above 0", parameter)
    if width_s > length:
        raise ReductionError(f"bins of {width_s:g} s are longer than the observation, whose good times reach over "
                             f"{length:.6g} s; give fewer seconds", parameter)  # fmt: skip
    bins = length / width_s
    if bins > MOST_BINS:
        raise ReductionError(f"bins of {width_s:g} s would be {bins:,.0f} in the {length:,.6g} s from the first to the "
                             f"last good time; at most {MOST_BINS:,} are made: give {length / MOST_BINS:.3g} s or more",
                             parameter)  # fmt: skip
    # A last bin that would hold nothing but the rounding of the division is left out.
    number = max(1, int(np.ceil(bins - 1e-9 * max(1.0, bins))))
    edges = start_s + width_s * np.arange(number + 1, dtype=np.float64)
    edges[-1] = max(edges[-1], stop_s)
    return edges


def bin_numbers(times_s: npt.ArrayLike, edges_s: Floats) -> npt.NDArray[np.intp]:
    """Return the bin of each time, shape of `times_s`; -1 for one outside of all, or NaN.

    A bin holds its lower edge and not its upper one, but for the last bin, which holds both, as `numpy.histogram` has
    it.
    """
    times = np.asarray(times_s, dtype=np.float64)
    numbers = np.searchsorted(edges_s, times, side="right") - 1
    last = len(edges_s) - 2
    numbers[times == edges_s[-1]] = last
    numbers[(numbers > last) | np.isnan(times)] = -1
    return numbers


def counts_in(times_s: npt.ArrayLike, edges_s: Floats) -> npt.NDArray[np.int64]:
    """Return the number of times in each bin, shape (bins,); see `bin_numbers` for the edges."""
    numbers = bin_numbers(times_s, edges_s)
    return np.bincount(numbers[numbers >= 0], minlength=len(edges_s) - 1).astype(np.int64)


def good_time_before(moments_s: npt.ArrayLike, good: GTI) -> Floats:
    """Return the seconds of good time that lie before each moment, shape of `moments_s`."""
    moments = np.asarray(moments_s, dtype=np.float64)
    if not len(good):
        return np.zeros(moments.shape)
    before = np.concatenate(([0.0], np.cumsum(good.stop - good.start)))
    begun = np.searchsorted(good.start, moments, side="right")
    current = np.maximum(begun - 1, 0)
    unfinished = np.where(begun > 0, np.maximum(good.stop[current] - moments, 0.0), 0.0)
    return np.asarray(before[begun] - unfinished, dtype=np.float64)


def exposed_s(edges_s: Floats, good: GTI) -> Floats:
    """Return the seconds of good time in each bin, shape (bins,), between 0 and the width of the bin."""
    return np.clip(np.diff(good_time_before(edges_s, good)), 0.0, np.diff(edges_s))
