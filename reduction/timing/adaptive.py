"""Bins of a light curve that follow its events: with so many counts each, or with a signal to noise.

Times are live times, so that gaps have no length. An edge lies half-way between two times: events of one frame have one
time, and are never parted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.timing import poisson
from reduction.timing.binning import Floats

Indices = npt.NDArray[np.intp]


def by_counts(times_s: Floats, minimum: int, end_s: float, parameter: str = "min_counts") -> Floats:
    """Return the edges of bins with so many events each; the last has those that are left too.

    Parameters
    ----------
    times_s
        Live times of the events in seconds, ascending, shape (n,).
    minimum
        Events of a bin.
    end_s
        The live time of the whole observation in seconds.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Floats
        Ascending live times from 0 to `end_s`, shape (bins + 1,); one bin where there are fewer events.

    Raises
    ------
    ReductionError
        The minimum is below 1.
    """
    if minimum < 1:
        raise ReductionError(f"{minimum} is no number of counts of a bin; give 1 or more", parameter)
    moments, through = _distinct(times_s)
    inner, before = [], 0
    while (found := int(np.searchsorted(through, before + minimum))) < moments.size:
        inner.append(found + 1)
        before = int(through[found])
    return _between(moments, inner, end_s)


def by_signal_to_noise(
    times_s: Floats, background_s: Floats, ratio: float, minimum: float, end_s: float, parameter: str = "min_snr"
) -> Floats:
    """Return the edges of bins whose net counts are so many times their error; the last has what is left too.

    Parameters
    ----------
    times_s
        Live times of the events of the source region in seconds, ascending, shape (n,).
    background_s
        The same of the background region, shape (m,).
    ratio
        Counts of the source region for each count of the background region.
    minimum
        Signal to noise of a bin.
    end_s
        The live time of the whole observation in seconds.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Floats
        Ascending live times from 0 to `end_s`, shape (bins + 1,); one bin where the signal is not enough for one.

    Raises
    ------
    ReductionError
        The minimum is not above 0.
    """
    if not (np.isfinite(minimum) and minimum > 0):
        raise ReductionError(f"{minimum:g} is no signal to noise; give a number above 0", parameter)
    moments, through = _distinct(times_s)
    behind = np.searchsorted(background_s, moments, side="right")
    inner, begin = [], 0
    while (found := _reached(through, behind, begin, ratio, minimum)) is not None:
        inner.append(found)
        begin = found
    return _between(moments, inner, end_s)


def _distinct(times_s: Floats) -> tuple[Floats, Indices]:
    """Return the distinct times of events, ascending, and how many events there are up to each, shape (m,) both."""
    moments, numbers = np.unique(times_s, return_counts=True)
    return moments, np.cumsum(numbers)


def _reached(through: Indices, behind: Indices, begin: int, ratio: float, minimum: float) -> int | None:
    """Return the first time behind a bin that begins at time `begin` and has the signal; None if none comes.

    `through` and `behind` are the events of source and background up to each time.
    """
    size, before = 64, (int(through[begin - 1]), int(behind[begin - 1])) if begin else (0, 0)
    while begin < through.size:
        counts = (through[begin : begin + size] - before[0]).astype(np.float64)
        background = (behind[begin : begin + size] - before[1]).astype(np.float64)
        noise = np.hypot(poisson.error(counts), ratio * np.where(background > 0, poisson.error(background), 0.0))
        enough = np.flatnonzero(counts - ratio * background >= minimum * noise)
        if enough.size:
            return begin + int(enough[0]) + 1
        if begin + size >= through.size:
            return None
        size *= 8
    return None


def _between(moments: Floats, inner: list[int], end_s: float) -> Floats:
    """Return edges half-way between each of the times `inner` and the one before it, from 0 to the end.

    The last of them is left out: what is behind it belongs to the last bin.
    """
    chosen = np.array(inner[:-1], dtype=np.intp)
    return np.unique(np.concatenate(([0.0], (moments[chosen - 1] + moments[chosen]) / 2, [end_s])))
