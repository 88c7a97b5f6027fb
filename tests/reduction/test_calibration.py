"""Responses without the SAS: areas against the six real ones, a flux fitted with both, filters, patterns, carbon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from realresponses import REAL, Real, circle, ratio
from reduction.calibration.area import OnAxis, all_usual, known_pattern, measured_pattern, region_area
from reduction.calibration.builtin import built_in_redistribution
from reduction.calibration.filters import filter_transmission
from reduction.errors import ReductionError
from reduction.instruments import carbon_since, single_share
from reduction.missions.xmm import EMOS1, EPN
from reduction.responses import EffectiveArea, read_effective_area, read_redistribution, write_redistribution
from reduction.responses.grid import Camera, EnergyGrid
from reduction.responses.redistribution import Redistribution

KEV = np.array([0.3, 0.5, 1.0, 1.5, 2.0, 4.0, 6.0, 8.0, 10.0])


@pytest.mark.parametrize("real", REAL, ids=lambda real: real.file)
def test_areas_are_those_of_the_sas_within_5_percent(real: Real, shared: Path) -> None:
    energies, found = ratio(real, shared)
    inside = (energies > 0.5) & (energies < 8.0)
    assert np.abs(found[inside] - 1).max() < 0.05
    assert abs(np.mean(found[inside]) - 1) < 0.02


def _absorption(shared: Path, energies: np.ndarray) -> np.ndarray:
    """Cross-sections of photo-electric absorption in 1e-22 cm2."""
    table = fits.getdata(shared / "real" / "absorption" / "xsect_phabs_angr.fits", 1)
    return np.interp(energies, table["ENERGY"], table["SIGMA"])


def _fitted_flux(
    counts: np.ndarray, matrix: Redistribution, area: np.ndarray, exposure: float, sigma: np.ndarray
) -> float:
    """Flux in erg/s/cm2 from 0.5 to 8 keV of an absorbed power law, by Newton's method on the Poisson likelihood."""
    grid = matrix.energies
    low, high = matrix.channels.low, matrix.channels.high
    used = (low >= 0.5) & (high <= 8.0)

    def photons(values: np.ndarray) -> np.ndarray:
        return np.exp(values[0] - sigma * values[1] - values[2] * np.log(grid.middle)) * grid.width

    def model(values: np.ndarray) -> np.ndarray:
        return matrix.fold(photons(values) * area * exposure)[used]

    values = np.array([np.log(4e-4), 0.15, 2.0])
    for _ in range(40):
        expected = model(values)
        steps = np.array([(model(values + change) - expected) / 1e-4 for change in 1e-4 * np.eye(3)])
        slope = steps @ (counts[used] / expected - 1)
        values = values + np.clip(np.linalg.solve((steps / expected) @ steps.T, slope), -0.5, 0.5)
    band = (grid.low >= 0.5) & (grid.high <= 8.0)
    return float(np.sum((photons(values) * grid.middle)[band]) * 1.602e-9)


def test_a_flux_fitted_with_our_area_is_that_with_the_real_one(shared: Path) -> None:
    folder = shared / "real" / "xmm_ngc7793_ulx4"
    matrix = read_redistribution(folder / "PN.rmf")
    with fits.open(folder / "PN_spectrum_grp20.fits") as file:
        counts, exposure = file["SPECTRUM"].data["COUNTS"], file["SPECTRUM"].header["EXPOSURE"]
    sigma = _absorption(shared, matrix.energies.middle)
    real = next(real for real in REAL if real.file.endswith("PN.arf"))
    theirs, ours = real.read(shared).on(matrix.energies).area_cm2, real.ours(matrix.energies).area_cm2
    fluxes = [_fitted_flux(counts, matrix, area, exposure, sigma) for area in (theirs, ours)]
    assert 5e-13 < fluxes[0] < 5e-12
    assert fluxes[1] / fluxes[0] == pytest.approx(1, abs=0.03)


def test_filters_change_the_area_where_they_absorb() -> None:
    thin, thick = filter_transmission("Thin1", KEV), filter_transmission("Thick", KEV)
    assert (thin >= 1).all() and (thick <= 1).all()
    assert thin[0] > 1.2 and thick[0] < 0.6 and thin[-1] == pytest.approx(1, abs=0.002)
    assert (filter_transmission(" medium ", KEV) == 1).all()
    assert (filter_transmission("Open", KEV) > thin).all()
    for name in ("Closed", "CalClosed", ""):
        with pytest.raises(ReductionError, match=r"FILTER is .*; there is an effective area for Thin1"):
            filter_transmission(name, KEV)


def test_singles_are_fewer_at_high_energies() -> None:
    parts = single_share(KEV)
    assert (np.diff(parts) < 0.02).all() and parts[0] > 0.9 and parts[-1] == pytest.approx(0.6, abs=0.01)
    assert known_pattern("EPN", "0:4") is all_usual and known_pattern("EPN", "0") is single_share
    assert known_pattern("EMOS2", "0:12") is all_usual and known_pattern("EMOS2", "0") is None


def test_other_patterns_are_measured_from_the_events() -> None:
    rng = np.random.default_rng(5)
    edges = np.arange(0.0, 12.005, 0.005)
    truth = 0.9 - 0.03 * (edges[1:] + edges[:-1]) / 2
    usual = rng.poisson(20, truth.size)
    chosen = rng.binomial(usual, truth)
    found = measured_pattern(chosen, usual, edges)(KEV)
    assert np.abs(found - (0.9 - 0.03 * KEV)).max() < 0.08
    assert abs(np.mean(found - (0.9 - 0.03 * KEV))) < 0.02
    with pytest.raises(ReductionError, match="the region has 12 events of the usual patterns"):
        measured_pattern(np.array([3]), np.array([12]), edges[:2])


def test_an_area_of_a_file_is_taken_as_it_is_made() -> None:
    grid = EnergyGrid.of_edges(np.linspace(0.5, 8.0, 76))
    camera = Camera("XMM", "EPN", "Thick")
    full = OnAxis(lambda energy: np.full(energy.shape, 1000.0), "a file", for_filter=True, for_pattern=True)
    source = circle(0.0, 300.0)
    assert region_area(grid, camera, full, source, single_share).area_cm2 == pytest.approx(1000.0, rel=1e-3)
    bare = replace(full, for_filter=False, for_pattern=False)
    expected = 1000 * filter_transmission("Thick", grid.middle) * single_share(grid.middle)
    assert region_area(grid, camera, bare, source, single_share).area_cm2 == pytest.approx(expected, rel=1e-3)


def test_a_camera_without_a_curve_is_refused() -> None:
    with pytest.raises(ReductionError, match=r"no effective area of ACIS is known here; known are EPN, EMOS1, EMOS2"):
        OnAxis.built_in("ACIS", None)


def test_carbon_grows_with_the_years() -> None:
    """Most of it on MOS2 and below 1 keV; the built-in areas are those of 2012."""
    parts = {year: carbon_since("EMOS2", KEV, datetime(year, 5, 14, tzinfo=UTC)) for year in (2001, 2012, 2020)}
    assert parts[2012] == pytest.approx(1, abs=1e-4)
    assert (parts[2001] >= 1).all() and (parts[2020] <= 1).all()
    assert parts[2001][0] > 1.3 and parts[2001][-1] == pytest.approx(1, abs=1e-3)
    assert (carbon_since("EMOS2", KEV, None) >= parts[2001]).all()
    assert (carbon_since("EPN", KEV, datetime(2020, 1, 1, tzinfo=UTC)) == 1).all()


@pytest.mark.parametrize("mission", [EPN, EMOS1, EMOS1.with_channel_width(15)], ids=["pn", "MOS 5 eV", "MOS 15 eV"])
def test_the_built_in_matrix_has_the_channels_and_the_peaks_of_its_camera(mission, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    matrix = built_in_redistribution(mission, Camera("XMM", mission.instruments[0], "Medium"))
    path = tmp_path / "made.rmf"
    write_redistribution(path, matrix)
    with fits.open(path) as file:
        header = file["MATRIX"].header
        assert header["DETCHANS"] == {5: 4096 if mission is EPN else 2400, 15: 800}[mission.channel_divisor]
        assert header[f"TLMIN{file['MATRIX'].columns.names.index('F_CHAN') + 1}"] == 0
    again = read_redistribution(path)
    assert np.abs(again.efficiency - 1).max() < 1e-3
    middle = (again.channels.low + again.channels.high) / 2
    for energy in (1.5, 4.0, 6.4):
        row = int(again.energies.index(np.array([energy]))[0])
        counts = again.fold(np.eye(1, again.energies.size, row)[0])
        noise, fano = mission.fwhm_ev
        wide = counts[counts > counts.max() / 2].size * mission.channel_width_kev
        assert middle[counts.argmax()] == pytest.approx(again.energies.middle[row], abs=0.016)
        assert wide * 1000 == pytest.approx(np.sqrt(noise**2 + fano**2 * energy), rel=0.2)
        escaped = counts[np.abs(middle - energy + 1.74) < 0.1].sum()
        assert (0.003 < escaped < 0.03) == (energy > 2)


@pytest.mark.parametrize(("mission", "rmf", "arf"), [
    (EPN, "xmm_ngc7793_ulx4/PN.rmf", "xmm_ngc7793_ulx4/PN.arf"),
    (EPN, "xmm_psrj0855/xmm_pn_0605960101.rmf", "xmm_ngc7793_ulx4/PN.arf"),
    (EMOS1.with_channel_width(15), "xmm_psrj0855/xmm_mos1_0605960101.rmf", "xmm_psrj0855/xmm_mos1_0605960101.arf"),
], ids=["pn 2013", "pn 2010", "MOS1 2010"])  # fmt: skip
def test_the_built_in_matrix_gives_the_column_density_of_the_real_one(  # type: ignore[no-untyped-def]
    shared: Path, mission, rmf: str, arf: str
) -> None:
    """Counts that are expected through the real matrix, fitted through ours: nH within 3 %, from 0.3 keV on."""
    real, area = read_redistribution(shared / "real" / rmf), read_effective_area(shared / "real" / arf)
    ours = built_in_redistribution(mission, Camera("XMM", mission.instruments[0], "Medium"))
    for density in (0.177, 0.5):
        truth = np.array([np.log(4e-4), density, 2.0])
        counts = _expected(shared, real, area, truth)
        found = _fitted(lambda values: _expected(shared, ours, area, values), counts, mission.channel_width_kev)
        assert found[1] == pytest.approx(density, rel=0.03)
        assert found[2] == pytest.approx(2.0, abs=0.03)


def _expected(shared: Path, matrix: Redistribution, area: EffectiveArea, values: np.ndarray) -> np.ndarray:
    """Counts in 100 ks of an absorbed power law: logarithm of its norm, column density in 1e22 cm-2, index."""
    grid = matrix.energies
    photons = np.exp(values[0] - _absorption(shared, grid.middle) * values[1] - values[2] * np.log(grid.middle))
    return matrix.fold(photons * grid.width * area.on(grid).area_cm2 * 1e5)


def _fitted(model: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, width_kev: float) -> np.ndarray:
    """Values at the greatest Poisson likelihood of PI from 0.3 to 10 keV."""
    energy = width_kev * np.arange(counts.size)  # of PI, whatever the nominal energies of the real matrix
    used = (energy >= 0.3) & (energy < 10.0)
    values = np.array([np.log(3e-4), 0.3, 1.8])
    for _ in range(10):
        expected = model(values)[used]
        steps = np.array([(model(values + change)[used] - expected) / 1e-4 for change in 1e-4 * np.eye(3)])
        slope = steps @ (counts[used] / expected - 1)
        values = values + np.clip(np.linalg.solve((steps / expected) @ steps.T, slope), -0.5, 0.5)
    return values
