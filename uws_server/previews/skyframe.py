"""A piece of the sky about a middle, projected by its tangent plane (TAN), with its lines of coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from uws_server.previews.axes import decimal, round_step

Floats = npt.NDArray[np.float64]
_LINES = 6
_SAMPLES = 60
FARTHEST_DEG = 65.0
"""What lies farther from the middle is not projected: it would be far outside, or on the other side of the sky."""


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return places in degrees as unit vectors, shape (n, 3)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack((np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)), axis=-1)


def lon_lat(vector: Floats) -> tuple[float, float]:
    """Return right ascension and declination in degrees of a vector."""
    return (math.degrees(math.atan2(vector[1], vector[0])) % 360.0,
            math.degrees(math.atan2(vector[2], math.hypot(vector[0], vector[1]))))  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of one coordinate in a frame: its places, and the text of its value."""

    places: Floats
    text: str


@dataclass(frozen=True)
class SkyFrame:
    """A square frame: its middle, half its side in degrees of its plane, its side in pixels; north up."""

    ra: float
    dec: float
    half_deg: float
    side: float

    @cached_property
    def _axes(self) -> tuple[Floats, Floats, Floats]:
        """The middle, east and north as unit vectors."""
        ra, dec = math.radians(self.ra), math.radians(self.dec)
        middle = unit_vectors(np.array(self.ra), np.array(self.dec))
        east = np.array([-math.sin(ra), math.cos(ra), 0.0])
        return middle, east, np.array([-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)])

    @property
    def reach_deg(self) -> float:
        """The angle from its middle to its sides."""
        return math.degrees(math.atan(math.radians(self.half_deg)))

    @property
    def scale(self) -> float:
        """Pixels of a degree in the middle."""
        return self.side / (2 * self.half_deg)

    def places(self, vectors: Floats) -> Floats:
        """Return where unit vectors (n, 3) are in the frame, in pixels from its upper left corner, shape (n, 2)."""
        middle, east, north = self._axes
        depth = vectors @ middle
        flat = np.degrees(np.stack((vectors @ east, vectors @ north), axis=1) / depth[:, None])
        return np.asarray(self.side / 2 - flat * self.scale)

    def is_near(self, vectors: Floats) -> bool:
        """Check whether places are near enough to the middle to be projected."""
        return bool((vectors @ self._axes[0] > math.cos(math.radians(FARTHEST_DEG))).all())

    def wcs(self) -> WCS:
        """Return the projection, of pixels from 0 on: X from the left, Y from below."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.crpix = [self.side / 2 + 1, self.side / 2 + 1]
        wcs.wcs.cdelt = [-1 / self.scale, 1 / self.scale]
        wcs.wcs.cunit = ["deg", "deg"]
        return wcs

    @property
    def _reach(self) -> tuple[float, float, float]:
        """Least and greatest declination, and half of the right ascensions, that the frame holds, in degrees."""
        corner = math.degrees(math.atan(math.radians(self.half_deg) * math.sqrt(2)))
        low, high = max(self.dec - corner, -90.0), min(self.dec + corner, 90.0)
        if low <= -90 or high >= 90:
            return low, high, 180.0
        return low, high, math.degrees(math.asin(min(1.0, math.sin(math.radians(corner)) /
                                                     math.cos(math.radians(self.dec)))))  # fmt: skip

    def meridians(self) -> Iterator[Line]:
        """Yield lines of one right ascension."""
        low, high, half = self._reach
        step = round_step(2 * self.half_deg / _LINES / max(math.cos(math.radians(self.dec)), 0.02))
        step = 30.0 if step > 15 or half >= 180 else step
        dec = np.linspace(low, high, _SAMPLES)
        for number in range(math.ceil((self.ra - half) / step), math.ceil((self.ra + half) / step)):
            ra = number * step
            vectors = unit_vectors(np.full(_SAMPLES, ra), dec)
            yield Line(self.places(vectors), f"{decimal(ra % 360, step)}°")

    def parallels(self) -> Iterator[Line]:
        """Yield lines of one declination."""
        low, high, half = self._reach
        step = round_step(2 * self.half_deg / _LINES)
        ra = np.linspace(self.ra - half, self.ra + half, 2 * _SAMPLES)
        for number in range(math.ceil(low / step), math.floor(high / step) + 1):
            vectors = unit_vectors(ra, np.full(2 * _SAMPLES, number * step))
            yield Line(self.places(vectors), f"{decimal(number * step, step)}°")
