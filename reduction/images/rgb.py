"""Three images as one picture in red, green and blue, stretched by the inverse hyperbolic sine.

Each image is scaled by its own bright end, so that a hard band shows beside a soft one that is ten times as bright: the
colours compare places of one picture, not fluxes. The stretch (Lupton et al. 2004) is that of the mean of the three, so
that bright places keep their colour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reduction.images.png import true_colour

Floats = npt.NDArray[np.float64]

BRIGHT_PERCENTILE = 99.8
"""What of the pixels above 0 lies below the bright end."""

SOFTENING = 12.0
"""How strongly faint places are raised; at 0 the stretch is linear."""


def picture(red: Floats, green: Floats, blue: Floats) -> bytes:
    """Return a PNG of three images of one grid.

    Parameters
    ----------
    red
        Shape (rows, columns), the first row at the bottom; NaN is black.
    green
        The same.
    blue
        The same.

    Returns
    -------
    bytes
        The PNG, north up where rows grow to the north.
    """
    scaled = np.stack([_scaled(image) for image in (red, green, blue)], axis=-1)
    mean = scaled.mean(axis=-1, keepdims=True)
    stretched = np.arcsinh(SOFTENING * mean) / np.arcsinh(SOFTENING)
    colours = scaled * np.divide(stretched, mean, out=np.zeros_like(mean), where=mean > 0)
    highest = np.maximum(colours.max(axis=-1, keepdims=True), 1.0)  # a colour brighter than the screen keeps its hue
    return true_colour(np.round(255 * (colours / highest)).astype(np.uint8)[::-1])


def three_of(bands: Sequence[int]) -> tuple[int, int, int] | None:
    """Return which of some bands, from the softest to the hardest, are red, green and blue; None for fewer than 3."""
    return (bands[0], bands[len(bands) // 2], bands[-1]) if len(bands) > 2 else None


def _scaled(image: Floats) -> Floats:
    """Return an image with its bright end at 1."""
    known = np.where(np.isfinite(image) & (image > 0), image, 0.0)
    lit = known[known > 0]
    return known / float(np.percentile(lit, BRIGHT_PERCENTILE)) if lit.size else known
