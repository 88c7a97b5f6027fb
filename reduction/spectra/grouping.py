"""Grouping of spectral channels for fitting: by counts, by signal to noise, or by the resolution of the instrument.

All return GROUPING (1 starts a group, -1 continues it) and QUALITY (0 good, 1 bad, 2 dubious) of OGIP/92-007.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Grouping = tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]

BAD = 1
"""QUALITY of channels outside the range that is grouped, as the SAS sets it."""

DUBIOUS = 2
"""QUALITY of the last group where its counts, or its signal, fall short."""


def by_minimum_counts(
    counts: npt.NDArray[np.integer], minimum: int, lo: int = 0, hi: int | None = None, parameter: str = "min_counts"
) -> Grouping:
    """Join neighbouring channels until each group has a minimum of counts.

    Parameters
    ----------
    counts
        Counts of the channels, shape (n,).
    minimum
        Least counts of a group.
    lo
        Index of the first channel that is grouped. Channels before it stay single and are bad (quality 1).
    hi
        Index of the channel after the last one that is grouped; None to group to the end. Channels from it on stay
        single and are bad (quality 1).
    parameter
        Job parameter named in the error.

    Returns
    -------
    grouping, quality
        Shape (n,) both. Channels at the end that have too few counts together are one group of quality 2.

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


def by_counts_of_both(
    counts: npt.NDArray[np.integer],
    minimum: int,
    background: npt.NDArray[np.integer],
    lo: int = 0,
    hi: int | None = None,
    parameter: str = "min_counts",
) -> Grouping:
    """Join neighbouring channels until each group has a minimum of counts, and a count of the background.

    The statistic W takes the background of a group for 0 where none was counted, and is biased by it (Arnaud, Smith and
    Siemiginowska 2011, chapter 7).

    Parameters
    ----------
    counts
        Counts of the channels, shape (n,).
    minimum
        Least counts of a group.
    background
        Counts of the background in the same channels, shape (n,).
    lo
        Index of the first channel that is grouped, as in `by_minimum_counts`.
    hi
        Index of the channel after the last one that is grouped, as in `by_minimum_counts`; None to group to the end.
    parameter
        Job parameter named in the error.

    Returns
    -------
    grouping, quality
        Shape (n,) both. Channels at the end that fall short together join the last group; where there is no group they
        are one, and good: a spectrum of which the background has no count at all is fitted still.

    Raises
    ------
    ReductionError
        The minimum is below 1.
    """
    check_minimum(minimum, parameter)
    first, last = _limits(counts.size, lo, hi)
    grouping, quality = _outside(counts.size, first, last)
    own, behind = (np.concatenate(([0], np.cumsum(each[first:last], dtype=np.int64))) for each in (counts, background))
    starts, start = [], 0
    while start < last - first:
        ends = np.searchsorted(own, own[start] + minimum), np.searchsorted(behind, behind[start] + 1)
        stop = int(max(ends))
        if stop > last - first:
            break
        starts.append(first + start)
        start = stop
    grouping[first:last] = -1
    grouping[starts or [first][: last - first]] = 1
    return grouping, quality


def check_minimum(minimum: int, parameter: str = "min_counts") -> None:
    """Raise ReductionError, naming the parameter, if a minimum of counts is below 1."""
    if minimum < 1:
        raise ReductionError(f"{minimum} is no minimum of counts; give 1 or more", parameter)


def by_signal_to_noise(
    counts: npt.NDArray[np.integer],
    minimum: float,
    background: npt.NDArray[np.integer] | None = None,
    ratio: float = 0.0,
    lo: int = 0,
    hi: int | None = None,
    parameter: str = "min_snr",
) -> Grouping:
    """Join neighbouring channels until the net counts of each group are a minimum of times their error.

    With S counts of the source region and B of the background region the net counts are ``S - ratio B``, their error is
    ``sqrt(S + ratio^2 B)``, the square root of the variance of two Poisson counts. Every channel is looked at once.

    Parameters
    ----------
    counts
        Counts of the channels, shape (n,).
    minimum
        Least signal to noise of a group.
    background
        Counts of the background in the same channels, shape (n,); None for no background.
    ratio
        Counts expected in the source region for each count of the background.
    lo
        Index of the first channel that is grouped, as in `by_minimum_counts`.
    hi
        Index of the channel after the last one that is grouped, as in `by_minimum_counts`; None to group to the end.
    parameter
        Job parameter named in the error.

    Returns
    -------
    grouping, quality
        Shape (n,) both. Channels at the end that fall short together are one group of quality 2.

    Raises
    ------
    ReductionError
        The minimum is not above 0.
    """
    check_signal(minimum, parameter)
    first, last = _limits(counts.size, lo, hi)
    grouping, quality = _outside(counts.size, first, last)
    behind = np.zeros(counts.size, dtype=np.int64) if background is None else background
    source = of_background = 0
    start = first
    for channel, (more, more_behind) in enumerate(
        zip(counts[first:last].tolist(), behind[first:last].tolist(), strict=True), start=first
    ):
        source, of_background = source + more, of_background + more_behind
        net, variance = source - ratio * of_background, source + ratio * ratio * of_background
        if net > 0 and net * net >= minimum * minimum * variance:
            grouping[start + 1 : channel + 1] = -1
            source = of_background = 0
            start = channel + 1
    grouping[start + 1 : last] = -1
    quality[start:last] = DUBIOUS
    return grouping, quality


def check_signal(minimum: float, parameter: str = "min_snr") -> None:
    """Raise ReductionError, naming the parameter, if a minimum of the signal to noise is not above 0."""
    if not (np.isfinite(minimum) and minimum > 0):
        raise ReductionError(f"{minimum:g} is no signal to noise; give a number above 0", parameter)


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
        FWHM of the energy resolution at each channel, in channels, shape (n,); values below 1 are taken as 1.
    lo
        Index of the first channel that is grouped, as in `by_minimum_counts`.
    hi
        Index of the channel after the last one that is grouped, as in `by_minimum_counts`; None to group to the end.

    Returns
    -------
    grouping, quality
        Shape (n,) both.
    """
    first, last = _limits(counts.size, lo, hi)
    grouping, quality = _outside(counts.size, first, last)
    widths_channels = _optimal_widths(counts[first:last], np.maximum(fwhm_channels[first:last], 1.0))
    start = 0
    while start < last - first:
        stop = min(start + int(widths_channels[start]), last - first)
        grouping[first + start + 1 : first + stop] = -1
        start = stop
    return grouping, quality


def _optimal_widths(counts: npt.NDArray[np.integer], fwhm_channels: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the width of a bin that begins at each channel, in whole channels, at least 1; shape (n,)."""
    if counts.size == 0:
        return np.empty(0, dtype=np.int64)
    reached = np.concatenate(([0.0], np.cumsum(counts, dtype=np.float64)))
    edges = np.arange(counts.size + 1, dtype=np.float64)
    middle = edges[:-1] + 0.5
    half = fwhm_channels / 2
    low, high = np.maximum(middle - half, 0.0), np.minimum(middle + half, float(counts.size))
    in_element = (np.interp(high, edges, reached) - np.interp(low, edges, reached)) * fwhm_channels / (high - low)
    elements = max(float((1 / fwhm_channels).sum()), 1.0)
    x = np.log(np.maximum(in_element * (1 + 0.20 * np.log(elements)), 1.0))
    x = np.maximum(x, 2.119)
    width_channels = fwhm_channels * np.where(x > 2.119, (0.08 + 7.0 / x + 1.8 / x**2) / (1 + 5.9 / x), 1.0)
    whole: npt.NDArray[np.int64] = np.maximum(np.floor(width_channels), 1).astype(np.int64)
    return whole


def _limits(size: int, lo: int, hi: int | None) -> tuple[int, int]:
    """Return the range of indices that is grouped, cut to those that there are."""
    first = min(max(lo, 0), size)
    return first, max(first, min(size if hi is None else hi, size))


def _outside(size: int, first: int, last: int) -> Grouping:
    """Return flags of channels that are all single, and bad outside the range."""
    grouping, quality = np.ones(size, dtype=np.int16), np.zeros(size, dtype=np.int16)
    quality[:first] = BAD
    quality[last:] = BAD
    return grouping, quality
