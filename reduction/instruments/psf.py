"""Point spread function of the EPIC cameras: King profiles that change with energy and angle; may import numpy.

Core radius and slope are ``a + b E + c T + d E T`` with E in keV and T, the off-axis angle, in arcmin. The parameters
are those of S. Ghizzardi, "In flight calibration of the PSF", EPIC-MCT-TN-011 (MOS, 2001) and -012 (pn, 2002), but
for the slopes of MOS2 and pn, which are steeper by 0.02 and 0.03: so more of the light lies within 40 arcsec, as in
responses of SAS 18, between those profiles and what the documentation of the SAS task eupper lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CORE = {
    "EMOS1": (5.074, -0.236, 0.002, -0.0180),
    "EMOS2": (4.759, -0.203, 0.014, -0.0229),
    "EPN": (6.636, -0.305, -0.175, -0.0067),
}
"""a, b, c, d of the core radius in arcsec."""

SLOPE = {
    "EMOS1": (1.472, -0.010, -0.001, -0.0016),
    "EMOS2": (1.430, -0.005, -0.001, -0.0002),
    "EPN": (1.555, -0.015, -0.012, -0.0010),
}
"""a, b, c, d of the slope."""

LIMIT_ARCSEC = 300.0
"""Radius that holds all light: beyond it the profiles were not measured."""

MAX_ENERGY_KEV, MAX_ANGLE_ARCMIN = 8.0, 10.0
"""Energy and angle up to which the fits were made; their values hold beyond."""


@dataclass(frozen=True)
class King:
    """Brightness that falls as ``(1 + (r / core)^2)^-slope`` and ends at `LIMIT_ARCSEC`, normalised to 1.

    `core_arcsec` and `slope` have the same shape: one profile for each of their elements.
    """

    core_arcsec: Floats
    slope: Floats

    def encircled(self, radius_arcsec: Floats | float) -> Floats:
        """Return the part of the light within a radius in arcsec, in the broadcast shape of radii and profiles."""
        return np.asarray(self._within(np.minimum(radius_arcsec, LIMIT_ARCSEC)) / self._within(LIMIT_ARCSEC))

    def radius(self, part: Floats) -> Floats:
        """Return the radius in arcsec within which a part of the light lies, in the broadcast shape."""
        beyond = 1 - part * self._within(LIMIT_ARCSEC)
        return np.asarray(self.core_arcsec * np.sqrt(beyond ** (1 / (1 - self.slope)) - 1))

    def _within(self, radius_arcsec: Floats | float) -> Floats:
        """Return the light within a radius of the profile that does not end."""
        return np.asarray(1 - (1 + (radius_arcsec / self.core_arcsec) ** 2) ** (1 - self.slope))


@dataclass(frozen=True)
class KingTable:
    """King profiles at `energies_kev`, shape (n,), and `angles_arcmin` from the axis, shape (m,), both ascending.

    `core_arcsec` and `slope` have the shape (n, m).
    """

    energies_kev: Floats
    angles_arcmin: Floats
    core_arcsec: Floats
    slope: Floats

    def at(self, energy_kev: Floats, off_axis_arcmin: Floats | float) -> King:
        """Return the profiles at energies and angles, in their broadcast shape.

        Core radius and slope are bilinear between those of the table; beyond it those of its edge hold.
        """
        energy, angle = np.broadcast_arrays(
            np.clip(energy_kev, self.energies_kev[0], self.energies_kev[-1]),
            np.clip(off_axis_arcmin, self.angles_arcmin[0], self.angles_arcmin[-1]),
        )
        row, down = _between(self.energies_kev, energy)
        column, along = _between(self.angles_arcmin, angle)
        core, slope = (
            (1 - down) * ((1 - along) * values[row, column] + along * values[row, column + 1])
            + down * ((1 - along) * values[row + 1, column] + along * values[row + 1, column + 1])
            for values in (self.core_arcsec, self.slope)
        )
        return King(core, slope)


def _between(nodes: Floats, values: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the last but one node that is not above each value, and which part of the way to the next it has gone."""
    index = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    return index, np.asarray((values - nodes[index]) / (nodes[index + 1] - nodes[index]))


@dataclass(frozen=True)
class Profiles:
    """The King profiles of a camera: those of a calibration file, or the published ones where `table` is None.

    `file` is the name of that file.
    """

    camera: str
    table: KingTable | None = None
    file: str = ""

    def at(self, energy_kev: Floats, off_axis_arcmin: Floats | float) -> King:
        """Return the profiles at energies in keV and angles from the axis in arcmin, in their broadcast shape."""
        if self.table is None:
            return king(self.camera, energy_kev, off_axis_arcmin)
        return self.table.at(energy_kev, off_axis_arcmin)

    @property
    def last_angle_arcmin(self) -> float:
        """The angle from which on the profile no longer changes."""
        return MAX_ANGLE_ARCMIN if self.table is None else float(self.table.angles_arcmin[-1])


def king(camera: str, energy_kev: Floats, off_axis_arcmin: Floats | float) -> King:
    """Return the profile of a camera.

    Parameters
    ----------
    camera
        ``EPN``, ``EMOS1`` or ``EMOS2``.
    energy_kev
        Energies in keV, any shape.
    off_axis_arcmin
        Angle from the optical axis in arcmin, of a shape that broadcasts with the energies.

    Returns
    -------
    King
        One profile for each element of the broadcast shape.
    """
    energy, angle = np.minimum(energy_kev, MAX_ENERGY_KEV), np.minimum(off_axis_arcmin, MAX_ANGLE_ARCMIN)
    core, slope = (
        np.asarray(a + b * energy + c * angle + d * energy * angle) for a, b, c, d in (CORE[camera], SLOPE[camera])
    )
    return King(core, slope)
