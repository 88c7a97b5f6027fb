"""The sky in a file as numbers to draw: an event list counted in bins of X and Y, or a FITS image. Imports libraries.

Event lists are read in chunks, images row by row. The regions beside the file, or in it, are in the picture, which is
cut so that they are seen as a whole.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from provenance.fits import FitsError
from provenance.fits.columns import Column
from provenance.fits.hdus import Hdu
from provenance.fits.image import Image, image
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.missions import number
from uws_server.previews import marks
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.look import Look
from uws_server.previews.marks import Mark
from uws_server.previews.raster import Floats, Raster
from uws_server.previews.spectra import NoPreview

MOST_ROWS = 60_000_000
MOST_PIXELS = 100_000_000
LARGEST_SIDE = 400
_SMALLEST_SIDE = 64
_MARGIN = 0.15
"""What is left around a region, in parts of its size."""
_EDGE = 0.02
"""What is left around an image that is cut, in parts of its size."""
_LEAST_CUT = 0.9
"""Part of a side above which an image is left whole."""


@dataclass(frozen=True)
class NamedAxis:
    """An axis of a plane that is not the sky, such as DETX: its value at pixel 0 and what it grows by a pixel."""

    name: str
    zero: float
    step: float


@dataclass(frozen=True)
class SkyView:
    """A picture of the sky before it is drawn.

    `low` is the lower left corner and `step` the size of a cell, in pixels of the plane, X and Y; `wcs` maps pixels
    that count from 0 to the sky, None where that is not known; `axes` are then the linear axes of the plane, if its
    header names them. `measure` is what a cell holds, `words` what there is to see. `first_pixel` is the number that
    readers give the first pixel: 1 of an image, 0 where pixels are values of columns. `narrow` is a small drawing.
    """

    title: str
    raster: Raster
    low: tuple[float, float]
    step: tuple[float, float]
    wcs: WCS | None
    measure: str
    words: str
    marks: tuple[Mark, ...] = ()
    axes: tuple[NamedAxis, NamedAxis] | None = None
    first_pixel: int = 0
    narrow: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels of the plane."""
        rows, columns = self.raster.values.shape
        return columns * self.step[0], rows * self.step[1]


def view_of_events(
    path: Path, beside: Mapping[str, Path], look: Look, extent: Extent = WHOLE, side: int = LARGEST_SIDE
) -> SkyView:
    """Return an event list counted in square bins of its X and Y columns; X to the right, Y upwards.

    There are at most `side` bins along an axis. Raises NoPreview for a list without sky positions, or of too many rows.
    """
    try:
        with open_eventlist(path) as events:
            return _events_view(events, beside, look, extent, side)
    except (OSError, ReductionError) as error:
        raise NoPreview(str(error)) from error


def view_of_image(path: Path, hdu: Hdu, beside: Mapping[str, Path], look: Look, extent: Extent = WHOLE) -> SkyView:
    """Return the image of an HDU, cut to what there is in it, its pixels averaged in square blocks where it is large.

    Parameters
    ----------
    path
        The file.
    hdu
        Its HDU with the image.
    beside
        The files beside it, of which region files are drawn.
    look
        How it is to look.
    extent
        The pixels to show, the first of an image being 1: those in blocks that are as small as they can be.

    Returns
    -------
    SkyView
        The picture.

    Raises
    ------
    NoPreview
        The image cannot be read or is too large, or nothing of it was chosen.
    """
    view = averaged_image(path, hdu, look, extent)
    on_sky = [(role, region) for role, region in marks.read_files(beside) if view.wcs and region.centre_and_radius()]
    drawn = marks.project(on_sky, view.wcs)
    if not extent.is_whole:
        return replace(view, marks=drawn)
    part, low = _lit_part(view.raster.values, view.step, drawn)
    sizes = [size * (part[1 - axis].stop - part[1 - axis].start) for axis, size in enumerate(view.step)]
    block = max(view.step)
    if block > 1 and 2 * max(sizes) <= block * LARGEST_SIDE:  # what is lit can be seen pixel by pixel, or nearly so
        lows, highs = [edge + 1 for edge in low], [edge + 1 + size for edge, size in zip(low, sizes, strict=True)]
        closer = replace(extent, x_low=lows[0], x_high=highs[0], y_low=lows[1], y_high=highs[1])
        return view_of_image(path, hdu, beside, look, closer)
    return replace(view, raster=Raster(view.raster.values[part], look), low=low, marks=drawn)


def averaged_image(
    path: Path, hdu: Hdu, look: Look, extent: Extent = WHOLE, side: int = LARGEST_SIDE
) -> SkyView:  # fmt: skip
    """Return the chosen pixels of an image without regions, averaged in square blocks, at most `side` along an axis.

    Raises NoPreview where the image cannot be read or is too large, or nothing of it was chosen.
    """
    try:
        found = image(hdu)
        _require_drawable(found)
        ends = _ends(extent)
        across, up = _chosen(ends[0], found.width), _chosen(ends[1], found.height)
        block = max(1, -(-max(across.stop - across.start, up.stop - up.start) // side))
        with path.open("rb") as stream:
            values, step = _blocks(found, stream, across, up, block)
    except FitsError as error:
        raise NoPreview(str(error)) from error
    except OSError as error:
        raise NoPreview(f"the image cannot be read: {error.strerror}") from error
    wcs = _image_wcs(hdu)
    unit = str(hdu.cards.get("BUNIT") or "").strip()[:30]
    joined = f", mean of {block} × {block} pixels" if block > 1 else ""
    return SkyView(path.name, Raster(values, look), (across.start - 0.5, up.start - 0.5), step, wcs,
                   f"{unit or 'Value'}{joined}", f"an image of {found.width} × {found.height} pixels", (),
                   None if wcs else _named_axes(hdu), 1, extent.is_narrow)  # fmt: skip


def _ends(extent: Extent) -> tuple[tuple[float | None, float | None], tuple[float | None, float | None]]:
    return (extent.x_low, extent.x_high), (extent.y_low, extent.y_high)


def _chosen(ends: tuple[float | None, float | None], size: int) -> slice:
    """Return the pixels of an axis, from 0, that were chosen by numbers from 1 on. Raise NoPreview for none."""
    low, high = ends
    first = 0 if low is None else int(np.clip(np.floor(low - 0.5), 0, size))
    last = size if high is None else int(np.clip(np.ceil(high - 0.5), 0, size))
    if last <= first:
        raise NoPreview(f"nothing of the image lies there: its pixels run from 1 to {size}")
    return slice(first, last)


def _blocks(
    found: Image, stream: IO[bytes], across: slice, up: slice, block: int
) -> tuple[Floats, tuple[float, float]]:
    """Return the means of the blocks of some pixels, and the size of a block; what fills no block is left out."""
    wide, high = min(block, across.stop - across.start), min(block, up.stop - up.start)
    used = slice(across.start, across.stop - (across.stop - across.start) % wide)
    rows, held = [], []
    for number_of_row, strip in enumerate(found.strips(stream, 1)):
        if not up.start <= number_of_row < up.stop:
            continue
        held.append(strip[0, used])
        if len(held) == high:
            rows.append(_mean(np.array(held).reshape(high, -1, wide)))
            held = []
    return np.array(rows), (float(wide), float(high))


def _named_axes(hdu: Hdu) -> tuple[NamedAxis, NamedAxis] | None:
    """Return the linear axes that a header names; None where one of them is not named, or is of another kind."""
    axes = []
    for axis in (1, 2):
        name = str(hdu.cards.get(f"CTYPE{axis}") or "").strip()
        pixel, value, step = (number(hdu.cards, f"{key}{axis}") for key in ("CRPIX", "CRVAL", "CDELT"))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,11}", name) or pixel is None or value is None or not step:
            return None
        axes.append(NamedAxis(name, value + (1 - pixel) * step, step))
    return axes[0], axes[1]


def _mean(blocks: Floats) -> Floats:
    """Return the mean of the numbers of each block, shape (blocks,), of rows of blocks (rows, blocks, columns).

    A block without a number is NaN.
    """
    known = np.isfinite(blocks)
    total, count = np.where(known, blocks, 0.0).sum(axis=(0, 2)), known.sum(axis=(0, 2))
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def _lit_part(
    values: Floats, step: tuple[float, float], drawn: tuple[Mark, ...]
) -> tuple[tuple[slice, slice], tuple[float, float]]:
    """Return the part of an image that holds what is neither 0 nor NaN, and the regions; and its lower left corner.

    It is the whole image where little would be cut off.
    """
    lit = np.isfinite(values) & (values != 0)
    corners = np.concatenate([mark.corners for mark in drawn], axis=1) if drawn else np.empty((2, 0))
    slices, low = [], []
    for axis, size in ((0, values.shape[0]), (1, values.shape[1])):
        places = np.flatnonzero(lit.any(axis=1 - axis)).tolist()
        places += ((corners[1 - axis] + 0.5) / step[1 - axis]).tolist()
        first, last = (min(places), max(places) + 1) if places else (0, size)
        margin = _EDGE * (last - first) + 1
        begin, end = max(int(first - margin), 0), min(int(np.ceil(last + margin)), size)
        whole = end - begin > _LEAST_CUT * size or end - begin < 8
        slices.append(slice(0, size) if whole else slice(begin, end))
        low.append(-0.5 + slices[-1].start * step[1 - axis])
    return (slices[0], slices[1]), (low[1], low[0])


def _require_sky(events: EventList) -> tuple[Column, Column]:
    """Return the columns X and Y. Raise NoPreview for a list that has none, or too many rows."""
    if events.x is None or events.y is None:
        raise NoPreview(f"{events.mission.name} has no sky positions")
    if events.nrows > MOST_ROWS:
        raise NoPreview(f"{events.nrows:,} events are too many for a picture made while you wait")
    return events.x, events.y


def _events_view(events: EventList, beside: Mapping[str, Path], look: Look, extent: Extent, most: int) -> SkyView:
    x, y = _require_sky(events)
    low, high, count = _extent(events, x, y)
    drawn = marks.project(marks.read_files(beside), events.wcs) or marks.of_tables(events.path, events.hdus)
    if not count and not drawn:
        raise NoPreview("no event has a position")
    low, high = _moved(_around(low, high, drawn), extent)
    side = int(np.clip(2 * np.sqrt(count), _SMALLEST_SIDE, most))
    step = max(float((high - low).max()) / side, 1.0)
    shape = np.maximum(np.ceil((high - low) / step), 1).astype(int)
    binned = np.zeros(shape[0] * shape[1])
    for along_x, along_y in _positions(events, x, y):
        column, row = np.floor((along_x - low[0]) / step), np.floor((along_y - low[1]) / step)
        inside = (column >= 0) & (column < shape[0]) & (row >= 0) & (row < shape[1])
        cells = (row * shape[0] + column)[inside].astype(np.int64)
        binned += np.bincount(cells, minlength=binned.size)
    return SkyView(events.path.name, Raster(binned.reshape(shape[1], shape[0]), look), (float(low[0]), float(low[1])),
                   (step, step), events.wcs, f"Counts in bins of {_bin_size(events.wcs, step)}",
                   f"{count:,} events" if extent.is_whole else f"{int(binned.sum()):,} of {count:,} events",
                   drawn, narrow=extent.is_narrow)  # fmt: skip


def _moved(corners: tuple[Floats, Floats], extent: Extent) -> tuple[Floats, Floats]:
    """Return the corners of what was chosen, those of the whole where nothing was. Raise NoPreview if it is nothing."""
    low, high = (np.array([usual if end is None else end for end, usual in zip(chosen, whole, strict=True)])
                 for chosen, whole in zip(zip(*_ends(extent), strict=True), corners, strict=True))  # fmt: skip
    if not (high > low).all():
        raise NoPreview("nothing of the picture lies between the numbers that were chosen")
    return low, high


def _around(low: Floats, high: Floats, drawn: tuple[Mark, ...]) -> tuple[Floats, Floats]:
    """Return the corners of a picture that holds the pixels from `low` to `high`, and the regions with a margin."""
    low, high = low - 0.5, high + 0.5
    if drawn:
        corners = np.concatenate([mark.corners for mark in drawn], axis=1)
        first, last = corners.min(axis=1), corners.max(axis=1)
        margin = _MARGIN * float((last - first).max())
        low, high = np.minimum(low, first - margin), np.maximum(high, last + margin)
    middle, size = (low + high) / 2, np.maximum(high - low, float((high - low).max()) / 3)
    return middle - size / 2, middle + size / 2


def _bin_size(wcs: WCS | None, step: float) -> str:
    """Return the side of a bin in words."""
    if wcs is None:
        return f"{step:.3g} pixels"
    return f"{step * abs(float(wcs.wcs.cdelt[1])) * 3600:.2g}″"


def _extent(events: EventList, x: Column, y: Column) -> tuple[Floats, Floats, int]:
    """Return the lowest and highest X and Y, and the number of events with a position."""
    low, high, count = np.full(2, np.inf), np.full(2, -np.inf), 0
    for positions in _positions(events, x, y):
        if len(positions[0]):
            low = np.minimum(low, [axis.min() for axis in positions])
            high = np.maximum(high, [axis.max() for axis in positions])
            count += len(positions[0])
    return low, high, count


def _positions(events: EventList, x: Column, y: Column) -> Iterator[tuple[Floats, Floats]]:
    """Yield X and Y of the events that have them, chunk by chunk: finite, no null, within TLMIN and TLMAX."""
    for rows in events.chunks():
        keep = np.ones(len(rows), dtype=bool)
        axes = []
        for column in (x, y):
            values = column.floats(rows)
            low, high = (number(events.header, f"TL{end}{column.index}") for end in ("MIN", "MAX"))
            keep &= np.isfinite(values)
            if low is not None and high is not None and low < high:
                keep &= (values >= low) & (values <= high)
            axes.append(values)
        yield axes[0][keep], axes[1][keep]


def _image_wcs(hdu: Hdu) -> WCS | None:
    """Return the projection of an image; None where its header has none that is understood."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(fits.Header.fromstring(hdu.header.decode("latin-1")), naxis=2)
            return wcs if wcs.has_celestial and np.isfinite(wcs.wcs_pix2world([[0.0, 0.0]], 0)).all() else None
    except Exception:  # noqa: BLE001  whatever a header does to the library, the picture is drawn without a sky
        return None


def _require_drawable(found: Image) -> None:
    """Raise NoPreview for an image that would take too long to draw."""
    if found.width * found.height > MOST_PIXELS:
        raise NoPreview(f"{found.width} × {found.height} pixels are too many for a picture made while you wait")
