"""Periodogram and folded profile: against sums over single events and fine steps of time, with gaps in the way."""

from __future__ import annotations

import numpy as np
import pytest

from reduction.errors import ReductionError
from reduction.events.goodtime import GTI
from reduction.timing.exposure import CcdTime, RegionTime
from reduction.timing.periods import fold, periodogram

START = 2.0e8


def region(good: GTI, live: float = 0.9) -> RegionTime:
    return RegionTime((CcdTime(1.0, live, good, good, good),), good)


def orbits(number: int = 12, on: float = 3300.0, every: float = 5800.0) -> GTI:
    """Good times as those of a telescope in low orbit."""
    start = START + every * np.arange(number)
    return GTI.of(start, start + on)


def pulsed(generator: np.random.Generator, good: GTI, rate: float, period: float, amplitude: float) -> np.ndarray:
    """Events of a sine wave within good times."""
    first, last = good.start[0], good.stop[-1]
    times = generator.uniform(first, last, generator.poisson(rate * (1 + amplitude) * (last - first)))
    wanted = 1 + amplitude * np.sin(2 * np.pi * (times - START) / period)
    times = times[generator.uniform(0, 1 + amplitude, times.size) < wanted]
    return np.sort(times[good.contains(times)])


def test_the_power_is_that_of_a_sum_over_events() -> None:
    good = GTI.of([START], [START + 2000.0])
    times = pulsed(np.random.default_rng(1), good, 2.0, 11.3, 0.4)
    found = periodogram(times, region(good), (8.0, 100.0))
    steps = START + 0.05 + 0.1 * np.arange(20_000)
    for index in (found.best, 5, found.power.size // 2):
        z2, expected = 0.0, 0.0
        for harmonic in range(1, 5):
            wave = 2j * np.pi * harmonic * found.frequency_hz[index]
            constant = times.size * np.exp(wave * (steps - START)).mean()
            z2 += 2 / times.size * abs(np.exp(wave * (times - START)).sum() - constant) ** 2
            expected = max(expected, z2 - 4 * (harmonic - 1))
        # the steps of time take up to 5 % of the fourth harmonic
        assert found.power[index] == pytest.approx(expected, rel=0.06, abs=0.1)


def test_a_period_is_found_through_the_gaps_of_an_orbit() -> None:
    good = orbits()
    found = periodogram(pulsed(np.random.default_rng(2), good, 0.5, 283.7, 0.3), region(good), (50.0, 20000.0))
    assert found.period_s == pytest.approx(283.7, rel=2e-3)
    assert found.chance < 1e-6


def test_gaps_make_no_peak_of_a_constant_source() -> None:
    """Of 20 constant sources behind the gaps of an orbit at most about 4 may have a chance below 0.2."""
    good = orbits()
    chances = []
    for seed in range(20):
        times = pulsed(np.random.default_rng(seed), good, 0.3, 1e9, 0.0)
        chances.append(periodogram(times, region(good), (100.0, 20000.0)).chance)
    assert min(chances) > 1e-3
    assert np.mean(np.array(chances) < 0.2) < 0.3


def test_each_phase_has_its_own_exposure() -> None:
    """Good times that follow the period leave some phases almost without exposure; the rate is constant."""
    generator = np.random.default_rng(3)
    period = 5800.0 / 7.5
    start = START + period * (np.arange(60) + 0.13)
    good = GTI.of(start, start + period * np.where(np.arange(60) % 3 == 0, 1.1, 0.35))
    times = pulsed(generator, good, 3.0, 1e9, 0.0)
    curve = fold(times, region(good), period, START + 17.0, 16).curve
    steps = np.arange(good.start[0], good.stop[-1], 0.05) + 0.025
    phases = ((steps[good.contains(steps)] - START - 17.0) / period) % 1
    expected = np.histogram(phases, curve.edges_s)[0] * 0.05 * 0.9
    assert curve.live_s == pytest.approx(expected, rel=2e-3, abs=0.2)
    assert int(curve.counts.sum()) == times.size
    assert np.array_equal(curve.counts, np.histogram(((times - START - 17.0) / period) % 1, curve.edges_s)[0])
    pulls = (curve.rate - 3.0 / 0.9) / np.mean(curve.errors, axis=0)
    assert np.abs(pulls).max() < 4 and curve.live_s.max() > 2 * curve.live_s.min()


def test_the_profile_shows_the_wave() -> None:
    good = orbits()
    curve = fold(pulsed(np.random.default_rng(4), good, 0.5, 283.7, 0.5), region(good), 283.7, START, 20).curve
    wave = np.sin(2 * np.pi * curve.middle_s)
    assert np.corrcoef(curve.rate, wave)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("periods", "words"),
    [((0.0, 5.0), "no range of periods"), ((9.0, 5.0), "no range of periods"), ((5.0, 1e9), "within the"),
     ((1e-4, 5.0), "at most 16,777,216")],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(periods: tuple[float, float], words: str) -> None:
    good = orbits()
    with pytest.raises(ReductionError, match=words) as caught:
        periodogram(np.array([START + 1.0]), region(good), periods)
    assert caught.value.parameter == "periods"


def test_no_events_have_no_period() -> None:
    with pytest.raises(ReductionError, match="no event"):
        periodogram(np.empty(0), region(orbits()), (5.0, 50.0))
    for period, bins, name in ((0.0, 5, "period"), (float("nan"), 5, "period"), (5.0, 0, "phase_bins")):
        with pytest.raises(ReductionError) as caught:
            fold(np.array([START]), region(orbits()), period, START, bins)
        assert caught.value.parameter == name
