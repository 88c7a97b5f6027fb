"""Boxes and ellipses on the sky as polygons, whose sides are great circles."""

from __future__ import annotations

import math
from typing import Final

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

ELLIPSE_VERTICES: Final = 72


def corners(centre: SkyCoord, name: str, sizes_deg: tuple[float, float], angle_rad: float) -> SkyCoord:
    """Return the polygon of a box, or of an ellipse of the same area, offset on great circles from its centre.

    Parameters
    ----------
    centre
        Centre of the shape; its frame is that of the angle.
    name
        ``box`` or ``ellipse``.
    sizes_deg
        Full width and height of a box, semi-axes of an ellipse.
    angle_rad
        Angle of the first size, anticlockwise from the X axis of an image with north up.

    Returns
    -------
    SkyCoord
        The corners in the frame of the centre, shape (4,) or (72,).
    """
    first_deg, second_deg = sizes_deg
    if name == "box":
        along, across = np.array([1, -1, -1, 1]) * first_deg / 2, np.array([1, 1, -1, -1]) * second_deg / 2
    else:
        step = 2 * math.pi / ELLIPSE_VERTICES
        wider = math.sqrt(step / math.sin(step))
        phase = step * np.arange(ELLIPSE_VERTICES)
        along, across = wider * first_deg * np.cos(phase), wider * second_deg * np.sin(phase)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    west, north = along * cos - across * sin, along * sin + across * cos
    # in the tangent plane straight lines are great circles
    radius_deg = np.degrees(np.arctan(np.radians(np.hypot(west, north))))
    return centre.directional_offset_by(np.arctan2(-west, north) * u.rad, radius_deg * u.deg)
