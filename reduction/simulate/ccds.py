"""The CCDs of the cameras as the simulator lays them out; may import numpy.

Detector coordinates DETX, DETY are in units of 0.05 arcsec, as seen on the sky. The CCDs lie as in the real cameras,
with round numbers for the gaps; their numbers are schematic, but the aim point is on CCD 4 of pn and on CCD 1 of MOS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ccd:
    """One CCD of `columns` x `rows` pixels.

    The side `pixel` of a pixel and the centre of the CCD at DETX `x`, DETY `y` are in units of 0.05 arcsec. `axes` has
    the direction of growing RAWX on the detector, then that of growing RAWY. Raw coordinates count from 1; whole
    numbers are the centres of pixels.
    """

    number: int
    columns: int
    rows: int
    pixel: int
    x: float
    y: float
    axes: tuple[tuple[int, int], tuple[int, int]]

    def to_detector(self, rawx: np.ndarray, rawy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return DETX, DETY of raw positions, arrays of the same shape."""
        u = (rawx - (self.columns + 1) / 2) * self.pixel
        v = (rawy - (self.rows + 1) / 2) * self.pixel
        (xu, yu), (xv, yv) = self.axes
        return self.x + xu * u + xv * v, self.y + yu * u + yv * v

    def to_raw(self, detx: np.ndarray, dety: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return RAWX, RAWY (fractions included) of detector positions, arrays of the same shape."""
        (xu, yu), (xv, yv) = self.axes
        dx, dy = detx - self.x, dety - self.y
        u, v = xu * dx + yu * dy, xv * dx + yv * dy
        return u / self.pixel + (self.columns + 1) / 2, v / self.pixel + (self.rows + 1) / 2


def pn_ccds() -> tuple[Ccd, ...]:
    """Return two rows of six CCDs of 64 x 200 pixels of 4.1 arcsec, gaps of 11 arcsec, read out at the outer edges."""
    pixel, gap = 82, 220
    pitch, height = 64 * pixel + gap, 200 * pixel
    upper, lower = ((-1, 0), (0, -1)), ((1, 0), (0, 1))
    ccds = []
    for number in range(1, 13):
        quadrant, column = divmod(number - 1, 3)
        right, below = quadrant >= 2, quadrant in (1, 2)
        x, y = (column + 0.5) * pitch * (1 if right else -1), (height + gap) / 2 * (-1 if below else 1)
        ccds.append(Ccd(number, 64, 200, pixel, x, y, lower if below else upper))
    return tuple(ccds)


def mos_ccds(quarter_turns: int) -> tuple[Ccd, ...]:
    """Return a central CCD of 600 x 600 pixels of 1.1 arcsec and six around it, gaps of 11 arcsec."""
    pixel, gap = 22, 220
    side = 600 * pixel + gap
    centres = [(0.0, 0.0), (-1.0, -0.5), (-1.0, 0.5), (0.0, 1.0), (1.0, 0.5), (1.0, -0.5), (0.0, -1.0)]
    ccds = []
    for number, (across, up) in enumerate(centres, start=1):
        x, y, right, upwards = across * side, up * side, (1, 0), (0, 1)
        for _ in range(quarter_turns):
            x, y = -y, x
            right, upwards = (-right[1], right[0]), (-upwards[1], upwards[0])
        ccds.append(Ccd(number, 600, 600, pixel, x, y, (right, upwards)))
    return tuple(ccds)
