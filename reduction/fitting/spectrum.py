"""A spectrum to be fitted, as a value: counts and background by channel, the response, the channels that are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.fitting.folding import Fold, fold_of
from reduction.fitting.groups import Groups, channel_groups
from reduction.fitting.statistics import Observed
from reduction.responses.area import EffectiveArea
from reduction.responses.grid import Floats
from reduction.responses.redistribution import Channels, Redistribution
from reduction.spectra.groupings import ChannelGrouping

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BackgroundData:
    """The spectrum of a background: counts, BACKSCAL and AREASCAL by channel, shape (channels,), and exposure in s."""

    name: str
    counts: Floats
    exposure_s: float
    backscal: Floats
    areascal: Floats


@dataclass(frozen=True)
class SpectralData:
    """A spectrum with its response, and its background where it has one.

    Attributes
    ----------
    name
        The file's name, for messages and plots.
    counts
        Counts by channel of the response, shape (channels,).
    exposure_s
        Exposure in seconds.
    backscal, areascal
        Factors of area by channel, shape (channels,).
    quality
        0 for channels that can be used, shape (channels,).
    grouping
        1 where a group begins, -1 where it goes on, shape (channels,); None for a spectrum that is not grouped.
    channels
        Numbers and nominal energies of the channels.
    redistribution, area
        The response.
    background
        The background; None for none.
    messages
        What is odd about the files, as sentences.
    header
        Keywords of the spectrum.
    """

    name: str
    counts: Floats
    exposure_s: float
    backscal: Floats
    areascal: Floats
    quality: Integers
    grouping: Integers | None
    channels: Channels
    redistribution: Redistribution
    area: EffectiveArea
    background: BackgroundData | None = None
    messages: tuple[str, ...] = ()
    header: Mapping[str, object] = field(default_factory=dict)

    @property
    def ratio(self) -> Floats:
        """Counts in the source's region for each count of the background, shape (channels,); 0 without one."""
        behind = self.background
        if behind is None:
            return np.zeros(self.counts.size)
        seen = behind.exposure_s * behind.backscal * behind.areascal
        source = self.exposure_s * self.backscal * self.areascal
        return np.divide(source, seen, out=np.zeros(source.size), where=seen > 0)

    def select(
        self, emin: float, emax: float, grouping: ChannelGrouping | None = None, parameter: str = "energy"
    ) -> FitData:
        """Choose the channels that are fitted, and how they are grouped.

        Parameters
        ----------
        emin
            Lowest energy in keV. A group of the file that lies across an end belongs to the range.
        emax
            Highest energy in keV.
        grouping
            How the channels are grouped; None for the grouping of the file.
        parameter
            Job parameter named in errors.

        Returns
        -------
        FitData
            Counts in groups, and the response folded into the groups.

        Raises
        ------
        ReductionError
            The range is none, or holds no channel of good quality that the response knows.
        """
        if not (np.isfinite([emin, emax]).all() and 0 <= emin < emax):
            raise ReductionError(f"{emin:g} to {emax:g} keV is no range of energy; the lower end comes first, from 0 "
                                 "on", parameter)  # fmt: skip
        groups = channel_groups(self, (emin, emax), grouping)
        if not groups.size:
            raise ReductionError(
                f"{self.name} has no channel of good quality between {emin:g} and {emax:g} keV; its channels go from "
                f"{self.channels.low.min():.3g} to {self.channels.high.max():.3g} keV", parameter)  # fmt: skip
        weights = self.area.area_cm2 * self.exposure_s
        matrix = _with_areascal(self.redistribution, self.areascal)
        return FitData(self, groups, fold_of(matrix, weights, groups.group_of_channel, groups.size),
                       self._observed(groups))  # fmt: skip

    def _observed(self, groups: Groups) -> Observed:
        counts = groups.summed(self.counts)
        if self.background is None:
            return Observed(counts, np.zeros(groups.size), np.zeros(groups.size))
        ratio = groups.summed(self.ratio) / groups.summed(np.ones(self.counts.size))
        return Observed(counts, groups.summed(self.background.counts), ratio)


@dataclass(frozen=True)
class FitData:
    """The part of a spectrum that is fitted: its groups of channels, what was counted in them, and the folding."""

    spectrum: SpectralData
    groups: Groups
    fold: Fold
    observed: Observed

    @property
    def name(self) -> str:
        """The name of the spectrum."""
        return self.spectrum.name

    @property
    def size(self) -> int:
        """Number of groups."""
        return self.groups.size

    @property
    def has_background(self) -> bool:
        """Whether a background was measured."""
        return self.spectrum.background is not None

    @property
    def low_kev(self) -> Floats:
        """Lower edge of each group in keV, shape (groups,)."""
        return self.groups.low_kev

    @property
    def high_kev(self) -> Floats:
        """Upper edge of each group in keV, shape (groups,)."""
        return self.groups.high_kev


def _with_areascal(matrix: Redistribution, areascal: Floats) -> Redistribution:
    """Return a matrix with the part of the area that each channel has in it."""
    if np.all(areascal == 1):
        return matrix
    return replace(matrix, values=matrix.values * areascal[matrix.channel])
