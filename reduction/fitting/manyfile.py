"""Many fits of one model, each of another spectrum, as one table: a row for each, also for those that failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.fitswrite import LONGSTRN, PRIMARY, TableColumn
from reduction.fitting.columnvalues import floats, texts
from reduction.fitting.fluxes import Flux
from reduction.fitting.outcome import errors_text, statistic_text
from reduction.fitting.result import FitResult, Fitted


@dataclass(frozen=True)
class OneOfMany:
    """The fit of one spectrum: its name, the result and the fluxes, or why there is none."""

    name: str
    result: FitResult | None
    fluxes: tuple[Flux, ...] = ()
    error: str = ""

    @property
    def state(self) -> str:
        """What is to be told first: the error, else the first message of the fit; empty for none."""
        if self.result is None:
            return self.error
        return self.result.messages[0] if self.result.messages else ""


def write_many(path: Path, expression: str, fits: Sequence[OneOfMany]) -> None:
    """Write many fits as table FITS, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    expression
        The model of all.
    fits
        What was found, in the order of the rows.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    cards: fitswrite.Cards = [
        *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "FITS", "fits of one model to many spectra"),
        ("EXPR1", expression, "the model"),
    ]  # fmt: skip
    table = fitswrite.table("FITS", list(_columns(fits)), cards)
    write_bytes(path, fitswrite.header(PRIMARY) + table)


def text_of(expression: str, fits: Sequence[OneOfMany]) -> str:
    """Return many fits in words: a line for each spectrum with its free parameters, and what is to be told of it."""
    lines = [f"Model: {expression}", f"{len(fits)} spectra, each fitted for itself", ""]
    for one in fits:
        lines.append(one.name)
        if one.result is not None:
            lines.append(f"  {statistic_text(one.result)}")
            lines += [f"  {each.name} = {each.value:.6g} {errors_text(each)} {each.parameter.unit}".rstrip()
                      for each in one.result.parameters if each.parameter.is_free]  # fmt: skip
            lines += [f"  {each.kind} {each.low_kev:g} to {each.high_kev:g} keV: {each.value:.4g} {each.unit}"
                      for each in one.fluxes]  # fmt: skip
            lines += [f"  * {message}" for message in one.result.messages]
        else:
            lines.append(f"  * not fitted: {one.error}")
    return "\n".join(lines) + "\n"


def _columns(fits: Sequence[OneOfMany]) -> Iterable[TableColumn]:
    results = [one.result for one in fits]
    yield TableColumn("NAME", texts(one.name for one in fits))
    yield TableColumn("CONVERGED", np.array([0 if each is None else int(each.converged) for each in results], np.int16),
                      "", "1: a minimum was found")  # fmt: skip
    yield TableColumn("STAT", floats(None if each is None else each.statistic for each in results))
    yield TableColumn("DOF", np.array([0 if each is None else each.dof for each in results], np.int32))
    yield TableColumn("COUNTS", floats(None if each is None else _counts(each) for each in results), "count")
    first = next((each for each in results if each is not None), None)
    for number, parameter in enumerate(first.parameters if first else ()):
        name = re.sub(r"\W", "_", parameter.name).upper()
        of_all = [None if each is None else each.parameters[number] for each in results]
        values, unit = floats(_of(each, "value") for each in of_all), parameter.parameter.unit
        yield TableColumn(name, values, unit, parameter.name)
        yield TableColumn(f"{name}_LO", floats(_of(each, "error_low") for each in of_all), "", "error downwards")
        yield TableColumn(f"{name}_UP", floats(_of(each, "error_high") for each in of_all), "", "error upwards")
    yield from _flux_columns(fits)
    yield TableColumn("NOTE", texts(one.state for one in fits))


def _flux_columns(fits: Sequence[OneOfMany]) -> Iterable[TableColumn]:
    kinds = next(([each.kind for each in one.fluxes] for one in fits if one.fluxes), [])
    for number, kind in enumerate(kinds):
        name = kind.upper().replace(" ", "_")
        of_all = [one.fluxes[number] if len(one.fluxes) > number else None for one in fits]
        unit = next(each.unit for each in of_all if each is not None)
        yield TableColumn(name, floats(None if each is None else each.value for each in of_all), unit)
        yield TableColumn(f"{name}_LO", floats(None if each is None else each.error_low for each in of_all), unit)
        yield TableColumn(f"{name}_UP", floats(None if each is None else each.error_high for each in of_all), unit)


def _counts(result: FitResult) -> float:
    return float(sum(each.data.observed.counts.sum() for each in result.datasets))


def _of(fitted: Fitted | None, what: str) -> float | None:
    value: float | None = None if fitted is None else getattr(fitted, what)
    return value
