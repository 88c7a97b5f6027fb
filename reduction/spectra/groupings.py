"""How the channels of a spectrum are grouped: the kinds that a job may ask for, and what each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reduction.errors import ReductionError
from reduction.spectra.grouping import check_minimum, check_signal
from reduction.spectra.spectrum import Spectrum

KINDS = ("mincounts", "background", "snr", "optimal", "none")


@dataclass(frozen=True)
class ChannelGrouping:
    """A kind of grouping, one of KINDS, and what each kind takes.

    `min_counts` are the counts of a group, `min_snr` is its signal to noise. Raises ReductionError for another kind,
    and for a minimum that is none.
    """

    kind: str
    min_counts: int
    min_snr: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ReductionError(f"{self.kind!r} is no grouping; write {', '.join(KINDS)}", "grouping")
        if self.kind in ("mincounts", "background"):
            check_minimum(self.min_counts)
        if self.kind == "snr":
            check_signal(self.min_snr)

    @classmethod
    def asked(cls, value: Callable[[str, Any], Any]) -> ChannelGrouping:
        """Return the grouping that the parameters of a job ask for; `value` returns that of a name, or a default."""
        return cls(str(value("grouping", "mincounts")), int(value("min_counts", 20)), float(value("min_snr", 5.0)))

    def of(self, spectrum: Spectrum, energy_kev: tuple[float, float], background: Spectrum | None = None) -> Spectrum:
        """Return a spectrum with its channels grouped.

        Parameters
        ----------
        spectrum
            The spectrum.
        energy_kev
            The energies of the channels that are grouped; those outside are bad.
        background
            Its background, which counts for background and snr; None for none.

        Returns
        -------
        Spectrum
            The same spectrum where no grouping is asked for.
        """
        if self.kind == "background" and background is not None:
            return spectrum.grouped_by_both(self.min_counts, energy_kev, background)
        if self.kind in ("mincounts", "background"):
            return spectrum.grouped_by_counts(self.min_counts, energy_kev)
        if self.kind == "snr":
            return spectrum.grouped_by_signal(self.min_snr, energy_kev, background)
        if self.kind == "optimal":
            return spectrum.grouped_optimally(energy_kev)
        return spectrum
