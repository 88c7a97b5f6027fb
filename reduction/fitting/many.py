"""Many fits in one job, on as many processes as there are cores: each fit for itself, in the order they were asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.data import read_spectrum
from reduction.fitting.expression import Model
from reduction.fitting.fit import ONE_SIGMA, fit
from reduction.fitting.folding import Fold
from reduction.fitting.parameters import Setting
from reduction.fitting.result import FitResult, FittedData
from reduction.responses.redistribution import Redistribution
from reduction.spectra.groupings import ChannelGrouping

AT_ONCE = 4
"""Fits handed to a process at a time."""


@dataclass(frozen=True)
class SpectrumFiles:
    """The files of a spectrum, as `read_spectrum` takes them; None for those that its header names."""

    spectrum: Path
    background: Path | None = None
    response: Path | None = None
    area: Path | None = None


@dataclass(frozen=True)
class FitTask:
    """One of many fits: spectra that are fitted together, the energies in keV, the model, and what `fit` takes."""

    spectra: tuple[SpectrumFiles, ...]
    model: Model
    energy_kev: tuple[float, float] = (0.3, 10.0)
    grouping: ChannelGrouping | None = None
    statistic: str = "wstat"
    parameters: Mapping[str, Setting] = field(default_factory=dict)
    confidence: float | None = ONE_SIGMA


@dataclass(frozen=True)
class FitOutcome:
    """What came of one of many fits: its result, or why there is none.

    The responses are left out of the result: counts of data and model are there, and cannot be folded anew.
    """

    task: FitTask
    result: FitResult | None
    error: str = ""


def fit_many(tasks: Sequence[FitTask], processes: int | None = None) -> list[FitOutcome]:
    """Do many fits at once.

    Parameters
    ----------
    tasks
        The fits. Those that share a response are best neighbours: a process reads it once.
    processes
        How many processes share them; None for one for each core that this process may use.

    Returns
    -------
    list
        What came of each, in their order; a fit that cannot be done does not stop the others.
    """
    count = min(len(os.sched_getaffinity(0)) if processes is None else processes, max(len(tasks), 1))
    if count <= 1:
        return [fit_one(task) for task in tasks]
    with ProcessPoolExecutor(count) as pool:
        return list(pool.map(fit_one, tasks, chunksize=max(1, min(AT_ONCE, len(tasks) // count))))


def fit_one(task: FitTask) -> FitOutcome:
    """Read the spectra of a task and fit them; what is wrong with them becomes the error of the outcome."""
    try:
        datasets = [
            read_spectrum(each.spectrum, background=each.background, response=each.response, area=each.area).select(
                *task.energy_kev, task.grouping
            )
            for each in task.spectra
        ]
        found = fit(datasets, task.model, statistic=task.statistic, parameters=task.parameters,
                    confidence=task.confidence)  # fmt: skip
    except ReductionError as error:
        return FitOutcome(task, None, str(error))
    return FitOutcome(task, replace(found, datasets=tuple(_without_response(each) for each in found.datasets)))


def _without_response(fitted: FittedData) -> FittedData:
    """Return one spectrum of a result without its matrix, which has a million numbers."""
    data, matrix = fitted.data, fitted.data.spectrum.redistribution
    none = np.zeros(0, dtype=np.int64)
    empty = Redistribution(matrix.energies, matrix.channels, np.zeros(matrix.energies.size + 1, dtype=np.int64), none,
                           none, np.zeros(0), matrix.camera)  # fmt: skip
    fold = Fold(data.fold.low_kev, data.fold.high_kev, data.fold.groups, ())
    return replace(fitted, data=replace(data, spectrum=replace(data.spectrum, redistribution=empty), fold=fold))
