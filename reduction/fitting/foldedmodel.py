"""A model beside spectra with the values of its parameters as they are, before anything is fitted.

Texts are those of a form or of a job's parameters: what is wrong with one is told by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.expression import parse_model
from reduction.fitting.fit import parameters_of
from reduction.fitting.folded import FoldedBins
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.parameters import Parameter, apply
from reduction.fitting.parametertable import read_table
from reduction.fitting.spectrum import FitData, SpectralData
from reduction.fitting.statistics import statistic_named
from reduction.fitting.tables import configured
from reduction.spectra.groupings import ChannelGrouping

OF_FILE = "file"
"""The grouping that a spectrum's own file says."""

AUTO = "auto"


@dataclass(frozen=True)
class FoldedModel:
    """A model with its values beside the data of each spectrum, and the statistic of all of them.

    `parameters` are those of the model, then the factor of each further spectrum; `messages` are what is to be told of
    the spectra.
    """

    expression: str
    parameters: tuple[Parameter, ...]
    bins: tuple[FoldedBins, ...]
    statistic_name: str
    statistic: float
    messages: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of groups of channels."""
        return sum(one.data.size for one in self.bins)

    @property
    def dof(self) -> int:
        """Degrees of freedom that a fit of the model would have."""
        return self.size - sum(each.is_free for each in self.parameters)


def choose(
    spectra: Sequence[SpectralData], energy: str, grouping: str, min_counts: str, min_snr: str
) -> tuple[FitData, ...]:
    """Return the channels of spectra that are fitted.

    Parameters
    ----------
    spectra
        The spectra.
    energy
        Lowest and highest energy in keV, as text.
    grouping
        The kind of grouping: file, or one of those of `ChannelGrouping`.
    min_counts
        What the kind mincounts takes, as text.
    min_snr
        What the kind snr takes, as text.

    Returns
    -------
    tuple of FitData
        The chosen channels of each spectrum.

    Raises
    ------
    ReductionError
        A text is no such choice, or a spectrum has no such channel.
    """
    low, high = _energies(energy)
    wanted = asked_grouping(grouping, min_counts, min_snr)
    return tuple(spectrum.select(low, high, wanted) for spectrum in spectra)


def asked_grouping(kind: str, min_counts: str, min_snr: str) -> ChannelGrouping | None:
    """Return a grouping of channels.

    Parameters
    ----------
    kind
        file, or one of the kinds of `ChannelGrouping`.
    min_counts
        Least counts of a group, as text.
    min_snr
        Least signal to noise of a group, as text.

    Returns
    -------
    ChannelGrouping or None
        None for the grouping of the file.

    Raises
    ------
    ReductionError
        There is no such kind, or a text is no number.
    """
    if kind.strip().lower() == OF_FILE:
        return None
    counts, signal = _number(min_counts, "min_counts"), _number(min_snr, "min_snr")
    if counts != int(counts):
        raise ReductionError(f"{counts:g} came; a whole number is allowed", "min_counts")
    return ChannelGrouping(kind.strip().lower(), int(counts), signal)


def statistic_of(name: str, data: Sequence[FitData]) -> str:
    """Return the name of a statistic; for auto wstat where a background was measured, else cstat."""
    word = name.strip().lower()
    if word == AUTO:
        return "wstat" if any(one.has_background for one in data) else "cstat"
    statistic_named(word)
    return word


def folded_model(
    data: Sequence[FitData], expression: str, table: str, statistic: str = AUTO, abundance: str = "wilm"
) -> FoldedModel:
    """Fold a model into spectra, with its parameters as a table has them.

    Parameters
    ----------
    data
        The chosen channels of each spectrum.
    expression
        The model.
    table
        Its parameters as text.
    statistic
        The name of a statistic, or auto.
    abundance
        The abundances of absorption.

    Returns
    -------
    FoldedModel
        Data and model in groups of channels.

    Raises
    ------
    ReductionError
        The model, its table, the statistic or the abundances are none, or the model has no finite value.
    """
    model = parse_model(expression, configured(abundance))
    parameters = apply(parameters_of(model, data), read_table(table))
    likelihood = Likelihood.of(data, model, parameters, statistic_of(statistic, data))
    with np.errstate(all="ignore"):
        counts = likelihood.counts(likelihood.start)
        if not all(np.isfinite(of_one).all() for of_one in counts):
            raise ReductionError("the model has no finite value with these parameters", "parameters")
        terms = likelihood.terms(counts)
    bins = tuple(FoldedBins(*each) for each in zip(data, counts, terms, strict=True))
    messages = tuple(text for one in data for text in one.spectrum.messages)
    total = float(sum(term.sum() for term in terms))
    return FoldedModel(expression.strip(), parameters, bins, likelihood.statistic, total, messages)


def _energies(text: str) -> tuple[float, float]:
    words = text.replace(",", " ").replace("..", " ").split()
    if len(words) != 2:
        raise ReductionError(f"{text[:40]!r} came; the lowest and the highest energy in keV are allowed", "energy")
    low, high = (_number(word, "energy") for word in words)
    return low, high


def _number(text: str, parameter: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise ReductionError(f"{text[:40]!r} came; a number is allowed", parameter)
    return found
