"""The chain of a detection: boxes on local backgrounds, splines between their finds, boxes on these, then the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.detection import boxes
from reduction.detection.boxes import Candidates
from reduction.detection.extents import FIRST_STEPS, with_blobs, with_extents
from reduction.detection.fit import MOST_STEPS, Fitted, fit, started
from reduction.detection.layers import Field
from reduction.detection.likelihood import detection_likelihood
from reduction.detection.options import Options
from reduction.detection.scenes import Model, Scene
from reduction.detection.sides import side_difference
from reduction.detection.splines import spline_background

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_SOURCES = 5000
"""Most sources that are fitted; of more candidates the most likely are taken."""

HALVES = (2, 4)
"""Half widths of the boxes in pixels."""

_LOCAL_CUT = 8.0
_SCREEN = 0.15
"""A pixel is no background where the known sources give more than this part of it."""
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
    scene = Scene.of(field, np.zeros((len(field.layers), *field.shape)))
    tables = boxes.box_tables(_counts(scene), HALVES)
    sums = [boxes.box_counts(tables, half) for half in HALVES]
    found, local = _local_candidates(scene, sums[0], notes)
    log(f"boxes on local backgrounds: {len(found)} candidates")
    backgrounds = _splines(field, options, _screened(scene, local, found))
    scene = scene.on(backgrounds)
    found = _few(_map_candidates(field, sums, backgrounds, options.box_cut), notes)
    log(f"boxes on background maps: {len(found)} candidates")
    fitted = _pruned(scene, _points(scene.narrow(), started(scene, found), FIRST_STEPS), options.box_cut, options)
    model = with_blobs(scene, fitted.model, options)
    for _ in range(options.rounds):
        scene = scene.on(_backgrounds(scene, model, options))
        model = _with_residuals(scene, sums, model, options, notes)
        log(f"fitted with what the residuals show: {len(model)} sources")
    scene = scene.on(_backgrounds(scene, model, options))
    final, gained = _finished(scene, model, options)
    extended = final.model.extent > 0
    log(f"{len(final.model)} sources, {int(extended.sum())} of them extended")
    images = [scene.inside(image).astype(np.float64) for image in (scene.background, scene.rendered(final.model))]
    return Detected(field, final, _likelihood(final.difference, extended), gained, images[0], images[1],
                    tuple(dict.fromkeys(notes)))  # fmt: skip


def _exposures(field: Field) -> list[Floats]:
    return [layer.live * layer.seen for layer in field.layers]


def _counts(scene: Scene) -> list[Floats]:
    return list(scene.inside(scene.counts).astype(np.float64))


def _streaks(field: Field) -> list[Floats] | None:
    """Return the expected counts of events out of time of each layer, None where none are known."""
    if all(layer.streaks is None for layer in field.layers):
        return None
    return [np.zeros(field.shape) if layer.streaks is None else layer.streaks * layer.seen for layer in field.layers]


def _seen(field: Field) -> Mask:
    return np.asarray(np.any([layer.seen for layer in field.layers], axis=0))


def _local_candidates(scene: Scene, sums: list[Floats], notes: list[str]) -> tuple[Candidates, list[Floats]]:
    """Return what boxes find above the counts around them, and these counts; `sums` are those of the boxes."""
    field, half = scene.field, HALVES[0]
    known, seen = _streaks(field), _seen(field)
    local = boxes.local_backgrounds(_counts(scene), _exposures(field), half, known)
    found = boxes.peaks(boxes.excess_over(sums, local), len(field.layers), half, _LOCAL_CUT, seen)
    return _few(found, notes), local


def _map_candidates(field: Field, sums: Sequence[list[Floats]], expected: Floats, cut: float) -> Candidates:
    """Return what boxes of all sizes, whose counts are `sums`, find above expected counts."""
    seen, tables = _seen(field), boxes.box_tables(expected, HALVES)
    return boxes.merged([boxes.peaks(boxes.excess_over(counts, [table.sums(half) for table in tables]), len(tables),
                                     half, cut, seen) for half, counts in zip(HALVES, sums, strict=True)])  # fmt: skip


def _few(found: Candidates, notes: list[str]) -> Candidates:
    """Return at most `MOST_SOURCES` candidates, and note if there were more."""
    if len(found) > MOST_SOURCES:
        notes.append(f"{len(found):,} candidates: the {MOST_SOURCES:,} most likely are fitted, the others are not in "
                     "the list; a crowded field, or images of which the background is not understood")  # fmt: skip
    return found.first(MOST_SOURCES)


def _screened(scene: Scene, local: list[Floats], found: Candidates) -> Floats:
    """Return rough models of candidates, shape (layers, rows, columns): points that have the counts of their boxes."""
    area = (2 * HALVES[0] + 1) ** 2
    model = started(scene.on(np.array(local) / area), found)
    return scene.inside(scene.rendered(replace(model, amplitude=model.amplitude / 0.6))).astype(np.float64)


def _backgrounds(scene: Scene, model: Model, options: Options) -> Floats:
    """Return the background of each layer with the wings of bright sources, which backgrounds that are given hold."""
    wings = scene.wings(model)
    splines = _splines(scene.field, options, (scene.inside(scene.rendered(model)) + wings).astype(np.float64))
    found = np.array([layer.background is None for layer in scene.field.layers])
    return np.asarray(splines + wings * found[:, None, None])


def _splines(field: Field, options: Options, models: Floats) -> Floats:
    """Return the background of each layer: that which is given, or a spline through what the sources leave."""
    made = []
    for layer, model in zip(field.layers, models, strict=True):
        if layer.background is not None:
            made.append(layer.background * layer.seen)
            continue
        seen = layer.seen
        seconds = layer.live * seen
        typical = seconds * (layer.counts[seen].sum() / max(float(seconds.sum()), 1e-300))
        kept = seen & (model < _SCREEN * typical)
        if kept.sum() < 0.05 * seen.sum():
            kept = seen
        late = np.zeros(()) if layer.streaks is None else layer.streaks * seen
        made.append(spline_background(layer.counts - model - late, seconds, kept, options.nodes) + late)
    return np.array(made)


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
    scene: Scene, sums: Sequence[list[Floats]], model: Model, options: Options, notes: list[str]
) -> Model:
    """Return the sources with those that the residuals show besides, all fitted together."""
    rendered = scene.rendered(model)
    expected = scene.inside(scene.background) + scene.inside(rendered) * (1 + _MIXED)
    further = _map_candidates(scene.field, sums, expected, options.box_cut)
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
