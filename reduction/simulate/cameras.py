"""The three EPIC cameras as the simulator models them: CCDs, pixels, frame times, patterns, area; may import numpy.

Detector coordinates DETX, DETY and sky coordinates X, Y are in units of 0.05 arcsec, both as seen on the sky, with X
growing to the west: the DETY axis points to position angle PA_PNT, and X,Y = (25921, 25921) is the aim point. The CCDs
lie as in the real cameras, with round numbers for the gaps; their numbers are schematic, but the aim point is on CCD 4
of pn and on CCD 1 of MOS. Of the flag bits, OUT_OF_FIELD, COSMIC_RAY and INVALID_PATTERN are those of SAS; the two
CLOSE_TO bits are among the low bits that the usual selections ignore and FLAG == 0 does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
class Ccd:
    """One CCD of `columns` x `rows` pixels.

    The side `pixel` of a pixel and the centre of the CCD at DETX `x`, DETY `y` are in units of 0.05 arcsec. `axes` has
    the direction of growing RAWX on the detector, then that of growing RAWY. Raw coordinates count from 1; whole
    numbers are the centres of pixels.
    """

    number: int
    columns: int
    rows: int
    pixel: int
    x: float
    y: float
    axes: tuple[tuple[int, int], tuple[int, int]]

    def to_detector(self, rawx: np.ndarray, rawy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return DETX, DETY of raw positions, arrays of the same shape."""
        u = (rawx - (self.columns + 1) / 2) * self.pixel
        v = (rawy - (self.rows + 1) / 2) * self.pixel
        (xu, yu), (xv, yv) = self.axes
        return self.x + xu * u + xv * v, self.y + yu * u + yv * v

    def to_raw(self, detx: np.ndarray, dety: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return RAWX, RAWY (fractions included) of detector positions, arrays of the same shape."""
        (xu, yu), (xv, yv) = self.axes
        dx, dy = detx - self.x, dety - self.y
        u, v = xu * dx + yu * dy, xv * dx + yv * dy
        return u / self.pixel + (self.columns + 1) / 2, v / self.pixel + (self.rows + 1) / 2


@dataclass(frozen=True)
class Camera:
    """Model of a camera.

    The effective area of the usual patterns is ``a0 (1 - exp(-(E/e1)^p)) / (1 + (E/e2)^q)`` cm2 with `area` = (a0, e1,
    p, e2, q), E in keV; the FWHM of the measured energy in eV is ``sqrt(f0^2 + f1^2 E)`` with `fwhm_ev` = (f0, f1).
    `patterns` has the share of PATTERN 0, 1, ..., whatever the energy. `aim` is DETX, DETY of the aim point.
    """

    key: str
    ccds: tuple[Ccd, ...]
    central_ccd: int
    aim: tuple[float, float]
    frame_s: float
    live_fraction: float
    patterns: tuple[float, ...]
    usual_pattern: int
    area: tuple[float, float, float, float, float]
    fwhm_ev: tuple[float, float]
    lines_kev: tuple[float, ...]
    background_scale: float
    """Background per area of the sky, relative to pn."""
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
        """Return the effective area in cm2 for events of the usual patterns, shape (n,) like the energies in keV."""
        a0, e1, p, e2, q = self.area
        return np.asarray(a0 * -np.expm1(-((energy_kev / e1) ** p)) / (1 + (energy_kev / e2) ** q))

    def sigma_ev(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the measured energy in eV, shape (n,) like the energies in keV."""
        noise, fano = self.fwhm_ev
        return np.asarray(np.sqrt(noise**2 + fano**2 * energy_kev) / 2.354820045)

    def to_sky(self, detx: np.ndarray, dety: np.ndarray, pa_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the sky position of detector positions.

        Parameters
        ----------
        detx
            DETX in units of 0.05 arcsec, shape (n,).
        dety
            DETY in units of 0.05 arcsec, shape (n,).
        pa_deg
            Position angle of the DETY axis in degrees.

        Returns
        -------
        x, y
            Units of 0.05 arcsec, shape (n,).
        """
        cos, sin = np.cos(np.radians(pa_deg)), np.sin(np.radians(pa_deg))
        dx, dy = detx - self.aim[0], dety - self.aim[1]
        return CENTRE + cos * dx - sin * dy, CENTRE + sin * dx + cos * dy

    def to_detector(self, x: np.ndarray, y: np.ndarray, pa_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the detector position of sky positions.

        Parameters
        ----------
        x
            X in units of 0.05 arcsec, shape (n,).
        y
            Y in units of 0.05 arcsec, shape (n,).
        pa_deg
            Position angle of the DETY axis in degrees.

        Returns
        -------
        detx, dety
            Units of 0.05 arcsec, shape (n,).
        """
        cos, sin = np.cos(np.radians(pa_deg)), np.sin(np.radians(pa_deg))
        dx, dy = x - CENTRE, y - CENTRE
        return self.aim[0] + cos * dx + sin * dy, self.aim[1] - sin * dx + cos * dy


def _pn_ccds() -> tuple[Ccd, ...]:
    """Return two rows of six CCDs of 64 x 200 pixels of 4.1 arcsec, gaps of 11 arcsec, read out at the outer edges."""
    pixel, gap = 82, 220
    pitch, height = 64 * pixel + gap, 200 * pixel
    upper, lower = ((-1, 0), (0, -1)), ((1, 0), (0, 1))
    ccds = []
    for number in range(1, 13):
        quadrant, column = divmod(number - 1, 3)
        right, below = quadrant >= 2, quadrant in (1, 2)
        x, y = (column + 0.5) * pitch * (1 if right else -1), (height + gap) / 2 * (-1 if below else 1)
        ccds.append(Ccd(number, 64, 200, pixel, x, y, lower if below else upper))
    return tuple(ccds)


def _mos_ccds(quarter_turns: int) -> tuple[Ccd, ...]:
    """Return a central CCD of 600 x 600 pixels of 1.1 arcsec and six around it, gaps of 11 arcsec."""
    pixel, gap = 22, 220
    side = 600 * pixel + gap
    centres = [(0.0, 0.0), (-1.0, -0.5), (-1.0, 0.5), (0.0, 1.0), (1.0, 0.5), (1.0, -0.5), (0.0, -1.0)]
    ccds = []
    for number, (across, up) in enumerate(centres, start=1):
        x, y, right, upwards = across * side, up * side, (1, 0), (0, 1)
        for _ in range(quarter_turns):
            x, y = -y, x
            right, upwards = (-right[1], right[0]), (-upwards[1], upwards[0])
        ccds.append(Ccd(number, 600, 600, pixel, x, y, (right, upwards)))
    return tuple(ccds)


_PN_PATTERNS = (0.66, 0.075, 0.070, 0.070, 0.070, 0.007, 0.007, 0.007, 0.007, 0.004, 0.004, 0.004, 0.004, 0.011)
_MOS_PATTERNS = (
    0.72, 0.05, 0.05, 0.05, 0.05, 0.008, 0.008, 0.008, 0.008, 0.007, 0.007, 0.007, 0.007,
    *(0.02 / 13,) * 13,
)  # fmt: skip

EPN = Camera(
    key="EPN", ccds=_pn_ccds(), central_ccd=4, aim=(-2196.0, -1110.0), frame_s=0.0733649, live_fraction=0.925,
    patterns=_PN_PATTERNS, usual_pattern=4, area=(1250.0, 0.45, 1.5, 7.0, 3.0), fwhm_ev=(81.5, 73.6),
    lines_kev=(1.49, 8.05, 8.9), background_scale=1.0, flag_card="XMMEA_EP", flag_mask=0xCFA0000, exposure_id="S003",
    product="PNS003PIEVLI", bad_pixels_per_ccd=8,
)  # fmt: skip
EMOS1 = Camera(
    key="EMOS1", ccds=_mos_ccds(0), central_ccd=1, aim=(110.0, -60.0), frame_s=2.6, live_fraction=0.985,
    patterns=_MOS_PATTERNS, usual_pattern=12, area=(480.0, 0.9, 1.5, 6.0, 4.0), fwhm_ev=(41.0, 57.0),
    lines_kev=(1.49, 1.74), background_scale=0.35, flag_card="XMMEA_EM", flag_mask=0x766BA000, exposure_id="S001",
    product="M1S001MIEVLI", bad_pixels_per_ccd=20,
)  # fmt: skip
EMOS2 = Camera(
    key="EMOS2", ccds=_mos_ccds(1), central_ccd=1, aim=(-80.0, 150.0), frame_s=2.6, live_fraction=0.985,
    patterns=_MOS_PATTERNS, usual_pattern=12, area=(490.0, 0.9, 1.5, 6.1, 4.0), fwhm_ev=(41.0, 57.0),
    lines_kev=(1.49, 1.74), background_scale=0.35, flag_card="XMMEA_EM", flag_mask=0x766BA000, exposure_id="S002",
    product="M2S002MIEVLI", bad_pixels_per_ccd=20,
)  # fmt: skip

CAMERAS: dict[str, Camera] = {camera.key: camera for camera in (EPN, EMOS1, EMOS2)}
