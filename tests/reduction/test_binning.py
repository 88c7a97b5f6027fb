"""Bins of light curves: events at edges, exposed time, and widths that no light curve has."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from reduction.errors import ReductionError
from reduction.events.goodtime import GTI
from reduction.timing.binning import bin_numbers, constant_edges, counts_in, exposed_s, good_time_before


def test_counts_are_those_of_numpy_also_at_the_edges() -> None:
    generator = np.random.default_rng(3)
    edges = constant_edges(1000.0, 1100.5, 10.0)
    times = np.concatenate((generator.uniform(990, 1120, 5000), edges, edges))
    generator.shuffle(times)
    assert np.array_equal(counts_in(times, edges), np.histogram(times, edges)[0])
    assert edges[0] == 1000.0 and edges[-1] == 1110.0


def test_times_outside_and_times_that_are_none_are_in_no_bin() -> None:
    assert bin_numbers([0.0, 1.0, 2.0, 3.5, np.nan, 4.0], np.array([1.0, 2.0, 4.0])).tolist() == [-1, 0, 1, 1, -1, 1]


def test_bins_that_fit_exactly_have_no_empty_one_behind_them() -> None:
    """100 s in bins of 0.1 s are 1000, though 100 / 0.1 is above 1000 for other ends in binary."""
    for start in (0.0, 3.3e8 + 0.1, 7.7e8 + 0.7):
        assert len(constant_edges(start, start + 100.0, 0.1)) == 1001


def test_exposed_time_is_that_of_a_count_of_fine_steps() -> None:
    good = GTI.of([0.5, 3.0, 9.25], [2.0, 7.5, 9.5])
    edges = np.array([0.0, 1.0, 4.0, 8.0, 9.0, 12.0])
    fine = np.arange(0.0005, 12, 0.001)
    expected = np.histogram(fine[good.contains(fine)], edges)[0] * 0.001
    assert exposed_s(edges, good) == pytest.approx(expected, abs=2e-3)
    assert good_time_before([-1.0, 0.5, 1.0, 2.5, 9.3, 99.0], good) == pytest.approx([0, 0, 0.5, 1.5, 6.05, 6.25])
    assert exposed_s(edges, GTI(np.empty(0), np.empty(0))).tolist() == [0.0] * 5


def test_thousands_of_intervals_give_the_sum_of_each() -> None:
    generator = np.random.default_rng(5)
    ends = np.sort(generator.uniform(0, 1e5, 10_000))
    good = GTI.of(ends[0::2], ends[1::2])
    edges = constant_edges(0.0, 1e5, 777.0)
    expected = [
        sum(max(0.0, min(high, stop) - max(low, start)) for start, stop in zip(good.start, good.stop, strict=True))
        for low, high in pairwise(edges)
    ]
    assert exposed_s(edges, good) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("width", "words"),
    [(0.0, "above 0"), (-5.0, "above 0"), (float("nan"), "above 0"), (200.0, "longer than the observation"),
     (1e-6, "at most 1,000,000")],
)  # fmt: skip
def test_a_width_that_no_light_curve_has_is_refused(width: float, words: str) -> None:
    with pytest.raises(ReductionError, match=words) as caught:
        constant_edges(0.0, 100.0, width)
    assert caught.value.parameter == "bin_size"


def test_a_million_bins_are_made() -> None:
    assert len(constant_edges(0.0, 1e5, 0.1)) == 1_000_001
