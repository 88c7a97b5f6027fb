"""Backgrounds of images, estimated from the image itself around its sources.

Sources are masked: pixels around which a box holds significantly more counts than the background lets expect. What is
left is smoothed by a wide Gaussian, counts and exposure alike, and their ratio times the exposure is the background.
Limits: sources below the threshold and the faint wings of bright ones stay in; emission wider than the kernel is taken
for background; and the part of the background that does not come through the mirrors (particles) is not parted from the
sky, so that with vignetting the exposure has the wrong shape for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reduction.images.smoothing import gaussian

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Real = TypeVar("Real", np.float32, np.float64)

SIGMA_ARCSEC = 60.0
"""Standard deviation of the Gaussian that smooths what lies between the sources."""

BOX_ARCSEC = 20.0
"""Side of the box in which sources are looked for: it holds half of a point source of EPIC."""

GROWTH_ARCSEC = 40.0
"""How far the mask of a source reaches beyond the pixels where it is significant."""

THRESHOLD = 4.0
"""Significance of a source: the difference of the variance-stabilized counts, 2 sqrt(n + 3/8), to those expected."""

LIMITS = "wings of bright sources and emission wider than the kernel are in it; particles are not parted from the sky"
"""What it cannot tell apart, for the header."""

_ROUNDS = 6
_LEAST_SHARE = 0.1
"""Part of the exposure under a kernel that may not be masked; where less is left, a kernel thrice as wide is taken."""


@dataclass(frozen=True)
class Background:
    """Expected background counts of each pixel, and the pixels that were masked as sources; shape (rows, columns)."""

    counts: Floats
    masked: Mask

    @property
    def method(self) -> str:
        """How it was made, in a line for the header."""
        return (f"ratio of counts to exposure smoothed by a Gaussian of {SIGMA_ARCSEC:g} arcsec, sources above "
                f"{THRESHOLD:g} sigma masked")  # fmt: skip


def local_background(counts: npt.ArrayLike, exposure: Floats, pixel_arcsec: float) -> Background:
    """Estimate the background of an image.

    Parameters
    ----------
    counts
        Counts, shape (rows, columns).
    exposure
        Seconds of each pixel, shape (rows, columns); only pixels with exposure count.
    pixel_arcsec
        Side of a pixel.

    Returns
    -------
    Background
        Counts that each pixel would have without sources, 0 where there is no exposure, and the mask of the sources.
    """
    exposed = exposure > 0
    lit = np.where(exposed, np.asarray(counts, dtype=np.float64), 0.0)
    seconds = np.where(exposed, exposure, 0.0)
    masked = np.zeros(lit.shape, dtype=np.bool_)
    half = max(1, round(BOX_ARCSEC / pixel_arcsec / 2))
    growth = max(1, round(GROWTH_ARCSEC / pixel_arcsec))
    for _ in range(_ROUNDS):
        expected = seconds * _smooth_rate(lit, seconds, ~masked, SIGMA_ARCSEC / pixel_arcsec)
        found = _significant(box_sums(lit, half), box_sums(expected, half)) & exposed
        grown = box_sums(found.astype(np.float64), growth) > 0.5
        if np.array_equal(grown | masked, masked):
            break
        masked |= grown
    expected = seconds * _smooth_rate(lit, seconds, ~masked, SIGMA_ARCSEC / pixel_arcsec)
    return Background(expected, masked & exposed)


def box_sums(values: npt.NDArray[Real], half: int) -> npt.NDArray[Real]:
    """Return the sum over the box of 2 half + 1 pixels a side around each pixel, cut at the border of the image."""
    for _ in (0, 1):
        values = _stretch_sums(values, half).T
    return values


def _stretch_sums(values: npt.NDArray[Real], half: int) -> npt.NDArray[Real]:
    """Return the sums of the 2 half + 1 rows around each row, from stretches of doubled lengths.

    Cumulative sums would take as many steps, of which numpy makes those along columns slowly, and round more.
    """
    rows, size = len(values), 2 * half + 1
    stretches = np.zeros_like(values, shape=(rows + 2 * half, values.shape[1]))
    stretches[half : half + rows] = values
    spare, total = np.empty_like(stretches), stretches[:rows].copy(order="K")
    first, length = 1, 1
    while first < size:
        left = len(stretches) - length
        np.add(stretches[:left], stretches[length:], out=spare[:left])
        stretches, spare = spare[:left], stretches
        length *= 2
        if size & length:
            total += stretches[first : first + rows]
            first += length
    return total


def _significant(found: Floats, expected: Floats) -> Mask:
    """Tell where counts are too many for a Poisson law (Anscombe 1948)."""
    mean = np.maximum(expected, 0)
    return np.asarray((2 * (np.sqrt(found + 0.375) - np.sqrt(mean + 0.375)) > THRESHOLD) & (found > mean + 1))


def _smooth_rate(counts: Floats, seconds: Floats, kept: Mask, sigma: float) -> Floats:
    """Return counts per second of the pixels that are kept, smoothed; by ever wider kernels where few are kept."""
    total, all_seconds = float(counts[kept].sum()), float(seconds[kept].sum())
    result = np.full(counts.shape, total / all_seconds if all_seconds > 0 else 0.0)
    missing = seconds > 0
    for width in (sigma, 3 * sigma, 9 * sigma):
        mine, whole = gaussian(np.where(kept, seconds, 0.0), width), gaussian(seconds, width)
        enough = missing & (mine > _LEAST_SHARE * whole) & (mine > 1e-9 * float(seconds.max()))
        smooth = np.maximum(gaussian(np.where(kept, counts, 0.0), width), 0)
        np.divide(smooth, mine, out=result, where=enough)
        missing &= ~enough
        if not missing.any():
            break
    return result
