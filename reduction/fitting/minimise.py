"""The search for the minimum of a statistic: descents from several places, made sure by MIGRAD of MINUIT."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit

from reduction.errors import ReductionError
from reduction.fitting.likelihood import Likelihood, Slopes
from reduction.fitting.scoring import Descent, descend, guess_scale
from reduction.responses.grid import Floats

ENDLESS = 1e10
"""Upper limit from which on MINUIT is given none: it maps a range between two limits to an angle, and loses digits."""

MOST_CALLS = 3000
"""Most evaluations of MINUIT."""

SAME = 1e-3
"""Fall of the statistic that is none."""


@dataclass(frozen=True)
class Minimum:
    """Where a search ended: the free parameters, about their errors, the slopes there, and whether it is a minimum.

    `words` says why it is none.
    """

    values: Floats
    scale: Floats
    slopes: Slopes
    converged: bool
    words: str = ""

    @property
    def statistic(self) -> float:
        """The statistic there."""
        return self.slopes.statistic


Optimiser = Callable[[Likelihood, Sequence[Floats]], Minimum]
"""Searches a minimum from several places, of free parameters within their limits, the most promising one first."""


def by_migrad(likelihood: Likelihood, starts: Sequence[Floats]) -> Minimum:
    """Search by scoring, and go on with MIGRAD of MINUIT (James and Roos 1975, Comput. Phys. Commun. 10, 343)."""
    return _polished(likelihood, _lowest(likelihood, starts), lambda minuit: minuit.migrad(ncall=MOST_CALLS))


def by_simplex(likelihood: Likelihood, starts: Sequence[Floats]) -> Minimum:
    """Search by the simplex of Nelder and Mead, which needs no slopes, and go on with MIGRAD."""
    scale = guess_scale(likelihood, starts[0])
    near = Descent(starts[0], scale, likelihood.slopes(starts[0], scale, _all(likelihood)), False)
    return _polished(likelihood, near, lambda minuit: minuit.simplex(ncall=MOST_CALLS).migrad(ncall=MOST_CALLS))


def by_scoring(likelihood: Likelihood, starts: Sequence[Floats]) -> Minimum:
    """Search by Fisher's scoring alone, the quickest."""
    return _of(_lowest(likelihood, starts))


OPTIMISERS: Mapping[str, Optimiser] = {"migrad": by_migrad, "scoring": by_scoring, "simplex": by_simplex}
"""The ways to search a minimum."""


def _lowest(likelihood: Likelihood, starts: Sequence[Floats]) -> Descent:
    """Return the lowest of the places to which scoring leads."""
    found = [descend(likelihood, each, guess_scale(likelihood, each), _all(likelihood)) for each in starts]
    return min(found, key=lambda each: each.statistic if math.isfinite(each.statistic) else math.inf)


def optimiser_named(name: str, parameter: str = "optimiser") -> Optimiser:
    """Return an optimiser. Raise ReductionError, naming the job parameter, if there is none of that name."""
    found = OPTIMISERS.get(name.strip().lower())
    if found is None:
        raise ReductionError(f"{name[:40]!r} is no optimiser; write {', '.join(OPTIMISERS)}", parameter)
    return found


def _all(likelihood: Likelihood) -> range:
    return range(len(likelihood.free))


def _of(descent: Descent) -> Minimum:
    words = "" if descent.is_minimum else _words(descent.statistic)
    return Minimum(descent.values, descent.scale, descent.slopes, descent.is_minimum, words)


def _words(statistic: float) -> str:
    return "it still falls" if math.isfinite(statistic) else "it is no number there"


def _polished(likelihood: Likelihood, near: Descent, search: Callable[[Minuit], object]) -> Minimum:
    """Return where MINUIT ends from a place near a minimum; MINUIT gives up at limits, where a descent need not."""
    minuit = _minuit(likelihood, near)
    search(minuit)
    values = np.clip(np.asarray(minuit.values, dtype=np.float64), *likelihood.limits)
    if not math.isfinite(likelihood(values)) or likelihood(values) > near.statistic:
        values = near.values
    end = descend(likelihood, values, near.scale, _all(likelihood))
    return _of(end)


def _minuit(likelihood: Likelihood, near: Descent) -> Minuit:
    low, high = likelihood.limits
    names = [likelihood.parameters[index].name for index in likelihood.free]
    every = _all(likelihood)

    def gradient(free: Floats) -> Floats:
        return likelihood.slopes(np.asarray(free, dtype=np.float64), near.scale, every).gradient

    minuit = Minuit(likelihood, near.values, grad=gradient, name=names)
    minuit.errordef, minuit.strategy, minuit.print_level = Minuit.LEAST_SQUARES, 0, 0
    minuit.errors = np.minimum(near.scale, (high - low) / 4)
    minuit.limits = [(a, b if b < ENDLESS else None) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return minuit
