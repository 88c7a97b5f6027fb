"""The grid of photon energies that an effective area and a redistribution share, and the camera they are of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

SAME_KEV = 1e-4
"""By how much edges of one grid may differ: files hold them as floats of 32 bits."""


@dataclass(frozen=True)
class Camera:
    """Whose response it is: TELESCOP, INSTRUME and FILTER as the files write them; empty where they do not."""

    telescope: str = ""
    instrument: str = ""
    filter: str = ""


UNKNOWN = Camera()
"""The camera of a response whose file does not say it."""


@dataclass(frozen=True)
class EnergyGrid:
    """Bins of photon energy, ascending: lower and upper edges in keV, shape (energies,) each."""

    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or self.low.ndim != 1 or self.low.size == 0:
            raise ReductionError("a response needs one bin of photon energy or more, with two edges each")
        edges = np.concatenate((self.low, self.high))
        if not (np.isfinite(edges).all() and edges.min() >= 0):
            raise ReductionError("a response has photon energies that are no numbers, or below 0 keV")
        if not ((self.high > self.low).all() and (np.diff(self.low) > 0).all()):
            raise ReductionError("the photon energies of a response do not ascend: ENERG_LO is below ENERG_HI in each "
                                 "row, and each row above the one before")  # fmt: skip

    @classmethod
    def of_edges(cls, edges: Floats) -> EnergyGrid:
        """Return the bins between edges in keV, shape (energies + 1,)."""
        return cls(np.asarray(edges[:-1], dtype=np.float64), np.asarray(edges[1:], dtype=np.float64))

    @property
    def size(self) -> int:
        """Number of bins."""
        return self.low.size

    @cached_property
    def middle(self) -> Floats:
        """Middle of each bin in keV."""
        return 0.5 * (self.low + self.high)

    @property
    def width(self) -> Floats:
        """Width of each bin in keV."""
        return self.high - self.low

    def index(self, energies: Floats) -> npt.NDArray[np.intp]:
        """Return the bin of each energy in keV; -1 for one that lies in no bin."""
        found = np.searchsorted(self.low, energies, side="right") - 1
        return np.where((found >= 0) & (energies < self.high[found]), found, -1)

    def differs(self, other: EnergyGrid) -> str:
        """Return in words how another grid differs; empty where both are one."""
        if self.size != other.size:
            return f"{other.size} bins of photon energy, not {self.size}"
        apart = max(np.abs(self.low - other.low).max(), np.abs(self.high - other.high).max())
        return f"edges of photon energy up to {apart:.4g} keV apart" if apart > SAME_KEV else ""
