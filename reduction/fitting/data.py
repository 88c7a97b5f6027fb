"""Reading of spectra to be fitted: OGIP files with their backgrounds and responses, held against each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from provenance.fits import FitsError, pha
from provenance.fits.pha import Pha
from provenance.fits.scales import Scale
from reduction.errors import ReductionError
from reduction.fitting import responsefiles
from reduction.fitting.spectrum import BackgroundData, Integers
from reduction.fitting.spectrum import FitData as FitData
from reduction.fitting.spectrum import SpectralData as SpectralData
from reduction.responses import files
from reduction.responses.area import EffectiveArea
from reduction.responses.grid import Floats
from reduction.responses.redistribution import Channels, Redistribution

NO_FILE = Path("none")
"""Given for a background: the spectrum is fitted without one, whatever its header names."""


def read_spectrum(
    path: Path,
    *,
    background: Path | None = None,
    response: Path | None = None,
    area: Path | None = None,
    parameter: str = "spectrum",
) -> SpectralData:
    """Read a spectrum with its response and background.

    Parameters
    ----------
    path
        An OGIP PHA file; of one of type II the spectrum with the most counts is read.
    background
        The spectrum of its background; None for the one that the header names (BACKFILE) beside it, NO_FILE for none.
    response
        The redistribution matrix (RMF); None for the one that the header names (RESPFILE) beside it.
    area
        The effective area (ARF); None for the one that the header names (ANCRFILE) beside it. A matrix that has the
        area in it needs none.
    parameter
        Job parameter of the spectrum, named in errors; those of the other files are background, response and area.

    Returns
    -------
    SpectralData
        Counts by channel, and the response.

    Raises
    ------
    ReductionError
        A file is missing or none of its kind, or they do not belong together.
    """
    found = _read(path, parameter)
    redistribution, effective = responsefiles.read(path, found.header, response, area)
    data = _source(path.name, found, redistribution, effective, parameter)
    behind = responsefiles.beside(path, found.background.name, "background") if background is None else background
    if behind is None or str(behind).lower() == str(NO_FILE):
        return data
    return _with_background(data, path, behind)


def _read(path: Path, parameter: str) -> Pha:
    """Read the spectrum of a file, plain or gzipped."""
    if not path.is_file():
        raise ReductionError(f"there is no file {path.name}; give a spectrum (OGIP PHA file)", parameter)
    try:
        with files.opened(path, parameter) as file:
            hdu = next((each for each in file.hdus if pha.is_spectrum(each)), None)
            if hdu is None:
                raise ReductionError(f"{path.name} holds no spectrum; it has the tables {file.names}", parameter)
            with file.path.open("rb") as stream:
                return pha.read(stream, hdu, file.hdus[0], file=path.name)
    except (FitsError, OSError) as error:
        raise ReductionError(f"{path.name} cannot be read: {error}", parameter) from error


def _source(name: str, found: Pha, redistribution: Redistribution, area: EffectiveArea, parameter: str) -> SpectralData:
    channels = redistribution.channels
    exposure_s = _exposure(name, found, parameter)
    place = _places(name, found, channels, parameter)
    messages = [each.sentence for each in (found.areascal, found.backscal) if each.sentence and each.is_known]
    counts = _counts(name, found, exposure_s, parameter)
    if found.counts is None:
        messages.append(f"{name} has rates: counts are the rates times the exposure, and their errors are not used")
    quality = np.ones(channels.size, dtype=np.int64)
    quality[place] = found.quality
    return SpectralData(
        name=name, counts=_spread(counts, place, channels, 0.0), exposure_s=exposure_s,
        backscal=_spread(_factor(found.backscal, counts.size), place, channels, 1.0),
        areascal=_spread(_factor(found.areascal, counts.size), place, channels, 1.0), quality=quality,
        grouping=_grouping(found, place, channels), channels=channels, redistribution=redistribution, area=area,
        messages=tuple(messages), header=found.header,
    )  # fmt: skip


def _counts(name: str, found: Pha, exposure_s: float, parameter: str) -> Floats:
    """Return the counts. Raise ReductionError if some are below 0: then a background is subtracted already."""
    amounts = found.counts if found.counts is not None else found.rate
    counts: Floats = np.asarray(amounts, dtype=np.float64) * (1.0 if found.counts is not None else exposure_s)
    if (counts < 0).any():
        channel = int(found.channel[int(np.argmax(counts < 0))])
        raise ReductionError(f"{name} has {counts[counts < 0][0]:g} counts in channel {channel}: counts below 0 are "
                             "what is left when a background is subtracted; give the spectrum and its background apart",
                             parameter)  # fmt: skip
    return counts


def _exposure(name: str, found: Pha, parameter: str) -> float:
    exposure = found.exposure.number
    if exposure is None:
        words = found.exposure.words or "differs from channel to channel"
        raise ReductionError(f"the exposure of {name} is not known: EXPOSURE {words}; give a spectrum with the live "
                             "time in seconds there", parameter)  # fmt: skip
    return exposure


def _places(name: str, found: Pha, channels: Channels, parameter: str) -> Integers:
    """Return the index in the response of each channel. Raise ReductionError, saying by how much, if it has not all."""
    first, last = int(found.channel.min()), int(found.channel.max())
    known = f"{channels.first} to {channels.first + channels.size - 1}"
    if first < channels.first or last >= channels.first + channels.size:
        same = found.channel.size == channels.size
        apart = (f"as many, but {abs(first - channels.first)} apart; CHANNEL and EBOUNDS must have the same numbers"
                 if same else f"{found.channel.size} channels, not {channels.size}; give the response that was made "
                 "for this spectrum")  # fmt: skip
        raise ReductionError(f"{name} has channels {first} to {last}, its response {known}: {apart}", parameter)
    place: Integers = found.channel - channels.first
    if np.unique(place).size != place.size:
        raise ReductionError(f"{name} has channels that come twice; each may have one row", parameter)
    return place


def _spread(values: Floats, place: Integers, channels: Channels, else_: float) -> Floats:
    full = np.full(channels.size, else_)
    full[place] = values
    return full


def _factor(scale: Scale, size: int) -> Floats:
    """Return a factor of area, shape (channels,); 1 where the file gives none."""
    return np.ones(size) if scale.values is None else np.asarray(scale.values, dtype=np.float64)


def _grouping(found: Pha, place: Integers, channels: Channels) -> Integers | None:
    if found.starts is None:
        return None
    own = np.full(found.channel.size, -1, dtype=np.int64)
    own[found.starts] = 1
    grouping = np.ones(channels.size, dtype=np.int64)
    grouping[place] = own
    return grouping


def _with_background(data: SpectralData, path: Path, behind: Path) -> SpectralData:
    """Return a spectrum with its background. Raise ReductionError if that is none of it."""
    found = _read(behind, "background")
    if behind.exists() and path.exists() and behind.samefile(path):
        raise ReductionError(f"{behind.name} is the spectrum itself; give that of the background", "background")
    kinds = [str(header.get("HDUCLAS2") or "").strip().upper() for header in (data.header, found.header)]
    if kinds[0] == "BKG" and kinds[1] in ("TOTAL", "NET"):
        raise ReductionError(f"source and background are swapped: HDUCLAS2 of {path.name} is BKG, that of "
                             f"{behind.name} {kinds[1]}", "background")  # fmt: skip
    exposure_s = _exposure(behind.name, found, "background")
    place = _places(behind.name, found, data.channels, "background")
    counts = _counts(behind.name, found, exposure_s, "background")
    areas = [_factor(scale, counts.size) for scale in (found.backscal, found.areascal)]
    if _is_same(counts, found, data):
        raise ReductionError(f"{behind.name} has the counts, exposure and area of {data.name}: it is the spectrum "
                             "itself; give that of the background", "background")  # fmt: skip
    background = BackgroundData(
        behind.name, _spread(counts, place, data.channels, 0.0), exposure_s,
        _spread(areas[0], place, data.channels, 1.0), _spread(areas[1], place, data.channels, 1.0),
    )  # fmt: skip
    full = replace(data, background=background)
    return replace(full, messages=(*data.messages, *_odd(full, background)))


def _is_same(counts: Floats, found: Pha, data: SpectralData) -> bool:
    """Tell whether a background is a copy of the spectrum: the same counts, not all 0, of the same time and area."""
    own = data.counts[_places(data.name, found, data.channels, "background")]
    backscal = _factor(found.backscal, counts.size)
    same_counts = counts.any() and np.array_equal(own, counts) and own.sum() == data.counts.sum()
    same_area = np.array_equal(backscal, data.backscal[found.channel - data.channels.first])
    return bool(same_counts and same_area and found.exposure.number == data.exposure_s)


def _odd(data: SpectralData, background: BackgroundData) -> list[str]:
    """Say what is odd about a background."""
    net = float(data.counts.sum() - (data.ratio * background.counts).sum())
    messages = []
    if net < 0:
        messages.append(f"{data.name} has {net:.4g} net counts: its background {background.name} is brighter for its "
                        "area than the source; are the two swapped?")  # fmt: skip
    if background.exposure_s > 10 * data.exposure_s:
        messages.append(f"the background {background.name} is exposed {background.exposure_s / data.exposure_s:.3g} "
                        "times as long as the source: of closed exposures, which lack the sky's background?"
                        )  # fmt: skip
    if data.ratio.max(initial=0) > 1:
        messages.append(f"the background {background.name} has a smaller area or exposure than the source: each of its "
                        f"counts stands for {data.ratio.max():.3g}")  # fmt: skip
    return messages
