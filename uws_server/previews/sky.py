"""Pictures of the sky: an event list binned in X and Y, or a FITS image, as a small PNG. Imports the libraries only.

Event lists are read in chunks, images row by row; the PNG and its colours are made here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.fits import FitsError
from provenance.fits.columns import Column
from provenance.fits.hdus import Hdu
from provenance.fits.image import Image, image
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.missions import number
from uws_server.previews.spectra import Floats, NoPreview

MOST_ROWS = 60_000_000
MOST_PIXELS = 100_000_000
LARGEST_SIDE = 400
_SMALLEST_SIDE = 64


def picture_of_events(path: Path) -> bytes:
    """Return a PNG of an event list, counted in square bins of its X and Y columns; X to the right, Y upwards."""
    try:
        with open_eventlist(path) as events:
            return _draw_events(events)
    except (OSError, ReductionError) as error:
        raise NoPreview(str(error)) from error


def picture_of_image(path: Path, hdu: Hdu) -> bytes:
    """A PNG of the image of an HDU, its pixels averaged in square blocks where it is large."""
    try:
        found = image(hdu)
        _require_drawable(found)
        block = max(1, -(-max(found.width, found.height) // LARGEST_SIDE))
        across = min(block, found.width)
        used = found.width // across * across
        with path.open("rb") as stream:
            rows = [
                strip[:, :used].reshape(strip.shape[0], -1, across).mean(axis=(0, 2))
                for strip in found.strips(stream, block)
            ]
    except FitsError as error:
        raise NoPreview(str(error)) from error
    except OSError as error:
        raise NoPreview(f"the image cannot be read: {error.strerror}") from error
    return _png(np.array(rows))


def _draw_events(events: EventList) -> bytes:
    if events.x is None or events.y is None:
        raise NoPreview(f"{events.mission.name} has no sky positions")
    if events.nrows > MOST_ROWS:
        raise NoPreview(f"{events.nrows:,} events are too many for a picture made while you wait")
    low, high, count = _extent(events, events.x, events.y)
    if not count:
        raise NoPreview("no event has a position")
    side = int(np.clip(2 * np.sqrt(count), _SMALLEST_SIDE, LARGEST_SIDE))
    step = max(float((high - low).max()) / side, 1.0)
    shape = np.maximum(np.ceil((high - low + 1) / step), 1).astype(int)
    binned = np.zeros(shape[0] * shape[1])
    for x, y in _positions(events, events.x, events.y):
        column, row = ((x - low[0]) / step).astype(int), ((y - low[1]) / step).astype(int)
        inside = (column >= 0) & (column < shape[0]) & (row >= 0) & (row < shape[1])
        binned += np.bincount((row * shape[0] + column)[inside], minlength=binned.size)
    return _png(binned.reshape(shape[1], shape[0]))


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


def _require_drawable(found: Image) -> None:
    """Raise NoPreview for an image that would take too long to draw."""
    if found.width * found.height > MOST_PIXELS:
        raise NoPreview(f"{found.width} × {found.height} pixels are too many for a picture made while you wait")


def _png(values: Floats) -> bytes:
    """Return the values in colour, first row at the bottom, as an indexed PNG (RFC 2083)."""
    height, width = values.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = _stretch(values)[::-1]
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", _colours()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stretch(values: Floats) -> npt.NDArray[np.uint8]:
    """Scale values to 0 to 255, logarithmically: the typical lit pixel is 1, so that single counts are visible."""
    finite = np.where(np.isfinite(values), values, 0.0)
    finite = np.maximum(finite, 0.0)
    lit = finite[finite > 0]
    if not lit.size:
        return np.zeros(values.shape, dtype=np.uint8)
    logs = np.log1p(finite / np.median(lit))
    return np.asarray(np.round(255 * logs / logs.max()), dtype=np.uint8)


def _colours() -> bytes:
    """Return 256 colours from night blue over violet and orange to pale yellow, their lightness rising evenly.

    Made in OKLab (B. Ottosson, 2020), so that equal steps look equal, also to readers who see few colours.
    """
    share = np.linspace(0, 1, 256)
    light = 0.13 + 0.84 * share
    hue = np.radians(np.interp(share, [0, 0.35, 0.7, 1], [265, 320, 410, 465]))
    chroma = 0.045 + 0.125 * np.sin(np.pi * share**0.8)
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    cones = np.stack(
        [
            light + 0.3963377774 * a + 0.2158037573 * b,
            light - 0.1055613458 * a - 0.0638541728 * b,
            light - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ cones**3, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8).T.tobytes()
