"""Maximum likelihood fits of sources in all layers at once: place and extent in common, an amplitude for each layer.

The C statistic ``2 sum(m - c ln m)`` (Cash 1979, ApJ 228, 939) of the counts c and the model m = background + all
sources is made smallest by Fisher's scoring: each source takes the step that its own information matrix
``sum(dm dm / m)`` asks for, all points at once, then all extended ones, and the model of all is renewed after each
step. So blends are fitted together; the errors of a source are those with its neighbours held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.detection.boxes import Candidates
from reduction.detection.layers import Field
from reduction.detection.stamps import Windows, light, stamps, stamps_of_points
from reduction.instruments.psf import LIMIT_ARCSEC

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RADIUS_ARCSEC = 48.0
"""Radius about a source within which it is fitted."""

_CORE_ARCSEC = 28.0
_BRIGHT = 200.0
"""Counts from which the light of a source beyond its stamp is part of the background of others."""
_MOST_WING = 100
_LEAST_HALF, _MOST_HALF = 5, 24
MOST_STEPS = 24
"""Most steps of a fit."""

PARAMETERS = ("x", "y", "extent", "amplitude")

_FARTHEST = 4.0
"""Farthest that a source may move from where it was put, in pixels."""
_LARGEST_STEP = 0.7
_CALM, _CALM_ERRORS = 0.01, 0.03
"""A source rests once a step moves it by less than this, in pixels, or by less than this part of its errors."""
_MOST_STAMPS = 3_000_000
"""Most pixels of the stamps that are in work together: some 25 MB an array."""
LEAST_MODEL = 1e-9


@dataclass(frozen=True)
class Model:
    """Sources in a field: places in pixels from 0, extents in pixels (0: a point), and amplitudes in all layers.

    Shape (sources,), and (sources, layers) for `amplitude`: counts that a source would have in the image if the
    exposure were everywhere the longest of its layer.
    """

    x: Floats
    y: Floats
    extent: Floats
    amplitude: Floats

    def __len__(self) -> int:
        return len(self.x)

    def chosen(self, index: npt.NDArray[np.generic]) -> Model:
        """Return the sources with these numbers, or where a mask is true."""
        return Model(self.x[index], self.y[index], self.extent[index], self.amplitude[index])

    def joined(self, other: Model) -> Model:
        """Return these sources and others."""
        return Model(*(np.concatenate((getattr(self, name), getattr(other, name)))
                       for name in PARAMETERS))  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What is fitted: the field's counts, backgrounds and relative exposures with a border of nothing around them.

    Shape (layers, rows, columns) each; `half` is the half width of the stamps in pixels, `border` the width of the
    border.
    """

    field: Field
    counts: Floats
    background: Floats
    share: Floats
    half: int
    border: int

    @classmethod
    def of(cls, field: Field, backgrounds: Floats) -> Scene:
        """Return the scene of a field with the background counts of each layer, shape (layers, rows, columns)."""
        half = int(np.clip(round(RADIUS_ARCSEC / field.pixel_arcsec), _LEAST_HALF, _MOST_HALF))
        border = half + int(_FARTHEST) + 2
        edges = ((0, 0), (border, border), (border, border))
        seen = [layer.seen for layer in field.layers]
        share = [layer.exposure / max(layer.exposure.max(), 1e-300) for layer in field.layers]
        counts = [np.where(mask, layer.counts, 0.0) for mask, layer in zip(seen, field.layers, strict=True)]
        return cls(field, np.pad(np.array(counts), edges), np.pad(backgrounds * seen, edges),
                   np.pad(np.array(share), edges), half, border)  # fmt: skip

    def on(self, backgrounds: Floats) -> Scene:
        """Return the scene with other background counts, shape (layers, rows, columns) of the field."""
        made = np.zeros(self.counts.shape)
        np.multiply(backgrounds, self.inside(self.share) > 0, out=self.inside(made))
        return replace(self, background=made)

    def narrow(self) -> Scene:
        """Return the scene with stamps that hold the cores of sources, for first fits."""
        return replace(self, half=min(self.half, max(_LEAST_HALF, round(_CORE_ARCSEC / self.field.pixel_arcsec))))

    def windows(self, x: Floats, y: Floats) -> Windows:
        """Return the windows of the stamps of places in pixels of the field, in the pixels of the scene."""
        return Windows.around(x + self.border, y + self.border, 2 * self.half + 1)

    def spread(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return sigma in pixels and weight of the Gaussians at places, shape (sources, layers, components) both."""
        found = [layer.spread.at(self.field.off_axis_arcmin(layer, x, y)) for layer in self.field.layers]
        most = max(each[0].shape[1] for each in found)
        sigma, weight = np.ones((2, len(x), len(found), most))
        weight[:] = 0.0
        for index, (sigmas, weights) in enumerate(found):
            sigma[:, index, : sigmas.shape[1]] = sigmas / self.field.pixel_arcsec
            weight[:, index, : sigmas.shape[1]] = weights
        return sigma, weight

    def light(self, model: Model) -> tuple[Floats, Windows]:
        """Return stamps of sources of one count, shape (sources, layers, size, size), and where they lie."""
        windows = self.windows(model.x, model.y)
        sigma, weight = self.spread(model.x, model.y)
        return light(model.x + self.border, model.y + self.border, model.extent, sigma, weight, windows), windows

    def rendered(self, model: Model) -> Floats:
        """Return the counts of all sources in each pixel of the scene, shape (layers, rows, columns)."""
        images = np.zeros(self.counts.shape)
        self.add(images, model)
        return images

    def add(self, images: Floats, model: Model, factor: float = 1.0) -> None:
        """Add the counts of all sources to images of the scene.

        Parameters
        ----------
        images
            Shape (layers, rows, columns); they change.
        model
            The sources.
        factor
            What their counts are multiplied by; -1 takes them off again.
        """
        for part in self.parts(len(model)):
            some = model.chosen(part)
            unit, windows = self.light(some)
            windows.add(images, unit * (factor * some.amplitude[:, :, None, None]) * windows.cut(self.share))

    def wings(self, model: Model) -> Floats:
        """Return the counts of bright sources beyond their stamps, shape (layers, rows, columns) of the field."""
        rows, columns = self.field.shape
        images = np.zeros((len(self.counts), rows, columns))
        reach = max(self.half, min(_MOST_WING, round(LIMIT_ARCSEC / self.field.pixel_arcsec)))
        for number in np.flatnonzero(model.amplitude.sum(axis=1) > _BRIGHT):
            some = model.chosen(np.array([number]))
            windows = Windows.around(some.x, some.y, 2 * reach + 1)
            stamp = light(some.x, some.y, some.extent, *self.spread(some.x, some.y), windows)[0]
            stamp *= some.amplitude[0][:, None, None]
            stamp[:, reach - self.half : reach + self.half + 1, reach - self.half : reach + self.half + 1] = 0.0
            row, column = int(windows.row[0]), int(windows.column[0])
            up, across = slice(max(row, 0), row + windows.size), slice(max(column, 0), column + windows.size)
            images[:, up, across] += stamp[:, max(-row, 0) : rows - row, max(-column, 0) : columns - column]
        return images * self.inside(self.share)

    def parts(self, sources: int) -> list[npt.NDArray[np.intp]]:
        """Return the numbers of the sources in portions that fit into the memory."""
        each = max(1, _MOST_STAMPS // (len(self.counts) * (2 * self.half + 1) ** 2))
        return [np.arange(first, min(first + each, sources)) for first in range(0, sources, each)]

    def inside(self, image: Floats) -> Floats:
        """Return images of the scene without its border."""
        edge = self.border
        return image[:, edge:-edge, edge:-edge]


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
    more = (windows.cut(scene.counts) - windows.cut(scene.background))[:, :, middle, middle].sum(axis=(2, 3))
    share = windows.cut(scene.share)[:, :, middle, middle].mean(axis=(2, 3))
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
) -> tuple[Floats, Model, Mask]:
    """Return the counts of background and all sources, the sources after their steps, and which came to rest."""
    model = Model(start.x.copy(), start.y.copy(), extent=np.where(extended, np.maximum(start.extent, 1.0), 0.0),
                  amplitude=start.amplitude.copy())  # fmt: skip
    everything = scene.background + scene.rendered(model)
    moving = np.ones(len(model), dtype=np.bool_)
    for step in range(steps):
        damping = 1.0 if step < steps // 2 else 0.5
        for index in _portions(scene, extended, moving):
            before = model.chosen(index)
            local = local_stamps(scene, everything, before, bool(extended[index[0]]))
            after, calm = _stepped(local, before, start.chosen(index), largest_extent, damping)
            for name in PARAMETERS:
                getattr(model, name)[index] = getattr(after, name)
            local.windows.add(everything, local.unit * -before.amplitude[:, :, None, None])
            scene.add(everything, after)
            moving[index[calm]] = False
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

    counts: Floats
    everything: Floats
    unit: Floats
    slopes: Floats
    inside: Floats
    windows: Windows


def local_stamps(scene: Scene, everything: Floats, model: Model, is_extended: bool) -> LocalStamps:
    """Return the stamps of some sources.

    Parameters
    ----------
    scene
        Counts and exposures.
    everything
        The model of background and all sources, shape (layers, rows, columns) of the scene.
    model
        The sources.
    is_extended
        Whether the extent of the sources is fitted as well.

    Returns
    -------
    LocalStamps
        What their fits need.
    """
    windows = scene.windows(model.x, model.y)
    place = (model.x + scene.border, model.y + scene.border, model.extent, *scene.spread(model.x, model.y), windows)
    found = stamps(*place) if is_extended else stamps_of_points(*place)
    share = windows.cut(scene.share)
    scale = share * model.amplitude[:, :, None, None]
    slopes = np.empty((len(model), 3 if is_extended else 2, *share.shape[1:]))
    np.multiply(found.by_x, scale, out=slopes[:, 0])
    np.multiply(found.by_y, scale, out=slopes[:, 1])
    if is_extended:
        np.multiply(found.by_extent * 2 * model.extent[:, None, None, None], scale, out=slopes[:, 2])
    axis = np.arange(windows.size) - scene.half
    inside = (np.hypot(axis[:, None], axis) <= scene.half + 0.5) & (share > 0)
    return LocalStamps(windows.cut(scene.counts), np.maximum(windows.cut(everything), LEAST_MODEL), found.light * share,
                       slopes, inside.astype(np.float64), windows)  # fmt: skip


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
    x = np.clip(model.x + bounded[:, 0], start.x - _FARTHEST, start.x + _FARTHEST)
    y = np.clip(model.y + bounded[:, 1], start.y - _FARTHEST, start.y + _FARTHEST)
    lowest = 0.1 * model.amplitude  # an amplitude falls towards 0 by steps, and never gets there
    amplitude = np.clip(model.amplitude + step[:, places:], np.maximum(lowest, 1e-6), 3 * model.amplitude + 10)
    spread = np.sqrt(1 / np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 1e-12))
    rests = np.abs(bounded) < np.maximum(_CALM, _CALM_ERRORS * spread[:, :places])
    calm = rests.all(axis=1) & (np.abs(amplitude - model.amplitude) < _CALM_ERRORS * spread[:, places:]).all(axis=1)
    return Model(x, y, extent, amplitude), calm


def _measured(scene: Scene, extended: Mask, everything: Floats, model: Model, calm: Mask) -> Fitted:
    """Return the likelihoods and errors of fitted sources; `everything` is the model of background and all of them."""
    layers = len(scene.counts)
    difference, amplitude_error = np.zeros((2, len(model), layers))
    errors = np.full((len(model), 3), np.nan)
    for index in _portions(scene, extended, np.ones(len(model), dtype=np.bool_)):
        some = model.chosen(index)
        local = local_stamps(scene, everything, some, bool(extended[index[0]]))
        variance = np.maximum(np.diagonal(np.linalg.inv(_information(local)[0]), axis1=1, axis2=2), 0.0)
        errors[index, : variance.shape[1] - layers] = np.sqrt(variance[:, :-layers])
        amplitude_error[index] = np.sqrt(variance[:, -layers:])
        own = local.unit * some.amplitude[:, :, None, None]
        without = np.maximum(local.everything - own, LEAST_MODEL)
        gain = local.counts * np.log(local.everything / without) - own
        difference[index] = (gain * local.inside).sum(axis=(2, 3))
    return Fitted(model, difference, errors, amplitude_error, calm)
