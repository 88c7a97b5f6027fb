"""Sources drawn at random: positions evenly in a circle, fluxes by a power law of number counts; may import numpy."""

from __future__ import annotations

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from reduction.errors import ReductionError
from reduction.simulate.observation import Source
from reduction.simulate.spectra import Spectrum

_STREAM = 4_294_967
"""Key of its own stream of random numbers, which no camera has."""
_TRIES = 200


@dataclass(frozen=True)
class Population:
    """`number` point sources of one spectrum within `radius_arcmin` of the pointing.

    Their fluxes in erg / cm2 / s lie between two, and N(>S) goes as ``S**-slope``; a slope of 0 is as many in each
    factor of flux. None is nearer to another source than `apart_arcsec`.
    """

    number: int
    flux: tuple[float, float]
    slope: float
    radius_arcmin: float
    spectrum: Spectrum
    apart_arcsec: float = 60.0

    def __post_init__(self) -> None:
        if not (1 <= self.number <= 5000 and 0 < self.flux[0] <= self.flux[1] <= 1e-6):
            raise ReductionError("1 to 5000 sources are allowed, with two fluxes above 0, the lower one first",
                                 "population")  # fmt: skip
        if not (0 <= self.slope <= 5 and 0 < self.radius_arcmin <= 30 and self.apart_arcsec >= 0):
            raise ReductionError("the slope lies between 0 and 5, radius_arcmin above 0 and up to 30, and apart_arcsec "
                                 "is not negative", "population")  # fmt: skip

    def draw(self, seed: int, ra: float, dec: float, others: tuple[Source, ...] = ()) -> tuple[Source, ...]:
        """Draw the sources.

        Parameters
        ----------
        seed
            The same seed gives the same sources.
        ra
            Right ascension of the pointing in degrees.
        dec
            Declination of the pointing in degrees.
        others
            Sources from which they keep apart.

        Returns
        -------
        tuple
            Sources called P1, P2 and so on, the brightest first.

        Raises
        ------
        ReductionError
            So many do not fit into the circle.
        """
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_STREAM,))))
        fluxes = np.sort(self._fluxes(random.random(self.number)))[::-1]
        centre = SkyCoord(ra * u.deg, dec * u.deg)
        taken = [(float(-east), float(north)) for east, north in (_place(centre, each) for each in others)]
        for _ in fluxes:
            taken.append(self._free(random, taken))
        x, y = np.array(taken[len(others) :]).T
        places = centre.directional_offset_by(np.arctan2(-x, y) * u.rad, np.hypot(x, y) * u.arcsec)
        return tuple(Source(f"P{number}", float(place_ra), float(place_dec), float(flux), self.spectrum)
                     for number, (flux, place_ra, place_dec) in enumerate(
                         zip(fluxes, places.ra.deg, places.dec.deg, strict=True), start=1))  # fmt: skip

    def _fluxes(self, part: np.ndarray) -> np.ndarray:
        low, high = self.flux
        if self.slope == 0:
            return np.asarray(low * (high / low) ** part)
        return np.asarray((low**-self.slope + part * (high**-self.slope - low**-self.slope)) ** (-1 / self.slope))

    def _free(self, random: np.random.Generator, taken: list[tuple[float, float]]) -> tuple[float, float]:
        """Draw a place, x to the west and y to the north in arcsec, that is apart from all others."""
        near = np.array(taken).reshape(-1, 2)
        for _ in range(_TRIES):
            radius, angle = 60 * self.radius_arcmin * np.sqrt(random.random()), 2 * np.pi * random.random()
            x, y = float(radius * np.cos(angle)), float(radius * np.sin(angle))
            if not len(near) or np.hypot(*(near - (x, y)).T).min() >= self.apart_arcsec:
                return x, y
        raise ReductionError(f"{self.number} sources {self.apart_arcsec:g} arcsec apart do not fit within "
                             f"{self.radius_arcmin:g} arcmin", "population")  # fmt: skip


def _place(centre: SkyCoord, source: Source) -> tuple[float, float]:
    """Return how far a source is to the east and to the north of a position, in arcsec."""
    east, north = centre.spherical_offsets_to(SkyCoord(source.ra * u.deg, source.dec * u.deg))
    return float(east.arcsec), float(north.arcsec)
