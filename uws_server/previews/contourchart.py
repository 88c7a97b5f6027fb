"""The chart of contours of a fit: lines at which the statistic has risen so far that they hold a confidence.

Imports the readers of tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.contourlines import Floats, lines
from uws_server.previews.spectra import NoPreview
from uws_server.previews.tablerows import read_table

_MOST_SIDE = 1000


def find(hdus: Sequence[Hdu]) -> Hdu | None:
    """Return the first table of a contour; None if the file has none."""
    return next((hdu for hdu in hdus if hdu.is_table and Cards(hdu.cards).text("HDUCLAS1") == "CONTOUR"), None)


def read(path: Path, hdu: Hdu) -> Chart:
    """Return the chart of a contour. Raise NoPreview if its table is no whole grid."""
    columns, rows = read_table(path, hdu)
    cards = Cards(hdu.cards)
    across, up = cards.count("NX") or 0, cards.count("NY") or 0
    if not all(name in columns and columns[name].is_number for name in ("X", "Y", "RISE")):
        raise NoPreview("the table of the contour lacks a column of numbers")
    if not (2 <= across <= _MOST_SIDE and 2 <= up <= _MOST_SIDE and across * up == len(rows)):
        raise NoPreview("the table of the contour is no whole grid")
    x, y, rise = (columns[name].floats(rows).reshape(up, across) for name in ("X", "Y", "RISE"))
    if not (
        np.isfinite(x).all() and np.isfinite(y).all() and (np.diff(x[0]) > 0).all() and (np.diff(y[:, 0]) > 0).all()
    ):
        raise NoPreview("the places of the contour do not ascend")
    names = cards.text("XPAR") or "x", cards.text("YPAR") or "y"
    series = [one for level in _levels(cards) for one in _contour(x[0], y[:, 0], rise, level)]
    best = cards.number("XBEST"), cards.number("YBEST")
    if best[0] is not None and best[1] is not None:
        series.append(_points("Best fit", np.array([best[0]]), np.array([best[1]]), False, 4))
    if not series:
        raise NoPreview("the statistic rises nowhere on the grid as far as a contour needs")
    units = columns["X"].unit, columns["Y"].unit
    across_label, up_label = (f"{name} ({unit})" if unit else name for name, unit in zip(names, units, strict=True))
    return Chart(
        "Contours", f"{names[0]} {names[1]}", across_label, up_label, tuple(series), _summary(names, best, cards),
        (float(x[0, 0]), float(x[0, -1])), "linear", "linear", (names[0], names[1]),
    )  # fmt: skip


def _summary(names: tuple[str, str], best: tuple[float | None, float | None], cards: Cards) -> str:
    """Return what the chart shows, in words."""
    levels = ", ".join(f"{100 * level:.4g} %" for level in _levels(cards))
    place = "" if best[0] is None or best[1] is None else f", around {best[0]:.4g} and {best[1]:.4g}"
    return f"{names[1]} against {names[0]}: contours that hold both with {levels} confidence{place}."


def _levels(cards: Cards) -> list[float]:
    """Return the confidences of the contours."""
    found = [cards.number(f"LEVEL{number}") for number in range(1, 6)]
    return [level for level in found if level is not None and 0 < level < 1] or [0.6827, 0.90, 0.99]


def _contour(x: Floats, y: Floats, rise: Floats, level: float) -> list[ChartSeries]:
    """Return the lines of a confidence of two parameters, at which the statistic has risen by -2 ln(1 - confidence).

    The first has the label.
    """
    colour = sum(level > other for other in (0.8, 0.95))
    return [
        _points(f"{100 * level:.4g} %" if i == 0 else "", line[:, 0], line[:, 1], True, colour)
        for i, line in enumerate(lines(x, y, rise, -2 * math.log1p(-level)))
    ]


def _points(label: str, x: Floats, y: Floats, joined: bool, colour: int) -> ChartSeries:
    none = np.full(y.shape, np.nan)
    return ChartSeries(label, x, x, x, y, none, none, joined=joined, colour=colour)
