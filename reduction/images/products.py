"""What images of a job are made of counts and exposure, each with its name, its unit and what its header says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.fitswrite import Cards
from reduction.images import background, imagefile, rgb
from reduction.images.background import local_background
from reduction.images.bands import Band
from reduction.images.counting import Counter
from reduction.images.exposure import rate
from reduction.images.grid import Grid
from reduction.images.imagefile import Kind
from reduction.images.observed import Exposure
from reduction.images.smoothing import Smoothed, smooth_adaptive, smooth_gaussian

SMOOTHINGS = ("gaussian", "counts", "snr", "none")
BACKGROUNDS = ("local", "none")

_WIDEST = 10.0
"""The widest kernel of the adaptive smoothing, in units of the sigma that is given."""

_RATE_COLUMNS = {"o_ucd": "arith.rate;phot.count", "o_unit": "count/s"}


@dataclass(frozen=True)
class ImageProduct:
    """An image to be written: the name of its file, its pixels, and what they are.

    `band` is None where all bands have it in common; `cards` and `extensions` are those of `imagefile.write_image`,
    `known` columns of ObsCore.
    """

    name: str
    words: str
    band: Band | None
    pixels: npt.NDArray[Any]
    grid: Grid
    kind: Kind
    cards: Cards = field(default_factory=list)
    extensions: Mapping[str, tuple[npt.NDArray[Any], Kind]] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Smoothing:
    """How images are smoothed: ``gaussian``, ``counts``, ``snr`` or ``none``.

    `sigma_arcsec` is the standard deviation of the Gaussian, `least` the counts or the signal to noise of a kernel.
    """

    kind: str
    sigma_arcsec: float
    least: float

    def __post_init__(self) -> None:
        if self.kind not in SMOOTHINGS:
            raise ReductionError(f"{self.kind!r} is no smoothing; write {', '.join(SMOOTHINGS)}", "smoothing")
        if not self.sigma_arcsec > 0:
            raise ReductionError(f"{self.sigma_arcsec:g} arcsec is no width of a kernel; give a number above 0",
                                 "smoothing_sigma")  # fmt: skip

    def of(self, counts: npt.NDArray[Any], seconds: npt.NDArray[np.float64], pixel_arcsec: float) -> Smoothed:
        """Return counts and exposure smoothed.

        Parameters
        ----------
        counts
            Shape (rows, columns).
        seconds
            Exposure, shape (rows, columns).
        pixel_arcsec
            Side of a pixel.

        Returns
        -------
        Smoothed
            Both, smoothed alike.
        """
        sigma = self.sigma_arcsec / pixel_arcsec
        if self.kind == "gaussian":
            return smooth_gaussian(counts, seconds, sigma)
        least = self.least**2 if self.kind == "snr" else self.least
        return smooth_adaptive(counts, seconds, least, _WIDEST * sigma)

    @property
    def method(self) -> str:
        """How it is done, in a line for the header."""
        if self.kind == "gaussian":
            return f"Gaussian of {self.sigma_arcsec:g} arcsec"
        what = "signal to noise" if self.kind == "snr" else "counts"
        return f"Gaussians of {self.least:g} {what}, at most {_WIDEST * self.sigma_arcsec:g} arcsec"


def of_counts(counter: Counter, prefix: str) -> Iterator[ImageProduct]:
    """Yield the counts of each band; their files are called `prefix` and the band."""
    for band, counts in zip(counter.bands, counter.counts, strict=True):
        yield ImageProduct(f"{prefix}_{band.name}.fits", f"counts in {band.low_kev:g}-{band.high_kev:g} keV", band,
                           counts, counter.grid, imagefile.COUNTS)  # fmt: skip


def of_exposure(counter: Counter, exposure: Exposure) -> Iterator[ImageProduct]:
    """Yield the exposure map, if there is one, and the rate of each band."""
    if exposure.is_map:
        yield ImageProduct("exposure.fits", "exposure of each pixel", None, exposure.seconds, counter.grid,
                           imagefile.EXPOSURE, _method("EXPMETH", _STILL))  # fmt: skip
    for band, counts in zip(counter.bands, counter.counts, strict=True):
        yield ImageProduct(f"rate_{band.name}.fits", f"rate in {band.low_kev:g}-{band.high_kev:g} keV", band,
                           rate(counts, exposure.seconds), counter.grid, imagefile.RATE, _of_map(exposure),
                           known=_RATE_COLUMNS)  # fmt: skip


def of_background(counter: Counter, exposure: Exposure) -> Iterator[ImageProduct]:
    """Yield the background of each band, with the mask of the sources in an extension."""
    for band, counts in zip(counter.bands, counter.counts, strict=True):
        found = local_background(counts, exposure.seconds, counter.grid.arcsec)
        yield ImageProduct(
            f"background_{band.name}.fits", f"background in {band.low_kev:g}-{band.high_kev:g} keV", band, found.counts,
            counter.grid, imagefile.BACKGROUND,
            [*_method("BKGMETH", found.method), *_method("BKGLIMIT", background.LIMITS)],
            {"SOURCES": (found.masked.astype(np.int32), imagefile.MASK)},
        )  # fmt: skip


def of_smoothing(counter: Counter, exposure: Exposure, smoothing: Smoothing) -> Iterator[ImageProduct]:
    """Yield the smoothed rate of each band, with the smoothed counts and the scale of each pixel in extensions.

    Parameters
    ----------
    counter
        The counts of each band.
    exposure
        The exposure of their pixels.
    smoothing
        How they are smoothed.

    Yields
    ------
    ImageProduct
        One for each band.
    """
    for band, counts in zip(counter.bands, counter.counts, strict=True):
        smooth = smoothing.of(counts, exposure.seconds, counter.grid.arcsec)
        pixels = rate(smooth.counts, np.where(exposure.seconds > 0, smooth.exposure, 0.0))
        yield ImageProduct(
            f"smoothed_{band.name}.fits", f"smoothed rate in {band.low_kev:g}-{band.high_kev:g} keV", band, pixels,
            counter.grid, imagefile.SMOOTHED, [*_of_map(exposure), *_method("SMOMETH", smoothing.method)],
            {"COUNTS": (smooth.counts, imagefile.SMOOTHED_COUNTS), "SIGMA": (smooth.sigma, imagefile.SCALE)},
            _RATE_COLUMNS,
        )  # fmt: skip


def colour_picture(counter: Counter, exposure: Exposure, smoothing: Smoothing) -> bytes | None:
    """Return a PNG of the softest, the middle and the hardest band in red, green and blue; None for fewer than three.

    It shows smoothed rates, by a Gaussian of the given sigma where no smoothing is asked.

    Parameters
    ----------
    counter
        The counts of each band.
    exposure
        The exposure of their pixels.
    smoothing
        How they are smoothed.

    Returns
    -------
    bytes or None
        The picture.
    """
    order = sorted(range(len(counter.bands)), key=lambda index: counter.bands[index])
    chosen = rgb.three_of(order)
    if chosen is None:
        return None
    wanted = smoothing if smoothing.kind != "none" else Smoothing("gaussian", smoothing.sigma_arcsec, smoothing.least)
    smooth = (wanted.of(counter.counts[index], exposure.seconds, counter.grid.arcsec) for index in chosen)
    shown = [rate(each.counts, np.where(exposure.seconds > 0, each.exposure, 0.0)) for each in smooth]
    return rgb.picture(*shown)


def notes(counter: Counter, exposure: Exposure | None) -> Iterator[str]:
    """Yield what is unusual about the counts of each band, for the log."""
    for index, band in enumerate(counter.bands):
        total = int(counter.counts[index].sum())
        if total == 0:
            yield f"band {band.name}: no event was counted"
        if counter.outside[index]:
            yield f"band {band.name}: {counter.outside[index]} events lie outside of the image"
        if counter.unplaced[index]:
            yield f"band {band.name}: {counter.unplaced[index]} events have no position"
        if exposure is not None and exposure.is_map:
            dark = int(counter.counts[index][exposure.seconds <= 0].sum())
            if dark:
                yield (f"band {band.name}: {dark} of {total} counts lie on pixels without exposure, beyond the field "
                       "of view or on bad pixels; they are in the image and in no rate")  # fmt: skip


_STILL = "live time x good part of CCDs; no attitude"


def _method(keyword: str, words: str) -> Cards:
    return [(keyword, words, "")]


def _of_map(exposure: Exposure) -> Cards:
    """Return what the rate was divided by."""
    return [("EXPMAP", "exposure.fits" if exposure.is_map else "UNIFORM", "exposure that the counts are divided by")]
