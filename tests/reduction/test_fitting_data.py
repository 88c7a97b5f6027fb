"""Spectra read to be fitted: what files hold, files that do not belong together, groups of channels, the folding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitted import CHANNELS, EXPOSURE, RATIO, response, spectrum, write_pha, write_set
from reduction.errors import ReductionError
from reduction.fitting.data import NO_FILE, read_spectrum
from reduction.responses import EffectiveArea, write_effective_area, write_redistribution
from reduction.responses.grid import EnergyGrid
from reduction.spectra.groupings import ChannelGrouping

NONE = ChannelGrouping("none", 1, 1.0)


def test_a_spectrum_is_read_with_the_files_it_names(tmp_path: Path) -> None:
    data = read_spectrum(write_set(tmp_path))
    assert data.background is not None and data.background.name == "bkg.fits"
    np.testing.assert_array_equal(data.counts, np.arange(CHANNELS) % 7)
    np.testing.assert_allclose(data.ratio, RATIO)
    assert (data.exposure_s, data.messages) == (EXPOSURE, ())


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("tlmin", [True, False])
def test_photons_come_into_their_channels_whatever_the_first_is_called(tmp_path: Path, first: int, tlmin: bool) -> None:
    """TLMIN of F_CHAN may be missing where channels begin at 1 (CAL/GEN/92-002), and where a run begins at 0."""
    path = write_set(tmp_path, first)
    if not tlmin:
        with fits.open(tmp_path / "src.rmf", mode="update") as hdus:
            del hdus["MATRIX"].header["TLMIN4"]
    data = read_spectrum(path).select(0.3, 10)
    line = np.where(np.abs(data.fold.low_kev - 2.0).argmin() == np.arange(data.fold.low_kev.size), 1.0, 0.0)
    peak = int(data.fold(line).argmax())
    assert data.low_kev[peak] - 0.05 < 2.0 < data.high_kev[peak] + 0.05


def test_the_folding_is_the_product_with_matrix_area_and_exposure() -> None:
    matrix, area = response()
    data = spectrum().select(0.5, 8.0, NONE)
    photons = np.random.default_rng(3).random(data.fold.low_kev.size)
    first = int(np.flatnonzero(matrix.energies.low == data.fold.low_kev[0])[0])
    part = slice(first, first + photons.size)
    full = (photons * area.area_cm2[part] * EXPOSURE) @ matrix.matrix()[part]
    middle = (matrix.channels.low + matrix.channels.high) / 2
    expected = full[(middle >= 0.5) & (middle < 8.0)]
    np.testing.assert_allclose(data.fold(photons), expected, rtol=1e-9)
    np.testing.assert_allclose(data.fold.matrix() @ photons, expected, rtol=1e-9)


def test_a_spectrum_without_groups_is_binned_by_the_resolution_where_it_has_a_background() -> None:
    """W would take the background of channels without counts of it for 0."""
    counts, background = np.full(CHANNELS, 3.0), np.zeros(CHANNELS)
    behind = spectrum(counts, background)
    optimal = behind.select(0.5, 8.0, ChannelGrouping("optimal", 1, 1.0))
    for data in (behind.select(0.5, 8.0), replace(behind, grouping=None).select(0.5, 8.0)):
        np.testing.assert_array_equal(data.observed.counts, optimal.observed.counts)
    every = behind.select(0.5, 8.0, NONE).size + 2  # channels across both ends of the range are in, too
    assert optimal.size < every / 2
    assert spectrum(counts).select(0.5, 8.0).size == every, "without a background C needs none"
    own = replace(behind, grouping=np.ones(CHANNELS, dtype=np.int64)).select(0.5, 8.0)
    assert own.size == every, "a file that says that each channel is a group is believed"


def test_a_group_has_the_counts_of_its_channels() -> None:
    counts = np.random.default_rng(1).poisson(3.0, CHANNELS).astype(float)
    data = spectrum(counts, np.full(CHANNELS, 2.0)).select(0.5, 8.0, ChannelGrouping("mincounts", 10, 1.0))
    middle = (data.spectrum.channels.low + data.spectrum.channels.high) / 2
    inside = (middle >= 0.5) & (middle < 8.0)
    assert data.observed.counts.sum() == counts[inside].sum()
    assert data.observed.background.sum() == 2.0 * inside.sum()
    assert data.observed.counts[:-1].min() >= 10
    photons = np.ones(data.fold.low_kev.size)
    alone = spectrum(counts).select(0.5, 8.0, NONE)
    assert data.fold(photons).sum() == pytest.approx(alone.fold(photons).sum(), rel=1e-9)
    np.testing.assert_allclose(data.observed.ratio, RATIO)


@pytest.mark.parametrize("grouping", [None, NONE])
def test_an_edge_of_single_precision_is_the_energy_that_was_asked_for(grouping: ChannelGrouping | None) -> None:
    """0.3 keV in a file is 0.30000001: the channel below it has no part in a fit from 0.3 keV on."""
    data = spectrum(np.ones(CHANNELS))
    edges = np.linspace(0.2, 0.2 + 0.1 * CHANNELS, CHANNELS + 1).astype(np.float32).astype(np.float64)
    assert edges[1] > 0.3 and edges[5] < 0.7  # what single precision makes of them
    if grouping is not None:
        edges -= 0.05  # then the middle of a channel is compared
    channels = replace(data.channels, low=edges[:-1], high=edges[1:])
    matrix = replace(data.redistribution, channels=channels)
    found = replace(data, channels=channels, redistribution=matrix).select(0.3, 0.7, grouping)
    assert found.size == 4 and found.low_kev[0] == edges[1] and found.high_kev[-1] == edges[5]


def test_bad_channels_are_left_out_and_groups_of_the_file_kept(tmp_path: Path) -> None:
    write_set(tmp_path)
    grouping = np.where(np.arange(CHANNELS) % 5 == 0, 1, -1)
    quality = np.zeros(CHANNELS, dtype=int)
    quality[:10], quality[100] = 1, 5
    path = write_pha(tmp_path / "src.fits", np.ones(CHANNELS, dtype=int), GROUPING=grouping, QUALITY=quality)
    data = read_spectrum(path).select(0.0, 20.0)
    assert data.size == (CHANNELS - 10) // 5
    assert sorted(data.observed.counts.tolist()) == [4.0] + [5.0] * (data.size - 1)
    narrow = read_spectrum(path).select(1.0, 1.01)
    assert narrow.size == 1 and narrow.low_kev[0] <= 1.0 and narrow.high_kev[0] >= 1.01


def test_optimal_groups_are_about_as_wide_as_the_resolution() -> None:
    data = spectrum(np.full(CHANNELS, 50.0)).select(0.5, 8.0, ChannelGrouping("optimal", 1, 1.0))
    width, middle = data.high_kev - data.low_kev, (data.high_kev + data.low_kev) / 2
    resolution = 2.355 * 0.06 * np.sqrt(middle)
    assert (width < 1.3 * resolution).all() and np.median(width / resolution) > 0.3


def test_groups_with_a_background_count_leave_w_nothing_to_warn_of() -> None:
    """Few counts with hardly a background: groups of a count each mostly have none of the background."""
    draw = np.random.default_rng(7)
    data = spectrum(draw.poisson(0.4, CHANNELS), draw.poisson(0.2, CHANNELS))
    several = {kind: data.select(0.3, 10.0, ChannelGrouping(kind, 1, 5.0)) for kind in ("mincounts", "background")}
    empty = {kind: int((one.observed.background == 0).sum()) for kind, one in several.items()}
    assert empty["mincounts"] > 10 and empty["background"] == 0
    assert several["background"].observed.counts.sum() == several["mincounts"].observed.counts.sum()
    assert (several["background"].observed.counts >= 1).all()
    (alone,) = [spectrum(draw.poisson(0.4, CHANNELS), np.zeros(CHANNELS))]
    assert alone.select(0.3, 10.0, ChannelGrouping("background", 1, 5.0)).size == 1


def test_areascal_of_channels_reduces_their_counts(tmp_path: Path) -> None:
    write_set(tmp_path)
    one = read_spectrum(write_pha(tmp_path / "src.fits", np.ones(CHANNELS, dtype=int))).select(0.3, 10)
    half = read_spectrum(write_pha(tmp_path / "src.fits", np.ones(CHANNELS, dtype=int), AREASCAL=0.5)).select(0.3, 10)
    photons = np.ones(one.fold.low_kev.size)
    np.testing.assert_allclose(half.fold(photons), 0.5 * one.fold(photons), rtol=1e-12)
    np.testing.assert_allclose(half.observed.ratio, 0.5 * one.observed.ratio)


def refused(tmp_path: Path, path: Path, parameter: str, *words: str, **given: Path) -> None:
    with pytest.raises(ReductionError) as caught:
        read_spectrum(path, **given)
    assert caught.value.parameter == parameter, caught.value
    for word in words:
        assert word in str(caught.value), caught.value


def test_a_spectrum_without_response_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    write_set(tmp_path)
    counts = np.ones(CHANNELS, dtype=int)
    refused(tmp_path, write_pha(tmp_path / "a.fits", counts, RESPFILE="NONE"), "response", "RMF")
    refused(tmp_path, write_pha(tmp_path / "b.fits", counts, RESPFILE="far/away.rmf"), "response", "away.rmf", "beside")
    refused(tmp_path, write_pha(tmp_path / "c.fits", counts, ANCRFILE=None), "area", "ARF")
    refused(tmp_path, write_pha(tmp_path / "d.fits", counts, BACKFILE="lost.fits"), "background", "lost.fits")
    refused(tmp_path, tmp_path / "none.fits", "spectrum", "none.fits")
    refused(tmp_path, tmp_path / "src.rmf", "spectrum", "no spectrum")
    found = read_spectrum(write_pha(tmp_path / "d.fits", counts, BACKFILE="lost.fits"), background=NO_FILE)
    assert found.background is None


def test_an_area_of_another_grid_is_refused(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    other = EnergyGrid.of_edges(np.geomspace(0.25, 11.0, 200))
    write_effective_area(tmp_path / "src.arf", EffectiveArea(other, np.ones(199)))
    refused(tmp_path, path, "area", "199 bins of photon energy, not 300")
    moved = EnergyGrid.of_edges(np.geomspace(0.25, 11.5, 301))
    write_effective_area(tmp_path / "src.arf", EffectiveArea(moved, np.ones(300)))
    refused(tmp_path, path, "area", "0.5 keV apart")


def test_channels_that_do_not_match_are_told_with_their_numbers(tmp_path: Path) -> None:
    write_set(tmp_path)
    shifted = write_pha(tmp_path / "src.fits", np.ones(CHANNELS, dtype=int), first=1)
    refused(tmp_path, shifted, "spectrum", "channels 1 to 150", "0 to 149", "1 apart")
    longer = write_pha(tmp_path / "src.fits", np.ones(400, dtype=int))
    refused(tmp_path, longer, "spectrum", "400 channels, not 150")
    path = write_set(tmp_path)
    write_pha(tmp_path / "bkg.fits", np.ones(160, dtype=int), HDUCLAS2="BKG")
    refused(tmp_path, path, "background", "160 channels, not 150")
    part = write_pha(tmp_path / "part.fits", np.ones(50, dtype=int), first=20, BACKFILE="NONE")
    data = read_spectrum(part)
    assert data.counts[20:70].sum() == data.counts.sum() == 50 and (data.quality[:20] != 0).all()


def test_a_swapped_background_is_seen(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    refused(tmp_path, tmp_path / "bkg.fits", "background", "swapped", response=tmp_path / "src.rmf",
            area=tmp_path / "src.arf", background=path)  # fmt: skip
    refused(tmp_path, path, "background", "the spectrum itself", background=path)
    write_pha(tmp_path / "bkg.fits", np.full(CHANNELS, 90), HDUCLAS2="BKG")
    (message,) = read_spectrum(path).messages
    assert "net counts" in message and "swapped" in message


def test_a_copy_of_the_spectrum_is_no_background(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    copy = tmp_path / "copy.fits"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ReductionError, match="it is the spectrum itself") as error:
        read_spectrum(path, background=copy)
    assert error.value.parameter == "background"
    empty = write_pha(path, np.zeros(CHANNELS, dtype=int))
    copy.write_bytes(empty.read_bytes())
    assert read_spectrum(empty, background=copy).background is not None


def test_subtracted_counts_and_no_exposure_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    counts = np.ones(CHANNELS)
    counts[7] = -2.5
    refused(tmp_path, write_pha(tmp_path / "src.fits", counts), "spectrum", "channel 7", "-2.5", "background")
    refused(tmp_path, write_pha(tmp_path / "src.fits", np.ones(CHANNELS, dtype=int), EXPOSURE=0.0), "spectrum",
            "EXPOSURE is 0")  # fmt: skip


def test_a_matrix_with_the_area_in_it_needs_no_file_of_area(tmp_path: Path) -> None:
    write_set(tmp_path)
    matrix, area = response()
    row = np.repeat(np.arange(matrix.energies.size), np.diff(matrix.first_values))
    weighted = type(matrix)(matrix.energies, matrix.channels, matrix.rows, matrix.starts, matrix.lengths,
                            matrix.values * area.area_cm2[row])  # fmt: skip
    write_redistribution(tmp_path / "both.rsp", weighted)
    both = write_pha(tmp_path / "both.fits", np.ones(CHANNELS, dtype=int), RESPFILE="both.rsp", ANCRFILE="NONE")
    apart, together = (read_spectrum(path).select(0.3, 10, NONE) for path in (tmp_path / "src.fits", both))
    photons = np.ones(apart.fold.low_kev.size)
    np.testing.assert_allclose(together.fold(photons), apart.fold(photons), rtol=1e-5)


@pytest.mark.parametrize("low, high", [(2.0, 1.0), (-1.0, 5.0), (float("nan"), 5.0), (50.0, 60.0)])
def test_a_range_without_channels_is_refused(low: float, high: float) -> None:
    with pytest.raises(ReductionError) as caught:
        spectrum().select(low, high)
    assert caught.value.parameter == "energy"


def test_a_spectrum_of_closed_exposures_is_told(shared: Path) -> None:
    data = read_spectrum(shared / "real/xmm_psrj0855/xmm_mos1_0605960101_src.pha")
    assert any("100 times as long" in message for message in data.messages)
    assert data.ratio[0] == pytest.approx(0.01, rel=1e-4)
