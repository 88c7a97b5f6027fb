"""A redistribution of EPIC without calibration files: the measured shape of the camera's lines; approximate.

Real matrices change with time, place on the CCD and pattern: profiles of lines need a real one, and so do fits below
0.4 keV, where the shape is wrong by a few parts in a hundred.
"""

from __future__ import annotations

import numpy as np

from reduction.missions import Mission
from reduction.responses.grid import Camera, EnergyGrid
from reduction.responses.lineshape import line_matrix
from reduction.responses.redistribution import Channels, Redistribution

ORIGIN = "peak, tail, shelf and escape peak as measured in RMFs of 2010 and 2013, whatever the date, place and patterns"
"""Where the redistribution comes from, for logs and headers."""

_THRESHOLD = 1e-8


def photon_grid(highest_kev: float) -> EnergyGrid:
    """Return bins of photon energy from 0.155 keV on: 5 eV wide up to 3 keV, 20 eV above."""
    edges = np.concatenate((np.arange(0.155, 2.9999, 0.005), np.arange(3.0, highest_kev + 1e-9, 0.02)))
    return EnergyGrid.of_edges(np.asarray(np.round(edges, 4), dtype=np.float64))


def built_in_redistribution(mission: Mission, camera: Camera) -> Redistribution:
    """Return the redistribution of a camera by the shape of its lines (`reduction.responses.lineshape`).

    Parameters
    ----------
    mission
        The camera's channels.
    camera
        Whose response it is: one of EPIC.

    Returns
    -------
    Redistribution
        From 0.155 keV to 12 keV, or to the last channel where that is lower; each row sums up to 1, as in those that
        the SAS makes.
    """
    bounds = mission.channel_energies()
    grid = photon_grid(min(12.0, float(bounds[-1])))
    matrix = line_matrix(camera.instrument, grid.middle, bounds)
    matrix /= matrix.sum(axis=1, keepdims=True)
    channels = Channels(mission.first_channel, bounds[:-1], bounds[1:])
    return Redistribution.of_matrix(grid, channels, matrix, camera, _THRESHOLD)
