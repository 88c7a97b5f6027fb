"""Values that describe an observation: pointing, time, sources, background, flare; may import `cameras`, `spectra`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time

from reduction.errors import ReductionError
from reduction.simulate.cameras import CENTRE, UNITS_PER_ARCSEC
from reduction.simulate.spectra import BlackBody, PowerLaw, Spectrum

MISSION_EPOCH = Time(50814.0, format="mjd", scale="tt")
"""MJDREF of XMM-Newton: the TIME of an event is in TT seconds since then."""


@dataclass(frozen=True)
class Source:
    """Point source: `ra`, `dec` in ICRS degrees, flux in erg / cm2 / s in 0.2-12 keV, spectrum without absorption."""

    name: str
    ra: float
    dec: float
    flux: float
    spectrum: Spectrum

    def __post_init__(self) -> None:
        if not (0 <= self.ra <= 360 and -90 <= self.dec <= 90):
            raise ReductionError(f"source {self.name}: {self.ra:g}, {self.dec:g} is no position in degrees", "sources")
        if not 0 < self.flux <= 1e-6:
            raise ReductionError(
                f"source {self.name}: the flux must be greater than 0 and at most 1e-6 erg/cm2/s, not {self.flux:g}",
                "sources",
            )


@dataclass(frozen=True)
class Flare:
    """Flare of soft protons: the background in the field of view rises to `factor` times itself.

    It rises linearly during the first fifth of the flare and falls linearly until its end; `start_s` counts from the
    start of the observation.
    """

    start_s: float
    duration_s: float
    factor: float

    def __post_init__(self) -> None:
        if not (self.start_s >= 0 and self.duration_s > 0 and self.factor >= 1):
            raise ReductionError("a flare needs start_s >= 0, duration_s > 0 and factor >= 1", "flare")

    @property
    def peak_s(self) -> float:
        """Time of the highest rate, from the start of the observation."""
        return self.start_s + 0.2 * self.duration_s


@dataclass(frozen=True)
class Observation:
    """One pointing of the three cameras. A value out of range raises ReductionError.

    Parameters
    ----------
    obs_id
        Ten digits.
    ra, dec, pa
        Pointing and position angle in degrees; FK5, as in the files.
    start
        UTC, ISO 8601.
    exposure_s
        Seconds from the first to the last frame.
    sources
        Point sources, at most 1 deg from the pointing.
    particle_rate, sky_rate
        Background of pn in counts / s / arcmin2, all patterns and energies: particles on the whole detector, sky
        within the field of view.
    flare
        Flare of soft protons, None for a quiet observation.
    seed
        Seed of all random numbers.
    target
        Name of the observed object, at most 40 ASCII characters.
    """

    obs_id: str
    ra: float
    dec: float
    pa: float
    start: str
    exposure_s: float
    sources: tuple[Source, ...] = ()
    particle_rate: float = 2.0e-3
    sky_rate: float = 1.5e-3
    flare: Flare | None = None
    seed: int = 1
    target: str = "SIMULATED FIELD"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d{10}", self.obs_id):
            raise ReductionError(f"an observation has ten digits, not {self.obs_id[:40]!a}", "obs_id")
        if not (0 <= self.ra <= 360 and -90 <= self.dec <= 90 and abs(self.pa) <= 360):
            raise ReductionError(f"{self.ra:g}, {self.dec:g}, {self.pa:g} is no pointing in degrees", "ra")
        if not 100 <= self.exposure_s <= 200_000:
            raise ReductionError(f"an exposure lasts 100 to 200,000 s, not {self.exposure_s:g}", "exposure_s")
        if not (0 <= self.particle_rate <= 100 and 0 <= self.sky_rate <= 100):
            raise ReductionError("background rates lie between 0 and 100 counts/s/arcmin2", "particle_rate")
        if self.seed < 0:
            raise ReductionError(f"the seed is a whole number from 0, not {self.seed}", "seed")
        if not (self.target.isascii() and self.target.isprintable() and len(self.target) <= 40):
            raise ReductionError("the name of the target has at most 40 plain characters", "target")
        if not re.fullmatch(r"(?:20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?", self.start) or not _is_time(self.start):
            raise ReductionError(f"{self.start[:40]!a} is no UTC time such as 2026-03-01T10:00:00", "start")

    @property
    def start_time(self) -> Time:
        """Start as an astropy time."""
        return Time(self.start, format="isot", scale="utc")

    @property
    def tstart(self) -> float:
        """Start in TT seconds since `MISSION_EPOCH`."""
        return float((self.start_time - MISSION_EPOCH).to_value("s"))

    def sky_position(self, source: Source) -> tuple[float, float]:
        """Return X, Y of a source in units of 0.05 arcsec: the tangent projection of its FK5 position.

        Parameters
        ----------
        source
            A point source.

        Returns
        -------
        x, y
            Units of 0.05 arcsec.

        Raises
        ------
        ReductionError
            The source is more than 1 deg from the pointing.
        """
        position = SkyCoord(source.ra * u.deg, source.dec * u.deg, frame="icrs").fk5
        pointing = SkyCoord(self.ra * u.deg, self.dec * u.deg, frame="fk5")
        separation, angle = pointing.separation(position), pointing.position_angle(position)
        if separation > 1 * u.deg:
            raise ReductionError(
                f"source {source.name} is {separation.deg:.1f} deg from the pointing, not in the field", "sources"
            )
        distance = np.degrees(np.tan(separation.rad)) * 3600 * UNITS_PER_ARCSEC
        return CENTRE - float(distance * np.sin(angle.rad)), CENTRE + float(distance * np.cos(angle.rad))


def _is_time(text: str) -> bool:
    try:
        Time(text, format="isot", scale="utc")
    except ValueError:
        return False
    return True


def small() -> Observation:
    """Return the observation of the demo: two sources, a flare, about 130,000 events of all cameras together."""
    return Observation(
        obs_id="0999990101",
        ra=148.9745,
        dec=69.6510,
        pa=292.95,
        start="2026-03-01T10:00:00",
        exposure_s=12_000.0,
        sources=(
            Source("SIM J095553+693904", 148.9740, 69.6512, 5.0e-12, PowerLaw(1.7)),
            Source("SIM J095453+694522", 148.7226, 69.7563, 1.5e-12, BlackBody(0.15)),
        ),
        flare=Flare(start_s=7_500.0, duration_s=2_500.0, factor=8.0),
        seed=20260302,
    )
