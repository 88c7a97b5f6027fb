"""Vectors along time, between samples of place and velocity by cubic Hermite polynomials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """Places and velocities at ascending times: shapes (n,), (n, 3) and (n, 3), n at least 2."""

    times_s: Floats
    places: Floats
    velocities: Floats

    def at(self, times_s: Floats) -> Floats:
        """Return the place at some times, shape (m, 3); beyond the ends that of the end."""
        moments = np.clip(times_s, self.times_s[0], self.times_s[-1])
        left = np.clip(np.searchsorted(self.times_s, moments, side="right") - 1, 0, len(self.times_s) - 2)
        step = (self.times_s[left + 1] - self.times_s[left])[:, None]
        u = (moments - self.times_s[left])[:, None] / step
        before, after = self.places[left], self.places[left + 1]
        found = (before + (after - before) * (3 - 2 * u) * u**2
                 + step * u * (1 - u) * (self.velocities[left] * (1 - u) - self.velocities[left + 1] * u))  # fmt: skip
        return np.asarray(found, dtype=np.float64)
