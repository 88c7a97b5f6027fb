"""Reads OGIP spectra for a plot: energies of the channels, counts or rates in groups, errors. Imports libraries only.

Files come from scripts that nobody vouches for: whatever is wrong with one becomes a `NoPreview` with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fits import FitsError, ebounds, pha
from provenance.fits.pha import FileReference, Pha
from reduction import missions
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DISPLAY_COUNTS = 15
"""The counts to which channels are joined where a file has no groups: for the picture only."""


class NoPreview(Exception):
    """A file without a picture; the message is the reason, to be read after 'no preview: '."""


def instrument_of(header: Mapping[str, Any]) -> str:
    """Return telescope, instrument and filter in words, such as 'XMM EPN Medium'; empty where none is told."""
    words = [str(header.get(key) or "").strip() for key in ("TELESCOP", "INSTRUME", "FILTER")]
    return " ".join(word for word in words if word and word.upper() != "NONE")[:80]


@dataclass(frozen=True)
class Channels:
    """The spectral axis: edges of each channel, shape (n,) each, in `unit`, and their source."""

    low: Floats
    high: Floats
    unit: str
    origin: str


@dataclass(frozen=True)
class SpectrumFile:
    """The spectrum of a file and the edges of its channels."""

    name: str
    pha: Pha
    channels: Channels

    @property
    def counts(self) -> Floats | None:
        """Return the counts of each channel, shape (n,); None where neither they nor rate and exposure are known."""
        found = self.pha
        if found.counts is not None or found.rate is None or found.exposure.values is None:
            return found.counts
        return found.rate * found.exposure.values

    @property
    def has_rates(self) -> bool:
        """Return whether the rates are known: the file has them, or the exposure that makes them of counts."""
        return self.pha.exposure.is_known or self.pha.counts is None

    @property
    def in_counts(self) -> SpectrumFile:
        """Return the spectrum as it is shown beside one whose exposure is not known: its counts, not rates."""
        exposure = replace(self.pha.exposure, values=None)
        return replace(self, pha=replace(self.pha, counts=self.counts, exposure=exposure))

    @property
    def is_background(self) -> bool:
        """Return whether the header declares a background."""
        return str(self.pha.header.get("HDUCLAS2", "")).strip().upper() == "BKG"

    @property
    def odd_scales(self) -> tuple[str, ...]:
        """Return what is odd about EXPOSURE and AREASCAL, and what follows from it, in words."""
        found = []
        if not self.pha.exposure.is_known:
            follows = "counts, not rates" if self.pha.counts is not None else "counts are not known"
            found.append(f"{follows}: {self.pha.exposure.sentence}")
        elif self.pha.exposure.words:
            found.append(f"{self.pha.exposure.sentence}, read as a number")
        if self.has_rates and self.pha.areascal.words:
            follows = "read as a number" if self.pha.areascal.is_known else "so nothing is divided by it"
            found.append(f"{self.pha.areascal.sentence}, {follows}")
        return tuple(found)


@dataclass(frozen=True)
class Points:
    """Points of a plot, shape (m,): edges on the axis, rate per unit of the axis, lower and upper end of its bar."""

    low: Floats
    high: Floats
    rate: Floats
    rate_low: Floats
    rate_high: Floats

    @property
    def middle(self) -> Floats:
        """Return the abscissae of the points: the geometric mean of the edges, as the axis is logarithmic."""
        return np.sqrt(self.low * self.high)


def read_spectrum(
    path: Path, beside: Mapping[str, Path], reference: FileReference | None = None, row: int | None = None
) -> SpectrumFile:
    """Read the spectrum in a file.

    `beside` has the files that a header may name (RESPFILE), by file name; `reference` says which spectrum of the file
    is meant, `row` which one of a file of type II where that does not.
    """
    wanted = reference or FileReference(path.name)
    try:
        file = scan(path, "")
        hdu = wanted.find(file.hdus)
        if hdu is None:
            raise NoPreview(f"the file has no SPECTRUM table{f' {wanted.hdu}' if wanted.hdu else ''}")
        with path.open("rb") as stream:
            found = pha.read(stream, hdu, file.hdus[0], row if wanted.row is None else wanted.row)
    except (OSError, ReductionError, FitsError) as error:
        raise NoPreview(str(error)) from error
    return SpectrumFile(path.name, found, _channels(found, beside))


def points(spectrum: SpectrumFile, starts: Integers, ratio: Floats | float = 1.0) -> Points:
    """Return the rates of the groups that begin at `starts`: counts / (EXPOSURE AREASCAL width).

    Where the exposure is not known they are counts / width; an AREASCAL that is not known is left out. A channel is
    multiplied by its `ratio` first, shape (n,) or one for all. Only groups of good quality with counts at energies
    above zero are kept: a logarithmic axis shows no others. Errors are those of STAT_ERR, else the approximate 1 sigma
    limits of Gehrels (1986, ApJ 303, 336), else none.
    """
    channels, size = spectrum.channels, spectrum.pha.channel.size
    amounts, below, above = _amounts(spectrum, starts)
    share = _share(spectrum, np.broadcast_to(np.asarray(ratio, dtype=np.float64), (size,)), starts, amounts)
    low, high = np.minimum.reduceat(channels.low, starts), np.maximum.reduceat(channels.high, starts)
    divisor = _divisor(spectrum, starts) * (high - low)
    bad = np.maximum.reduceat(np.abs(spectrum.pha.quality), starts) > 0
    keep = ~bad & (amounts > 0) & (share > 0) & (low >= 0) & (high > low) & (divisor > 0)
    low = np.where(low > 0, low, high / 2)  # a channel that begins at 0 keV is drawn from its middle on
    factor = share[keep] / divisor[keep]
    return Points(
        low[keep],
        high[keep],
        amounts[keep] * factor,
        np.maximum(amounts - below, 0)[keep] * factor,
        (amounts + above)[keep] * factor,
    )


def _amounts(spectrum: SpectrumFile, starts: Integers) -> tuple[Floats, Floats, Floats]:
    """Return the counts of each group (rates where there are no counts) and the lengths of their error bars."""
    found, counts = spectrum.pha, spectrum.counts
    of_channels = found.rate if counts is None else counts
    assert of_channels is not None
    amounts = np.add.reduceat(of_channels, starts)
    if found.stat_error is not None:
        error = np.nan_to_num(found.stat_error)
        if found.counts is None and found.exposure.values is not None:
            error = error * found.exposure.values
        bars = np.sqrt(np.add.reduceat(error**2, starts))
        return amounts, bars, bars
    if counts is None:
        return amounts, np.zeros_like(amounts), np.zeros_like(amounts)
    return amounts, *gehrels(amounts)


def _share(spectrum: SpectrumFile, ratio: Floats, starts: Integers, amounts: Floats) -> Floats:
    """Return the factor of each group: the ratio of its channels, weighed by what they hold."""
    of_channels = spectrum.pha.rate if spectrum.counts is None else spectrum.counts
    assert of_channels is not None
    scaled = np.add.reduceat(of_channels * ratio, starts)
    return np.divide(scaled, amounts, out=np.zeros_like(scaled), where=amounts != 0)


def _divisor(spectrum: SpectrumFile, starts: Integers) -> Floats:
    """Return EXPOSURE times AREASCAL of each group, the mean of its channels by their width; 1 for what is left out.

    Rates of a file without exposure are per second as they stand; counts of such a file are shown as they stand.
    """
    found, divisor = spectrum.pha, np.ones(spectrum.pha.channel.size)
    if found.exposure.values is not None:
        divisor = divisor * found.exposure.values
    if found.areascal.values is not None and spectrum.has_rates:
        divisor = divisor * found.areascal.values
    width = np.maximum(spectrum.channels.high - spectrum.channels.low, 1e-12)
    return np.asarray(np.add.reduceat(divisor * width, starts) / np.add.reduceat(width, starts), dtype=np.float64)


def gehrels(counts: Floats) -> tuple[Floats, Floats]:
    """Return the lengths of 1 sigma error bars of Poisson counts N: sqrt(N - 1/4) below, 1 + sqrt(N + 3/4) above."""
    above = 1 + np.sqrt(np.maximum(counts, 0) + 0.75)
    below = np.where(counts > 0, np.sqrt(np.maximum(counts - 0.25, 0)), 0)
    return below, above


def display_starts(spectrum: SpectrumFile) -> Integers:
    """Return the groups of the file; without any, channels joined until each group holds DISPLAY_COUNTS counts.

    Without counts each channel is a group.
    """
    if spectrum.pha.starts is not None:
        return spectrum.pha.starts
    if spectrum.counts is None:
        return np.arange(spectrum.pha.channel.size, dtype=np.int64)
    return np.array(_joined(spectrum.counts), dtype=np.int64)


def joined_starts(spectrum: SpectrumFile, starts: Integers) -> Integers:
    """Return groups of those that begin at `starts`, joined until each holds DISPLAY_COUNTS counts of this spectrum.

    Without counts they stay as they are.
    """
    if spectrum.counts is None:
        return starts
    return starts[_joined(np.add.reduceat(spectrum.counts, starts))]


def _joined(counts: Floats) -> list[int]:
    """Return where the groups begin when cells of a spectrum are joined until each group holds DISPLAY_COUNTS."""
    starts, held = [0], 0.0
    for i, count in enumerate(counts.tolist()):
        if held >= DISPLAY_COUNTS:
            starts.append(i)
            held = 0.0
        elif held == 0 and count > 0 and i > starts[-1]:
            starts.append(i)  # empty ones before the first count stay out of the group
        held += count
    return starts


def _channels(found: Pha, beside: Mapping[str, Path]) -> Channels:
    """Return the energies of the channels: of the response beside the file, else those in the table itself, else the
    nominal ones, else none at all."""
    response = beside.get(found.response.name)
    edges = _from_response(response, found.channel) if response else None
    if edges is None and found.bins_kev is not None:
        edges = Channels(*found.bins_kev, "keV", "energies from BIN_LO and BIN_HI")
    edges = edges or _from_sas_keywords(found) or _from_mission(found)
    if edges is not None:
        return edges
    numbers = found.channel.astype(np.float64)
    return Channels(numbers, numbers + 1, "channel", "channels, as the energies are not known here")


def _from_response(path: Path, channel: Integers) -> Channels | None:
    try:
        hdus = scan(path, "").hdus
        with path.open("rb") as stream:
            tables = (ebounds.read(stream, hdu, path.name) for hdu in hdus if ebounds.is_ebounds(hdu))
            edges = next((edges for bounds in tables if (edges := bounds.of(channel)) is not None), None)
    except (OSError, ReductionError, FitsError):
        return None
    return None if edges is None else Channels(*edges, "keV", f"energies from EBOUNDS of {path.name}")


def _from_sas_keywords(found: Pha) -> Channels | None:
    """Return nominal energies from keywords of the SAS: how many PI channels of 1 eV were joined, and where SPECPIX
    lies.
    """
    header = found.header
    if str(header.get("TELESCOP", "")).strip() != "XMM":
        return None
    step, pixel, value = (missions.number(header, key) for key in ("SPECDELT", "SPECPIX", "SPECVAL"))
    if step is None or pixel is None or value is None or step <= 0:
        return None
    low = (value - (step - 1) / 2 + step * (found.channel - pixel)) / 1000
    return Channels(low, low + step / 1000, "keV", f"nominal energies, {step:g} eV a channel")


def _from_mission(found: Pha) -> Channels | None:
    try:
        mission = missions.identify(found.header)
    except ReductionError:
        return None
    place = found.channel - mission.first_channel
    edges = mission.channel_energies()
    if place.min() < 0 or place.max() >= len(edges) - 1:
        return None
    return Channels(edges[place], edges[place + 1], "keV", f"nominal energies of {mission.name}")
