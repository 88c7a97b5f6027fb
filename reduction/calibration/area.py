"""Effective area of a region: that on the axis, times what its place, its size, the filter and the patterns leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from reduction import instruments
from reduction.calibration.filters import filter_transmission
from reduction.calibration.view import View
from reduction.errors import ReductionError
from reduction.responses import EffectiveArea
from reduction.responses.grid import Camera, EnergyGrid

Floats = npt.NDArray[np.float64]
Curve = Callable[[Floats], Floats]

USUAL_PATTERNS = {"EPN": "0:4", "EMOS1": "0:12", "EMOS2": "0:12"}
"""Patterns for which the areas on the axis hold."""

ORIGIN = "built-in curve, measured from responses of SAS 10 and SAS 18, good to about 5 % from 0.5 to 8 keV"
"""Where the built-in area comes from, for logs and headers."""

FEWEST = 400
"""Events of the usual patterns by which the part of others is measured, for each step of energy."""


@dataclass(frozen=True)
class OnAxis:
    """Effective area on the optical axis: its curve in cm2 by keV, and in words where it comes from.

    With `for_filter` and `for_pattern` the curve holds for that filter and those patterns already.
    """

    curve: Curve
    origin: str
    for_filter: bool = False
    for_pattern: bool = False

    @classmethod
    def built_in(cls, instrument: str, date: datetime | None) -> OnAxis:
        """Return the built-in curve of a camera, with its carbon on a date (None: without any).

        Raises ReductionError if it has none.
        """
        if instrument not in USUAL_PATTERNS:
            raise ReductionError(f"no effective area of {instrument or 'an unnamed instrument'} is known here; known "
                                 f"are {', '.join(USUAL_PATTERNS)}", "eventlist")  # fmt: skip

        def curve(energy_kev: Floats) -> Floats:
            area = instruments.effective_area(instrument, energy_kev)
            return area * instruments.carbon_since(instrument, energy_kev, date)

        return cls(curve, ORIGIN)

    @classmethod
    def of_file(cls, area: EffectiveArea, name: str, for_filter: bool, for_pattern: bool) -> OnAxis:
        """Return the area of a calibration file.

        Parameters
        ----------
        area
            What it holds.
        name
            The name of the file.
        for_filter
            Whether it holds for the filter of the observation.
        for_pattern
            Whether it holds for the patterns that are taken.

        Returns
        -------
        OnAxis
            The area, linear between the middles of its bins.
        """
        return cls(area.at, f"calibration file {name}", for_filter, for_pattern)


def region_area(energies: EnergyGrid, camera: Camera, on_axis: OnAxis, view: View, pattern: Curve) -> EffectiveArea:
    """Return the effective area of a region.

    Parameters
    ----------
    energies
        Bins of photon energy.
    camera
        The camera with its filter.
    on_axis
        Area on the optical axis.
    view
        How the region sees the source.
    pattern
        Part of the usual patterns that is taken, by energy in keV.

    Returns
    -------
    EffectiveArea
        In cm2, at the middle of each bin.

    Raises
    ------
    ReductionError
        The filter has no area.
    """
    middle = energies.middle
    area = on_axis.curve(middle) * view.factor(camera.instrument, middle)
    if not on_axis.for_filter:
        area = area * filter_transmission(camera.filter, middle)
    if not on_axis.for_pattern:
        area = area * pattern(middle)
    return EffectiveArea(energies, area, camera)


def all_usual(energy_kev: Floats) -> Floats:
    """Return the part of the usual patterns where all of them are taken: 1, shape like the energies."""
    return np.ones(energy_kev.shape)


def known_pattern(instrument: str, pattern: str) -> Curve | None:
    """Return the part of the usual patterns that a choice takes, by energy; None where it must be measured."""
    if pattern == USUAL_PATTERNS.get(instrument):
        return all_usual
    return instruments.single_share if (instrument, pattern) == ("EPN", "0") else None


def measured_pattern(chosen: npt.NDArray[np.int64], usual: npt.NDArray[np.int64], edges_kev: Floats) -> Curve:
    """Return the part of the usual patterns that a choice takes, as the events of the region themselves have it.

    Parameters
    ----------
    chosen
        Counts by channel of the patterns that are taken, shape (n,).
    usual
        Counts by channel of the usual patterns in the same region and time, shape (n,).
    edges_kev
        Edges of the channels in keV, shape (n + 1,).

    Returns
    -------
    callable
        The part by energy in keV, linear between steps of `FEWEST` events of the usual patterns.

    Raises
    ------
    ReductionError
        There are fewer events than one step takes.
    """
    steps = int(usual.sum()) // FEWEST
    if steps == 0:
        raise ReductionError(f"the region has {int(usual.sum())} events of the usual patterns; what a choice of others "
                             f"does to the area is measured from {FEWEST} or more", "pattern")  # fmt: skip
    step = np.minimum((np.cumsum(usual) - 1).clip(min=0) // FEWEST, steps - 1)
    parts = np.bincount(step, chosen, steps) / np.maximum(np.bincount(step, usual, steps), 1)
    middle = (edges_kev[1:] + edges_kev[:-1]) / 2
    at = np.bincount(step, usual * middle, steps) / np.maximum(np.bincount(step, usual, steps), 1)
    return lambda energy_kev: np.interp(energy_kev, at, parts)
