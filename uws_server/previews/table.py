"""What a plot or a picture of the sky shows as a table of comma-separated values. Imports the chart and the picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from uws_server.previews.chart import Chart
from uws_server.previews.extent import WHOLE, Extent

if TYPE_CHECKING:
    from uws_server.previews.sky import SkyView

_UNIT_BOX = (0.0, 1.0, 0.0, 1.0)


def of_chart(chart: Chart, extent: Extent = WHOLE) -> str:
    """Return the points that a plot shows: their series, x and y with the edges of the bins and the ends of the bars.

    Where the day of x = 0 is known, MJD is a column too. What is not known is empty. Residuals follow as series. Points
    that are rows of a table have the number of the row, x and y.
    """
    if any(points.rows is not None for points in chart.series):
        return _of_rows(chart, extent)
    x_name, y_name = chart.names
    dated = chart.mjd is not None
    header = ["series", f"{x_name}_low", x_name, f"{x_name}_high", *(["mjd"] if dated else []),
              y_name, f"{y_name}_low", f"{y_name}_high"]  # fmt: skip
    rows: list[list[str]] = []
    x, y = (None, None) if chart.empty else chart.axes(extent, _UNIT_BOX)
    for points in chart.shown(x) if x else ():
        for i in range(len(points.y)):
            if y and not y.low <= points.y[i] <= y.high:
                continue
            edges = [_text(values[i]) for values in (points.low, points.middle, points.high)]
            day = [f"{chart.mjd + points.middle[i] / chart.day:.9f}"] if chart.mjd is not None else []
            found = [_text(values[i]) for values in (points.y, points.y_low, points.y_high)]
            rows.append([points.label or chart.kind, *edges, *day, *found])
    for points in [points.part(x.low, x.high) for points in chart.residuals] if x else ():
        for values in zip(points.low, points.middle, points.high, points.y, points.y_low, points.y_high, strict=True):
            rows.append([points.label, *(_text(value) for value in values)])
    return _written(header, rows)


def _of_rows(chart: Chart, extent: Extent) -> str:
    x, y = chart.axes(extent, _UNIT_BOX)
    rows = [
        [str(int(row)), _text(across), _text(up)]
        for points in chart.shown(x)
        if points.rows is not None
        for row, across, up in zip(points.rows, points.middle, points.y, strict=True)
        if y.low <= up <= y.high
    ]
    return _written(["row", *chart.names], rows)


def of_sky(view: SkyView) -> str:
    """Return the cells that a picture shows, row by row from the bottom: the pixel of its middle, its place, its value.

    Pixels are counted as FITS does, from 1. A cell without a value is left out.
    """
    rows, columns = view.raster.values.shape
    x = view.low[0] + (np.arange(columns) + 0.5) * view.step[0]
    y = view.low[1] + (np.arange(rows) + 0.5) * view.step[1]
    across, up = (grid.ravel() for grid in np.meshgrid(x, y))
    found = [across + view.first_pixel, up + view.first_pixel]
    header = ["x", "y"]
    if view.wcs is not None:
        found += list(view.wcs.wcs_pix2world(np.stack((across, up), axis=1), 0).T)
        header += [str(kind).partition("-")[0].lower() + "_deg" for kind in view.wcs.wcs.ctype]
    values = view.raster.values.ravel()
    known = np.isfinite(values)
    cells = zip(*(column[known].tolist() for column in (*found, values)), strict=True)
    return _written([*header, "value"], ([f"{cell:.10g}" for cell in row] for row in cells))


def _text(value: float) -> str:
    return f"{value:.9g}" if np.isfinite(value) else ""


def _written(header: list[str], rows: Iterable[list[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
