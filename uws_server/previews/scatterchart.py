"""The chart of columns of a table: one against another, or how often the values of one come. Imports the chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from uws_server.errors import counted
from uws_server.previews.chart import Chart, ChartSeries, Floats
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.spectra import NoPreview

_WIDE: Final = 100.0
"""The ratio of the values below which 95 and 5 % lie from which on an axis is logarithmic, where all are above 0."""
_MOST_BINS: Final = 100


@dataclass(frozen=True)
class PlottedColumn:
    """A column: its name, its name with the unit, its values, shape (n,), NaN where there is none."""

    name: str
    label: str
    values: Floats


def scatter(x: PlottedColumn, y: PlottedColumn, extent: Extent = WHOLE, note: str = "") -> Chart:
    """Return the chart of one column against another.

    Parameters
    ----------
    x, y
        The columns, of one length: a row has a value in each.
    extent
        What of it is shown, and by which scales.
    note
        A sentence that the summary ends with.

    Returns
    -------
    Chart
        A point for each row that has a number in both columns.

    Raises
    ------
    NoPreview
        If no row has, or none can stand on a logarithmic axis that was asked for.
    """
    for column in (x, y):
        _require_numbers(column)
    known = np.isfinite(x.values) & np.isfinite(y.values)
    if not known.any():
        raise NoPreview(f"no row has a number in both {x.name} and {y.name}")
    across, up, rows = x.values[known], y.values[known], (np.flatnonzero(known) + 1).astype(np.float64)
    _require_positive(x.name, across, extent.x_scale)
    _require_positive(y.name, up, extent.y_scale)
    nothing = np.full(across.shape, np.nan)
    points = ChartSeries("", across, across, across, up, nothing, nothing, rows=rows)
    left_out = _left_out(int((~known).sum()), f"{x.name} or {y.name}")
    words = [f"{y.name} against {x.name}: {counted(across.size, 'point')}.", left_out, note]
    return Chart(
        "Plot of columns", f"{y.name} against {x.name}", x.label, y.label, (points,), " ".join(filter(None, words)),
        (float(across.min()), float(across.max())), _scale(across), _scale(up), (x.name, y.name),
    )  # fmt: skip


def histogram(x: PlottedColumn, extent: Extent = WHOLE, note: str = "") -> Chart:
    """Return the chart of how many rows have a value in each bin of a column.

    Parameters
    ----------
    x
        The column.
    extent
        What of it is shown; the bins divide the part that is shown, evenly on its scale.
    note
        A sentence that the summary ends with.

    Returns
    -------
    Chart
        Steps, as many bins as the square root of the number of values, 5 to 100; whole numbers that are few have one
        bin each.

    Raises
    ------
    NoPreview
        If the column has no number, or none above 0 for a logarithmic axis.
    """
    _require_numbers(x)
    values = x.values[np.isfinite(x.values)]
    _require_positive(x.name, values, extent.x_scale)
    scale = extent.x_scale or _scale(values)
    shown = values[values > 0] if scale == "log" else values
    low = shown.min() if extent.x_low is None else extent.x_low
    high = shown.max() if extent.x_high is None else extent.x_high
    edges = _edges(shown, float(low), float(high), scale)
    counts = np.histogram(shown, edges)[0].astype(np.float64)
    middle = np.sqrt(edges[:-1] * edges[1:]) if scale == "log" else (edges[:-1] + edges[1:]) / 2
    nothing = np.full(counts.shape, np.nan)
    steps = ChartSeries("", edges[:-1], middle, edges[1:], counts, nothing, nothing, stepped=True)
    words = [
        f"How often values of {x.name} come: {counted(int(counts.sum()), 'row')} in {counted(counts.size, 'bin')}.",
        _left_out(int(x.values.size - values.size), x.name),
        _not_positive(int(values.size - shown.size), x.name),
        note,
    ]
    return Chart(
        "Histogram", x.name, x.label, "Rows", (steps,), " ".join(filter(None, words)),
        (float(edges[0]), float(edges[-1])), scale, "linear", (x.name, "rows"),
        from_zero=True,
    )  # fmt: skip


def _edges(values: Floats, low: float, high: float, scale: str) -> Floats:
    """Return the edges of the bins."""
    about = int(min(max(np.sqrt(values.size), 5), _MOST_BINS))
    if not low < high:
        room = 0.5 if float(low).is_integer() else 0.01 * abs(low)
        return np.array([low - room, low + room])
    if scale == "log" and low > 0:
        return np.geomspace(low, high, about + 1)
    if high - low < _MOST_BINS and np.equal(np.mod(values, 1), 0).all():
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    return np.linspace(low, high, about + 1)


def _require_numbers(column: PlottedColumn) -> None:
    if not column.values.size:
        raise NoPreview("the answer has no rows")
    if not np.isfinite(column.values).any():
        raise NoPreview(f"{column.name} has no number in any of the {counted(column.values.size, 'row')}")


def _require_positive(name: str, values: Floats, scale: str) -> None:
    if scale == "log" and not (values > 0).any():
        raise NoPreview(f"a logarithmic axis shows values above 0, and {name} has none")


def _scale(values: Floats) -> str:
    if float(values.min()) <= 0:
        return "linear"
    low, high = np.quantile(values, (0.05, 0.95))
    return "log" if high >= _WIDE * low else "linear"


def _left_out(rows: int, names: str) -> str:
    return (
        f"{counted(rows, 'row')} without a number in {names} {'is' if rows == 1 else 'are'} left out." if rows else ""
    )


def _not_positive(rows: int, name: str) -> str:
    verb = "is" if rows == 1 else "are"
    return f"{counted(rows, 'row')} where {name} is not above 0 {verb} not on the logarithmic axis." if rows else ""
