"""Values that describe an observation: pointing, time, sources, background, flare; may import `cameras`, `spectra`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time

from reduction.errors import ReductionError
from reduction.simulate.attitude import Attitude
from reduction.simulate.cameras import CAMERAS, CENTRE, PN_MODES, UNITS_PER_ARCSEC, Camera
from reduction.simulate.extent import SkyShape
from reduction.simulate.spectra import BlackBody, PowerLaw, Spectrum
from reduction.simulate.variability import Variability

MISSION_EPOCH = Time(50814.0, format="mjd", scale="tt")
"""MJDREF of XMM-Newton: the TIME of an event is in TT seconds since then."""


@dataclass(frozen=True)
class Source:
    """Source: `ra`, `dec` in ICRS degrees, flux in erg / cm2 / s in 0.2-12 keV as it arrives, spectrum.

    Without `extent` it is a point, without `variability` it is steady; of a variable one the flux is that to which its
    variability is relative.
    """

    name: str
    ra: float
    dec: float
    flux: float
    spectrum: Spectrum
    extent: SkyShape | None = None
    variability: Variability | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.ra <= 360 and -90 <= self.dec <= 90):
            raise ReductionError(f"source {self.name}: {self.ra:g}, {self.dec:g} is no position in degrees", "sources")
        if not 0 < self.flux <= 1e-6:
            raise ReductionError(
                f"source {self.name}: the flux must be greater than 0 and at most 1e-6 erg/cm2/s, not {self.flux:g}",
                "sources",
            )

    def mean_flux(self, exposure_s: float) -> float:
        """Return the mean flux in erg / cm2 / s during an exposure in s."""
        return self.flux * (self.variability.mean(exposure_s) if self.variability else 1.0)


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
        Sources, at most 1 deg from the pointing.
    particle_rate, sky_rate, proton_rate
        Background of pn in counts / s / arcmin2, all patterns and energies: particles on the whole detector but for
        the hole in the circuit board, sky as it is on the optical axis, steady soft protons evenly in the field.
    flare
        Flare of soft protons, None for a quiet observation.
    further_flares
        Those after it; where they overlap, their excesses are added.
    pn_mode
        SUBMODE of pn: PrimeFullWindow or PrimeFullWindowExtended.
    seed
        Seed of all random numbers.
    target
        Name of the observed object, at most 40 ASCII characters.
    attitude
        Where the telescope points by time, None for a steady pointing at `ra`, `dec`, `pa`. It must cover the exposure.
    """

    obs_id: str
    ra: float
    dec: float
    pa: float
    start: str
    exposure_s: float
    sources: tuple[Source, ...] = ()
    particle_rate: float = 6.6e-3
    sky_rate: float = 1.5e-3
    proton_rate: float = 0.0
    flare: Flare | None = None
    pn_mode: str = "PrimeFullWindow"
    seed: int = 1
    target: str = "SIMULATED FIELD"
    attitude: Attitude | None = None
    further_flares: tuple[Flare, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d{10}", self.obs_id):
            raise ReductionError(f"an observation has ten digits, not {self.obs_id[:40]!a}", "obs_id")
        if not (0 <= self.ra <= 360 and -90 <= self.dec <= 90 and abs(self.pa) <= 360):
            raise ReductionError(f"{self.ra:g}, {self.dec:g}, {self.pa:g} is no pointing in degrees", "ra")
        if not 100 <= self.exposure_s <= 200_000:
            raise ReductionError(f"an exposure lasts 100 to 200,000 s, not {self.exposure_s:g}", "exposure_s")
        for name in ("particle_rate", "sky_rate", "proton_rate"):
            if not 0 <= getattr(self, name) <= 100:
                raise ReductionError("background rates lie between 0 and 100 counts/s/arcmin2", name)
        if self.pn_mode not in PN_MODES:
            raise ReductionError(f"pn is simulated in {' and '.join(PN_MODES)}, not {self.pn_mode[:40]!a}", "pn_mode")
        if self.seed < 0:
            raise ReductionError(f"the seed is a whole number from 0, not {self.seed}", "seed")
        if not (self.target.isascii() and self.target.isprintable() and len(self.target) <= 40):
            raise ReductionError("the name of the target has at most 40 plain characters", "target")
        if not re.fullmatch(r"(?:20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?", self.start) or not _is_time(self.start):
            raise ReductionError(f"{self.start[:40]!a} is no UTC time such as 2026-03-01T10:00:00", "start")
        if self.attitude and not self.attitude.covers(self.tstart, self.tstart + self.exposure_s):
            low, high = self.attitude.time_s[[0, -1]]
            raise ReductionError(
                f"{self.attitude.name} has pointings from TIME {low:.0f} to {high:.0f}; the observation lasts from "
                f"{self.tstart:.0f} to {self.tstart + self.exposure_s:.0f}: change start or exposure_s", "attitude"
            )  # fmt: skip

    @property
    def flares(self) -> tuple[Flare, ...]:
        """All flares of soft protons."""
        return (*((self.flare,) if self.flare else ()), *self.further_flares)

    @property
    def start_time(self) -> Time:
        """Start as an astropy time."""
        return Time(self.start, format="isot", scale="utc")

    @property
    def date(self) -> datetime:
        """The day on which it began, in UTC."""
        return datetime.fromisoformat(self.start[:10]).replace(tzinfo=UTC)

    @cached_property
    def tstart(self) -> float:
        """Start in TT seconds since `MISSION_EPOCH`."""
        return float((self.start_time - MISSION_EPOCH).to_value("s"))

    def camera(self, key: str) -> Camera:
        """Return a camera of `CAMERAS` in its mode."""
        return PN_MODES[self.pn_mode] if key == "EPN" else CAMERAS[key]

    @cached_property
    def positions(self) -> tuple[tuple[float, float], ...]:
        """X, Y of each source in units of 0.05 arcsec: the tangent projection of its FK5 position.

        Raises ReductionError for a source that is more than 1 deg from the pointing.
        """
        if not self.sources:
            return ()
        ra, dec = (np.array([getattr(source, name) for source in self.sources]) for name in ("ra", "dec"))
        places = SkyCoord(ra * u.deg, dec * u.deg, frame="icrs").fk5
        pointing = SkyCoord(self.ra * u.deg, self.dec * u.deg, frame="fk5")
        separation, angle = pointing.separation(places), pointing.position_angle(places)
        for source, apart in zip(self.sources, separation.deg, strict=True):
            if apart > 1:
                raise ReductionError(
                    f"source {source.name} is {apart:.1f} deg from the pointing, not in the field", "sources"
                )
        distance = np.degrees(np.tan(separation.rad)) * 3600 * UNITS_PER_ARCSEC
        x, y = CENTRE - distance * np.sin(angle.rad), CENTRE + distance * np.cos(angle.rad)
        return tuple(zip(x.tolist(), y.tolist(), strict=True))

    @cached_property
    def _wander(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
        """Time since the start in s, X and Y of the optical axis less `CENTRE`, position angle; None if steady."""
        if self.attitude is None:
            return None
        west, north = self.attitude.offsets(self.ra, self.dec)
        angle = np.degrees(np.unwrap(np.radians(self.attitude.pa)))
        return self.attitude.time_s - self.tstart, west * UNITS_PER_ARCSEC, north * UNITS_PER_ARCSEC, angle

    def to_detector(
        self, camera: Camera, x: np.ndarray, y: np.ndarray, time_s: np.ndarray | float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the detector position of sky positions.

        Parameters
        ----------
        camera
            The camera.
        x
            X in units of 0.05 arcsec, shape (n,).
        y
            Y in units of 0.05 arcsec, shape (n,).
        time_s
            Since the start of the observation, a number or shape (n,); None for the median pointing.

        Returns
        -------
        detx, dety
            Units of 0.05 arcsec, shape (n,).
        """
        dx, dy, pa = self._pointing(time_s)
        return camera.to_detector(x - dx, y - dy, pa)

    def to_sky(
        self, camera: Camera, detx: np.ndarray, dety: np.ndarray, time_s: np.ndarray | float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sky position of detector positions.

        Parameters
        ----------
        camera
            The camera.
        detx
            DETX in units of 0.05 arcsec, shape (n,).
        dety
            DETY in units of 0.05 arcsec, shape (n,).
        time_s
            Since the start of the observation, a number or shape (n,); None for the median pointing.

        Returns
        -------
        x, y
            Units of 0.05 arcsec, shape (n,).
        """
        dx, dy, pa = self._pointing(time_s)
        x, y = camera.to_sky(detx, dety, pa)
        return x + dx, y + dy

    def _pointing(self, time_s: np.ndarray | float | None) -> tuple[Any, Any, Any]:
        """X and Y of the optical axis less `CENTRE`, and the position angle in degrees."""
        if self._wander is None:
            return 0.0, 0.0, self.pa
        since, *values = self._wander
        if time_s is None:
            during = (since >= 0) & (since <= self.exposure_s)
            dx, dy, pa = (float(np.median(value[during] if during.any() else value)) for value in values)
            return dx, dy, pa
        dx, dy, pa = (np.interp(time_s, since, value) for value in values)
        return dx, dy, pa


def _is_time(text: str) -> bool:
    try:
        Time(text, format="isot", scale="utc")
    except ValueError:
        return False
    return True


def small() -> Observation:
    """Return the observation of the demo: two sources, a flare, about 200,000 events of all cameras together."""
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
        flare=Flare(start_s=7_500.0, duration_s=2_500.0, factor=5.0),
        seed=20260302,
    )
