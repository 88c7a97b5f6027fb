"""The field of view of an instrument about its pointing: a circle, of which the detectors may see a part only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_STEP_DEG = 10.0
"""Angle between the corners with which an arc of the circle is drawn."""


@dataclass(frozen=True)
class FieldOfView:
    """A circle of `radius_arcmin` about the pointing, and the rectangle of the detectors.

    `reach_arcmin` is how far the rectangle reaches from the pointing to the north, east, south and west where the
    position angle is 0; None for detectors that see the whole circle, whatever the angle.
    """

    radius_arcmin: float
    reach_arcmin: tuple[float, float, float, float] | None = None

    def outline(self) -> npt.NDArray[np.float64]:
        """Return the corners of the field at position angle 0, counted from the north by the east.

        Returns
        -------
        numpy.ndarray
            Offsets from the pointing to the north and to the east in arcmin, shape (n, 2).
        """
        angle = np.radians(np.arange(0.0, 360.0, _STEP_DEG))
        radius = np.full(len(angle), self.radius_arcmin / np.cos(np.radians(_STEP_DEG / 2)))
        if self.reach_arcmin is not None:
            north, east, south, west = self.reach_arcmin
            corners = np.arctan2((east, east, -west, -west), (north, -south, -south, north)) % (2 * np.pi)
            angle = np.union1d(angle, corners)
            along = np.where(np.cos(angle) > 0, north, south) / np.maximum(np.abs(np.cos(angle)), 1e-9)
            across = np.where(np.sin(angle) > 0, east, west) / np.maximum(np.abs(np.sin(angle)), 1e-9)
            radius = np.minimum(radius[0], np.minimum(along, across))
        return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)


EPIC_FIELD = FieldOfView(15.0)
"""The field of the telescopes of XMM-Newton; also taken for an instrument of which nothing else is said."""
