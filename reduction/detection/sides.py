"""How likely sources are against the brightest side of what surrounds them: an edge has one, a source has none.

Where a map of the background does not follow the sky (the rim of a field without an exposure map, the edge of a
nebula), the bright side of an edge looks like a source. Here the counts around the place of a source are compared with
the mean of each half of a ring around it, other sources taken off, and the brightest half is taken for the background.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.detection.likelihood import excess
from reduction.detection.scenes import Model, Scene
from reduction.detection.stamps import Pixels

Floats = npt.NDArray[np.float64]

RING_PIXELS = (4.0, 11.0)
"""Inner and outer radius of the ring for a point; twice the extent further out for an extended source."""

_CORE = 2.5
_SIDES = 8


def side_difference(scene: Scene, model: Model) -> Floats:
    """Return the excess of each source in its core over the brightest side of its surroundings.

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    model
        The fitted sources.

    Returns
    -------
    array
        Half of the difference of the C statistic, shape (sources, layers), 0 or more.
    """
    left: Pixels = scene.counts - scene.rendered(model)
    found = [_of_part(scene, left, model.chosen(part)) for part in scene.parts(len(model))]
    return np.concatenate(found) if found else np.zeros((0, len(scene.counts)))


def _of_part(scene: Scene, left: Pixels, model: Model) -> Floats:
    """Return the excesses of some sources; `left` are the counts less all sources."""
    unit, windows = scene.light(model)
    share = windows.cut(scene.share)
    residual = windows.cut(left)
    axis = np.arange(windows.size) - scene.half
    away = np.hypot(axis[:, None], axis)
    core = away[None] <= (_CORE + 0.7 * model.extent)[:, None, None]
    own = np.einsum("slij,sij->sl", unit * share, core) * model.amplitude
    counts = np.maximum(np.einsum("slij,sij->sl", residual, core) + own, 0.0)
    lit = np.einsum("slij,sij->sl", share, core)
    inner = np.minimum(RING_PIXELS[0] + model.extent, scene.half - 4)
    ring = (away[None] > inner[:, None, None]) & (away[None] <= np.minimum(inner + 7, scene.half)[:, None, None])
    brightest = np.zeros(counts.shape)
    for angle in np.arange(_SIDES) * 2 * np.pi / _SIDES:
        half = (np.cos(angle) * axis + np.sin(angle) * axis[:, None]) > 0
        side = (ring & half).astype(np.float64)
        seconds = np.einsum("slij,sij->sl", share, side)
        rate = np.einsum("slij,sij->sl", residual, side) / np.maximum(seconds, 1e-9)
        brightest = np.where(seconds > 10, np.maximum(brightest, rate), brightest)
    return excess(counts, brightest * lit)
