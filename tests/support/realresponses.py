"""The real responses of EPIC beside the project, and what of each region its file says: place, size and good part.

Regions, pointings, filters and patterns are those of the data subspaces of the spectra beside them; the part of each
region's area on good pixels is BACKSCAL over its geometrical area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from reduction.calibration.area import OnAxis, known_pattern, region_area
from reduction.calibration.view import ExtendedView, PointView, View
from reduction.instruments.psf import LIMIT_ARCSEC
from reduction.responses import EffectiveArea, read_effective_area
from reduction.responses.grid import Camera, EnergyGrid

UNITS_PER_ARCMIN = 1200


@dataclass(frozen=True)
class Real:
    """A real response: its file, its camera, the patterns, its region, and the date of the carbon it knows of."""

    file: str
    instrument: str
    pattern: str
    view: View
    carbon: datetime | None

    def read(self, shared: Path) -> EffectiveArea:
        return read_effective_area(shared / "real" / self.file)

    def ours(self, energies: EnergyGrid) -> EffectiveArea:
        """The area as we make it, without any file."""
        pattern = known_pattern(self.instrument, self.pattern)
        assert pattern is not None
        camera = Camera("XMM", self.instrument, "Medium")
        return region_area(energies, camera, OnAxis.built_in(self.instrument, self.carbon), self.view, pattern)


def circle(away_units: float, radius_arcsec: float) -> PointView:
    """A point source in the middle of a circle, its distance from the pointing in units of 0.05 arcsec."""
    edges = np.concatenate(([0.0], np.geomspace(0.2, LIMIT_ARCSEC, 400)))
    return PointView(away_units / UNITS_PER_ARCMIN, edges, (edges[1:] <= radius_arcsec).astype(float))


def annulus(away_units: float, radii_arcmin: tuple[float, float], backscal: float) -> ExtendedView:
    """A flat source in an annulus, by its middle's distance from the pointing."""
    away = away_units / UNITS_PER_ARCMIN
    inner, outer = radii_arcmin
    radii = np.sqrt(np.linspace(inner**2, outer**2, 81))[1::2]
    turn = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    angles = np.sqrt(away**2 + radii[:, None] ** 2 + 2 * away * radii[:, None] * np.cos(turn)).ravel()
    area = math.pi * (outer**2 - inner**2) * UNITS_PER_ARCMIN**2
    return ExtendedView(angles, np.full(angles.size, 1 / angles.size), backscal / area)


OF_2012 = datetime(2012, 5, 14, 3, 27, 43, tzinfo=UTC)

REAL = (
    Real("xmm_ngc7793_ulx4/MOS1.arf", "EMOS1", "0:12", circle(math.hypot(1120, 2274), 40), OF_2012),
    Real("xmm_ngc7793_ulx4/MOS2.arf", "EMOS2", "0:12", circle(math.hypot(1120, 2274), 40), OF_2012),
    Real("xmm_ngc7793_ulx4/PN.arf", "EPN", "0:4", circle(math.hypot(1138, 2324), 40), OF_2012),
    Real("xmm_psrj0855/xmm_mos1_0605960101.arf", "EMOS1", "0:12", annulus(2073.7, (0.25, 2.5), 27821296), None),
    Real("xmm_psrj0855/xmm_mos2_0605960101.arf", "EMOS2", "0:12", annulus(2073.7, (0.25, 2.5), 27561095), None),
    Real("xmm_psrj0855/xmm_pn_0605960101.arf", "EPN", "0", annulus(2073.7, (0.25, 2.5), 26133082), None),
)  # fmt: skip
"""All six. The annuli are given in DETX, DETY around the pulsar: their distance from the pointing is that of RA_OBJ and
DEC_OBJ from RA_PNT and DEC_PNT. They were made by SAS 10, which knew of no carbon."""

STEP_KEV = 0.025
"""Width over which areas are compared: less than half the resolution of the cameras at 0.5 keV."""


def ratio(real: Real, shared: Path, step_kev: float = STEP_KEV) -> tuple[np.ndarray, np.ndarray]:
    """Our area over the real one, by steps of energy: their middles in keV, and the ratios."""
    theirs = real.read(shared)
    grid = theirs.energies
    step = np.floor(grid.middle / step_kev).astype(int)
    mine, real_area = (np.bincount(step, area.area_cm2 * grid.width) for area in (real.ours(grid), theirs))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.arange(mine.size) + 0.5) * step_kev, mine / real_area
