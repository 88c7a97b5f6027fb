"""Maximum likelihood fits of sources in all layers at once: place and extent in common, an amplitude for each layer.

The C statistic ``2 sum(m - c ln m)`` (Cash 1979, ApJ 228, 939) of the counts c and the model m = background + all
sources is made smallest by Fisher's scoring: each source takes the step that its own information matrix
``sum(dm dm / m)`` asks for, all sources at once, and the model of all is renewed after each step. So blends are fitted
together; the errors of a source are those with its neighbours held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.detection.boxes import Candidates
from reduction.detection.layers import Field
from reduction.detection.stamps import Windows, light, stamps
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
    model = Model(start.x.copy(), start.y.copy(), extent=np.where(extended, np.maximum(start.extent, 1.0), 0.0),
                  amplitude=start.amplitude.copy())  # fmt: skip
    everything = scene.background.copy()
    scene.add(everything, model)
    moving = np.arange(len(model))
    for step in range(steps):
        if not moving.size:
            break
        damping = 1.0 if step < steps // 2 else 0.5
        before, after, calm = model.chosen(moving), [], []
        for part in scene.parts(len(moving)):
            index = moving[part]
            each, rests = _stepped(scene, everything, model.chosen(index), start.chosen(index), extended[index],
                                   largest_extent, damping)  # fmt: skip
            after.append(each)
            calm.append(rests)
        moved = Model(*(np.concatenate([getattr(each, name) for each in after]) for name in PARAMETERS))
        for name in PARAMETERS:
            getattr(model, name)[moving] = getattr(moved, name)
        scene.add(everything, before, -1.0)
        scene.add(everything, moved)
        moving = moving[~np.concatenate(calm)]
    rests = np.ones(len(model), dtype=np.bool_)
    rests[moving] = False
    return _measured(scene, model, extended, rests)


@dataclass(frozen=True)
class LocalStamps:
    """Stamps of sources: their counts, the model of everything, and its slopes by all parameters of the source.

    `slopes` has the shape (sources, parameters, layers, size, size) of place and extent; those by the amplitudes are
    `unit`, each in its own layer.
    """

    counts: Floats
    everything: Floats
    unit: Floats
    slopes: Floats
    inside: Floats


def local_stamps(scene: Scene, everything: Floats, model: Model) -> LocalStamps:
    """Return the stamps of some sources.

    Parameters
    ----------
    scene
        Counts and exposures.
    everything
        The model of background and all sources, shape (layers, rows, columns) of the scene.
    model
        The sources.

    Returns
    -------
    LocalStamps
        What their fits need.
    """
    windows = scene.windows(model.x, model.y)
    sigma, weight = scene.spread(model.x, model.y)
    found = stamps(model.x + scene.border, model.y + scene.border, model.extent, sigma, weight, windows)
    share = windows.cut(scene.share)
    scale = share * model.amplitude[:, :, None, None]
    by_extent = found.by_extent * 2 * model.extent[:, None, None, None]
    axis = np.arange(windows.size) - scene.half
    inside = (np.hypot(axis[:, None], axis) <= scene.half + 0.5) & (share > 0)
    slopes = np.stack((found.by_x * scale, found.by_y * scale, by_extent * scale), axis=1)
    return LocalStamps(windows.cut(scene.counts), np.maximum(windows.cut(everything), LEAST_MODEL), found.light * share,
                  slopes, inside.astype(np.float64))  # fmt: skip


def _information(local: LocalStamps, extended: Mask) -> tuple[Floats, Floats]:
    """Return the information matrix of each source, (sources, n, n), and the slope of its likelihood, (sources, n).

    The parameters are x, y, extent, then the amplitudes. The extent of a point has an information of 1 and no slope.
    """
    layers = local.unit.shape[1]
    weight = local.inside / local.everything
    residual = local.inside * (local.counts / local.everything - 1)
    slopes, unit = local.slopes, local.unit
    size = 3 + layers
    matrix, slope = np.zeros((len(unit), size, size)), np.zeros((len(unit), size))
    weighted = slopes * weight[:, None]
    flat = slopes.reshape(len(unit), 3, -1)
    matrix[:, :3, :3] = weighted.reshape(len(unit), 3, -1) @ flat.swapaxes(1, 2)
    matrix[:, :3, 3:] = np.einsum("splij,slij->spl", weighted, unit)
    matrix[:, 3:, :3] = matrix[:, :3, 3:].swapaxes(1, 2)
    own = np.arange(3, size)
    matrix[:, own, own] = np.einsum("slij,slij->sl", unit * weight, unit)
    slope[:, :3] = (flat @ residual.reshape(len(unit), -1, 1))[:, :, 0]
    slope[:, 3:] = np.einsum("slij,slij->sl", residual, unit)
    point = ~extended
    matrix[point, 2, :] = matrix[point, :, 2] = slope[point, 2:3] = 0.0
    matrix[point, 2, 2] = 1.0
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] = matrix[:, diagonal, diagonal] * (1 + 1e-6) + 1e-12
    return matrix, slope


def _stepped(
    scene: Scene, everything: Floats, model: Model, start: Model, extended: Mask, largest: float, damping: float
) -> tuple[Model, Mask]:
    """Return some sources after a step, and which of them hardly moved."""
    local = local_stamps(scene, everything, model)
    matrix, slope = _information(local, extended)
    step = damping * np.linalg.solve(matrix, slope[:, :, None])[:, :, 0]
    bounded = np.clip(step[:, :3], -_LARGEST_STEP, _LARGEST_STEP)
    bounded[:, 2] = np.clip(step[:, 2], -0.4 * model.extent - 0.1, 0.4 * model.extent + 0.1)
    x = np.clip(model.x + bounded[:, 0], start.x - _FARTHEST, start.x + _FARTHEST)
    y = np.clip(model.y + bounded[:, 1], start.y - _FARTHEST, start.y + _FARTHEST)
    extent = np.where(extended, np.clip(model.extent + bounded[:, 2], 0.2, largest), 0.0)
    lowest = 0.1 * model.amplitude  # an amplitude falls towards 0 by steps, and never gets there
    amplitude = np.clip(model.amplitude + step[:, 3:], np.maximum(lowest, 1e-6), 3 * model.amplitude + 10)
    spread = np.sqrt(1 / np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 1e-12))
    rests = np.abs(bounded) < np.maximum(_CALM, _CALM_ERRORS * spread[:, :3])
    calm = rests.all(axis=1) & (np.abs(amplitude - model.amplitude) < _CALM_ERRORS * spread[:, 3:]).all(axis=1)
    return Model(x, y, extent, amplitude), calm


def extent_gain(scene: Scene, model: Model) -> Floats:
    """Return what an extent may add to half of the C statistic of each point, by the slope at 0, shape (sources,).

    It is the score test: slope squared over twice the information; 0 where the likelihood falls with the extent.
    """
    everything = scene.background + scene.rendered(model)
    gains = []
    for part in scene.parts(len(model)):
        some = model.chosen(part)
        windows = scene.windows(some.x, some.y)
        sigma, weight = scene.spread(some.x, some.y)
        found = stamps(some.x + scene.border, some.y + scene.border, some.extent, sigma, weight, windows)
        share = windows.cut(scene.share)
        expected = np.maximum(windows.cut(everything), LEAST_MODEL)
        change = found.by_extent * share * some.amplitude[:, :, None, None]
        own = found.light * share
        weighted = np.where(share > 0, 1 / expected, 0.0)
        mixed, both = ((first * own * weighted).sum(axis=(2, 3)) for first in (change, own))
        free = change - own * (mixed / np.maximum(both, 1e-12))[:, :, None, None]  # the amplitudes are free as well
        slope = (free * (windows.cut(scene.counts) / expected - 1) * (share > 0)).sum(axis=(1, 2, 3))
        information = (free**2 * weighted).sum(axis=(1, 2, 3))
        gains.append(np.where(slope > 0, slope**2 / (2 * np.maximum(information, 1e-12)), 0.0))
    return np.concatenate(gains) if gains else np.zeros(0)


def _measured(scene: Scene, model: Model, extended: Mask, calm: Mask) -> Fitted:
    """Return the likelihoods and errors of fitted sources."""
    everything = scene.background + scene.rendered(model)
    difference, errors, amplitude_error = [], [], []
    for part in scene.parts(len(model)):
        some = model.chosen(part)
        local = local_stamps(scene, everything, some)
        matrix, _ = _information(local, extended[part])
        variance = np.diagonal(np.linalg.inv(matrix), axis1=1, axis2=2)
        errors.append(np.sqrt(np.maximum(variance[:, :3], 0.0)))
        amplitude_error.append(np.sqrt(np.maximum(variance[:, 3:], 0.0)))
        own = local.unit * some.amplitude[:, :, None, None]
        without = np.maximum(local.everything - own, LEAST_MODEL)
        gain = local.counts * np.log(local.everything / without) - own
        difference.append((gain * local.inside).sum(axis=(2, 3)))
    layers = len(scene.counts)
    stacked = [np.concatenate(parts) if parts else np.zeros((0, size))
               for parts, size in ((difference, layers), (errors, 3), (amplitude_error, layers))]  # fmt: skip
    stacked[1][~extended, 2] = np.nan
    return Fitted(model, stacked[0], stacked[1], stacked[2], calm)
