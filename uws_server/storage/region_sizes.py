"""What indexes find the sky by: the circle around a region, its size, the zone of a place. Imports the shapes."""

from __future__ import annotations

import math
from typing import Final

REACHES_DEG: Final = (0.02, 0.1, 0.5, 2.0, 10.0, 180.0)
"""The sizes of regions: of each the largest radius, degrees, of the circle around one. Each is looked for as far as
its own reaches: a few large regions do not make those that ask for small ones look far."""
ZONES_PER_DEG: Final = 4
"""Zones of declination in a degree: a small cone needs a few of them, of which right ascension leaves little."""


def zone_of(dec_deg: float | None) -> int | None:
    """Return the number of the zone of a declination, from 0 at the south pole; None for one that there is not."""
    if dec_deg is None or not abs(dec_deg) <= 90:
        return None
    return math.floor((dec_deg + 90) * ZONES_PER_DEG)


def values_of_region(text: str | None) -> dict[str, float | int | None]:
    """Return the columns of the circle around a region: those of the last size where it is not understood."""
    place = _around(text) if text else None
    ra_deg, dec_deg, radius_deg = place or (None, None, None)
    size = None if not text else len(REACHES_DEG) - 1 if radius_deg is None else _size(radius_deg)
    return {"uws_region_ra": ra_deg, "uws_region_dec": dec_deg, "uws_region_radius": radius_deg,
            "uws_region_size": size}  # fmt: skip


def _around(text: str) -> tuple[float, float, float] | None:
    """Return right ascension, declination and radius, degrees, of the circle around a region of one shape."""
    # here, not above: a start loads this module, and needs shapes with the first product only
    from uws_server.discovery.footprints import shapes_of
    from uws_server.discovery.sphere import Circle

    shapes = shapes_of(text)
    if len(shapes) != 1:
        return None
    shape = shapes[0]
    if isinstance(shape, Circle):
        found = (shape.ra % 360, shape.dec, shape.radius)
    else:
        x, y, z = shape.middle
        ra_deg, dec_deg = math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))
        found = (ra_deg, dec_deg, shape.reach)
    return found if abs(found[1]) <= 90 and 0 <= found[2] <= REACHES_DEG[-2] else None


def _size(radius_deg: float) -> int:
    return next(number for number, most in enumerate(REACHES_DEG) if radius_deg <= most)
