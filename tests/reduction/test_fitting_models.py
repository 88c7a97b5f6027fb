"""Models: their formulas against integrals, absorption against published values, expressions with mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction.errors import ReductionError
from reduction.fitting.absorption import cross_sections, morrison_mccammon
from reduction.fitting.bremsstrahlung import gaunt
from reduction.fitting.components import Tables
from reduction.fitting.expression import REGISTRY, ModelError, parse_model
from reduction.fitting.parameters import Setting

EDGES = np.geomspace(0.1, 20.0, 2001)

ERG_PER_KEV = 1.602176634e-9
KPC_CM = 3.0856775814913673e21


def integral(density: Callable[[np.ndarray], np.ndarray], edges: np.ndarray, parts: int = 64) -> np.ndarray:
    """The integral over each bin by many rectangles."""
    middles = (np.arange(parts) + 0.5) / parts
    places = edges[:-1, None] + middles * np.diff(edges)[:, None]
    return density(places).mean(axis=1) * np.diff(edges)


DENSITIES: dict[str, tuple[list[float], Callable[[np.ndarray], np.ndarray]]] = {
    "powerlaw": ([1.9, 2.0], lambda e: 2 * e**-1.9),
    "cutoffpl": ([1.2, 4.0, 3.0], lambda e: 3 * e**-1.2 * np.exp(-e / 4)),
    "bknpower": ([1.1, 2.5, 3.0, 0.5], lambda e: 0.5 * np.where(e < 2.5, e**-1.1, 2.5**1.9 * e**-3.0)),
    "bbody": ([0.4, 2.0], lambda e: 2 * 8.0525 * e**2 / (0.4**4 * np.expm1(e / 0.4))),
    "bbodyrad": ([0.4, 2.0], lambda e: 2 * 1.0344e-3 * e**2 / np.expm1(e / 0.4)),
    "gaussian": ([3.0, 0.2, 5.0],
                 lambda e: 5 / (0.2 * math.sqrt(2 * math.pi)) * np.exp(-((e - 3) ** 2) / (2 * 0.2**2))),
}  # fmt: skip


@pytest.mark.parametrize("name", DENSITIES)
def test_photons_in_bins_are_the_integral_of_the_formula(name: str) -> None:
    values, density = DENSITIES[name]
    found = parse_model(name).flux_in_bins(EDGES, values)
    np.testing.assert_allclose(found, integral(density, EDGES), rtol=2e-4, atol=1e-12)
    coarse = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    exact = integral(density, coarse, 20_000)
    np.testing.assert_allclose(parse_model(name).flux_in_bins(coarse, values), exact, rtol=1e-3, atol=1e-20)


@pytest.mark.parametrize("index", [1.0, 1.0 + 1e-9, 0.0, -2.0, 9.0])
def test_a_power_law_is_exact_at_any_index(index: float) -> None:
    edges = np.array([0.5, 2.0, 8.0])
    found = parse_model("powerlaw").flux_in_bins(edges, [index, 1.0])
    is_one = abs(index - 1) < 1e-6
    exact = math.log(4) * np.ones(2) if is_one else np.diff(edges ** (1 - index)) / (1 - index)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_the_norm_of_a_black_body_is_its_luminosity_at_10_kpc() -> None:
    """1e39 erg/s at 10 kpc at any temperature; a sphere of 10 km and 1 keV shines there by Stefan and Boltzmann."""
    flux = 1e39 / (4 * math.pi * (10 * KPC_CM) ** 2)
    edges = np.geomspace(1e-3, 100, 4000)
    middle = (edges[1:] + edges[:-1]) / 2
    for kt in (0.3, 1.0):
        photons = parse_model("bbody").flux_in_bins(edges, [kt, 1.0])
        assert photons @ middle * ERG_PER_KEV == pytest.approx(flux, rel=4e-3)
    luminosity = 4 * math.pi * (10e5) ** 2 * 5.670374e-5 * (1.0 / 8.617333262e-8) ** 4
    photons = parse_model("bbodyrad").flux_in_bins(edges, [1.0, 100.0])
    assert photons @ middle * ERG_PER_KEV == pytest.approx(luminosity / (4 * math.pi * (10 * KPC_CM) ** 2), rel=4e-3)


@pytest.mark.parametrize("width", [0.0, 1e-5, 0.01, 0.3])
@pytest.mark.parametrize("energy", [2.0003, 6.4])
def test_a_line_has_all_its_photons_where_it_is(width: float, energy: float) -> None:
    edges = np.arange(0.2, 12.0, 0.005)
    found = parse_model("gaussian").flux_in_bins(edges, [energy, width, 3.0])
    middle = (edges[1:] + edges[:-1]) / 2
    assert found.sum() == pytest.approx(3.0, rel=1e-9)
    assert found @ middle / 3.0 == pytest.approx(energy, abs=0.003)
    assert parse_model("gaussian").flux_in_bins(edges, [50.0, width, 3.0]).sum() == pytest.approx(0.0, abs=1e-12)


def test_bremsstrahlung_has_the_gaunt_factor_of_born_for_hot_gas() -> None:
    """Born: ``sqrt(3)/pi exp(u/2) K0(u/2)``, K0 by its integral; cold gas has a larger one, by the pull of ions."""
    u = np.array([0.01, 0.1, 1.0, 5.0])
    turn = np.linspace(0, 12, 4001)
    bessel = np.trapezoid(np.exp(-np.outer(u / 2, np.cosh(turn))), turn, axis=1)
    np.testing.assert_allclose(gaunt(u, 1e-6), math.sqrt(3) / math.pi * np.exp(u / 2) * bessel, rtol=0.01)
    assert (gaunt(u[2:], 0.3) > 1.1 * gaunt(u[2:], 1e-6)).all()


def test_the_norm_of_bremsstrahlung_is_an_emission_measure() -> None:
    """Power of hydrogen: 1.426e-27 sqrt(T) g erg cm3/s (Rybicki and Lightman 1979, 5.15b), g = 2 sqrt(3)/pi."""
    edges, temperature = np.geomspace(1e-4, 400, 6000), 8.0
    middle = (edges[1:] + edges[:-1]) / 2
    power = parse_model("bremss").flux_in_bins(edges, [temperature, 1.0]) @ middle * ERG_PER_KEV * 3.02e-15
    kelvin = temperature / 8.617333e-8
    expected = 1.426e-27 * math.sqrt(kelvin) * 2 * math.sqrt(3) / math.pi * (1 + 4 * 0.085)
    assert power == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("energy, sigma", [(0.05, 14.52e-20), (0.5, 0.0), (1.0, 242.2e-24), (5.0, 0.0), (9.0, 0.0)])
def test_wabs_is_the_cross_section_of_morrison_and_mccammon(energy: float, sigma: float, shared: Path) -> None:
    """At 1 keV 2.422e-22 cm2; at others the table of XSPEC's wabs, to the width of its bins."""
    found = morrison_mccammon(np.array([energy]))[0]
    if energy == 1.0:
        assert found == pytest.approx(sigma * 1e22, rel=1e-6)
    elif energy > 0.1:
        table = fits.getdata(shared / "real/absorption/xsect_wabs_angr.fits", 1)
        assert found == pytest.approx(np.interp(energy, table["ENERGY"], table["SIGMA"]), rel=5e-3)


def test_absorption_is_exp_of_column_times_cross_section(shared: Path) -> None:
    """Cross-sections at 1 keV by model and abundances, in 1e-22 cm2."""
    folder = shared / "real" / "absorption"
    known = {("tbabs", "wilm"): 1.738, ("tbabs", "angr"): 2.532, ("phabs", "angr"): 2.502, ("wabs", "angr"): 2.422}
    edges = np.array([0.999, 1.001])
    for (name, abundances), sigma in known.items():
        model = parse_model(f"{name}*powerlaw", Tables(folder, abundances))
        bare = parse_model("powerlaw").flux_in_bins(edges, [1.7, 1.0])
        assert -math.log(model.flux_in_bins(edges, [0.5, 1.7, 1.0])[0] / bare[0]) == pytest.approx(
            0.5 * sigma, rel=2e-3
        )


def test_a_table_goes_on_where_it_ends(shared: Path) -> None:
    tables = Tables(shared / "real" / "absorption")
    inside, beyond = cross_sections("tbabs", np.array([19.0, 25.0]), tables)
    assert beyond / inside == pytest.approx((25 / 19) ** -3, rel=0.35)
    low, lower = cross_sections("tbabs", np.array([0.101, 0.08]), tables)
    assert lower / low == pytest.approx((0.08 / 0.101) ** -3, rel=0.35)


def test_absorption_without_tables_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReductionError, match="wabs") as caught:
        parse_model("tbabs*powerlaw").on(EDGES)
    assert caught.value.parameter == "model"
    with pytest.raises(ReductionError, match="lodd") as caught:
        parse_model("tbabs*powerlaw", Tables(tmp_path, "lodd")).on(EDGES)
    assert caught.value.parameter == "abundances"
    (tmp_path / "xsect_tbabs_wilm.fits").write_text("no table")
    with pytest.raises(ReductionError, match="xsect_tbabs_wilm"):
        parse_model("tbabs*powerlaw", Tables(tmp_path)).on(EDGES)


def test_an_expression_is_sums_and_products_of_its_components() -> None:
    model = parse_model("wabs*(powerlaw + constant*gaussian) + bbody")
    values = [0.3, 1.7, 2.0, 0.5, 3.0, 0.1, 4.0, 0.6, 1.0]
    parts = [parse_model(name) for name in ("powerlaw", "gaussian", "bbody")]
    law, line, body = (part.flux_in_bins(EDGES, given) for part, given in
                       zip(parts, ([1.7, 2.0], [3.0, 0.1, 4.0], [0.6, 1.0]), strict=True))  # fmt: skip
    factor = np.exp(-0.3 * morrison_mccammon((EDGES[1:] + EDGES[:-1]) / 2))
    np.testing.assert_allclose(model.flux_in_bins(EDGES, values), factor * (law + 0.5 * line) + body, rtol=1e-12)
    np.testing.assert_allclose(model.unabsorbed().flux_in_bins(EDGES, values), law + 0.5 * line + body, rtol=1e-12)
    of_line = model.part(model.spectra[1]).flux_in_bins(EDGES, values)
    np.testing.assert_allclose(of_line, factor * 0.5 * line, rtol=1e-12)
    total = sum(model.part(each).flux_in_bins(EDGES, values) for each in model.spectra)
    np.testing.assert_allclose(total, model.flux_in_bins(EDGES, values), rtol=1e-12)


def test_a_wide_bin_has_the_photons_of_narrow_ones() -> None:
    """Absorption, too: taken at the middle of a bin from 0.3 to 10 keV it would be that of 5 keV."""
    model, values = parse_model("wabs*(powerlaw + bbody)"), [0.5, 1.7, 1.0, 0.2, 1.0]
    for low, high in ((0.3, 1.0), (1.0, 10.0)):
        narrow = model.flux_in_bins(np.geomspace(low, high, 20_001), values).sum()
        assert model.flux_in_bins(np.array([low, high]), values)[0] == pytest.approx(narrow, rel=1e-2)


def test_components_are_numbered_and_may_be_shortened() -> None:
    assert parse_model("wabs(po + po)").names == (
        "wabs.nH", "powerlaw.PhoIndex", "powerlaw.norm", "powerlaw2.PhoIndex", "powerlaw2.norm",
    )  # fmt: skip
    assert parse_model("Ga+BB+brem").names[-2:] == ("bremss.kT", "bremss.norm")
    assert all(name == name.lower() for name in REGISTRY.names)


@pytest.mark.parametrize(
    "text, column, words",
    [
        ("tbabs*powrlaw", 7, "did you mean powerlaw"),
        ("powerlaw * gaussian", 10, "cannot be multiplied"),
        ("tbabs*(powerlaw+gaussian", 25, "bracket of column 7 is not closed"),
        ("tbabs*powerlaw)", 15, "never opened"),
        ("tbabs", 1, "factors only"),
        ("", 1, "empty"),
        ("wabs + powerlaw", 6, "cannot be added"),
        ("powerlaw gaussian", 10, "'gaussian' stands where"),
        ("wabs*", 6, "the expression ends"),
        ("powerlaw + 3", 12, "'3' stands"),
        ("power-law", 6, "'-' stands"),
        ("powerlaw;import os", 9, "';' stands"),
        ("(" * 480, 31, "more than 30 brackets"),
        ("a" * 600, 501, "longer than"),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_model(text)
    assert (caught.value.column, caught.value.parameter) == (column, "model"), caught.value
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name, setting, words",
    [
        ("powerlaw.PhoIndx", Setting(value=1.0), "did you mean powerlaw.PhoIndex"),
        ("powerlaw.PhoIndex", Setting(value=12.0), "12, outside of its limits: -3 to 10"),
        ("powerlaw.PhoIndex", Setting(value=1.0, min=2.0, max=1.5), "lower one must be below"),
        ("wabs.nH", Setting(value=float("nan")), "finite"),
        ("wabs.nH", Setting(tied="powerlaw.index"), "no parameter of the model"),
        ("wabs.nH", Setting(tied="wabs.nH"), "tied to wabs.nH"),
    ],
)
def test_a_parameter_that_cannot_be_set_is_told(name: str, setting: Setting, words: str) -> None:
    with pytest.raises(ReductionError) as caught:
        parse_model("wabs*powerlaw").with_settings({name: setting})
    assert words in str(caught.value) and caught.value.parameter == "parameters"


def write_apec(folder: Path) -> None:
    """Tables of APEC's layout with two temperatures: one line and a flat continuum of hydrogen, and of iron."""
    grid = fits.BinTableHDU.from_columns([fits.Column("kT", "E", unit="keV", array=[1.0, 2.0])], name="PARAMETERS")
    lines, continua = [fits.PrimaryHDU(), grid], [fits.PrimaryHDU(), grid.copy()]
    for strength in (1.0, 3.0):
        lines.append(fits.BinTableHDU.from_columns([
            fits.Column("Lambda", "E", unit="A", array=[12.398419843 / 2.0, 12.398419843 / 6.7]),
            fits.Column("Epsilon", "E", array=[strength * 1e-17, strength * 2e-17]),
            fits.Column("Element", "J", array=[1, 26]), fits.Column("Ion", "J", array=[1, 25]),
        ], name="EMISSIVITY"))  # fmt: skip
        energies = np.array([[0.1, 20.0, 0.0], [0.1, 20.0, 0.0], [0.1, 20.0, 0.0]])
        values = strength * np.array([[4e-18] * 3, [5e-18] * 3, [7e-18] * 3])
        continua.append(fits.BinTableHDU.from_columns([
            fits.Column("Z", "J", array=[1, 26, 26]), fits.Column("rmJ", "J", array=[0, 0, 25]),
            fits.Column("N_Cont", "J", array=[2, 2, 2]), fits.Column("E_Cont", "3E", array=energies),
            fits.Column("Continuum", "3E", array=values), fits.Column("N_Pseudo", "J", array=[0, 0, 0]),
            fits.Column("E_Pseudo", "2E", array=np.zeros((3, 2))), fits.Column("Pseudo", "2E", array=np.zeros((3, 2))),
        ], name="EMISSIVITY"))  # fmt: skip
    fits.HDUList(lines).writeto(folder / "apec_v3.0.9_line.fits")
    fits.HDUList(continua).writeto(folder / "apec_v3.0.9_coco.fits")


def test_apec_sums_lines_and_continuum_of_its_tables(tmp_path: Path) -> None:
    """The tables are made here: none of AtomDB's lie at hand. The row of an ion is in that of its element."""
    write_apec(tmp_path)
    edges = np.arange(0.5, 10.0, 0.01)
    model = parse_model("apec", Tables(apec=tmp_path))
    at, iron = (int(np.searchsorted(edges, energy)) - 1 for energy in (2.0, 6.7))
    found = model.flux_in_bins(edges, [1.0, 0.3, 0.0, 2.0]) / 2e14
    assert found[at] + found[at + 1] == pytest.approx(1e-17 + 2 * 0.01 * (4e-18 + 0.3 * 5e-18), rel=1e-4)
    assert found[iron - 1 : iron + 2].sum() == pytest.approx(0.3 * 2e-17 + 3 * 0.01 * (4e-18 + 0.3 * 5e-18), rel=1e-4)
    between = model.flux_in_bins(edges, [1.25, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(between, 1.5 * model.flux_in_bins(edges, [1.0, 1.0, 0.0, 1.0]), rtol=1e-5)
    far = model.flux_in_bins(edges, [1.0, 1.0, 1.0, 1.0]) * 2 / 1e14
    assert far[int(np.searchsorted(edges, 3.35)) - 2 :][:4].sum() > 2e-17


def test_apec_without_tables_says_what_is_needed(tmp_path: Path) -> None:
    for tables in (Tables(), Tables(apec=tmp_path)):
        with pytest.raises(ReductionError, match=r"apec_v\.\.\._line") as caught:
            parse_model("apec", tables).on(EDGES)
        assert caught.value.parameter == "model"
