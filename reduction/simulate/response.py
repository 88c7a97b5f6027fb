"""What becomes of a photon of an energy: how much area there is for it, and which PI it is given; may import numpy.

Energies are measured through a redistribution, and PI are spread evenly over its channels. `BuiltIn` has the shape of
lines that the built-in responses of regions have, too (`reduction.responses.lineshape`); `Given` has an RMF and an ARF.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np

from reduction import instruments
from reduction.errors import ReductionError
from reduction.responses import EffectiveArea, Redistribution, grid
from reduction.responses.grid import EnergyGrid, Floats
from reduction.responses.lineshape import line_matrix
from reduction.responses.redistribution import Channels
from reduction.simulate.cameras import Camera

PI_RANGE = (150, 20479)
"""Lowest and highest PI in eV of an event list: what is measured below is not detected."""

CHANNEL_EV = 5

CIRCLE_ARCSEC = 40.0
"""Radius of the circle about a source of which an ARF tells the area."""

GRID = EnergyGrid.of_edges(np.concatenate((np.arange(30.0, 500.0), np.arange(500.0, 3001.0, 4.0))) * CHANNEL_EV / 1000)
"""Bins of photon energy of the responses that are written."""

FILTER = "Medium"


@dataclass(frozen=True)
class Detection:
    """Which PI photons are given: `matrix` says it in channels of `channel_ev`, whose PI are equally likely.

    The energies of the channels are not looked at: those of real matrices are nominal and not quite linear.
    """

    matrix: Redistribution
    channel_ev: int

    def efficiency(self, energy_kev: np.ndarray) -> np.ndarray:
        """Return the part of the photons that are detected at all, shape (n,) like the energies in keV."""
        row = self.matrix.energies.index(energy_kev)
        return np.where(row >= 0, self._detected[row], 0.0)

    def measure(self, draw: np.random.Generator, energy_kev: np.ndarray) -> np.ndarray:
        """Draw the PI in eV of photons, int16, shape (n,) like the energies in keV; -1 where one is not detected."""
        channel = self.matrix.draw(energy_kev, draw)
        pi = self.channel_ev * channel + (self.channel_ev * draw.random(len(channel))).astype(np.int64)
        detected = (channel >= 0) & (pi >= PI_RANGE[0])
        return np.where(detected, np.minimum(pi, PI_RANGE[1]), -1).astype(np.int16)

    @cached_property
    def _detected(self) -> np.ndarray:
        """Return the part of each row of the matrix in channels that are not below the lowest PI."""
        first = self.channel_ev * self.matrix.channel
        detected = np.maximum(self.matrix.values, 0.0) * (first >= PI_RANGE[0])
        return np.bincount(self.matrix.row, detected, minlength=self.matrix.energies.size)


class Response(Protocol):
    """The response of one camera."""

    @property
    def detection(self) -> Detection:
        """What becomes of the energies of its photons."""

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


@dataclass(frozen=True)
class BuiltIn:
    """What the `response` job takes without calibration files: the areas with the carbon of a date, and the lines."""

    camera: Camera
    date: datetime

    @property
    def detection(self) -> Detection:
        """What becomes of the energies of its photons."""
        return _of_lines(self.camera.key)

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
        on_axis = self.camera.effective_area(energy_kev) * instruments.carbon_since(
            self.camera.key, energy_kev, self.date
        )
        in_time = on_axis * instruments.vignetting(energy_kev, off_axis_arcmin)
        return np.asarray(in_time / (1 - self.camera.out_of_time))

    def redistribution(self) -> Redistribution:
        """Return the matrix that PI are drawn from, in the channels of spectra; nothing is below the lowest PI."""
        matrix = self.detection.matrix.matrix()[:, : self.camera.channels]
        matrix[:, : PI_RANGE[0] // CHANNEL_EV] = 0.0
        return _in_channels(self.camera.key, matrix)


@lru_cache(maxsize=3)
def _of_lines(key: str) -> Detection:
    """Return the detection of a camera in all channels that a PI can be in."""
    matrix = line_matrix(key, GRID.middle, _edges(PI_RANGE[1] // CHANNEL_EV + 1))
    return Detection(_in_channels(key, matrix), CHANNEL_EV)


def _edges(channels: int) -> Floats:
    """Return the edges of channels in keV."""
    return np.arange(channels + 1, dtype=np.float64) * (CHANNEL_EV / 1000)


def _in_channels(key: str, matrix: Floats) -> Redistribution:
    edges_kev = _edges(matrix.shape[1])
    channels = Channels(0, edges_kev[:-1], edges_kev[1:])
    return Redistribution.of_matrix(GRID, channels, matrix, grid.Camera("XMM", key, FILTER), threshold=1e-8)


@dataclass(frozen=True)
class Given:
    """A response from files: an RMF, and an ARF that holds in a circle of `CIRCLE_ARCSEC` about each source.

    Vignetting, encircled energy, gaps and bad pixels are those of the ARF: as much light is drawn as has them.
    """

    camera: Camera
    matrix: Redistribution
    area_in_circle: EffectiveArea

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

    @cached_property
    def detection(self) -> Detection:
        """What becomes of the energies of its photons."""
        width = 1000 * float(np.median(self.matrix.channels.high - self.matrix.channels.low))
        return Detection(self.matrix, CHANNEL_EV * max(round(width / CHANNEL_EV), 1))
