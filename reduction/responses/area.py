"""Effective area of a camera at photon energies: an ancillary response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reduction.errors import ReductionError
from reduction.responses.grid import UNKNOWN, Camera, EnergyGrid, Floats


@dataclass(frozen=True)
class EffectiveArea:
    """Effective area in cm2 in bins of photon energy, shape (energies,)."""

    energies: EnergyGrid
    area_cm2: Floats
    camera: Camera = UNKNOWN

    def __post_init__(self) -> None:
        if self.area_cm2.shape != (self.energies.size,):
            raise ReductionError(f"{self.area_cm2.size} effective areas for {self.energies.size} bins of energy")
        if not (np.isfinite(self.area_cm2).all() and (self.area_cm2 >= 0).all()):
            raise ReductionError("an effective area is no number, or below 0 cm2")

    def at(self, energies: Floats) -> Floats:
        """Return the effective area in cm2 at energies in keV, linear between middles of bins, 0 outside of them."""
        inside = (energies >= self.energies.low[0]) & (energies <= self.energies.high[-1])
        return np.where(inside, np.interp(energies, self.energies.middle, self.area_cm2), 0.0)

    def on(self, grid: EnergyGrid) -> EffectiveArea:
        """Return the effective area on another grid, taken at the middle of its bins."""
        return EffectiveArea(grid, self.at(grid.middle), self.camera)
