"""The sky that an event list sees, as a MOC: where its events lie, else the field about its pointing.

`mocpy` is imported here and in `regions.coverage` only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import Latitude, Longitude, SkyCoord
from astropy.wcs import WCS
from mocpy import MOC

from reduction.events.eventlist import EventList
from reduction.missions import FieldOfView, number

_MOST_BINS: Final = 4_000_000
_CROWDED: Final = 4.0
"""Events in a bin on average from which gaps between them are gaps of the field, not of chance."""


@dataclass(frozen=True)
class Pointing:
    """Where an instrument looks in degrees, and its position angle from the north by the east; NaN if not known."""

    ra_deg: float
    dec_deg: float
    angle_deg: float = math.nan


@dataclass(frozen=True)
class Footprint:
    """The sky that an event list sees: its cells, None where nothing is known of it, and how they were found.

    `way` is ``events``, ``hull`` or ``pointing``, empty without cells. `outline` are the corners of a polygon about all
    that is seen, right ascension and declination in degrees, shape (n, 2), counter-clockwise on the sky.
    """

    cells: MOC | None
    way: str
    outline: npt.NDArray[np.float64]


_NOWHERE: Final = Footprint(None, "", np.empty((0, 2)))

Mask = npt.NDArray[np.bool_]


def footprint(events: EventList, order: int) -> Footprint:
    """Return the sky that an event list sees.

    Events are counted in bins of half a cell. Where there are many, gaps of one bin between them are closed, so that
    CCDs that were off stay out; where there are few, the convex hull of all is taken.

    Parameters
    ----------
    events
        The open event list.
    order
        Order of the smallest cells.

    Returns
    -------
    Footprint
        The cells and their outline; none where the list has neither events with positions nor a pointing.
    """
    if events.wcs is not None and events.nrows:
        found = _of_events(events, order)
        if found is not None:
            return found
    keywords = events.keywords
    for ra, dec in (("RA_PNT", "DEC_PNT"), ("RA_NOM", "DEC_NOM"), ("RA_OBJ", "DEC_OBJ")):
        lon, lat = number(keywords, ra), number(keywords, dec)
        if lon is not None and lat is not None and abs(lat) <= 90:
            angle = number(keywords, "PA_PNT")
            pointing = Pointing(lon, lat, math.nan if angle is None else angle)
            field = events.mission.field
            corners = _projected(field, np.array([[lon, lat, 0.0 if angle is None else angle]]))
            return Footprint(fields_of_view(field, [pointing], order)[0], "pointing", np.stack(corners, axis=2)[0])
    return _NOWHERE


def fields_of_view(field: FieldOfView, pointings: Sequence[Pointing], order: int) -> list[MOC]:
    """Return the cells of the fields of view of an instrument about some pointings.

    Parameters
    ----------
    field
        The field of view.
    pointings
        Where the instrument looks. Where the position angle is not known, the whole circle of the field is taken.
    order
        Order of the smallest cells.

    Returns
    -------
    list of MOC
        One for each pointing.
    """
    places = np.array([(one.ra_deg, one.dec_deg, one.angle_deg) for one in pointings], dtype=np.float64).reshape(-1, 3)
    turned = np.isfinite(places[:, 2]) if field.reach_arcmin is not None else np.zeros(len(places), dtype=np.bool_)
    found: list[MOC] = [None] * len(places)
    for which, make in ((np.flatnonzero(~turned), _circles), (np.flatnonzero(turned), _outlines)):
        if which.size:
            for number_, moc in zip(which.tolist(), make(field, places[which], order), strict=True):
                found[number_] = moc
    return found


def _circles(field: FieldOfView, places: np.ndarray, order: int) -> list[MOC]:
    """Return the cells of circles about pointings, shape (n, 3): RA, Dec and position angle in degrees."""
    lon, lat = Longitude(places[:, 0] * u.deg), Latitude(places[:, 1] * u.deg)
    mocs: list[MOC] = MOC.from_cones(lon, lat, radius=field.radius_arcmin * u.arcmin, max_depth=order)
    return mocs


def _outlines(field: FieldOfView, places: np.ndarray, order: int) -> list[MOC]:
    """Return the cells of the outlines of a field about pointings, shape (n, 3)."""
    ra, dec = _projected(field, places)
    corners = np.stack((ra, dec), axis=1).reshape(-1, ra.shape[1])
    mocs: list[MOC] = MOC.from_polygons(corners, max_depth=order)
    return mocs


def _projected(field: FieldOfView, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return RA and Dec of the corners of a field about pointings, shape (n, corners), from the tangent plane."""
    north, east = np.radians(field.outline() / 60).T[:, None]
    lon, lat, angle = np.radians(places).T[:, :, None]
    up = north * np.cos(angle) - east * np.sin(angle)
    left = north * np.sin(angle) + east * np.cos(angle)
    along = np.cos(lat) - up * np.sin(lat)  # the gnomonic projection (Calabretta & Greisen 2002, A&A 395, 1077)
    ra = np.degrees(lon + np.arctan2(left, along)) % 360
    ra[ra > 360 - 1e-9] = 0.0  # mocpy takes no 360, which is what a tiny negative number becomes
    return ra, np.degrees(np.arctan2(np.sin(lat) + up * np.cos(lat), np.hypot(left, along)))


def _of_events(events: EventList, order: int) -> Footprint | None:
    """Return what the bins that have events see; None where they have no places, or lie too far apart."""
    wcs: WCS = events.wcs
    step = np.degrees(np.sqrt(np.pi / 3)) / 2**order / 2 / np.abs(wcs.wcs.cdelt)
    found = [_bins(events, rows, step) for rows in events.chunks()]
    bins, counts = (np.concatenate(each) for each in zip(*found, strict=True))
    if not len(bins):
        return None
    low = bins.min(axis=0) - 3
    shape = bins.max(axis=0) - low + 4
    if int(np.prod(shape, dtype=object)) > _MOST_BINS:
        return None
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple((bins - low).T)] = True
    filled = int(np.count_nonzero(mask))
    if counts.sum() < _CROWDED * filled or filled < 9:
        corners = _hull(np.argwhere(mask) + low, step, wcs)
        return Footprint(MOC.from_polygon_skycoord(corners, max_depth=order), "hull", _degrees(corners))
    seen = np.argwhere(_eroded(_grown(mask))) + low
    return Footprint(_cells(seen, step, wcs, order), "events", _degrees(_hull(seen, step, wcs)))


def _bins(events: EventList, rows: Any, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins of some rows, shape (n, 2), and how many events each has; without what lies out of the field."""
    assert events.x is not None and events.y is not None
    places = np.stack([events.x.floats(rows), events.y.floats(rows)], axis=1)
    good = np.isfinite(places).all(axis=1)
    if events.flag is not None and events.mission.outside_flag:
        flags, known = events.flag.whole(rows)
        good &= (flags & events.mission.outside_flag) == 0
        good &= True if known is None else known
    bins = np.floor(places[good] / step)
    bins = bins[(np.abs(bins) < 2**31).all(axis=1)].astype(np.int64)
    if not len(bins):
        return bins, np.empty(0, dtype=np.int64)
    low = bins.min(axis=0)
    width, height = (int(size) for size in bins.max(axis=0) - low + 1)
    if width * height > _MOST_BINS:
        return np.unique(bins, axis=0, return_counts=True)
    counts = np.bincount((bins - low) @ np.array([height, 1]))  # many times faster than to sort the events
    filled = np.flatnonzero(counts)
    return np.stack(np.divmod(filled, height), axis=1) + low, counts[filled]


def _grown(mask: Mask) -> Mask:
    """Return a mask with the neighbours of its pixels, the diagonal ones too; nothing lies on its border."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    grown = wide.copy()
    grown[:, 1:] |= wide[:, :-1]
    grown[:, :-1] |= wide[:, 1:]
    return grown


def _eroded(mask: Mask) -> Mask:
    """Return a mask without the pixels that have a neighbour outside of it."""
    return ~_grown(~mask)


def _cells(bins: np.ndarray, step: np.ndarray, wcs: WCS, order: int) -> MOC:
    """Return the cells in which the middle or a corner of a bin lies."""
    corners = np.array([[0.5, 0.5], [0, 0], [0, 1], [1, 0], [1, 1]])
    sky = _sky((bins[:, None] + corners).reshape(-1, 2) * step, wcs)
    return MOC.from_lonlat(sky.ra, sky.dec, max_norder=order)


def _hull(bins: np.ndarray, step: np.ndarray, wcs: WCS) -> SkyCoord:
    """Return the corners of the convex hull of bins, in order, counter-clockwise on the sky."""
    begins = np.flatnonzero(np.diff(bins[:, 0], prepend=bins[0, 0] - 1))
    ends = np.r_[begins[1:], len(bins)] - 1  # of each column of bins only the lowest and the highest can be a corner
    outer = np.concatenate((bins[begins], bins[ends] + np.array([0, 1])))
    corners = np.unique(np.concatenate((outer, outer + np.array([1, 0]))), axis=0)
    half = [_chain(corners.tolist()), _chain(corners[::-1].tolist())]
    outline = np.array(half[0][:-1] + half[1][:-1], dtype=np.float64)
    if wcs.wcs.cdelt[0] * wcs.wcs.cdelt[1] > 0:  # X to the east: the sky as it is seen from outside
        outline = outline[::-1]
    return _sky(outline * step, wcs)


def _degrees(corners: SkyCoord) -> npt.NDArray[np.float64]:
    return np.stack((corners.ra.deg, corners.dec.deg), axis=1)


def _chain(points: list[list[float]]) -> list[list[float]]:
    """Return one side of the convex hull of points in order (Andrew 1979, Inf. Process. Lett. 9, 216)."""
    side: list[list[float]] = []
    for point in points:
        while len(side) > 1 and _turns(side[-2], side[-1], point) <= 0:
            side.pop()
        side.append(point)
    return side


def _turns(a: list[float], b: list[float], c: list[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _sky(places: np.ndarray, wcs: WCS) -> SkyCoord:
    return wcs.pixel_to_world(places[:, 0], places[:, 1]).icrs
