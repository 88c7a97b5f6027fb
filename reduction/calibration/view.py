"""What a region sees of its source: how much of a point source's light, and at which angles from the axis.

The part of the light is counted on good pixels only, so that the area of the response holds the gaps and bad pixels of
the region, as the SAS task arfgen has it. BACKSCAL holds them as well, to scale a background: a flux is taken with the
response, a surface brightness is that flux over the geometrical area of the region, never over BACKSCAL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.pointing import optical_axis, unit_arcsec
from reduction.events.selection import Region
from reduction.instruments import king, vignetting
from reduction.instruments.psf import LIMIT_ARCSEC
from reduction.spectra.area import CcdPlace, points_in

Floats = npt.NDArray[np.float64]
Places = Mapping[int, CcdPlace]

_RINGS = 160
_DIRECTIONS = 240
_ANGLES = 150

_SPREAD_KEV = np.array([0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0])
"""Energies at which vignetting and encircled energy are computed; both are smooth between them."""


@dataclass(frozen=True)
class PointView:
    """A point source as its region sees it.

    `angle_arcmin` is its angle from the axis; `edges_arcsec` are the edges of rings around it, shape (n + 1,), `inside`
    is the part of each that lies in the region on good pixels, shape (n,).
    """

    angle_arcmin: float
    edges_arcsec: Floats
    inside: Floats

    def encircled(self, camera: str, energy_kev: Floats) -> Floats:
        """Return the part of the source's light that is seen, at energies in keV, shape like these."""
        within = king(camera, _SPREAD_KEV[:, None], self.angle_arcmin).encircled(self.edges_arcsec)
        return np.interp(energy_kev, _SPREAD_KEV, np.diff(within, axis=1) @ self.inside)

    def factor(self, camera: str, energy_kev: Floats) -> Floats:
        """Return what of the area on the axis is left: vignetting times encircled energy, shape like the energies."""
        return vignetting(energy_kev, self.angle_arcmin) * self.encircled(camera, energy_kev)


@dataclass(frozen=True)
class ExtendedView:
    """An extended source that fills its region.

    `angles_arcmin` are angles from the axis, `weights` the part of the source's light at each (sum 1), `good` the part
    of the region's area on good pixels.
    """

    angles_arcmin: Floats
    weights: Floats
    good: float

    def factor(self, camera: str, energy_kev: Floats) -> Floats:
        """Return what of the area on the axis is left on average: vignetting times the good part of the region.

        Light that the point spread function of the `camera` carries over the edge of the region is not corrected: as
        much is carried in where the source goes on.
        """
        spread = vignetting(_SPREAD_KEV[:, None], self.angles_arcmin) @ self.weights
        return np.interp(energy_kev, _SPREAD_KEV, spread) * self.good


View = PointView | ExtendedView


def view_point(events: EventList, region: Region, places: Places, source: tuple[float, float]) -> PointView:
    """Return how a region sees a point source.

    Parameters
    ----------
    events
        The open event list, with a sky.
    region
        The region in the plane of the X,Y columns.
    places
        CCD number -> its position; none where it is not known, and all pixels are taken for good.
    source
        X and Y of the source.

    Returns
    -------
    PointView
        Rings up to LIMIT_ARCSEC, the innermost 0.2 arcsec wide.

    Raises
    ------
    ReductionError
        The region, or what of it is on good pixels, lies farther from the source than that.
    """
    unit = unit_arcsec(events)
    edges = np.concatenate(([0.0], np.geomspace(0.2, LIMIT_ARCSEC, _RINGS)))
    middle = np.sqrt((edges[1:] ** 2 + edges[:-1] ** 2) / 2) / unit
    turn = (np.arange(_DIRECTIONS) + 0.5) * 2 * np.pi / _DIRECTIONS
    x = (source[0] + middle[:, None] * np.cos(turn)).ravel()
    y = (source[1] + middle[:, None] * np.sin(turn)).ravel()
    seen = np.asarray(region.contains(x, y)) & _on_good(places, x, y)
    inside = seen.reshape(_RINGS, _DIRECTIONS).mean(axis=1)
    if not inside.any():
        raise ReductionError(f"no good pixel of the region lies within {LIMIT_ARCSEC:.0f} arcsec of the source: give "
                             "its position, or another region", "source_region")  # fmt: skip
    return PointView(_angle(events, source), edges, inside)


def view_extended(
    events: EventList, region: Region, places: Places, seen: tuple[Floats, Floats] | None = None
) -> ExtendedView:
    """Return how a region sees a source that fills it.

    Parameters
    ----------
    events
        The open event list, with a sky.
    region
        The region in the plane of the X,Y columns.
    places
        CCD number -> its position; none where it is not known, and all pixels are taken for good.
    seen
        X and Y of the events in the region, shape (n,) each: the source is as bright as they are dense, once what
        vignetting took at 1.5 keV is given back. None for a source as bright everywhere.

    Returns
    -------
    ExtendedView
        The angles from the axis with their weights.

    Raises
    ------
    ReductionError
        No part of the region lies on good pixels, or there are no events to weigh it by.
    """
    x, y = points_in(region)
    good = _on_good(places, x, y)
    if not good.any():
        raise ReductionError("no part of the region lies on good pixels", "source_region")
    if seen is not None:
        if not seen[0].size:
            raise ReductionError("the region has no events to weigh it by; weigh it as flat", "source_extent")
        x, y = seen
    away = _away(events, x, y)
    counts, edges = np.histogram(away, _ANGLES, (float(away.min()), float(away.max()) + 1e-9))
    angles = (edges[1:] + edges[:-1]) / 2
    weights = counts / (vignetting(np.array(1.5), angles) if seen is not None else 1.0)
    return ExtendedView(angles, weights / weights.sum(), float(good.mean()))


def row_at(places: Places, source: tuple[float, float]) -> float | None:
    """Return the row (RAWY) of the CCD on which a position lies, or to which it is nearest; None if none is placed."""
    nearest: tuple[float, float] | None = None
    for place in places.values():
        column, row = place.matrix @ np.array(source) + place.offset
        (first_x, last_x), (first_y, last_y) = place.window.rawx, place.window.rawy
        off = max(first_x - column, column - last_x, first_y - row, row - last_y, 0.0)
        if nearest is None or off < nearest[0]:
            nearest = off, float(np.clip(row, first_y, last_y))
    return nearest[1] if nearest else None


def middle_of(region: Region) -> tuple[float, float]:
    """Return X and Y of the middle of the box around a region."""
    low_x, high_x, low_y, high_y = region.bounds
    return (low_x + high_x) / 2, (low_y + high_y) / 2


def _on_good(places: Places, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    if not places:
        return np.ones(x.size, dtype=np.bool_)
    return np.asarray(np.logical_or.reduce([place.covers(x, y) for place in places.values()]))


def _away(events: EventList, x: Floats, y: Floats) -> Floats:
    axis = optical_axis(events)
    return np.asarray(np.hypot(x - axis[0], y - axis[1]) * unit_arcsec(events) / 60)


def _angle(events: EventList, source: tuple[float, float]) -> float:
    return float(_away(events, np.array([source[0]]), np.array([source[1]]))[0])
