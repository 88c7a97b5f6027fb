"""The region of a source that gives the best signal to noise, and a ring of background without neighbours; numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.sources.surroundings import PIXEL_ARCSEC, Neighbour, Surroundings, brightest, surface

Floats = npt.NDArray[np.float64]

RADII_ARCSEC = (5.0, 60.0)
"""Least and largest radius of a source region."""

_MOST_HOLES = 60
_HOLE_ARCSEC = (15.0, 90.0)
_FAINT = 0.1
"""A neighbour is cut out to where it has this part of the background's brightness."""
_LEAST_AREA = 5.0
"""Area of the ring by that of the source region, at least, where the field is wide enough."""
_LEAST_COUNTS = 100.0
"""Counts of the ring, at least, where the field is wide enough: the limits take its mean as known."""
_WIDEST_ARCSEC = 400.0


@dataclass(frozen=True)
class Hole:
    """A circle about a neighbour that is cut out."""

    neighbour: Neighbour
    radius_arcsec: float


@dataclass(frozen=True)
class Apertures:
    """Regions of a source and its background about `centre` (ICRS degrees).

    `encircled` is the part of a point source's light that the radius holds at 1.5 keV, gaps not taken off; `ring` the
    inner and outer radius of the background, of which `holes` are cut out. `signal_to_noise` is that which is expected.
    """

    centre: tuple[float, float]
    radius_arcsec: float
    encircled: float
    signal_to_noise: float
    ring: tuple[float, float]
    holes: tuple[Hole, ...]
    notes: tuple[str, ...] = ()

    @property
    def source_region(self) -> str:
        """The region of the source as DS9 text."""
        return f'icrs; circle({self._place}, {self.radius_arcsec:g}")'

    @property
    def background_region(self) -> str:
        """The region of the background as DS9 text."""
        lines = ["icrs", f'annulus({self._place}, {self.ring[0]:g}", {self.ring[1]:g}")']
        lines += [
            f'-circle({hole.neighbour.ra:.6f}, {hole.neighbour.dec:.6f}, {hole.radius_arcsec:.1f}")'
            for hole in self.holes
        ]
        return "\n".join(lines)

    @property
    def _place(self) -> str:
        return f"{self.centre[0]:.6f}, {self.centre[1]:.6f}"


def choose(near: Surroundings, neighbours: Sequence[Neighbour], radius_arcsec: float | None = None) -> Apertures:
    """Choose the regions of a source.

    Parameters
    ----------
    near
        Counts around it.
    neighbours
        The other sources there.
    radius_arcsec
        Radius of the source region; None for the one with the best signal to noise.

    Returns
    -------
    Apertures
        The regions.

    Raises
    ------
    ReductionError
        Nothing is left for a background.
    """
    behind = _background(near, neighbours)
    inside, pixels = near.within(20.0)
    net = inside - behind * pixels
    # of a source that is not seen: that which would just be
    total = max(net, 3 * np.sqrt(max(behind * pixels, 1.0))) / float(near.psf.encircled(20.0))
    notes = []
    if radius_arcsec is None:
        radius_arcsec, told = _best(near, total, behind, neighbours)
        notes += told
    holes = _holes(near, neighbours, behind)
    ring = _ring(near, radius_arcsec, total, behind, holes)
    lit, area = _counted(near, ring, holes)
    if area <= 0:
        raise ReductionError("nothing exposed is left for the background around it: give regions to the job spectrum",
                             "position")  # fmt: skip
    wanted = _LEAST_AREA * np.pi * radius_arcsec**2 / PIXEL_ARCSEC**2
    if area < wanted:
        notes.append(f"the ring of the background has {area / wanted * _LEAST_AREA:.1f} times the area of the source "
                     "region only")  # fmt: skip
    encircled = float(near.psf.encircled(radius_arcsec))
    expected = lit / area * np.pi * radius_arcsec**2 / PIXEL_ARCSEC**2
    signal = total * encircled
    return Apertures(near.centre, radius_arcsec, encircled, float(signal / np.sqrt(signal + max(expected, 1e-9))), ring,
                     holes, tuple(notes))  # fmt: skip


def _background(near: Surroundings, neighbours: Sequence[Neighbour]) -> float:
    """Return the background in counts for each exposed pixel, from 60 to 240 arcsec without the neighbours."""
    away = (near.apart_arcsec > 60) & (near.apart_arcsec < 240)
    for each in neighbours:
        away &= np.hypot(near.x - each.x, near.y - each.y) > 30
    pixels = float(near.exposed[away].sum())
    return float(near.counts[away].sum()) / pixels if pixels > 0 else 0.0


def _best(near: Surroundings, total: float, behind: float, neighbours: Sequence[Neighbour]) -> tuple[float, list[str]]:
    """Return the radius with the best signal to noise, and a sentence if a neighbour cut it."""
    radius = np.arange(RADII_ARCSEC[0], RADII_ARCSEC[1] + 1)
    signal = total * near.psf.encircled(radius)
    noise = np.sqrt(signal + behind * np.pi * radius**2 / PIXEL_ARCSEC**2)
    best = float(radius[np.argmax(signal / np.maximum(noise, 1e-9))])
    if neighbours:
        nearest = neighbours[0]
        # where both are as bright, but no more than so near that the source itself is lost
        bright = surface(near.psf, radius) * total
        other = surface(near.psf, np.maximum(nearest.apart_arcsec - radius, 0.0)) * nearest.counts
        free = radius[bright > other]
        limit = max(float(free[-1]) if len(free) else 0.0, 2 * RADII_ARCSEC[0])
        if limit < best:
            return limit, [f"a neighbour {nearest.apart_arcsec:.0f} arcsec away limits the radius to {limit:.0f} "
                           f"arcsec from {best:.0f}"]  # fmt: skip
    return best, []


def _holes(near: Surroundings, neighbours: Sequence[Neighbour], behind: float) -> tuple[Hole, ...]:
    """Return what is cut out about each neighbour: to where it is faint against the background."""
    radius = np.arange(_HOLE_ARCSEC[0], _HOLE_ARCSEC[1] + 1)
    faint = _FAINT * max(behind, 1e-6) / PIXEL_ARCSEC**2
    found = []
    for each in brightest(neighbours, _MOST_HOLES):
        bright = radius[surface(near.psf, radius) * each.counts > faint]
        found.append(Hole(each, float(bright[-1]) if len(bright) else _HOLE_ARCSEC[0]))
    return tuple(found)


def _ring(
    near: Surroundings, radius_arcsec: float, total: float, behind: float, holes: tuple[Hole, ...]
) -> tuple[float, float]:
    """Return a ring that begins where the source is faint against the background and is wide enough."""
    radius = np.arange(max(1.5 * radius_arcsec, 30.0), 121.0)
    bright = radius[surface(near.psf, radius) * total > _FAINT * max(behind, 1e-6) / PIXEL_ARCSEC**2]
    inner = float(bright[-1]) if len(bright) else float(radius[0])
    wanted = _LEAST_AREA * np.pi * radius_arcsec**2 / PIXEL_ARCSEC**2
    outer = float(round(np.sqrt(inner**2 + 2 * _LEAST_AREA * radius_arcsec**2)))
    while outer < _WIDEST_ARCSEC:
        lit, area = _counted(near, (inner, outer), holes)
        if area >= wanted and lit >= _LEAST_COUNTS:
            break
        outer = min(outer * 1.15, _WIDEST_ARCSEC)
    return float(round(inner)), float(round(outer))


def _counted(near: Surroundings, ring: tuple[float, float], holes: tuple[Hole, ...]) -> tuple[float, float]:
    """Return counts and exposed pixels of a ring without its holes."""
    inside = (near.apart_arcsec >= ring[0]) & (near.apart_arcsec < ring[1])
    for hole in holes:
        inside &= np.hypot(near.x - hole.neighbour.x, near.y - hole.neighbour.y) > hole.radius_arcsec
    return float(near.counts[inside].sum()), float(near.exposed[inside].sum())
