"""What becomes of a photon of an energy: how much area there is for it, and which PI it is given; may import numpy.

`BuiltIn` is the simulator's own response, Gaussian with a shelf below it; `Given` draws through an RMF and an ARF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import erf, sqrt
from typing import Protocol

import numpy as np

from reduction import instruments, responses
from reduction.errors import ReductionError
from reduction.responses.grid import EnergyGrid
from reduction.responses.redistribution import Channels
from reduction.simulate.cameras import Camera

PI_RANGE = (150, 20479)
"""Lowest and highest PI in eV: what is measured below is not detected, what is measured above counts as the highest."""

CHANNEL_EV = 5

CIRCLE_ARCSEC = 40.0
"""Radius of the circle about a source of which an ARF tells the area."""

GRID = EnergyGrid.of_edges(np.concatenate((np.arange(30.0, 500.0), np.arange(500.0, 3001.0, 4.0))) * CHANNEL_EV / 1000)
"""Bins of photon energy of the responses that are written."""

FILTER = "Medium"

_STEPS = np.linspace(-8.0, 8.0, 16_001)
_NORMAL = np.array([(1 + erf(step / sqrt(2))) / 2 for step in _STEPS])


class Response(Protocol):
    """The response of one camera."""

    def area(self, energy_kev: np.ndarray, off_axis_arcmin: float, in_circle: np.ndarray) -> np.ndarray:
        """Return the area for all light of a source, in time or not.

        Parameters
        ----------
        energy_kev
            Energies in keV, shape (n,).
        off_axis_arcmin
            Where the source is.
        in_circle
            Part of its light that is counted in the circle about it, shape (n,).

        Returns
        -------
        array
            cm2 for usual patterns, shape (n,).
        """

    def efficiency(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the part of the photons that are detected at all, shape (n,) like the energies."""

    def measure(self, draw: np.random.Generator, energy_kev: np.ndarray) -> np.ndarray:
        """Draw the PI in eV of photons, int16, shape (n,) like the energies; -1 where one is not detected."""


@dataclass(frozen=True)
class BuiltIn:
    """The response that follows from the figures of a camera."""

    camera: Camera

    def area(self, energy_kev: np.ndarray, off_axis_arcmin: float, in_circle: np.ndarray) -> np.ndarray:
        """Return the area for all light of a source: vignetted, whatever is in the circle.

        Parameters
        ----------
        energy_kev
            Energies in keV, shape (n,).
        off_axis_arcmin
            Where the source is.
        in_circle
            Part of its light that is counted in the circle about it, shape (n,).

        Returns
        -------
        array
            cm2 for usual patterns, shape (n,).
        """
        in_time = self.camera.effective_area(energy_kev) * instruments.vignetting(energy_kev, off_axis_arcmin)
        return in_time / (1 - self.camera.out_of_time)

    def efficiency(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the part of the photons that are detected at all, shape (n,) like the energies."""
        return np.asarray(1 - self._below(energy_kev, np.array(PI_RANGE[0] - 0.5)))

    def measure(self, draw: np.random.Generator, energy_kev: np.ndarray) -> np.ndarray:
        """Draw the PI in eV of photons, int16, shape (n,) like the energies; -1 where one is not detected."""
        count = len(energy_kev)
        pi = 1000 * energy_kev + self.camera.sigma_ev(energy_kev) * draw.standard_normal(count)
        low = np.flatnonzero(draw.random(count, dtype=np.float32) < self.camera.shelf_share(energy_kev))
        pi[low] = 1000 * energy_kev[low] * draw.random(len(low))
        return within_range(pi)

    def redistribution(self) -> responses.Redistribution:
        """Return the matrix that `measure` draws from, in channels of 5 eV."""
        edges = np.arange(self.camera.channels + 1) * float(CHANNEL_EV)
        bounds = np.where(edges < PI_RANGE[0], -np.inf, edges - 0.5)  # a channel holds whole numbers of PI
        matrix = np.diff(self._below(GRID.middle[:, None], bounds[None, :]), axis=1)
        matrix[:, : PI_RANGE[0] // CHANNEL_EV] = 0.0
        channels = Channels(0, edges[:-1] / 1000, edges[1:] / 1000)
        who = responses.grid.Camera("XMM", self.camera.key, FILTER)
        return responses.Redistribution.of_matrix(GRID, channels, matrix, who, threshold=1e-8)

    def _below(self, energy_kev: np.ndarray, pi: np.ndarray) -> np.ndarray:
        """Return the chance that a photon is measured below a PI, which is no whole number, in the broadcast shape."""
        ev = 1000 * energy_kev
        gaussian = np.interp((pi - ev) / self.camera.sigma_ev(energy_kev), _STEPS, _NORMAL)
        shelf = self.camera.shelf_share(energy_kev)
        return np.asarray((1 - shelf) * gaussian + shelf * np.clip(pi / ev, 0.0, 1.0))


@dataclass(frozen=True)
class Given:
    """A response from files: an RMF, and an ARF that holds in a circle of `CIRCLE_ARCSEC` about each source.

    Vignetting, encircled energy, gaps and bad pixels are those of the ARF: as much light is drawn as has them.
    """

    camera: Camera
    matrix: responses.Redistribution
    area_in_circle: responses.EffectiveArea

    def __post_init__(self) -> None:
        high = float(self.matrix.channels.high[-1])
        if not 1.0 < high < 30.0:
            raise ReductionError(f"the channels of the RMF end at {high:g} keV; those of EPIC end at 12 to 21 keV",
                                 "rmf")  # fmt: skip

    def area(self, energy_kev: np.ndarray, off_axis_arcmin: float, in_circle: np.ndarray) -> np.ndarray:
        """Return the area for all light of a source: what puts that of the ARF in the circle.

        Parameters
        ----------
        energy_kev
            Energies in keV, shape (n,).
        off_axis_arcmin
            Where the source is.
        in_circle
            Part of its light that is counted in the circle about it, shape (n,).

        Returns
        -------
        array
            cm2 for usual patterns, shape (n,).
        """
        area = np.zeros(len(energy_kev))
        np.divide(self.area_in_circle.at(energy_kev), in_circle, out=area, where=in_circle > 0)
        return area

    def efficiency(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the part of the photons that are detected at all, shape (n,) like the energies."""
        row = self.matrix.energies.index(energy_kev)
        return np.where(row >= 0, self._counted[row], 0.0)

    def measure(self, draw: np.random.Generator, energy_kev: np.ndarray) -> np.ndarray:
        """Draw the PI in eV of photons, int16, shape (n,) like the energies; -1 where one is not detected."""
        channel = self.matrix.draw(energy_kev, draw)
        first, width = self._pi
        pi = (first[channel] + np.floor(width[channel] * draw.random(len(channel)))).astype(np.float64)
        return within_range(np.where(channel < 0, -1.0, pi))

    @cached_property
    def _pi(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest PI and the number of PIs of each channel, whose nominal energies are not quite linear."""
        width = round(1000 * float(np.median(self.matrix.channels.high - self.matrix.channels.low)) / CHANNEL_EV)
        width = max(width, 1) * CHANNEL_EV
        return np.arange(self.matrix.channels.size) * width, np.full(self.matrix.channels.size, width)

    @cached_property
    def _counted(self) -> np.ndarray:
        """Return the part of each row of the matrix in channels that are not below the lowest PI."""
        first, _ = self._pi
        seen = np.maximum(self.matrix.values, 0.0) * (first[self.matrix.channel] >= PI_RANGE[0])
        row = np.repeat(np.arange(self.matrix.energies.size), np.diff(self.matrix.first_values))
        return np.bincount(row, seen, minlength=self.matrix.energies.size)


def within_range(pi: np.ndarray) -> np.ndarray:
    """Return measured energies as PI, int16; -1 below the lowest one, the highest one above it."""
    whole = np.minimum(np.rint(pi), PI_RANGE[1])
    return np.where(whole < PI_RANGE[0], -1, whole).astype(np.int16)
