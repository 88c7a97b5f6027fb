"""The response that a spectrum is fitted with: the files that its header names or that are given, held together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from provenance.fits.headers import Cards
from provenance.fits.pha import FileReference
from reduction.errors import ReductionError
from reduction.responses.area import EffectiveArea
from reduction.responses.areafile import read_effective_area
from reduction.responses.redistribution import Redistribution
from reduction.responses.redistributionfile import read_redistribution

HAS_AREA = 1.5
"""Sum of the probabilities of one photon energy above which they have the effective area in them."""


def read(
    spectrum: Path, header: Mapping[str, object], response: Path | None, area: Path | None
) -> tuple[Redistribution, EffectiveArea]:
    """Read the response of a spectrum.

    Parameters
    ----------
    spectrum
        The file of the spectrum.
    header
        Its keywords.
    response
        The redistribution matrix; None for the one that RESPFILE names.
    area
        The effective area; None for the one that ANCRFILE names.

    Returns
    -------
    redistribution, area
        On one grid of photon energies.

    Raises
    ------
    ReductionError
        A file is missing, or the two have other grids.
    """
    names = {key: FileReference.of(Cards(header).text(key)).name for key in ("RESPFILE", "ANCRFILE")}
    path = response if response is not None else beside(spectrum, names["RESPFILE"], "response")
    if path is None:
        raise ReductionError(f"{spectrum.name} names no response (RESPFILE): without one counts say nothing about a "
                             "spectrum; give the redistribution matrix (RMF)", "response")  # fmt: skip
    matrix = _matrix(path)
    path = area if area is not None else beside(spectrum, names["ANCRFILE"], "area")
    if path is not None:
        return matrix, _on_one_grid(matrix, read_effective_area(path, "area"), path)
    if matrix.efficiency.max(initial=0) < HAS_AREA:
        raise ReductionError(f"{spectrum.name} names no effective area (ANCRFILE), and its matrix has none in it; give "
                             "the ancillary response (ARF)", "area")  # fmt: skip
    return matrix, EffectiveArea(matrix.energies, np.ones(matrix.energies.size), matrix.camera)


def _matrix(path: Path) -> Redistribution:
    """Read a matrix; one that was read lately is taken as it was, unless the file has changed."""
    if not path.is_file():
        raise ReductionError(f"there is no file {path.name}; give the redistribution matrix (RMF)", "response")
    found = path.stat()
    return _read_matrix(path.absolute(), found.st_size, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=4)
def _read_matrix(path: Path, *stamp: int) -> Redistribution:
    return read_redistribution(path, "response")


def forget_matrices() -> None:
    """Forget the matrices that were read lately: for those who measure, and whoever needs the memory."""
    _read_matrix.cache_clear()


def beside(spectrum: Path, name: str, parameter: str) -> Path | None:
    """Return the file that a spectrum names, which lies beside it.

    Parameters
    ----------
    spectrum
        The file of the spectrum.
    name
        The name in its header; empty where there is none.
    parameter
        What a message calls the file.

    Returns
    -------
    The file; None without a name.

    Raises
    ------
    ReductionError
        If the file is not there.
    """
    if not name:
        return None
    path = spectrum.parent / name
    if path.is_file():
        return path
    raise ReductionError(f"{spectrum.name} names {name}, which does not lie beside it; give the file", parameter)


def _on_one_grid(matrix: Redistribution, area: EffectiveArea, path: Path) -> EffectiveArea:
    differs = matrix.energies.differs(area.energies)
    if differs:
        raise ReductionError(f"{path.name} was made for another matrix: it has {differs}; give the effective area "
                             "that was made for this response", "area")  # fmt: skip
    return area
