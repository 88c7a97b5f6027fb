"""A part of a plot by other scales: what is drawn, told to the page and put in the table is what lies in it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from uws_server.previews.axes import Log
from uws_server.previews.cache import Previews
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.chartplot import describe, draw
from uws_server.previews.curve import Curve
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.look import SCALES, Look
from uws_server.previews.overlay import curves
from uws_server.previews.preview import ResultFile
from uws_server.previews.raster import Raster
from uws_server.previews.spectra import NoPreview
from uws_server.previews.table import of_chart

SVG = "{http://www.w3.org/2000/svg}"


def table(text: bytes) -> list[dict[str, str]]:
    """The rows of a table of comma-separated values."""
    return list(csv.DictReader(io.StringIO(text.decode())))


def numbers(rows: list[dict[str, str]], name: str) -> np.ndarray:
    """A column of such a table."""
    return np.array([float(row[name]) for row in rows])


@pytest.fixture
def ngc7793(shared: Path) -> ResultFile:
    """A real spectrum with its background and its response."""
    folder = shared / "real" / "xmm_ngc7793_ulx4"
    beside = {path.name: path for path in folder.iterdir()}
    return ResultFile("a", folder / "PN_spectrum_grp20.fits", beside)


@pytest.fixture
def steady(tmp_path: Path) -> ResultFile:
    """A light curve of 6000 bins of 10 s, with a peak in bin 1234."""
    rate = np.full(6000, 2.0)
    rate[1234] = 50.0
    columns = [fits.Column("TIME", "D", array=10.0 * np.arange(6000)), fits.Column("RATE", "D", array=rate),
               fits.Column("ERROR", "D", array=np.full(6000, 0.5))]  # fmt: skip
    hdu = fits.BinTableHDU.from_columns(columns, name="RATE")
    hdu.header["HDUCLAS1"], hdu.header["TIMEDEL"], hdu.header["MJDREF"] = "LIGHTCURVE", 10.0, 50814.0
    hdu.header["TIMESYS"], hdu.header["TSTART"] = "TT", 0.0
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    return ResultFile("a", tmp_path / "a.fits", {})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"x_low": "two"}, "x_low: 'two' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"y_high": "inf"}, "y_high: 'inf' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"x_low": "1e-320"}, "x_low: '1e-320' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"y_low": "-2e30"}, "y_low: '-2e30' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"x_low": "3", "x_high": "2"}, "x_low: 3 came; a number below x_high (2) is allowed"),
        ({"x_scale": "cubic"}, "x_scale: 'cubic' came; linear, log are allowed"),
        ({"y_low": "0", "y_scale": "log"}, "y_low, y_high: on a logarithmic axis numbers above 0 are allowed"),
        ({"size": "huge"}, "size: 'huge' came; narrow, or nothing, is allowed"),
    ],
)
def test_an_extent_that_cannot_be_is_refused(asked: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        Extent.read(asked)
    assert str(refused.value) == sentence


def test_an_extent_is_what_its_address_says() -> None:
    asked = {"x_low": "0.5", "y_high": "1e-3", "x_scale": "linear", "size": "narrow"}
    extent = Extent.read(asked)
    assert (extent.x_low, extent.x_high, extent.y_high, extent.x_scale) == (0.5, None, 0.001, "linear")
    assert Extent.read(extent.query()) == extent
    assert Extent.read({}) == WHOLE


def test_the_table_of_a_real_spectrum_has_the_rates_that_astropy_gives(ngc7793: ResultFile) -> None:
    drawing = Previews().plot_table(ngc7793)
    assert drawing.mime == "text/csv"
    rows = [row for row in table(drawing.data) if row["series"] == "Source"]
    with fits.open(ngc7793.path) as hdus:
        header, data = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
    starts = np.flatnonzero(data["GROUPING"] == 1)
    counts = np.add.reduceat(data["COUNTS"].astype(float), starts)
    good = (np.maximum.reduceat(data["QUALITY"], starts) == 0) & (counts > 0)
    width = numbers(rows, "energy_keV_high") - numbers(rows, "energy_keV_low")
    found = numbers(rows, "counts_per_s_per_keV") * width * header["EXPOSURE"]
    np.testing.assert_allclose(found, counts[good], rtol=1e-5)
    above = numbers(rows, "counts_per_s_per_keV_high") * width * header["EXPOSURE"] - found
    np.testing.assert_allclose(above, 1 + np.sqrt(counts[good] + 0.75), rtol=1e-4)


def test_a_part_of_a_spectrum_is_that_part_in_every_form(ngc7793: ResultFile) -> None:
    previews, part = Previews(), Extent(x_low=1.0, x_high=2.0, x_scale="linear")
    whole = [row for row in table(previews.plot_table(ngc7793).data) if row["series"] == "Source"]
    expected = [row for row in whole if float(row["energy_keV_high"]) >= 1 and float(row["energy_keV_low"]) <= 2]
    assert 0 < len(expected) < len(whole)
    assert [row for row in table(previews.plot_table(ngc7793, part).data) if row["series"] == "Source"] == expected
    told = json.loads(previews.plot_data(ngc7793, extent=part).data)
    assert told["axes"][0] == {"low": 1.0, "high": 2.0, "log": False}
    assert told["axes"][1]["log"] is True
    assert told["series"][0]["rate"] == pytest.approx(numbers(expected, "counts_per_s_per_keV"), rel=1e-6)
    picture = ElementTree.fromstring(previews.plot_picture(ngc7793, extent=part).data)
    left, _, width, _ = told["box"]
    source = picture.findall(f"{SVG}g[@class='s0']")[0]  # the other is its mark in the key
    at = np.array([float(dot.get("cx") or 0) for dot in source.findall(f"{SVG}circle")])
    middle = numbers(expected, "energy_keV")
    inside = (middle >= 1) & (middle <= 2)
    np.testing.assert_allclose(at, (left + (middle - 1) * width)[inside], atol=0.06)


def test_a_part_of_a_long_light_curve_has_bins_of_its_own(steady: ResultFile) -> None:
    previews = Previews()
    joined = json.loads(previews.plot_data(steady).data)["series"][0]
    assert len(joined["rate"]) <= 1500
    assert max(joined["rate"]) < 20, "of four bins the mean"
    part = Extent(x_low=12.0, x_high=12.7)  # in ks
    shown = json.loads(previews.plot_data(steady, extent=part).data)["series"][0]
    assert max(shown["rate"]) == 50
    assert shown["middle"][int(np.argmax(shown["rate"]))] == pytest.approx(12.34)
    rows = table(previews.plot_table(steady, part).data)
    assert numbers(rows, "time_ks").min() >= 11.99
    peak = rows[int(np.argmax(numbers(rows, "counts_per_s")))]
    assert float(peak["mjd"]) == pytest.approx(50814 + 12340 / 86400, abs=1e-8)
    assert float(peak["counts_per_s_low"]) == 49.5


@pytest.mark.parametrize("size", ["", "narrow"])
def test_the_drawing_has_the_size_that_is_told(steady: ResultFile, size: str) -> None:
    told = json.loads(Previews().plot_data(steady, extent=Extent(size=size)).data)
    picture = ElementTree.fromstring(Previews().plot_picture(steady, extent=Extent(size=size)).data)
    assert [int(picture.get(name) or 0) for name in ("width", "height")] == told["drawing"]
    (frame,) = picture.findall(f"{SVG}rect[@class='frame']")
    assert [float(frame.get(name) or 0) for name in ("x", "y", "width", "height")] == told["box"]
    assert told["drawing"][0] == (400 if size else 760)


def test_a_long_name_of_an_axis_loses_its_last_clauses_where_there_is_no_room(steady: ResultFile) -> None:
    chart = replace(
        Previews().chart(steady), x_label="Energy (keV); from 0.2 to 12, and so on, and so forth, " + "x" * 60
    )
    for size, expected in (("narrow", "Energy (keV); from 0.2 to 12, and so on, and so forth"), ("", chart.x_label)):
        assert expected in [
            text.text for text in ElementTree.fromstring(draw(chart, Extent(size=size))).iter(f"{SVG}text")
        ]


@pytest.mark.parametrize(
    "extent",
    [
        Extent(x_low=1e9), Extent(x_high=-1e9), Extent(x_low=5.0, x_high=5.0000001), Extent(y_low=1e29),
        Extent(x_scale="log"), Extent(y_scale="log", y_high=1e-9), Extent(x_low=1.0, x_high=1.0 + 1e-12),
        Extent(x_low=-1e30, x_high=1e30), Extent(x_scale="log", x_low=1e-29, x_high=1e29),
    ],
)  # fmt: skip
def test_an_extent_without_points_is_an_empty_plot_or_a_reason(steady: ResultFile, extent: Extent) -> None:
    previews = Previews()
    for drawing in (previews.plot_picture(steady, extent=extent), previews.plot_data(steady, extent=extent),
                    previews.plot_table(steady, extent)):  # fmt: skip
        assert drawing.ok or b"axis" in drawing.data
        assert len(drawing.data) < 1_000_000
    ElementTree.fromstring(previews.plot_picture(steady, extent=extent).data)


def test_a_logarithmic_axis_of_many_decades_has_few_numbers() -> None:
    marks = list(Log(1e-30, 1e30, 0, 500).marks())
    texts = [mark.text for mark in marks if mark.text]
    assert 3 <= len(texts) <= 13
    assert len(marks) <= 70
    assert next(mark.text for mark in Log(1.2, 1.3, 0, 500).marks()) == "1.20"


@pytest.mark.parametrize(
    "low, high", [(0.767, 1.995), (1.05, 1.98), (2.1, 4.9), (0.3, 1.1), (0.0231, 0.239), (0.2, 12.0)]
)
def test_no_large_part_of_a_logarithmic_axis_is_without_a_number(low: float, high: float) -> None:
    axis = Log(low, high, 0, 500)
    places = [axis.at(mark.value) for mark in axis.marks() if mark.text]
    assert max(np.diff([0.0, *places, 500.0])) < 250


def test_time_begins_with_the_first_bin_where_bins_are_of_all_widths(tmp_path: Path) -> None:
    columns = [fits.Column("TIME", "D", array=[3000.0, 6500.0]), fits.Column("TIMEDEL", "D", array=[6000.0, 1000.0]),
               fits.Column("RATE", "D", array=[1.0, 3.0])]  # fmt: skip
    hdu = fits.BinTableHDU.from_columns(columns, name="RATE")
    hdu.header.update(HDUCLAS1="LIGHTCURVE", MJDREF=50814.0, TIMESYS="TT")
    hdu.writeto(tmp_path / "blocks.fits")
    rows = table(Previews().plot_table(ResultFile("a", tmp_path / "blocks.fits", {}), WHOLE).data)
    assert numbers(rows, "time_s_low").tolist() == [0, 6000]
    assert numbers(rows, "time_s_high").tolist() == [6000, 7000]
    assert numbers(rows, "mjd") == pytest.approx(50814 + np.array([3000, 6500]) / 86400, abs=1e-8)


def image(path: Path, size: int = 600) -> np.ndarray:
    """Writes an image of noise, each pixel known by its value, and returns it."""
    values = np.arange(size * size, dtype=np.float32).reshape(size, size)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        [83.6, 22.0],
        [300, 300],
        [-0.001, 0.001],
    )
    fits.PrimaryHDU(values, wcs.to_header()).writeto(path)
    return values


def test_a_part_of_an_image_has_its_own_pixels(tmp_path: Path) -> None:
    values = image(tmp_path / "a.fits")
    previews, file = Previews(), ResultFile("a", tmp_path / "a.fits", {})
    assert json.loads(previews.plot_data(file).data)["step"] == [2.0, 2.0]
    part = Extent(x_low=100.5, x_high=103.5, y_low=200.5, y_high=202.5)  # pixels 101 to 103 and 201, 202
    told: dict[str, Any] = json.loads(previews.plot_data(file, extent=part).data)
    assert (told["rows"], told["columns"], told["step"]) == (2, 3, [1.0, 1.0])
    assert [told["axes"][0]["low"], told["axes"][0]["high"]] == [100.5, 103.5]
    rows = table(previews.plot_table(file, part).data)
    assert numbers(rows, "value").tolist() == values[200:202, 100:103].ravel().tolist()
    assert numbers(rows, "x").tolist() == [101, 102, 103] * 2
    there = WCS(fits.getheader(tmp_path / "a.fits")).wcs_pix2world([[103, 202]], 1)[0]
    assert [float(rows[-1]["ra_deg"]), float(rows[-1]["dec_deg"])] == pytest.approx(there, abs=1e-8)
    gone = previews.plot_picture(file, extent=Extent(x_low=5000.0))
    assert not gone.ok and b"its pixels run from 1 to 600" in gone.data


def test_what_is_lit_in_a_large_image_is_shown_pixel_by_pixel(tmp_path: Path) -> None:
    values = np.zeros((900, 900), dtype=np.float32)
    values[400:420, 500:530] = np.arange(600).reshape(20, 30)
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")
    told = json.loads(Previews().plot_data(ResultFile("a", tmp_path / "a.fits", {})).data)
    assert told["step"] == [1.0, 1.0]
    assert told["measure"] == "Value"
    assert told["columns"] < 50 and told["limits"] == [0.0, 599.0]


def a_curve(start: float | None, bins: int = 10, label: str = "Counts / s") -> Curve:
    """A light curve of some bins of 100 s from an MJD on."""
    from uws_server.previews.curve import CurveSeries

    times = 100.0 * np.arange(bins)
    rates = CurveSeries("", np.arange(bins) + 1.0, np.full(bins, 0.1), np.full(bins, 0.1))
    return Curve("c.fits", times, np.full(bins, 100.0), (rates,), (), label, f"MJD {start}", bins, mjd=start)


def test_light_curves_in_one_plot_have_one_time() -> None:
    early, late = a_curve(60000.0), a_curve(60000.0 + 5000 / 86400)
    chart = curves([late, early], ["late", "early"], "date")
    assert chart.mjd == 60000.0
    assert [series.label for series in chart.series] == ["late", "early"]
    assert chart.series[0].middle[0] == pytest.approx(5000.0, abs=1e-3)
    assert chart.series[1].middle[0] == 0.0
    assert chart.x_label.startswith("Time (s) from MJD 60000")
    fresh = curves([late, early], ["late", "early"], "start")
    assert [series.middle[0] for series in fresh.series] == [0.0, 0.0]
    assert fresh.x_label == "Time (s) from the start of each"
    shown = curves([late, early], ["late", "early"], "date", Extent(x_low=4900.0, x_high=5300.0))
    assert 0 < len(shown.series[0].part(4900.0, 5300.0).y) < 10


def test_what_has_no_common_axis_is_refused() -> None:
    with pytest.raises(NoPreview, match="axes of other units"):
        curves([a_curve(1.0), a_curve(1.0, label="Hardness ratio")], ["a", "b"], "date")
    with pytest.raises(NoPreview, match="the date of one of the light curves is not known"):
        curves([a_curve(1.0), a_curve(None)], ["a", "b"], "date")
    assert len(curves([a_curve(1.0), a_curve(None)], ["a", "b"], "start").series) == 2


@pytest.mark.parametrize("ends", [(1e-30, 1e30), (-1e30, 1e30), (1e-30, 2e-30), (1e29, 1e30), (-1e30, -1e29)])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("largest", [1e-300, 1.0, 1e300])
def test_no_extent_makes_a_plot_fail(ends: tuple[float, float], scale: str, largest: float) -> None:
    middle = np.arange(1.0, 5.0)
    points = ChartSeries("", middle - 0.5, middle, middle + 0.5, largest * middle, *np.full((2, 4), np.nan))
    chart = Chart("Spectrum", "a", "x", "y", (points,), "all", (0.5, 4.5), "linear", "linear", ("x", "y"))
    for axis in "xy":
        asked = {f"{axis}_low": str(ends[0]), f"{axis}_high": str(ends[1]), f"{axis}_scale": scale}
        try:
            extent = Extent.read(asked)
        except ValueError:
            assert scale == "log" and ends[0] < 0
            continue
        for half in (extent, replace(extent, x_high=None, y_high=None), replace(extent, x_low=None, y_low=None)):
            for form in (draw, describe, of_chart):
                with contextlib.suppress(NoPreview):
                    form(chart, half)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "look", [{"low": "1e30"}, {"high": "-1e30"}, {"high": "1e30"}, {"low": "-1e30", "high": "1e30"}]
)
@pytest.mark.parametrize("largest", [0.0, 1e-300, 1.0, 1e30])
def test_no_limits_of_colours_make_a_picture_fail(scale: str, look: dict[str, str], largest: float) -> None:
    raster = Raster(largest * np.arange(12.0).reshape(3, 4), Look.read({"scale": scale, **look}))
    assert raster.png().startswith(b"\x89PNG")
    assert all(np.isfinite(raster.stretch.ticks()))
