"""The backgrounds of a field: around boxes at first, then splines through what known sources leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.detection import boxes
from reduction.detection.scenes import Model, Scene
from reduction.detection.splines import spline_background
from reduction.detection.stamps import Pixels

Mask = npt.NDArray[np.bool_]

_SCREEN = 0.15
"""A pixel is no background where the known sources give more than this part of it."""


@dataclass(frozen=True)
class Ground:
    """What the backgrounds of a scene follow, in all its layers: shape (layers, rows, columns) without the border.

    `seconds` are those without vignetting, 0 where nothing was seen, `late` the expected counts of events out of time,
    None where none are known; `nodes` are the most nodes of a spline along an axis.
    """

    scene: Scene
    seconds: Pixels
    late: Pixels | None
    nodes: int

    @classmethod
    def of(cls, scene: Scene, nodes: int) -> Ground:
        """Return that of a scene, whose own background does not count."""
        layers = scene.field.layers
        seconds = np.zeros((len(layers), *scene.field.shape), np.float32)
        late = np.zeros_like(seconds) if any(layer.streaks is not None for layer in layers) else None
        for index, layer in enumerate(layers):
            seen = layer.seen
            np.copyto(seconds[index], layer.live, where=seen, casting="same_kind")
            if late is not None and layer.streaks is not None:
                np.copyto(late[index], layer.streaks, where=seen, casting="same_kind")
        return cls(scene, seconds, late, nodes)

    def around_boxes(self, half: int) -> list[Pixels]:
        """Return the counts that the surroundings of each box of half a width let expect in it, of each layer."""
        return boxes.local_backgrounds(self.scene.inside(self.scene.counts), self.seconds, half, self.late)

    def beside(self, model: Model) -> Pixels:
        """Return the background of each layer with the wings of bright sources, which given backgrounds hold."""
        scene, wings = self.scene, self.scene.wings(model)
        found = self.splines(scene.inside(scene.rendered(model)) + wings)
        for layer, image, wing in zip(scene.field.layers, found, wings, strict=True):
            if layer.background is None:
                image += wing
        return found

    def splines(self, models: Pixels) -> Pixels:
        """Return the background of each layer: that which is given, or a spline through what the sources leave.

        `models` are the counts of the sources, shape (layers, rows, columns).
        """
        made = np.zeros_like(self.seconds)
        for index, layer in enumerate(self.scene.field.layers):
            if layer.background is not None:
                np.copyto(made[index], layer.background, where=layer.seen, casting="same_kind")
                continue
            late = 0.0 if self.late is None else self.late[index]
            left = self._counts[index] - models[index] - late
            made[index] = spline_background(left, self.seconds[index], self._between(index, models[index]), self.nodes)
            made[index] += late
        return made

    @property
    def _counts(self) -> Pixels:
        return self.scene.inside(self.scene.counts)

    def _between(self, index: int, model: Pixels) -> Mask:
        """Return which pixels of a layer hold hardly anything of the sources, or all where these are everywhere."""
        seconds, counts = self.seconds[index], self._counts[index]
        typical = counts.sum(dtype=np.float64) / max(float(seconds.sum(dtype=np.float64)), 1e-300)
        kept = model < seconds * np.float32(_SCREEN * typical)  # never where the seconds are 0
        seen = self.scene.inside(self.scene.share)[index] > 0
        return np.asarray(kept if np.count_nonzero(kept) >= 0.05 * np.count_nonzero(seen) else seen)
