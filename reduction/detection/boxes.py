"""The sliding box: places where a box of pixels holds significantly more counts than its background lets expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.detection.likelihood import detection_likelihood, excess
from reduction.images.background import BoxTable, box_sums

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

INNER, OUTER = 2, 5
"""The local background of a box of half width h lies in a frame from h + INNER to h + OUTER pixels."""

FEW = 5.0
"""Counts of the mean of the image that join those of each frame, of which a faint image may have none."""

_HALF_STEPS = 60


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


def local_background(counts: Floats, exposure: Floats, half: int) -> Floats:
    """Return the counts that a frame around each box lets expect in it.

    Parameters
    ----------
    counts
        Shape (rows, columns), 0 where nothing is exposed.
    exposure
        What the background is proportional to, shape (rows, columns).
    half
        The box has 2 half + 1 pixels a side.

    Returns
    -------
    array
        Shape (rows, columns). A frame has `FEW` counts at the mean rate of the image besides its own.
    """
    tables = [BoxTable.of(image, half + OUTER) for image in (counts, exposure)]
    framed, lit = (table.sums(half + OUTER) - table.sums(half + INNER) for table in tables)
    mean = counts.sum() / max(float(exposure.sum()), 1e-300)
    known = np.maximum(framed, 0.0) + FEW
    return np.asarray(known / (np.maximum(lit, 0.0) + FEW / max(mean, 1e-300)) * tables[1].sums(half))


def box_counts(counts: Sequence[BoxTable], half: int) -> list[Floats]:
    """Return the counts of the box around each pixel of some layers, without the rounding of their sums."""
    return [np.rint(table.sums(half)) for table in counts]


def box_tables(images: Sequence[Floats] | Floats, halves: Sequence[int]) -> list[BoxTable]:
    """Return what the sums of boxes of some half widths are had from, of each of some layers."""
    return [BoxTable.of(image, max(halves)) for image in images]


def local_backgrounds(
    counts: Sequence[Floats], exposures: Sequence[Floats], half: int, known: Sequence[Floats] | None = None
) -> list[Floats]:
    """Return the counts that the surroundings of each box let expect in it.

    Parameters
    ----------
    counts
        Of each layer, shape (rows, columns).
    exposures
        What the background of each layer is proportional to, shape (rows, columns).
    half
        The boxes have 2 half + 1 pixels a side.
    known
        Expected counts that the surroundings of a box do not tell of, such as read-out streaks, of each layer; None
        for none.

    Returns
    -------
    list of array
        Shape (rows, columns) each.
    """
    if known is None:
        return [local_background(image, exposure, half) for image, exposure in zip(counts, exposures, strict=True)]
    return [local_background(image - more, exposure, half) + box_sums(more, half)
            for image, exposure, more in zip(counts, exposures, known, strict=True)]  # fmt: skip


def excess_over(counts: Sequence[Floats], expected: Sequence[Floats]) -> Floats:
    """Return the excess of the counts of boxes over expected ones, summed over several layers.

    Parameters
    ----------
    counts
        Of each box and layer, from `box_counts`.
    expected
        Expected counts of each box and layer.

    Returns
    -------
    array
        Half of the C statistic, shape (rows, columns).
    """
    total: Floats = sum((excess(*each) for each in zip(counts, expected, strict=True)), np.zeros(()))
    return total


def peaks(summed: Floats, layers: int, half: int, cut: float, seen: Mask) -> Candidates:
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
    reach = max(half, 2)
    ramp = np.arange(summed.size, dtype=np.float64).reshape(summed.shape)
    smooth = box_sums(summed, 1) * 1e-4 + ramp * (1e-9 / summed.size)  # which of several equal ones is a peak
    value = np.where(seen, summed, 0.0) + smooth
    highest = _highest(value, reach)
    rows, columns = np.nonzero((value >= highest) & seen & (summed >= level_of(cut, layers)))
    likelihood = detection_likelihood(summed[rows, columns], layers)
    order = np.argsort(-likelihood, kind="stable")
    return Candidates(columns[order].astype(np.float64), rows[order].astype(np.float64),
                      np.full(len(order), float(half)), likelihood[order])  # fmt: skip


def level_of(cut: float, parameters: int) -> float:
    """Return the summed excess whose likelihood is `cut`, by halving."""
    low, high = 0.0, cut + 10.0 * parameters + 10.0
    for _ in range(_HALF_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if detection_likelihood(middle, parameters) < cut else (low, middle)
    return high


def _highest(values: Floats, reach: int) -> Floats:
    """Return the highest value in the box around each pixel, axis by axis, from stretches of doubled lengths."""
    size = 2 * reach + 1
    for _ in (0, 1):
        lines, length = np.pad(values, ((reach, reach), (0, 0)), constant_values=-np.inf), 1
        while 2 * length <= size:
            lines, length = np.maximum(lines[:-length], lines[length:]), 2 * length
        rest = size - length
        values = np.maximum(lines[: len(values)], lines[rest : rest + len(values)]).T
    return values


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
