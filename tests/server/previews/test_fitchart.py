"""The picture of a fit's result: data, model, background, residuals, and what is told beside it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lxml import etree

from uws_server.previews.cache import Previews
from uws_server.previews.extent import Extent
from uws_server.previews.fitchart import SetOfBins, chart_of
from uws_server.previews.preview import ResultFile

LOW = np.geomspace(0.5, 5, 11)
BINS = 10


def fit_result(path: Path, *tables: fits.BinTableHDU, **changed: np.ndarray) -> ResultFile:
    """Write what a fit leaves, with astropy, and return it as a result; `tables` come last."""
    columns = {
        "DATASET": np.ones(BINS, np.int32),
        "E_MIN": LOW[:-1],
        "E_MAX": LOW[1:],
        "RATE": np.linspace(2, 1, BINS),
        "ERROR": np.full(BINS, 0.1),
        "BACKGROUND": np.full(BINS, 0.05),
        "MODEL": np.linspace(2.1, 1.1, BINS),
        "RESIDUAL": np.linspace(-4, 4, BINS),
        **changed,
    }
    residuals = fits.BinTableHDU.from_columns(
        [fits.Column(name, "J" if name == "DATASET" else "D", array=values) for name, values in columns.items()],
        name="RESIDUALS",
    )
    parameters = fits.BinTableHDU.from_columns(
        [
            fits.Column("MODEL", "J", array=np.array([1, 1])),
            fits.Column("NAME", "20A", array=np.array(["powerlaw.PhoIndex", "powerlaw.norm"])),
            fits.Column("VALUE", "D", array=np.array([1.7, 1e-3])),
            fits.Column("ERR_LO", "D", array=np.array([0.1, np.nan])),
            fits.Column("ERR_UP", "D", array=np.array([0.2, 2e-5])),
            fits.Column("MIN", "D", array=np.array([-3.0, 0.0])),
            fits.Column("MAX", "D", array=np.array([10.0, 1e24])),
            fits.Column("UNIT", "20A", array=np.array(["", "photon/keV/cm2/s"])),
            fits.Column("STATE", "20A", array=np.array(["free", "free"])),
        ],
        name="PARAMETERS",
    )
    parameters.header["EXPR1"] = "tbabs*powerlaw"
    parameters.header["STATTEXT"] = "W statistic 12.0 for 8 degrees of freedom"
    parameters.header["NOTE1"] = "powerlaw.norm has no lower error"
    parameters.header["CLEVEL"] = 0.9
    fits.HDUList([fits.PrimaryHDU(), parameters, residuals, *tables]).writeto(path)
    return ResultFile("fit", path, {})


def test_a_fit_is_drawn_with_its_residuals_below(tmp_path: Path) -> None:
    """Two plots stand one below the other, over one axis of energy: the lower one has a bar for each bin."""
    previews, file = Previews(), fit_result(tmp_path / "fit.fits")
    drawn = etree.fromstring(previews.plot_picture(file).data)
    texts = [text.text for text in drawn.iter("{*}text")]
    assert {"Energy (keV)", "Counts / s / keV", "Residual (σ)", "Data", "Model", "Background"} <= set(texts)
    frames = [frame for frame in drawn.iter("{*}rect") if frame.get("class") == "frame"]
    upper, lower = ({name: float(value) for name, value in frame.items() if name != "class"} for frame in frames)
    assert upper["y"] + upper["height"] < lower["y"]
    marks = [float(mark.get("cy") or 0) for mark in drawn.iter("{*}circle")]
    below = [y for y in marks if y > lower["y"]]
    assert len(below) == BINS and below == sorted(below, reverse=True), "residuals rise from -4 to 4 sigma"


def test_what_a_fit_shows_is_a_table_and_numbers_for_the_page(tmp_path: Path) -> None:
    previews, file = Previews(), fit_result(tmp_path / "fit.fits")
    rows = list(csv.DictReader(io.StringIO(previews.plot_table(file).data.decode())))
    residuals = [float(row["counts_per_s_per_keV"]) for row in rows if row["series"].startswith("residual")]
    assert residuals == pytest.approx(np.linspace(-4, 4, BINS), abs=1e-6)
    told = json.loads(previews.plot_data(file).data)
    assert [series["label"] for series in told["series"]][-1].startswith("residual")
    shorter = json.loads(previews.plot_data(file, extent=Extent(x_low=2.0, x_high=4.0)).data)
    assert all(len(series["middle"]) < BINS for series in shorter["series"])


def test_parameters_and_warnings_of_a_fit_are_told(tmp_path: Path) -> None:
    shown = Previews().look(fit_result(tmp_path / "fit.fits")).fit
    assert shown is not None
    assert shown.models == ("tbabs*powerlaw",)
    assert shown.notes == ("powerlaw.norm has no lower error",)
    index, norm = shown.parameters
    assert (index.value, index.errors, index.range) == ("1.7", "−0.1 / +0.2", "-3 to 10")
    assert (norm.value, norm.errors, norm.unit) == ("0.001", "no lower end / +2e-05", "photon/keV/cm2/s")


def table(name: str, **columns: Any) -> fits.BinTableHDU:
    """A table of texts and numbers."""
    return fits.BinTableHDU.from_columns(
        [fits.Column(key, "40A" if isinstance(values[0], str) else "D", array=np.array(values))
         for key, values in columns.items()], name=name,
    )  # fmt: skip


def test_fluxes_and_the_comparison_of_models_are_told(tmp_path: Path) -> None:
    """A luminosity without errors has none, and a model that did not converge comes last."""
    nan = float("nan")
    fluxes = table("FLUXES", MODEL=[1, 1], KIND=["unabsorbed flux", "luminosity"], E_MIN=[0.5, 0.5], E_MAX=[10, 10],
                   VALUE=[1.23456e-12, 3e40], ERR_LO=[1e-13, nan], ERR_UP=[2e-13, nan], UPPER=[1.5e-12, nan],
                   UNIT=["erg/cm2/s", "erg/s"])  # fmt: skip
    compared = table("COMPARED", MODEL=[1, 2, 3], EXPR=["lost", "worse", "better"], STAT=[9.0, 8.0, 7.0],
                     DOF=[8.0, 8.0, 7.0], AIC=[nan, 12.0, 11.0], BIC=[nan, 12.5, 11.9], DAIC=[nan, 1.0, 0.0],
                     DBIC=[nan, 0.6, 0.0], WEIGHT=[nan, 0.38, 0.62])  # fmt: skip
    shown = Previews().look(fit_result(tmp_path / "fit.fits", fluxes, compared)).fit
    assert shown is not None and shown.confidence == "90 %"
    flux, luminosity = shown.fluxes
    assert (flux.kind, flux.energies, flux.value) == ("Unabsorbed flux", "0.5 to 10", "1.235e-12")
    assert (flux.errors, flux.upper, flux.unit) == ("−1e-13 / +2e-13", "1.5e-12", "erg/cm2/s")
    assert (luminosity.errors, luminosity.upper, luminosity.unit) == ("", "", "erg/s")
    assert [one.expression for one in shown.compared] == ["better", "worse", "lost"]
    assert (shown.compared[1].aic_above, shown.compared[2].aic) == ("1.00", "")


@pytest.mark.parametrize("column", ["RATE", "RESIDUAL", "DATASET"])
def test_a_result_that_lacks_a_column_becomes_a_table(tmp_path: Path, column: str) -> None:
    file = fit_result(tmp_path / "fit.fits")
    with fits.open(file.path, mode="update") as hdus:
        hdus["RESIDUALS"].columns.change_name(column, "OTHER")
        hdus.flush()
    preview = Previews().look(file)
    assert preview.kind == "table" and "lacks a column" in preview.reason


def test_no_number_makes_no_picture_fail(tmp_path: Path) -> None:
    """A bin without data, and a residual that is no number, are left out of the drawing."""
    holes = np.full(BINS, np.nan)
    file = fit_result(tmp_path / "fit.fits", RESIDUAL=holes, RATE=np.where(np.arange(BINS) > 3, 1.0, np.nan))
    assert Previews().plot_picture(file).ok


def test_many_bins_are_joined_for_the_plot_without_a_change_of_their_sum(tmp_path: Path) -> None:
    """Ungrouped spectra have thousands of channels, which no picture tells apart."""
    draw = np.random.default_rng(3)
    edges = np.linspace(0.5, 5, 1001)
    low, high, rate, residual = edges[:-1], edges[1:], draw.random(1000), draw.standard_normal(1000)
    one = SetOfBins("a", low, high, rate, np.full(1000, 0.1), np.zeros(1000), rate, residual)
    few = one.joined()
    assert few.rate.size == 334 and (few.low[0], few.high[-1]) == (0.5, 5)
    assert few.rate @ (few.high - few.low) == pytest.approx(rate @ (high - low))
    assert few.error[0] == pytest.approx(0.1 / np.sqrt(3))
    assert few.residual.std() == pytest.approx(1, abs=0.1), "residuals are in sigma still"
    assert "joined to 334" in chart_of("a", [one], "powerlaw", "").summary
