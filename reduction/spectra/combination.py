"""Spectra of one camera, or of both MOS, as one: counts and exposures summed, areas so that the background fits.

Source spectra are summed, and so are their backgrounds, so that both stay counts with errors of Poisson's. BACKSCAL of
the source is the mean weighted by exposure, as epicspeccombine of the SAS has it. That of the background is such that
what is subtracted is what would be subtracted from the spectra one by one, summed over the channels: the condition by
which addascaspec scales backgrounds (HEASARC, "How to calculate the background normalization"), which holds also where
the background is not equally bright in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fits import FitsError, pha
from provenance.fits.pha import Pha
from reduction import missions
from reduction.errors import ReductionError
from reduction.events import fitsfile
from reduction.missions import Mission
from reduction.spectra.spectrum import Spectrum

Counts = npt.NDArray[np.int64]

Key = tuple[str, str, int, int]
"""TELESCOP, INSTRUME, the first channel and the number of channels."""

_TWINS: Mapping[str, str] = {"EMOS1": "EMOS", "EMOS2": "EMOS"}
"""Cameras of one construction, whose channels are the same energies, and what they are called together."""

UNEVEN = 0.02
"""By how much the errors of a background may be too small before it is told."""


@dataclass(frozen=True)
class SpectrumOnFile:
    """A spectrum as a file holds it: counts by channel, shape (n,), exposure in seconds, BACKSCAL, and its headers.

    `response` and `area` are the files that it names as its RMF and ARF, empty for none, and `background` that of its
    background.
    """

    path: Path
    header: Mapping[str, Any]
    channel: Counts
    counts: Counts
    exposure_s: float
    backscal: float
    background: str
    response: str
    area: str

    @property
    def camera(self) -> tuple[str, str]:
        """TELESCOP and INSTRUME."""
        return str(self.header.get("TELESCOP", "")).strip(), str(self.header.get("INSTRUME", "")).strip()

    @property
    def mission(self) -> Mission:
        """What is known of the instrument, with channels as wide as those of the file. Raises ReductionError."""
        found = missions.identify(self.header, "parts")
        if found.channel_widths_ev and len(self.channel) != found.last_channel - found.first_channel + 1:
            found = found.with_channel_width(int(self.header.get("SPECDELT", found.channel_divisor)))
        return found


@dataclass(frozen=True)
class Pair:
    """A spectrum and its background, which may be absent."""

    source: SpectrumOnFile
    background: SpectrumOnFile | None = None

    @property
    def key(self) -> Key:
        """What spectra that can be summed have in common."""
        return *self.source.camera, int(self.source.channel[0]), len(self.source.channel)

    @property
    def together(self) -> Key:
        """What spectra have in common that can be summed also with those of a twin camera."""
        telescope, instrument, first, channels = self.key
        return telescope, _TWINS.get(instrument, instrument), first, channels

    @property
    def scale(self) -> float:
        """Counts of the source region for each count of the background; 0 without one."""
        if self.background is None:
            return 0.0
        seen = self.background.exposure_s * self.background.backscal
        return self.source.exposure_s * self.source.backscal / seen if seen > 0 else 0.0


@dataclass(frozen=True)
class Combined:
    """The sum of some spectra, not grouped, and of their backgrounds (None: not all of them have one)."""

    pairs: tuple[Pair, ...]
    source: Spectrum
    background: Spectrum | None
    notes: tuple[str, ...] = ()


def read(path: Path, parameter: str = "parts") -> SpectrumOnFile:
    """Read a spectrum of counts.

    Parameters
    ----------
    path
        An OGIP PHA file of type I.
    parameter
        Job parameter named in errors.

    Returns
    -------
    SpectrumOnFile
        The spectrum.

    Raises
    ------
    ReductionError
        It is no spectrum of counts, or has no exposure or area that holds for all channels.
    """
    try:
        file = fitsfile.scan(path, parameter)
        table = next((hdu for hdu in file.hdus if pha.is_spectrum(hdu)), None)
        if table is None:
            raise ReductionError(f"{path.name} holds no spectrum", parameter)
        with path.open("rb") as stream:
            spectrum = pha.read(stream, table, file.hdus[0], file=path.name)
    except (FitsError, OSError) as error:
        raise ReductionError(f"{path.name} cannot be read: {error}", parameter) from error
    return _checked(path, spectrum, parameter)


def _checked(path: Path, found: Pha, parameter: str) -> SpectrumOnFile:
    exposure, backscal = found.exposure.number, found.backscal.number
    if found.counts is None or found.areascal.number != 1.0:
        raise ReductionError(f"{path.name} has rates, or an AREASCAL; counts with an AREASCAL of 1 can be summed",
                             parameter)  # fmt: skip
    if exposure is None:
        raise ReductionError(f"{path.name} has no EXPOSURE that holds for all its channels", parameter)
    named = [str(found.header.get(key) or "NONE").strip() for key in ("BACKFILE", "RESPFILE", "ANCRFILE")]
    files = ["" if name.upper() == "NONE" else name for name in named]
    return SpectrumOnFile(path, found.header, found.channel, np.rint(found.counts).astype(np.int64),
                          exposure, backscal if backscal is not None else 0.0, *files)  # fmt: skip


def by_camera(pairs: Iterable[Pair]) -> dict[Key, list[Pair]]:
    """Return the spectra that can be summed with each other, by what they have in common, in the order they come."""
    found: dict[Key, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.key, []).append(pair)
    return found


def of_twins(pairs: Iterable[Pair]) -> dict[Key, list[Pair]]:
    """Return the spectra of both MOS, by what they have in common; none where one of the cameras is absent."""
    found: dict[Key, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.together, []).append(pair)
    return {key: some for key, some in found.items() if len({pair.key for pair in some}) > 1}


def _named(key: Key) -> str:
    return f"{key[1]} ({key[3]:,} channels from {key[2]})"


def combine(pairs: Sequence[Pair]) -> Combined:
    """Return the sum of spectra of one camera, or of both MOS.

    Parameters
    ----------
    pairs
        Spectra with their backgrounds, of the same channels.

    Returns
    -------
    Combined
        The sums, with notes about what is odd.

    Raises
    ------
    ReductionError
        They are of cameras other than the two MOS, or have different channels, or the mission is none that can be
        reduced.
    """
    if len({pair.together for pair in pairs}) != 1:
        came = ", ".join(dict.fromkeys(_named(pair.key) for pair in pairs)) or "none"
        raise ReductionError(f"spectra of {came} came; those of one camera, or of both MOS, with the same channels can "
                             "be summed: fit the others together", "parts")  # fmt: skip
    notes = []
    source = _summed([pair.source for pair in pairs])
    behind = [pair.background for pair in pairs if pair.background is not None]
    if behind and len(behind) < len(pairs):
        notes.append(f"{len(pairs) - len(behind)} of {len(pairs)} spectra have no background: the sum has none")
    if len(behind) < len(pairs):
        return Combined(tuple(pairs), source, None, tuple(notes))
    exposure_s = sum(each.exposure_s for each in behind)
    subtracted = sum(pair.scale * int(each.counts.sum()) for pair, each in zip(pairs, behind, strict=True))
    total = sum(int(each.counts.sum()) for each in behind)
    scale = subtracted / total if total else _mean([pair.scale for pair in pairs], [b.exposure_s for b in behind])
    backscal = source.backscal * source.exposure_s / (scale * exposure_s) if scale * exposure_s > 0 else 0.0
    notes += _uneven(pairs, behind, scale, total)
    return Combined(tuple(pairs), source, _summed(behind, backscal), tuple(notes))


def _summed(spectra: Sequence[SpectrumOnFile], backscal: float | None = None) -> Spectrum:
    """Return the sum of spectra; BACKSCAL is the mean weighted by exposure if none is given."""
    counts = np.sum([each.counts for each in spectra], axis=0)
    exposures = [each.exposure_s for each in spectra]
    area = _mean([each.backscal for each in spectra], exposures) if backscal is None else backscal
    return Spectrum(
        mission=spectra[0].mission, channel=spectra[0].channel.astype(np.int32), counts=counts,
        exposure_s=sum(exposures), backscal=area, region=None, live_s={}, shares={}, selected=int(counts.sum()),
        no_time=0, bad_time=0, off_channels=0,
    )  # fmt: skip


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    if not total > 0:
        return sum(values) / len(values)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total


def _uneven(pairs: Sequence[Pair], behind: Sequence[SpectrumOnFile], scale: float, total: int) -> list[str]:
    """Say if the errors of a summed background are too small: its parts are scaled by very different factors."""
    if not total or not scale > 0:
        return []
    variance = sum(pair.scale**2 * int(each.counts.sum()) for pair, each in zip(pairs, behind, strict=True))
    short = math.sqrt(variance / (scale**2 * total)) - 1
    if short < UNEVEN:
        return []
    scales = [pair.scale for pair in pairs]
    return [f"the backgrounds are scaled by {min(scales):.3g} to {max(scales):.3g}: the errors of the combined "
            f"background are {100 * short:.0f} % too small; fit the spectra together instead"]  # fmt: skip
