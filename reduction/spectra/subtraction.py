"""Whether the spectrum of one region can be subtracted from that of another: both have an area, and not the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reduction.errors import ReductionError
from reduction.spectra.area import SizedRegion, percent, points_in
from reduction.spectra.spectrum import Spectrum

SOURCE, BACKGROUND = "source_region", "background_region"
"""The job parameters of the two regions."""

NEGLIGIBLE = 1e-4
"""Part of an area that is not told: regions that touch share so much on the grid of points."""

SAME = 0.99
"""Part of both areas above which two regions are one."""


@dataclass(frozen=True)
class Overlap:
    """What two regions share: the part of the source's area, and the part of the background's, 0 to 1."""

    of_source: float
    of_background: float

    @property
    def is_there(self) -> bool:
        """Whether the regions share more than the line along which they touch."""
        return max(self.of_source, self.of_background) > NEGLIGIBLE

    @property
    def sentence(self) -> str:
        """What the overlap does, for the log."""
        source, background = (percent(part) for part in (self.of_source, self.of_background))
        return (f"{source} of the source region lies in the background region ({background} of that one): counts of "
                "the source are subtracted as background")  # fmt: skip


def overlap(source: SizedRegion, background: SizedRegion) -> Overlap:
    """Return what two regions in the plane of the X,Y columns share, to about a part in 10,000 of the area."""
    x, y = points_in(source)
    of_source = float(np.mean(background.contains(x, y))) if x.size else 0.0
    x, y = points_in(background)
    of_background = float(np.mean(source.contains(x, y))) if x.size else 0.0
    return Overlap(of_source, of_background)


def require_separate(
    source: SizedRegion | None,
    background: SizedRegion,
    parameters: tuple[str, str] = (SOURCE, BACKGROUND),
) -> Overlap:
    """Return what a source and its background share.

    Parameters
    ----------
    source
        The region of the source in the plane of the X,Y columns; None for all events.
    background
        The region of the background.
    parameters
        Job parameters of the two, named in errors.

    Returns
    -------
    Overlap
        The parts of both areas that are one.

    Raises
    ------
    ReductionError
        All events are the source: they have no area to which a background could be scaled, and hold the background. Or
        the two regions are the same, so that nothing would be left.
    """
    if source is None:
        raise ReductionError(f"it is empty, which means all events: they have no area to which a background could be "
                             f"scaled; give a region, or leave {parameters[1]} empty", parameters[0])  # fmt: skip
    found = overlap(source, background)
    if min(found.of_source, found.of_background) > SAME:
        raise ReductionError(f"it is the same area as {parameters[0]}, so that nothing would be left of the source; "
                             "give a region beside it", parameters[1])  # fmt: skip
    return found


def require_areas(spectra: Mapping[str, Spectrum]) -> None:
    """Raise ReductionError, naming its job parameter, if a spectrum has no area by which it could be scaled."""
    for parameter, spectrum in spectra.items():
        if not spectrum.backscal > 0:
            raise ReductionError("no good pixel lies in it: without an area no background can be subtracted", parameter)
