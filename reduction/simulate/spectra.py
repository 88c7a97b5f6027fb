"""Photon spectra, the detected spectrum behind a camera, and energies drawn from it; may import numpy and `cameras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reduction.errors import ReductionError
from reduction.simulate.cameras import Camera

EDGES_KEV = np.linspace(0.15, 15.0, 2971)
"""Grid on which photon spectra are folded: 5 eV."""
FLUX_BAND_KEV = (0.2, 12.0)
ERG_PER_KEV = 1.602176634e-9
PI_RANGE = (150, 20479)


@dataclass(frozen=True)
class PowerLaw:
    """Photons per keV fall as ``E**-index``."""

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
    """Photons per keV go as ``E**2 / (exp(E / kT) - 1)``."""

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


Spectrum = PowerLaw | BlackBody


def photons_per_bin(spectrum: Spectrum, flux: float) -> np.ndarray:
    """Photons / cm2 / s in each bin of `EDGES_KEV`, for a flux in erg / cm2 / s in 0.2-12 keV."""
    middle, width = (EDGES_KEV[1:] + EDGES_KEV[:-1]) / 2, np.diff(EDGES_KEV)
    photons = spectrum.shape(middle) * width
    in_band = (middle > FLUX_BAND_KEV[0]) & (middle < FLUX_BAND_KEV[1])
    return np.asarray(photons * flux / (np.sum(photons[in_band] * middle[in_band]) * ERG_PER_KEV))


def norm_at_1_kev(spectrum: Spectrum, flux: float) -> float:
    """Photons / cm2 / s / keV at 1 keV."""
    at = int(np.searchsorted(EDGES_KEV, 1.0))
    return float(photons_per_bin(spectrum, flux)[at] / (EDGES_KEV[at + 1] - EDGES_KEV[at]))


def detected_per_bin(camera: Camera, spectrum: Spectrum, flux: float) -> np.ndarray:
    """Counts / s of all patterns in each bin, before any loss on the sky or in time."""
    middle = (EDGES_KEV[1:] + EDGES_KEV[:-1]) / 2
    return np.asarray(photons_per_bin(spectrum, flux) * camera.effective_area(middle) / camera.usual_share)


def draw_energies(draw: np.random.Generator, per_bin: np.ndarray, count: int) -> np.ndarray:
    """True energies in keV (count,) of a binned spectrum."""
    cumulative = np.concatenate(([0.0], np.cumsum(per_bin)))
    return np.asarray(np.interp(draw.random(count) * cumulative[-1], cumulative, EDGES_KEV))


def measure(draw: np.random.Generator, camera: Camera, energy_kev: np.ndarray) -> np.ndarray:
    """PI in eV (int16) of true energies: Gaussian, its width growing with energy."""
    pi = 1000 * energy_kev + camera.sigma_ev(energy_kev) * draw.standard_normal(len(energy_kev))
    return np.clip(np.rint(pi), *PI_RANGE).astype(np.int16)


def draw_particles(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """PI of particle background: level over 0.2-20 keV, a tenth in fluorescence lines, a fifth noise below 0.5 keV."""
    energy = draw.uniform(0.2, 20.0, count)
    kind = draw.random(count)
    lines = np.flatnonzero(kind < 0.1)
    energy[lines] = np.array(camera.lines_kev)[draw.integers(0, len(camera.lines_kev), len(lines))]
    noise = np.flatnonzero(kind > 0.8)
    energy[noise] = 0.15 + draw.exponential(0.08, len(noise))
    return measure(draw, camera, energy)


def draw_sky(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """PI of the X-ray background of the sky: a soft power law (index 2) behind the telescope."""
    return measure(draw, camera, draw_energies(draw, detected_per_bin(camera, PowerLaw(2.0), 1.0), count))


def draw_protons(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """PI of soft protons: exponential with 3 keV from 0.3 keV on."""
    return measure(draw, camera, 0.3 + np.minimum(draw.exponential(3.0, count), 19.0))
