"""The result of a fit as FITS: parameters, spectra, data beside the folded model, fluxes, and what was compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.fitswrite import LONGSTRN, PRIMARY, TableColumn
from reduction.fitting.columnvalues import ascii_text, floats, texts
from reduction.fitting.contours import LEVELS, Contour
from reduction.fitting.fluxes import Flux
from reduction.fitting.folded import FoldedBins
from reduction.fitting.outcome import Outcome, notes_of, state_of, statistic_text
from reduction.fitting.posterior import Posterior
from reduction.fitting.result import FitResult, FittedData

Cards = fitswrite.Cards
OBSERVATION: Final = (
    "TELESCOP", "INSTRUME", "FILTER", "OBS_ID", "EXP_ID", "EXPIDSTR", "OBJECT", "OBSERVER", "DATE-OBS", "DATE-END",
    "RA_OBJ", "DEC_OBJ", "RA_NOM", "DEC_NOM", "RA_PNT", "DEC_PNT", "RADECSYS", "RADESYS", "EQUINOX", "MJDREF",
    "TIMESYS", "TSTART", "TSTOP",
)  # fmt: skip
"""Keywords of the spectra that the result takes over where all of them say the same."""


def write_result(path: Path, outcome: Outcome) -> None:
    """Write the result of a fit, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    outcome
        What was found.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    parts = [
        fitswrite.header([*PRIMARY, *_observation(outcome.first.datasets)]),
        fitswrite.table("PARAMETERS", list(_parameter_columns(outcome)), _cards(outcome)),
        fitswrite.table("DATASETS", list(_dataset_columns(outcome)), [*LONGSTRN]),
        fitswrite.table("RESIDUALS", list(_residual_columns(outcome.first.datasets)), _residual_cards(outcome.first)),
    ]
    if any(outcome.fluxes):
        parts.append(fitswrite.table("FLUXES", list(_flux_columns(outcome.fluxes)), [*LONGSTRN]))
    if len(outcome.results) > 1:
        parts.append(fitswrite.table("COMPARED", list(_compared_columns(outcome)), [*LONGSTRN]))
    write_bytes(path, b"".join(parts))


def write_contours(path: Path, result: FitResult, contours: Sequence[Contour]) -> None:
    """Write contours, a table CONTOUR each, with a row for each place of the grid; whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    result
        The fit that they are of.
    contours
        The contours.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    parts = [fitswrite.header([*PRIMARY, *_observation(result.datasets)])]
    for number, one in enumerate(contours, start=1):
        x, y = np.meshgrid(one.x, one.y)
        columns = [
            TableColumn("X", x.ravel(), one.x_unit, one.x_name),
            TableColumn("Y", y.ravel(), one.y_unit, one.y_name),
            TableColumn("RISE", one.rise.ravel(), "", "statistic above its minimum"),
        ]
        cards: Cards = [
            *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "CONTOUR", "rise of a statistic"),
            ("XPAR", one.x_name, "parameter along x"), ("YPAR", one.y_name, "parameter along y"),
            ("NX", one.x.size, "places along x"), ("NY", one.y.size, "places along y"),
            ("XBEST", one.best[0], "value found"), ("YBEST", one.best[1], "value found"),
            *((f"LEVEL{i}", level, "confidence of a contour") for i, level in enumerate(LEVELS, start=1)),
            ("EXPR1", result.model.expression, ""), ("STATNAME", result.statistic_name, ""),
        ]  # fmt: skip
        parts.append(fitswrite.table(f"CONTOUR{number}", columns, cards))
    write_bytes(path, b"".join(parts))


def write_posterior(path: Path, result: FitResult, posterior: Posterior) -> None:
    """Write draws of the posterior as table POSTERIOR, a column for each free parameter; whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    result
        The fit that they are of.
    posterior
        The draws.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    columns = [
        TableColumn(_column(name), posterior.values[:, i], result[name].parameter.unit, name)
        for i, name in enumerate(posterior.names)
    ]
    columns.append(TableColumn("STATISTIC", posterior.statistics, "", result.statistic_name))
    cards: Cards = [
        *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "POSTERIOR", "draws of parameters"),
        ("METHOD", "GW2010", "Goodman and Weare 2010"), ("ACCEPTED", posterior.accepted, "part of moves made"),
        ("INDEPEND", posterior.independent, "independent draws, about"),
        ("EXPR1", result.model.expression, ""), ("STATNAME", result.statistic_name, ""),
    ]  # fmt: skip
    primary = fitswrite.header([*PRIMARY, *_observation(result.datasets)])
    write_bytes(path, primary + fitswrite.table("POSTERIOR", columns, cards))


def _cards(outcome: Outcome) -> Cards:
    first = outcome.first
    expressions = [(f"EXPR{i}", one.model.expression, "") for i, one in enumerate(outcome.results, start=1)]
    notes = [(f"NOTE{i}", ascii_text(note), "") for i, note in enumerate(notes_of(outcome), start=1) if i < 100]
    cards: Cards = [
        *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "FIT", "fit of a model to spectra"),
        ("STATNAME", first.statistic_name, "statistic of the first model"), ("STATVAL", first.statistic, ""),
        ("DOF", first.dof, "degrees of freedom"), ("CONVERGD", first.converged, "whether a minimum was found"),
        ("CLEVEL", first.confidence, "confidence of the errors"), ("ABUND", outcome.abundances, "of absorption"),
        ("STATTEXT", ascii_text(statistic_text(first)), ""), *expressions, *notes,
    ]  # fmt: skip
    if outcome.goodness is not None:
        cards += [("GOODSIMS", outcome.goodness.statistics.size, "simulated spectra"),
                  ("GOODBELO", outcome.goodness.below, "part of them that fits better")]  # fmt: skip
    return cards


def _parameter_columns(outcome: Outcome) -> Iterable[TableColumn]:
    rows = [(number, one) for number, result in enumerate(outcome.results, start=1) for one in result.parameters]
    yield TableColumn("MODEL", np.array([number for number, _ in rows], dtype=np.int32), "", "number of the model")
    yield TableColumn("NAME", texts(one.name for _, one in rows))
    yield TableColumn("VALUE", floats(one.value for _, one in rows))
    yield TableColumn("ERR_LO", floats(one.error_low for _, one in rows), "", "length downwards; NaN: none")
    yield TableColumn("ERR_UP", floats(one.error_high for _, one in rows), "", "length upwards; NaN: none")
    yield TableColumn("MIN", floats(one.parameter.min for _, one in rows), "", "allowed")
    yield TableColumn("MAX", floats(one.parameter.max for _, one in rows), "", "allowed")
    yield TableColumn("UNIT", texts(one.parameter.unit for _, one in rows))
    yield TableColumn("STATE", texts(state_of(one) for _, one in rows))


def _dataset_columns(outcome: Outcome) -> Iterable[TableColumn]:
    sets = outcome.first.datasets
    spectra = [each.data.spectrum for each in sets]
    yield TableColumn("NUMBER", np.arange(1, len(sets) + 1, dtype=np.int32))
    yield TableColumn("NAME", texts(each.name for each in spectra))
    for keyword in ("TELESCOP", "INSTRUME", "OBS_ID"):
        yield TableColumn(keyword, texts(str(each.header.get(keyword) or "").strip() for each in spectra))
    yield TableColumn("EXPOSURE", floats(each.exposure_s for each in spectra), "s")
    yield TableColumn("COUNTS", floats(float(each.data.observed.counts.sum()) for each in sets), "count", "fitted")
    yield TableColumn("BACKCTS", floats(float((each.data.observed.ratio * each.data.observed.background).sum())
                                         for each in sets), "count", "of the background, scaled")  # fmt: skip
    yield TableColumn("BINS", np.array([each.data.size for each in sets], dtype=np.int32))
    yield TableColumn("STAT", floats(float(each.statistic.sum()) for each in sets))
    yield TableColumn("NORM", floats(each.norm for each in sets), "", "factor against the first")


def bins_of(datasets: Sequence[FittedData]) -> list[FoldedBins]:
    """Return data and folded model of each spectrum of a fit."""
    return [FoldedBins(each.data, each.source, each.statistic) for each in datasets]


def _residual_columns(datasets: Sequence[FittedData]) -> Iterable[TableColumn]:
    sets = bins_of(datasets)

    def joined(name: str) -> npt.NDArray[np.float64]:
        return np.concatenate([getattr(one, name) for one in sets])

    numbers = np.concatenate([np.full(one.data.size, i, dtype=np.int32) for i, one in enumerate(sets, start=1)])
    per_kev = "count/s/keV"
    yield TableColumn("DATASET", numbers, "", "number in DATASETS")
    yield TableColumn("E_MIN", np.concatenate([one.data.low_kev for one in sets]), "keV")
    yield TableColumn("E_MAX", np.concatenate([one.data.high_kev for one in sets]), "keV")
    yield TableColumn(
        "COUNTS", np.concatenate([one.data.observed.counts for one in sets]), "count", "in the source region"
    )
    yield TableColumn("BACKCTS", joined("background"), "count", "of the background, scaled")
    yield TableColumn("MODELCTS", joined("source"), "count", "of the model alone")
    yield TableColumn("RATE", joined("rate_per_kev"), per_kev, "net")
    yield TableColumn("ERROR", joined("error_per_kev"), per_kev)
    yield TableColumn("BACKGROUND", joined("background_per_kev"), per_kev)
    yield TableColumn("MODEL", joined("model_per_kev"), per_kev)
    yield TableColumn("RESIDUAL", joined("residual_sigma"), "", "net less model, in sigma of the model")
    yield TableColumn("STAT", np.concatenate([each.statistic for each in datasets]), "", "part of the statistic")


def _residual_cards(result: FitResult) -> Cards:
    return [*LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "RESIDUALS", "data beside the folded model"),
            ("EXPR1", result.model.expression, "")]  # fmt: skip


def _flux_columns(fluxes: Sequence[Sequence[Flux]]) -> Iterable[TableColumn]:
    rows = [(number, one) for number, of_model in enumerate(fluxes, start=1) for one in of_model]
    yield TableColumn("MODEL", np.array([number for number, _ in rows], dtype=np.int32), "", "number of the model")
    yield TableColumn("KIND", texts(one.kind for _, one in rows))
    yield TableColumn("E_MIN", floats(one.low_kev for _, one in rows), "keV")
    yield TableColumn("E_MAX", floats(one.high_kev for _, one in rows), "keV")
    yield TableColumn("VALUE", floats(one.value for _, one in rows))
    yield TableColumn("ERR_LO", floats(one.error_low for _, one in rows))
    yield TableColumn("ERR_UP", floats(one.error_high for _, one in rows))
    yield TableColumn("UPPER", floats(one.upper for _, one in rows), "", "upper limit, 95 %")
    yield TableColumn("UNIT", texts(one.unit for _, one in rows))


def _compared_columns(outcome: Outcome) -> Iterable[TableColumn]:
    results, by_model = outcome.results, {one.expression: one for one in outcome.compared}
    found = [by_model.get(result.model.expression) for result in results]
    yield TableColumn("MODEL", np.arange(1, len(results) + 1, dtype=np.int32))
    yield TableColumn("EXPR", texts(result.model.expression for result in results))
    yield TableColumn("STAT", floats(result.statistic for result in results))
    yield TableColumn("FREE", np.array([result.free for result in results], dtype=np.int32))
    yield TableColumn("DOF", np.array([result.dof for result in results], dtype=np.int32))
    for column, name in (("AIC", "aic"), ("BIC", "bic"), ("DAIC", "delta_aic"), ("DBIC", "delta_bic"),
                         ("WEIGHT", "weight")):  # fmt: skip
        yield TableColumn(column, floats(None if one is None else getattr(one, name) for one in found))


def _observation(datasets: Sequence[FittedData]) -> Cards:
    """Return the keywords of the spectra that all of them share."""
    headers = [each.data.spectrum.header for each in datasets]
    cards: Cards = []
    for keyword in OBSERVATION:
        values = {str(header.get(keyword)): header.get(keyword) for header in headers}
        value: Any = next(iter(values.values())) if len(values) == 1 else None
        if value is not None and value != "":
            cards.append((keyword, value, ""))
    return cards


def _column(name: str) -> str:
    """Return the name of a column for a parameter: letters, digits and underscores."""
    return re.sub(r"\W", "_", name).upper()
