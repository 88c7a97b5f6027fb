"""Measures the fitting of spectra beside sherpa in one process, in turns: the folding, a fit with errors, many fits.

    python bench/fit.py FOLDER [--tables FOLDER] [--runs 9]

FOLDER holds a spectrum with its files (--spectrum names it) and its background; --tables the cross-sections of tbabs.
Sherpa is found where PYTHONPATH leads; without it ours are measured alone. CPU is that of this process and its
children; conf of sherpa is given one process, like ours.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from reduction.fitting.components import Tables
from reduction.fitting.data import read_spectrum
from reduction.fitting.expression import Model, parse_model
from reduction.fitting.fit import fit
from reduction.fitting.folding import fold_of
from reduction.fitting.many import FitTask, SpectrumFiles, fit_many, fit_one
from reduction.fitting.responsefiles import forget_matrices

FOLD, FIT, MANY = 0.5, 0.3, 0.7
"""Parts of sherpa's time, and of the sum of single fits, that are allowed."""

SPECTRA, ROUNDS, LOOP = 100, 3, 60_000_000
ENERGY = (0.3, 10.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spectrum", default="PN_spectrum_grp20.fits")
    parser.add_argument("--tables", type=Path, help="folder of xsect_tbabs_wilm.fits; without it wabs is fitted")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    path = options.folder / options.spectrum
    model = parse_model("tbabs*powerlaw" if options.tables else "wabs*powerlaw", Tables(options.tables))
    peer = Peer.loaded(path, model) if has_sherpa() else None
    missed = [folding(path, peer, options.runs), fitting(path, model, peer, options.runs), many(path, model)]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    sys.exit("a figure is missed" if any(missed) else 0)


def folding(path: Path, peer: Peer | None, runs: int) -> bool:
    """Measure the folding of a model into all channels, and into the groups of a fit; return whether that is missed.

    Sherpa folds into all channels in a fit, too, and groups them then. A fit of ours folds the slopes of a model by its
    parameters at once.
    """
    spectrum = read_spectrum(path)
    channels = spectrum.channels.size
    whole = fold_of(spectrum.redistribution, np.ones(spectrum.area.area_cm2.size), np.arange(channels), channels)
    grouped = spectrum.select(*ENERGY).fold
    photons = np.random.default_rng(1).random(spectrum.redistribution.energies.size)
    first = int(np.searchsorted(spectrum.redistribution.energies.low, whole.low_kev[0]))
    mine, few = photons[first : first + whole.low_kev.size], np.ones(grouped.low_kev.size)
    several = np.array([mine] * 3)
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: whole(mine),
        "ours, three at once": lambda: whole(several),
        "ours, grouped": lambda: grouped(few),
    }
    if peer is not None:
        works["sherpa"] = lambda: peer.matrix.apply_rmf(photons)
        np.testing.assert_allclose(whole(mine), peer.matrix.apply_rmf(photons), rtol=1e-6, atol=1e-9)
    spent = measured(works, runs, 100)
    size = spectrum.redistribution.values.size
    print(f"fold, {spectrum.redistribution.energies.size} x {channels}, {size:,} elements")
    return shown(spent, {"ours": FOLD, "ours, grouped": FOLD})


def fitting(path: Path, model: Model, peer: Peer | None, runs: int) -> bool:
    """Measure a fit of three parameters by W with its errors; return whether the figure is missed."""
    data = read_spectrum(path).select(*ENERGY)
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: fit([data], model),
        "ours, without errors": lambda: fit([data], model, confidence=None),
        "ours, scoring": lambda: fit([data], model, optimiser="scoring"),
    }
    if peer is not None:
        works["sherpa, fit"] = peer.fit
        works["sherpa"] = lambda: (peer.fit(), peer.conf())
    spent = measured(works, runs, 1)
    found = fit([data], model)
    print(f"fit of {model.expression}: {found.statistic:.2f} for {found.dof}, {found.evaluations} foldings")
    return shown(spent, {"ours": FIT})


def many(path: Path, model: Model) -> bool:
    """Measure many fits in one job against the sum of so many single ones; return whether the figure is missed."""
    tasks = [FitTask((SpectrumFiles(path),), model)] * SPECTRA
    works: dict[str, Callable[[], Any]] = {
        "single": lambda: [(forget_matrices(), fit_one(task)) for task in tasks],
        "job": lambda: (forget_matrices(), fit_many(tasks, 2)),
        "one loop": lambda: [busy(LOOP), busy(LOOP)],
        "two loops": two_loops,
    }
    spent: dict[str, list[tuple[float, float]]] = {label: [] for label in works}
    for _ in range(ROUNDS):
        for label, work in works.items():
            spent[label].append(clocked(work))
    clock, cpu = (part(spent["job"], spent["single"], at) for at in (0, 1))
    free = part(spent["two loops"], spent["one loop"], 0)
    print(f"{SPECTRA} spectra in one job on two processes: {spent['job'][0][0]:.2f} s by the clock, "
          f"{spent['job'][0][1]:.2f} s CPU; of the sum of so many fits {clock:.2f} by the clock, {cpu:.2f} of CPU; two "
          f"processes that only count take {free:.2f} of one (0.5 on idle cores); asked {MANY}")  # fmt: skip
    return clock * 0.5 / free > MANY


def part(ours: list[tuple[float, float]], theirs: list[tuple[float, float]], at: int) -> float:
    """Return the median of what each round's work takes of the other's."""
    return statistics.median(mine[at] / other[at] for mine, other in zip(ours, theirs, strict=True))


def busy(steps: int) -> int:
    return sum(range(steps))


def two_loops() -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(busy, [LOOP] * 2))


def clocked(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds that a work takes by the clock, and of CPU."""
    began, cpu = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - began, cpu_seconds() - cpu


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def measured(works: dict[str, Callable[[], Any]], runs: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median milliseconds of CPU and of the clock of each work, done in turns."""
    spent: dict[str, list[tuple[float, float]]] = {label: [] for label in works}
    for _ in range(runs):
        for label, work in works.items():
            began, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                work()
            clock = time.perf_counter() - began
            spent[label].append(((time.process_time() - cpu) / repeats * 1e3, clock / repeats * 1e3))
    return {label: (statistics.median(cpu for cpu, _ in each), statistics.median(clock for _, clock in each))
            for label, each in spent.items()}  # fmt: skip


def shown(spent: dict[str, tuple[float, float]], allowed: dict[str, float]) -> bool:
    """Print what works took; return whether one took more than is allowed of sherpa's."""
    theirs, missed = spent.get("sherpa"), False
    for label, (cpu, clock) in spent.items():
        part = (
            ""
            if theirs is None
            else f"   {cpu / theirs[0]:6.3f} of sherpa's CPU, {clock / theirs[1]:6.3f} of its clock"
        )
        asked = f", asked {allowed[label]}" if label in allowed else ""
        print(f"  {label:22} {cpu:9.4f} ms CPU {clock:9.4f} ms{part}{asked}")
        missed |= theirs is not None and label in allowed and cpu > allowed[label] * theirs[0]
    return missed


def has_sherpa() -> bool:
    try:
        import sherpa.astro.ui
    except ImportError:
        print("sherpa is not installed: ours alone")
        return False
    logging.getLogger("sherpa").setLevel(logging.CRITICAL)
    return sherpa.astro.ui is not None


class Peer:
    """The same spectrum and model in sherpa, absorbed by the same cross-sections as a user model."""

    def __init__(self, ui: Any, absorption: Any, law: Any) -> None:
        self.ui, self.absorption, self.law = ui, absorption, law
        self.matrix = ui.unpack_rmf(str(Path(ui.get_rmf().name)))

    @classmethod
    def loaded(cls, path: Path, model: Model) -> Peer:
        from sherpa.astro import ui

        ui.set_stat("wstat")
        ui.set_method("levmar")
        ui.set_conf_opt("numcores", 1)
        ui.set_conf_opt("max_rstat", 1000)
        ui.load_pha(str(path))
        ui.ignore_bad()
        ui.notice(*ENERGY)
        absorption, law = user_absorption(model), ui.create_model_component("powlaw1d", "law")
        ui.set_source(absorption * law)
        return cls(ui, absorption, law)

    def fit(self) -> None:
        self.absorption.nH, self.law.gamma, self.law.ampl = 0.1, 1.7, 1e-3
        self.ui.fit()

    def conf(self) -> None:
        self.ui.conf()


def user_absorption(model: Model) -> Any:
    """Return exp(-nH sigma) as a model of sherpa; the cross-sections are kept for the grid that it is asked for."""
    from sherpa.models.model import ArithmeticModel
    from sherpa.models.parameter import Parameter

    from reduction.fitting.absorption import cross_sections

    name = model.components[0].name

    class Absorption(ArithmeticModel):
        def __init__(self) -> None:
            self.nH = Parameter("absorption", "nH", 0.1, 0, 1000, 0, 1000)
            self.grid: Any = None
            ArithmeticModel.__init__(self, "absorption", (self.nH,))

        def calc(self, values: Any, low: Any, high: Any = None, *args: Any, **keywords: Any) -> Any:
            if self.grid is None or not np.array_equal(self.grid[0], low):
                self.grid = low, cross_sections(name, (low + high) / 2, model.tables)
            return np.exp(-values[0] * self.grid[1])

    return Absorption()


if __name__ == "__main__":
    main()
