"""The three EPIC cameras as the simulator models them: frame times, patterns, resolution; may import numpy.

Detector coordinates DETX, DETY and sky coordinates X, Y are in units of 0.05 arcsec, both as seen on the sky, with X
growing to the west: the DETY axis points to position angle PA_PNT, and X,Y = (25921, 25921) is the aim point, where the
optical axis is. Of the flag bits, OUT_OF_FIELD, COSMIC_RAY and INVALID_PATTERN are those of SAS; the two CLOSE_TO bits
are among the low bits that the usual selections ignore and FLAG == 0 does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reduction import instruments
from reduction.simulate.ccds import Ccd, mos_ccds, pn_ccds
from reduction.simulate.particles import MOS_PARTICLES, PN_PARTICLES, Particles

UNITS_PER_ARCSEC = 20
"""Units of DETX, DETY, X and Y in an arcsec."""

CENTRE = 25921
"""X and Y of the aim point."""

X_MAX = 51840
"""Largest X and Y of an event list."""

FIELD_RADIUS = 15 * 60 * UNITS_PER_ARCSEC
"""Radius of the field of view in units of 0.05 arcsec."""

CLOSE_TO_BORDER = 0x4
CLOSE_TO_BAD_PIXEL = 0x20
INVALID_PATTERN = 0x1
OUT_OF_FIELD = 0x10000
COSMIC_RAY = 0x80000


@dataclass(frozen=True)
class Camera:
    """Model of a camera.

    The FWHM of what is measured of particles in eV is ``sqrt(f0^2 + f1^2 E)`` with `fwhm_ev` = (f0, f1) and E in keV.
    `patterns` has the share of PATTERN 0, 1, ...; for pn that of single events changes with energy. `aim` is DETX, DETY
    of the aim point, and `out_of_time` the part of the photons that arrive while the CCD is read out.
    """

    key: str
    ccds: tuple[Ccd, ...]
    central_ccd: int
    aim: tuple[float, float]
    submode: str
    frame_s: float
    live_fraction: float
    out_of_time: float
    patterns: tuple[float, ...]
    usual_pattern: int
    fwhm_ev: tuple[float, float]
    channels: int
    """Number of channels of 5 eV of a spectrum."""
    particles: Particles
    flag_card: str
    flag_mask: int
    exposure_id: str
    product: str
    """Middle of the file name: P<observation><product>0000.FITS."""
    bad_pixels_per_ccd: int

    @property
    def has_pn_columns(self) -> bool:
        """Whether rows have the columns of pn (45 bytes) rather than those of MOS (34 bytes)."""
        return self.key == "EPN"

    @property
    def usual_share(self) -> float:
        """Share of events with a usual pattern."""
        return float(sum(self.patterns[: self.usual_pattern + 1]))

    def effective_area(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the area in cm2 on the axis for usual patterns in time, shape (n,) like the energies in keV."""
        return instruments.effective_area(self.key, energy_kev)

    def sigma_ev(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the measured energy in eV, shape (n,) like the energies in keV."""
        noise, fano = self.fwhm_ev
        return np.asarray(np.sqrt(noise**2 + fano**2 * energy_kev) / 2.354820045)

    def off_axis_arcmin(self, detx: np.ndarray, dety: np.ndarray) -> np.ndarray:
        """Return the angle from the optical axis in arcmin, shape like the detector positions."""
        return np.asarray(np.hypot(detx - self.aim[0], dety - self.aim[1]) / (60 * UNITS_PER_ARCSEC))

    def to_sky(self, detx: np.ndarray, dety: np.ndarray, pa_deg: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the sky position of detector positions.

        Parameters
        ----------
        detx
            DETX in units of 0.05 arcsec, shape (n,).
        dety
            DETY in units of 0.05 arcsec, shape (n,).
        pa_deg
            Position angle of the DETY axis in degrees, a number or shape (n,).

        Returns
        -------
        x, y
            Units of 0.05 arcsec, shape (n,).
        """
        cos, sin = np.cos(np.radians(pa_deg)), np.sin(np.radians(pa_deg))
        dx, dy = detx - self.aim[0], dety - self.aim[1]
        return CENTRE + cos * dx - sin * dy, CENTRE + sin * dx + cos * dy

    def to_detector(self, x: np.ndarray, y: np.ndarray, pa_deg: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the detector position of sky positions.

        Parameters
        ----------
        x
            X in units of 0.05 arcsec, shape (n,).
        y
            Y in units of 0.05 arcsec, shape (n,).
        pa_deg
            Position angle of the DETY axis in degrees, a number or shape (n,).

        Returns
        -------
        detx, dety
            Units of 0.05 arcsec, shape (n,).
        """
        cos, sin = np.cos(np.radians(pa_deg)), np.sin(np.radians(pa_deg))
        dx, dy = x - CENTRE, y - CENTRE
        return self.aim[0] + cos * dx + sin * dy, self.aim[1] - sin * dx + cos * dy


_PN_PATTERNS = (0.66, 0.075, 0.070, 0.070, 0.070, 0.007, 0.007, 0.007, 0.007, 0.004, 0.004, 0.004, 0.004, 0.011)
_MOS_PATTERNS = (
    0.72, 0.05, 0.05, 0.05, 0.05, 0.008, 0.008, 0.008, 0.008, 0.007, 0.007, 0.007, 0.007,
    *(0.02 / 13,) * 13,
)  # fmt: skip

EPN = Camera(
    key="EPN", ccds=pn_ccds(), central_ccd=4, aim=(-2196.0, -1110.0), submode="PrimeFullWindow", frame_s=0.0733649,
    live_fraction=0.925, out_of_time=0.063, patterns=_PN_PATTERNS, usual_pattern=4, fwhm_ev=(81.5, 73.6),
    channels=4096, particles=PN_PARTICLES, flag_card="XMMEA_EP", flag_mask=0xCFA0000,
    exposure_id="S003", product="PNS003PIEVLI", bad_pixels_per_ccd=8,
)  # fmt: skip
EMOS1 = Camera(
    key="EMOS1", ccds=mos_ccds(0), central_ccd=1, aim=(110.0, -60.0), submode="PrimeFullWindow", frame_s=2.6,
    live_fraction=0.985, out_of_time=0.0035, patterns=_MOS_PATTERNS, usual_pattern=12, fwhm_ev=(41.0, 57.0),
    channels=2400, particles=MOS_PARTICLES, flag_card="XMMEA_EM", flag_mask=0x766BA000,
    exposure_id="S001", product="M1S001MIEVLI", bad_pixels_per_ccd=20,
)  # fmt: skip
EMOS2 = replace(EMOS1, key="EMOS2", ccds=mos_ccds(1), aim=(-80.0, 150.0), exposure_id="S002", product="M2S002MIEVLI")

CAMERAS: dict[str, Camera] = {camera.key: camera for camera in (EPN, EMOS1, EMOS2)}

PN_MODES: dict[str, Camera] = {
    "PrimeFullWindow": EPN,
    "PrimeFullWindowExtended": replace(
        EPN, submode="PrimeFullWindowExtended", frame_s=0.1991, live_fraction=0.97, out_of_time=0.023
    ),
}
"""pn by its SUBMODE: in extended full frame each frame is longer and a smaller part of it is readout."""
