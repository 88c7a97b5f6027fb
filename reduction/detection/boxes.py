"""The sliding box: places where a box of pixels holds significantly more counts than its background lets expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.detection.likelihood import detection_likelihood, excess
from reduction.detection.stamps import Pixels
from reduction.images.background import box_sums

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

INNER, OUTER = 2, 5
"""The local background of a box of half width h lies in a frame from h + INNER to h + OUTER pixels."""

FEW = 5.0
"""Counts of the mean of the image that join those of each frame, of which a faint image may have none."""

_GRID, _FINER = 129, 4
_STRIP_PIXELS = 60_000
"""Pixels of a strip of an image: a quarter of a megabyte an array."""


@dataclass(frozen=True)
class Candidates:
    """Places in pixels from 0 with the half width of the box that found them and its likelihood, the best first.

    Shape (n,) all.
    """

    x: Floats
    y: Floats
    half: Floats
    likelihood: Floats

    def __len__(self) -> int:
        return len(self.x)

    def first(self, number: int) -> Candidates:
        """Return at most the first `number`."""
        return self.chosen(np.arange(min(number, len(self))))

    def chosen(self, index: npt.NDArray[np.intp]) -> Candidates:
        """Return those with these numbers."""
        return Candidates(self.x[index], self.y[index], self.half[index], self.likelihood[index])


def local_backgrounds(counts: Pixels, exposures: Pixels, half: int, known: Pixels | None = None) -> list[Pixels]:
    """Return the counts that the surroundings of each box let expect in it.

    Parameters
    ----------
    counts
        Of each layer, shape (layers, rows, columns).
    exposures
        What the background of each layer is proportional to, in the same shape.
    half
        The boxes have 2 half + 1 pixels a side.
    known
        Expected counts that the surroundings of a box do not tell of, such as read-out streaks, in the same shape; None
        for none.

    Returns
    -------
    list of array
        Shape (rows, columns) each. A frame has `FEW` counts at the mean rate of the image besides its own.
    """
    made, lit, own = [], exposures[0], exposures[0]
    for index, (image, exposure) in enumerate(zip(counts, exposures, strict=True)):
        if index == 0 or not np.array_equal(exposure, exposures[index - 1]):  # all bands of a camera have the same one
            lit, own = _framed(exposure, half), box_sums(exposure, half)
        left = image if known is None else image - known[index]
        mean = max(float(left.sum(dtype=np.float64)) / max(float(exposure.sum(dtype=np.float64)), 1e-300), 1e-30)
        expected = (_framed(left, half) + FEW) / (lit + FEW / mean) * own
        made.append(expected if known is None else expected + box_sums(known[index], half))
    return made


def _framed(image: Pixels, half: int) -> Pixels:
    """Return the sum over a frame around the box of each pixel, 0 or more."""
    return _by_strips(lambda cut: np.maximum(box_sums(cut, half + OUTER) - box_sums(cut, half + INNER), 0.0),
                      (image,), half + OUTER)  # fmt: skip


def excess_over(counts: Sequence[Pixels], expected: Sequence[Pixels]) -> Pixels:
    """Return the excess of the counts of boxes over expected ones, summed over several layers.

    Parameters
    ----------
    counts
        Of each box and layer, shape (rows, columns).
    expected
        Expected counts of each box and layer.

    Returns
    -------
    array
        Half of the C statistic, shape (rows, columns).
    """
    return _by_strips(_summed_excess, (*counts, *expected), 0)


def excess_over_map(counts: Sequence[Pixels], background: Sequence[Pixels], half: int) -> Pixels:
    """Return the excess of the counts of boxes over a map of the background, summed over several layers.

    Parameters
    ----------
    counts
        Of each box and layer, shape (rows, columns).
    background
        Expected counts of each pixel and layer.
    half
        The boxes have 2 half + 1 pixels a side.

    Returns
    -------
    array
        Half of the C statistic, shape (rows, columns).
    """
    layers = len(counts)
    return _by_strips(
        lambda *images: _summed_excess(*images[:layers], *(box_sums(image, half) for image in images[layers:])),
        (*counts, *background), half,
    )  # fmt: skip


def _summed_excess(*images: Pixels) -> Pixels:
    """Return the summed excess of the first half of some images over the second."""
    layers = len(images) // 2
    return np.asarray(sum(excess(images[layer], images[layers + layer]) for layer in range(layers)))


def _by_strips(work: Callable[..., Pixels], images: Sequence[Pixels], reach: int) -> Pixels:
    """Return what some work makes of images, strip by strip, so that all it needs on its way stays in the cache.

    A pixel of its outcome must not depend on pixels farther than `reach` rows from it.
    """
    made = np.empty_like(images[0], order="C")
    rows, columns = made.shape
    strip = max(4 * reach + 4, _STRIP_PIXELS // columns)
    for first in range(0, rows, strip):
        low = max(first - reach, 0)
        cut = work(*(image[low : first + strip + reach] for image in images))
        made[first : first + strip] = cut[first - low : first - low + strip]
    return made


def peaks(summed: Pixels, layers: int, half: int, cut: float, seen: Mask) -> Candidates:
    """Return where the likelihood of the boxes has a maximum above a cut.

    Parameters
    ----------
    summed
        The excess of each box, summed over the layers, shape (rows, columns).
    layers
        Of how many layers it is the sum: a parameter each.
    half
        Half width of the boxes in pixels.
    cut
        Lowest likelihood.
    seen
        Where a source may be, shape (rows, columns).

    Returns
    -------
    Candidates
        Each the highest within its own box, the most likely first.
    """
    rows, columns = _highest(summed, seen & (summed >= level_of(cut, layers)), max(half, 2))
    likelihood = detection_likelihood(summed[rows, columns], layers)
    order = np.argsort(-likelihood, kind="stable")
    return Candidates(columns[order].astype(np.float64), rows[order].astype(np.float64),
                      np.full(len(order), float(half)), likelihood[order])  # fmt: skip


def level_of(cut: float, parameters: int) -> float:
    """Return the summed excess whose likelihood is `cut`, from ever finer grids."""
    low, high = 0.0, cut + 10.0 * parameters + 10.0
    for _ in range(_FINER):
        grid = np.linspace(low, high, _GRID)
        above = int(np.argmax(detection_likelihood(grid, parameters) >= cut))
        low, high = float(grid[max(above - 1, 0)]), float(grid[above])
    return high


def _highest(values: Pixels, chosen: Mask, reach: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the chosen pixels that are the highest of these within `reach` rows and columns.

    Of equal ones that with the higher surroundings is the highest, then the last one. As few pixels are chosen, each
    is compared with its neighbours, the nearest first, until one is higher.
    """
    rows, columns = np.nonzero(chosen)
    width = values.shape[1] + 2 * reach
    flat, ranks = np.zeros((2, (values.shape[0] + 2 * reach) * width))
    alive = (rows + reach) * width + columns + reach
    flat[alive] = values[rows, columns]
    steps = range(-reach, reach + 1)
    around = sorted((up * up + across * across, up * width + across) for up in steps for across in steps)[1:]
    near = sum((flat[alive + step] for distance, step in around if distance <= 2), flat[alive])
    ranks[alive] = flat[alive] + 1e-4 * near + alive * (1e-9 / flat.size)
    for _, step in around:
        alive = alive[ranks[alive] >= ranks[alive + step]]
    return alive // width - reach, alive % width - reach


def merged(found: Sequence[Candidates]) -> Candidates:
    """Return the candidates of boxes of rising size: one of a larger box counts where no smaller one lies within it."""
    kept = found[0]
    for wider in found[1:]:
        if len(wider) and len(kept):
            wider = wider.chosen(np.flatnonzero(~_within(wider, kept, int(wider.half.max()) + 1)))
        kept = Candidates(*(np.concatenate((getattr(kept, name), getattr(wider, name)))
                            for name in ("x", "y", "half", "likelihood")))  # fmt: skip
    return kept.chosen(np.argsort(-kept.likelihood, kind="stable"))


def _within(these: Candidates, others: Candidates, reach: int) -> Mask:
    """Return which of some candidates lie within `reach` pixels of one of others, shape (n,).

    All lie on pixels, so that a map of the others with a border tells it: pairs of thousands would not fit into memory.
    """
    x, y, other_x, other_y = (np.rint(axis).astype(np.intp) + reach for axis in (these.x, these.y, others.x, others.y))
    taken = np.zeros((max(y.max(), other_y.max()) + reach + 1, max(x.max(), other_x.max()) + reach + 1), dtype=np.bool_)
    taken[other_y, other_x] = True
    found = np.zeros(len(these), dtype=np.bool_)
    for up in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            if up * up + across * across <= reach * reach:
                found |= taken[y + up, x + across]
    return found
