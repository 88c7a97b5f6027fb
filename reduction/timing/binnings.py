"""How a light curve is binned: bins of one width, or bins that follow the events of the source."""

from __future__ import annotations

from dataclasses import dataclass

from reduction.errors import ReductionError
from reduction.events.goodtime import GTITables, span
from reduction.spectra.subtraction import BACKGROUND, SOURCE
from reduction.timing.adaptive import by_counts, by_signal_to_noise
from reduction.timing.binning import Floats, constant_edges
from reduction.timing.blocks import bayesian_blocks
from reduction.timing.extraction import Extracted
from reduction.timing.lightcurve import edges_on_clock

KINDS = ("constant", "counts", "snr", "blocks")


@dataclass(frozen=True)
class Binning:
    """A kind of bins, one of KINDS, and what each kind takes.

    `bin_size_s` is the width of constant bins, `min_counts` the counts of a bin, `min_snr` its signal to noise,
    `false_alarm` the probability of a change point in a constant source. Raises ReductionError for another kind.
    """

    kind: str
    bin_size_s: float
    min_counts: int
    min_snr: float
    false_alarm: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ReductionError(f"{self.kind!r} is no binning; write {', '.join(KINDS)}", "binning")

    def known_edges(self, gtis: GTITables) -> Floats | None:
        """Return the edges of constant bins from the first good time to the last, in seconds; None for other bins.

        Raises ReductionError for a width that no light curve has.
        """
        if self.kind != "constant":
            return None
        first, last = span(gtis) or (0.0, 0.0)
        return constant_edges(first, last, self.bin_size_s)

    def edges_of(self, found: Extracted) -> Floats:
        """Return the edges of bins that follow the events, in seconds. Raises ReductionError without live time."""
        time, live = found.times[SOURCE], found.live_times_s(SOURCE)
        end_s = float(time.live_before(float("inf")))
        if self.kind == "counts":
            edges = by_counts(live, self.min_counts, end_s)
        elif self.kind == "blocks":
            edges = bayesian_blocks(live, self.false_alarm, 0.0, end_s)
        elif BACKGROUND in found.spectra:
            edges = by_signal_to_noise(live, found.live_times_s(BACKGROUND), found.ratio, self.min_snr, end_s)
        else:
            edges = by_signal_to_noise(live, live[:0], 0.0, self.min_snr, end_s)
        return edges_on_clock(edges, time)
