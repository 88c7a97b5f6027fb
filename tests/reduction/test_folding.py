"""The folding of all channels of EPIC pn, with a matrix in single precision, against sums in double precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitted import EXPOSURE
from reduction.calibration.builtin import built_in_redistribution
from reduction.fitting.expression import parse_model
from reduction.fitting.fit import fit
from reduction.fitting.folding import MOST_DOUBLE, Block, Fold, fold_of
from reduction.fitting.spectrum import FitData, SpectralData
from reduction.fitting.statistics import Observed
from reduction.missions import EPN
from reduction.responses import EffectiveArea
from reduction.responses.grid import Camera
from reduction.spectra.groupings import ChannelGrouping

NEAR = 1e-6
"""Part of its counts by which a channel may be wrong."""


@pytest.fixture(scope="module")
def data() -> FitData:
    """A spectrum of pn without counts, its channels not grouped."""
    matrix = built_in_redistribution(EPN, Camera("XMM", "EPN"))
    middle, ones = matrix.energies.middle, np.ones(matrix.channels.size)
    area = EffectiveArea(matrix.energies, 1000 * np.exp(-((middle / 7) ** 2)) * np.where(middle < 0.2, 0.0, 1.0))
    whole = SpectralData(
        name="src.fits", counts=0 * ones, exposure_s=EXPOSURE, backscal=ones, areascal=ones,
        quality=np.zeros(ones.size, dtype=np.int64), grouping=None, channels=matrix.channels, redistribution=matrix,
        area=area, background=None,
    )  # fmt: skip
    return whole.select(0.3, 10.0, ChannelGrouping("none", 1, 1.0))


def in_double_precision(data: FitData) -> np.ndarray:
    """The counts of each group for a photon of each bin of energy, shape (groups, energies): the plain matrix."""
    matrix, group = data.spectrum.redistribution, data.groups.group_of_channel
    first = int(np.searchsorted(matrix.energies.low, data.fold.low_kev[0]))
    part = slice(first, first + data.fold.low_kev.size)
    weights = data.spectrum.area.area_cm2[part] * data.spectrum.exposure_s
    full = np.zeros((data.size, data.fold.low_kev.size))
    np.add.at(full, group[group >= 0], (matrix.matrix()[part] * weights[:, None]).T[group >= 0])
    return full


@pytest.mark.parametrize("expression", ["powerlaw", "wabs*bbody", "gauss"])
def test_counts_are_right_within_a_millionth_in_every_channel(data: FitData, expression: str) -> None:
    """Also where hardly anything is expected: below a black body absorbed, and on the shelf under a line."""
    photons = parse_model(expression).flux_in_bins(data.fold.edges_kev)
    expected = in_double_precision(data) @ photons
    assert data.fold.is_single and data.size > 1900
    np.testing.assert_allclose(data.fold(photons), expected, rtol=NEAR, atol=1e-20)
    assert np.array_equal(data.fold(photons), data.fold(photons))  # blocks read to and fro


def test_several_models_are_folded_at_once(data: FitData) -> None:
    photons = np.random.default_rng(2).random((3, data.fold.low_kev.size))
    expected = photons @ in_double_precision(data).T
    np.testing.assert_allclose(data.fold(photons), expected, rtol=NEAR)
    np.testing.assert_allclose(data.fold.matrix(), in_double_precision(data), rtol=1e-7)


def test_blocks_hold_every_group_once(data: FitData) -> None:
    """Groups that leave channels out, an area of 0 in between, and none at all."""
    matrix = data.spectrum.redistribution
    numbers = np.arange(matrix.channels.size)
    group = np.where(numbers % 7 == 3, -1, numbers // 9)
    groups = int(group.max()) + 1
    weights = np.where(np.arange(matrix.energies.size) % 11 == 4, 0.0, 2.0)
    found = fold_of(matrix, weights, group, groups)
    assert not found.is_single and sum(block.elements.size for block in found.blocks) < MOST_DOUBLE
    held = np.concatenate([block.group + np.arange(len(block.elements)) for block in found.blocks])
    assert np.unique(held).size == held.size
    full = np.zeros((groups, matrix.energies.size))
    np.add.at(full, group[group >= 0], (matrix.matrix() * weights[:, None]).T[group >= 0])
    first = int(np.searchsorted(matrix.energies.low, found.low_kev[0]))
    np.testing.assert_allclose(found.matrix(), full[:, first : first + found.low_kev.size], rtol=1e-12, atol=1e-20)
    photons = np.random.default_rng(1).random(found.low_kev.size)
    np.testing.assert_allclose(found(photons), found.matrix() @ photons, rtol=1e-12)
    nothing = fold_of(matrix, 0 * weights, group, groups)
    assert nothing(np.ones(nothing.low_kev.size)).tolist() == [0.0] * groups


@pytest.mark.parametrize("optimiser", ["migrad", "scoring"])
@pytest.mark.parametrize("total", [300, 30_000])
def test_a_fit_ends_where_one_in_double_precision_does(data: FitData, optimiser: str, total: int) -> None:
    """Values within a hundredth of their errors, errors within a hundredth, in hardly more steps."""
    model = parse_model("wabs*powerlaw")
    counts = data.fold(model.flux_in_bins(data.fold.edges_kev, [0.3, 1.8, 1.0]))
    drawn = np.random.default_rng(3).poisson(counts * total / counts.sum()).astype(float)
    none = np.zeros(data.size)
    single = replace(data, observed=Observed(drawn, none, none))
    blocks = tuple(Block(each.energy, each.group, each.elements.astype(np.float64)) for each in data.fold.blocks)
    double = replace(single, fold=Fold(data.fold.low_kev, data.fold.high_kev, data.fold.groups, blocks))
    ours, theirs = (fit([each], model, statistic="cstat", optimiser=optimiser) for each in (single, double))
    assert ours.converged and theirs.converged
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-3)
    assert ours.evaluations < 1.3 * theirs.evaluations
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert mine.error is not None and other.error is not None
        assert abs(mine.value - other.value) < 0.01 * other.error
        assert mine.error == pytest.approx(other.error, rel=0.01)
