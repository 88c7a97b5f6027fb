"""How much of a region lies in another one; may import the set of shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import astropy.units as u
from astropy.wcs import WCS

from reduction.regions.core import RegionSet

_STEPS: Final = 4000.0
"""Pixels along the radius of a circle around both regions."""


@dataclass(frozen=True)
class Shared:
    """Parts of the areas of two regions, 0 to 1, that lie in the other one, too."""

    of_first: float
    of_second: float

    @property
    def of_smaller(self) -> float:
        """The part of the one that has the smaller area."""
        return max(self.of_first, self.of_second)


def shared(first: RegionSet, second: RegionSet) -> Shared:
    """Return how much of two regions lies in the other one.

    Both are projected on the plane that touches the sky in the middle of the two, so that circles keep their kind (see
    `RegionSet.on`); regions in ``physical`` pixels are compared in their own plane.

    Parameters
    ----------
    first
        A region on the sky, or in pixels.
    second
        Another one of the same kind.

    Returns
    -------
    Shared
        The parts; both are 0 where only the borders meet.

    Raises
    ------
    ReductionError
        One of the regions is on the sky and the other one in pixels, or they reach too far for a plane.
    """
    if _are_apart(first, second):
        return Shared(0.0, 0.0)
    wcs = _plane(RegionSet(first.include + second.include, parameter=first.parameter))
    placed, other = first.on(wcs), second.on(wcs)
    area = placed.shared_area(other)
    if area == 0:
        return Shared(0.0, 0.0)
    return Shared(min(1.0, area / placed.area()), min(1.0, area / other.area()))


def _are_apart(first: RegionSet, second: RegionSet) -> bool:
    """Return whether circles around two regions on the sky do not meet."""
    around, other = first.centre_and_radius(), second.centre_and_radius()
    if around is None or other is None:
        return False
    return bool(around[0].separation(other[0]) > around[1] + other[1])


def _plane(region: RegionSet) -> WCS | None:
    """Return a plane that touches the sky in the middle of a region; None for one in pixels."""
    around = region.centre_and_radius()
    if around is None:
        return None
    middle, radius = around
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [middle.ra.deg, middle.dec.deg]
    wcs.wcs.cdelt = [-radius.to_value(u.deg) / _STEPS, radius.to_value(u.deg) / _STEPS]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs
