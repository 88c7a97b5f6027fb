"""What the runs of a bench say together: pulls of each comparison, completeness, false detections; may import numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.bench.recipe import Comparison

Floats = npt.NDArray[np.float64]
Records = Sequence[Mapping[str, Any]]

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
_ALARM = 4.0
"""Standard errors from which on a mean, a width or a share of the pulls is said to be off."""
_BINS_OF_FLUX = 12


@dataclass(frozen=True)
class Compared:
    """A comparison over all runs that have it: arrays of shape (runs,).

    `low` and `high` are errors, NaN where there are none; `runs` the numbers of the runs.
    """

    comparison: Comparison
    runs: npt.NDArray[np.int64]
    truth: Floats
    value: Floats
    low: Floats
    high: Floats

    @property
    def pulls(self) -> Floats:
        """Values less the truth, in units of the error on the side of the truth; NaN without one."""
        off = self.value - self.truth
        error = np.where(off > 0, np.abs(self.low), np.abs(self.high))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(error > 0, off / error, np.nan))


@dataclass(frozen=True)
class Figure:
    """A number with its standard error, and what it should be; None for what may be anything."""

    value: float
    error: float
    wanted: float | None = None

    @property
    def sigmas(self) -> float:
        """How many standard errors it is off what it should be; NaN where that is not known."""
        if self.wanted is None or not self.error > 0:
            return math.nan
        return (self.value - self.wanted) / self.error

    @property
    def is_off(self) -> bool:
        """Whether it is off by more than chance allows."""
        return abs(self.sigmas) > _ALARM


def compare(comparison: Comparison, records: Records) -> Compared:
    """Return a comparison over the runs in which truth and value are numbers."""
    rows = []
    for record in records:
        measured = record.get("measured", {})
        row = [number_of(measured.get(name)) if name else math.nan
               for name in (comparison.truth, comparison.value, comparison.low, comparison.high)]  # fmt: skip
        if record["failed"] is None and math.isfinite(row[0]) and math.isfinite(row[1]):
            rows.append((record["run"], *row))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Compared(comparison, table[:, 0].astype(np.int64), *(table[:, at] for at in range(1, 5)))


def figures(compared: Compared) -> dict[str, Figure]:
    """Return the mean difference, and of the pulls mean, width, and the shares within one and two sigma.

    Where there are pulls the mean difference is not judged: errors that differ down and up move it. The error of a
    width is that of a standard deviation of Gaussian numbers, ``width / sqrt(2 (n - 1))``; those of the
    shares are binomial about what they should be.
    """
    off = compared.value - compared.truth
    pulls = compared.pulls[np.isfinite(compared.pulls)]
    count = len(pulls)
    found = {"difference": Figure(*_mean(off), 0.0 if count < 2 else None)}
    if count >= 2:
        width = float(np.std(pulls, ddof=1))
        found["mean of pulls"] = Figure(*_mean(pulls), 0.0)
        found["width of pulls"] = Figure(width, width / math.sqrt(2 * (count - 1)), 1.0)
        for name, within, wanted in (("within 1 sigma", 1, ONE_SIGMA), ("within 2 sigma", 2, TWO_SIGMA)):
            share = float(np.mean(np.abs(pulls) <= within))
            found[name] = Figure(share, math.sqrt(wanted * (1 - wanted) / count), wanted)
    return found


def _mean(values: Floats) -> tuple[float, float]:
    """Return the mean of numbers and its standard error, NaN where there are too few."""
    if not len(values):
        return math.nan, math.nan
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


@dataclass(frozen=True)
class Completeness:
    """Share of sources that were detected, by their flux: edges of shape (n + 1,), the others (n,).

    `low` and `high` bound the share at 68 % (Wilson 1927, JASA 22, 209).
    """

    edges: Floats
    sources: npt.NDArray[np.int64]
    detected: npt.NDArray[np.int64]
    low: Floats
    high: Floats

    @property
    def share(self) -> Floats:
        """Detected sources by all; NaN where there are none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.detected / self.sources)

    def flux_at(self, share: float) -> float:
        """Return the flux from which on the share is reached for good, between bins; NaN if it never is."""
        there = np.flatnonzero(self.sources > 0)
        middle, found = np.sqrt(self.edges[1:] * self.edges[:-1])[there], self.share[there]
        below = np.flatnonzero(found < share)
        if not len(there) or (len(below) and below[-1] == len(there) - 1):
            return math.nan
        if not len(below):
            return float(middle[0])
        at = below[-1]
        part = (share - found[at]) / (found[at + 1] - found[at])
        return float(middle[at] * (middle[at + 1] / middle[at]) ** part)


def completeness(sources: Sequence[Mapping[str, Any]]) -> Completeness | None:
    """Return the share of detected sources by flux; None for none."""
    if not sources:
        return None
    flux = np.array([each["flux"] for each in sources], dtype=np.float64)
    found = np.array([each["is_detected"] for each in sources], dtype=bool)
    low, high = flux.min() * 0.999, flux.max() * 1.001
    edges = np.geomspace(low, high, (_BINS_OF_FLUX if high / low > 1.5 else 1) + 1)
    every, seen = (np.histogram(each, edges)[0] for each in (flux, flux[found]))
    low_share, high_share = wilson(seen, every)
    return Completeness(edges, every, seen, low_share, high_share)


def wilson(found: npt.NDArray[np.int64], every: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the bounds at 68 % of a share by Wilson's interval, shape (n,) both; 0 and 1 where there are none."""
    n = np.maximum(every, 1)
    middle, half = (found + 0.5) / (n + 1), np.sqrt(found * (n - found) / n + 0.25) / (n + 1)
    some = every > 0
    return np.where(some, middle - half, 0.0), np.where(some, middle + half, 1.0)


@dataclass(frozen=True)
class FalseRate:
    """Detections that are no source, in a field, by the least likelihood that is asked for; shape (n,) all.

    `completeness` is the share of all sources that are left, `purity` the share of the detections that are sources.
    """

    cut: Floats
    per_field: Floats
    completeness: Floats
    purity: Floats


def false_rate(
    sources: Sequence[Mapping[str, Any]], false: Sequence[Mapping[str, Any]], fields: int
) -> FalseRate | None:
    """Return how many detections are false by the cut in likelihood.

    Parameters
    ----------
    sources
        True sources, with `likelihood` where they were detected.
    false
        Detections that are no source.
    fields
        How many fields they are of.

    Returns
    -------
    FalseRate or None
        None where no detection has a likelihood.
    """
    true_ones = np.array([each["likelihood"] for each in sources if "likelihood" in each], dtype=np.float64)
    false_ones = np.array([each["likelihood"] for each in false if "likelihood" in each], dtype=np.float64)
    if not len(true_ones) or not fields:
        return None
    everything = np.concatenate((true_ones, false_ones))
    low, high = max(float(everything.min()), 1e-3), float(np.quantile(true_ones, 0.75))
    cut = np.geomspace(low, max(high, low * 1.01), 40)
    left, wrong = (np.array([np.count_nonzero(each >= at) for at in cut]) for each in (true_ones, false_ones))
    return FalseRate(cut, wrong / fields, left / len(sources), left / np.maximum(left + wrong, 1))


def number_of(value: Any) -> float:
    """Return what a run measured as a number; NaN where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
