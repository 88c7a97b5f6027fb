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
from reduction.detection.scenes import FARTHEST, PARAMETERS, Model, Scene, by_pixel
from reduction.detection.stamps import Pixels, Stamps, Windows, stamps

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
    everything = scene.with_sources(model)
    moving, kept = np.ones(len(model), dtype=np.bool_), dict[bool, Sources]()
    for step in range(steps):
        damping = 1.0 if step < steps // 2 else 0.5
        for index in _portions(scene, extended, moving):
            wide = bool(extended[index[0]])
            is_all = index.size == np.count_nonzero(moving & (extended == wide))
            before = kept.pop(wide, None) or Sources.of(scene, model.chosen(index), wide)
            placed, calm = _stepped(before, everything, start.chosen(index), largest_extent, damping)
            for name in PARAMETERS:
                getattr(model, name)[index] = getattr(placed, name)
            after = before.moved(scene, placed)
            after.replace(before, everything)
            moving[index[calm]] = False
            if is_all and not calm.all():  # those that move on need the same slopes in the next step
                kept[wide] = after.chosen(~calm)
        if not moving.any():
            break
    return everything, model, ~moving


def _portions(scene: Scene, extended: Mask, chosen: Mask) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the numbers of the chosen sources in portions that fit into the memory, points and extended ones apart."""
    for kind in (~extended, extended):
        numbers = np.flatnonzero(kind & chosen)
        yield from (numbers[part] for part in scene.parts(len(numbers)))


@dataclass(frozen=True)
class Under:
    """What of the images lies under the stamps of sources, shape (sources, layers, size, size).

    `counts`, `share` (relative exposures), and `fitted`: these in the circle of pixels that are fitted, else 0.
    """

    counts: Pixels
    share: Pixels
    fitted: Pixels
    windows: Windows

    @classmethod
    def of(cls, scene: Scene, windows: Windows) -> Under:
        """Return what lies under some windows."""
        axis, share = np.arange(windows.size) - scene.half, windows.cut(scene.share)
        circle = np.hypot(axis[:, None], axis) <= scene.half + 0.5
        return cls(windows.cut(scene.counts), share, share * circle.astype(np.float32), windows)

    def moved(self, scene: Scene, windows: Windows) -> Under:
        """Return what lies under other windows of the same sources, of which few lie elsewhere."""
        elsewhere = windows.differ(self.windows)
        if elsewhere.any():
            new = Under.of(scene, windows.chosen(elsewhere))
            for mine, other in ((self.counts, new.counts), (self.share, new.share), (self.fitted, new.fitted)):
                mine[elsewhere] = other
        return replace(self, windows=windows)

    def chosen(self, mask: Mask) -> Under:
        """Return that of the sources where the mask is true."""
        return Under(self.counts[mask], self.share[mask], self.fitted[mask], self.windows.chosen(mask))


@dataclass(frozen=True)
class Sources:
    """Sources of one kind on their way: `light` are their counts in the pixels of their stamps.

    `stamps` are the light and the slopes of one count at full exposure, `under` what lies under them.
    """

    model: Model
    stamps: Stamps
    light: Pixels
    under: Under

    @classmethod
    def of(cls, scene: Scene, model: Model, is_extended: bool, under: Under | None = None) -> Sources:
        """Return sources, all points or all extended.

        Parameters
        ----------
        scene
            Point spread functions, counts and exposures.
        model
            The sources.
        is_extended
            Whether the slopes by the extent are needed as well.
        under
            What lies under their stamps, if it is known.

        Returns
        -------
        Sources
            With new stamps.
        """
        windows = scene.windows(model.x, model.y)
        place = (model.x + scene.border, model.y + scene.border, model.extent, *scene.spread(model.x, model.y), windows)
        stamps_here = stamps(*place, is_extended=is_extended)
        under = Under.of(scene, windows) if under is None else under.moved(scene, windows)
        light = stamps_here.light * under.share
        light *= by_pixel(model.amplitude)
        return cls(model, stamps_here, light, under)

    def moved(self, scene: Scene, model: Model) -> Sources:
        """Return the sources after a step; what lies under these here is gone then."""
        return Sources.of(scene, model, self.is_extended, self.under)

    def chosen(self, mask: Mask) -> Sources:
        """Return the sources where the mask is true."""
        return Sources(self.model.chosen(mask), self.stamps.chosen(mask), self.light[mask], self.under.chosen(mask))

    @property
    def is_extended(self) -> bool:
        """Whether they have slopes by the extent."""
        return bool(self.stamps.stack.shape[2] > 3)

    def replace(self, before: Sources, everything: Pixels) -> None:
        """Put the sources into the model of everything, for what they were before."""
        windows, change = self.under.windows, self.light.copy()
        elsewhere = windows.differ(before.under.windows)
        change[~elsewhere] -= before.light[~elsewhere]
        windows.add(everything, change)
        before.under.windows.chosen(elsewhere).add(everything, -before.light[elsewhere])

    def products(self, expected: Pixels) -> tuple[Pixels, Pixels]:
        """Return products of light and slopes of one count, over expected counts.

        Parameters
        ----------
        expected
            Counts that the model of everything lets expect under the stamps.

        Returns
        -------
        tuple of array
            With each other, shape (sources, layers, n, n), and with the counts less the expected ones, (sources,
            layers, n), where n counts the light and its slopes.
        """
        number, layers, shapes = self.stamps.stack.shape[:3]
        weight = self.under.fitted / expected
        residual = (self.under.counts - expected) * weight
        weight *= self.under.fitted
        flat = self.stamps.stack.reshape(number, layers, shapes, -1)
        squares = (flat * weight.reshape(number, layers, 1, -1)) @ flat.swapaxes(-1, -2)
        return squares, (flat @ residual.reshape(number, layers, -1, 1))[..., 0]


def _information(sources: Sources, expected: Pixels) -> tuple[Floats, Floats]:
    """Return the information matrix of each source, (sources, n, n), and the slope of its likelihood, (sources, n).

    The parameters are x and y of points, the extent too of extended sources, then the amplitudes. `expected` are the
    counts that the model of everything lets expect under the stamps.
    """
    model, (squares, sums) = sources.model, sources.products(expected)
    number, layers, shapes = sums.shape
    scale = np.repeat(model.amplitude[:, :, None], shapes - 1, axis=2)  # of light to slope by each of x, y and extent
    scale[:, :, 2:] *= 2 * model.extent[:, None, None]
    places, size = shapes - 1, shapes - 1 + layers
    matrix, slope = np.zeros((number, size, size)), np.zeros((number, size))
    matrix[:, :places, :places] = (scale[..., None] * squares[:, :, 1:, 1:] * scale[:, :, None, :]).sum(axis=1)
    matrix[:, places:, :places] = scale * squares[:, :, 0, 1:]
    matrix[:, :places, places:] = matrix[:, places:, :places].swapaxes(1, 2)
    own = np.arange(places, size)
    matrix[:, own, own] = squares[:, :, 0, 0]
    slope[:, :places] = (scale * sums[:, :, 1:]).sum(axis=1)
    slope[:, places:] = sums[:, :, 0]
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] = matrix[:, diagonal, diagonal] * (1 + 1e-6) + 1e-12
    return matrix, slope


def _stepped(
    sources: Sources, everything: Pixels, start: Model, largest: float, damping: float
) -> tuple[Model, Mask]:
    """Return some sources after a step, and which of them hardly moved."""
    matrix, slope = _information(sources, expected_under(sources, everything))
    model, places = sources.model, 3 if sources.is_extended else 2
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


def expected_under(sources: Sources, everything: Pixels) -> Pixels:
    """Return what the model of everything lets expect under the stamps of sources."""
    found = sources.under.windows.cut(everything)
    return np.maximum(found, np.float32(LEAST_MODEL), out=found)


def _measured(scene: Scene, extended: Mask, everything: Pixels, model: Model, calm: Mask) -> Fitted:
    """Return the likelihoods and errors of fitted sources; `everything` is the model of background and all of them."""
    layers = len(scene.counts)
    difference, amplitude_error = np.zeros((2, len(model), layers))
    errors = np.full((len(model), 3), np.nan)
    for index in _portions(scene, extended, np.ones(len(model), dtype=np.bool_)):
        some = model.chosen(index)
        sources = Sources.of(scene, some, bool(extended[index[0]]))
        expected, counts = expected_under(sources, everything), sources.under.counts
        variance = np.maximum(np.diagonal(np.linalg.inv(_information(sources, expected)[0]), axis1=1, axis2=2), 0.0)
        errors[index, : variance.shape[1] - layers] = np.sqrt(variance[:, :-layers])
        amplitude_error[index] = np.sqrt(variance[:, -layers:])
        without = np.maximum(expected - sources.light, LEAST_MODEL)
        gain = counts * np.log(expected / without) - sources.light
        difference[index] = (gain * (sources.under.fitted > 0)).sum((2, 3), np.float64)
    return Fitted(model, difference, errors, amplitude_error, calm)
