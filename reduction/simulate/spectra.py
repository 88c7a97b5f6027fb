"""Photon spectra, the spectra that a camera detects, and energies drawn from them; may import numpy and `cameras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reduction.errors import ReductionError
from reduction.simulate.cameras import Camera

EDGES_KEV = np.linspace(0.15, 15.0, 2971)
"""Edges of the bins of 5 eV in which photon spectra are folded, shape (n + 1,)."""

FLUX_BAND_KEV = (0.2, 12.0)
"""Energies of the flux of a source."""

ERG_PER_KEV = 1.602176634e-9

PI_RANGE = (150, 20479)
"""Lowest and highest PI in eV."""


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


Spectrum = PowerLaw | BlackBody


def photons_per_bin(spectrum: Spectrum, flux: float) -> np.ndarray:
    """Return photons / cm2 / s in the bins of `EDGES_KEV`, shape (n,), for a flux in erg / cm2 / s in 0.2-12 keV."""
    middle, width = (EDGES_KEV[1:] + EDGES_KEV[:-1]) / 2, np.diff(EDGES_KEV)
    photons = spectrum.shape(middle) * width
    in_band = (middle > FLUX_BAND_KEV[0]) & (middle < FLUX_BAND_KEV[1])
    return np.asarray(photons * flux / (np.sum(photons[in_band] * middle[in_band]) * ERG_PER_KEV))


def norm_at_1_kev(spectrum: Spectrum, flux: float) -> float:
    """Return photons / cm2 / s / keV at 1 keV, for a flux in erg / cm2 / s in 0.2-12 keV."""
    number = int(np.searchsorted(EDGES_KEV, 1.0))
    return float(photons_per_bin(spectrum, flux)[number] / (EDGES_KEV[number + 1] - EDGES_KEV[number]))


def detected_per_bin(camera: Camera, spectrum: Spectrum, flux: float) -> np.ndarray:
    """Return the count rate of a source in the bins of `EDGES_KEV`.

    Parameters
    ----------
    camera
        Its effective area and the share of the usual patterns.
    spectrum
        Photon spectrum of the source.
    flux
        erg / cm2 / s in 0.2-12 keV.

    Returns
    -------
    array
        Counts / s of all patterns, shape (n,), before losses in gaps, on bad pixels and in dead time.
    """
    middle = (EDGES_KEV[1:] + EDGES_KEV[:-1]) / 2
    return np.asarray(photons_per_bin(spectrum, flux) * camera.effective_area(middle) / camera.usual_share)


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


def measure(draw: np.random.Generator, camera: Camera, energy_kev: np.ndarray) -> np.ndarray:
    """Draw the measured energies of events: Gaussian, with a width that grows with energy.

    Parameters
    ----------
    draw
        Random numbers.
    camera
        Its energy resolution.
    energy_kev
        True energies, shape (n,).

    Returns
    -------
    array
        PI in eV within `PI_RANGE`, int16, shape (n,).
    """
    pi = 1000 * energy_kev + camera.sigma_ev(energy_kev) * draw.standard_normal(len(energy_kev))
    return np.clip(np.rint(pi), *PI_RANGE).astype(np.int16)


def draw_particles(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """Draw events of the particle background.

    Seven tenths are uniform over 0.2-20 keV, a tenth is in fluorescence lines, a fifth is noise above 0.15 keV that
    falls exponentially.

    Parameters
    ----------
    draw
        Random numbers.
    camera
        Its fluorescence lines and energy resolution.
    count
        Number of events.

    Returns
    -------
    array
        PI in eV, int16, shape (count,).
    """
    energy = draw.uniform(0.2, 20.0, count)
    kind = draw.random(count)
    lines = np.flatnonzero(kind < 0.1)
    energy[lines] = np.array(camera.lines_kev)[draw.integers(0, len(camera.lines_kev), len(lines))]
    noise = np.flatnonzero(kind > 0.8)
    energy[noise] = 0.15 + draw.exponential(0.08, len(noise))
    return measure(draw, camera, energy)


def draw_sky(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """Draw events of the X-ray background of the sky: a power law of index 2, seen through the telescope.

    Parameters
    ----------
    draw
        Random numbers.
    camera
        Its effective area and energy resolution.
    count
        Number of events.

    Returns
    -------
    array
        PI in eV, int16, shape (count,).
    """
    return measure(draw, camera, draw_energies(draw, detected_per_bin(camera, PowerLaw(2.0), 1.0), count))


def draw_protons(draw: np.random.Generator, camera: Camera, count: int) -> np.ndarray:
    """Draw events of soft protons: exponential with a scale of 3 keV, from 0.3 keV on.

    Parameters
    ----------
    draw
        Random numbers.
    camera
        Its energy resolution.
    count
        Number of events.

    Returns
    -------
    array
        PI in eV, int16, shape (count,).
    """
    return measure(draw, camera, 0.3 + np.minimum(draw.exponential(3.0, count), 19.0))
