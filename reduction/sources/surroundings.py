"""An image of the surroundings of a position, and the sources in it; may import numpy and astropy.

The image has pixels of 4 arcsec and is 14 arcmin wide, with its exposure, so that gaps and the edge of the field are
no lack of background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.io import fits

from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.pointing import optical_axis, to_plane, unit_arcsec
from reduction.events.selection import Selection
from reduction.images.background import box_sums
from reduction.images.bands import Band
from reduction.images.counting import Counter, count
from reduction.images.grid import sky_grid
from reduction.images.observed import Watch
from reduction.instruments import king
from reduction.instruments.psf import CORE, LIMIT_ARCSEC, King

Floats = npt.NDArray[np.float64]

PIXEL_ARCSEC = 4.0
WIDTH_ARCMIN = 14.0
MEAN_KEV = 1.5
"""Energy of which the point spread function is taken: that of most photons of most sources."""

_BOX, _HOLE, _RING = 2, 6, 16
"""Half widths in pixels of the box in which an excess is sought, and of the square ring about it."""
_LIKELIHOOD = 15.0
"""Least excess: twice the logarithm of the ratio of Poisson likelihoods is twice this, 5.5 sigma."""
_LEAST_COUNTS = 6
_OWN_ARCSEC = 20.0
"""Within this radius of the position an excess is the source itself."""
_WINGS = 1.5
"""Factor on the wings of the source itself, which are known so well only."""


@dataclass(frozen=True)
class Neighbour:
    """Another source: offset from the position in arcsec along X and Y, ICRS degrees, counts of all of its light."""

    x: float
    y: float
    ra: float
    dec: float
    counts: float

    @property
    def apart_arcsec(self) -> float:
        """How far it is from the position."""
        return float(np.hypot(self.x, self.y))


@dataclass(frozen=True)
class Surroundings:
    """Counts around a position: `x` and `y` are offsets of pixels in arcsec, `exposed` their exposure, 1 at most.

    All have the shape (rows, columns); `psf` is the point spread function at the position, `centre` the position in
    ICRS degrees.
    """

    centre: tuple[float, float]
    counts: Floats
    exposed: Floats
    x: Floats
    y: Floats
    psf: King
    events: EventList

    @property
    def apart_arcsec(self) -> Floats:
        """How far each pixel is from the position."""
        return np.hypot(self.x, self.y)

    def within(self, radius_arcsec: float, mask: npt.NDArray[np.bool_] | None = None) -> tuple[float, float]:
        """Return counts and exposed pixels within a radius, of a mask."""
        near = self.apart_arcsec <= radius_arcsec
        near = near if mask is None else near & mask
        return float(self.counts[near].sum()), float(self.exposed[near].sum())


def around(events: EventList, selection: Selection, position: SkyCoord) -> Surroundings:
    """Return the surroundings of a position.

    Parameters
    ----------
    events
        The open event list, with a sky.
    selection
        Which events count.
    position
        The position.

    Returns
    -------
    Surroundings
        Counts and exposure around it.

    Raises
    ------
    ReductionError
        The position is not in the field of view.
    """
    sky = position.icrs
    centre = float(sky.ra.deg), float(sky.dec.deg)
    try:
        grid = sky_grid(events, PIXEL_ARCSEC, centre, (WIDTH_ARCMIN,))
    except ReductionError as error:
        name = "position" if error.parameter in ("centre", "size") else error.parameter
        raise ReductionError(str(error), name) from error
    counter, watch = Counter(events, grid, [Band(*selection.energy_kev)]), Watch.of(events)
    tally = count(events, selection, [counter], None, [watch.ccds, watch.field])
    seconds = watch.exposure(events, selection, tally, grid).seconds
    unit, (x0, y0) = unit_arcsec(events), to_plane(events, position)
    x, y = np.meshgrid(*((np.asarray(axis) - at) * unit for axis, at in zip(grid.centres(), (x0, y0), strict=True)))
    exposed = seconds / max(float(seconds.max()), 1e-30)
    if not (exposed[np.hypot(x, y) <= _OWN_ARCSEC] > 0).any():
        raise ReductionError(f"{centre[0]:.5f}, {centre[1]:.5f} is not on a CCD of {events.name} that was exposed",
                             "position")  # fmt: skip
    away = float(np.hypot(*np.subtract((x0, y0), optical_axis(events)))) * unit / 60
    return Surroundings(centre, counter.counts[0].astype(np.float64), exposed, x, y, _psf(events, away), events)


def _psf(events: EventList, away_arcmin: float) -> King:
    """Return the point spread function of a camera; that of pn for another telescope, as nothing else is known."""
    camera = str(events.keywords.get("INSTRUME") or "").strip()
    return king(camera if camera in CORE else "EPN", np.array(MEAN_KEV), away_arcmin)


def listed(path: Path, near: Surroundings) -> list[Neighbour]:
    """Return the sources of a list that are in the surroundings, without that at the position itself.

    Parameters
    ----------
    path
        A FITS file with a table that has the columns RA and DEC in degrees.
    near
        The surroundings.

    Returns
    -------
    list
        Neighbours, the nearest first.

    Raises
    ------
    ReductionError
        There is no such table.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                names = [] if getattr(hdu, "columns", None) is None else [name.upper() for name in hdu.columns.names]
                if {"RA", "DEC"} <= set(names):
                    ra, dec = (np.asarray(hdu.data[name], dtype=np.float64) for name in ("RA", "DEC"))
                    return _known(ra, dec, near)
    except (OSError, ValueError, TypeError) as error:
        raise ReductionError(f"it cannot be read as FITS: {error}", "source_list") from error
    raise ReductionError("it has no table with the columns RA and DEC", "source_list")


def _known(ra: Floats, dec: Floats, near: Surroundings) -> list[Neighbour]:
    assert near.events.wcs is not None
    centre = SkyCoord(*near.centre, unit="deg")
    known = np.isfinite(ra) & np.isfinite(dec)
    places = SkyCoord(ra[known], dec[known], unit="deg")
    apart = centre.separation(places).arcsec
    found = []
    for place in places[(apart > _OWN_ARCSEC) & (apart < 60 * WIDTH_ARCMIN / 2)]:
        unit, at = unit_arcsec(near.events), to_plane(near.events, place)
        x, y = (float(each) for each in np.subtract(at, to_plane(near.events, centre)) * unit)
        found.append(_neighbour(near, x, y, (float(place.ra.deg), float(place.dec.deg))))
    return sorted(found, key=lambda each: each.apart_arcsec)


def sought(near: Surroundings) -> list[Neighbour]:
    """Return the places around a position where there are more counts than background and source give, nearest first.

    A box of 20 arcsec is held against a square ring about it. Peaks nearer than 20 arcsec to the position are the
    source.
    """
    lit = np.where(near.exposed > 0, near.counts, 0.0)
    inner, outer = box_sums(lit, _HOLE), box_sums(lit, _RING)
    seen = np.maximum(box_sums(near.exposed, _RING) - box_sums(near.exposed, _HOLE), 1e-9)
    in_box, box = box_sums(lit, _BOX), box_sums(near.exposed, _BOX)
    expected = np.maximum((outer - inner) / seen, 1e-6) * box + _WINGS * box_sums(_own_light(near), _BOX)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(in_box > expected, in_box * np.log(in_box / expected) - (in_box - expected), 0.0)
    peak = (excess > _LIKELIHOOD) & (in_box >= _LEAST_COUNTS) & (near.apart_arcsec > _OWN_ARCSEC)
    peak &= (excess >= _highest(excess, 2 * _BOX)) & (box > 0.3 * (2 * _BOX + 1) ** 2)
    found = []
    for x, y in zip(near.x[peak], near.y[peak], strict=True):
        x, y = _middle(near, float(x), float(y))
        found.append(_neighbour(near, x, y, _on_sky(near, x, y)))
    return sorted(found, key=lambda each: each.apart_arcsec)


def _own_light(near: Surroundings) -> Floats:
    """Return the light of the source itself in each pixel, as its counts near the position let expect."""
    inside, pixels = near.within(_OWN_ARCSEC)
    ring = (near.apart_arcsec > 60) & (near.apart_arcsec < 180)
    behind = float(np.median(box_sums(near.counts, _BOX)[ring])) / (2 * _BOX + 1) ** 2 if ring.any() else 0.0
    total = max(inside - behind * pixels, 0.0) / float(near.psf.encircled(_OWN_ARCSEC))
    return np.asarray(total * surface(near.psf, near.apart_arcsec) * PIXEL_ARCSEC**2)


def surface(psf: King, radius_arcsec: Floats | float) -> Floats:
    """Return the brightness of a point source of one count in counts / arcsec2 at radii, shape like these."""
    step, far = 0.5, np.minimum(np.asarray(radius_arcsec, dtype=np.float64), LIMIT_ARCSEC)
    low, high = np.maximum(far - step, 0.0), far + step
    light = (psf.encircled(high) - psf.encircled(low)) / (np.pi * (high**2 - low**2))
    return np.asarray(np.where(np.asarray(radius_arcsec) < LIMIT_ARCSEC, light, 0.0))


def _highest(values: Floats, half: int) -> Floats:
    """Return the highest value in the box of 2 half + 1 pixels about each."""
    padded = np.pad(values, half)
    rows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0).max(axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, 2 * half + 1, axis=1).max(axis=-1))


def _middle(near: Surroundings, x: float, y: float) -> tuple[float, float]:
    """Return the mean place of the counts within 12 arcsec of a peak."""
    weights = np.where(np.hypot(near.x - x, near.y - y) <= 12, near.counts, 0.0)
    total = float(weights.sum())
    return float((weights * near.x).sum() / total), float((weights * near.y).sum() / total)


def _neighbour(near: Surroundings, x: float, y: float, sky: tuple[float, float]) -> Neighbour:
    """Return a neighbour with its counts: those within 12 arcsec less the background around, for all of its light."""
    apart = np.hypot(near.x - x, near.y - y)
    inside, ring = apart <= 12, (apart > 30) & (apart < 60)
    behind = near.counts[ring].sum() / max(float(near.exposed[ring].sum()), 1e-9)
    net = float(near.counts[inside].sum() - behind * near.exposed[inside].sum())
    return Neighbour(x, y, *sky, max(net, 0.0) / float(near.psf.encircled(12.0)))


def _on_sky(near: Surroundings, x: float, y: float) -> tuple[float, float]:
    assert near.events.wcs is not None
    x0, y0 = to_plane(near.events, SkyCoord(*near.centre, unit="deg"))
    unit = unit_arcsec(near.events)
    place = near.events.wcs.pixel_to_world(x0 + x / unit, y0 + y / unit).icrs
    return float(place.ra.deg), float(place.dec.deg)


def brightest(neighbours: Sequence[Neighbour], most: int) -> list[Neighbour]:
    """Return the neighbours with the most counts, the nearest first."""
    kept = sorted(neighbours, key=lambda each: -each.counts)[:most]
    return sorted(kept, key=lambda each: each.apart_arcsec)
