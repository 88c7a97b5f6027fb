"""The events of source and background, counted in bins or kept by their times, in one pass over an event list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.selection import Selection
from reduction.spectra.area import SizedRegion
from reduction.spectra.spectrum import Spectrum, extract
from reduction.spectra.subtraction import BACKGROUND, SOURCE, require_areas
from reduction.timing.binning import Floats, counts_in
from reduction.timing.exposure import RegionTime, region_time
from reduction.timing.lightcurve import Background, Counts, LightCurve, light_curve
from reduction.timing.telemetry import lost_frames

MOST_KEPT = 30_000_000
"""The most events whose times are held in memory, for bins that follow the events and for periods."""

Band = tuple[float, float]
"""Lowest and highest energy in keV, both included."""


class _Sink(Protocol):
    """What takes the selected rows of a region."""

    def __call__(self, rows: Rows) -> None:
        """Take some rows, which are valid during the call."""

    def in_bins(self, edges_s: Floats) -> Counts:
        """Return the events in each bin, shape (bins,)."""


@dataclass
class _TimeSink:
    """Keep the times of the events, in seconds of the list's clock; only those in a band, if one is given."""

    events: EventList
    band: Band | None
    parameter: str
    _parts: list[Floats] = field(default_factory=list)
    _kept: int = 0

    def __call__(self, rows: Rows) -> None:
        """Take the times of some rows. Raise ReductionError for more than MOST_KEPT events."""
        self._parts.append(_times(self.events, rows, self.band))
        self._kept += self._parts[-1].size
        if self._kept > MOST_KEPT:
            raise ReductionError(f"it holds more than {MOST_KEPT:,} events, too many to keep the time of each; give a "
                                 "smaller region, or constant bins and no period", self.parameter)  # fmt: skip

    @property
    def times_s(self) -> Floats:
        """The times, ascending, shape (n,)."""
        return np.sort(np.concatenate(self._parts)) if self._parts else np.empty(0)

    def in_bins(self, edges_s: Floats) -> Counts:
        """Return the events in each bin, shape (bins,)."""
        return counts_in(self.times_s, edges_s)


@dataclass
class _CountSink:
    """Count the events in bins of known edges (seconds), without keeping their times."""

    events: EventList
    band: Band | None
    edges_s: Floats
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges_s) - 1, dtype=np.int64)

    def __call__(self, rows: Rows) -> None:
        """Count some rows."""
        self.counts += counts_in(_times(self.events, rows, self.band), self.edges_s)

    def in_bins(self, edges_s: Floats) -> Counts:
        """Return the events in each bin, shape (bins,); the edges are those that were counted in."""
        assert len(edges_s) == len(self.edges_s)
        return self.counts


@dataclass(frozen=True)
class Extracted:
    """The events of a source, and of its background where there is one, by region parameter.

    `spectra` have the area, counts and notes of each region, `times` when it was exposed.
    """

    spectra: Mapping[str, Spectrum]
    times: Mapping[str, RegionTime]
    _sinks: Mapping[tuple[str, Band | None], _Sink]

    @property
    def ratio(self) -> float:
        """The good area of the source region over that of the background region."""
        return self.spectra[SOURCE].backscal / self.spectra[BACKGROUND].backscal

    def event_times_s(self, parameter: str) -> Floats:
        """Return the times of the events of a region, ascending; they must have been kept."""
        sink = self._sinks[parameter, None]
        assert isinstance(sink, _TimeSink)
        return sink.times_s

    def live_times_s(self, parameter: str) -> Floats:
        """Return the live times of the source region at the events of a region, ascending."""
        return self.times[SOURCE].live_before(self.event_times_s(parameter))

    def curve(self, edges_s: Floats, band: Band | None = None) -> LightCurve:
        """Return the light curve in bins (edges in seconds), net where there is a background."""
        behind = None
        if BACKGROUND in self.spectra:
            counts = self._sinks[BACKGROUND, band].in_bins(edges_s)
            behind = Background(counts, self.times[BACKGROUND].live_s(edges_s), self.ratio)
        return light_curve(edges_s, self._sinks[SOURCE, band].in_bins(edges_s), self.times[SOURCE], behind)


def extract_events(
    events: EventList,
    selection: Selection,
    regions: Mapping[str, SizedRegion | None],
    edges_s: Floats | None,
    bands: Mapping[str, Band] | None = None,
) -> Extracted:
    """Take the events of source and background from an event list.

    Parameters
    ----------
    events
        The open event list.
    selection
        Which events are taken.
    regions
        SOURCE, and BACKGROUND if there is one -> region in the plane of the X,Y columns; None for all events.
    edges_s
        Edges of bins in seconds to count in; None to keep the times of the events.
    bands
        Job parameter -> energies to count apart, too, within those of the selection.

    Returns
    -------
    Extracted
        Counts or times, exposed time and area.

    Raises
    ------
    ReductionError
        A region cannot be used, no background can be subtracted, a band is not within the selected energies, or more
        than MOST_KEPT times would have to be kept.
    """
    _require_within(bands or {}, selection.energy_kev)
    sinks: dict[tuple[str, Band | None], _Sink] = {
        (name, band): _TimeSink(events, band, name) if edges_s is None else _CountSink(events, band, edges_s)
        for name in regions for band in (None, *(bands or {}).values())
    }  # fmt: skip
    by_region = {name: _together([sink for (of, _), sink in sinks.items() if of == name]) for name in regions}
    spectra = extract(events, selection, regions, by_region)
    if BACKGROUND in spectra:
        require_areas(spectra)
    lost = lost_frames(events)
    times = {name: region_time(events, selection.gtis, spectrum.shares, lost) for name, spectrum in spectra.items()}
    return Extracted(spectra, times, sinks)


def _in_band(events: EventList, rows: Rows, band: Band) -> npt.NDArray[np.bool_]:
    """Return which rows have an energy (keV) in a band, both ends included, shape (n,)."""
    low, high = (events.mission.energy_to_value(energy) for energy in band)
    values = events.energy.floats(rows)
    margin = 1e-6 if events.energy.is_whole else 1e-9 * max(abs(low), abs(high))
    return np.asarray((values >= low - margin) & (values <= high + margin), dtype=np.bool_)


def _times(events: EventList, rows: Rows, band: Band | None) -> Floats:
    times = np.array(events.time.floats(rows), dtype=np.float64)
    return times if band is None else times[_in_band(events, rows, band)]


def _together(sinks: list[_Sink]) -> Callable[[Rows], None]:
    def hand_on(rows: Rows) -> None:
        for sink in sinks:
            sink(rows)

    return hand_on


def _require_within(bands: Mapping[str, Band], energy_kev: Band) -> None:
    """Raise ReductionError, naming the parameter, if a band does not lie within the energies that are selected."""
    for parameter, (low, high) in bands.items():
        if low < energy_kev[0] - 1e-9 or high > energy_kev[1] + 1e-9:
            raise ReductionError(f"{low:g} to {high:g} keV does not lie within energy, which is {energy_kev[0]:g} to "
                                 f"{energy_kev[1]:g} keV; widen energy or narrow the band", parameter)  # fmt: skip
