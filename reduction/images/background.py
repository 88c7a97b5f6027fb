"""Backgrounds of images, estimated from the image itself around its sources.

Sources are masked: pixels around which a box holds significantly more counts than the background lets expect. What is
left is smoothed by a wide Gaussian, counts and exposure alike, and their ratio times the exposure is the background.
Limits: sources below the threshold and the faint wings of bright ones stay in; emission wider than the kernel is taken
for background; and the part of the background that does not come through the mirrors (particles) is not parted from the
sky, so that with vignetting the exposure has the wrong shape for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.images.smoothing import gaussian

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

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


def box_sums(values: Floats, half: int) -> Floats:
    """Return the sum over the box of 2 half + 1 pixels a side around each pixel, cut at the border of the image."""
    return BoxTable.of(values, half).sums(half)


@dataclass(frozen=True)
class BoxTable:
    """Sums of an image from its corner to each pixel, which give those of boxes of any size up to a largest one.

    `table` has a border of 2 largest + 1 more rows and columns, `largest` is the half width of the largest boxes.
    """

    table: Floats
    largest: int

    @classmethod
    def of(cls, values: Floats, largest: int) -> BoxTable:
        """Return the table of an image of shape (rows, columns) for boxes of up to 2 largest + 1 pixels a side."""
        rows, columns, before = *values.shape, largest + 1
        table = np.zeros((rows + before + largest, columns + before + largest))
        np.cumsum(values, axis=0, out=table[before : before + rows, before : before + columns])
        table[before + rows :] = table[before + rows - 1]
        np.cumsum(table, axis=1, out=table)
        return cls(table, largest)

    def sums(self, half: int) -> Floats:
        """Return the sum over the box of 2 half + 1 pixels a side around each pixel, cut at the border of the image."""
        low, high = self.largest - half, self.largest + half + 1
        rows, columns = (size - 2 * self.largest - 1 for size in self.table.shape)
        across = self.table[:, high : high + columns] - self.table[:, low : low + columns]
        return np.asarray(across[high : high + rows] - across[low : low + rows])


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
