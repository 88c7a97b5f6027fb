"""Which sources are extended: several points that are one blob, and points that are wider than the point spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reduction.detection.fit import LEAST_MODEL, Fitted, Sources, expected_under, fit, placed
from reduction.detection.options import Options
from reduction.detection.scenes import PARAMETERS, Model, Scene

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FIRST_STEPS = 8
"""Steps of fits that are only a start."""

LEAST_EXTENT_ARCSEC = 6.0
"""Extents below this are not told from errors of the point spread function."""

_BLOB_ARCSEC = 32.0
"""Points nearer than this to a brighter one may be parts of one extended source."""


def with_extents(scene: Scene, model: Model, options: Options) -> Fitted:
    """Return sources fitted anew, those of them extended whose likelihood gains enough by it.

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    model
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
    before = model.extent > 0
    first = fit(scene, model, before, largest)
    before &= first.model.extent >= least
    worth = before | (_extent_gain(scene, first.model) >= options.extent_cut / 4)
    if not worth.any():
        return first
    near = _beside(scene, first.model, first.model.chosen(worth))  # no other source changes with their extents
    held = replace(scene, background=scene.with_sources(first.model.chosen(~near)))
    start = replace(first.model, extent=np.where(worth, np.maximum(first.model.extent, least), 0.0)).chosen(near)
    wide = fit(held, start, worth[near], largest)
    gain, merged = np.zeros(len(model)), _replaced(first.model, near, wide.model)
    gain[near] = wide.difference.sum(axis=1) - first.difference[near].sum(axis=1)
    extended = worth & (merged.extent >= least) & (before | (gain >= options.extent_cut))
    if not (extended.any() or (model.extent > 0).any()):
        return first
    return fit(scene, _chosen(extended, merged, first.model), extended, largest)


def with_blobs(scene: Scene, model: Model, options: Options) -> Model:
    """Return sources with those replaced by one extended source that describes the counts as well as they do.

    The brightest of some sources near each other is fitted with an extent and without the others; it stands for all of
    them if its likelihood, less its number of parameters, is the higher one (Akaike 1974).

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    model
        The sources so far.
    options
        The upper limit of an extent.

    Returns
    -------
    Model
        As many sources or fewer.
    """
    leader = _leaders(model, _BLOB_ARCSEC / scene.field.pixel_arcsec)
    own = leader == np.arange(len(model))
    heads = np.unique(leader[~own])
    if not heads.size:
        return model
    largest = options.largest_extent_arcsec / scene.field.pixel_arcsec
    around = model.chosen(heads)
    near = _beside(scene, model, around)  # no other source changes what is compared
    held = replace(scene, background=scene.with_sources(model.chosen(~near)))
    blobs = np.isin(np.arange(len(model)), heads)
    total = np.array([np.bincount(leader, layer, len(model)) for layer in model.amplitude.T]).T
    start = replace(model, extent=np.where(blobs, np.maximum(model.extent, 2.5), model.extent),
                    amplitude=np.where(blobs[:, None], total, model.amplitude)).chosen(own & near)  # fmt: skip
    merged = placed(held, start, largest, 2 * FIRST_STEPS)
    saved = np.bincount(leader, minlength=len(model))[heads] - 1
    gain = _local_likelihood(held, merged, around) - _local_likelihood(held, model.chosen(near), around)
    parameters = saved * (2 + len(scene.counts)) - 1
    better = heads[gain > -parameters]
    if not better.size:
        return model
    one = np.isin(leader, better)
    position = np.cumsum(own & near) - 1
    return placed(scene, model.chosen(~one).joined(merged.chosen(position[better])), largest, FIRST_STEPS)


def _beside(scene: Scene, model: Model, others: Model) -> Mask:
    """Return which sources have stamps that may touch those of others, shape (sources,)."""
    reach, near = 2 * scene.half + 3, np.zeros(len(model), dtype=np.bool_)
    for x, y in zip(others.x.tolist(), others.y.tolist(), strict=True):
        near |= (np.abs(model.x - x) <= reach) & (np.abs(model.y - y) <= reach)
    return near


def _extent_gain(scene: Scene, model: Model) -> Floats:
    """Return what an extent may add to half of the C statistic of each point, by the slope at 0, shape (sources,).

    It is the score test: slope squared over twice the information; 0 where the likelihood falls with the extent.
    """
    everything = scene.with_sources(model)
    gains = []
    for part in scene.parts(len(model)):
        some = model.chosen(part)
        sources = Sources.of(scene, some, is_extended=True)
        squares, sums = sources.products(expected_under(sources, everything))
        mixed = squares[:, :, 3, 0] / np.maximum(squares[:, :, 0, 0], 1e-12)  # the amplitudes are free as well
        slope = (some.amplitude * (sums[:, :, 3] - mixed * sums[:, :, 0])).sum(axis=1)
        information = (some.amplitude**2 * (squares[:, :, 3, 3] - mixed * squares[:, :, 3, 0])).sum(axis=1)
        gains.append(np.where(slope > 0, slope**2 / (2 * np.maximum(information, 1e-12)), 0.0))
    return np.concatenate(gains) if gains else np.zeros(0)


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
    everything = scene.with_sources(model)
    found = []
    for part in scene.parts(len(around)):
        some = around.chosen(part)
        windows = scene.windows(some.x, some.y)
        expected = np.maximum(windows.cut(everything), LEAST_MODEL)
        inside = windows.cut(scene.share) > 0
        terms = (windows.cut(scene.counts) * np.log(expected) - expected) * inside
        found.append(terms.sum((1, 2, 3), np.float64))
    return np.concatenate(found)


def _replaced(model: Model, mask: Mask, others: Model) -> Model:
    """Return sources with those where the mask is true replaced by others, as many."""
    made = Model(*(getattr(model, name).copy() for name in PARAMETERS))
    for name in PARAMETERS:
        getattr(made, name)[mask] = getattr(others, name)
    return made


def _chosen(mask: Mask, first: Model, second: Model) -> Model:
    """Return the sources of the first model where the mask is true, else those of the second, as points."""
    found = [np.where(mask if mine.ndim == 1 else mask[:, None], mine, other) for mine, other in
             ((getattr(first, name), getattr(second, name)) for name in PARAMETERS)]  # fmt: skip
    return replace(Model(*found), extent=np.where(mask, first.extent, 0.0))
