"""Grouping: invariants for any counts, the formula of Kaastra & Bleeker, a real spectrum grouped by the SAS."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from reduction.errors import ReductionError
from reduction.missions import EPN
from reduction.spectra import grouping

some_counts = st.lists(st.integers(0, 50), max_size=120).map(lambda numbers: np.array(numbers, dtype=np.int64))


def groups(flags: np.ndarray) -> list[slice]:
    """The groups that GROUPING flags describe."""
    starts = np.flatnonzero(flags == 1)
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(flags)], strict=False)]


@given(some_counts, st.integers(1, 60), st.integers(0, 130), st.integers(0, 130))
def test_groups_hold_the_minimum_and_not_a_channel_more(counts: np.ndarray, minimum: int, lo: int, hi: int) -> None:
    flags, quality = grouping.by_minimum_counts(counts, minimum, lo, hi)
    assert flags.shape == quality.shape == counts.shape
    assert set(np.unique(flags)) <= {-1, 1}
    if counts.size:
        assert flags[0] == 1
    first, last = min(lo, counts.size), max(min(lo, counts.size), min(hi, counts.size))
    for group in groups(flags):
        assert len(set(quality[group])) == 1
        if first <= group.start < last:
            assert group.stop <= last
            if quality[group.start] == 0:
                assert counts[group].sum() >= minimum
                assert counts[group][:-1].sum() < minimum
            else:
                assert quality[group.start] == 2
                assert group.stop == last
                assert counts[group].sum() < minimum
        else:
            assert group.stop - group.start == 1
            assert quality[group.start] == 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=90), st.integers(1, 12),
    st.integers(0, 100), st.integers(0, 100),
)  # fmt: skip
def test_groups_hold_counts_of_both_and_the_rest_joins_the_last(
    both: list[tuple[int, int]], minimum: int, lo: int, hi: int
) -> None:
    """No group but the last has a channel more than it needs, and none is bad: no count is lost."""
    counts, behind = (np.array([pair[at] for pair in both], dtype=np.int64) for at in (0, 1))
    flags, quality = grouping.by_counts_of_both(counts, minimum, behind, lo, hi)
    first, last = min(lo, counts.size), max(min(lo, counts.size), min(hi, counts.size))
    inside = [group for group in groups(flags) if first <= group.start < last]
    assert not quality[first:last].any() and (np.delete(quality, slice(first, last)) == 1).all()
    assert not inside or (inside[0].start, inside[-1].stop) == (first, last)

    def reached(group: slice) -> bool:
        return bool(counts[group].sum() >= minimum and behind[group].sum() >= 1)

    assert all(reached(group) for group in inside) or len(inside) == 1
    assert not any(reached(slice(group.start, group.stop - 1)) for group in inside[:-1])


def signal_reaches(source: int, behind: int, ratio: Fraction, minimum: int) -> bool:
    """Whether net counts are so many times their error, in whole numbers and fractions, without a root."""
    net, variance = source - ratio * behind, source + ratio**2 * behind
    return net > 0 and net**2 >= minimum**2 * variance


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=90), st.integers(1, 12),
    st.integers(0, 32), st.integers(0, 100), st.integers(0, 100),
)  # fmt: skip
def test_groups_reach_the_signal_at_their_last_channel_and_not_before(
    pairs: list[tuple[int, int]], minimum: int, sixteenths: int, lo: int, hi: int
) -> None:
    counts, behind = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    ratio = Fraction(sixteenths, 16)
    flags, quality = grouping.by_signal_to_noise(counts, minimum, behind, float(ratio), lo, hi)
    first, last = min(lo, counts.size), max(min(lo, counts.size), min(hi, counts.size))
    assert (quality[:first] == 1).all() and (quality[last:] == 1).all()
    for group in groups(flags):
        if not first <= group.start < last:
            assert (group.stop - group.start, quality[group.start]) == (1, 1)
            continue
        reached = [
            signal_reaches(int(counts[group.start : stop].sum()), int(behind[group.start : stop].sum()), ratio, minimum)
            for stop in range(group.start + 1, group.stop + 1)
        ]
        assert not any(reached[:-1])
        assert reached[-1] == (quality[group.start] == 0)
        assert reached[-1] or (group.stop == last and set(quality[group]) == {2})


def test_without_a_background_a_signal_of_five_is_25_counts() -> None:
    counts = np.random.default_rng(2).poisson(3.0, 400)
    by_signal, by_counts = grouping.by_signal_to_noise(counts, 5.0), grouping.by_minimum_counts(counts, 25)
    assert all(np.array_equal(*flags) for flags in zip(by_signal, by_counts, strict=True))


@pytest.mark.parametrize("minimum", [0.0, -1.0, math.nan, math.inf])
def test_a_signal_that_is_none_is_refused(minimum: float) -> None:
    with pytest.raises(ReductionError, match="no signal to noise; give a number above 0") as caught:
        grouping.by_signal_to_noise(np.ones(5, dtype=np.int64), minimum)
    assert caught.value.parameter == "min_snr"


@pytest.mark.parametrize(("counts", "grouped", "qualities"), [
    ([20, 5, 15, 7, 13, 4], [1, 1, -1, 1, -1, 1], [0, 0, 0, 0, 0, 2]),
    ([20, 5, 15, 7, 13], [1, 1, -1, 1, -1], [0, 0, 0, 0, 0]),
])  # fmt: skip
def test_a_group_with_exactly_the_minimum_is_full(counts: list[int], grouped: list[int], qualities: list[int]) -> None:
    flags, quality = grouping.by_minimum_counts(np.array(counts), 20)
    assert flags.tolist() == grouped
    assert quality.tolist() == qualities


@given(some_counts, st.floats(0.1, 40))
def test_optimal_groups_are_no_wider_than_the_resolution(counts: np.ndarray, width: float) -> None:
    flags, quality = grouping.optimal(counts, np.full(counts.size, width))
    assert not quality.any()
    assert sum(group.stop - group.start for group in groups(flags)) == counts.size
    assert all(group.stop - group.start <= max(width, 1) for group in groups(flags))


@pytest.mark.parametrize(("per_channel", "factor"), [(0, 1.0), (1, 0.6957), (100, 0.5057)])
def test_width_follows_the_formula(per_channel: int, factor: float) -> None:
    """Evenly filled, 100 elements of 100 channels: x = ln(100 n (1 + 0.2 ln 100)), the factor worked out by hand."""
    flags, _ = grouping.optimal(np.full(10000, per_channel), np.full(10000, 100.0))
    widths = [group.stop - group.start for group in groups(flags)][:-1]
    assert set(widths) == {int(100 * factor)}


@pytest.mark.parametrize(("fwhm", "width"), [(5.0, 5), (6.0, 5)])
def test_bins_are_narrower_than_the_resolution_from_x_2_119_on(fwhm: float, width: int) -> None:
    """A count a channel in 100 channels: x is 2.079 for 5 channels, and 2.238 for 6, where the factor is 0.981."""
    flags, _ = grouping.optimal(np.ones(100, dtype=int), np.full(100, fwhm))
    assert {group.stop - group.start for group in groups(flags)} == {width}


def width_of_kaastra_and_bleeker(counts: np.ndarray, channel: int, fwhm: np.ndarray) -> int:
    """Width in channels of a bin that begins at a channel, with loops: equations 36 and 37 of A&A 587, A151."""
    low, high = channel + 0.5 - fwhm[channel] / 2, channel + 0.5 + fwhm[channel] / 2
    low, high = max(low, 0.0), min(high, float(counts.size))
    places = range(int(low), math.ceil(high))
    inside = sum(int(counts[place]) * (min(high, place + 1) - max(low, place)) for place in places)
    elements = sum(1 / width for width in fwhm.tolist())
    events = inside * fwhm[channel] / (high - low) * (1 + 0.20 * math.log(elements))
    x = math.log(events) if events > 1 else 0.0
    factor = 1.0 if x <= 2.119 else (0.08 + 7 / x + 1.8 / x**2) / (1 + 5.9 / x)
    return max(int(fwhm[channel] * factor), 1)


@pytest.mark.parametrize(("continuum", "line"), [(3, 0), (0, 100), (1, 1000)])
def test_each_bin_has_the_width_of_the_formula(continuum: int, line: int) -> None:
    """Narrow lines and a resolution that changes, so that R, or half a channel, tells in the width of some bin."""
    channels = np.arange(20_000)
    counts = continuum + line * (np.random.default_rng(2).random(channels.size) < 0.04)
    fwhm = 40.3 + 0.01 * channels
    flags, _ = grouping.optimal(counts, fwhm)
    for group in groups(flags)[:-1]:
        assert group.stop - group.start == width_of_kaastra_and_bleeker(counts, group.start, fwhm), group


def test_more_counts_make_finer_bins() -> None:
    shape = np.exp(-np.arange(4096) / 600)
    few, many = (len(groups(grouping.optimal((scale * shape).astype(int), EPN.fwhm_channels())[0]))
                 for scale in (1, 100000))  # fmt: skip
    assert many > 2 * few


def test_a_real_spectrum_has_as_good_groups_as_the_sas_gives(shared: Path) -> None:
    with fits.open(shared / "real/xmm_ngc7793_ulx4/PN_spectrum_grp20.fits") as hdus:
        data = hdus["SPECTRUM"].data
        counts, theirs, good = (np.asarray(data[name]).astype(int) for name in ("COUNTS", "GROUPING", "QUALITY"))
    used = np.flatnonzero(good == 0)
    ours, quality = grouping.by_minimum_counts(counts, 20, int(used[0]), int(used[-1]) + 1)
    assert all(counts[group].sum() >= 20 for group in groups(ours) if quality[group.start] == 0)
    assert (quality[: used[0]] == 1).all()
    assert np.count_nonzero((ours == 1) & (quality == 0)) >= np.count_nonzero((theirs == 1) & (good == 0))


def test_minimum_below_one_is_refused() -> None:
    with pytest.raises(ReductionError, match="give 1 or more") as caught:
        grouping.by_minimum_counts(np.ones(3, dtype=int), 0)
    assert caught.value.parameter == "min_counts"
