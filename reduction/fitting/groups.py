"""Which channels of a spectrum are fitted, and how they are joined to groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reduction.responses.grid import Floats
from reduction.responses.redistribution import Redistribution
from reduction.spectra import grouping as rules
from reduction.spectra.groupings import ChannelGrouping

if TYPE_CHECKING:
    from reduction.fitting.spectrum import SpectralData

Whole = npt.NDArray[np.int64]

OPTIMAL = ChannelGrouping("optimal", 1, 1.0)
"""Bins as narrow as the resolution of the instrument makes sense of (Kaastra and Bleeker 2016, A&A 587, A151)."""

SAME_ENERGY = 1e-6
"""Part of an energy by which two are the same: files have energies of single precision, good to 6e-8."""


@dataclass(frozen=True)
class Groups:
    """Groups of channels: the group of each channel, -1 for none, shape (channels,), and the edges of each in keV."""

    group_of_channel: Whole
    low_kev: Floats
    high_kev: Floats

    @property
    def size(self) -> int:
        """Number of groups."""
        return self.low_kev.size

    def summed(self, values: Floats) -> Floats:
        """Return the sum over the channels of each group, shape (groups,), of values by channel."""
        kept = self.group_of_channel >= 0
        return np.bincount(self.group_of_channel[kept], values[kept], minlength=self.size).astype(np.float64)


def channel_groups(
    spectrum: SpectralData, energy_kev: tuple[float, float], grouping: ChannelGrouping | None = None
) -> Groups:
    """Return the groups of channels in a range of energy.

    Parameters
    ----------
    spectrum
        The spectrum.
    energy_kev
        Lowest and highest energy in keV.
    grouping
        How channels are grouped, of those whose middle lies in the range; None for the grouping of the file, of which
        groups that lie across an end are in the range. Where the file has none and the spectrum has a background, that
        is optimal binning: in channels without counts of the background W takes it for 0, and the fit is biased.

    Returns
    -------
    Groups
        The groups in the order of their channels; channels of bad quality are in none, and no group is empty.
    """
    low, high = spectrum.channels.low, spectrum.channels.high
    good = spectrum.quality == 0
    if grouping is None and spectrum.grouping is None and spectrum.background is not None:
        grouping = OPTIMAL
    if grouping is None:
        flags = np.ones(low.size) if spectrum.grouping is None else spectrum.grouping
        number = np.cumsum(flags != -1) - 1
        inside = (high > energy_kev[0] * (1 + SAME_ENERGY)) & (low < energy_kev[1] * (1 - SAME_ENERGY))
        touched = np.zeros(number.max() + 2, dtype=np.bool_)
        touched[number[inside & good]] = True
        kept = touched[number] & good
    else:
        middle = (low + high) / 2
        ends = [energy * (1 - SAME_ENERGY) for energy in energy_kev]
        kept = (middle >= ends[0]) & (middle < ends[1]) & good
        number = np.zeros(low.size, dtype=np.int64)
        number[kept] = np.cumsum(_flags(spectrum, kept, grouping) != -1) - 1
    return _numbered(number, kept, low, high)


def _flags(spectrum: SpectralData, kept: npt.NDArray[np.bool_], asked: ChannelGrouping) -> npt.NDArray[np.int16]:
    """Return GROUPING of the channels that are kept, as is asked for."""
    counts = np.rint(spectrum.counts[kept]).astype(np.int64)
    behind = None if spectrum.background is None else np.rint(spectrum.background.counts[kept]).astype(np.int64)
    if asked.kind == "background" and behind is not None:
        return rules.by_counts_of_both(counts, asked.min_counts, behind)[0]
    if asked.kind in ("mincounts", "background"):
        return rules.by_minimum_counts(counts, asked.min_counts)[0]
    if asked.kind == "snr":
        ratio = float(spectrum.ratio[kept].mean()) if kept.any() else 0.0
        return rules.by_signal_to_noise(counts, asked.min_snr, behind, ratio)[0]
    if asked.kind == "optimal":
        return rules.optimal(counts, fwhm_channels(spectrum.redistribution)[kept])[0]
    return np.ones(counts.size, dtype=np.int16)


def fwhm_channels(matrix: Redistribution) -> Floats:
    """Return the full width at half maximum of the redistribution at the energy of each channel, in channels.

    The width of a photon energy is the number of channels whose probability is at least half of the highest one.
    """
    row = matrix.row
    highest = np.zeros(matrix.energies.size)
    np.maximum.at(highest, row, matrix.values)
    above = matrix.values >= highest[row] / 2
    widths = np.bincount(row, above & (highest[row] > 0), minlength=matrix.energies.size)
    middle = (matrix.channels.low + matrix.channels.high) / 2
    order = np.argsort(middle)
    at = np.interp(middle[order], matrix.energies.middle, widths.astype(np.float64))
    found = np.empty_like(at)
    found[order] = at
    return np.maximum(found, 1.0)


def _numbered(number: Whole, kept: npt.NDArray[np.bool_], low: Floats, high: Floats) -> Groups:
    """Return groups numbered from 0 without gaps, with their edges."""
    found, place = np.unique(number[kept], return_inverse=True)
    group = np.full(low.size, -1, dtype=np.int64)
    group[kept] = place
    lowest, highest = np.full(found.size, np.inf), np.full(found.size, -np.inf)
    np.minimum.at(lowest, place, low[kept])
    np.maximum.at(highest, place, high[kept])
    return Groups(group, lowest, highest)
