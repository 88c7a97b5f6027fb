"""Many fits in one job: the same results as one by one, in their order, and an error that stops no other."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from fitted import CHANNELS, write_pha, write_set
from reduction.fitting.expression import parse_model
from reduction.fitting.many import FitTask, SpectrumFiles, fit_many, fit_one
from reduction.fitting.parameters import Setting
from reduction.fitting.responsefiles import forget_matrices
from reduction.responses import write_redistribution
from reduction.responses.redistributionfile import read_redistribution

LAW = parse_model("powerlaw")


@pytest.fixture
def spectra(tmp_path: Path) -> list[Path]:
    write_set(tmp_path)
    random = np.random.default_rng(1)
    return [
        write_pha(tmp_path / f"src{number}.fits", random.poisson(np.linspace(3 + number, 1, CHANNELS)))
        for number in range(6)
    ]


def test_many_fits_give_what_single_ones_give_in_their_order(spectra: list[Path]) -> None:
    tasks = [FitTask((SpectrumFiles(path),), LAW, statistic="wstat") for path in spectra]
    broken = FitTask((SpectrumFiles(spectra[0].with_name("lost.fits")),), LAW)
    outcomes = fit_many([*tasks[:3], broken, *tasks[3:]], processes=2)
    assert "lost.fits" in outcomes[3].error and outcomes[3].result is None
    for task, outcome in zip(tasks, [*outcomes[:3], *outcomes[4:]], strict=True):
        alone = fit_one(task).result
        assert outcome.task.spectra == task.spectra and outcome.result is not None and alone is not None
        assert outcome.result.values == pytest.approx(alone.values)
        assert outcome.result["powerlaw.norm"].error_high == pytest.approx(alone["powerlaw.norm"].error_high)
        (fitted,) = outcome.result.datasets
        assert fitted.data.name == task.spectra[0].spectrum.name and fitted.source.sum() > 0


def test_a_result_is_small_enough_to_be_handed_on(spectra: list[Path]) -> None:
    found = fit_one(FitTask((SpectrumFiles(spectra[0]), SpectrumFiles(spectra[1])), LAW)).result
    assert found is not None and len(pickle.dumps(found)) < 200_000
    assert found["crossnorm2"].error is not None


def test_a_matrix_that_has_changed_is_read_anew(spectra: list[Path]) -> None:
    task = FitTask((SpectrumFiles(spectra[0]),), LAW, parameters={"powerlaw.PhoIndex": Setting(value=1.0, frozen=True)})
    before = fit_one(task).result
    path = spectra[0].with_name("src.rmf")
    matrix = read_redistribution(path)
    half = type(matrix)(matrix.energies, matrix.channels, matrix.rows, matrix.starts, matrix.lengths, matrix.values / 2)
    write_redistribution(path, half)
    after = fit_one(task).result
    forget_matrices()
    assert before is not None and after is not None
    assert after.values["powerlaw.norm"] == pytest.approx(2 * before.values["powerlaw.norm"], rel=1e-3)
