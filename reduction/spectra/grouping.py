"""Grouping of spectral channels for fitting: by a minimum of counts, or by the resolution of the instrument.

Both return GROUPING (1 starts a group, -1 continues it) and QUALITY (0 good, 1 bad, 2 dubious).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Grouping = tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]

BAD = 1
"""QUALITY of channels outside the range that is grouped, as the SAS sets it."""

DUBIOUS = 2
"""QUALITY of the last group where its counts fall short."""


def by_minimum_counts(
    counts: npt.NDArray[np.integer], minimum: int, lo: int = 0, hi: int | None = None, parameter: str = "min_counts"
) -> Grouping:
    """Join neighbouring channels until each group has a minimum of counts.

    Parameters
    ----------
    counts
        Counts of the channels, shape (n,).
    minimum
        Counts that each group holds at least.
    lo, hi
        First channel index that is grouped and the one after the last; outside, channels stay single and bad.

    Returns
    -------
    grouping, quality
        Shape (n,) each. What is left at the end without enough counts is one group of quality 2.

    Raises
    ------
    ReductionError
        The minimum is below 1.
    """
    check_minimum(minimum, parameter)
    first, last = _limits(counts.size, lo, hi)
    grouping, quality = _outside(counts.size, first, last)
    reached = np.concatenate(([0], np.cumsum(counts[first:last], dtype=np.int64)))
    start = 0
    while start < last - first:
        stop = int(np.searchsorted(reached, reached[start] + minimum))
        if stop > last - first:
            quality[first + start : last] = DUBIOUS
            stop = last - first
        grouping[first + start + 1 : first + stop] = -1
        start = stop
    return grouping, quality


def check_minimum(minimum: int, parameter: str = "min_counts") -> None:
    """Refuse a minimum of counts below 1 with a ReductionError."""
    if minimum < 1:
        raise ReductionError(f"{minimum} is no minimum of counts; give 1 or more", parameter)


def optimal(
    counts: npt.NDArray[np.integer], fwhm_channels: npt.NDArray[np.floating], lo: int = 0, hi: int | None = None
) -> Grouping:
    """Join channels to the optimal bin size of Kaastra & Bleeker (2016, A&A 587, A151), equations 36 and 37.

    With N counts in a resolution element of the width FWHM and R resolution elements in the spectrum, let
    ``x = ln(N (1 + 0.20 ln R))``; a bin then has the width FWHM if ``x <= 2.119``, else
    ``FWHM (0.08 + 7/x + 1.8/x^2) / (1 + 5.9/x)``.

    Parameters
    ----------
    counts
        Counts of the channels, shape (n,).
    fwhm_channels
        FWHM of the resolution at each channel, in channels, shape (n,); at least 1 is taken.
    lo, hi
        As in `by_minimum_counts`.

    Returns
    -------
    grouping, quality
        Shape (n,) each.
    """
    first, last = _limits(counts.size, lo, hi)
    grouping, quality = _outside(counts.size, first, last)
    widths = _optimal_widths(counts[first:last], np.maximum(fwhm_channels[first:last], 1.0))
    start = 0
    while start < last - first:
        stop = min(start + int(widths[start]), last - first)
        grouping[first + start + 1 : first + stop] = -1
        start = stop
    return grouping, quality


def _optimal_widths(counts: npt.NDArray[np.integer], fwhm: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Bin width in whole channels at each channel, at least 1."""
    if counts.size == 0:
        return np.empty(0, dtype=np.int64)
    reached = np.concatenate(([0.0], np.cumsum(counts, dtype=np.float64)))
    edges = np.arange(counts.size + 1, dtype=np.float64)
    middle = edges[:-1] + 0.5
    low, high = np.maximum(middle - fwhm / 2, 0.0), np.minimum(middle + fwhm / 2, float(counts.size))
    in_element = (np.interp(high, edges, reached) - np.interp(low, edges, reached)) * fwhm / (high - low)
    elements = max(float((1 / fwhm).sum()), 1.0)
    x = np.log(np.maximum(in_element * (1 + 0.20 * np.log(elements)), 1.0))
    x = np.maximum(x, 2.119)
    width = fwhm * np.where(x > 2.119, (0.08 + 7.0 / x + 1.8 / x**2) / (1 + 5.9 / x), 1.0)
    whole: npt.NDArray[np.int64] = np.maximum(np.floor(width), 1).astype(np.int64)
    return whole


def _limits(size: int, lo: int, hi: int | None) -> tuple[int, int]:
    first = min(max(lo, 0), size)
    return first, max(first, min(size if hi is None else hi, size))


def _outside(size: int, first: int, last: int) -> Grouping:
    """No group anywhere, bad outside the range."""
    grouping, quality = np.ones(size, dtype=np.int16), np.zeros(size, dtype=np.int16)
    quality[:first] = BAD
    quality[last:] = BAD
    return grouping, quality
