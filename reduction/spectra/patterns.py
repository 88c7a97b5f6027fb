"""Pile-up of EPIC by the patterns of events: how many are single and double, against how many should be.

Two photons of one frame in neighbouring pixels are taken for one that was split: single events become fewer and double
ones more than the energy alone makes them. What is compared, and the names of the keywords, are those of `epatplot` of
the SAS: the ratio of observed to expected from 0.5 to 2 keV. The expected curves are approximate; those of the SAS are
in its calibration files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import Card
from reduction.events.selection import Selection
from reduction.instruments import single_share
from reduction.missions import Mission

Floats = npt.NDArray[np.float64]

BAND_KEV = (0.5, 2.0)
"""Energies in which single and double events are compared, as epatplot does."""

FEWEST = 100
"""Single and double events in the band from which on the comparison is made."""

SIGMAS = 3.0
"""By how many errors singles must be off before it is told."""

EDGES_KEV = np.array([0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0,
                      7.0, 8.0, 10.0, 12.0])  # fmt: skip
"""Edges of the bins of energy in which patterns are shown."""

_CLASSES = ((0, 0), (1, 4), (5, 8), (9, 12))
"""PATTERN of single, double, triple and quadruple events."""

_STEP_KEV, _STEPS = 0.005, 4096


@dataclass(frozen=True)
class Expected:
    """The share of single events among single and double ones, by energy in keV, and how uncertain it is."""

    at: Callable[[Floats], Floats]
    uncertain: float


def _of_mos(energy_kev: Floats) -> Floats:
    return np.full(np.shape(energy_kev), 0.78)


EXPECTED: Mapping[str, Expected] = {
    "EPN": Expected(single_share, 0.01),
    "EMOS1": Expected(_of_mos, 0.05),
    "EMOS2": Expected(_of_mos, 0.05),
}
"""What is expected of each camera, without pile-up.

That of pn is the ratio of two responses that the SAS made (`instruments.single_share`). No such pair is at hand for
MOS: 0.78, whatever the energy, is a round figure between 0.5 and 2 keV.
"""


@dataclass
class PatternCounts:
    """Events by pattern and energy, counted row by row as the spectrum is made; `counts` has the shape (4, steps)."""

    events: EventList
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(_CLASSES), _STEPS), dtype=np.int64))

    def __call__(self, rows: Rows) -> None:
        """Count the selected rows of a chunk."""
        column, energy = self.events.pattern, self.events.energy
        if column is None:
            return
        pattern = column.floats(rows)
        mission = self.events.mission
        kev = mission.energy_zero_kev + mission.energy_step_kev * energy.floats(rows)
        known = np.isfinite(kev) & (kev >= 0) & (kev < _STEPS * _STEP_KEV)
        steps = np.floor(np.where(known, kev, 0.0) / _STEP_KEV + 1e-6).astype(np.intp)
        for number, (low, high) in enumerate(_CLASSES):
            self.counts[number] += np.bincount(steps[known & (pattern >= low) & (pattern <= high)], minlength=_STEPS)


def counter(events: EventList, selection: Selection) -> PatternCounts | None:
    """Return what counts the patterns of an event list.

    Parameters
    ----------
    events
        The open event list.
    selection
        Which events are taken.

    Returns
    -------
    PatternCounts or None
        None where nothing can be compared: another mission, or single or double events are not all selected.
    """
    if expected_of(events.mission) is None or events.pattern is None:
        return None
    taken = selection.patterns
    if taken is not None and not all(any(low <= one <= high for low, high in taken) for one in range(5)):
        return None
    return PatternCounts(events)


def binned(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return events by pattern in the bins between EDGES_KEV, shape (4, bins), of `PatternCounts.counts`."""
    edges = np.rint(EDGES_KEV / _STEP_KEV).astype(int)
    reached = np.concatenate((np.zeros((len(counts), 1), dtype=np.int64), np.cumsum(counts, axis=1)), axis=1)
    return np.asarray(np.diff(reached[:, edges], axis=1))


def expected_of(mission: Mission) -> Expected | None:
    """Return what is expected of a camera; None for one of which nothing is known."""
    return EXPECTED.get(mission.instruments[0]) if mission.is_xmm else None


@dataclass(frozen=True)
class PileUp:
    """Ratios of observed to expected single and double events in BAND_KEV, with their errors of counting.

    `uncertain` is the part of the singles' ratio by which the expected curve may be off. Both ratios are of single and
    double events together: one has no more to say than the other.
    """

    singles: float
    singles_error: float
    doubles: float
    doubles_error: float
    uncertain: float

    @property
    def significance(self) -> float:
        """By how many errors, those of the expected curve included, the singles are off; below 0 for too few."""
        return (self.singles - 1) / float(np.hypot(self.singles_error, self.uncertain))

    @property
    def cards(self) -> list[Card]:
        """The keywords of epatplot."""
        return [
            ("SNGL_OTM", round(self.singles, 4), "0.5-2 keV observed-to-model fraction of singles"),
            ("ESGL_OTM", round(self.singles_error, 4), "Error of counting of SNGL_OTM"),
            ("DBLE_OTM", round(self.doubles, 4), "0.5-2 keV observed-to-model fraction of doubles"),
            ("EDBL_OTM", round(self.doubles_error, 4), "Error of counting of DBLE_OTM"),
        ]

    @property
    def sentence(self) -> str:
        """What the ratios are, and what they say, for the log."""
        told = (f"from 0.5 to 2 keV {self.singles:.3f} +- {self.singles_error:.3f} of the single and "
                f"{self.doubles:.3f} +- {self.doubles_error:.3f} of the double events that are expected without "
                "pile-up")  # fmt: skip
        if abs(self.significance) < SIGMAS:
            return told
        if self.significance < 0:
            return (f"{told}: {-self.significance:.1f} sigma too few singles, the mark of pile-up; cut the core of the "
                    "source out of its region until it is gone")  # fmt: skip
        return f"{told}: {self.significance:.1f} sigma too many singles, which pile-up does not make, noise does"


def pile_up(counted: PatternCounts) -> PileUp | None:
    """Compare single and double events with what is expected.

    Parameters
    ----------
    counted
        The events of a source, those of the background in its region included.

    Returns
    -------
    PileUp or None
        The ratios; None for fewer than FEWEST events. The errors are those of so many events of the expected shares.
    """
    expected = expected_of(counted.events.mission)
    first, last = (round(edge / _STEP_KEV) for edge in BAND_KEV)
    singles, doubles = counted.counts[:2, first:last]
    both = singles + doubles
    if expected is None or both.sum() < FEWEST:
        return None
    share = expected.at((np.arange(first, last, dtype=np.float64) + 0.5) * _STEP_KEV)
    wanted, others = float((both * share).sum()), float((both * (1 - share)).sum())
    error = float(np.sqrt((both * share * (1 - share)).sum()))
    uncertain = expected.uncertain * float(both.sum()) / wanted
    return PileUp(
        float(singles.sum()) / wanted, error / wanted, float(doubles.sum()) / others, error / others, uncertain
    )
