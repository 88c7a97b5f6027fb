"""Which sources lie on the read-out streak of a bright one, and may be nothing but a part of it.

Images made here from event lists have the streaks as part of their background, and what stands out of that is looked at
once more. Other images do not tell of the columns of their CCDs: there sources that are weak beside a bright one are on
its streak if they lie on a line through it in the direction of the columns. Where no header states that direction, a
line is one if many more weak sources lie on it than chance would put there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reduction.detection.layers import Columns
from reduction.detection.scenes import Model, Scene

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_CORE_ARCSEC = 10.0
_BESIDE_ARCSEC = 12.0
_POINT_ARCSEC = 30.0
"""Length of a streak that one point source takes for its own."""
_LEAST_STREAK = 5.0
"""Counts of a streak within `_POINT_ARCSEC` from which it can be taken for a source."""
_WEAK = 3.0
"""A source with fewer counts than this many times those of the streak under it may be a part of the streak."""
_FEWEST_KNOWN, _FEWEST = 1, 4


def on_streak(scene: Scene, model: Model) -> Mask:
    """Return which sources may be parts of the read-out streak of a brighter one, shape (sources,)."""
    if any(layer.streaks is not None for layer in scene.field.layers):
        return _above_model(scene, model)
    if scene.field.columns is None or len(model) < 2:
        return np.zeros(len(model), dtype=np.bool_)
    return _on_lines(scene, model, scene.field.columns)


def _above_model(scene: Scene, model: Model) -> Mask:
    """Return which sources have fewer counts in their core than the streaks have there.

    What a CCD has everywhere of events out of time, the median, is no streak.
    """
    field = scene.field
    edges = ((0, 0), (scene.border, scene.border), (scene.border, scene.border))
    images = np.zeros((len(field.layers), *field.shape))
    for index, layer in enumerate(field.layers):
        if layer.streaks is not None and layer.seen.any():
            images[index] = np.maximum(layer.streaks - np.median(layer.streaks[layer.seen]), 0.0) * layer.seen
    streaks = np.pad(images, edges)
    reach = max(1, round(_CORE_ARCSEC / field.pixel_arcsec))
    middle = slice(scene.half - reach, scene.half + reach + 1)
    found = []
    for part in scene.parts(len(model)):
        some = model.chosen(part)
        unit, windows = scene.light(some)
        own = (unit * windows.cut(scene.share) * some.amplitude[:, :, None, None])[:, :, middle, middle]
        found.append(windows.cut(streaks)[:, :, middle, middle].sum(axis=(1, 2, 3)) > own.sum(axis=(1, 2, 3)))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)


def _on_lines(scene: Scene, model: Model, columns: Columns) -> Mask:
    """Return which sources lie on lines through bright ones beside which they are weak."""
    pixel, counts = scene.field.pixel_arcsec, model.amplitude.sum(axis=1)
    per_arcsec = columns.late * counts / columns.height_arcsec
    bright = np.flatnonzero(per_arcsec * _POINT_ARCSEC >= _LEAST_STREAK)
    across, up = ((axis[None, :] - axis[bright][:, None]) * pixel for axis in (model.x, model.y))
    away = np.hypot(across, up)
    taken = per_arcsec[bright][:, None] * (_POINT_ARCSEC + 4 * model.extent * pixel)
    weak = (counts < _WEAK * taken) & (away > 0) & (away <= columns.height_arcsec)
    if not weak.any():
        return np.zeros(len(model), dtype=np.bool_)
    beside = _BESIDE_ARCSEC + model.extent * pixel
    angles = np.array(columns.angles) if columns.angles else np.arctan2(up[weak], across[weak])
    aside = np.abs(across * np.sin(angles)[:, None, None] - up * np.cos(angles)[:, None, None])
    lined = weak & (aside <= beside)
    best = lined[int(np.argmax(lined.sum(axis=(1, 2))))]
    chance = np.arcsin(np.minimum(beside / np.maximum(away, 1e-9), 1.0))[weak].sum() * 2 / np.pi
    fewest = _FEWEST_KNOWN if columns.angles else max(_FEWEST, 3 * chance + 2)
    return np.asarray(best.any(axis=0) & (best.sum() >= fewest))
