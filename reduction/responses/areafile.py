"""Ancillary responses as OGIP ARF files (CAL/GEN/92-002)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.errors import ReductionError
from reduction.events import fitswrite
from reduction.events.fitswrite import Cards, TableColumn
from reduction.responses import files
from reduction.responses.area import EffectiveArea

CM2 = {"": 1.0, "cm2": 1.0, "cm**2": 1.0, "cm^2": 1.0, "m2": 1e4, "m**2": 1e4, "m^2": 1e4}
"""Units of area as files write them, in cm2."""


def read_effective_area(path: Path, parameter: str = "arf") -> EffectiveArea:
    """Read an ARF file.

    Parameters
    ----------
    path
        The file, plain or gzipped.
    parameter
        Job parameter named in errors.

    Returns
    -------
    EffectiveArea
        Effective area in cm2 by photon energy in keV.

    Raises
    ------
    ReductionError
        No FITS file, no table of effective area, energies that do not ascend, units or values that mean nothing.
    """
    with files.opened(path, parameter) as file:
        hdu, table = files.find_table(file, ("SPECRESP",), ("SPECRESP",), "ancillary response (ARF)")
        grid = files.energy_grid(file, table)
        (area,) = files.numbers(file, table, "SPECRESP")
        unit = table.columns["SPECRESP"].unit.strip()
        if unit.lower() not in CM2:
            raise ReductionError(f"column SPECRESP of {table.title} is in {unit[:20]!r}; areas are read in cm2 and m2",
                                 parameter)  # fmt: skip
        with files.naming(file):
            return EffectiveArea(grid, area * CM2[unit.lower()], files.camera_of(hdu))


def write_effective_area(path: Path, area: EffectiveArea, more: Cards | None = None) -> None:
    """Write an ARF file, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    area
        Effective area by photon energy.
    more
        Further keywords of both headers: the observation, how the area was made.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    columns = [
        *files.energy_columns(area.energies),
        TableColumn("SPECRESP", area.area_cm2.astype(np.float32), "cm2", "effective area"),
    ]
    cards: Cards = [
        *files.camera_cards(area.camera),
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "RESPONSE", "File contains a response"),
        ("HDUCLAS2", "SPECRESP", "effective area"),
        ("HDUVERS", "1.1.0", "Version of format (CAL/GEN/92-002a)"),
        ("HDUVERS1", "1.0.0", "Version of format, for older readers"),
        ("HDUVERS2", "1.1.0", "Version of format, for older readers"),
        ("ARFVERSN", "1992a", "Version of format, for older readers"),
        *(more or []),
    ]
    write_bytes(path, files.primary(area.camera, more or []) + fitswrite.table("SPECRESP", columns, cards))
