"""How long a job will probably run: as those before it did, and longer where larger input made those longer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uws_server.jobs.estimates import MOST_SAMPLES, Sample, expected_seconds

samples = st.lists(
    st.builds(Sample, st.floats(0, 1e6, allow_nan=False), st.integers(0, 10**12)), min_size=1, max_size=MOST_SAMPLES
)


def test_without_a_past_nobody_knows_and_with_little_the_median_is_it() -> None:
    assert expected_seconds([], 10) is None
    assert expected_seconds([Sample(4, 0)], 10) == 4
    assert expected_seconds([Sample(4, 1), Sample(900, 2), Sample(5, 3)], 10**9) == 5


def test_a_duration_that_grows_with_the_input_is_scaled() -> None:
    """Two seconds to start and one for each 100 MB; a machine that was busy for three of them does not count."""
    past = [Sample(2 + size, size * 10**8) for size in range(1, 21)]
    for odd in (3, 9, 15):
        past[odd] = Sample(past[odd].seconds * 6, past[odd].size)
    assert expected_seconds(past, 10**9) == pytest.approx(12, rel=0.1)
    assert expected_seconds(past, 3 * 10**9) == pytest.approx(32, rel=0.1)
    assert expected_seconds(past, 10**13) == 3 * max(each.seconds for each in past), "far beyond what was ever seen"


def test_a_duration_that_does_not_depend_on_the_input_is_not_scaled() -> None:
    draw = random.Random(4)
    past = [Sample(draw.uniform(9, 11), draw.randrange(10**9)) for _ in range(30)]
    assert expected_seconds(past, 10**12) == pytest.approx(10, rel=0.1)


@given(samples, st.integers(0, 10**15))
def test_an_estimate_is_never_far_from_what_was_seen(past: list[Sample], size: int) -> None:
    found = expected_seconds(past, size)
    assert found is not None
    seconds = [each.seconds for each in past]
    assert min(seconds) / 3 <= found <= max(seconds) * 3
