"""Energy bands of images: read from text, named, and made the selection of the events that count in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.selection import Selection, parse_energy

MOST_BANDS = 10
"""Most bands of one job: each makes a file of every kind."""


@dataclass(frozen=True, order=True)
class Band:
    """An energy band in keV, both ends included.

    Where `is_open` the upper end belongs to the band that begins there, so that no event counts in both.
    """

    low_kev: float
    high_kev: float
    is_open: bool = False

    @property
    def name(self) -> str:
        """The band as it stands in the name of a file: ``0.5-2keV``."""
        return f"{self.low_kev:g}-{self.high_kev:g}keV"

    def within(self, events: EventList, selection: Selection) -> Selection:
        """Return a selection narrowed to the events of the band."""
        high = self.high_kev
        if self.is_open and events.energy.is_whole:
            value = events.mission.energy_to_value(high)
            if abs(value - round(value)) < 1e-6:
                high -= 0.5 * events.mission.energy_step_kev
        elif self.is_open:
            high *= 1 - 1e-9  # energies are floats of 32 bits, which are 6e-8 apart
        return replace(selection, energy_kev=(self.low_kev, high))


def parse_bands(values: Sequence[str | Sequence[float]], parameter: str = "bands") -> tuple[Band, ...]:
    """Read energy bands, two numbers in keV each, as text or as a sequence.

    Parameters
    ----------
    values
        The bands in any order.
    parameter
        Job parameter named in errors.

    Returns
    -------
    tuple of Band
        The bands in the order in which they came; one that ends where another begins is open there.

    Raises
    ------
    ReductionError
        There is no band, or more than `MOST_BANDS`, one is no range of energies, or comes twice.
    """
    if not values:
        raise ReductionError("no band is given; give two energies in keV, such as 0.2 12.0", parameter)
    if len(values) > MOST_BANDS:
        raise ReductionError(f"{len(values)} bands are given, at most {MOST_BANDS} are allowed", parameter)
    bands = [Band(*parse_energy(value, parameter)) for value in values]
    names = [band.name for band in bands]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ReductionError(f"the band {twice} is given twice; give each band once", parameter)
    starts = {band.low_kev for band in bands}
    return tuple(replace(band, is_open=band.high_kev in starts) for band in bands)


def overlaps(bands: Sequence[Band]) -> Iterator[str]:
    """Yield a sentence for each two bands that share energies: their counts cannot be added."""
    for one, other in combinations(sorted(bands), 2):
        if other.low_kev < one.high_kev:
            yield (f"the bands {one.name} and {other.name} overlap: events that lie in both count in both, so their "
                   "counts are not to be added")  # fmt: skip


def around(bands: Sequence[Band]) -> tuple[float, float]:
    """Return the lowest and the highest energy of some bands in keV."""
    return min(band.low_kev for band in bands), max(band.high_kev for band in bands)
