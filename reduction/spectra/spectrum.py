"""Spectra from an event list: source and background in one pass, with exposure, BACKSCAL and grouping.

The files are written by `reduction.spectra.ogip` and `reduction.events.filtered`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.gathering import Tally, Target, gather
from reduction.events.goodtime import of_ccd
from reduction.events.selection import Selection
from reduction.missions import Mission
from reduction.spectra import grouping
from reduction.spectra.area import CcdPlace, GoodArea, Sampler, SizedRegion, good_area, place_ccds, require_in_field
from reduction.spectra.field import LOOK_ROWS, FieldSampler, edge_at

XMM_AREA_ARCSEC = 0.05
"""Side of the squares in which BACKSCAL of XMM-Newton is counted, as in the SAS."""


@dataclass(frozen=True)
class Spectrum:
    """Counts by channel, with the exposure and the area that turn them into rates.

    `channel` and `counts` have the shape (n,), and so have `grouping` and `quality` unless they are None (not grouped).
    `exposure_s` is the live time in the region; `backscal` is its good area in (0.05 arcsec)^2 for XMM-Newton, in
    squared sky pixels for other missions. `live_s` is the live time of each CCD in seconds, `shares` its weight in the
    exposure (sum 1). `selected` events are in the region and in good time, `off_channels` of them outside the channels;
    `no_time` and `bad_time` events were dropped because they have no time, or lie outside the good time.
    """

    mission: Mission
    channel: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    exposure_s: float
    backscal: float
    region: SizedRegion | None
    live_s: Mapping[int | None, float]
    shares: Mapping[int | None, float]
    selected: int
    no_time: int
    bad_time: int
    off_channels: int
    notes: tuple[str, ...] = ()
    grouping: npt.NDArray[np.int16] | None = None
    quality: npt.NDArray[np.int16] | None = None

    @property
    def total(self) -> int:
        """Sum of the counts of all channels."""
        return int(self.counts.sum())

    def channels_of(self, energy_kev: tuple[float, float]) -> tuple[int, int]:
        """Return the index of the first channel whose middle lies in an energy range, and of the one after the last."""
        edges = self.mission.channel_energies()
        first, last = np.searchsorted((edges[:-1] + edges[1:]) / 2, energy_kev)
        return int(first), int(last)

    def grouped_by_counts(self, minimum: int, energy_kev: tuple[float, float]) -> Spectrum:
        """Return the spectrum with its channels within an energy range grouped to a minimum of counts.

        Raises ReductionError if the minimum is below 1.
        """
        lo, hi = self.channels_of(energy_kev)
        groups, quality = grouping.by_minimum_counts(self.counts, minimum, lo, hi)
        return replace(self, grouping=groups, quality=quality)

    def grouped_by_both(self, minimum: int, energy_kev: tuple[float, float], background: Spectrum) -> Spectrum:
        """Return the spectrum with its channels within an energy range grouped by its counts and the background's.

        Parameters
        ----------
        minimum
            Least counts of a group, each of which has a count of the background, too.
        energy_kev
            Lowest and highest energy in keV of the channels that are grouped.
        background
            Spectrum of the background.

        Returns
        -------
        Spectrum
            The same counts, with the first channels of groups and the channels outside of any.

        Raises
        ------
        ReductionError
            The minimum is below 1.
        """
        lo, hi = self.channels_of(energy_kev)
        groups, quality = grouping.by_counts_of_both(self.counts, minimum, background.counts, lo, hi)
        return replace(self, grouping=groups, quality=quality)

    def grouped_by_signal(
        self, minimum: float, energy_kev: tuple[float, float], background: Spectrum | None = None
    ) -> Spectrum:
        """Return the spectrum with its channels within an energy range grouped to a minimum of signal to noise.

        The signal is what is left of the counts without those of the background, scaled by exposure and area.

        Parameters
        ----------
        minimum
            Signal to noise of a group.
        energy_kev
            Lowest and highest energy in keV of the channels that are grouped.
        background
            Spectrum of the background; None where there is none.

        Returns
        -------
        Spectrum
            The same counts, with the first channels of groups and the channels outside of any.

        Raises
        ------
        ReductionError
            The minimum is not above 0.
        """
        lo, hi = self.channels_of(energy_kev)
        counts, ratio = (None, 0.0) if background is None else (background.counts, self.scale_of(background))
        groups, quality = grouping.by_signal_to_noise(self.counts, minimum, counts, ratio, lo, hi)
        return replace(self, grouping=groups, quality=quality)

    def scale_of(self, background: Spectrum) -> float:
        """Return the counts that each count of a background stands for; 0 for one that was not exposed."""
        seen = background.exposure_s * background.backscal
        return self.exposure_s * self.backscal / seen if seen > 0 else 0.0

    def grouped_optimally(self, energy_kev: tuple[float, float]) -> Spectrum:
        """Return the spectrum with its channels within an energy range grouped by the resolution of the instrument."""
        lo, hi = self.channels_of(energy_kev)
        groups, quality = grouping.optimal(self.counts, self.mission.fwhm_channels(), lo, hi)
        return replace(self, grouping=groups, quality=quality)


def extract(
    events: EventList,
    selection: Selection,
    regions: Mapping[str, SizedRegion | None],
    sinks: Mapping[str, Callable[[Rows], None]] | None = None,
) -> dict[str, Spectrum]:
    """Extract the spectra of several regions in one pass over an event list.

    Parameters
    ----------
    events
        The open event list.
    selection
        Energies, patterns, flags and good times of the events that are taken.
    regions
        Job parameter -> region in the plane of the X,Y columns (pixels), None for all events.
    sinks
        Job parameter -> function that is called with the selected rows of that region, chunk by chunk; the rows are
        valid during the call.

    Returns
    -------
    dict
        Job parameter -> its spectrum, not grouped. A region without events gives a spectrum of zeros.

    Raises
    ------
    ReductionError
        A region is given and the event list has no sky columns, or a region lies outside the field; the error names
        the parameter.
    """
    for parameter, region in regions.items():
        if region is not None and (events.x is None or events.y is None):
            raise ReductionError(f"a region is given, but {events.name} ({events.mission.name}) has no sky columns; "
                                 "leave the region empty", parameter)  # fmt: skip
    sampler = Sampler(events)
    targets = [Target(region, (sinks or {}).get(parameter)) for parameter, region in regions.items()]
    look = FieldSampler(events, LOOK_ROWS)
    tallies = gather(events, selection, targets, [sampler, look] if events.x and events.y else [])
    table = sampler.table
    edge, note = edge_at(events, look.table, regions.values())
    places = place_ccds(events, table)
    spectra = {}
    for (parameter, region), tally in zip(regions.items(), tallies, strict=True):
        area = good_area(events, region, places, tally.per_ccd, edge)
        if region is not None and not tally.selected:
            require_in_field(events, region, table, area.pixels > 0, parameter)
        if note and region is not None:
            area = replace(area, notes=(*area.notes, note))
        spectra[parameter] = _spectrum(events, selection, region, tally, area, places)
    return spectra


def _spectrum(
    events: EventList, selection: Selection, region: SizedRegion | None, tally: Tally, area: GoodArea,
    places: Mapping[int, CcdPlace],
) -> Spectrum:  # fmt: skip
    """Make the spectrum of one region from its counts and its area."""
    live, live_notes = live_times(events, selection, tally, places)
    shares = _shares(tally, area, live)
    return Spectrum(
        mission=events.mission, channel=events.mission.channels, counts=tally.counts,
        exposure_s=sum(share * live[ccd] for ccd, share in shares.items()), backscal=backscal(events, area),
        region=region, live_s=live, shares=shares, selected=tally.selected, no_time=tally.no_time,
        bad_time=tally.bad_time, off_channels=tally.off_channels, notes=area.notes + live_notes,
    )  # fmt: skip


def backscal(events: EventList, area: GoodArea) -> float:
    """Return BACKSCAL of an area: (0.05 arcsec)^2 for XMM-Newton, squared sky pixels elsewhere, 1 without a sky."""
    if events.wcs is None:
        return 1.0
    if not events.mission.is_xmm:
        return float(area.pixels)
    steps = np.abs(events.wcs.wcs.cdelt) * 3600 / XMM_AREA_ARCSEC
    return float(area.pixels * np.round(steps.prod(), 9))


def live_times(
    events: EventList, selection: Selection, tally: Tally, places: Mapping[int, CcdPlace]
) -> tuple[dict[int | None, float], tuple[str, ...]]:
    """Return the live times of the CCDs: good time times live fraction.

    Parameters
    ----------
    events
        The open event list; its keywords give the live fractions.
    selection
        Its good times, in seconds, by CCD.
    tally
        Counts of a region; the CCDs of its events are among those returned.
    places
        CCD number -> its position; these CCDs are among those returned.

    Returns
    -------
    live, notes
        CCD number (None: no CCD column) -> live time in seconds, 0 for a CCD without good time; sentences for the log
        about live fractions that are not known.
    """
    ccds: set[int | None] = {ccd for ccd in selection.gtis if ccd is not None} | set(tally.per_ccd) | set(places)
    live: dict[int | None, float] = {}
    origins: set[str] = set()
    for ccd in ccds or {None}:
        good = of_ccd(selection.gtis, ccd)
        fraction, origin = events.mission.live_fraction(events.keywords, ccd)
        live[ccd] = good.total * fraction if good else 0.0
        origins.add(origin)
    notes = tuple(f"live fraction: {origin}" for origin in sorted(origins) if origin.startswith("no "))
    return live, notes


def _shares(tally: Tally, area: GoodArea, live: Mapping[int | None, float]) -> dict[int | None, float]:
    """Return the weights of the CCDs in the exposure: parts of the area, else of the counts, else the same for all."""
    weights: Mapping[int | None, float] = area.shares or tally.per_ccd
    weights = {ccd: float(weight) for ccd, weight in weights.items() if ccd in live and weight > 0}
    if not weights:
        weights = {ccd: 1.0 for ccd, seconds in live.items() if seconds > 0} or dict.fromkeys(live, 1.0)
    total = sum(weights.values())
    return {ccd: weight / total for ccd, weight in weights.items()}
