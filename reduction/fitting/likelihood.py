"""The statistic of spectra as a function of the free parameters, with its slopes: what minimisers are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reduction.fitting.expression import Model
from reduction.fitting.parameters import Parameter, tie_of
from reduction.fitting.slopes import SLOPES
from reduction.fitting.spectrum import FitData
from reduction.fitting.statistics import STATISTICS
from reduction.responses.grid import Floats

STEP = 1e-6
"""Step of the differences by which the slopes of a model are had, in units of a parameter's scale."""


@dataclass
class Count:
    """How often a model was folded."""

    number: int = 0


@dataclass(frozen=True)
class Slopes:
    """The statistic at a place, its gradient, shape (n,), and the expected second derivatives, shape (n, n)."""

    statistic: float
    gradient: Floats
    curvature: Floats


@dataclass(frozen=True)
class Likelihood:
    """The statistic of datasets under a model.

    `parameters` are those of the model, and behind them a factor for each dataset but the first. All vectors `free`
    hold the free ones of them, in their order.
    """

    datasets: tuple[FitData, ...]
    model: Model
    parameters: tuple[Parameter, ...]
    statistic: str
    evaluations: Count
    photons: tuple[Callable[[Sequence[float]], Floats], ...]

    @classmethod
    def of(
        cls, datasets: Sequence[FitData], model: Model, parameters: Sequence[Parameter], statistic: str
    ) -> Likelihood:
        """Return the statistic, with the model made ready for the grids of the datasets.

        Parameters
        ----------
        datasets
            The spectra, in groups, with their responses.
        model
            The model of the photons of the source, the same for all of them.
        parameters
            Those of the model, and behind them a factor for each dataset but the first.
        statistic
            One of the names of `STATISTICS`.

        Returns
        -------
        The statistic as a function of the free parameters.
        """
        photons = tuple(model.on(data.fold.edges_kev) for data in datasets)
        return cls(tuple(datasets), model, tuple(parameters), statistic, Count(), photons)

    @cached_property
    def free(self) -> list[int]:
        """Indices of the free parameters."""
        return [index for index, each in enumerate(self.parameters) if each.is_free]

    @cached_property
    def start(self) -> Floats:
        """Values of the free parameters to begin with."""
        return np.array([self.parameters[index].value for index in self.free])

    @cached_property
    def limits(self) -> tuple[Floats, Floats]:
        """Lower and upper limits of the free parameters."""
        free = [self.parameters[index] for index in self.free]
        return np.array([each.min for each in free]), np.array([each.max for each in free])

    @cached_property
    def _ties(self) -> list[tuple[int, int, float]]:
        """The tied parameters: index, index of the other one, factor."""
        names = {each.name: index for index, each in enumerate(self.parameters)}
        ties = [(index, tie_of(each)) for index, each in enumerate(self.parameters) if each.tied]
        return [(index, names[tie.name], tie.factor) for index, tie in ties if tie is not None]

    @cached_property
    def _values(self) -> list[float]:
        return [each.value for each in self.parameters]

    def full(self, free: Sequence[float] | Floats) -> list[float]:
        """Return the values of all parameters: free ones as given, the others as they are or as they are tied."""
        values = self._values.copy()
        for index, value in zip(self.free, free, strict=True):
            values[index] = float(value)
        for index, other, factor in self._ties:
            values[index] = factor * values[other]
        return values

    def counts(self, free: Sequence[float] | Floats) -> list[Floats]:
        """Return the counts that the model gives in the groups of each dataset, without background."""
        return [data.fold(photons) for data, photons in zip(self.datasets, self._photons(free), strict=True)]

    def _photons(self, free: Sequence[float] | Floats) -> list[Floats]:
        """Return photons/cm2/s in the bins of energy of each dataset, times its factor."""
        values = self.full(free)
        self.evaluations.number += 1
        return [norm * photons(values) for norm, photons in zip(self.norms(values), self.photons, strict=True)]

    def norms(self, values: Sequence[float]) -> list[float]:
        """Return the factor of each dataset, from the values of all parameters."""
        return [1.0, *values[len(self.model.parameters) :]]

    def terms(self, counts: Sequence[Floats]) -> list[Floats]:
        """Return the statistic of each group of each dataset, of counts that a model gives."""
        rule = STATISTICS[self.statistic]
        return [rule(data.observed, model) for data, model in zip(self.datasets, counts, strict=True)]

    def __call__(self, free: Sequence[float] | Floats) -> float:
        """Return the statistic."""
        return float(sum(term.sum() for term in self.terms(self.counts(free))))

    def slopes(self, free: Floats, scale: Floats, moving: Sequence[int]) -> Slopes:
        """Return the statistic, its gradient, and the curvature that is expected (twice Fisher's information).

        Parameters
        ----------
        free
            The free parameters.
        scale
            About the error of each: steps of differences are a part of it.
        moving
            Indices in `free` of the parameters that are asked for; the others are held.

        Returns
        -------
        Slopes
            For the parameters that move.
        """
        photons = self._photons(free)
        counts = [data.fold(each) for data, each in zip(self.datasets, photons, strict=True)]
        jacobians = self._derivatives(free, photons, scale, moving)
        rule = SLOPES[self.statistic]
        value = float(sum(term.sum() for term in self.terms(counts)))
        gradient, curvature = np.zeros(len(moving)), np.zeros((len(moving), len(moving)))
        for data, model, jacobian in zip(self.datasets, counts, jacobians, strict=True):
            first, second = rule(data.observed, model)
            gradient += jacobian @ first
            curvature += (jacobian * second) @ jacobian.T
        return Slopes(value, gradient, curvature)

    def _derivatives(self, free: Floats, photons: list[Floats], scale: Floats, moving: Sequence[int]) -> list[Floats]:
        """Return the slopes of the counts of each dataset, shape (moving, groups) each.

        The differences of photons are folded, all at once: those of counts would lose digits, and reading the matrix
        takes longer than multiplying it by a few vectors more.
        """
        high = self.limits[1]
        found = [np.zeros((len(moving), each.size)) for each in photons]
        for place, index in enumerate(moving):
            step = STEP * scale[index]
            moved = free.copy()
            moved[index] += step if free[index] + step <= high[index] else -step
            width = moved[index] - free[index]
            for at, new in enumerate(self._photons(moved)):
                found[at][place] = (new - photons[at]) / width if width else 0.0
        return [data.fold(each) for data, each in zip(self.datasets, found, strict=True)]
