"""Reads the result of a fit for a plot: data, folded model, background and residuals by energy.

Imports the readers of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from provenance.fits.hdus import Hdu
from uws_server.previews import fitwords
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.fitwords import FitShown
from uws_server.previews.spectra import NoPreview
from uws_server.previews.tablerows import read_table

Floats = npt.NDArray[np.float64]

MOST_SETS: Final = 8
MOST_BINS: Final = 400
"""The most bins of a spectrum that are drawn; of more, neighbours are joined."""

_NUMBERS: Final = ("E_MIN", "E_MAX", "RATE", "ERROR", "BACKGROUND", "MODEL", "RESIDUAL")
_OF_ONE: Final = {"model": 4, "background": 5}
"""Colours of the lines where there is one spectrum; of several each line has that of its spectrum."""


def find(hdus: Sequence[Hdu]) -> Hdu | None:
    """Return the table of the residuals of a fit; None if the file is no result of a fit."""
    fitted = any(hdu.name == "PARAMETERS" and hdu.is_table for hdu in hdus)
    return next((hdu for hdu in hdus if fitted and hdu.name == "RESIDUALS" and hdu.is_table), None)


def read(path: Path, residuals: Hdu, hdus: Sequence[Hdu]) -> tuple[Chart, FitShown]:
    """Return the chart of a fit and what is told beside it. Raise NoPreview if the tables cannot be read."""
    shown = fitwords.read(path, hdus)
    columns, rows = read_table(path, residuals)
    if not all(name in columns and columns[name].is_number for name in ("DATASET", *_NUMBERS)):
        raise NoPreview("the table of residuals lacks a column of numbers")
    which = columns["DATASET"].floats(rows)
    values = {name: columns[name].floats(rows) for name in _NUMBERS}
    which[~((values["E_MIN"] >= 0) & (values["E_MAX"] > values["E_MIN"]))] = np.nan
    sets = sorted(set(which[np.isfinite(which)].tolist()))[:MOST_SETS]
    if not sets:
        raise NoPreview("the table of residuals has no row")
    names = _names(path, hdus)
    found = [
        SetOfBins(names.get(int(number), f"spectrum {number:.0f}"),
             *(values[name][which == number] for name in _NUMBERS))
        for number in sets
    ]  # fmt: skip
    return chart_of(path.name, found, shown.models[0] if shown.models else "", shown.statistic), shown


@dataclass(frozen=True)
class SetOfBins:
    """One spectrum: edges in keV, rate and error, background, model in counts/s/keV, residual in sigma."""

    name: str
    low: Floats
    high: Floats
    rate: Floats
    error: Floats
    background: Floats
    model: Floats
    residual: Floats

    def joined(self, most: int = MOST_BINS) -> SetOfBins:
        """Return the same with neighbouring bins joined until at most so many are left.

        Rates are means by the width of the bins, the residual of n bins is their sum over the root of n.
        """
        together = -(-self.rate.size // most)
        if together <= 1:
            return self
        begins = np.arange(0, self.rate.size, together)
        width = self.high - self.low
        whole = np.add.reduceat(width, begins)
        held = np.diff(np.append(begins, self.rate.size))

        def mean(values: Floats) -> Floats:
            return np.asarray(np.add.reduceat(values * width, begins) / whole, dtype=np.float64)

        error = np.sqrt(np.add.reduceat((self.error * width) ** 2, begins)) / whole
        residual = np.add.reduceat(self.residual, begins) / np.sqrt(held)
        return SetOfBins(self.name, np.minimum.reduceat(self.low, begins), np.maximum.reduceat(self.high, begins),
                         mean(self.rate), error, mean(self.background), mean(self.model), residual)  # fmt: skip

    def points(self, label: str, y: Floats, error: Floats | None, colour: int) -> ChartSeries:
        """Return points with an error, or a line of steps without one."""
        middle = np.sqrt(np.maximum(self.low, 1e-6) * self.high)
        none = np.full(y.shape, np.nan)
        down, up = (none, none) if error is None else (y - error, y + error)
        return ChartSeries(label, self.low, middle, self.high, y, down, up, stepped=error is None, colour=colour)


def chart_of(title: str, sets: Sequence[SetOfBins], expression: str, statistic: str) -> Chart:
    """Return the chart of spectra beside a folded model, with what is to be told of the statistic."""
    bins, alone = sum(one.rate.size for one in sets), len(sets) == 1
    sets = [one.joined() for one in sets]
    drawn = sum(one.rate.size for one in sets)
    joined = f", joined to {drawn:,} for this plot" if drawn < bins else ""
    lines: dict[str, list[ChartSeries]] = {"data": [], "model": [], "background": []}
    below = []
    for i, one in enumerate(sets):
        lines["data"].append(one.points("Data" if alone else one.name, one.rate, one.error, i))
        lines["model"].append(one.points("Model" if alone else "", one.model, None, _OF_ONE["model"] if alone else i))
        if (one.background > 0).any():
            colour = _OF_ONE["background"] if alone else i
            lines["background"].append(one.points("Background" if alone else "", one.background, None, colour))
        below.append(one.points(f"residual {one.name}".strip(), one.residual, np.ones_like(one.residual), i))
    low, high = min(float(one.low.min()) for one in sets), max(float(one.high.max()) for one in sets)
    summary = (
        f"Counts per second and keV in {bins:,} bins{joined} from {low:.3g} to {high:.3g} keV, net of the "
        f"background, with the folded model {expression}; below, the residuals in sigma. {statistic}"
    )
    return Chart(
        "Fit", title, "Energy (keV)", "Counts / s / keV", (*lines["background"], *lines["model"], *lines["data"]),
        summary, (max(low, 1e-3), high), "log", "log", ("energy_keV", "counts_per_s_per_keV"),
        residuals=tuple(below), residual_label="Residual (σ)",
    )  # fmt: skip


def _names(path: Path, hdus: Sequence[Hdu]) -> dict[int, str]:
    """Return the names of the spectra by their numbers; none where the file does not tell them."""
    hdu = next((hdu for hdu in hdus if hdu.name == "DATASETS" and hdu.is_table), None)
    if hdu is None:
        return {}
    columns, rows = read_table(path, hdu)
    texts = fitwords.texts_of(columns, "NAME", rows)
    return dict(enumerate((text[:40] for text in texts), start=1))
