"""What a job found that fits spectra: results of one or several models, and what is to be told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reduction.fitting.comparison import Compared
from reduction.fitting.confidence import chance_above
from reduction.fitting.fluxes import Flux
from reduction.fitting.goodness import Goodness
from reduction.fitting.result import FitResult, Fitted

NAMES: Final = {
    "cstat": "C statistic (Cash)", "wstat": "W statistic", "chi2": "Chi-squared",
    "chi2gehrels": "Chi-squared (Gehrels' errors)",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a job found: fits of one or several models to the same data, the fluxes of each, and what was asked beside.

    The first of `results` is the one that is drawn.
    """

    results: tuple[FitResult, ...]
    fluxes: tuple[tuple[Flux, ...], ...] = ()
    compared: tuple[Compared, ...] = ()
    goodness: Goodness | None = None
    notes: tuple[str, ...] = ()
    abundances: str = ""

    @property
    def first(self) -> FitResult:
        """The fit that is drawn."""
        return self.results[0]


def state_of(one: Fitted) -> str:
    """Return in a few words whether a parameter is free, and what became of it."""
    if one.parameter.tied:
        return f"= {one.parameter.tied}"
    if one.parameter.frozen:
        return "frozen"
    if one.degenerate:
        return "not determined"
    return f"at its {'lower' if one.limit == 'min' else 'upper'} limit" if one.limit else "free"


def statistic_text(result: FitResult) -> str:
    """Return the statistic of a fit in words."""
    name = NAMES.get(result.statistic_name, result.statistic_name)
    found = f"{name} {result.statistic:.2f} for {result.dof} degrees of freedom in {result.bins} bins"
    if not result.converged:
        return f"Not converged. {found} where the search ended"
    if result.statistic_name == "chi2":
        found += f", probability {chance_above(result.statistic, result.dof):.3g}"
    return found


def notes_of(outcome: Outcome) -> list[str]:
    """Return what is to be told of the result, each once, the most important first."""
    shared = set.intersection(*(set(result.messages) for result in outcome.results))
    notes = [text if text in shared else f"{result.model.expression}: {text}"
             for result in outcome.results for text in result.messages]  # fmt: skip
    if outcome.goodness is not None:
        notes.append(f"{outcome.goodness.sentence}.")
    return list(dict.fromkeys([*notes, *outcome.notes]))


def errors_text(one: Fitted) -> str:
    """Return the errors of a parameter in words; empty for one that is not free."""
    if not one.parameter.is_free:
        return ""
    if one.error_low is None and one.error_high is None:
        return "not found"
    low = "no lower end" if one.error_low is None else f"-{one.error_low:.3g}"
    return f"{low} / {'no upper end' if one.error_high is None else f'+{one.error_high:.3g}'}"
