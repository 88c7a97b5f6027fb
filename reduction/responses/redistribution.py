"""Redistribution of photons of an energy over the channels of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.responses.grid import UNKNOWN, Camera, EnergyGrid, Floats

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Channels:
    """Channels of a detector: the number of the first, and nominal lower and upper energy in keV, shape (channels,)."""

    first: int
    low: Floats
    high: Floats

    @property
    def size(self) -> int:
        """Number of channels."""
        return self.low.size

    @property
    def numbers(self) -> Whole:
        """Their numbers, as a spectrum has them in CHANNEL."""
        return np.arange(self.first, self.first + self.size)


@dataclass(frozen=True)
class Redistribution:
    """Probability that a photon of an energy is counted in a channel.

    The matrix is kept as its runs of channels: run k lies in the row (bin of photon energy) between `rows[e]` and
    `rows[e + 1]`, begins at channel ``starts[k]`` counted from 0 and has ``lengths[k]`` channels; `values` holds the
    probabilities of all runs one behind the other.

    Attributes
    ----------
    energies
        Bins of photon energy.
    channels
        Channels of the detector.
    rows
        First run of each bin of energy, and the number of runs at the end, shape (energies + 1,).
    starts, lengths
        First channel and number of channels of each run, shape (runs,).
    values
        Probabilities, shape (sum of lengths,). A canned matrix of pn has small ones below 0 under 0.225 keV
        (interpolation); they are folded as they are and never drawn.
    camera
        Whose response it is.
    """

    energies: EnergyGrid
    channels: Channels
    rows: Whole
    starts: Whole
    lengths: Whole
    values: Floats
    camera: Camera = UNKNOWN

    def __post_init__(self) -> None:
        if self.rows.shape != (self.energies.size + 1,) or self.starts.shape != self.lengths.shape:
            raise ReductionError("a redistribution has runs of channels for other photon energies than its own")
        if self.rows[0] != 0 or self.rows[-1] != self.starts.size or self.lengths.sum() != self.values.size:
            raise ReductionError("a redistribution has more or fewer probabilities than its runs of channels say")
        if (self.starts < 0).any() or (self.starts > self.channels.size - self.lengths).any():
            raise ReductionError(f"a redistribution has channels outside of its {self.channels.size}: is the number of "
                                 "the first channel (TLMIN of F_CHAN) right?")  # fmt: skip
        if not np.isfinite(self.values).all():
            raise ReductionError("a redistribution has probabilities that are no numbers")

    @classmethod
    def of_matrix(
        cls, energies: EnergyGrid, channels: Channels, matrix: Floats, camera: Camera = UNKNOWN, threshold: float = 0.0
    ) -> Redistribution:
        """Return the redistribution of a full matrix.

        Parameters
        ----------
        energies
            Bins of photon energy.
        channels
            Channels of the detector.
        matrix
            Probabilities, shape (energies, channels).
        camera
            Whose response it is.
        threshold
            Probabilities that are not above it are left out.

        Returns
        -------
        Redistribution
            The same as runs of channels.
        """
        filled = np.pad(matrix > threshold, ((0, 0), (1, 1)))
        change = np.diff(filled.astype(np.int8), axis=1)
        row, starts = np.nonzero(change == 1)
        ends = np.nonzero(change == -1)[1]
        rows = np.searchsorted(row, np.arange(energies.size + 1))
        kept = matrix[filled[:, 1:-1]].astype(np.float64)
        return cls(energies, channels, rows, starts, ends - starts, kept, camera)

    @cached_property
    def first_values(self) -> Whole:
        """Where the probabilities of each bin of energy begin, and their number at the end, shape (energies + 1,)."""
        return np.concatenate(([0], np.cumsum(self.lengths)))[self.rows]

    @property
    def row(self) -> Whole:
        """The bin of energy of each probability."""
        return np.repeat(np.arange(self.energies.size), np.diff(self.first_values))

    @cached_property
    def channel(self) -> Whole:
        """The channel of each probability, counted from 0."""
        begin = np.cumsum(self.lengths) - self.lengths
        return np.arange(self.values.size) - np.repeat(begin - self.starts, self.lengths)

    @cached_property
    def efficiency(self) -> Floats:
        """Probability that a photon of each bin of energy is counted at all, shape (energies,)."""
        return np.bincount(self.row, self.values, minlength=self.energies.size).astype(np.float64)

    @cached_property
    def _cumulative(self) -> Floats:
        return np.concatenate(([0.0], np.cumsum(np.maximum(self.values, 0.0))))

    def matrix(self) -> Floats:
        """Return the full matrix, shape (energies, channels)."""
        full = np.zeros((self.energies.size, self.channels.size))
        full[self.row, self.channel] = self.values
        return full

    def fold(self, photons: Floats) -> Floats:
        """Return the counts expected in the channels, shape (channels,), of photons by bin of energy."""
        weights = self.values * np.repeat(photons, np.diff(self.first_values))
        return np.bincount(self.channel, weights, minlength=self.channels.size).astype(np.float64)

    def draw(self, energies: Floats, random: np.random.Generator) -> Whole:
        """Return a channel, counted from 0, for each photon energy in keV; -1 where the photon is not counted."""
        row = self.energies.index(energies)
        at = np.where(row >= 0, row, 0)
        cumulative, low, high = self._cumulative, self.first_values[at], self.first_values[at + 1]
        wanted = cumulative[low] + random.random(energies.shape)
        counted = (row >= 0) & (wanted < cumulative[high])
        found = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, low, np.maximum(high - 1, low))
        channel = self.channel[np.minimum(found, self.values.size - 1)] if self.values.size else found
        return np.where(counted, channel, -1)
