"""Images as FITS files: the image in the primary HDU, then good times and region; keywords as in images of the SAS.

There is a file for each band and each kind. Images in the primary HDU are what every tool opens first (DS9, Aladin,
SAOImage, `astropy.io.fits.getdata`), it is how the pipeline of XMM-Newton delivers its bands, and each file carries the
ObsCore description of its own band.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, Cards
from reduction.events.goodtime import of_ccd
from reduction.events.selection import Selection
from reduction.images.grid import Grid
from reduction.missions import CREATOR
from reduction.spectra.ogip import observation_cards

_BITPIX = {"i4": 32, "f4": -32, "f8": -64}


@dataclass(frozen=True)
class Kind:
    """What the pixels of an image are: HDUCLAS2 of OGIP, the unit, and words for the header."""

    hduclas2: str
    unit: str
    words: str


COUNTS = Kind("TOTAL", "count", "counts per pixel")
EXPOSURE = Kind("EXPOSURE", "s", "live time per pixel")
RATE = Kind("RATE", "count/s", "counts over exposure of each pixel; NaN without exposure")
BACKGROUND = Kind("BKG", "count", "expected background counts per pixel")
SMOOTHED = Kind("RATE", "count/s", "smoothed counts over smoothed exposure; NaN without exposure")
SMOOTHED_COUNTS = Kind("TOTAL", "count", "smoothed counts per pixel; their sum is that of the counts")
MASK = Kind("MASK", "", "1: masked as a source")
SCALE = Kind("SCALE", "pixel", "standard deviation of the kernel of each pixel")


@dataclass(frozen=True)
class Frame:
    """What all images of a job share: the event list, what is selected of it, and the live time of each CCD."""

    events: EventList
    selection: Selection
    live_s: Mapping[int | None, float]

    @property
    def exposure_s(self) -> float:
        """The longest live time of a CCD in seconds, as images of the SAS have it."""
        return max(self.live_s.values(), default=0.0)


def write_image(
    path: Path,
    pixels: npt.NDArray[np.generic],
    grid: Grid,
    kind: Kind,
    frame: Frame,
    subspace: DataSubspace,
    more: Cards | None = None,
    extensions: Mapping[str, tuple[npt.NDArray[np.generic], Kind]] | None = None,
) -> None:
    """Write an image as a FITS file, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    pixels
        Shape (rows, columns), the first row at the bottom; integers are written with 32 bits, others as floats of 32.
    grid
        Where the pixels lie.
    kind
        What they are.
    frame
        The event list and its selection.
    subspace
        Description of the selection, from `dss.describe`.
    more
        Further keywords.
    extensions
        Name -> pixels of the same grid and what they are; each becomes an image extension.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    structure: Cards = [("SIMPLE", True, "file does conform to FITS standard"), *_size_cards(pixels),
                        ("EXTEND", True, "extensions may be present")]  # fmt: skip
    cards = [*structure, ("CREATOR", CREATOR, "name of code which created this file"), *LONGSTRN,
             *_without_double(observation_cards(frame.events)), *_common_cards(grid, kind, frame),
             ("SLCTEXPR", subspace.expression, ""), *subspace.cards, *(more or [])]  # fmt: skip
    parts = [fitswrite.header(cards), _data(pixels)]
    for name, (others, other_kind) in (extensions or {}).items():
        parts.append(_extension(name, others, grid, other_kind, frame))
    write_bytes(path, b"".join([*parts, *subspace.tables]))


def _extension(name: str, pixels: npt.NDArray[np.generic], grid: Grid, kind: Kind, frame: Frame) -> bytes:
    """Return an image extension."""
    cards: Cards = [
        ("XTENSION", "IMAGE", "image extension"), *_size_cards(pixels), ("PCOUNT", 0, ""), ("GCOUNT", 1, ""),
        ("EXTNAME", name, "name of this image"), *_common_cards(grid, kind, frame),
    ]  # fmt: skip
    return fitswrite.header(cards) + _data(pixels)


def _stored(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return pixels in the type in which they are written."""
    return pixels.astype(">i4" if pixels.dtype.kind in "iu" else ">f4")


def _data(pixels: npt.NDArray[np.generic]) -> bytes:
    return fitswrite.padded(_stored(pixels).tobytes())


def _size_cards(pixels: npt.NDArray[np.generic]) -> Cards:
    bits = _BITPIX[_stored(pixels).dtype.str[1:]]
    rows, columns = pixels.shape
    return [("BITPIX", bits, "number of bits per data pixel"), ("NAXIS", 2, "number of data axes"),
            ("NAXIS1", columns, "length of data axis 1"), ("NAXIS2", rows, "length of data axis 2")]  # fmt: skip


def _without_double(cards: Cards) -> Cards:
    """Leave out what is written anew."""
    return [card for card in cards if card[0] not in ("RADESYS", "EQUINOX", "BUNIT", "EXPOSURE")]


def _common_cards(grid: Grid, kind: Kind, frame: Frame) -> Cards:
    """Return what an image of this grid says of its pixels, its place and its time."""
    cards: Cards = [
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "IMAGE", "File contains an image"),
        ("HDUCLAS2", kind.hduclas2, kind.words[:40]), ("BUNIT", kind.unit or None, kind.words[:45]),
    ]  # fmt: skip
    cards += _sky_cards(grid, frame.events) if grid.x is frame.events.x else _plain_cards(grid)
    return [*cards, *_physical_cards(grid), *_time_cards(frame)]


def _sky_cards(grid: Grid, events: EventList) -> Cards:
    """Return the projection: that of the columns, on the pixels of the image."""
    assert events.wcs is not None
    wcs = events.wcs.wcs
    cards: Cards = [("RADESYS", str(wcs.radesys), "frame of the coordinates")]
    if str(wcs.radesys) != "ICRS":
        cards.append(("EQUINOX", float(wcs.equinox) if np.isfinite(wcs.equinox) else None, "of the coordinates"))
    for axis in (0, 1):
        number = axis + 1
        reference = grid.reference(float(wcs.crpix[axis]) - 1, axis)  # the list's WCS counts values of columns from 0
        cards += [
            (f"CTYPE{number}", str(wcs.ctype[axis]), "type of the coordinate and projection"),
            (f"CRPIX{number}", reference, "reference pixel"),
            (f"CRVAL{number}", float(wcs.crval[axis]), "[deg] coordinate at the reference pixel"),
            (f"CUNIT{number}", "deg", "unit of the coordinate"),
            (f"CDELT{number}", float(wcs.cdelt[axis]) * grid.step, "[deg] size of a pixel"),
        ]
    return cards


def _plain_cards(grid: Grid) -> Cards:
    """Return the axes of an image that is not of the sky."""
    cards: Cards = []
    for axis, column in enumerate((grid.x, grid.y)):
        number = axis + 1
        cards += [
            (f"CTYPE{number}", column.name, "column of the event list"),
            (f"CRPIX{number}", 1.0, "reference pixel"),
            (f"CRVAL{number}", grid.low[axis] + grid.step / 2, "value of the column at the reference pixel"),
            (f"CDELT{number}", grid.step, "size of a pixel"),
        ]
    return cards


def _physical_cards(grid: Grid) -> Cards:
    """Return how pixels become values of the columns: WCS L, and LTV and LTM, as DS9 reads them."""
    cards: Cards = [("WCSNAMEL", "PHYSICAL", "name of WCS L"), ("WCSAXESL", 2, "number of axes of WCS L")]
    for axis, column in enumerate((grid.x, grid.y)):
        number = axis + 1
        cards += [
            (f"CTYPE{number}L", column.name, "column of the event list"),
            (f"CRPIX{number}L", 1.0, "reference pixel"),
            (f"CRVAL{number}L", grid.low[axis] + grid.step / 2, "value at the reference pixel"),
            (f"CDELT{number}L", grid.step, "size of a pixel"),
            (f"LTV{number}", grid.reference(0.0, axis), "pixel at which the column would be 0"),
            (f"LTM{number}_{number}", 1 / grid.step, "pixels per unit of the column"),
        ]
    return [*cards, ("LTM1_2", 0.0, ""), ("LTM2_1", 0.0, "")]


def _time_cards(frame: Frame) -> Cards:
    """Return the exposure, and good time and live time of each CCD."""
    cards: Cards = [("EXPOSURE", frame.exposure_s, "[s] longest live time of a CCD")]
    names = frame.events.mission.live_per_ccd
    for ccd in sorted(ccd for ccd in frame.live_s if ccd is not None) if names else []:
        good = of_ccd(frame.selection.gtis, ccd)
        if good is not None and names is not None:
            cards.append((names[1].format(ccd), good.total, "[s] good time of a CCD"))
            cards.append((names[0].format(ccd), frame.live_s[ccd], "[s] live time of a CCD"))
    return cards
