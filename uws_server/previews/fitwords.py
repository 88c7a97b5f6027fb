"""Reads the result of a fit for what a page tells beside its plot: parameters, fluxes, comparison of models, notes.

Imports the readers of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from uws_server.previews.tablerows import read_table

Floats = npt.NDArray[np.float64]

MOST_ROWS: Final = 200
"""The most rows of a table that a page shows."""


@dataclass(frozen=True)
class FittedParameter:
    """A row of the table of parameters, as texts: `range` is what was allowed, `state` free, frozen, tied, at a limit.

    `model` is the number of the model, from 1, of several that were fitted.
    """

    model: int
    name: str
    value: str
    errors: str
    unit: str
    range: str
    state: str


@dataclass(frozen=True)
class FittedFlux:
    """A row of the table of fluxes and luminosities, as texts: `upper` is the upper limit of 95 %."""

    model: int
    kind: str
    energies: str
    value: str
    errors: str
    upper: str
    unit: str


@dataclass(frozen=True)
class ComparedModel:
    """A row of the table that compares models, as texts; `aic_above` and `bic_above` are above those of the best."""

    expression: str
    statistic: str
    dof: str
    aic: str
    aic_above: str
    bic: str
    bic_above: str
    weight: str


@dataclass(frozen=True)
class FitShown:
    """The result of a fit as a page shows it: the models, the statistic in words, what to be careful of, the
    parameters, the confidence of errors ('' where it is not told), the fluxes, the comparison of several models.
    """

    models: tuple[str, ...]
    statistic: str
    notes: tuple[str, ...]
    parameters: tuple[FittedParameter, ...]
    confidence: str = ""
    fluxes: tuple[FittedFlux, ...] = ()
    compared: tuple[ComparedModel, ...] = ()


def read(path: Path, hdus: Sequence[Hdu]) -> FitShown:
    """Return what is told of a fit. Raise NoPreview if a table cannot be read, StopIteration if none has parameters."""
    hdu = next(hdu for hdu in hdus if hdu.name == "PARAMETERS")
    cards = Cards(hdu.cards)
    level = cards.number("CLEVEL")
    confidence = f"{100 * level:.3g} %" if level is not None and 0 < level < 1 else ""
    fluxes, compared = (next((hdu for hdu in hdus if hdu.name == name and hdu.is_table), None)
                        for name in ("FLUXES", "COMPARED"))  # fmt: skip
    return FitShown(
        _listed(cards, "EXPR"), cards.text("STATTEXT"), _listed(cards, "NOTE"), _parameters(path, hdu), confidence,
        () if fluxes is None else _fluxes(path, fluxes), () if compared is None else _compared(path, compared),
    )  # fmt: skip


def texts_of(columns: Mapping[str, Column], name: str, rows: Rows) -> list[str]:
    """Return the texts of a column, of printable ASCII; empty ones where it is absent or none of texts."""
    if name not in columns or columns[name].letter != "A":
        return [""] * len(rows)
    texts = columns[name].stored(rows).tolist()
    return ["".join(letter for letter in text.decode("ascii", "replace").strip() if letter.isprintable())
            if isinstance(text, bytes) else "" for text in texts]  # fmt: skip


def _parameters(path: Path, hdu: Hdu) -> tuple[FittedParameter, ...]:
    columns, rows = read_table(path, hdu)
    rows = rows[:MOST_ROWS]
    names, units, states = (texts_of(columns, name, rows) for name in ("NAME", "UNIT", "STATE"))
    numbers = {name: _numbers(columns, name, rows) for name in ("MODEL", "VALUE", "ERR_LO", "ERR_UP", "MIN", "MAX")}
    return tuple(
        FittedParameter(
            _number_of(numbers["MODEL"][i]), names[i], f"{numbers['VALUE'][i]:.5g}",
            _errors(numbers["ERR_LO"][i], numbers["ERR_UP"][i]), units[i],
            f"{numbers['MIN'][i]:.4g} to {numbers['MAX'][i]:.4g}", states[i],
        )
        for i in range(len(rows))
    )  # fmt: skip


def _fluxes(path: Path, hdu: Hdu) -> tuple[FittedFlux, ...]:
    columns, rows = read_table(path, hdu)
    rows = rows[:MOST_ROWS]
    kinds, units = (texts_of(columns, name, rows) for name in ("KIND", "UNIT"))
    wanted = ("MODEL", "E_MIN", "E_MAX", "VALUE", "ERR_LO", "ERR_UP", "UPPER")
    numbers = {name: _numbers(columns, name, rows) for name in wanted}
    return tuple(
        FittedFlux(
            _number_of(numbers["MODEL"][i]), kinds[i][:1].upper() + kinds[i][1:],
            f"{numbers['E_MIN'][i]:.4g} to {numbers['E_MAX'][i]:.4g}", _text(numbers["VALUE"][i], ".4g"),
            _errors(numbers["ERR_LO"][i], numbers["ERR_UP"][i]), _text(numbers["UPPER"][i], ".4g"), units[i],
        )
        for i in range(len(rows))
    )  # fmt: skip


def _compared(path: Path, hdu: Hdu) -> tuple[ComparedModel, ...]:
    """Return the models, the best by AIC first; of one that did not converge there is no AIC, and it comes last."""
    columns, rows = read_table(path, hdu)
    rows = rows[:MOST_ROWS]
    expressions = texts_of(columns, "EXPR", rows)
    formats = {"STAT": ".2f", "DOF": ".0f", "AIC": ".2f", "DAIC": ".2f", "BIC": ".2f", "DBIC": ".2f", "WEIGHT": ".3f"}
    numbers = {name: _numbers(columns, name, rows) for name in formats}
    return tuple(
        ComparedModel(expressions[i], *(_text(numbers[name][i], how) for name, how in formats.items()))
        for i in np.argsort(numbers["AIC"], kind="stable")  # NaN is sorted to the end
    )


def _number_of(model: float) -> int:
    """Return the number of a model; 1 where the file tells none."""
    return int(model) if np.isfinite(model) else 1


def _text(value: float, how: str) -> str:
    return format(value, how) if np.isfinite(value) else ""


def _errors(low: float, up: float) -> str:
    """Return the errors downwards and upwards as text; '' where there is none, and which end is not there."""
    if np.isnan(low) and np.isnan(up):
        return ""
    down = "no lower end" if np.isnan(low) else f"−{abs(low):.3g}"
    return f"{down} / {'no upper end' if np.isnan(up) else f'+{up:.3g}'}"


def _listed(cards: Cards, name: str) -> tuple[str, ...]:
    """Return the texts of numbered keywords, from 1 on."""
    found = []
    for number in range(1, 100):
        text = cards.text(f"{name}{number}")
        if not text:
            break
        found.append(text)
    return tuple(found)


def _numbers(columns: Mapping[str, Column], name: str, rows: Rows) -> Floats:
    if name not in columns or not columns[name].is_number:
        return np.full(len(rows), np.nan)
    return columns[name].floats(rows).reshape(len(rows), -1)[:, 0]
