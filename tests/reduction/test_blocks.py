"""Bayesian blocks: the edges of astropy's, from cells the same but for edges within a cell, in a part of the time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from astropy.stats import bayesian_blocks as astropys

from reduction.errors import ReductionError
from reduction.timing import blocks
from reduction.timing.blocks import bayesian_blocks


def events(generator: np.random.Generator, number: int, kind: str) -> np.ndarray:
    """Times of a constant source, or of one with steps and a short flare."""
    if kind == "constant":
        return np.sort(generator.uniform(0, 1e5, number))
    edges = np.array([0, 0.2, 0.5, 0.51, 0.8, 1.0]) * 1e5
    parts = np.array([0.3, 0.1, 0.05, 0.25, 0.3])
    return np.sort(np.concatenate([generator.uniform(low, high, max(1, int(number * part)))
                                   for low, high, part in zip(edges[:-1], edges[1:], parts, strict=True)]))  # fmt: skip


def test_the_edges_are_those_of_astropy() -> None:
    generator = np.random.default_rng(1)
    many = 0
    for number in range(150):
        times = events(generator, int(generator.integers(2, 700)), ("constant", "steps")[number % 2])
        if number % 3 == 0:
            times = np.round(times, -1)  # events of one frame have one time
        false_alarm = float(generator.choice([0.001, 0.05, 0.5]))
        expected = astropys(times, fitness="events", p0=false_alarm)
        assert np.array_equal(bayesian_blocks(times, false_alarm), expected)
        many += len(expected) > 3
    assert many > 20


@pytest.mark.parametrize("kind", ["constant", "steps"])
def test_the_fastest_path_of_many_events_is_exact_too(kind: str) -> None:
    times = events(np.random.default_rng(2), 6000, kind)
    assert np.array_equal(bayesian_blocks(times, 0.05), astropys(times, fitness="events", p0=0.05))


@pytest.mark.parametrize("kind", ["constant", "steps"])
def test_blocks_of_cells_are_the_exact_ones_but_for_edges_within_a_cell(kind: str) -> None:
    times = events(np.random.default_rng(3), 20_000, kind)
    exact, binned = bayesian_blocks(times), bayesian_blocks(times, cells=2000)
    assert len(binned) == len(exact)
    in_cells = np.searchsorted(times, binned) - np.searchsorted(times, exact)
    assert np.abs(in_cells).max() <= 20_000 / 2000


def test_large_lists_begin_with_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    times = events(np.random.default_rng(4), 4000, "steps")
    expected = bayesian_blocks(times, cells=500)
    monkeypatch.setattr(blocks, "MOST_CELLS", 1000)
    monkeypatch.setattr(blocks, "BINNED_CELLS", 500)
    assert np.array_equal(bayesian_blocks(times), expected)


def test_the_time_is_a_fraction_of_astropys() -> None:
    """CPU of this process only; the figures asked for are a quarter, and a thirtieth from cells."""
    times = events(np.random.default_rng(5), 10_000, "constant")
    spent = []
    for work in (lambda: astropys(times, fitness="events", p0=0.01), lambda: bayesian_blocks(times, 0.01),
                 lambda: bayesian_blocks(times, 0.01, cells=2000)):  # fmt: skip
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    assert spent[1] < spent[0]
    assert spent[2] < spent[1]


def test_exposure_before_the_first_and_behind_the_last_event_counts() -> None:
    times = np.linspace(400, 600, 300)
    edges = bayesian_blocks(times, 0.01, 0.0, 1000.0)
    assert edges[0] == 0.0 and edges[-1] == 1000.0
    assert edges[1:-1] == pytest.approx([400, 600], abs=1.0)


@pytest.mark.parametrize(("times", "expected"), [([], [0.0, 9.0]), ([4.0], [0.0, 9.0]), ([4.0, 4.0, 4.0], [0.0, 9.0])])
def test_few_events_are_one_block(times: list[float], expected: list[float]) -> None:
    assert bayesian_blocks(times, 0.01, 0.0, 9.0).tolist() == expected


@pytest.mark.parametrize("false_alarm", [0.0, 1.0, -1.0, float("nan")])
def test_what_is_no_probability_is_refused(false_alarm: float) -> None:
    with pytest.raises(ReductionError, match="no probability"):
        bayesian_blocks([1.0, 2.0], false_alarm)
