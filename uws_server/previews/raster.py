"""Numbers on a grid as an indexed PNG, by a stretch and a map of colours that are made here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reduction.images import png
from uws_server.previews.axes import Linear
from uws_server.previews.look import AS_USUAL, Look

Floats = npt.NDArray[np.float64]

_TURNS = {
    "heat": (265.0, 320.0, 410.0, 465.0),
    "cool": (275.0, 262.0, 235.0, 195.0),
    "green": (305.0, 250.0, 165.0, 105.0),
}
"""The hues of a map of colours at the start, at 0.35, at 0.7 and at the end of it."""

_LEAST_TYPICAL = 1e-30
"""Part of the range of values below which none is typical: quotients of both must be numbers."""


@dataclass(frozen=True)
class Stretch:
    """How values become colours, 0 to 1, from `lowest` to `highest`; what lies outside has the colour of the end.

    With v the value less the lowest, and `typical` the median of the values above it: ``log`` is the logarithm of
    1 + v / `typical`, so that single counts are visible; ``asinh`` that of 3 v / `typical`, linear below a third of
    `typical`; ``sqrt`` and ``linear`` are what they are called. NaN is as the lowest.
    """

    typical: float
    highest: float
    scale: str = "log"
    lowest: float = 0.0

    @classmethod
    def of(cls, values: Floats, look: Look = AS_USUAL) -> Stretch:
        """Return the stretch of some values: up to the highest of them, where the look says nothing else."""
        low, high = _ends(values, look)
        lowest = 0.0 if low is None else low
        lit = values[np.isfinite(values) & (values > lowest)]
        if not lit.size:
            usual = lowest + _away(lowest)
            return cls(1.0, usual if high is None or high <= lowest else high, look.scale, lowest)
        highest = float(lit.max()) if high is None else high
        if highest <= lowest:  # all that is chosen lies below 0
            lowest = highest - _away(highest)
        typical = max(min(float(np.median(lit)), highest) - lowest, _LEAST_TYPICAL * (highest - lowest))
        return cls(typical, highest, look.scale, lowest)

    def share(self, values: Floats) -> Floats:
        """Return where on the scale of colours values lie, shape like `values`."""
        above = np.clip(np.where(np.isfinite(values), values, self.lowest), self.lowest, self.highest) - self.lowest
        most = self.highest - self.lowest
        if self.scale == "log":
            return np.asarray(np.log1p(above / self.typical) / np.log1p(most / self.typical))
        if self.scale == "asinh":
            return np.asarray(np.arcsinh(3 * above / self.typical) / np.arcsinh(3 * most / self.typical))
        return np.asarray(np.sqrt(above / most) if self.scale == "sqrt" else above / most)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values from the lowest to the highest, spread over the colours, at most about `most`."""
        if self.lowest != 0:
            return [value for value, _ in Linear(self.lowest, self.highest, 0, 1).ticks(most)]
        decades = range(int(np.floor(np.log10(self.typical))) - 1, int(np.ceil(np.log10(self.highest))) + 1)
        known = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        found, at = [0.0], 0.0
        for value in known:
            share = float(self.share(np.array([value]))[0])
            if value <= self.highest and share >= at + 0.8 / most:
                found.append(value)
                at = share
        return found


def _ends(values: Floats, look: Look) -> tuple[float | None, float | None]:
    """Return the ends that a look names, or those of its percentage of the values; None for the usual ones."""
    known = values[np.isfinite(values)]
    if look.percent is None or not known.size:
        return look.low, look.high
    left_out = (100 - look.percent) / 2
    low, high = (float(end) for end in np.percentile(known, (left_out, 100 - left_out)))
    usual_high = high if high > low else None
    return low if look.low is None else look.low, usual_high if look.high is None else look.high


def _away(value: float) -> float:
    """Return how far the other end of the colours lies from a value that is the only one."""
    return max(1.0, 1e-6 * abs(value))


@dataclass(frozen=True)
class Raster:
    """Values to draw, shape (rows, columns), the first row at the bottom, and how they are to look."""

    values: Floats
    look: Look = AS_USUAL

    @cached_property
    def stretch(self) -> Stretch:
        """How the values become colours."""
        return Stretch.of(self.values, self.look)

    def png(self) -> bytes:
        """Return the values in colour as an indexed PNG; where there is no number it is transparent."""
        share = self.stretch.share(self.values)[::-1]
        nothing = ~np.isfinite(self.values[::-1])
        if not nothing.any():
            return png.indexed(np.round(255 * share).astype(np.uint8), palette(self.look))
        pixels = np.where(nothing, 255, np.round(254 * share)).astype(np.uint8)
        return png.indexed(pixels, palette(self.look, 255), transparent=255)


def colour_bar(look: Look = AS_USUAL) -> bytes:
    """Return a PNG of the colours one above the other, the highest on top; 1 x 256 pixels."""
    return png.indexed(np.arange(256, dtype=np.uint8)[::-1, None], palette(look))


def palette(look: Look = AS_USUAL, count: int = 256) -> bytes:
    """Return the colours of a look from low to high, red, green and blue of each: `count` and, up to 256, white."""
    share = np.linspace(1, 0, count) if look.inverted else np.linspace(0, 1, count)
    if look.colours in _TURNS:
        rgb = _even(share, _TURNS[look.colours])
    else:
        grey = 255 * (share if look.colours == "grey" else 1 - share)
        rgb = np.repeat(np.round(grey).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate((rgb, np.full((256 - count, 3), 255, dtype=np.uint8))).tobytes()


def _even(share: Floats, turns: tuple[float, ...]) -> npt.NDArray[np.uint8]:
    """Return colours, shape (n, 3), from night blue to a pale one, evenly rising in lightness, by hues in degrees.

    Made in OKLab (B. Ottosson, 2020), so that equal steps look equal, also to readers who see few colours.
    """
    light = 0.13 + 0.84 * share
    hue = np.radians(np.interp(share, [0, 0.35, 0.7, 1], turns))
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
