"""Vignetting of the X-ray telescopes of XMM-Newton by energy and off-axis angle; may import numpy.

The table is a ray trace of ours through one telescope: 58 nested Wolter I shells in cone approximation with a focal
length of 7500 mm, mirrors of twice 300 mm, radii from 153 to 350 mm, walls of 0.47 to 1.07 mm (Jansen et al. 2001, A&A
365, L1) and a clearance of 0.3 mm, which gives that number of shells; gold of 97 % of its density, roughness 0.4 nm,
optical constants of Henke et al. 1993. Areas on the axis are in the published ratio of 1475 : 580 cm2 at 1.5 and 8 keV
within 2 %. The gratings before MOS modulate it in azimuth; this is the mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ENERGIES_KEV = (0.5, 1.5, 3.0, 4.5, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0)
ANGLES_ARCMIN = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 17)
FACTORS = (
    (1.000, 1.000, 1.000, 1.000, 1.000, 1.000, 1.000, 1.000, 1.000, 1.000),
    (0.978, 0.978, 0.977, 0.977, 0.975, 0.972, 0.968, 0.963, 0.956, 0.939),
    (0.955, 0.955, 0.953, 0.952, 0.948, 0.937, 0.926, 0.912, 0.891, 0.838),
    (0.926, 0.926, 0.924, 0.922, 0.913, 0.892, 0.873, 0.848, 0.813, 0.722),
    (0.893, 0.893, 0.890, 0.887, 0.871, 0.839, 0.811, 0.775, 0.727, 0.612),
    (0.855, 0.854, 0.849, 0.845, 0.822, 0.778, 0.743, 0.697, 0.638, 0.520),
    (0.814, 0.813, 0.806, 0.801, 0.770, 0.716, 0.674, 0.621, 0.555, 0.446),
    (0.729, 0.728, 0.718, 0.711, 0.662, 0.596, 0.544, 0.485, 0.418, 0.339),
    (0.643, 0.642, 0.629, 0.618, 0.555, 0.484, 0.431, 0.377, 0.323, 0.267),
    (0.557, 0.556, 0.541, 0.528, 0.458, 0.390, 0.343, 0.302, 0.260, 0.217),
    (0.479, 0.478, 0.462, 0.448, 0.378, 0.321, 0.285, 0.252, 0.218, 0.182),
    (0.411, 0.410, 0.394, 0.381, 0.319, 0.273, 0.244, 0.216, 0.189, 0.157),
    (0.380, 0.380, 0.365, 0.352, 0.296, 0.254, 0.227, 0.202, 0.176, 0.147),
)
"""Factor of each angle (rows) and energy (columns)."""


def vignetting(energy_kev: Floats, off_axis_arcmin: Floats | float) -> Floats:
    """Return the effective area off the axis, relative to that on it.

    Parameters
    ----------
    energy_kev
        Energies in keV, any shape; beyond 0.5 and 12 keV the factors there hold.
    off_axis_arcmin
        Angle from the optical axis in arcmin, of a shape that broadcasts with the energies; beyond 17 arcmin the factor
        there holds.

    Returns
    -------
    array
        Above 0 and at most 1, linear between the values of the table, in the broadcast shape.
    """
    table = np.array(FACTORS)
    energy, angle = np.broadcast_arrays(np.asarray(energy_kev, float), np.asarray(off_axis_arcmin, float))
    i, across = _place(ENERGIES_KEV, energy)
    j, up = _place(ANGLES_ARCMIN, angle)
    near = table[j, i] * (1 - across) + table[j, i + 1] * across
    far = table[j + 1, i] * (1 - across) + table[j + 1, i + 1] * across
    return np.asarray(near * (1 - up) + far * up)


def _place(knots: tuple[float, ...], values: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the number of the knot before each value, and the part of the way to the next one."""
    at = np.array(knots, float)
    before = np.clip(np.searchsorted(at, values, side="right") - 1, 0, len(at) - 2)
    return before, np.clip((values - at[before]) / (at[before + 1] - at[before]), 0.0, 1.0)
