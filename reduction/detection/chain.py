"""The chain of a detection: boxes on local backgrounds, splines between their finds, boxes on these, then the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.detection import boxes
from reduction.detection.backgrounds import Ground
from reduction.detection.boxes import Candidates
from reduction.detection.extents import FIRST_STEPS, with_blobs, with_extents
from reduction.detection.fit import MOST_STEPS, Fitted, fit, started
from reduction.detection.layers import Field
from reduction.detection.likelihood import detection_likelihood
from reduction.detection.options import Options
from reduction.detection.scenes import Model, Scene
from reduction.detection.sides import side_difference
from reduction.detection.stamps import Pixels
from reduction.images.background import box_sums

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_SOURCES = 5000
"""Most sources that are fitted; of more candidates the most likely are taken."""

HALVES = (2, 4)
"""Half widths of the boxes in pixels."""

_LOCAL_CUT = 8.0
_MIXED = 0.1
"""Part of the light of known sources that the point spread function may have wrong, for boxes on the residuals."""


@dataclass(frozen=True)
class Detected:
    """Sources with the likelihood of each and that of its extent, both -ln p, shape (sources,).

    `fitted` is the fit, `backgrounds` and `models` the counts of background and sources in each layer, shape (layers,
    rows, columns), `notes` what is unusual.
    """

    field: Field
    fitted: Fitted
    likelihood: Floats
    extent_likelihood: Floats
    backgrounds: Floats
    models: Floats
    notes: tuple[str, ...]


def detect(field: Field, options: Options, log: Callable[[str], None] = lambda text: None) -> Detected:
    """Find the sources of a field.

    Parameters
    ----------
    field
        The images.
    options
        How they are looked for.
    log
        Is told what was found at each step.

    Returns
    -------
    Detected
        The sources above the cut, the most likely first.
    """
    notes: list[str] = []
    scene = Scene.of(field, np.zeros((len(field.layers), 1, 1)))
    ground = Ground.of(scene, options.nodes)
    sums = [[box_sums(image, half) for image in scene.inside(scene.counts)] for half in HALVES]
    found, local = _local_candidates(ground, sums[0], notes)
    log(f"boxes on local backgrounds: {len(found)} candidates")
    backgrounds = ground.splines(_screened(scene, local, found))
    scene = scene.on(backgrounds)
    found = _few(_map_candidates(scene, sums, backgrounds, options.box_cut), notes)
    log(f"boxes on background maps: {len(found)} candidates")
    fitted = _pruned(scene, _points(scene.narrow(), started(scene, found), FIRST_STEPS), options.box_cut, options)
    model = with_blobs(scene, fitted.model, options)
    for _ in range(options.rounds):
        scene = scene.on(ground.beside(model))
        model = _with_residuals(scene, sums, model, options, notes)
        log(f"fitted with what the residuals show: {len(model)} sources")
    scene = scene.on(ground.beside(model))
    final, gained = _finished(scene, model, options)
    extended = final.model.extent > 0
    log(f"{len(final.model)} sources, {int(extended.sum())} of them extended")
    images = [scene.inside(image).astype(np.float64) for image in (scene.background, scene.rendered(final.model))]
    return Detected(field, final, _likelihood(final.difference, extended), gained, images[0], images[1],
                    tuple(dict.fromkeys(notes)))  # fmt: skip


def _seen(scene: Scene) -> Mask:
    return np.asarray((scene.inside(scene.share) > 0).any(axis=0))


def _local_candidates(ground: Ground, sums: Sequence[Pixels], notes: list[str]) -> tuple[Candidates, list[Pixels]]:
    """Return what boxes find above the counts around them, and these counts; `sums` are those of the boxes."""
    local = ground.around_boxes(HALVES[0])
    found = boxes.peaks(boxes.excess_over(sums, local), len(sums), HALVES[0], _LOCAL_CUT, _seen(ground.scene))
    return _few(found, notes), local


def _map_candidates(scene: Scene, sums: Sequence[Sequence[Pixels]], expected: Pixels, cut: float) -> Candidates:
    """Return what boxes of all sizes, whose counts are `sums`, find above expected counts."""
    seen, found = _seen(scene), []
    for half, counts in zip(HALVES, sums, strict=True):
        found.append(boxes.peaks(boxes.excess_over_map(counts, list(expected), half), len(counts), half, cut, seen))
    return boxes.merged(found)


def _few(found: Candidates, notes: list[str]) -> Candidates:
    """Return at most `MOST_SOURCES` candidates, and note if there were more."""
    if len(found) > MOST_SOURCES:
        notes.append(f"{len(found):,} candidates: the {MOST_SOURCES:,} most likely are fitted, the others are not in "
                     "the list; a crowded field, or images of which the background is not understood")  # fmt: skip
    return found.first(MOST_SOURCES)


def _screened(scene: Scene, local: list[Pixels], found: Candidates) -> Pixels:
    """Return rough models of candidates, shape (layers, rows, columns): points that have the counts of their boxes."""
    area = np.float32((2 * HALVES[0] + 1) ** 2)
    model = started(scene.on(np.array(local) / area), found)
    return scene.inside(scene.rendered(replace(model, amplitude=model.amplitude / 0.6)))


def _likelihood(difference: Floats, extended: Mask) -> Floats:
    """Return -ln p of each source: of two parameters of its place, an amplitude for each layer, and the extent."""
    layers = difference.shape[1]
    total = difference.sum(axis=1)
    return np.where(extended, detection_likelihood(total, layers + 3), detection_likelihood(total, layers + 2))


def _pruned(scene: Scene, fitted: Fitted, cut: float, options: Options) -> Fitted:
    """Return the sources at or above a cut that lie on exposed pixels, of two on one place the more likely."""
    model = fitted.model
    likelihood = _likelihood(fitted.difference, model.extent > 0)
    if options.side_cut > 0:
        likelihood = np.where(side_likelihood(scene, model) < options.side_cut, 0.0, likelihood)
    likelihood = np.where(_is_seen(scene, model), likelihood, 0.0)
    nearest = options.nearest_arcsec / scene.field.pixel_arcsec
    order = np.argsort(-likelihood, kind="stable")
    kept: list[int] = []
    for index in order.tolist():
        if likelihood[index] < cut:
            break
        if kept and np.hypot(model.x[kept] - model.x[index], model.y[kept] - model.y[index]).min() < nearest:
            continue
        kept.append(index)
    return fitted.chosen(np.array(kept, dtype=np.intp))


def _is_seen(scene: Scene, model: Model) -> Mask:
    """Return which sources lie within the images, and on or beside an exposed pixel of one."""
    rows, columns = scene.field.shape
    inside = (model.x > -0.5) & (model.x < columns - 0.5) & (model.y > -0.5) & (model.y < rows - 0.5)
    near = replace(scene, half=2)
    return inside & (near.windows(model.x, model.y).cut(scene.share) > 0).any(axis=(1, 2, 3))


def side_likelihood(scene: Scene, model: Model) -> Floats:
    """Return -ln p of each source against the brightest side of its surroundings."""
    return detection_likelihood(side_difference(scene, model).sum(axis=1), len(scene.counts))


def _with_residuals(
    scene: Scene, sums: Sequence[Sequence[Pixels]], model: Model, options: Options, notes: list[str]
) -> Model:
    """Return the sources with those that the residuals show besides, all fitted together."""
    rendered = scene.rendered(model)
    expected = scene.inside(scene.background) + scene.inside(rendered) * np.float32(1 + _MIXED)
    further = _map_candidates(scene, sums, expected, options.box_cut)
    further = _few(further, notes).first(MOST_SOURCES - len(model))
    start = model.joined(started(replace(scene, background=scene.background + rendered), further))
    largest = options.largest_extent_arcsec / scene.field.pixel_arcsec
    again = fit(scene if (start.extent > 0).any() else scene.narrow(), start, start.extent > 0, largest, FIRST_STEPS)
    return with_blobs(scene, _pruned(scene, again, options.box_cut, options).model, options)


def _points(scene: Scene, start: Model, steps: int) -> Fitted:
    """Return a fit of all sources as points."""
    return fit(scene, start, np.zeros(len(start), dtype=np.bool_), 1.0, steps)


def _finished(scene: Scene, model: Model, options: Options) -> tuple[Fitted, Floats]:
    """Return the final sources, fitted until all that are left pass the cut, and the likelihoods of their extents."""
    largest = options.largest_extent_arcsec / scene.field.pixel_arcsec
    final = with_extents(scene, model, options)
    while True:
        kept = _pruned(scene, final, options.cut, options)
        if len(kept.model) == len(final.model):
            break
        final = fit(scene, kept.model, kept.model.extent > 0, largest)
    extended = kept.model.extent > 0
    if not extended.any():
        return kept, np.zeros(len(extended))
    alone = _points(scene, replace(kept.model, extent=np.zeros(len(extended))), MOST_STEPS)
    gained = kept.difference.sum(axis=1) - alone.difference.sum(axis=1)
    return kept, np.where(extended, np.maximum(gained, 0.0), 0.0)
