"""Numbers on a grid as an indexed PNG, stretched logarithmically; the colours and the PNG are made here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """How values become colours, 0 to 1: the logarithm of 1 + value / `typical`, up to `highest`.

    `typical` is the median of the values above 0, so that single counts are visible; below 0 and NaN are as 0.
    """

    typical: float
    highest: float

    @classmethod
    def of(cls, values: Floats) -> Stretch:
        """Return the stretch of some values."""
        lit = values[np.isfinite(values) & (values > 0)]
        return cls(float(np.median(lit)), float(lit.max())) if lit.size else cls(1.0, 1.0)

    def share(self, values: Floats) -> Floats:
        """Return where on the scale of colours values lie, shape like `values`."""
        known = np.clip(np.where(np.isfinite(values), values, 0.0), 0.0, self.highest)
        return np.asarray(np.log1p(known / self.typical) / np.log1p(self.highest / self.typical))

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values from 0 to the highest, spread over the scale of colours, at most about `most`."""
        decades = range(int(np.floor(np.log10(self.typical))) - 1, int(np.ceil(np.log10(self.highest))) + 1)
        known = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        found, at = [0.0], 0.0
        for value in known:
            share = float(self.share(np.array([value]))[0])
            if value <= self.highest and share >= at + 0.8 / most:
                found.append(value)
                at = share
        return found


@dataclass(frozen=True)
class Raster:
    """Values to draw, shape (rows, columns), the first row at the bottom."""

    values: Floats

    @cached_property
    def stretch(self) -> Stretch:
        """How the values become colours."""
        return Stretch.of(self.values)

    def png(self) -> bytes:
        """Return the values in colour as an indexed PNG (RFC 2083)."""
        return _png(np.round(255 * self.stretch.share(self.values)).astype(np.uint8)[::-1])


def colour_bar() -> bytes:
    """Return a PNG of the colours one above the other, the highest on top; 1 x 256 pixels."""
    return _png(np.arange(256, dtype=np.uint8)[::-1, None])


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Write numbers of colours, the first row on top."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = pixels
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(width, height, lines))


def _chunks(width: int, height: int, lines: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", _colours()),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    for kind, data in parts:
        yield struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
