"""Maximum likelihood fits of sources in all layers at once: place and extent in common, an amplitude for each layer.

The C statistic ``2 sum(m - c ln m)`` (Cash 1979, ApJ 228, 939) of the counts c and the model m = background + all
sources is made smallest by Fisher's scoring: each source takes the step that its own information matrix
``sum(dm dm / m)`` asks for, all points at once, then all extended ones, and the model of all is renewed after each
step. So blends are fitted together; the errors of a source are those with its neighbours held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.detection.boxes import Candidates
from reduction.detection.scenes import FARTHEST, PARAMETERS, Model, Scene, by_pixel
from reduction.detection.stamps import Pixels, Stamps, Windows, stamps, stamps_of_points

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_STEPS = 24
"""Most steps of a fit."""

_LARGEST_STEP = 0.7
_CALM, _CALM_ERRORS = 0.01, 0.03
"""A source rests once a step moves it by less than this, in pixels, or by less than this part of its errors."""
LEAST_MODEL = 1e-9


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit: the model and what is known of each source.

    `difference` is half of the difference of the C statistic without and with the source, shape (sources, layers);
    `errors` are the standard deviations of x, y and extent in pixels, shape (sources, 3), NaN for an extent that was
    not fitted; `amplitude_error` has the shape (sources, layers); `is_calm` tells which fits had come to rest.
    """

    model: Model
    difference: Floats
    errors: Floats
    amplitude_error: Floats
    is_calm: Mask

    def chosen(self, index: npt.NDArray[np.generic]) -> Fitted:
        """Return the sources with these numbers, or where a mask is true."""
        return Fitted(self.model.chosen(index), self.difference[index], self.errors[index],
                      self.amplitude_error[index], self.is_calm[index])  # fmt: skip


def started(scene: Scene, found: Candidates) -> Model:
    """Return the sources at the places of candidates, their counts those of a small box less the background."""
    windows = Windows.around(found.x + scene.border, found.y + scene.border, 2 * scene.half + 1)
    middle = slice(scene.half - 2, scene.half + 3)
    more = (windows.cut(scene.counts) - windows.cut(scene.background))[:, :, middle, middle].sum((2, 3), np.float64)
    share = windows.cut(scene.share)[:, :, middle, middle].mean((2, 3), np.float64)
    return Model(found.x.copy(), found.y.copy(), np.zeros(len(found)), np.maximum(more, 1.0) / np.maximum(share, 0.05))


def fit(scene: Scene, start: Model, extended: Mask, largest_extent: float, steps: int = MOST_STEPS) -> Fitted:
    """Fit sources.

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    start
        Where the sources are thought to be.
    extended
        Which of them are extended, shape (sources,); the extent of the others stays 0.
    largest_extent
        Upper limit of an extent in pixels.
    steps
        Most steps of a source; fewer where the outcome is only a start.

    Returns
    -------
    Fitted
        As many sources, in the same order.
    """
    return _measured(scene, extended, *_moved(scene, start, extended, largest_extent, steps))


def placed(scene: Scene, start: Model, largest_extent: float, steps: int) -> Model:
    """Return what `fit` finds without likelihoods and errors, for fits that are only a start.

    Parameters
    ----------
    scene
        Counts, backgrounds and exposures.
    start
        Where the sources are thought to be; those with an extent are fitted with one.
    largest_extent
        Upper limit of an extent in pixels.
    steps
        Most steps of a source.

    Returns
    -------
    Model
        As many sources, in the same order.
    """
    return _moved(scene, start, start.extent > 0, largest_extent, steps)[1]


def _moved(
    scene: Scene, start: Model, extended: Mask, largest_extent: float, steps: int
) -> tuple[Pixels, Model, Mask]:
    """Return the counts of background and all sources, the sources after their steps, and which came to rest."""
    model = Model(start.x.copy(), start.y.copy(), extent=np.where(extended, np.maximum(start.extent, 1.0), 0.0),
                  amplitude=start.amplitude.copy())  # fmt: skip
    everything = scene.background + scene.rendered(model)
    moving, kept = np.ones(len(model), dtype=np.bool_), dict[bool, Shapes]()
    for step in range(steps):
        damping = 1.0 if step < steps // 2 else 0.5
        for index in _portions(scene, extended, moving):
            wide = bool(extended[index[0]])
            is_all = index.size == np.count_nonzero(moving & (extended == wide))
            before = model.chosen(index)
            shapes = kept.pop(wide, None) or shapes_of(scene, before, wide)
            local = _local_stamps(scene, everything, before, shapes)
            after, calm = _stepped(local, before, start.chosen(index), largest_extent, damping)
            for name in PARAMETERS:
                getattr(model, name)[index] = getattr(after, name)
            local.windows.add(everything, local.unit * by_pixel(-before.amplitude))
            moving[index[calm]] = False
            if is_all and not calm.all() and step + 1 < steps:  # those that move on need their slopes in the next step
                onward = after.chosen(~calm)
                kept[wide] = shapes_of(scene, onward, wide)
                kept[wide].windows.add(everything, kept[wide].unit * by_pixel(onward.amplitude))
                after = after.chosen(calm)
            scene.add(everything, after)
        if not moving.any():
            break
    return everything, model, ~moving


def _portions(scene: Scene, extended: Mask, chosen: Mask) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the numbers of the chosen sources in portions that fit into the memory, points and extended ones apart."""
    for kind in (~extended, extended):
        numbers = np.flatnonzero(kind & chosen)
        yield from (numbers[part] for part in scene.parts(len(numbers)))


@dataclass(frozen=True)
class LocalStamps:
    """Stamps of sources: their counts, the model of everything, and its slopes by all parameters of the source.

    `slopes` has the shape (sources, parameters, layers, size, size): x and y of points, the extent too of extended
    sources; those by the amplitudes are `unit`, each in its own layer. `inside` tells which pixels are fitted.
    """

    counts: Pixels
    everything: Pixels
    unit: Pixels
    slopes: Pixels
    inside: Pixels
    windows: Windows


@dataclass(frozen=True)
class Shapes:
    """The light of sources of one count with its slopes, and the exposure of their pixels."""

    stamps: Stamps
    unit: Pixels
    share: Pixels
    windows: Windows


def shapes_of(scene: Scene, model: Model, is_extended: bool) -> Shapes:
    """Return the shapes of some sources.

    Parameters
    ----------
    scene
        Point spread functions and exposures.
    model
        The sources.
    is_extended
        Whether the slopes by the extent are needed as well.

    Returns
    -------
    Shapes
        Light and slopes, shape (sources, layers, size, size).
    """
    windows = scene.windows(model.x, model.y)
    place = (model.x + scene.border, model.y + scene.border, model.extent, *scene.spread(model.x, model.y), windows)
    found, share = stamps(*place) if is_extended else stamps_of_points(*place), windows.cut(scene.share)
    return Shapes(found, found.light * share, share, windows)


def _local_stamps(scene: Scene, everything: Pixels, model: Model, shapes: Shapes) -> LocalStamps:
    """Return the stamps of some sources; `everything` is the model of background and all sources."""
    found, share, windows = shapes.stamps, shapes.share, shapes.windows
    is_extended = found.by_extent.size > 0
    scale = share * by_pixel(model.amplitude)
    slopes = np.empty((len(model), 3 if is_extended else 2, *share.shape[1:]), np.float32)
    np.multiply(found.by_x, scale, out=slopes[:, 0])
    np.multiply(found.by_y, scale, out=slopes[:, 1])
    if is_extended:
        np.multiply(found.by_extent * by_pixel(2 * model.extent[:, None]), scale, out=slopes[:, 2])
    axis = np.arange(windows.size) - scene.half
    inside = (np.hypot(axis[:, None], axis) <= scene.half + 0.5) & (share > 0)
    return LocalStamps(windows.cut(scene.counts), np.maximum(windows.cut(everything), LEAST_MODEL), shapes.unit,
                       slopes, inside.astype(np.float32), windows)  # fmt: skip


def _information(local: LocalStamps) -> tuple[Floats, Floats]:
    """Return the information matrix of each source, (sources, n, n), and the slope of its likelihood, (sources, n).

    The parameters are those of the slopes, then the amplitudes.
    """
    (sources, places), layers = local.slopes.shape[:2], local.unit.shape[1]
    weight = local.inside / local.everything
    residual = local.counts * weight - local.inside
    size = places + layers
    matrix, slope = np.zeros((sources, size, size)), np.zeros((sources, size))
    flat, unit = local.slopes.reshape(sources, places, -1), local.unit.reshape(sources * layers, 1, -1)
    weighted = local.slopes * weight[:, None]
    matrix[:, :places, :places] = weighted.reshape(sources, places, -1) @ flat.swapaxes(1, 2)
    mixed = weighted.transpose(0, 2, 1, 3, 4).reshape(sources * layers, places, -1) @ unit.swapaxes(1, 2)
    matrix[:, places:, :places] = mixed.reshape(sources, layers, places)
    matrix[:, :places, places:] = matrix[:, places:, :places].swapaxes(1, 2)
    own = np.arange(places, size)
    matrix[:, own, own] = np.einsum("slij,slij,slij->sl", local.unit, local.unit, weight)
    slope[:, :places] = (flat @ residual.reshape(sources, -1, 1))[:, :, 0]
    slope[:, places:] = np.einsum("slij,slij->sl", residual, local.unit)
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] = matrix[:, diagonal, diagonal] * (1 + 1e-6) + 1e-12
    return matrix, slope


def _stepped(local: LocalStamps, model: Model, start: Model, largest: float, damping: float) -> tuple[Model, Mask]:
    """Return some sources after a step, and which of them hardly moved."""
    matrix, slope = _information(local)
    places = local.slopes.shape[1]
    step = damping * np.linalg.solve(matrix, slope[:, :, None])[:, :, 0]
    bounded = np.clip(step[:, :places], -_LARGEST_STEP, _LARGEST_STEP)
    extent = model.extent
    if places > 2:
        bounded[:, 2] = np.clip(step[:, 2], -0.4 * model.extent - 0.1, 0.4 * model.extent + 0.1)
        extent = np.clip(model.extent + bounded[:, 2], 0.2, largest)
    x = np.clip(model.x + bounded[:, 0], start.x - FARTHEST, start.x + FARTHEST)
    y = np.clip(model.y + bounded[:, 1], start.y - FARTHEST, start.y + FARTHEST)
    lowest = 0.1 * model.amplitude  # an amplitude falls towards 0 by steps, and never gets there
    amplitude = np.clip(model.amplitude + step[:, places:], np.maximum(lowest, 1e-6), 3 * model.amplitude + 10)
    spread = np.sqrt(1 / np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 1e-12))
    rests = np.abs(bounded) < np.maximum(_CALM, _CALM_ERRORS * spread[:, :places])
    calm = rests.all(axis=1) & (np.abs(amplitude - model.amplitude) < _CALM_ERRORS * spread[:, places:]).all(axis=1)
    return Model(x, y, extent, amplitude), calm


def _measured(scene: Scene, extended: Mask, everything: Pixels, model: Model, calm: Mask) -> Fitted:
    """Return the likelihoods and errors of fitted sources; `everything` is the model of background and all of them."""
    layers = len(scene.counts)
    difference, amplitude_error = np.zeros((2, len(model), layers))
    errors = np.full((len(model), 3), np.nan)
    for index in _portions(scene, extended, np.ones(len(model), dtype=np.bool_)):
        some = model.chosen(index)
        local = _local_stamps(scene, everything, some, shapes_of(scene, some, bool(extended[index[0]])))
        variance = np.maximum(np.diagonal(np.linalg.inv(_information(local)[0]), axis1=1, axis2=2), 0.0)
        errors[index, : variance.shape[1] - layers] = np.sqrt(variance[:, :-layers])
        amplitude_error[index] = np.sqrt(variance[:, -layers:])
        own = local.unit * by_pixel(some.amplitude)
        without = np.maximum(local.everything - own, LEAST_MODEL)
        gain = local.counts * np.log(local.everything / without) - own
        difference[index] = (gain * local.inside).sum((2, 3), np.float64)
    return Fitted(model, difference, errors, amplitude_error, calm)
