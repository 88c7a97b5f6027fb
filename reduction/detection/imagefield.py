"""The field of view of an image that has no exposure map, from its counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.images.background import box_sums

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EXPECTED = 12.0


def field_mask(counts: Floats) -> Mask:
    """Return where an image saw the sky: every pixel whose surroundings hold counts.

    The surroundings are boxes in which a typical place of the field has `_EXPECTED` counts; what they add to the field
    at its edge is taken off again.
    """
    lit = box_sums((counts > 0).astype(np.float64), 8) > 0
    density = counts[lit].sum() / max(1, lit.sum())
    typical = min(density, float(np.median(box_sums(counts, 8)[lit])) / 289) if lit.any() else 0.0
    half = int(np.clip(np.ceil((np.sqrt(_EXPECTED / max(typical, 1e-6)) - 1) / 2), 8, 20))
    near = box_sums((counts > 0).astype(np.float64), half) > 0.5
    return np.asarray(box_sums((~near).astype(np.float64), half) < 0.5)
