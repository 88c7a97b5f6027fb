"""Where a search begins: shapes that are usual, each with the norms that give about the counts that were seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np

from reduction.fitting.likelihood import Likelihood
from reduction.responses.grid import Floats

USUAL: Mapping[str, tuple[float, ...]] = {
    "PhoIndex": (1.0, 2.0, 3.5), "PhoIndx1": (1.0, 2.0), "PhoIndx2": (2.0, 3.5), "kT": (0.2, 0.8, 3.0),
    "nH": (0.05, 0.5, 3.0), "HighECut": (5.0, 20.0),
}  # fmt: skip
"""Values of parameters, by their name without the component, at which a search may begin."""

MOST_PLACES = 48
"""Most combinations of them that are looked at."""

LEAST_SHARE = 1e-3
"""Part of the counts that a component begins with at least."""


def starts(likelihood: Likelihood, chosen: frozenset[str] = frozenset()) -> list[Floats]:
    """Return the most promising places at which a search may begin.

    Parameters
    ----------
    likelihood
        The statistic.
    chosen
        Names of the parameters whose values were chosen by the user: they begin there.

    Returns
    -------
    list
        Free parameters, shape (free,) each: two places for a model of one spectrum, two more for each further one; half
        of them such that all spectra of the model have counts, so that none is lost on the way.
    """
    found: list[tuple[float, bool, Floats]] = []
    for place in _shapes(likelihood, chosen):
        values, counts, is_full = with_norms(likelihood, place, chosen)
        statistic = sum(float(term.sum()) for term in likelihood.terms(counts))
        if np.isfinite(statistic):
            found.append((statistic, is_full, values))
    found.sort(key=lambda each: each[0])
    most = len(likelihood.model.spectra)
    full = [values for _, is_full, values in found if is_full][:most]
    best = [values for _, _, values in found if not any(values is each for each in full)][:most]
    return [*best, *full] or [likelihood.start]


def _shapes(likelihood: Likelihood, chosen: frozenset[str]) -> Iterator[Floats]:
    """Yield the start of the model, and combinations of usual values of the parameters that nobody chose."""
    yield likelihood.start
    low, high = likelihood.limits
    options: list[tuple[float, ...]] = []
    count = 1
    for place, index in enumerate(likelihood.free):
        name = likelihood.parameters[index].name
        usual = tuple(value for value in USUAL.get(name.partition(".")[2], ()) if low[place] <= value <= high[place])
        if name in chosen or not usual or count * len(usual) > MOST_PLACES:
            usual = (float(likelihood.start[place]),)
        count *= len(usual)
        options.append(usual)
    if count > 1:
        for values in product(*options):
            yield np.array(values)


def with_norms(likelihood: Likelihood, values: Floats, chosen: frozenset[str]) -> tuple[Floats, list[Floats], bool]:
    """Return free parameters with the norms that give the net counts best, by least squares of the first dataset.

    Counts are linear in the norms. A norm that would be below 0 begins with a small part of the counts.

    Parameters
    ----------
    likelihood
        The statistic whose parameters they are.
    values
        The free parameters.
    chosen
        Names of the parameters whose beginning was chosen: they stay.

    Returns
    -------
    The free parameters; the counts that they give, shape (groups,) for each dataset; whether no norm would be below 0.
    """
    places = [place for place, index in enumerate(likelihood.free)
              if likelihood.parameters[index].is_norm and likelihood.parameters[index].name not in chosen]  # fmt: skip
    if not places:
        return values, likelihood.counts(values), True
    alone = len(places) == len(likelihood.model.spectra)
    none = values.copy()
    none[places] = 0.0
    rest = [np.zeros(data.size) for data in likelihood.datasets] if alone else likelihood.counts(none)
    parts = [_with_norm(likelihood, none, place, rest) for place in places]
    observed = likelihood.datasets[0].observed
    matrix, weight = (
        np.array([part[0] for part in parts]).T,
        1 / np.sqrt(np.maximum(observed.counts + observed.ratio, 1)),
    )
    totals = matrix.sum(axis=0)
    if not (np.isfinite(matrix).all() and (totals > 0).all()):
        return values, likelihood.counts(values), False
    scaled = matrix / totals * weight[:, None]
    counts = np.linalg.lstsq(scaled, (observed.net - rest[0]) * weight, rcond=1e-10)[0]
    least = LEAST_SHARE * max(float(observed.net.sum()), 1.0)
    low, high = likelihood.limits
    new = values.copy()
    new[places] = np.clip(np.maximum(counts, least) / totals, low[places], high[places])
    full = [rest[at] + sum(new[place] * part[at] for place, part in zip(places, parts, strict=True))
            for at in range(len(rest))]  # fmt: skip
    return new, full, bool((counts > least).all())


def _with_norm(likelihood: Likelihood, none: Floats, place: int, rest: list[Floats]) -> list[Floats]:
    """Return the counts of one spectrum of the model with the norm 1, of each dataset."""
    one = none.copy()
    one[place] = 1.0
    return [counts - other for counts, other in zip(likelihood.counts(one), rest, strict=True)]
