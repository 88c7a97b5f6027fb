"""The source list: what a detection says of each source, as columns with names, units and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from reduction.detection.chain import Detected, side_likelihood
from reduction.detection.layers import Layer
from reduction.detection.scenes import Model, Scene
from reduction.detection.streaklines import on_streak

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]

FLAGS = {
    1: "less than 70 percent of the point spread function lies on exposed pixels",
    2: "other sources give more counts than this one within 10 arcsec of it",
    4: "lies within the extent of an extended source",
    8: "the fit did not come to rest",
    16: "the extent is at its upper limit",
    32: "does not stand out against the brightest side of its surroundings",
    64: "may be part of the read-out streak of a brighter source",
}
"""Bit of column FLAG -> what it says of a source."""

_FEW_LIT = 0.7
_CORE_ARCSEC = 10.0
_STANDS_OUT = 3.0


@dataclass(frozen=True)
class SourceColumn:
    """A column of the source list: name, values of shape (sources,), unit, UCD, and what it is."""

    name: str
    values: npt.NDArray[np.generic]
    unit: str
    ucd: str
    words: str


@dataclass(frozen=True)
class SourceList:
    """The sources in columns, the most likely first, and the images that they were found in."""

    columns: tuple[SourceColumn, ...]
    layers: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.columns[0].values)

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        """Return the values of a column. Raise KeyError if there is none of that name."""
        for column in self.columns:
            if column.name == name:
                return column.values
        raise KeyError(name)


def source_list(detected: Detected, largest_extent_arcsec: float) -> SourceList:
    """Return the sources of a detection.

    Parameters
    ----------
    detected
        The detection.
    largest_extent_arcsec
        Upper limit of an extent, at which a source is flagged.

    Returns
    -------
    SourceList
        Rates and counts are those of the whole source, beyond the pixels that were fitted too.
    """
    scene = Scene.of(detected.field, detected.backgrounds)
    columns = [*_places(detected), *_strengths(detected, scene), *_ratios(detected),
               *_surroundings(detected, scene, largest_extent_arcsec)]  # fmt: skip
    return SourceList(tuple(columns), tuple(layer.name for layer in detected.field.layers))


def iau_names(ra: Floats, dec: Floats) -> list[str]:
    """Return names such as J100000.1+020003 of places in degrees (ICRS), truncated as the IAU asks."""
    names = []
    for right, up in zip(ra % 360, dec, strict=True):
        tenths, seconds = int(right / 15 * 36000), int(abs(up) * 3600)
        hours = f"{tenths // 36000:02d}{tenths // 600 % 60:02d}{tenths // 10 % 60:02d}.{tenths % 10}"
        names.append(f"J{hours}{'-' if up < 0 else '+'}{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}")
    return names


def _places(detected: Detected) -> Iterator[SourceColumn]:
    """Yield numbers, names, places, likelihoods and extents."""
    fitted, pixel = detected.fitted, detected.field.pixel_arcsec
    model = fitted.model
    ra, dec = detected.field.sky(model.x, model.y)
    error = np.hypot(fitted.errors[:, 0], fitted.errors[:, 1]) * pixel
    names = np.array(iau_names(ra, dec), dtype="S18")
    yield SourceColumn(
        "SRC_ID", np.arange(1, len(ra) + 1, dtype=np.int32), "", "meta.id;meta.main", "number in this list"
    )
    yield SourceColumn("NAME", names, "", "meta.id", "after the place (ICRS), truncated")
    yield SourceColumn("RA", ra, "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)")
    yield SourceColumn("DEC", dec, "deg", "pos.eq.dec;meta.main", "declination (ICRS)")
    yield SourceColumn("RADEC_ERR", error, "arcsec", "stat.error;pos.eq", "root of the summed variances of both axes")
    yield SourceColumn("X_IMA", model.x + 1, "pixel", "pos.cartesian.x;instr.det", "column of the image, from 1")
    yield SourceColumn("Y_IMA", model.y + 1, "pixel", "pos.cartesian.y;instr.det", "row of the image, from 1")
    yield SourceColumn("DET_ML", detected.likelihood, "", "stat.likelihood", "-ln p of the source")
    yield SourceColumn("EXT", model.extent * pixel, "arcsec", "phys.angSize", "sigma of the extent, 0 for a point")
    yield SourceColumn(
        "EXT_ERR", fitted.errors[:, 2] * pixel, "arcsec", "stat.error;phys.angSize", "error of the extent"
    )
    yield SourceColumn(
        "EXT_ML", detected.extent_likelihood, "", "stat.likelihood;phys.angSize", "gain in C/2 of the extent"
    )


def _rates(detected: Detected, layers: Sequence[int]) -> tuple[Floats, Floats]:
    """Return summed rates of some layers and their errors, shape (sources,); NaN where none of them is exposed."""
    fitted = detected.fitted
    rate, variance = np.zeros((2, len(fitted.model)))
    for index in layers:
        longest = detected.field.layers[index].exposure.max()
        rate += fitted.model.amplitude[:, index] / longest
        variance += (fitted.amplitude_error[:, index] / longest) ** 2
    return rate, np.sqrt(variance)


def _strengths(detected: Detected, scene: Scene) -> Iterator[SourceColumn]:
    """Yield counts and rates, of all layers together and of each."""
    fitted, layers = detected.fitted, detected.field.layers
    lit = _lit(scene, fitted.model)
    counts, errors = fitted.model.amplitude * lit, fitted.amplitude_error * lit
    yield SourceColumn("COUNTS", counts.sum(axis=1), "count", "phot.count", "counts of the source in all images")
    yield SourceColumn(
        "COUNTS_ERR", np.sqrt((errors**2).sum(axis=1)), "count", "stat.error;phot.count", "error of COUNTS"
    )
    exposed = [index for index, layer in enumerate(layers) if layer.is_exposed]
    if exposed:
        rate, error = _rates(detected, exposed)
        yield SourceColumn(
            "RATE", rate, "count/s", "phot.count;arith.rate", "summed over all images, on the optical axis"
        )
        yield SourceColumn("RATE_ERR", error, "count/s", "stat.error;phot.count;arith.rate", "error of RATE")
    for index, layer in enumerate(layers):
        name, of = f"{_stem(layer)}_{_band_number(layers, layer)}", f"of {layer.name}"
        yield SourceColumn(f"{name}_CTS", counts[:, index], "count", "phot.count", f"counts {of}")
        yield SourceColumn(
            f"{name}_CTS_ERR", errors[:, index], "count", "stat.error;phot.count", f"error of counts {of}"
        )
        if layer.is_exposed:
            seen = lit[:, index] > 0
            rate, error = (np.where(seen, value, np.nan) for value in _rates(detected, [index]))
            yield SourceColumn(f"{name}_RATE", rate, "count/s", "phot.count;arith.rate", f"rate {of}")
            yield SourceColumn(
                f"{name}_RATE_ERR", error, "count/s", "stat.error;phot.count;arith.rate", f"error of rate {of}"
            )
            yield SourceColumn(f"{name}_EXP", lit[:, index] * layer.exposure.max(), "s", "time.duration;obs.exposure",
                         f"exposure at the source {of}")  # fmt: skip
        yield SourceColumn(
            f"{name}_DIF", fitted.difference[:, index], "", "stat.likelihood", f"its part of the gain in C/2 {of}"
        )


def _stem(layer: Layer) -> str:
    """Return what the columns of a layer begin with: PN, M1, M2 as in the catalogues of XMM-Newton."""
    camera, _, number = layer.camera.partition("-")
    short = {"EPN": "PN", "EMOS1": "M1", "EMOS2": "M2"}.get(camera, camera.replace(" ", "_"))
    return (short + number)[:10] or "IMAGE"


def _band_number(layers: Sequence[Layer], layer: Layer) -> int:
    """Return the number of a layer's band among all bands, from 1 on."""
    return _bands(layers).index(layer.band_kev) + 1


def _bands(layers: Sequence[Layer]) -> list[tuple[float, float] | None]:
    """Return all bands in the order of energy."""
    return sorted({layer.band_kev for layer in layers}, key=lambda band: band or (0.0, 0.0))


def _ratios(detected: Detected) -> Iterator[SourceColumn]:
    """Yield hardness ratios (h - s) / (h + s) of the rates of each two neighbouring bands, all cameras together."""
    layers = detected.field.layers
    bands = _bands(layers)
    for number, (soft, hard) in enumerate(pairwise(bands), start=1):
        if soft is None or hard is None:
            continue
        (s, s_error), (h, h_error) = (
            _rates(
                detected, [index for index, layer in enumerate(layers) if layer.band_kev == band and layer.is_exposed]
            )
            for band in (soft, hard)
        )
        total = np.where(s + h > 0, s + h, np.nan)
        error = 2 * np.hypot(s * h_error, h * s_error) / total**2
        of = f"{hard[0]:g}-{hard[1]:g} over {soft[0]:g}-{soft[1]:g} keV"
        yield SourceColumn(f"HR{number}", (h - s) / total, "", "phot.color", f"hardness ratio {of}")
        yield SourceColumn(f"HR{number}_ERR", error, "", "stat.error;phot.color", f"error of HR{number}")


def _lit(scene: Scene, model: Model) -> Floats:
    """Return the exposure that the light of each source sees in each layer, relative to the longest."""
    found = []
    for part in scene.parts(len(model)):
        unit, windows = scene.light(model.chosen(part))
        found.append((unit * windows.cut(scene.share)).sum((2, 3), np.float64) / unit.sum((2, 3), np.float64))
    return np.concatenate(found) if found else np.zeros((0, len(scene.counts)))


def _surroundings(detected: Detected, scene: Scene, largest_arcsec: float) -> Iterator[SourceColumn]:
    """Yield background, distances and flags."""
    model, pixel = detected.fitted.model, detected.field.pixel_arcsec
    middle = scene.windows(model.x, model.y).cut(scene.background)[:, :, scene.half, scene.half].sum(1, np.float64)
    apart = np.hypot(model.x[:, None] - model.x, model.y[:, None] - model.y) * pixel
    others = apart + np.where(np.eye(len(apart), dtype=np.bool_), np.inf, 0.0)
    nearest = others.min(axis=1, initial=np.inf)
    yield SourceColumn(
        "BACKGROUND", middle / pixel**2, "count/arcsec2", "instr.background", "background at the source, all images"
    )
    yield SourceColumn("DIST_NN", np.where(np.isfinite(nearest), nearest, np.nan), "arcsec", "pos.angDistance",
                 "distance to the nearest other source")  # fmt: skip
    extent = model.extent * pixel
    flags = np.where(_seen_share(scene, model) < _FEW_LIT, 1, 0)
    flags |= np.where(_crowded(detected, scene), 2, 0)
    flags |= np.where(((others < 2 * extent) & (extent[None, :] > extent[:, None])).any(axis=1), 4, 0)
    flags |= np.where(detected.fitted.is_calm, 0, 8) | np.where(extent >= 0.99 * largest_arcsec, 16, 0)
    flags |= np.where(side_likelihood(scene, model) < _STANDS_OUT, 32, 0)
    flags |= np.where(on_streak(scene, model), 64, 0)
    yield SourceColumn(
        "FLAG", flags.astype(np.int32), "", "meta.code", "sum of the bits that are listed in the header; 0: none"
    )


def _seen_share(scene: Scene, model: Model) -> Floats:
    """Return the part of the light of each source that falls on exposed pixels of the layer that sees most of it."""
    found = []
    for part in scene.parts(len(model)):
        unit, windows = scene.light(model.chosen(part))
        found.append(((unit * (windows.cut(scene.share) > 0)).sum(axis=(2, 3)) / unit.sum(axis=(2, 3))).max(axis=1))
    return np.concatenate(found) if found else np.zeros(0)


def _crowded(detected: Detected, scene: Scene) -> npt.NDArray[np.bool_]:
    """Return which sources have more counts of others than of their own in their core, far wings included."""
    model, edge = detected.fitted.model, scene.border
    everything = scene.rendered(model) + np.pad(scene.wings(model), ((0, 0), (edge, edge), (edge, edge)))
    reach = max(1, round(_CORE_ARCSEC / detected.field.pixel_arcsec))
    middle = slice(scene.half - reach, scene.half + reach + 1)
    found = []
    for part in scene.parts(len(model)):
        some = model.chosen(part)
        unit, windows = scene.light(some)
        own = (unit * windows.cut(scene.share) * some.amplitude[:, :, None, None])[:, :, middle, middle].sum(
            axis=(1, 2, 3)
        )
        found.append(windows.cut(everything)[:, :, middle, middle].sum(axis=(1, 2, 3)) > 2 * own)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)
