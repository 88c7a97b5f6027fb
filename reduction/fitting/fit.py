"""The fit of a model to spectra: checked, minimised, with the errors of its parameters and what is to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting import remarks
from reduction.fitting.expression import Model
from reduction.fitting.intervals import DeeperMinimum, End, ends, rise_of, shape_of
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.minimise import Minimum, Optimiser, optimiser_named
from reduction.fitting.parameters import Parameter, Setting, apply
from reduction.fitting.result import FitResult, Fitted, FittedData
from reduction.fitting.scoring import DEGENERATE
from reduction.fitting.spectrum import FitData
from reduction.fitting.starts import starts
from reduction.fitting.statistics import profiled_background, statistic_named
from reduction.responses.grid import Floats

CROSSNORM = "crossnorm"
"""Name of the factor of a dataset, with its number behind it: ``crossnorm2`` for the second."""

ONE_SIGMA = 0.6826894921370859
"""Probability within one standard deviation."""

MOST_RESTARTS = 5
"""Most times that a fit begins again because its errors led to a deeper minimum."""


def parameters_of(model: Model, datasets: Sequence[object]) -> tuple[Parameter, ...]:
    """Return the parameters of a fit: those of the model, and a factor for each dataset but the first."""
    what = "counts of this spectrum against those of the first"
    factors = (Parameter(f"{CROSSNORM}{number}", 1.0, 0.01, 100.0, description=what)
               for number in range(2, len(datasets) + 1))  # fmt: skip
    return (*model.parameters, *factors)


def fit(
    datasets: Sequence[FitData],
    model: Model,
    *,
    statistic: str = "wstat",
    parameters: Mapping[str, Setting] | None = None,
    optimiser: str = "migrad",
    confidence: float | None = ONE_SIGMA,
    parameter: str = "spectrum",
) -> FitResult:
    """Fit a model to one spectrum, or to several at once.

    Parameters
    ----------
    datasets
        What is fitted, from `SpectralData.select`.
    model
        The model, from `parse_model`.
    statistic
        cstat, wstat, chi2 or chi2gehrels: see `statistics`.
    parameters
        What is asked of parameters by name, also of the factors ``crossnorm2`` ... of further datasets. The search
        begins at the values that are given; for other parameters several are tried.
    optimiser
        migrad, scoring or simplex: see `minimise`.
    confidence
        Probability of the intervals of the parameters; None for no intervals.
    parameter
        Job parameter of the spectra, named in errors.

    Returns
    -------
    FitResult
        What was found. Look at `converged` first.

    Raises
    ------
    ReductionError
        There are no data, a parameter is none of the model or lies outside of its limits, none is free, the statistic
        does not suit the data, or there are not more groups than free parameters.
    """
    statistic_named(statistic)
    search = optimiser_named(optimiser)
    rise = None if confidence is None else rise_of(confidence)
    likelihood = _checked(datasets, model, statistic.strip().lower(), parameters or {}, parameter)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far from a minimum counts may have no number
        return _searched(likelihood, search, rise, parameters or {}, ONE_SIGMA if confidence is None else confidence)


def _searched(
    likelihood: Likelihood, search: Optimiser, rise: float | None, settings: Mapping[str, Setting], confidence: float
) -> FitResult:
    chosen = frozenset(name.lower() for name, each in settings.items() if each.value is not None)
    chosen_names = frozenset(each.name for each in likelihood.parameters if each.name.lower() in chosen)
    found = search(likelihood, starts(likelihood, chosen_names))
    for _ in range(MOST_RESTARTS):
        try:
            intervals = _intervals(likelihood, found, rise)
            break
        except DeeperMinimum as deeper:
            found = search(likelihood, [deeper.values])
    else:
        found = replace(found, converged=False, words="each search of errors leads to a deeper minimum")
        intervals = _Intervals({}, None, np.zeros(found.values.size, dtype=np.bool_))
    return _result(likelihood, found, intervals, confidence)


def _checked(
    datasets: Sequence[FitData], model: Model, statistic: str, settings: Mapping[str, Setting], parameter: str
) -> Likelihood:
    """Return the statistic to be minimised. Raise ReductionError if there is nothing to fit."""
    if not datasets:
        raise ReductionError("there is no spectrum to fit; give one or more", parameter)
    asked = apply(parameters_of(model, datasets), settings)
    likelihood = Likelihood.of(datasets, model, asked, statistic)
    bins, free = sum(data.size for data in datasets), len(likelihood.free)
    if not free:
        raise ReductionError(f"all parameters of {model.expression} are frozen or tied; leave one free, or fold the "
                             "model as it is", "parameters")  # fmt: skip
    if bins <= free:
        raise ReductionError(f"{bins} groups of channels leave no degrees of freedom for {free} free parameters; "
                             "freeze some, widen the range of energy, or group less", parameter)  # fmt: skip
    for data in datasets:
        if not data.observed.counts.any() and not data.observed.background.any():
            raise ReductionError(f"{data.name} has no counts in the range of energy that is fitted", parameter)
    return likelihood


@dataclass(frozen=True)
class _Intervals:
    """Ends by index of the free parameter, the covariance, and which of them the data do not determine."""

    ends: Mapping[int, tuple[End, End]]
    covariance: Floats | None
    degenerate: np.ndarray


def _intervals(likelihood: Likelihood, found: Minimum, rise: float | None) -> _Intervals:
    """Return the intervals of all free parameters that the data determine. Raise DeeperMinimum."""
    size = found.values.size
    degenerate = undetermined(likelihood, found) if found.converged else np.zeros(size, dtype=np.bool_)
    if not found.converged:
        return _Intervals({}, None, degenerate)
    shape = shape_of(likelihood, found)
    searched = [index for index in range(size) if rise is not None and not degenerate[index]]
    return _Intervals({index: ends(likelihood, found, shape, index, rise or 1.0) for index in searched},
                      None if degenerate.any() else shape.covariance, degenerate)  # fmt: skip


def undetermined(likelihood: Likelihood, found: Minimum) -> np.ndarray:
    """Return which free parameters the data do not determine, shape (free,): alone, or only together with others.

    A parameter is not determined if its error, all others held, is wider than its limits, or if it has a share in a
    direction in which the statistic does not change.
    """
    low, high = likelihood.limits
    diagonal = np.diag(found.slopes.curvature)
    flat = ~(diagonal > 0) | (np.sqrt(2 / np.where(diagonal > 0, diagonal, 1.0)) > high - low)
    rest = np.flatnonzero(~flat)
    if rest.size:
        root = np.sqrt(diagonal[rest])
        values, vectors = np.linalg.eigh(found.slopes.curvature[np.ix_(rest, rest)] / np.outer(root, root))
        for value, vector in zip(values, vectors.T, strict=True):
            if value < DEGENERATE:
                flat[rest[np.abs(vector) > 0.1]] = True
    return flat


def _result(likelihood: Likelihood, found: Minimum, intervals: _Intervals, confidence: float) -> FitResult:
    values = likelihood.full(found.values)
    fitted = [Fitted(replace(each, value=value), value)
              for each, value in zip(likelihood.parameters, values, strict=True)]  # fmt: skip
    for place, index in enumerate(likelihood.free):
        fitted[index] = _fitted(fitted[index], found, place, intervals)
    own = tuple(each.parameter for each in fitted[: len(likelihood.model.parameters)])
    result = FitResult(
        model=replace(likelihood.model, parameters=own), parameters=tuple(fitted),
        statistic_name=likelihood.statistic, statistic=found.statistic,
        bins=sum(data.size for data in likelihood.datasets), free=len(likelihood.free), converged=found.converged,
        datasets=_folded(likelihood, found), covariance=intervals.covariance, confidence=confidence,
        evaluations=likelihood.evaluations.number,
    )  # fmt: skip
    return replace(result, messages=tuple(remarks.of(result, found.words)))


def _fitted(fitted: Fitted, found: Minimum, place: int, intervals: _Intervals) -> Fitted:
    """Return a free parameter with its errors, the limit it ran into, and whether the data determine it."""
    parameter, near = fitted.parameter, 1e-3 * found.scale[place]
    limit = "min" if fitted.value - parameter.min <= near else "max" if parameter.max - fitted.value <= near else ""
    lower, upper = intervals.ends.get(place, (End(None), End(None)))
    beyond = tuple(word for word, end in (("lower", lower), ("upper", upper)) if end.is_beyond_limit)
    return replace(fitted, error_low=lower.distance, error_high=upper.distance, limit=limit if found.converged else "",
                   degenerate=bool(intervals.degenerate[place]), beyond=beyond)  # fmt: skip


def _folded(likelihood: Likelihood, found: Minimum) -> tuple[FittedData, ...]:
    counts = likelihood.counts(found.values)
    terms = likelihood.terms(counts)
    norms = likelihood.norms(likelihood.full(found.values))
    behind = [background_of(likelihood.statistic, data, source)
              for data, source in zip(likelihood.datasets, counts, strict=True)]  # fmt: skip
    return tuple(FittedData(*each) for each in zip(likelihood.datasets, counts, behind, terms, norms, strict=True))


def background_of(statistic: str, data: FitData, source: Floats) -> Floats:
    """Return the counts of the background in the source's region as a statistic has them.

    Parameters
    ----------
    statistic
        Its name: W has the background that makes both spectra most likely (Wachter et al. 1979), C has none.
    data
        The spectrum and its background in groups.
    source
        Counts of the model of the source, shape (groups,).

    Returns
    -------
    Counts, shape (groups,).
    """
    observed = data.observed
    if statistic == "wstat":
        return observed.ratio * profiled_background(observed, source)
    return np.zeros(source.size) if statistic == "cstat" else observed.ratio * observed.background
