"""Which sources are extended: several points that are one blob, and points that are wider than the point spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reduction.detection.fit import LEAST_MODEL, PARAMETERS, Fitted, Model, Scene, extent_gain, fit
from reduction.detection.options import Options

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FIRST_STEPS = 8
"""Steps of fits that are only a start."""

LEAST_EXTENT_ARCSEC = 6.0
"""Extents below this are not told from errors of the point spread function."""

_BLOB_ARCSEC = 32.0
"""Points nearer than this to a brighter one may be parts of one extended source."""


def with_extents(scene: Scene, fitted: Fitted, options: Options) -> Fitted:
    """Return sources fitted anew, those of them extended whose likelihood gains enough by it.

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    fitted
        The sources so far; those with an extent keep it if it stays above `LEAST_EXTENT_ARCSEC`.
    options
        The lowest likelihood of an extent, and its upper limit.

    Returns
    -------
    Fitted
        As many sources, in the same order.
    """
    pixel = scene.field.pixel_arcsec
    largest, least = options.largest_extent_arcsec / pixel, LEAST_EXTENT_ARCSEC / pixel
    before = fitted.model.extent > 0
    first = fit(scene, fitted.model, before, largest)
    before &= first.model.extent >= least
    worth = before | (extent_gain(scene, first.model) >= options.extent_cut / 4)
    if not worth.any():
        return first
    wide = fit(scene, replace(first.model, extent=np.where(worth, np.maximum(first.model.extent, least), 0.0)), worth,
               largest)  # fmt: skip
    gain = wide.difference.sum(axis=1) - first.difference.sum(axis=1)
    extended = worth & (wide.model.extent >= least) & (before | (gain >= options.extent_cut))
    return fit(scene, _chosen(extended, wide.model, first.model), extended, largest)


def with_blobs(scene: Scene, fitted: Fitted, options: Options) -> Fitted:
    """Return sources with those replaced by one extended source that describes the counts as well as they do.

    The brightest of some sources near each other is fitted with an extent and without the others; it stands for all of
    them if its likelihood, less its number of parameters, is the higher one (Akaike 1974).

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    fitted
        The sources so far.
    options
        The upper limit of an extent.

    Returns
    -------
    Fitted
        As many sources or fewer.
    """
    model = fitted.model
    leader = _leaders(model, _BLOB_ARCSEC / scene.field.pixel_arcsec)
    heads = np.unique(leader[leader != np.arange(len(model))])
    if not heads.size:
        return fitted
    pixel = scene.field.pixel_arcsec
    kept = leader == np.arange(len(model))
    largest = options.largest_extent_arcsec / pixel
    blobs = np.isin(np.arange(len(model)), heads)
    total = np.array([model.amplitude[leader == head].sum(axis=0) for head in range(len(model))])
    start = replace(model, extent=np.where(blobs, np.maximum(model.extent, 2.5), model.extent),
                    amplitude=np.where(blobs[:, None], total, model.amplitude)).chosen(kept)  # fmt: skip
    merged = fit(scene, start, start.extent > 0, largest, 2 * FIRST_STEPS)
    saved = np.bincount(leader, minlength=len(model))[heads] - 1
    around = model.chosen(heads)
    gain = _local_likelihood(scene, merged.model, around) - _local_likelihood(scene, model, around)
    parameters = saved * (2 + len(scene.counts)) - 1
    better = heads[gain > -parameters]
    if not better.size:
        return fitted
    one = np.isin(leader, better)
    position = np.cumsum(kept) - 1
    replaced = merged.model.chosen(position[better])
    joined = model.chosen(~one).joined(replaced)
    return fit(scene, joined, joined.extent > 0, largest, FIRST_STEPS)


def _leaders(model: Model, reach: float) -> npt.NDArray[np.intp]:
    """Return for each source the number of the brightest one within reach that follows no other; its own if none."""
    leader = np.arange(len(model))
    free = np.ones(len(model), dtype=np.bool_)
    for index in np.argsort(-model.amplitude.sum(axis=1), kind="stable"):
        if free[index]:
            near = free & (np.hypot(model.x - model.x[index], model.y - model.y[index]) < reach)
            leader[near], free[near] = index, False
    return leader


def _local_likelihood(scene: Scene, model: Model, around: Model) -> Floats:
    """Return the logarithm of the likelihood of a model in the stamps around some places, shape (places,)."""
    everything = scene.background + scene.rendered(model)
    found = []
    for part in scene.parts(len(around)):
        some = around.chosen(part)
        windows = scene.windows(some.x, some.y)
        expected = np.maximum(windows.cut(everything), LEAST_MODEL)
        inside = windows.cut(scene.share) > 0
        found.append(((windows.cut(scene.counts) * np.log(expected) - expected) * inside).sum(axis=(1, 2, 3)))
    return np.concatenate(found)


def _chosen(mask: Mask, first: Model, second: Model) -> Model:
    """Return the sources of the first model where the mask is true, else those of the second, as points."""
    found = [np.where(mask if mine.ndim == 1 else mask[:, None], mine, other) for mine, other in
             ((getattr(first, name), getattr(second, name)) for name in PARAMETERS)]  # fmt: skip
    return replace(Model(*found), extent=np.where(mask, first.extent, 0.0))
