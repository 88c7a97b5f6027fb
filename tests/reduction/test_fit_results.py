"""What is made of a fit: fluxes, contours, goodness, posterior, comparison, the FITS file and the report."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import fitfiles
from reduction.errors import ReductionError
from reduction.fitting import contours, fluxes
from reduction.fitting.comparison import compare
from reduction.fitting.confidence import rise
from reduction.fitting.expression import parse_model
from reduction.fitting.fit import fit
from reduction.fitting.foldedmodel import choose
from reduction.fitting.goodness import goodness
from reduction.fitting.inputs import GivenFile, read_spectra
from reduction.fitting.outcome import Outcome, notes_of, statistic_text
from reduction.fitting.parametertable import read_table
from reduction.fitting.posterior import draw
from reduction.fitting.report import report
from reduction.fitting.result import FitResult
from reduction.fitting.resultfile import write_contours, write_posterior, write_result
from reduction.fitting.spectrum import FitData

BAND = (0.5, 10.0)


def chosen(folder: Path, **changed: float) -> tuple[FitData, ...]:
    files = fitfiles.write(folder, **changed)  # type: ignore[arg-type]
    given = {name: [GivenFile(path.name, path)] for name, path in files.given.items()}
    return choose(read_spectra(given), "0.3 10", "none", "1", "5")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitData, ...]:
    return chosen(tmp_path_factory.mktemp("bright"), norm=3e-4)


@pytest.fixture(scope="module")
def found(data: tuple[FitData, ...]) -> FitResult:
    return fit(data, parse_model("powerlaw"))


@pytest.fixture(scope="module")
def wrong(data: tuple[FitData, ...]) -> FitResult:
    """A fit of a model that is not the one the counts are of."""
    return fit(data, parse_model("bbody"))


def analytic_flux(index: float, norm: float, low: float, high: float) -> float:
    """Energy flux of a power law in erg/cm2/s."""
    power = 2 - index
    return norm * (high**power - low**power) / power * 1.602176634e-9


# --- fluxes -----------------------------------------------------------------------------------------------------


def test_the_flux_of_a_power_law_is_its_integral() -> None:
    model = parse_model("powerlaw")
    for index in (0.5, 1.7, 3.0):
        assert fluxes.energy_flux(model, *BAND, [index, 1e-3]) == pytest.approx(
            analytic_flux(index, 1e-3, *BAND), rel=1e-5
        )


def test_the_true_flux_lies_within_its_errors(found: FitResult) -> None:
    flux, bare = fluxes.fluxes(found, *BAND)
    true = analytic_flux(fitfiles.INDEX, 3e-4, *BAND)
    assert flux.error_low is not None and flux.error_high is not None and flux.upper is not None
    error = (flux.error_low + flux.error_high) / 2
    assert abs(flux.value - true) < 3 * error
    assert 0.005 < error / true < 0.05, "of some 10,000 counts"
    assert flux.value < flux.upper < flux.value + 3 * error
    assert bare.value == flux.value, "the model has no absorption"


def test_an_unabsorbed_flux_leaves_absorption_out(data: tuple[FitData, ...]) -> None:
    asked = read_table("wabs.nH = 0.5 frozen\npowerlaw.PhoIndex = 1.8 frozen\npowerlaw.norm = 3e-4")
    flux, bare = fluxes.fluxes(fit(data, parse_model("wabs*powerlaw"), parameters=asked), *BAND)
    assert bare.value > 1.2 * flux.value


def test_luminosity_distances_are_those_of_universes_with_a_formula() -> None:
    """A universe of matter alone, and an empty one that expands for ever (Hogg 1999)."""
    for z in (0.01, 0.5, 2.0):
        matter = 2 * fluxes.LIGHT_KM_S / 70 * (1 + z) * (1 - 1 / math.sqrt(1 + z))
        assert fluxes.Cosmology(70, 1.0).luminosity_distance_mpc(z) == pytest.approx(matter, rel=1e-9)
        empty = fluxes.LIGHT_KM_S / 70 * z * (1 + z)
        assert fluxes.Cosmology(70, 0.0).luminosity_distance_mpc(z) == pytest.approx(empty, rel=1e-9)


def test_a_luminosity_is_of_the_band_in_the_frame_of_the_source(found: FitResult) -> None:
    place = fluxes.place_of(1.0, None, "70 0.3")
    assert place is not None and place.distance_mpc == pytest.approx(6607.66, rel=1e-4), "Wright's calculator"
    luminosity = fluxes.fluxes(found, 2, 10, place)[-1]
    index, norm = (each.value for each in found.parameters)
    area = 4 * math.pi * (place.distance_mpc * 3.0856775814913673e24) ** 2
    assert luminosity.value == pytest.approx(area * analytic_flux(index, norm, 1, 5), rel=1e-5)
    assert luminosity.unit == "erg/s"
    assert fluxes.place_of(None, None, "70 0.3") is None


@pytest.mark.parametrize("text", ["70", "70 0.3 0.7", "a b", "0 0.3", "70 1.5"])
def test_a_cosmology_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ReductionError) as error:
        fluxes.place_of(0.1, None, text)
    assert error.value.parameter == "cosmology"


def test_a_faint_source_has_an_upper_limit(tmp_path: Path) -> None:
    """Without a source the flux is about 0, and what is above it comes with a probability of 5 %."""
    data = chosen(tmp_path, norm=1e-9)
    result = fit(data, parse_model("powerlaw"), parameters=read_table("powerlaw.PhoIndex = 1.8 frozen"))
    flux, _ = fluxes.fluxes(result, *BAND)
    assert flux.upper is not None and flux.upper > 0
    limit = flux.upper / analytic_flux(1.8, 1.0, *BAND)
    assert 1 < contours.likelihood_of(result)([limit]) - result.statistic < 8


# --- contours ---------------------------------------------------------------------------------------------------


def test_a_contour_touches_the_errors_of_its_parameters(found: FitResult) -> None:
    """The profile of the grid rises by 1 where the error of the parameter ends."""
    x, y = contours.pair_of("powerlaw.phoindex powerlaw.norm", found)
    grid = contours.contour(found, x, y, side=31)
    assert np.nanmin(grid.rise) == pytest.approx(0, abs=0.01)
    assert grid.rise[15, 15] == pytest.approx(0, abs=1e-6), "the best values are in the middle"
    profile = grid.rise.min(axis=0)
    error = x.error
    assert error is not None
    assert np.interp(x.value + error, grid.x, profile) == pytest.approx(1.0, abs=0.15)
    assert grid.rise.max() > rise(0.99, 2)


def test_other_parameters_are_fitted_at_each_place(data: tuple[FitData, ...]) -> None:
    result = fit(data, parse_model("wabs*powerlaw"), parameters=read_table("wabs.nH = 0.02 [0, 1]"))
    x, y = contours.pair_of("wabs.nH powerlaw.PhoIndex", result)
    grid = contours.contour(result, x, y, side=9)
    index, column = 4, -1
    held = f"wabs.nH = {grid.x[column]} frozen\npowerlaw.PhoIndex = {grid.y[index]} frozen\n"
    alone = fit(data, parse_model("wabs*powerlaw"), parameters=read_table(held))
    assert grid.rise[index, column] == pytest.approx(alone.statistic - result.statistic, abs=0.03)
    assert grid.x.min() >= 0, "no place lies beyond a limit"


@pytest.mark.parametrize("text", ["powerlaw.norm", "powerlaw.norm powerlaw.norm", "powerlaw.norm bbody.kT", "a b c"])
def test_a_pair_that_is_none_is_refused(found: FitResult, text: str) -> None:
    with pytest.raises(ReductionError) as error:
        contours.pair_of(text, found)
    assert error.value.parameter == "contours"


# --- goodness, posterior, comparison -----------------------------------------------------------------------------


def test_simulations_tell_a_wrong_model_from_a_right_one(found: FitResult, wrong: FitResult) -> None:
    right = goodness(found, 60)
    assert 0.01 < right.below < 0.99, right.sentence
    assert right.statistics.mean() == pytest.approx(found.bins, rel=0.15)
    assert goodness(wrong, 20).below == 1.0
    assert "does not describe" in goodness(wrong, 20).sentence
    assert np.array_equal(goodness(found, 5).statistics, goodness(found, 5).statistics), "the same again"


def test_draws_of_the_posterior_scatter_as_the_errors_say(found: FitResult) -> None:
    drawn = draw(found, 3000)
    assert drawn.values.shape[0] >= 3000 and drawn.independent > 300
    for each in found.parameters:
        middle, low, high = drawn.interval(each.name, found.confidence)
        error = each.error
        assert error is not None
        assert abs(middle - each.value) < 0.3 * error
        assert (high - low) / 2 == pytest.approx(error, rel=0.12)
    expected = found.covariance
    assert expected is not None
    correlation = expected[0, 1] / math.sqrt(expected[0, 0] * expected[1, 1])
    assert np.corrcoef(drawn.values.T)[0, 1] == pytest.approx(correlation, abs=0.08)


def test_no_draw_lies_beyond_a_limit(tmp_path: Path) -> None:
    """Of a source that is hardly there: the posterior of its norm is cut at 0, and has the shape of the likelihood."""
    data = chosen(tmp_path, norm=2e-6)
    result = fit(data, parse_model("powerlaw"), parameters=read_table("powerlaw.PhoIndex = 1.8 frozen"))
    drawn = draw(result, 3000)
    norms = drawn.values[:, 0]
    assert norms.min() >= 0
    grid = np.linspace(0, norms.max(), 400)
    likelihood = contours.likelihood_of(result)
    density = np.exp(-0.5 * (np.array([likelihood([each]) for each in grid]) - result.statistic))
    summed = np.cumsum(density) / density.sum()
    for part in (0.16, 0.5, 0.84):
        assert np.mean(norms < np.interp(part, summed, grid)) == pytest.approx(part, abs=0.04)


def test_a_fit_without_covariance_has_no_posterior(found: FitResult) -> None:
    with pytest.raises(ReductionError) as error:
        draw(replace(found, covariance=None), 100)
    assert error.value.parameter == "posterior"


def test_the_right_model_is_the_better_one(found: FitResult, wrong: FitResult, data: tuple[FitData, ...]) -> None:
    line = read_table("gaussian.LineE = 6.4 frozen\ngaussian.Sigma = 0.1 frozen")
    richer = fit(data, parse_model("powerlaw + gaussian"), parameters=line)
    rows = compare([wrong, found, richer])
    assert [row.delta_bic for row in rows].index(0.0) == 1
    assert rows[1].aic == pytest.approx(found.statistic + 4)
    assert rows[1].bic == pytest.approx(found.statistic + 2 * math.log(found.bins))
    assert sum(row.weight for row in rows) == pytest.approx(1)
    assert compare([replace(found, converged=False)]) == ()


# --- the file and the report ------------------------------------------------------------------------------------


def test_the_file_of_a_result_holds_what_was_found(found: FitResult, wrong: FitResult, tmp_path: Path) -> None:
    results = (found, wrong)
    outcome = Outcome(results, tuple(fluxes.fluxes(each, *BAND) for each in results), compare(results),
                      goodness(found, 20), abundances="wilm")  # fmt: skip
    path = tmp_path / "fit.fits"
    write_result(path, outcome)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus[1:]] == ["PARAMETERS", "DATASETS", "RESIDUALS", "FLUXES", "COMPARED"]
        assert hdus[0].header["OBS_ID"] == "0999990101"
        table, header = hdus["PARAMETERS"].data, hdus["PARAMETERS"].header
        names = [name.strip() for name in table["NAME"][table["MODEL"] == 1]]
        assert names == [each.name for each in found.parameters]
        assert table["VALUE"][0] == found.parameters[0].value
        assert table["ERR_UP"][0] == found.parameters[0].error_high
        assert (header["EXPR1"], header["EXPR2"]) == ("powerlaw", "bbody")
        assert header["CONVERGD"] is True and header["DOF"] == found.dof and header["GOODSIMS"] == 20
        assert any("Poor fit" in str(header[key]) for key in header if key.startswith("NOTE"))
        rows = hdus["RESIDUALS"].data
        fitted = found.datasets[0]
        assert rows["COUNTS"].sum() == fitted.data.observed.counts.sum()
        assert np.array_equal(rows["MODELCTS"], fitted.source)
        seconds = fitted.data.spectrum.exposure_s * (rows["E_MAX"] - rows["E_MIN"])
        assert rows["RATE"] * seconds == pytest.approx(rows["COUNTS"] - rows["BACKCTS"])
        assert rows["STAT"].sum() == pytest.approx(found.statistic)
        assert hdus["COMPARED"].data["DAIC"].min() == 0
        assert set(np.char.strip(hdus["FLUXES"].data["KIND"])) == {"flux", "unabsorbed flux"}


def test_contours_and_draws_are_tables(found: FitResult, tmp_path: Path) -> None:
    grid = contours.contour(found, *contours.pair_of("powerlaw.PhoIndex powerlaw.norm", found), side=5)
    write_contours(tmp_path / "contours.fits", found, [grid])
    drawn = draw(found, 40)
    write_posterior(tmp_path / "posterior.fits", found, drawn)
    with fits.open(tmp_path / "contours.fits") as hdus, fits.open(tmp_path / "posterior.fits") as others:
        hdus.verify("exception")
        others.verify("exception")
        rows = hdus["CONTOUR1"].data
        assert len(rows) == 25 and rows["RISE"].reshape(5, 5)[2, 2] == pytest.approx(0, abs=1e-6)
        assert others["POSTERIOR"].columns.names == ["POWERLAW_PHOINDEX", "POWERLAW_NORM", "STATISTIC"]


def test_a_report_tells_what_to_be_careful_of(data: tuple[FitData, ...], wrong: FitResult) -> None:
    """A poor fit, a parameter at its limit, one that the data do not determine: each is told by its name."""
    asked = read_table("powerlaw.PhoIndex = 2.5 [2.4, 10]")
    held = fit(data, parse_model("powerlaw"), parameters=asked)
    double = fit(data, parse_model("constant*powerlaw"))
    outcome = Outcome((held, wrong, double), compared=compare([held, wrong, double]))
    text = report(outcome)
    assert "powerlaw.PhoIndex ran into its lower limit" in text
    assert "at its lower limit" in text
    assert "Poor fit" in text
    assert "constant.factor" in text and "not determined" in text
    assert "powerlaw.PhoIndex  2.4" in text
    assert len(set(notes_of(outcome))) == len(notes_of(outcome))


def test_a_search_without_an_end_is_no_result(found: FitResult) -> None:
    lost = replace(found, converged=False, messages=("The fit did not converge: it still falls.",))
    assert statistic_text(lost).startswith("Not converged")
    text = report(Outcome((found, lost), compared=compare([found, lost])))
    assert "Not converged, and not compared: powerlaw" in text and "did not converge" in text
