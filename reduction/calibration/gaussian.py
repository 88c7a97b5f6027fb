"""A redistribution without calibration files: a Gaussian of the instrument's resolution at each energy; approximate.

Real matrices have a shoulder and a tail towards low energies, a loss peak at the surface and an escape peak, and change
with time and place: fits below 0.6 keV and of line profiles need a real one.
"""

from __future__ import annotations

import math

import numpy as np

from reduction.missions import Mission
from reduction.responses.grid import Camera, EnergyGrid
from reduction.responses.redistribution import Channels, Redistribution

ORIGIN = "Gaussian of the resolution of the instrument, without shoulder, tail and escape peak"
"""Where the redistribution comes from, for logs and headers."""

_THRESHOLD = 1e-6
_FWHM = 2 * math.sqrt(2 * math.log(2))


def photon_grid(highest_kev: float) -> EnergyGrid:
    """Return bins of photon energy from 0.155 keV on: 5 eV wide up to 3 keV, 20 eV above."""
    edges = np.concatenate((np.arange(0.155, 2.9999, 0.005), np.arange(3.0, highest_kev + 1e-9, 0.02)))
    return EnergyGrid.of_edges(np.asarray(np.round(edges, 4), dtype=np.float64))


def gaussian_redistribution(mission: Mission, camera: Camera) -> Redistribution:
    """Return the Gaussian redistribution of an instrument.

    Parameters
    ----------
    mission
        The instrument: its channels, and the FWHM of its energies.
    camera
        Whose response it is.

    Returns
    -------
    Redistribution
        From 0.155 keV to 12 keV, or to the last channel where that is lower.
    """
    bounds = mission.channel_energies()
    grid = photon_grid(min(12.0, float(bounds[-1])))
    noise, fano = mission.fwhm_ev
    sigma = np.sqrt(noise**2 + fano**2 * grid.middle) / _FWHM / 1000
    erf = np.frompyfunc(math.erf, 1, 1)
    matrix = np.zeros((grid.size, bounds.size - 1))
    for row, (energy, width) in enumerate(zip(grid.middle, sigma, strict=True)):
        first, last = np.searchsorted(bounds, (energy - 6 * width, energy + 6 * width))
        first, last = max(int(first) - 1, 0), min(int(last) + 1, bounds.size)
        steps = erf((bounds[first:last] - energy) / (width * math.sqrt(2))).astype(np.float64)
        matrix[row, first : last - 1] = np.diff(steps) / 2
    channels = Channels(mission.first_channel, bounds[:-1], bounds[1:])
    return Redistribution.of_matrix(grid, channels, matrix, camera, _THRESHOLD)
