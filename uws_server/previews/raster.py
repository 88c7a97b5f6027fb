"""Numbers on a grid as an indexed PNG, by a stretch and a map of colours that are made here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reduction.images import png
from uws_server.previews.look import AS_USUAL, Look

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """How values become colours, 0 to 1, up to `highest`.

    The scale ``log`` is the logarithm of 1 + value / `typical`, where `typical` is the median of the values above 0, so
    that single counts are visible; ``sqrt`` and ``linear`` are what they are called. Below 0 and NaN are as 0.
    """

    typical: float
    highest: float
    scale: str = "log"

    @classmethod
    def of(cls, values: Floats, scale: str = "log") -> Stretch:
        """Return the stretch of some values."""
        lit = values[np.isfinite(values) & (values > 0)]
        return cls(float(np.median(lit)), float(lit.max()), scale) if lit.size else cls(1.0, 1.0, scale)

    def share(self, values: Floats) -> Floats:
        """Return where on the scale of colours values lie, shape like `values`."""
        known = np.clip(np.where(np.isfinite(values), values, 0.0), 0.0, self.highest)
        if self.scale == "log":
            return np.asarray(np.log1p(known / self.typical) / np.log1p(self.highest / self.typical))
        return np.asarray(np.sqrt(known / self.highest) if self.scale == "sqrt" else known / self.highest)

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
    """Values to draw, shape (rows, columns), the first row at the bottom, and how they are to look."""

    values: Floats
    look: Look = AS_USUAL

    @cached_property
    def stretch(self) -> Stretch:
        """How the values become colours."""
        return Stretch.of(self.values, self.look.scale)

    def png(self) -> bytes:
        """Return the values in colour as an indexed PNG; where there is no number it is transparent."""
        share = self.stretch.share(self.values)[::-1]
        nothing = ~np.isfinite(self.values[::-1])
        if not nothing.any():
            return png.indexed(np.round(255 * share).astype(np.uint8), palette(self.look.colours))
        pixels = np.where(nothing, 255, np.round(254 * share)).astype(np.uint8)
        return png.indexed(pixels, palette(self.look.colours, 255), transparent=255)


def colour_bar(look: Look = AS_USUAL) -> bytes:
    """Return a PNG of the colours one above the other, the highest on top; 1 x 256 pixels."""
    return png.indexed(np.arange(256, dtype=np.uint8)[::-1, None], palette(look.colours))


def palette(colours: str = "heat", count: int = 256) -> bytes:
    """Return the colours of a map from low to high, red, green and blue of each: `count` and, up to 256, white."""
    share = np.linspace(0, 1, count)
    if colours == "heat":
        rgb = _heat(share)
    else:
        grey = 255 * (share if colours == "grey" else 1 - share)
        rgb = np.repeat(np.round(grey).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate((rgb, np.full((256 - count, 3), 255, dtype=np.uint8))).tobytes()


def _heat(share: Floats) -> npt.NDArray[np.uint8]:
    """Return colours, shape (n, 3), from night blue over violet and orange to pale yellow, evenly rising in lightness.

    Made in OKLab (B. Ottosson, 2020), so that equal steps look equal, also to readers who see few colours.
    """
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
    return np.round(255 * encoded).astype(np.uint8).T
