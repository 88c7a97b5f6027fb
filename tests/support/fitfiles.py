"""A small spectrum with background, matrix and effective area, written with astropy, of a power law that is known.

120 channels of 0.1 keV from 0 on; photons are counted in their channel, or in one beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

CHANNELS = 120
EDGES = np.linspace(0.0, 12.0, CHANNELS + 1)
ENERGIES = np.linspace(0.1, 12.0, 239)
INDEX, NORM = 1.8, 1e-3
EXPOSURE_S = 20_000.0
BACKGROUND_RATIO = 8.0
"""How much larger the region of the background is."""

MODEL = "powerlaw"


@dataclass(frozen=True)
class FitFiles:
    """The files of one spectrum."""

    spectrum: Path
    background: Path
    response: Path
    area: Path

    @property
    def given(self) -> dict[str, Path]:
        """The files by the parameters of a fit."""
        return {
            "spectrum": self.spectrum,
            "background": self.background,
            "response": self.response,
            "area": self.area,
        }


def matrix() -> np.ndarray:
    """Probabilities, shape (energies, channels): most in the channel of the energy, the rest on both sides."""
    middle = np.sqrt(ENERGIES[:-1] * ENERGIES[1:])
    at = np.clip((middle / 0.1).astype(int), 1, CHANNELS - 2)
    found = np.zeros((middle.size, CHANNELS))
    rows = np.arange(middle.size)
    for shift, part in ((-1, 0.15), (0, 0.7), (1, 0.15)):
        found[rows, at + shift] = part
    return found


def effective_area() -> np.ndarray:
    """Effective area in cm2: 800 cm2 at 1.5 keV, less on both sides."""
    middle = np.sqrt(ENERGIES[:-1] * ENERGIES[1:])
    return 800 * np.exp(-0.5 * np.log(middle / 1.5) ** 2)


def expected(index: float = INDEX, norm: float = NORM, exposure_s: float = EXPOSURE_S) -> np.ndarray:
    """Counts expected of a power law, shape (channels,), worked out with the whole matrix."""
    power = 1 - index
    photons = norm * (ENERGIES[1:] ** power - ENERGIES[:-1] ** power) / power
    return exposure_s * (photons * effective_area()) @ matrix()


def write(folder: Path, seed: int = 1, index: float = INDEX, norm: float = NORM, name: str = "source") -> FitFiles:
    """Write the files of one spectrum, with counts that are drawn."""
    draw = np.random.default_rng(seed)
    behind = np.full(CHANNELS, 3.0)
    counts = draw.poisson(expected(index, norm) + behind)
    background = draw.poisson(behind * BACKGROUND_RATIO)
    files = FitFiles(
        folder / f"{name}.pha", folder / f"{name}_background.pha", folder / f"{name}.rmf", folder / f"{name}.arf"
    )
    _write_pha(files.spectrum, counts, 1.0, BACKFILE=files.background.name, RESPFILE=files.response.name,
               ANCRFILE=files.area.name)  # fmt: skip
    _write_pha(files.background, background, BACKGROUND_RATIO, HDUCLAS2="BKG")
    _write_response(files.response)
    _write_area(files.area)
    return files


def _write_pha(path: Path, counts: np.ndarray, backscal: float, **keywords: str) -> None:
    table = fits.BinTableHDU.from_columns(
        [fits.Column("CHANNEL", "J", array=np.arange(CHANNELS)), fits.Column("COUNTS", "J", array=counts)],
        name="SPECTRUM",
    )
    table.header.update({
        "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Medium", "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM",
        "HDUCLAS2": "TOTAL", "HDUCLAS3": "COUNT", "EXPOSURE": EXPOSURE_S, "AREASCAL": 1.0, "BACKSCAL": backscal,
        "CORRSCAL": 1.0, "BACKFILE": "NONE", "CORRFILE": "NONE", "RESPFILE": "NONE", "ANCRFILE": "NONE",
        "CHANTYPE": "PI", "DETCHANS": CHANNELS, "POISSERR": True, "TLMIN1": 0, "TLMAX1": CHANNELS - 1,
        "OBS_ID": "0999990101", "OBJECT": "Test", **keywords,
    })  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def _energy_columns() -> list[fits.Column]:
    return [
        fits.Column("ENERG_LO", "E", unit="keV", array=ENERGIES[:-1]),
        fits.Column("ENERG_HI", "E", unit="keV", array=ENERGIES[1:]),
    ]


def _write_response(path: Path) -> None:
    rows = matrix()
    first = np.array([int(np.flatnonzero(row)[0]) for row in rows])
    values = np.array([row[start : start + 3] for row, start in zip(rows, first, strict=True)])
    table = fits.BinTableHDU.from_columns(
        [
            *_energy_columns(),
            fits.Column("N_GRP", "I", array=np.ones(first.size, int)),
            fits.Column("F_CHAN", "1I", array=first[:, None]),
            fits.Column("N_CHAN", "1I", array=np.full((first.size, 1), 3)),
            fits.Column("MATRIX", "3E", array=values),
        ],
        name="MATRIX",
    )
    table.header.update({
        "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Medium", "HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE",
        "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "REDIST", "CHANTYPE": "PI", "DETCHANS": CHANNELS, "TLMIN4": 0,
        "TLMAX4": CHANNELS - 1,
    })  # fmt: skip
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(CHANNELS)),
            fits.Column("E_MIN", "E", unit="keV", array=EDGES[:-1]),
            fits.Column("E_MAX", "E", unit="keV", array=EDGES[1:]),
        ],
        name="EBOUNDS",
    )
    bounds.header.update({"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "EBOUNDS", "DETCHANS": CHANNELS})
    fits.HDUList([fits.PrimaryHDU(), table, bounds]).writeto(path, overwrite=True)


def _write_area(path: Path) -> None:
    table = fits.BinTableHDU.from_columns(
        [*_energy_columns(), fits.Column("SPECRESP", "E", unit="cm**2", array=effective_area())], name="SPECRESP"
    )
    table.header.update({
        "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Medium", "HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE",
        "HDUCLAS2": "SPECRESP",
    })  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
