"""Where a telescope points, in the plane of the X and Y columns of an event list."""

from __future__ import annotations

from astropy.coordinates import SkyCoord
from astropy.wcs.utils import wcs_to_celestial_frame

from reduction.events.eventlist import EventList
from reduction.missions import number


def optical_axis(events: EventList) -> tuple[float, float]:
    """Return X and Y of the optical axis: RA_PNT and DEC_PNT in the frame of the list, else the tangent point."""
    assert events.wcs is not None
    ra, dec = number(events.keywords, "RA_PNT"), number(events.keywords, "DEC_PNT")
    if ra is None or dec is None:
        ra, dec = (float(value) for value in events.wcs.wcs.crval)
    return to_plane(events, SkyCoord(ra, dec, unit="deg", frame=wcs_to_celestial_frame(events.wcs)))


def to_plane(events: EventList, position: SkyCoord) -> tuple[float, float]:
    """Return X and Y of a position on the sky, in whatever frame it is given."""
    assert events.wcs is not None
    sky = position.transform_to(wcs_to_celestial_frame(events.wcs))
    x, y = events.wcs.wcs_world2pix([[sky.spherical.lon.deg, sky.spherical.lat.deg]], 0)[0]
    return float(x), float(y)


def unit_arcsec(events: EventList) -> float:
    """Return the side of a unit of X and Y on the sky in arcsec."""
    assert events.wcs is not None
    return abs(float(events.wcs.wcs.cdelt[1])) * 3600
