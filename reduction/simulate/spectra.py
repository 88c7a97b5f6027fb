"""Photon spectra of sources, and energies drawn from binned ones; may import numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from reduction.errors import ReductionError

EDGES_KEV = np.linspace(0.15, 15.0, 2971)
"""Edges of the bins of 5 eV in which photon spectra are folded, shape (n + 1,)."""

MIDDLES_KEV = (EDGES_KEV[1:] + EDGES_KEV[:-1]) / 2
"""Their middles, shape (n,)."""

FLUX_BAND_KEV = (0.2, 12.0)
"""Energies of the flux of a source."""

ERG_PER_KEV = 1.602176634e-9


class Spectrum(Protocol):
    """The photon spectrum of a source."""

    def shape(self, energy_kev: np.ndarray) -> np.ndarray:
        """Photons per keV at energies in keV, not normalised."""

    def describe(self) -> dict[str, Any]:
        """Model and parameters, for the truth file."""


@dataclass(frozen=True)
class PowerLaw:
    """Power law: photons per keV fall as ``E**-index``."""

    index: float

    def __post_init__(self) -> None:
        if not -3 <= self.index <= 10:
            raise ReductionError(f"a power law needs an index between -3 and 10, not {self.index:g}", "index")

    def shape(self, energy_kev: np.ndarray) -> np.ndarray:
        """Photons per keV at energies in keV, not normalised."""
        return np.asarray(energy_kev**-self.index)

    def describe(self) -> dict[str, Any]:
        """Model and parameters, for the truth file."""
        return {"model": "powerlaw", "index": self.index}


@dataclass(frozen=True)
class BlackBody:
    """Black body: photons per keV go as ``E**2 / (exp(E / kT) - 1)``."""

    kt_kev: float

    def __post_init__(self) -> None:
        if not 0.02 <= self.kt_kev <= 20:
            raise ReductionError(f"a black body needs a kT between 0.02 and 20 keV, not {self.kt_kev:g}", "kt_kev")

    def shape(self, energy_kev: np.ndarray) -> np.ndarray:
        """Photons per keV at energies in keV, not normalised."""
        return np.asarray(energy_kev**2 / np.expm1(energy_kev / self.kt_kev))

    def describe(self) -> dict[str, Any]:
        """Model and parameters, for the truth file."""
        return {"model": "blackbody", "kt_keV": self.kt_kev}


def photons_per_bin(spectrum: Spectrum, flux: float) -> np.ndarray:
    """Return photons / cm2 / s in the bins of `EDGES_KEV`, shape (n,), for a flux in erg / cm2 / s in 0.2-12 keV."""
    middle, width = MIDDLES_KEV, np.diff(EDGES_KEV)
    photons = spectrum.shape(middle) * width
    in_band = (middle > FLUX_BAND_KEV[0]) & (middle < FLUX_BAND_KEV[1])
    return np.asarray(photons * flux / (np.sum(photons[in_band] * middle[in_band]) * ERG_PER_KEV))


def norm_at_1_kev(spectrum: Spectrum, flux: float) -> float:
    """Return photons / cm2 / s / keV at 1 keV, for a flux in erg / cm2 / s in 0.2-12 keV."""
    number = int(np.searchsorted(EDGES_KEV, 1.0))
    scale = photons_per_bin(spectrum, flux)[number] / (EDGES_KEV[number + 1] - EDGES_KEV[number])
    middle = MIDDLES_KEV[number : number + 1]
    return float(scale * spectrum.shape(np.ones(1))[0] / spectrum.shape(middle)[0])


def draw_energies(draw: np.random.Generator, per_bin: np.ndarray, count: int) -> np.ndarray:
    """Draw true energies from a binned spectrum.

    Parameters
    ----------
    draw
        Random numbers.
    per_bin
        Weights of the bins of `EDGES_KEV`, shape (n,); inside a bin energies are uniform.
    count
        Number of energies.

    Returns
    -------
    array
        keV, shape (count,).
    """
    cumulative = np.concatenate(([0.0], np.cumsum(per_bin)))
    return np.asarray(np.interp(draw.random(count) * cumulative[-1], cumulative, EDGES_KEV))
