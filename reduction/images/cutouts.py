"""The part of a FITS image within a region of the sky: pixels in a box around the region, with all they come with."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from reduction.errors import ReductionError
from reduction.regions import RegionSet

_SUMS: Final = ("CHECKSUM", "DATASUM")
_TAGS: Final = "VO-TAGS"
_MOVED: Final = re.compile(r"(CRPIX|LTV)([12])([A-Z]?)")


@dataclass(frozen=True)
class Box:
    """Pixels of an image: the first of them and the first behind them, along x and y, counted from 0."""

    x: tuple[int, int]
    y: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.x[1] - self.x[0], self.y[1] - self.y[0]


def cut_file(source: Path, target: Path, region: RegionSet) -> Box:
    """Write the part of a FITS file within a region: of each image of the sky its box, all else as it is.

    Parameters
    ----------
    source
        The FITS file; its images of two axes with a celestial projection are cut.
    target
        The file to write; the extension VO-TAGS and the sums of the source, which no longer hold, are left out.
    region
        The region on the sky.

    Returns
    -------
    Box
        The pixels of the first image that was cut.

    Raises
    ------
    ReductionError
        The file has no such image, or none of them has a pixel in the region.
    """
    with fits.open(source, memmap=True) as hdus:
        kept = [hdu for hdu in hdus if hdu.name != _TAGS]
        planes = {number: wcs for number, hdu in enumerate(kept) if (wcs := _plane(hdu)) is not None}
        if not planes:
            raise ReductionError("no image of the sky is in the file: one of two axes, right ascension and "
                                 "declination, is expected", "image")  # fmt: skip
        boxes = {number: box_of(region, wcs, _size(kept[number])) for number, wcs in planes.items()}
        found = [box for box in boxes.values() if box is not None]
        if not found:
            raise ReductionError("no pixel of the image is in it", "region")
        written = [_cut(hdu, box) if (box := boxes.get(number)) else _copied(hdu) for number, hdu in enumerate(kept)]
        fits.HDUList(written).writeto(target, overwrite=True)
    return found[0]


def box_of(region: RegionSet, wcs: WCS, size: tuple[int, int]) -> Box | None:
    """Return the pixels of an image that a box around a region holds; None for none.

    Parameters
    ----------
    region
        The region, in coordinates of the sky.
    wcs
        The projection of the image.
    size
        Width and height of the image in pixels.

    Returns
    -------
    The first column and row of the box, and those behind its last.
    """
    left, right, bottom, top = region.on(wcs).bounds
    x, y = (
        (max(0, math.floor(low + 0.5)), min(length, math.floor(high + 0.5) + 1))
        for low, high, length in ((left, right, size[0]), (bottom, top, size[1]))
    )
    return Box(x, y) if x[0] < x[1] and y[0] < y[1] else None


def _plane(hdu: Any) -> WCS | None:
    """Return the projection of an image of the sky; None for any other HDU."""
    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or hdu.header.get("NAXIS") != 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(hdu.header)
    return wcs.celestial if wcs.has_celestial else None


def _size(hdu: Any) -> tuple[int, int]:
    return int(hdu.header["NAXIS1"]), int(hdu.header["NAXIS2"])


def _cut(hdu: Any, box: Box) -> Any:
    """Return an image with the pixels of a box; its projections, physical ones too, are moved with it."""
    header = _without_sums(hdu.header)
    for keyword in list(header):
        if match := _MOVED.fullmatch(keyword):
            header[keyword] -= (box.x if match[2] == "1" else box.y)[0]
    pixels = np.asarray(hdu.data[box.y[0] : box.y[1], box.x[0] : box.x[1]])
    kind = fits.PrimaryHDU if isinstance(hdu, fits.PrimaryHDU) else fits.ImageHDU
    return kind(pixels, header)


def _copied(hdu: Any) -> Any:
    """Return an HDU as it is, without sums."""
    copied = hdu.copy()
    for keyword in _SUMS:
        copied.header.remove(keyword, ignore_missing=True)
    return copied


def _without_sums(header: fits.Header) -> fits.Header:
    kept = header.copy()
    for keyword in _SUMS:
        kept.remove(keyword, ignore_missing=True)
    return kept
