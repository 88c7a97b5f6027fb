"""Reads OGIP spectra for a plot: counts in groups of channels, energies, rates with errors. Imports the libraries only.

Files come from scripts that nobody vouches for: whatever is wrong with one becomes a `NoPreview` with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fits.hdus import Hdu
from reduction import missions
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_CHANNELS = 65_536
DISPLAY_COUNTS = 15
"""The counts to which channels are joined where a file has no groups: for the picture only."""


class NoPreview(Exception):
    """A file without a picture; the message is the reason, to be read after 'no preview: '."""


@dataclass(frozen=True)
class Channels:
    """The spectral axis: edges of each channel, shape (n,) each, in `unit`, and their source."""

    low: Floats
    high: Floats
    unit: str
    origin: str


@dataclass(frozen=True)
class SpectrumFile:
    """A SPECTRUM table: channel, counts and their errors, shape (n,); `starts` are the indices where groups begin.

    `stat_error` is None where the errors are Poisson's; `quality` is 0 for good channels.
    """

    name: str
    header: Mapping[str, Any]
    channel: Integers
    counts: Floats
    stat_error: Floats | None
    starts: Integers | None
    quality: Integers
    exposure_s: float
    backscal: float
    areascal: float
    channels: Channels

    @property
    def background_file(self) -> str:
        """Return the name of the file that the header calls its background; '' for none."""
        return _file_name(self.header, "BACKFILE")

    @property
    def is_background(self) -> bool:
        """Return whether the header declares a background."""
        return str(self.header.get("HDUCLAS2", "")).strip().upper() == "BKG"


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


def is_spectrum(hdu: Hdu) -> bool:
    """Return whether an HDU is an OGIP spectrum."""
    return hdu.is_table and (
        hdu.name == "SPECTRUM" or str(hdu.cards.get("HDUCLAS1", "")).strip().upper() == "SPECTRUM"
    )


def read_spectrum(path: Path, beside: Mapping[str, Path]) -> SpectrumFile:
    """Read the spectrum in a file; `beside` has the files a header may name (RESPFILE), by file name."""
    try:
        file = scan(path, "")
        hdu = next((hdu for hdu in file.hdus if is_spectrum(hdu)), None)
        if hdu is None:
            raise NoPreview("the file has no SPECTRUM table")
        rows, columns = file.read(hdu)
    except (OSError, ReductionError) as error:
        raise NoPreview(str(error)) from error
    if not 0 < len(rows) <= MOST_CHANNELS:
        raise NoPreview(f"the spectrum has {len(rows)} channels; 1 to {MOST_CHANNELS} can be drawn")

    def values(name: str) -> Floats | None:
        column = columns.get(name)
        return column.floats(rows) if column is not None and column.is_number else None

    channel, counts, rate = values("CHANNEL"), values("COUNTS"), values("RATE")
    header = hdu.cards
    exposure_s = _positive(header, "EXPOSURE")
    if counts is None and rate is not None:
        counts = rate * exposure_s
    if channel is None or counts is None:
        raise NoPreview("the SPECTRUM table has no columns CHANNEL and COUNTS (or RATE) of numbers")
    stat_error = values("STAT_ERR") if header.get("POISSERR") is not True else None
    if stat_error is not None and "COUNTS" not in columns:
        stat_error = stat_error * exposure_s
    grouping, quality = values("GROUPING"), values("QUALITY")
    numbers = np.nan_to_num(channel).astype(np.int64)
    return SpectrumFile(
        name=path.name,
        header=header,
        channel=numbers,
        counts=np.nan_to_num(counts),
        stat_error=stat_error,
        starts=None if grouping is None or np.all(grouping != -1) else _starts(grouping),
        quality=np.zeros(len(rows), np.int64) if quality is None else np.nan_to_num(quality, nan=1).astype(np.int64),
        exposure_s=exposure_s,
        backscal=_positive(header, "BACKSCAL"),
        areascal=_positive(header, "AREASCAL"),
        channels=_channels(header, numbers, beside),
    )


def points(spectrum: SpectrumFile, starts: Integers, scale: float = 1.0) -> Points:
    """Return the rates of the groups that begin at `starts`, times `scale`: counts / (EXPOSURE AREASCAL width).

    Only groups of good quality with counts at energies above zero are kept: a logarithmic axis shows no others.
    Errors are those of STAT_ERR, else the approximate 1 sigma limits of Gehrels (1986, ApJ 303, 336).
    """
    counts = np.add.reduceat(spectrum.counts, starts)
    low = spectrum.channels.low[starts]
    high = spectrum.channels.high[np.append(starts[1:], len(spectrum.counts)) - 1]
    if spectrum.stat_error is None:
        below, above = gehrels(counts)
    else:
        below = above = np.sqrt(np.add.reduceat(np.nan_to_num(spectrum.stat_error) ** 2, starts))
    bad = np.maximum.reduceat(np.abs(spectrum.quality), starts) > 0
    keep = ~bad & (counts > 0) & (low >= 0) & (high > low)
    low = np.where(low > 0, low, high / 2)  # a channel that begins at 0 keV is drawn from its middle on
    factor = scale / (spectrum.exposure_s * spectrum.areascal * (high - low)[keep])
    return Points(
        low[keep],
        high[keep],
        counts[keep] * factor,
        np.maximum(counts - below, 0)[keep] * factor,
        (counts + above)[keep] * factor,
    )


def gehrels(counts: Floats) -> tuple[Floats, Floats]:
    """Return the lengths of 1 sigma error bars of Poisson counts N: sqrt(N - 1/4) below, 1 + sqrt(N + 3/4) above."""
    above = 1 + np.sqrt(counts + 0.75)
    below = np.where(counts > 0, np.sqrt(np.maximum(counts - 0.25, 0)), 0)
    return below, above


def display_starts(spectrum: SpectrumFile) -> Integers:
    """Return the groups of the file; without any, channels joined until each group holds DISPLAY_COUNTS counts."""
    if spectrum.starts is not None:
        return spectrum.starts
    starts, held = [0], 0.0
    for i, count in enumerate(spectrum.counts):
        if held >= DISPLAY_COUNTS:
            starts.append(i)
            held = 0.0
        elif held == 0 and count > 0 and i > starts[-1]:
            starts.append(i)  # empty channels before the first count stay out of the group
        held += count
    return np.array(starts, dtype=np.int64)


def _starts(grouping: Floats) -> Integers:
    begins = grouping != -1
    begins[0] = True
    return np.flatnonzero(begins).astype(np.int64)


def _channels(header: Mapping[str, Any], channel: Integers, beside: Mapping[str, Path]) -> Channels:
    """Return the energies of the channels: of the response beside the file, else the nominal ones, else none at all."""
    response = beside.get(_file_name(header, "RESPFILE"))
    found = _from_response(response, channel) if response else None
    found = found or _from_sas_keywords(header, channel) or _from_mission(header, channel)
    if found is not None:
        return found
    edges = channel.astype(np.float64)
    return Channels(edges, edges + 1, "channel", "channels, as the energies are not known here")


def _from_response(path: Path, channel: Integers) -> Channels | None:
    try:
        file = scan(path, "")
        hdu = next((hdu for hdu in file.hdus if hdu.name == "EBOUNDS" and hdu.is_table), None)
        if hdu is None:
            return None
        rows, columns = file.read(hdu)
        names = ("CHANNEL", "E_MIN", "E_MAX")
        if not all(name in columns and columns[name].is_number for name in names):
            return None
        numbers, low, high = (columns[name].floats(rows) for name in names)
    except (OSError, ReductionError, ValueError):
        return None
    order = np.argsort(numbers)
    place = np.minimum(np.searchsorted(numbers, channel, sorter=order), len(numbers) - 1) if len(numbers) else None
    if place is None or not np.array_equal(numbers[order[place]], channel):
        return None
    place = order[place]
    return Channels(low[place], high[place], "keV", f"energies from EBOUNDS of {path.name}")


def _from_sas_keywords(header: Mapping[str, Any], channel: Integers) -> Channels | None:
    """Return nominal energies from keywords of the SAS: how many PI channels of 1 eV were joined, and where SPECPIX
    lies.
    """
    if str(header.get("TELESCOP", "")).strip() != "XMM":
        return None
    step, pixel, value = (missions.number(header, key) for key in ("SPECDELT", "SPECPIX", "SPECVAL"))
    if step is None or pixel is None or value is None or step <= 0:
        return None
    low = (value - (step - 1) / 2 + step * (channel - pixel)) / 1000
    return Channels(low, low + step / 1000, "keV", f"nominal energies, {step:g} eV a channel")


def _from_mission(header: Mapping[str, Any], channel: Integers) -> Channels | None:
    try:
        mission = missions.identify(header)
    except ReductionError:
        return None
    place = channel - mission.first_channel
    edges = mission.channel_energies()
    if place.min() < 0 or place.max() >= len(edges) - 1:
        return None
    return Channels(edges[place], edges[place + 1], "keV", f"nominal energies of {mission.name}")


def _positive(header: Mapping[str, Any], key: str) -> float:
    """Return the number under a keyword; 1 where there is none, as OGIP has it."""
    value = missions.number(header, key)
    return value if value is not None and value > 0 else 1.0


def _file_name(header: Mapping[str, Any], key: str) -> str:
    name = PurePath(str(header.get(key) or "").strip()).name
    return "" if name.upper() == "NONE" else name
