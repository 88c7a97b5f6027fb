"""Background of the cameras that did not come through the telescope, as rates and energies; may import numpy.

The rates are those of the real background spectra of 0693760101 and 0605960101 (closed filter), rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOWEST_KEV = 0.2
"""Energy from which on the continuum is drawn."""

NOISE_FROM_KEV, NOISE_SCALE_KEV = 0.15, 0.08


@dataclass(frozen=True)
class Particles:
    """Spectrum of the particle background in counts / s / arcmin2 of all patterns.

    A continuum of `flat_per_kev` up to `highest_kev`, on it `rise_per_kev` that falls exponentially over `rise_kev`,
    detector noise of `noise` in all above 0.15 keV, and fluorescence: pairs of keV and rate. The lines of `board_lines`
    come from the circuit board behind the CCDs, which has a hole: within `hole_arcmin` of the middle of the detector
    there are none.
    """

    flat_per_kev: float
    highest_kev: float
    rise_per_kev: float
    rise_kev: float
    noise: float
    lines: tuple[tuple[float, float], ...]
    board_lines: tuple[tuple[float, float], ...] = ()
    hole_arcmin: float = 0.0

    @property
    def rates(self) -> tuple[float, ...]:
        """Rates of the flat continuum, the rise, the noise and each line, those of the board last."""
        lines = (rate for _, rate in self.lines + self.board_lines)
        return (
            self.flat_per_kev * (self.highest_kev - LOWEST_KEV), self.rise_per_kev * self.rise_kev, self.noise, *lines
        )  # fmt: skip

    @property
    def total(self) -> float:
        """Rate of all, outside of the hole."""
        return sum(self.rates)

    @property
    def board_share(self) -> float:
        """Share of the lines of the board in all, outside of the hole."""
        return sum(rate for _, rate in self.board_lines) / self.total

    def draw(self, draw: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw energies.

        Parameters
        ----------
        draw
            Random numbers.
        count
            Number of events.

        Returns
        -------
        energies, is_of_board
            keV, and whether they are lines of the board, shape (count,) both, in an order that is not random.
        """
        shares = np.array(self.rates) / self.total
        flat, rise, noise, *lines = draw.multinomial(count, shares).tolist()
        kev = [line for line, _ in self.lines + self.board_lines]
        energies = np.concatenate((
            draw.uniform(LOWEST_KEV, self.highest_kev, flat),
            np.minimum(LOWEST_KEV + draw.exponential(self.rise_kev, rise), self.highest_kev),
            NOISE_FROM_KEV + draw.exponential(NOISE_SCALE_KEV, noise),
            np.repeat(kev, lines),
        ))  # fmt: skip
        of_board = sum(lines[len(self.lines) :])
        return energies, np.arange(count) >= count - of_board


PN_PARTICLES = Particles(
    flat_per_kev=2.5e-4, highest_kev=15.0, rise_per_kev=2.5e-4, rise_kev=2.5, noise=8.0e-4, lines=((1.49, 3.0e-4),),
    board_lines=((7.47, 0.4e-4), (8.04, 6.3e-4), (8.63, 1.2e-4), (8.90, 1.0e-4)), hole_arcmin=5.0,
)  # fmt: skip
"""pn: Al; Ni, Cu, Zn and Cu beta of the board."""

MOS_PARTICLES = Particles(
    flat_per_kev=1.6e-4, highest_kev=12.0, rise_per_kev=0.7e-4, rise_kev=2.5, noise=1.5e-4,
    lines=((1.49, 3.7e-4), (1.74, 1.5e-4)),
)  # fmt: skip
"""MOS: Al and Si."""
