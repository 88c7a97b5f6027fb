"""Goodness by simulation: whether spectra drawn from the best model fit it as badly as the observed ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reduction.fitting.contours import likelihood_of, scale_of
from reduction.fitting.result import FitResult, FittedData
from reduction.fitting.scoring import descend
from reduction.fitting.spectrum import FitData
from reduction.fitting.statistics import Observed
from reduction.responses.grid import Floats

_SEED: Final = 20261129


@dataclass(frozen=True)
class Goodness:
    """The statistics of simulated spectra, shape (simulations,), and that of the observed ones."""

    statistics: Floats
    observed: float

    @property
    def below(self) -> float:
        """The part of the simulations that fit better: near 1 the model is not likely, near 0 errors are too large."""
        return float(np.mean(self.statistics < self.observed))

    @property
    def sentence(self) -> str:
        """What it says of the model."""
        number, percent = self.statistics.size, 100 * self.below
        found = f"{percent:.1f} % of {number} simulated spectra fit better than the observed ones"
        if percent >= 99:
            return f"{found}: the model does not describe them"
        if percent <= 1:
            return f"{found}: the fit is better than chance allows; are bins or errors right?"
        return f"{found}: the model is as likely as that"


def goodness(result: FitResult, number: int, seed: int = _SEED) -> Goodness:
    """Simulate spectra from the best model of a fit and fit each anew.

    Parameters
    ----------
    result
        A fit that converged.
    number
        How many times all of its spectra are drawn.
    seed
        Of the random numbers: the same gives the same.

    Returns
    -------
    Goodness
        Counts of source and background are drawn from Poisson distributions around what the fit expects. Because each
        simulation is fitted anew, as the observed spectra were, the part of better ones is even between 0 and 1 for a
        model that is right.
    """
    draw, likelihood = np.random.default_rng(seed), likelihood_of(result)
    scale = scale_of(likelihood, result)
    everything = range(likelihood.start.size)
    found = []
    with np.errstate(all="ignore"):
        for _ in range(number):
            drawn = replace(likelihood, datasets=tuple(_drawn(each, draw) for each in result.datasets))
            if likelihood.start.size:
                found.append(descend(drawn, likelihood.start, scale, everything).statistic)
            else:
                found.append(drawn(likelihood.start))
    return Goodness(np.array(found), result.statistic)


def _drawn(fitted: FittedData, draw: np.random.Generator) -> FitData:
    """Return a spectrum with other counts, drawn around what the model and the background expect."""
    seen = fitted.data.observed
    behind = np.divide(fitted.background, seen.ratio, out=seen.background.astype(float), where=seen.ratio > 0)
    counts = draw.poisson(np.maximum(fitted.total, 0)).astype(float)
    background = draw.poisson(np.maximum(behind, 0)).astype(float) if seen.background.any() else seen.background
    return replace(fitted.data, observed=Observed(counts, background, seen.ratio))


def quantiles(goodness: Goodness, parts: Sequence[float] = (0.05, 0.5, 0.95)) -> list[float]:
    """Return quantiles of the statistics of the simulations."""
    return [float(each) for each in np.quantile(goodness.statistics, parts)]
