"""Small spectra with responses for tests of fits: a Gaussian detector of 150 channels, files and drawn counts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from reduction.fitting.spectrum import BackgroundData, SpectralData
from reduction.responses import EffectiveArea, Redistribution, write_effective_area, write_redistribution
from reduction.responses.grid import EnergyGrid
from reduction.responses.redistribution import Channels

CHANNELS = 150
EXPOSURE = 10_000.0
RATIO = 0.25
"""Area of the source's region over that of the background's."""


def response(first: int = 0, channels: int = CHANNELS) -> tuple[Redistribution, EffectiveArea]:
    """A detector from 0.3 to 10 keV with a resolution of 60 eV at 1 keV, and an area with an edge."""
    energies = EnergyGrid.of_edges(np.geomspace(0.25, 11.0, 301))
    edges = np.geomspace(0.3, 10.0, channels + 1)
    sigma = 0.06 * np.sqrt(energies.middle)
    table = (edges[None, :] - energies.middle[:, None]) / (sigma * math.sqrt(2))[:, None]
    cumulative = 0.5 * (1 + np.vectorize(math.erf)(table))
    matrix = Redistribution.of_matrix(
        energies, Channels(first, edges[:-1], edges[1:]), np.diff(cumulative), threshold=1e-6
    )
    area = (
        800.0 * energies.middle**0.3 * np.exp(-((energies.middle / 7) ** 3)) * np.where(energies.middle > 2.1, 0.8, 1.0)
    )
    return matrix, EffectiveArea(energies, area)


def spectrum(
    counts: np.ndarray | None = None, background: np.ndarray | None = None, ratio: float = RATIO
) -> SpectralData:
    """A spectrum with the response, not grouped; without background where none is given."""
    matrix, area = response()
    ones = np.ones(CHANNELS)
    behind = None if background is None else BackgroundData("bkg.fits", background, EXPOSURE, ones / ratio, ones)
    return SpectralData(
        name="src.fits", counts=np.zeros(CHANNELS) if counts is None else counts, exposure_s=EXPOSURE, backscal=ones,
        areascal=ones, quality=np.zeros(CHANNELS, dtype=np.int64), grouping=None, channels=matrix.channels,
        redistribution=matrix, area=area, background=behind,
    )  # fmt: skip


def write_pha(path: Path, counts: np.ndarray, first: int = 0, **cards: Any) -> Path:
    """A spectrum of counts as an OGIP file; keywords as given, None for one that is left out."""
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(first, first + counts.size)),
        fits.Column("COUNTS", "D" if np.asarray(counts).dtype.kind == "f" else "J", array=counts),
    ]
    for name in ("GROUPING", "QUALITY"):
        if isinstance(cards.get(name), np.ndarray):
            columns.append(fits.Column(name, "I", array=cards.pop(name)))
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    usual = {"HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUCLAS2": "TOTAL", "EXPOSURE": EXPOSURE, "BACKSCAL": 1.0,
             "AREASCAL": 1.0, "POISSERR": True, "BACKFILE": "bkg.fits", "RESPFILE": "src.rmf",
             "ANCRFILE": "src.arf"}  # fmt: skip
    for key, value in (usual | cards).items():
        if value is not None:
            table.header[key] = value
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def write_set(folder: Path, first: int = 0, counts: np.ndarray | None = None) -> Path:
    """A spectrum with background, matrix and area in a folder; returns the spectrum."""
    matrix, area = response(first)
    write_redistribution(folder / "src.rmf", matrix)
    write_effective_area(folder / "src.arf", area)
    write_pha(folder / "bkg.fits", np.full(CHANNELS, 4), first, HDUCLAS2="BKG", BACKSCAL=1 / RATIO, BACKFILE="NONE")
    return write_pha(folder / "src.fits", np.arange(CHANNELS) % 7 if counts is None else counts, first)
