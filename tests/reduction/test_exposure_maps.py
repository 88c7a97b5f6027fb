"""Exposure maps against the simulator's own detectors, and rates against the rates that were put in."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.images.background import local_background
from reduction.images.bands import parse_bands
from reduction.images.counting import Counter, count
from reduction.images.exposure import Vignetting, rate
from reduction.images.grid import Grid, sky_grid
from reduction.images.observed import Exposure, Watch
from reduction.images.smoothing import smooth_adaptive, smooth_gaussian
from reduction.simulate import Observation, simulate, small
from reduction.simulate.cameras import CAMERAS, EPN, FIELD_RADIUS
from reduction.simulate.draw import detectors
from reduction.simulate.write import ontime_s
from reduction.spectra.field import find_field

UNIFORM = Observation(
    "0999990201", 150.0, 2.0, 40.0, "2026-03-01T10:00:00", 4000.0, particle_rate=0.0, sky_rate=0.0, proton_rate=0.02
)
"""A field of nothing but soft protons, the same everywhere: events inside the field of view alone."""

OBSERVATIONS = int(os.environ.get("UWS_OBSERVATIONS", "100"))
"""Simulated observations for the pulls."""


@dataclass(frozen=True)
class Imaged:
    """Counts and exposure of a simulated observation."""

    grid: Grid
    counts: np.ndarray
    exposure: Exposure


def imaged(path: Path, vignetting: Vignetting | None = None, bin_arcsec: float = 4.0) -> Imaged:
    """The image of all events of a list, and its exposure."""
    with open_eventlist(path) as events:
        selection = choose(events, (0.01, 30.0), "all", "none")
        counter = Counter(events, sky_grid(events, bin_arcsec), parse_bands(["0.01 30"]))
        watch = Watch.of(events)
        tally = count(events, selection, [counter], None, [watch.ccds, watch.field])
        exposure = watch.exposure(events, selection, tally, counter.grid, None, vignetting)
    return Imaged(counter.grid, counter.counts[0], exposure)


def true_exposure(observation: Observation, camera: str, grid: Grid, points: int = 12) -> np.ndarray:
    """Exposure of each pixel by many points on the simulator's detectors, with their field of view and bad pixels."""
    model = CAMERAS[camera]
    chips = detectors(observation, model)
    seconds = np.zeros(grid.shape)
    across, up = grid.centres()
    steps = ((np.arange(points) + 0.5) / points - 0.5) * grid.step
    for dx in steps:
        for dy in steps:
            x, y = (axis.ravel() for axis in np.meshgrid(across + dx, up + dy))
            near = np.flatnonzero(np.hypot(x - 25921, y - 25921) < FIELD_RADIUS + 200)
            detx, dety = model.to_detector(x[near], y[near], observation.pa)
            for chip in chips:
                column, row = (np.floor(raw - 0.5).astype(int) for raw in chip.ccd.to_raw(detx, dety))
                on = np.flatnonzero((column >= 0) & (column < chip.ccd.columns) & (row >= 0) & (row < chip.ccd.rows))
                good = (chip.good & chip.in_field)[column[on], row[on]]
                seconds.ravel()[near[on[good]]] += ontime_s(model, chip) * model.live_fraction
    return seconds / points**2


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
def test_the_exposure_is_that_of_the_simulated_detector(camera: str, tmp_path: Path) -> None:
    (path,) = simulate(small(), tmp_path, cameras=[camera])
    found = imaged(path)
    truth = true_exposure(small(), camera, found.grid)
    seconds = found.exposure.seconds
    whole = truth.max()
    assert found.exposure.is_map
    assert seconds.max() == pytest.approx(whole, rel=1e-9)
    assert seconds.sum() == pytest.approx(truth.sum(), rel=3e-3)
    wrong = np.abs(seconds - truth)
    assert wrong.mean() < 0.004 * whole * (truth > 0).mean()
    assert np.mean(wrong[truth > 0] > 0.15 * whole) < 0.01, "gaps, bad pixels and edges lie within a part of a pixel"
    assert found.counts[(seconds == 0) & (truth == 0)].sum() > 0, "the corners beyond the field have particles"


def test_the_field_of_view_is_found_by_the_flags(tmp_path: Path) -> None:
    (path,) = simulate(small(), tmp_path, cameras=["EPN"])
    with open_eventlist(path) as events:
        watch = Watch.of(events)
        for rows in events.chunks():
            watch.field(rows)
    circle, notes = find_field(watch.field.table)
    assert circle is not None
    assert notes == ()
    assert np.hypot(circle.x - 25921, circle.y - 25921) < 40  # 2 arcsec
    assert circle.radius == pytest.approx(FIELD_RADIUS, abs=60)


def test_without_events_outside_the_field_is_a_circle_around_all(tmp_path: Path) -> None:
    (path,) = simulate(UNIFORM, tmp_path, cameras=["EPN"])
    found = imaged(path)
    assert "no event is marked as outside of the field of view" in "".join(found.exposure.notes)
    truth = true_exposure(UNIFORM, "EPN", found.grid, points=5)
    assert found.exposure.seconds.sum() == pytest.approx(truth.sum(), rel=0.01)
    assert found.counts[found.exposure.seconds == 0].sum() <= 0.002 * found.counts.sum()


def test_rates_of_a_uniform_field_are_uniform(tmp_path: Path) -> None:
    """Monte-Carlo: the counts of a million photons, and of particles, are those of the exposure, pixel by pixel."""
    bright = replace(UNIFORM, proton_rate=0.5, particle_rate=0.1)
    (path,) = simulate(bright, tmp_path, cameras=["EPN"])
    found = imaged(path, bin_arcsec=16.0)
    surface = (bright.proton_rate + bright.particle_rate) * (found.grid.arcsec / 60) ** 2
    x, y = np.meshgrid(*found.grid.centres())
    particles, middle = EPN.particles, np.hypot(*EPN.to_detector(x, y, bright.pa)) / 1200
    missing = particles.board_share * bright.particle_rate / (bright.proton_rate + bright.particle_rate)
    expected = surface * found.exposure.seconds * (1 - missing * (middle < particles.hole_arcmin))
    lit = expected > 0.3 * expected.max()
    assert expected[lit].sum() > 1e6
    assert found.counts[lit].sum() == pytest.approx(expected[lit].sum(), rel=0.003)
    chi2 = ((found.counts - expected)[lit] ** 2 / expected[lit]).mean()
    assert chi2 == pytest.approx(1, abs=0.08)
    inner = lit & (found.exposure.seconds > 0.999 * found.exposure.seconds.max()) & (middle > particles.hole_arcmin)
    rates = rate(found.counts, found.exposure.seconds)
    assert np.isnan(rates[found.exposure.seconds == 0]).all()
    assert rates[inner].mean() == pytest.approx(surface, rel=4 / np.sqrt(found.counts[inner].sum()))


def test_pulls_of_exposure_corrected_fluxes(tmp_path: Path) -> None:
    """Of many simulated observations: fluxes in circles over gaps and edges, against the one that was put in."""
    pulls = []
    for seed in range(OBSERVATIONS):
        observation = replace(UNIFORM, seed=seed + 1, pa=float(7 * seed % 360))
        (path,) = simulate(observation, tmp_path, cameras=["EPN"])
        found = imaged(path, bin_arcsec=8.0)
        rates = rate(found.counts, found.exposure.seconds)
        surface = observation.proton_rate * (found.grid.arcsec / 60) ** 2
        x, y = np.meshgrid(*found.grid.centres())
        for angle in np.arange(6) * np.pi / 3:
            centre = 25921 + 9000 * np.cos(angle), 25921 + 9000 * np.sin(angle)
            near = np.hypot(x - centre[0], y - centre[1]) < 2400
            good = near & (found.exposure.seconds > 0.2 * found.exposure.longest_s)
            flux, truth = float(rates[good].sum()), surface * np.count_nonzero(good)
            error = np.sqrt(float((surface / found.exposure.seconds[good]).sum()))
            pulls.append((flux - truth) / error)
    assert len(pulls) == 6 * OBSERVATIONS
    assert np.mean(pulls) == pytest.approx(0, abs=0.1)
    assert np.std(pulls) == pytest.approx(1, abs=0.1)


def test_vignetting_lowers_the_exposure_with_the_angle(tmp_path: Path) -> None:
    (path,) = simulate(small(), tmp_path, cameras=["EPN"])
    curve = Vignetting.parse("0 1, 5 0.8, 15 0.3")
    assert curve is not None
    with_curve, without = imaged(path, curve), imaged(path)
    x, y = np.meshgrid(*without.grid.centres())
    arcmin = np.hypot(x - 25921, y - 25921) / 1200
    lit = without.exposure.seconds > 0
    ratio = with_curve.exposure.seconds[lit] / without.exposure.seconds[lit]
    np.testing.assert_allclose(ratio, np.interp(arcmin[lit], [0, 5, 15], [1, 0.8, 0.3]), atol=2e-4)


@pytest.mark.parametrize("kind", ["gaussian", "adaptive"])
def test_smoothing_keeps_the_counts_and_a_uniform_field(kind: str, tmp_path: Path) -> None:
    (path,) = simulate(small(), tmp_path, cameras=["EPN"])
    found = imaged(path)
    seconds = found.exposure.seconds
    if kind == "gaussian":
        result = smooth_gaussian(found.counts, seconds, 3.0)
    else:
        result = smooth_adaptive(found.counts, seconds, 60, 20.0)
    assert result.counts.sum() == pytest.approx(found.counts.sum(), rel=1e-12)
    assert result.exposure.sum() == pytest.approx(seconds.sum(), rel=1e-12)
    assert result.counts.min() >= 0
    flat = smooth_gaussian(0.01 * seconds, seconds, 3.0)
    rates = rate(flat.counts, np.where(seconds > 0, flat.exposure, 0.0))
    np.testing.assert_allclose(rates[seconds > 0], 0.01, rtol=1e-9)
    assert np.isnan(rates[seconds == 0]).all()
    if kind == "adaptive":
        source = np.unravel_index(int(np.argmax(found.counts)), found.counts.shape)
        assert result.sigma[source] < 1.0
        assert np.median(result.sigma[seconds > 0]) > 3.0


def test_a_gaussian_is_that_of_a_direct_sum() -> None:
    image = np.zeros((40, 30))
    image[20, 11] = 5.0
    rows, columns = np.indices(image.shape)
    expected = np.exp(-0.5 * (((rows - 20) / 2.0) ** 2 + ((columns - 11) / 2.0) ** 2))
    found = smooth_gaussian(image, np.ones(image.shape), 2.0).counts
    np.testing.assert_allclose(found, 5 * expected / expected.sum(), atol=1e-5)


def test_the_background_is_what_was_put_in_without_the_sources(tmp_path: Path) -> None:
    quiet = replace(small(), flare=None, particle_rate=0.0, sky_rate=0.0, proton_rate=0.02)
    (path,) = simulate(quiet, tmp_path, cameras=["EMOS2"])  # pn has events out of time where no source is
    found = imaged(path)
    seconds = found.exposure.seconds
    estimated = local_background(found.counts, seconds, found.grid.arcsec)
    rate_of_mos = quiet.proton_rate * CAMERAS["EMOS2"].particles.total / EPN.particles.total
    truth = rate_of_mos * (found.grid.arcsec / 60) ** 2 * seconds
    x, y = np.meshgrid(*found.grid.centres())
    places = list(quiet.positions)
    away = np.min([np.hypot(x - px, y - py) for px, py in places], axis=0)
    assert estimated.masked[away < 200].all()
    assert np.mean(estimated.masked[(away > 6000) & (seconds > 0)]) < 0.02
    far = (away > 6000) & (seconds > 0)
    assert estimated.counts[far].sum() == pytest.approx(truth[far].sum(), rel=0.02)
    assert found.counts[away < 1200].sum() > 3 * truth[away < 1200].sum()
    assert estimated.counts[away < 1200].sum() == pytest.approx(truth[away < 1200].sum(), rel=0.35)
    assert estimated.counts[seconds == 0].sum() == 0
