"""What is fitted: sources as a model, and the scene they stand in, with their light in the pixels of all layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.detection.layers import Field
from reduction.detection.stamps import Pixels, Windows, light
from reduction.instruments.psf import LIMIT_ARCSEC

Floats = npt.NDArray[np.float64]

RADIUS_ARCSEC = 48.0
"""Radius about a source within which it is fitted."""

PARAMETERS = ("x", "y", "extent", "amplitude")

FARTHEST = 4.0
"""Farthest that a source may move from where it was put, in pixels."""

_CORE_ARCSEC = 28.0
_BRIGHT = 200.0
"""Counts from which the light of a source beyond its stamp is part of the background of others."""
_MOST_WING, _WINGS_AT_ONCE = 100, 4
_LEAST_HALF, _MOST_HALF = 5, 24
_MOST_STAMPS = 3_000_000
"""Most pixels of the stamps that are in work together: some 12 MB an array."""


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
    counts: Pixels
    background: Pixels
    share: Pixels
    half: int
    border: int

    @classmethod
    def of(cls, field: Field, backgrounds: Floats) -> Scene:
        """Return the scene of a field with background counts of a shape that fits (layers, rows, columns)."""
        half = int(np.clip(round(RADIUS_ARCSEC / field.pixel_arcsec), _LEAST_HALF, _MOST_HALF))
        border = half + int(FARTHEST) + 2
        shape = (len(field.layers), *(size + 2 * border for size in field.shape))
        counts, nothing, share = (np.zeros(shape, np.float32) for _ in range(3))
        scene = cls(field, counts, nothing, share, half, border)
        for index, layer in enumerate(field.layers):
            np.copyto(scene.inside(counts)[index], layer.counts, where=layer.seen, casting="same_kind")
            longest = max(layer.exposure.max(), 1e-300)
            np.divide(layer.exposure, longest, out=scene.inside(share)[index], casting="same_kind")
        return scene.on(backgrounds)

    def on(self, backgrounds: Floats | Pixels) -> Scene:
        """Return the scene with other background counts of a shape that fits (layers, rows, columns) of the field."""
        made = np.zeros_like(self.counts)
        np.multiply(backgrounds, self.inside(self.share) > 0, out=self.inside(made), casting="same_kind")
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

    def light(self, model: Model) -> tuple[Pixels, Windows]:
        """Return stamps of sources of one count, shape (sources, layers, size, size), and where they lie."""
        windows = self.windows(model.x, model.y)
        sigma, weight = self.spread(model.x, model.y)
        return light(model.x + self.border, model.y + self.border, model.extent, sigma, weight, windows), windows

    def rendered(self, model: Model) -> Pixels:
        """Return the counts of all sources in each pixel of the scene, shape (layers, rows, columns)."""
        images = np.zeros_like(self.counts)
        self.add(images, model)
        return images

    def with_sources(self, model: Model) -> Pixels:
        """Return the counts of the background and all sources in each pixel, shape (layers, rows, columns)."""
        images = self.background.copy()
        self.add(images, model)
        return images

    def add(self, images: Pixels, model: Model) -> None:
        """Add the counts of all sources to images of the scene, shape (layers, rows, columns), which change."""
        for part in self.parts(len(model)):
            some = model.chosen(part)
            stamps, windows = self.light(some)
            stamps *= by_pixel(some.amplitude)
            stamps *= windows.cut(self.share)
            windows.add(images, stamps)

    def wings(self, model: Model) -> Pixels:
        """Return the counts of bright sources beyond their stamps, shape (layers, rows, columns) of the field."""
        rows, columns = self.field.shape
        images = np.zeros((len(self.counts), rows, columns), np.float32)
        reach = max(self.half, min(_MOST_WING, round(LIMIT_ARCSEC / self.field.pixel_arcsec)))
        middle = slice(reach - self.half, reach + self.half + 1)
        bright = np.flatnonzero(model.amplitude.sum(axis=1) > _BRIGHT)
        for first in range(0, len(bright), _WINGS_AT_ONCE):
            some = model.chosen(bright[first : first + _WINGS_AT_ONCE])
            windows = Windows.around(some.x, some.y, 2 * reach + 1)
            sigma, weight = self.spread(some.x, some.y)
            stamps = light(some.x, some.y, some.extent, sigma, weight * some.amplitude[:, :, None], windows)
            stamps[:, :, middle, middle] = 0.0
            for row, column, stamp in zip(windows.row.tolist(), windows.column.tolist(), stamps, strict=True):
                up, across = slice(max(row, 0), row + windows.size), slice(max(column, 0), column + windows.size)
                images[:, up, across] += stamp[:, max(-row, 0) : rows - row, max(-column, 0) : columns - column]
        images *= self.inside(self.share)
        return images

    def parts(self, sources: int) -> list[npt.NDArray[np.intp]]:
        """Return the numbers of the sources in portions that fit into the memory."""
        each = max(1, _MOST_STAMPS // (len(self.counts) * (2 * self.half + 1) ** 2))
        return [np.arange(first, min(first + each, sources)) for first in range(0, sources, each)]

    def inside(self, image: Pixels) -> Pixels:
        """Return images of the scene without its border."""
        edge = self.border
        return image[:, edge:-edge, edge:-edge]


def by_pixel(amplitude: Floats) -> Pixels:
    """Return amplitudes, shape (sources, layers), such that stamps can be multiplied by them."""
    return amplitude.astype(np.float32)[:, :, None, None]
