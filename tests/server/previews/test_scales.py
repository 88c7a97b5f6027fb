"""The factors of a spectrum in its preview: keyword or column, odd or absent, against sums over astropy's columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from phafiles import CHANNELS, write_ebounds, write_pha, write_pha2
from provenance.fits import scales
from provenance.fits.headers import Cards
from uws_server.previews.cache import Previews
from uws_server.previews.plot import Plot, make_plot
from uws_server.previews.preview import ResultFile
from uws_server.previews.spectra import DISPLAY_COUNTS

EDGES = np.linspace(0.3, 2.5, CHANNELS + 1)


def column(name: str, values: Any, form: str = "E") -> fits.Column:
    return fits.Column(name, form, array=np.broadcast_to(np.asarray(values), CHANNELS))


def rates(plot: Plot, series: int = 0) -> np.ndarray:
    return np.asarray(plot.series[series].points.rate)


def said(plot: Plot) -> str:
    return "; ".join(plot.notes)


@pytest.mark.parametrize(
    ("columns", "keywords", "drop", "rate"),
    [
        ((), {"AREASCAL": 0.5}, (), 0.2),
        ((column("AREASCAL", 0.5),), {}, ("AREASCAL",), 0.2),
        ((column("EXPOSURE", 500.0, "D"),), {}, ("EXPOSURE",), 0.2),
        ((), {"EXPOSURE": "500.0"}, (), 0.2),
        ((), {"EXPOSURE": " 5.0D2 "}, (), 0.2),
        ((column("AREASCAL", b"0.5", "8A"),), {}, ("AREASCAL",), 0.2),
    ],
)
def test_a_factor_counts_as_column_keyword_or_text(
    tmp_path: Path, columns: Any, keywords: dict[str, Any], drop: tuple[str, ...], rate: float
) -> None:
    plot = make_plot(write_pha(tmp_path / "a.pha", columns=columns, drop=drop, **keywords), {})
    assert plot.y_label == "Counts / s / channel"
    assert rates(plot) == pytest.approx(np.full(CHANNELS, rate))


def test_a_factor_that_differs_by_channel_is_summed_over_each_group(tmp_path: Path) -> None:
    area, counts = np.linspace(0.2, 1.0, CHANNELS), np.arange(1, CHANNELS + 1)
    groups = np.tile([1, -1, -1, -1, -1], CHANNELS // 5)
    path = write_pha(
        tmp_path / "a.pha", counts, [column("AREASCAL", area, "D"), column("GROUPING", groups, "I")], ("AREASCAL",)
    )
    expected = []
    for first in range(0, CHANNELS, 5):
        exposed = sum(1000.0 * area[channel] for channel in range(first, first + 5))
        expected.append(counts[first : first + 5].sum() / exposed)
    assert rates(make_plot(path, {})) == pytest.approx(np.array(expected))


def test_a_channel_without_area_takes_nothing_off_its_group(tmp_path: Path) -> None:
    """As the dead channels of RGS: no counts, AREASCAL 0."""
    dead = np.arange(CHANNELS) % 5 == 0
    groups = np.tile([1, -1, -1, -1, -1], CHANNELS // 5)
    path = write_pha(
        tmp_path / "a.pha",
        np.where(dead, 0, 100),
        [column("AREASCAL", np.where(dead, 0.0, 1.0)), column("GROUPING", groups, "I")],
        ("AREASCAL",),
    )
    assert rates(make_plot(path, {})) == pytest.approx(np.full(CHANNELS // 5, 0.1))


@pytest.mark.parametrize(
    ("keywords", "drop", "words"),
    [
        ({"EXPOSURE": 0.0}, (), "EXPOSURE is 0"),
        ({"EXPOSURE": -5.0}, (), "EXPOSURE is -5"),
        ({}, ("EXPOSURE",), "EXPOSURE is absent"),
        ({"EXPOSURE": "long"}, (), "EXPOSURE is 'long', which is no number"),
        ({"EXPOSURE": True}, (), "EXPOSURE is T, which is no number"),
    ],
)
def test_without_exposure_counts_are_shown_and_the_reason(
    tmp_path: Path, keywords: dict[str, Any], drop: tuple[str, ...], words: str
) -> None:
    path = write_pha(tmp_path / "a.pha", drop=drop, **keywords)
    plot = make_plot(path, {})
    assert plot.y_label == "Counts / channel"
    assert rates(plot) == pytest.approx(np.full(CHANNELS, 100))
    assert f"counts, not rates: {words}" in said(plot)
    assert "without a known exposure" in plot.summary()
    assert "1 s" not in plot.summary()
    assert plot.facts[0].exposure_text == "not known"


def test_rates_of_a_file_without_exposure_stay_as_they_are(tmp_path: Path) -> None:
    columns = [column("RATE", 0.25), column("STAT_ERR", 0.05)]
    plot = make_plot(write_pha(tmp_path / "a.pha", None, columns, ("EXPOSURE",), POISSERR=False), {})
    points = plot.series[0].points
    assert plot.y_label == "Counts / s / channel"
    assert points.rate == pytest.approx(np.full(CHANNELS, 0.25))
    assert points.rate_high - points.rate == pytest.approx(np.full(CHANNELS, 0.05))
    assert plot.facts[0].counts_text == "not known"


def test_rates_with_an_exposure_are_the_same_rates(tmp_path: Path) -> None:
    plot = make_plot(write_pha(tmp_path / "a.pha", None, [column("RATE", 0.25)]), {})
    assert rates(plot) == pytest.approx(np.full(CHANNELS, 0.25))
    assert plot.facts[0].counts == 250 * CHANNELS


@pytest.mark.parametrize("of_source", [True, False])
@pytest.mark.parametrize("as_column", [True, False])
def test_backscal_scales_the_background_as_keyword_and_as_column(
    tmp_path: Path, of_source: bool, as_column: bool
) -> None:
    value = 0.25 if of_source else 4.0
    odd: dict[str, Any] = {"columns": [column("BACKSCAL", value)], "drop": ["BACKSCAL"]} if as_column else {}
    odd = odd or {"BACKSCAL": value}
    write_pha(tmp_path / "b.pha", 40, **({} if of_source else odd))
    path = write_pha(tmp_path / "a.pha", BACKFILE="b.pha", **(odd if of_source else {}))
    plot = make_plot(path, {"b.pha": tmp_path / "b.pha"})
    assert rates(plot, 1) == pytest.approx(np.full(CHANNELS, 40 / 1000 / 4))
    assert "scaled by the ratio of BACKSCAL" in said(plot)


def test_backscal_of_each_channel_scales_that_channel(tmp_path: Path) -> None:
    ours = np.linspace(0.1, 0.9, CHANNELS)
    write_pha(tmp_path / "b.pha", np.arange(DISPLAY_COUNTS, CHANNELS + DISPLAY_COUNTS), BACKSCAL=2.0)
    path = write_pha(
        tmp_path / "a.pha", columns=[column("BACKSCAL", ours, "D")], drop=["BACKSCAL"], BACKFILE="b.pha[1]"
    )
    plot = make_plot(path, {"b.pha": tmp_path / "b.pha"})
    expected = [(channel + DISPLAY_COUNTS) * ours[channel] / 2.0 / 1000 for channel in range(CHANNELS)]
    points = plot.series[1].points
    assert points.rate == pytest.approx(expected)
    assert (points.rate_high / points.rate)[100 - DISPLAY_COUNTS] == pytest.approx((100 + 1 + np.sqrt(100.75)) / 100)


def test_a_faint_background_is_joined_along_the_groups_of_the_source_until_it_can_be_read(tmp_path: Path) -> None:
    write_pha(tmp_path / "b.pha", 4)
    plot = make_plot(write_pha(tmp_path / "a.pha", 40, BACKFILE="b.pha"), {"b.pha": tmp_path / "b.pha"})
    source, background = (series.points for series in plot.series)
    assert background.low == pytest.approx(source.low[::4])
    assert background.rate == pytest.approx(np.full(CHANNELS // 4, 4 / 1000))
    assert f"joined until each holds {DISPLAY_COUNTS} counts" in said(plot)


@pytest.mark.parametrize(
    ("source", "background", "words"),
    [
        ({"BACKSCAL": 0.0}, {}, "BACKSCAL of a.pha is 0"),
        ({}, {"BACKSCAL": 0.0}, "BACKSCAL of b.pha is 0"),
        ({"drop": ["BACKSCAL"]}, {}, "BACKSCAL of a.pha is absent"),
        ({"EXPOSURE": 0.0}, {}, "the exposure of the source is not known"),
        ({"columns": [column("BACKSCAL", 0.0)]}, {}, "BACKSCAL of a.pha is 0 in every channel"),
    ],
)
def test_a_background_whose_scale_is_not_known_is_not_scaled(
    tmp_path: Path, source: dict[str, Any], background: dict[str, Any], words: str
) -> None:
    write_pha(tmp_path / "b.pha", 40, **background)
    plot = make_plot(write_pha(tmp_path / "a.pha", BACKFILE="b.pha", **source), {"b.pha": tmp_path / "b.pha"})
    assert plot.series[1].label == "Background, not scaled"
    assert f"the background is not scaled: {words}" in said(plot)
    assert rates(plot, 1) == pytest.approx(np.full(CHANNELS, 40 / (1 if "EXPOSURE" in source else 1000)))


def test_a_background_without_exposure_is_not_drawn_beside_rates(tmp_path: Path) -> None:
    write_pha(tmp_path / "b.pha", 40, EXPOSURE=0.0)
    plot = make_plot(write_pha(tmp_path / "a.pha", BACKFILE="b.pha"), {"b.pha": tmp_path / "b.pha"})
    assert len(plot.series) == 1
    assert "the background b.pha is not drawn: its EXPOSURE is 0" in said(plot)


@pytest.mark.parametrize(
    "named", ["b.pha", "b.pha[1]", "b.pha[SPECTRUM]", "b.pha+1", "../x/b.pha[SPECTRUM,1]", "b.pha{1}"]
)
def test_a_background_is_found_by_every_spelling(tmp_path: Path, named: str) -> None:
    if named.endswith("}"):
        write_pha2(tmp_path / "b.pha", np.full((2, CHANNELS), [[40], [80]]), EXPOSURE=1000.0, BACKSCAL=1.0)
    else:
        write_pha(tmp_path / "b.pha", 40)
    plot = make_plot(write_pha(tmp_path / "a.pha", BACKFILE=named), {"b.pha": tmp_path / "b.pha"})
    assert rates(plot, 1) == pytest.approx(np.full(CHANNELS, 0.04))


def test_the_extension_that_is_named_is_the_one_read(tmp_path: Path) -> None:
    write_pha(tmp_path / "one.pha", 40)
    with fits.open(tmp_path / "one.pha") as one, fits.open(write_pha(tmp_path / "two.pha", 70)) as two:
        fits.HDUList([fits.PrimaryHDU(), one[1], two[1]]).writeto(tmp_path / "b.pha")
    beside = {"b.pha": tmp_path / "b.pha"}
    for named, counts in (("b.pha", 40), ("b.pha[1]", 40), ("b.pha[2]", 70)):
        plot = make_plot(write_pha(tmp_path / "a.pha", BACKFILE=named), beside)
        assert rates(plot, 1) == pytest.approx(np.full(CHANNELS, counts / 1000))
    plot = make_plot(write_pha(tmp_path / "a.pha", BACKFILE="b.pha[7]"), beside)
    assert "is not drawn: the file has no SPECTRUM table 7" in said(plot)


# ---- energies


@pytest.mark.parametrize("unit", ["keV", "eV", "Angstrom"])
@pytest.mark.parametrize("down", [False, True])
def test_energies_may_run_down_and_be_in_other_units(tmp_path: Path, unit: str, down: bool) -> None:
    edges = EDGES[::-1] if down else EDGES
    stored = {"keV": edges, "eV": edges * 1000, "Angstrom": 12.398419843 / edges}[unit]
    write_ebounds(tmp_path / "r.rmf", stored, unit)
    groups = column("GROUPING", np.tile([1, -1, -1, -1, -1], CHANNELS // 5), "I")
    plot = make_plot(write_pha(tmp_path / "a.pha", columns=[groups], RESPFILE="r.rmf"), {"r.rmf": tmp_path / "r.rmf"})
    points = plot.series[0].points
    assert sorted(points.low) == pytest.approx(EDGES[:-1:5])
    assert sorted(points.high) == pytest.approx(EDGES[5::5])
    assert points.rate == pytest.approx(np.full(CHANNELS // 5, 0.5 / (5 * (EDGES[1] - EDGES[0]))))
    assert plot.x_label == "Energy (keV)"


def test_joined_channels_may_run_down_too(tmp_path: Path) -> None:
    write_ebounds(tmp_path / "r.rmf", EDGES[::-1])
    plot = make_plot(write_pha(tmp_path / "a.pha", 4, RESPFILE="r.rmf"), {"r.rmf": tmp_path / "r.rmf"})
    assert len(rates(plot)) == 50
    assert plot.x_range() == pytest.approx((0.3, 2.5))


def test_a_response_in_an_unknown_unit_gives_no_energies(tmp_path: Path) -> None:
    write_ebounds(tmp_path / "r.rmf", EDGES, "furlong")
    plot = make_plot(write_pha(tmp_path / "a.pha", RESPFILE="r.rmf"), {"r.rmf": tmp_path / "r.rmf"})
    assert plot.x_label == "Channel"


# ---- files of type II


def test_of_a_type_ii_file_the_spectrum_with_the_most_counts_is_drawn(tmp_path: Path) -> None:
    counts = np.array([[1] * 50, [30] * 50, [7] * 50])
    wavelengths = np.linspace(20.0, 10.0, 51)
    columns = [
        fits.Column("EXPOSURE", "D", array=[100.0, 200.0, 400.0]),
        fits.Column("BIN_LO", "50D", unit="angstrom", array=np.tile(wavelengths[1:], (3, 1))),
        fits.Column("BIN_HI", "50D", unit="angstrom", array=np.tile(wavelengths[:-1], (3, 1))),
    ]
    path = write_pha2(tmp_path / "a.pha", counts, columns, AREASCAL=1.0)
    plot = make_plot(path, {})
    energies = 12.398419843 / wavelengths
    assert plot.x_label == "Energy (keV)"
    assert rates(plot) == pytest.approx(30 / 200 / np.diff(energies))
    assert "number 2 of the 3 spectra of the file is drawn" in said(plot)
    assert Previews().look(ResultFile("a", path, {})).kind == "spectrum"


def test_each_spectrum_of_a_type_ii_file_has_its_own_background(tmp_path: Path) -> None:
    names = fits.Column("BACKFILE", "12A", array=["b.pha{1}", "b.pha{3}"])
    path = write_pha2(tmp_path / "a.pha", [[5] * 20, [50] * 20], [names], EXPOSURE=100.0, BACKSCAL=1.0)
    write_pha2(tmp_path / "b.pha", [[20] * 20, [30] * 20, [40] * 20], EXPOSURE=100.0, BACKSCAL=2.0)
    plot = make_plot(path, {"b.pha": tmp_path / "b.pha"})
    assert rates(plot, 1) == pytest.approx(np.full(20, 40 / 100 / 2))


def test_a_quality_for_all_channels_is_a_keyword(tmp_path: Path) -> None:
    plot = make_plot(write_pha(tmp_path / "a.pha", QUALITY=5), {})
    assert plot.empty
    assert f"{CHANNELS} channels with QUALITY other than 0" in said(plot)


@pytest.mark.parametrize(
    ("text", "number"), [("1000.0", 1000), (" 1.5D3 ", 1500), ("1_000", None), ("inf", None), ("many", None)]
)
def test_a_text_is_a_number_where_it_is_one_in_every_header(text: str, number: float | None) -> None:
    """As the reader of all headers has it, whatever Python takes for a number beside that."""
    cards = Cards({"EXPOSURE": text})
    assert scales.keyword_number([cards], "EXPOSURE")[0] == cards.numeral("EXPOSURE") == number
