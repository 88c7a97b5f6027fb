"""Values of the parameters drawn from the posterior, by an ensemble of walkers; flat priors within the limits.

Two kinds of moves take turns by chance. The stretch move needs no width to be chosen and is as good for parameters that
depend on each other as for others (Goodman and Weare 2010, Comm. App. Math. Comp. Sci. 5, 65; XSPEC's `chain` draws so,
too). A jump goes to a draw from Student's distribution around the best values, as wide as the covariance of the fit
says, wherever the walker was: near a posterior that is about normal nearly all draws are independent of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.contours import likelihood_of
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.result import FitResult
from reduction.responses.grid import Floats

PARAMETER: Final = "posterior"
_STRETCH: Final = 2.0
_DEGREES: Final = 5
"""Degrees of freedom of Student's distribution: its tails are longer than those of most posteriors."""

_WIDER: Final = 1.1
_JUMPS: Final = 0.5
"""Part of the moves that are jumps."""

_LEAST_WALKERS: Final = 20
_BURN: Final = 0.25
"""Part of the steps that is left out at the beginning."""

_SEED: Final = 20261129
_SPREAD: Final = 0.3
"""Width of the walkers' beginning, in errors."""


@dataclass(frozen=True)
class Posterior:
    """Draws of the free parameters: `names`, `values` of the shape (draws, free), the `statistics` of each.

    `accepted` is the part of the moves that were made, `independent` about how many independent draws they are worth.
    """

    names: tuple[str, ...]
    values: Floats
    statistics: Floats
    accepted: float
    independent: float

    def interval(self, name: str, confidence: float) -> tuple[float, float, float]:
        """Return median, lower and upper end of the central interval of a parameter."""
        tail = (1 - confidence) / 2
        low, middle, high = np.quantile(self.values[:, self.names.index(name)], [tail, 0.5, 1 - tail])
        return float(middle), float(low), float(high)


def draw(result: FitResult, number: int, seed: int = _SEED) -> Posterior:
    """Draw values of the free parameters from the posterior.

    Parameters
    ----------
    result
        A fit that converged, with a covariance.
    number
        How many draws are kept, at least.
    seed
        Of the random numbers: the same gives the same.

    Returns
    -------
    Posterior
        The draws; a quarter of the steps before them is thrown away.

    Raises
    ------
    ReductionError
        The fit has no free parameter or no covariance, so that there is nowhere to begin.
    """
    if result.covariance is None or not result.free_names:
        raise ReductionError("the fit has no covariance to begin with: its parameters are frozen or not determined "
                             "by the data; freeze the latter, or ask for no posterior", PARAMETER)  # fmt: skip
    likelihood, random = likelihood_of(result), np.random.default_rng(seed)
    walkers = max(_LEAST_WALKERS, 4 * len(result.free_names))
    kept = -(-number // walkers)
    around = _Around(likelihood.start, np.asarray(np.linalg.cholesky(result.covariance) * _WIDER, dtype=np.float64))
    with np.errstate(all="ignore"):
        begin = _begin(likelihood, result, walkers, random)
        chain, heights, accepted = _walk(likelihood, around, begin, kept, random)
    values = chain.reshape(-1, chain.shape[2])
    return Posterior(result.free_names, values, heights.reshape(-1), accepted, values.shape[0] / _memory(chain))


def _begin(likelihood: Likelihood, result: FitResult, walkers: int, random: np.random.Generator) -> Floats:
    """Return where the walkers begin: around the best values, within the limits, shape (walkers, free)."""
    low, high = likelihood.limits
    assert result.covariance is not None
    around = random.multivariate_normal(likelihood.start, _SPREAD**2 * result.covariance, walkers, method="eigh")
    room = 1e-9 * np.minimum(high - low, np.sqrt(np.diag(result.covariance)))
    return np.clip(around, low + room * random.random((walkers, 1)), high - room * random.random((walkers, 1)))


@dataclass(frozen=True)
class _Around:
    """Student's distribution around a place: its middle, shape (n,), and the root of its width, shape (n, n)."""

    middle: Floats
    root: Floats

    def draw(self, number: int, random: np.random.Generator) -> Floats:
        """Return draws, shape (number, n)."""
        normal = random.standard_normal((number, self.middle.size)) @ self.root.T
        return self.middle + normal / np.sqrt(random.chisquare(_DEGREES, (number, 1)) / _DEGREES)

    def log_density(self, values: Floats) -> Floats:
        """Return the logarithm of the density, but for a constant, shape (m,) for values of the shape (m, n)."""
        away = np.linalg.solve(self.root, (values - self.middle).T)
        size = self.middle.size
        return np.asarray(-0.5 * (_DEGREES + size) * np.log1p((away**2).sum(axis=0) / _DEGREES), dtype=np.float64)


def _walk(
    likelihood: Likelihood, around: _Around, walkers: Floats, kept: int, random: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """Move the walkers, and return their places, shape (kept, walkers, free), the statistics there, and the part of
    moves that were made."""
    burned = max(20, int(kept * _BURN / (1 - _BURN)))
    heights = np.array([_height(likelihood, walker) for walker in walkers])
    chain, statistics, made = [], [], 0
    half = walkers.shape[0] // 2
    for step in range(burned + kept):
        for mine, others in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
            if random.random() < _JUMPS:
                tried, gain = _jump(around, walkers[mine], random)
            else:
                tried, gain = _stretch(walkers[mine], walkers[others], random)
            moved = _move(likelihood, (walkers[mine], heights[mine]), tried, gain, random)
            made += moved if step >= burned else 0
        if step >= burned:
            chain.append(walkers.copy())
            statistics.append(heights.copy())
    return np.array(chain), np.array(statistics), made / (kept * walkers.shape[0])


def _jump(around: _Around, here: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return places to jump to, and by how much they are less likely to be proposed than those of now (logarithm)."""
    tried = around.draw(len(here), random)
    return tried, around.log_density(here) - around.log_density(tried)


def _stretch(here: Floats, there: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return places along lines to walkers of the other half, and the logarithm of what their volumes are worth."""
    partners = there[random.integers(len(there), size=len(here))]
    factor = ((_STRETCH - 1) * random.random(len(here)) + 1) ** 2 / _STRETCH
    return partners + factor[:, None] * (here - partners), (here.shape[1] - 1) * np.log(factor)


def _move(
    likelihood: Likelihood, mine: tuple[Floats, Floats], tried: Floats, gain: Floats, random: np.random.Generator
) -> int:
    """Move walkers to places that are tried, as often as they are likely, and return how many moved.

    `mine` are places and statistics of the walkers, which are changed.
    """
    places, heights = mine
    new = np.array([_height(likelihood, walker) for walker in tried])
    taken = np.log(random.random(len(places))) < gain - 0.5 * (new - heights)
    places[taken], heights[taken] = tried[taken], new[taken]
    return int(taken.sum())


def _height(likelihood: Likelihood, values: Floats) -> float:
    """Return the statistic, infinite outside of the limits."""
    low, high = likelihood.limits
    if (values < low).any() or (values > high).any():
        return float("inf")
    found = likelihood(values)
    return found if np.isfinite(found) else float("inf")


def _memory(chain: Floats) -> float:
    """Return the longest autocorrelation time of the walkers' mean autocorrelation, in steps.

    It is summed up to five times itself (Sokal's window), of each parameter.
    """
    steps = chain.shape[0]
    centred = chain - chain.mean(axis=(0, 1))
    size = 2 ** (2 * steps - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    correlation = np.fft.irfft(spectrum, size, axis=0)[:steps].mean(axis=1)
    correlation = correlation / np.maximum(correlation[:1], 1e-300)
    times = 2 * np.cumsum(correlation, axis=0) - 1
    window = np.argmax(np.arange(steps)[:, None] >= 5 * times, axis=0)
    window = np.where(window == 0, steps - 1, window)
    return float(max(1.0, *(times[window[i], i] for i in range(times.shape[1]))))
