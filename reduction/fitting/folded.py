"""Data beside the folded model in groups of channels: rates, their errors, background and residuals, for a plot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reduction.fitting.spectrum import FitData
from reduction.responses.grid import Floats


@dataclass(frozen=True)
class FoldedBins:
    """One spectrum beside a model, in groups of channels, shape (groups,) each.

    `source` is the counts of the model alone, `statistic` the part of each group; None where there is none.
    """

    data: FitData
    source: Floats
    statistic: Floats | None = None

    @property
    def name(self) -> str:
        """The name of the spectrum."""
        return self.data.name

    @property
    def background(self) -> Floats:
        """Counts of the background in the region of the source: those of its own region, scaled."""
        return self.data.observed.ratio * self.data.observed.background

    @property
    def rate_per_kev(self) -> Floats:
        """Net counts/s/keV."""
        return self.data.observed.net / self._divisor

    @property
    def error_per_kev(self) -> Floats:
        """Error of the rate, counts/s/keV: that of S counts and a background of B counts scaled by a is the square root
        of S + a^2 B, with 1 for a group without counts."""
        seen = self.data.observed
        return np.sqrt(np.maximum(seen.counts, 1) + seen.ratio**2 * seen.background) / self._divisor

    @property
    def background_per_kev(self) -> Floats:
        """Scaled background, counts/s/keV."""
        return self.background / self._divisor

    @property
    def model_per_kev(self) -> Floats:
        """Folded model, counts/s/keV."""
        return self.source / self._divisor

    @property
    def residual_sigma(self) -> Floats:
        """Net counts less the model, over the error that the model expects: of m counts of the model and a background
        of B counts scaled by a it is the square root of m + a B + a^2 B."""
        seen = self.data.observed
        variance = np.maximum(self.source, 0) + seen.ratio * (1 + seen.ratio) * seen.background
        error = np.sqrt(np.where(variance > 0, variance, 1.0))
        return np.asarray((seen.net - self.source) / error, dtype=np.float64)

    @property
    def _divisor(self) -> Floats:
        width = np.maximum(self.data.high_kev - self.data.low_kev, 1e-9)
        return np.asarray(max(self.data.spectrum.exposure_s, 1e-9) * width, dtype=np.float64)
