"""The response of a sum of spectra: the mean of their responses, each weighted by its exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reduction.errors import ReductionError
from reduction.responses.area import EffectiveArea
from reduction.responses.areafile import read_effective_area
from reduction.responses.grid import SAME_KEV, Camera
from reduction.responses.redistribution import Channels, Redistribution
from reduction.responses.redistributionfile import read_redistribution


@dataclass(frozen=True)
class Exposed:
    """The response of one spectrum, and the exposure of that spectrum in seconds."""

    redistribution: Redistribution
    area: EffectiveArea
    exposure_s: float

    @classmethod
    def of_files(cls, rmf: Path, arf: Path, exposure_s: float, parameter: str) -> Exposed:
        """Read the response of a spectrum.

        Parameters
        ----------
        rmf
            The file of its redistribution.
        arf
            The file of its effective area.
        exposure_s
            Exposure of the spectrum in seconds.
        parameter
            Job parameter named in errors.

        Returns
        -------
        Exposed
            Response and exposure.

        Raises
        ------
        ReductionError
            A file is no response, or contradicts itself.
        """
        return cls(read_redistribution(rmf, parameter), read_effective_area(arf, parameter), exposure_s)


def combine(exposed: Sequence[Exposed]) -> tuple[Redistribution, EffectiveArea]:
    """Return the response of the sum of some spectra.

    With exposures t, areas A and redistributions R the counts expected of a source are ``sum t_i A_i R_i``, so that the
    response of the summed spectrum, of exposure ``sum t_i``, is ``sum t_i A_i R_i / sum t_i``, as addascaspec and
    epicspeccombine have it. It is given as two factors: the mean area ``sum t_i A_i / sum t_i``, and the mean of the
    redistributions weighted by ``t_i A_i`` (by ``t_i`` where no area is above 0).

    Parameters
    ----------
    exposed
        The responses, one or more, with the exposure of each spectrum.

    Returns
    -------
    redistribution, area
        Their product is the combined response. Where all redistributions are the same it is that one, unchanged.

    Raises
    ------
    ReductionError
        There is no response or no exposure, or the responses have other photon energies or channels than the first.
    """
    if not exposed or not all(np.isfinite(each.exposure_s) and each.exposure_s >= 0 for each in exposed):
        raise ReductionError("responses are combined by their exposures, each 0 s or more, of one spectrum or more")
    total = sum(each.exposure_s for each in exposed)
    if not total > 0:
        raise ReductionError("the spectra have no exposure by which their responses could be weighted")
    first = exposed[0].redistribution
    for each in exposed[1:]:
        _require_same(first, each.redistribution)
    areas = [each.area.on(first.energies).area_cm2 for each in exposed]
    weights = [each.exposure_s / total for each in exposed]
    mean = np.sum([weight * area for weight, area in zip(weights, areas, strict=True)], axis=0)
    camera = _common([each.area.camera for each in exposed])
    parts = [np.where(mean > 0, weight * area, weight) for weight, area in zip(weights, areas, strict=True)]
    return _mean_of([each.redistribution for each in exposed], parts), EffectiveArea(first.energies, mean, camera)


def _require_same(first: Redistribution, other: Redistribution) -> None:
    """Raise ReductionError if two redistributions have not the same photon energies and channels."""
    differs = first.energies.differs(other.energies) or _channels_differ(first.channels, other.channels)
    if differs:
        raise ReductionError(f"responses of different grids cannot be combined: {differs}")


def _channels_differ(first: Channels, other: Channels) -> str:
    if (first.first, first.size) != (other.first, other.size):
        return (f"channels {other.first} to {other.first + other.size - 1}, not {first.first} to "
                f"{first.first + first.size - 1}")  # fmt: skip
    apart = float(np.abs(first.low - other.low).max())
    return f"channels whose energies are up to {apart:.4g} keV apart" if apart > SAME_KEV else ""


def _mean_of(matrices: Sequence[Redistribution], weights: Sequence[np.ndarray]) -> Redistribution:
    """Return the mean of redistributions, weighted at each photon energy."""
    first = matrices[0]
    camera = _common([each.camera for each in matrices])
    if all(_is_same(first, each) for each in matrices[1:]):
        return replace(first, camera=camera)
    total = np.zeros((first.energies.size, first.channels.size))
    shares = np.asarray(weights) / np.sum(weights, axis=0)
    for matrix, share in zip(matrices, shares, strict=True):
        row = matrix.row
        total[row, matrix.channel] += share[row] * matrix.values
    return Redistribution.of_matrix(first.energies, first.channels, total, camera)


def _is_same(first: Redistribution, other: Redistribution) -> bool:
    pairs = ((first.rows, other.rows), (first.starts, other.starts), (first.lengths, other.lengths),
             (first.values, other.values))  # fmt: skip
    return all(np.array_equal(one, another) for one, another in pairs)


def _common(cameras: Sequence[Camera]) -> Camera:
    """Return whose response it is; what is not the same in all of them is left empty."""
    found = (names.pop() if len(names := {getattr(each, name) for each in cameras}) == 1 else ""
             for name in ("telescope", "instrument", "filter"))  # fmt: skip
    return Camera(*found)
