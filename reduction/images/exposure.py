"""Exposure maps: for each pixel of an image the seconds during which it was exposed, and what follows from them.

The exposure of a pixel is the live time of each CCD times the part of the pixel that lies on good raw pixels of that
CCD within the field of view. The event list holds no attitude beyond its mean pointing: the CCDs are taken to stand
still on the sky where the events put them on average. XMM-Newton moves by an arcsec or two within an observation, so
that real edges are softer by that much.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.images.coverage import Cut, covered_by
from reduction.images.grid import Grid
from reduction.spectra.area import CcdPlace

Floats = npt.NDArray[np.float64]

_MOST_KNOTS = 100


@dataclass(frozen=True)
class Vignetting:
    """The effective area by the angle from the optical axis, relative to that on the axis; linear between the knots.

    `arcmin` rises, `factor` is above 0 and at most 1; beyond the last knot its factor holds. Shape (n,) both.
    """

    arcmin: tuple[float, ...]
    factor: tuple[float, ...]

    @classmethod
    def parse(cls, text: str, parameter: str = "vignetting") -> Vignetting | None:
        """Read pairs of an angle in arcmin and a factor: ``0 1, 5 0.9, 12 0.5``; None for an empty text.

        Parameters
        ----------
        text
            The pairs, with commas between them.
        parameter
            Job parameter named in the error.

        Returns
        -------
        Vignetting or None
            The curve.

        Raises
        ------
        ReductionError
            The text is no such list.
        """
        if not text.strip():
            return None
        try:
            pairs = [tuple(float(word) for word in part.split()) for part in re.split(r"[,;\n]", text) if part.strip()]
            angles, factors = zip(*[(angle, factor) for angle, factor in pairs], strict=True)
        except ValueError as error:
            raise ReductionError(f"{text.strip()[:60]!r} is no vignetting; write pairs of an angle in arcmin and the "
                                 "area relative to that on the axis, such as 0 1, 5 0.9, 12 0.5",
                                 parameter) from error  # fmt: skip
        is_sound = all(0 < factor <= 1 for factor in factors) and min(angles) >= 0 and bool(np.all(np.diff(angles) > 0))
        if not is_sound or len(pairs) > _MOST_KNOTS:
            raise ReductionError(f"angles of a vignetting rise from 0 or more, its factors are above 0 and at most 1, "
                                 f"and there are at most {_MOST_KNOTS} pairs; {text.strip()[:60]!r} came",
                                 parameter)  # fmt: skip
        return cls(angles, factors)

    def on(self, grid: Grid, axis: tuple[float, float], unit_arcsec: float) -> Floats:
        """Return the factor of each pixel of a grid.

        Parameters
        ----------
        grid
            The grid in the plane of X and Y.
        axis
            X and Y of the optical axis.
        unit_arcsec
            A unit of X and Y on the sky.

        Returns
        -------
        array
            Shape (rows, columns).
        """
        across, up = grid.centres()
        away = np.hypot((across - axis[0])[None, :], (up - axis[1])[:, None]) * unit_arcsec / 60
        return np.asarray(np.interp(away, self.arcmin, self.factor))


def exposure_map(grid: Grid, places: Mapping[int, CcdPlace], live_s: Mapping[int | None, float], cut: Cut) -> Floats:
    """Return the exposure of each pixel of a grid.

    Parameters
    ----------
    grid
        The grid in the plane of X and Y.
    places
        CCD number -> where it lies, from `area.place_ccds`.
    live_s
        CCD number -> its live time in seconds.
    cut
        The field of view and the region beyond which nothing is exposed.

    Returns
    -------
    array
        Seconds, shape (rows, columns), averaged over each pixel. What lies on two CCDs is exposed on the first.
    """
    seconds, taken = np.zeros(grid.shape), np.zeros(grid.shape)
    for ccd, place in places.items():
        part = covered_by(place, grid, cut)
        if part is None:
            continue
        share = np.minimum(part.covered, 1 - taken[part.window])
        taken[part.window] += share
        seconds[part.window] += share * live_s.get(ccd, 0.0)
    return seconds


def rate(counts: npt.NDArray[np.float64] | npt.NDArray[np.int32], seconds: Floats) -> Floats:
    """Return counts per second of each pixel; NaN where there is no exposure. Shape like both."""
    result = np.full(seconds.shape, np.nan)
    np.divide(counts, seconds, out=result, where=seconds > 0)
    return result
