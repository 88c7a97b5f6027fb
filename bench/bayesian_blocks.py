"""Measures Bayesian blocks of photons beside astropy's, CPU of this process, in turns; the edges must be the same.

Many events are put together to cells; then the blocks must be the exact ones but for edges within a cell.

    python bench/bayesian_blocks.py [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from astropy.stats import bayesian_blocks as astropys

from reduction.timing.blocks import bayesian_blocks

Floats = npt.NDArray[np.float64]

FALSE_ALARM = 0.01
CELLS = 2000
EVENTS, MANY = 20_000, 200_000
EXACT, BINNED = 1 / 4, 1 / 30
"""Parts of astropy's time that are allowed: for events one by one, and from cells."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    missed = False
    for name, times, many in (("constant", constant(EVENTS), constant(MANY)), ("steps", steps(EVENTS), steps(MANY))):
        works: dict[str, Callable[[], Floats]] = {
            "astropy, one by one": lambda times=times: astropys(times, fitness="events", p0=FALSE_ALARM),
            "ours, one by one": lambda times=times: bayesian_blocks(times, FALSE_ALARM),
            f"ours, {CELLS} cells": lambda times=times: bayesian_blocks(times, FALSE_ALARM, cells=CELLS),
            f"ours, {MANY:,} events": lambda many=many: bayesian_blocks(many, FALSE_ALARM),
        }
        spent, edges = measured(works, runs)
        theirs, exact, binned, large = (spent[label] for label in works)
        for label in works:
            print(f"{name:8} {label:22} {spent[label]:8.3f} s CPU   {spent[label] / theirs:6.3f} of astropy's")
        first, second, third = list(edges.values())[:3]
        same = np.array_equal(first, second)
        near = len(second) == len(third) and within_cells(times, second, third)
        print(
            f"{name:8} edges: exact {'the same' if same else 'OTHERS'}, from cells {'within one' if near else 'OTHERS'}"
        )
        missed |= not (same and near) or exact > EXACT * theirs or binned > BINNED * theirs or large > theirs
    sys.exit("a figure is missed" if missed else 0)


def measured(works: dict[str, Callable[[], Floats]], runs: int) -> tuple[dict[str, float], dict[str, Floats]]:
    """Return the median CPU seconds of each work, done in turns, and what it gave."""
    spent: dict[str, list[float]] = {label: [] for label in works}
    found = {}
    for _ in range(runs):
        for label, work in works.items():
            began = time.process_time()
            found[label] = work()
            spent[label].append(time.process_time() - began)
    return {label: statistics.median(seconds) for label, seconds in spent.items()}, found


def within_cells(times: Floats, exact: Floats, binned: Floats) -> bool:
    """Return whether edges lie no farther apart than the events of a cell."""
    apart = np.searchsorted(times, binned) - np.searchsorted(times, exact)
    return bool(np.abs(apart).max() <= times.size / CELLS)


def constant(events: int) -> Floats:
    """Return the times of a constant source."""
    return np.sort(np.random.default_rng(1).uniform(0, 1e5, events))


def steps(events: int) -> Floats:
    """Return the times of a source with four changes of its rate."""
    generator = np.random.default_rng(2)
    ends, parts = (0, 2e4, 5e4, 5.5e4, 8e4, 1e5), (0.3, 0.1, 0.05, 0.25, 0.3)
    pieces = [generator.uniform(ends[piece], ends[piece + 1], int(events * part)) for piece, part in enumerate(parts)]
    return np.sort(np.concatenate(pieces))


if __name__ == "__main__":
    main()
