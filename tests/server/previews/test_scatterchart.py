"""The chart of columns of a table: its points are the rows, whose numbers and values the picture, JSON and CSV tell."""

from __future__ import annotations

import csv
import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from uws_server.previews import chartplot, scatterchart, table
from uws_server.previews.extent import Extent
from uws_server.previews.scatterchart import PlottedColumn
from uws_server.previews.spectra import NoPreview

SVG = "{http://www.w3.org/2000/svg}"
NAN = float("nan")


def column(name: str, values: Any, unit: str = "") -> PlottedColumn:
    return PlottedColumn(name, f"{name} ({unit})" if unit else name, np.array(values, np.float64))


def test_rows_with_both_numbers_are_points_and_keep_their_row() -> None:
    chart = scatterchart.scatter(column("a", [1, NAN, 3, 4], "s"), column("b", [5, 6, NAN, 8]))
    told = chartplot.describe(chart)
    assert told["series"] == [{"label": "", "middle": [1.0, 4.0], "rate": [5.0, 8.0], "rows": [1, 4]}]
    assert (told["x"], told["y"]) == ("a (s)", "b")
    assert chart.summary == "b against a: 2 points. 2 rows without a number in a or b are left out."
    rows = list(csv.reader(io.StringIO(table.of_chart(chart))))
    assert rows == [["row", "a", "b"], ["1", "1", "5"], ["4", "4", "8"]]
    drawn = ElementTree.fromstring(chartplot.draw(chart))
    assert len(drawn.findall(f".//{SVG}circle")) == 2
    assert {"a (s)", "b"} <= {text.text for text in drawn.findall(f".//{SVG}text")}


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 10, 1000], "log"), ([1, 10, 50], "linear"), ([0, 10, 1e6], "linear"), ([-1, 2], "linear")],
)  # fmt: skip
def test_an_axis_is_logarithmic_where_all_is_positive_and_wide(values: list[float], scale: str) -> None:
    one = column("a", values)
    chart = scatterchart.scatter(one, one)
    assert (chart.x_scale, chart.y_scale) == (scale, scale)
    assert scatterchart.histogram(one).x_scale == scale


@pytest.mark.parametrize(("value", "reach"), [(83.633, 0.83633), (-4.0, 0.04), (0.0, 1.0)])
def test_points_at_one_place_have_a_narrow_plot(value: float, reach: float) -> None:
    """An axis reaches 1 % of the only value to each side, not from half of it to the double."""
    chart = scatterchart.scatter(column("a", [value] * 3), column("b", [value] * 3))
    x, y = chart.axes(Extent(), (0, 100, 0, 100))
    assert (x.low, x.high) == pytest.approx((value - reach, value + reach))
    assert (y.low, y.high) == pytest.approx((value - reach if value else 0, value + reach))
    steps = scatterchart.histogram(column("a", [value] * 3)).series[0]
    half = 0.5 if value == round(value) else reach
    assert (steps.low[0], steps.high[0], steps.y[0]) == pytest.approx((value - half, value + half, 3))


def test_of_many_points_each_place_is_drawn_once() -> None:
    """The drawing of 100,000 rows in one corner and one far away has few dots, all of the places that there are."""
    values = np.concatenate((np.tile([1.0, 2.0], 50_000), [3.0]))
    chart = scatterchart.scatter(column("a", values), column("b", values))
    (told,) = chartplot.describe(chart)["series"]
    assert told["rows"] == [1, 2, 100_001]
    random = np.random.default_rng(1).random((2, 30_000))  # evenly spread numbers have linear axes
    drawing = chartplot.draw(scatterchart.scatter(column("a", random[0]), column("b", random[1])))
    (dots,) = re.findall(r'class="dots" d="([^"]*)"', drawing)
    assert 25_000 < dots.count("M") <= 30_000 and len(drawing) < 1_000_000


def test_a_histogram_counts_every_number_once() -> None:
    values = np.random.default_rng(2).normal(5, 1, 1000)
    chart = scatterchart.histogram(column("a", [*values, NAN], "keV"))
    (steps,) = chart.series
    assert steps.y.sum() == 1000 and len(steps.y) == 31
    counts, _ = np.histogram(values, len(steps.y), (values.min(), values.max()))
    assert steps.y.tolist() == counts.tolist()
    assert chartplot.describe(chart)["axes"][1]["low"] == 0
    assert "1,000 rows in 31 bins. 1 row without a number in a is left out." in chart.summary


def test_whole_numbers_have_a_bin_each_and_a_zoom_has_its_own_bins() -> None:
    (steps,) = scatterchart.histogram(column("n", [1, 1, 2, 4])).series
    assert (steps.middle.tolist(), steps.y.tolist()) == ([1, 2, 3, 4], [2, 1, 0, 1])
    (steps,) = scatterchart.histogram(column("a", [0.1, 0.2, 0.3, 9.5]), Extent(x_low=0.0, x_high=0.5)).series
    assert (steps.low[0], steps.high[-1], steps.y.sum()) == (0.0, 0.5, 3)
    (steps,) = scatterchart.histogram(column("a", [7.5, 7.5])).series
    assert steps.y.tolist() == [2]


@pytest.mark.parametrize(
    ("x", "y", "scale", "sentence"),
    [
        ([], [], "", "the answer has no rows"),
        ([NAN, NAN], [1, 2], "", "x has no number in any of the 2 rows"),
        ([1, NAN], [NAN, 2], "", "no row has a number in both x and y"),
        ([-1, 0], [1, 2], "log", "a logarithmic axis shows values above 0, and x has none"),
    ],
)
def test_what_cannot_be_drawn_is_told(x: list[float], y: list[float], scale: str, sentence: str) -> None:
    with pytest.raises(NoPreview, match=f"^{re.escape(sentence)}$"):
        scatterchart.scatter(column("x", x), column("y", y), Extent(x_scale=scale))


def test_what_is_not_on_a_logarithmic_axis_is_told() -> None:
    chart = scatterchart.histogram(column("a", [0, 1, 10]), Extent(x_scale="log"))
    assert "1 row where a is not above 0 is not on the logarithmic axis." in chart.summary


def test_long_numbers_do_not_run_into_the_name_of_the_axis() -> None:
    """The numbers of the y axis begin right of its name, and no number of the x axis ends beyond the drawing."""
    near = column("a", [148.97400, 148.97450])
    drawn = ElementTree.fromstring(chartplot.draw(scatterchart.scatter(near, column("b", [69.65100, 69.65120]))))
    width = float(drawn.get("width", "0"))
    numbers = [text for text in drawn.findall(f".//{SVG}text") if re.fullmatch(r"[\d.−]+", text.text or "")]
    for text in numbers:
        at, wide = float(text.get("x", "0")), 7.2 * len(text.text or "")
        begin, end = (at - wide, at) if text.get("text-anchor") == "end" else (at - wide / 2, at + wide / 2)
        assert begin > (28 if text.get("text-anchor") == "end" else 0) and end <= width
