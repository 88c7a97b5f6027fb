"""Measures detection: on real mosaics against the marks beside them, on simulated skies, and in time beside sep.

The peers are `sep`, on images of their own background, and a plain sliding box of 5 x 5 pixels on the counts around it;
both are tried at several thresholds. Real mosaics are those of ../shared (or UWS_SHARED), whose marks are settled thus:
circles are point sources of the pipeline and cyan ellipses extended ones; a white ellipse frames a cyan one that the
pipeline itself takes for spurious, and is no further detection; polygons are what people marked as spoilt. A source
and a mark are one if they lie within 4 pixels, each with one other only.

    pip install sep photutils; python bench/detection.py [mosaics] [skies] [time] [--fields 20]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from reduction.detection import boxes
from reduction.detection.chain import detect
from reduction.detection.imagelayers import layers_of_images
from reduction.detection.layers import Field
from reduction.detection.options import Options
from reduction.detection.scenes import Model, Scene
from reduction.images.background import box_sums
from skies import nearest, points

Floats = npt.NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
MATCH_PIXELS = 4.0
MOSAICS = ("P0004210201", "P0018140301")
CUTS = (6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
EDGES = (5, 10, 15, 20, 30, 60, 300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["mosaics", "skies", "time"], help="mosaics, skies, time")
    parser.add_argument("--fields", type=int, default=20, help="simulated fields of each background")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program for the time")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if "mosaics" in options.what:
        mosaics()
    if "skies" in options.what:
        skies(options.fields)
    if "time" in options.what:
        times(options.runs)


@dataclass(frozen=True)
class Marks:
    """The detections of the pipeline in pixels from 0, shape (n, 2), those that it flags itself, and what is spoilt.

    `polygon` has the corners of the area that people marked as spoilt: there they believed no detection unseen.
    """

    places: Floats
    flagged: npt.NDArray[np.bool_]
    polygon: Floats

    @property
    def sound(self) -> Floats:
        """Those outside of the area that is spoilt."""
        return self.outside(self.places)

    def outside(self, found: Floats) -> Floats:
        """Return those of some places that lie outside of that area."""
        return found[~inside(self.polygon, found)]


def marks_of(path: Path) -> Marks:
    """Read the marks of a field."""
    places, white, polygon = [], [], np.zeros((0, 2))
    for kind, numbers, rest in re.findall(r"(?m)^(\w+)\(([^)]*)\)(.*)$", path.read_text()):
        values = [float(word) for word in numbers.split(",")]
        if kind == "polygon":
            polygon = np.array(values).reshape(-1, 2) - 1
        elif "color=white" in rest:
            white.append(values[:2])
        else:
            places.append(values[:2])
    found = np.array(places) - 1
    away, _ = nearest(*found.T, *(np.array(white).T - 1))
    return Marks(found, away < 1, polygon)


def inside(polygon: Floats, places: Floats) -> npt.NDArray[np.bool_]:
    """Return which places lie within a polygon: those from which a ray crosses its sides an odd number of times."""
    crossings = np.zeros(len(places), dtype=int)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 != y2:
            at = x1 + (places[:, 1] - y1) * (x2 - x1) / (y2 - y1)
            crossings += ((y1 > places[:, 1]) != (y2 > places[:, 1])) & (places[:, 0] < at)
    return crossings % 2 == 1


def matched(first: Floats, second: Floats) -> int:
    """Return how many places are in both, the nearest pairs first and each place once."""
    apart = np.hypot(*(first[:, None] - second[None]).transpose(2, 0, 1))
    pairs = sorted(zip(*np.nonzero(apart <= MATCH_PIXELS), strict=True), key=lambda pair: apart[pair])
    used: tuple[set[int], set[int]] = (set(), set())
    for one, other in pairs:
        if one not in used[0] and other not in used[1]:
            used[0].add(one)
            used[1].add(other)
    return len(used[0])


def mosaics() -> None:
    """Print completeness and purity of ours and the peers on the real fields."""
    folder = Path(os.environ.get("UWS_SHARED", ROOT.parent / "shared")) / "real/xmm_mosaics"
    for name in MOSAICS:
        marks = marks_of(folder / f"{name}_poly.reg")
        print(f"{name}: {len(marks.places)} detections, {marks.flagged.sum()} flagged by the pipeline, "
              f"{len(marks.sound)} outside of what people marked as spoilt")  # fmt: skip
        field, _, _ = layers_of_images([folder / f"{name}EPX000OIMAGE8000.fits"], [], [], None)
        for label, found in of_mosaic(field):
            print(f"  {label:24} {len(found):5d} sources  {told(found, marks.places)}  "
                  f"not flagged {told(found, marks.places[~marks.flagged])}  "
                  f"not spoilt {told(marks.outside(found), marks.sound)}")  # fmt: skip


def told(found: Floats, places: Floats) -> str:
    """Return completeness / purity."""
    both = matched(places, found) if len(found) else 0
    return f"{both / max(len(places), 1):.2f} / {both / max(len(found), 1):.2f}"


def of_mosaic(field: Field) -> Iterator[tuple[str, Floats]]:
    """Yield what ours and the peers find."""
    for cut in CUTS[:3]:
        found = detect(field, Options(cut=cut).without_exposure()).fitted.model
        yield f"ours, likelihood {cut:g}", np.stack((found.x, found.y), axis=1)
    layer = field.layers[0]
    for threshold in (2.0, 3.0, 5.0):
        yield f"sep, {threshold:g} sigma", by_sep(layer.counts, ~layer.seen, threshold)
    counts, exposure = ((image * layer.seen).astype(np.float32) for image in (layer.counts, layer.exposure))
    summed = boxes.excess_over([box_sums(counts, 2)], boxes.local_backgrounds(counts[None], exposure[None], 2))
    for cut in (6.0, 10.0, 15.0):
        found_by_box = boxes.peaks(summed, 1, 2, cut, layer.seen)
        yield f"plain box, likelihood {cut:g}", np.stack((found_by_box.x, found_by_box.y), axis=1)


def by_sep(
    image: Floats, mask: npt.NDArray[np.bool_] | None, threshold: float, kernel: Floats | None = None
) -> Floats:
    """Return what sep finds above its own background; without a kernel it smooths by its own of 3 x 3 pixels."""
    import sep

    background = sep.Background(image, mask=mask)
    more = {} if kernel is None else {"filter_kernel": kernel}
    found = sep.extract(image - background.back(), threshold, err=background.globalrms, mask=mask, **more)
    return np.stack((found["x"], found["y"]), axis=1)


def skies(fields: int) -> None:
    """Print completeness against counts, and false sources against the cut, on simulated fields of 10.7 arcmin."""
    for background in (0.01, 0.05, 0.3):
        found = np.zeros((2, len(EDGES) - 1))
        likelihoods, empty = [], []
        for seed in range(fields):
            rng = np.random.default_rng(seed)
            sky = points(rng, 20, EDGES[0], EDGES[-1], background=background)
            detected = detect(sky.field(rng), Options(cut=CUTS[0]))
            model = detected.fitted.model
            apart, _ = nearest(model.x, model.y, sky.x, sky.y)
            number = np.searchsorted(EDGES, sky.counts.sum(axis=1)) - 1
            kept, _ = nearest(sky.x, sky.y, *(axis[detected.likelihood >= 10] for axis in (model.x, model.y)))
            np.add.at(found[0], number, kept < 3)
            np.add.at(found[1], number, 1)
            likelihoods.append(detected.likelihood[apart > 5])
            nothing = points(rng, 0, 1, 2, background=background).field(rng)
            empty.append(detect(nothing, Options(cut=CUTS[0])).likelihood)
        shares = ", ".join(f"{low}-{high}: {share:.2f}" for low, high, share
                           in zip(EDGES, EDGES[1:], found[0] / np.maximum(found[1], 1), strict=False))  # fmt: skip
        print(f"background {background:g} counts a pixel and band: found at 10, by counts {shares}")
        for label, values in (("beside 20 sources", likelihoods), ("in empty fields", empty)):
            false = [float(np.mean([np.sum(each >= cut) for each in values])) for cut in CUTS]
            print(f"  false sources a field {label}: "
                  + ", ".join(f"{cut:g}: {number:.2f}" for cut, number in zip(CUTS, false, strict=True)))  # fmt: skip


def times(runs: int) -> None:
    """Print CPU seconds of three bands of 648 x 648 pixels with 200 sources, of ours and peers, and who finds what.

    Peers run in turns with ours; the shortest of some runs counts, as other work of the machine only adds.
    """
    rng = np.random.default_rng(2)
    sky = points(rng, 200, 15, 800, background=0.03, size=648)
    field = sky.field(rng)
    images = [layer.counts for layer in field.layers]
    total = np.sum(images, axis=0)
    kernel = matched_filter(field)
    work: dict[str, Callable[[], Floats]] = {
        "ours": lambda: places_of(detect(field, Options()).fitted.model),
        "sep, each band, 5 sigma": lambda: np.concatenate([by_sep(image, None, 5.0) for image in images]),
        **{f"sep, sum of bands through the point spread, {threshold:g} sigma":
           partial(by_sep, total, None, threshold, kernel) for threshold in (1.2, 1.5, 2.0, 3.0)},
        "sep, the same at 1.5 sigma, then counts of each band in circles":
            lambda: counted_by_sep(images, by_sep(total, None, 1.5, kernel)),
    }  # fmt: skip
    try:
        import photutils  # noqa: F401

        work["sep, the same at 1.5 sigma, then a fit of the spread to each band by photutils"] = (
            lambda: fitted_by_photutils(images, by_sep(total, None, 1.5, kernel), kernel)
        )
    except ImportError:
        print("photutils is not installed")
    spent: dict[str, list[float]] = {name: [] for name in work}
    found: dict[str, Floats] = {}
    for _ in range(runs):
        for name, run in work.items():
            began = time.process_time()
            found[name] = run()
            spent[name].append(time.process_time() - began)
    truth, ours = np.stack((sky.x, sky.y), axis=1), min(spent["ours"])
    print("648 x 648, 3 bands, 200 sources of 15 to 800 counts: CPU seconds, ours over them, completeness / purity")
    for name, places in found.items():
        print(f"  {name:80} {min(spent[name]):7.3f} s {ours / min(spent[name]):6.1f}  {len(places):4d} "
              f"{told(places, truth)}")  # fmt: skip


def places_of(model: Model) -> Floats:
    """Return places as an array of shape (n, 2)."""
    return np.stack((model.x, model.y), axis=1)


def matched_filter(field: Field) -> Floats:
    """Return the point spread of the middle layer in 9 x 9 pixels, with the sum 1."""
    scene = Scene.of(field, np.zeros((len(field.layers), *field.shape)))
    middle = np.array([field.shape[1] // 2]), np.array([field.shape[0] // 2])
    stamp = scene.light(Model(*(axis.astype(float) for axis in middle), np.zeros(1), np.ones((1, len(field.layers)))))
    half = scene.half
    kernel = stamp[0][0, 1][half - 4 : half + 5, half - 4 : half + 5]
    return np.asarray(kernel / kernel.sum())


def counted_by_sep(images: list[Floats], places: Floats) -> Floats:
    """Return places of which sep has summed the counts of each image in circles, less its background."""
    import sep

    for image in images:
        sep.sum_circle(image - sep.Background(image).back(), places[:, 0], places[:, 1], 4.0)
    return places


def fitted_by_photutils(images: list[Floats], places: Floats, kernel: Floats) -> Floats:
    """Return places at which photutils has fitted the point spread to each image."""
    import sep
    from astropy.table import Table
    from photutils.psf import ImagePSF, PSFPhotometry

    for image in images:
        photometry = PSFPhotometry(ImagePSF(kernel), (9, 9), aperture_radius=4)
        photometry(image - sep.Background(image).back(), init_params=Table(places, names=("x", "y")))
    return places


if __name__ == "__main__":
    main()
