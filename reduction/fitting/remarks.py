"""What is to be told about a fit, as sentences: no result, a poor fit, parameters at limits or not determined."""

from __future__ import annotations

from collections.abc import Iterator

from reduction.fitting.judgement import POOR, expectation
from reduction.fitting.result import FitResult, Fitted
from reduction.fitting.spectrum import FitData

FEW_COUNTS = 10.0
"""Counts of a group below which chi-squared is biased by more than some percent."""


def of(result: FitResult, words: str = "") -> Iterator[str]:
    """Yield what is to be told about a fit, the most important first.

    Parameters
    ----------
    result
        What was found.
    words
        Why the search found no minimum, where it did not.

    Yields
    ------
    str
        Sentences.
    """
    if not result.converged:
        yield (f"The fit did not converge: {words or 'no minimum was found'}. The values are where the search ended, "
               "and no result; try other starting values, freeze a parameter, or take a simpler model.")  # fmt: skip
    else:
        yield from _quality(result)
    yield from _undetermined(result)
    for each in result.parameters:
        yield from _limits(each)
    yield from _of_data(result)


def _quality(result: FitResult) -> Iterator[str]:
    expected = expectation(result.statistic_name, result.datasets, result.free)
    if expected.deviations(result.statistic) > POOR:
        yield (f"Poor fit: {result.statistic_name} is {result.statistic:.1f} for {result.dof} degrees of freedom, "
               f"where {expected.mean:.0f} +- {expected.deviation:.0f} is expected of a right model: this one does "
               "not describe the spectrum, and its errors are too small.")  # fmt: skip


def _undetermined(result: FitResult) -> Iterator[str]:
    names = [each.name for each in result.parameters if each.degenerate]
    if len(names) == 1:
        yield f"The data do not determine {names[0]}: freeze it, or leave its component out."
    elif names:
        yield (f"The data do not determine {', '.join(names)}, or only one together with another (degenerate): freeze "
               "or tie some of them.")  # fmt: skip


def _limits(each: Fitted) -> Iterator[str]:
    parameter = each.parameter
    unit = f" {parameter.unit}" if parameter.unit else ""
    if each.limit:
        bound = parameter.min if each.limit == "min" else parameter.max
        side, error = ("lower", each.error_high) if each.limit == "min" else ("upper", each.error_low)
        rest = "" if error is None else (f"; the {'upper' if side == 'lower' else 'lower'} end of its interval is "
                                         f"{each.value + (error if side == 'lower' else -error):.4g}")  # fmt: skip
        yield f"{each.name} ran into its {side} limit, {bound:g}{unit}{rest}."
    ends = [end for end in each.beyond if {"min": "lower", "max": "upper"}.get(each.limit) != end]
    if ends:
        yield (f"The {' and the '.join(ends)} end of the interval of {each.name} {'lies' if len(ends) == 1 else 'lie'} "
               f"beyond its limit: {parameter.min:g} to {parameter.max:g}{unit} are allowed.")  # fmt: skip


def _of_data(result: FitResult) -> Iterator[str]:
    for fitted in result.datasets:
        yield from fitted.data.spectrum.messages
        net, low, high = fitted.data.observed.net.sum(), fitted.data.low_kev.min(), fitted.data.high_kev.max()
        if net < 0:
            yield (f"{fitted.data.name} has {net:.4g} net counts between {low:.3g} and {high:.3g} keV: there is no "
                   "source to fit, only an upper limit.")  # fmt: skip
        yield from _STATISTICS[result.statistic_name](fitted.data)


def _of_wstat(data: FitData) -> Iterator[str]:
    none = int((data.observed.background == 0).sum())
    if not data.has_background:
        yield f"{data.name} has no background: W is C for it."
    elif none:
        yield (f"{none} of {data.size} groups of {data.name} have no background counts: W takes their background as 0 "
               "or nearly so, which biases the model upwards; group until each has some.")  # fmt: skip


def _of_cstat(data: FitData) -> Iterator[str]:
    if data.has_background:
        yield (f"C leaves the background of {data.name} out: its counts are fitted as if all were the source's; take "
               "wstat, or add a model of the background.")  # fmt: skip


def _of_chi2(data: FitData) -> Iterator[str]:
    few = int((data.observed.counts < FEW_COUNTS).sum())
    if few:
        yield (f"{few} of {data.size} groups of {data.name} have fewer than {FEW_COUNTS:.0f} counts: chi-squared is "
               "biased there; take wstat or cstat, or group more.")  # fmt: skip


_STATISTICS = {"wstat": _of_wstat, "cstat": _of_cstat, "chi2": _of_chi2, "chi2gehrels": _of_chi2}
