"""Files of the point spread function in the layout of XMM-Newton's current calibration files, as it is documented.

No real file is here: they are written by astropy after the Calibration Access and Data Handbook and the programs that
read real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from reduction.instruments.psf import CORE, SLOPE

Floats = npt.NDArray[np.float64]

SCOPES = {"EMOS1": "XRT1", "EMOS2": "XRT2", "EPN": "XRT3"}
ENERGIES_EV = (0.0, 100.0, 1500.0, 3000.0, 4500.0, 6000.0, 7500.0, 8000.0)
"""Energies of a table; those of XRT1_XPSF_0005.CCF go on to 12 keV."""
ANGLES_ARCMIN = (0.0, 3.0, 6.0, 9.0, 10.0)


def king_rows(
    camera: str, energies_ev: tuple[float, ...] = ENERGIES_EV, angles_arcmin: tuple[float, ...] = ANGLES_ARCMIN,
    wider: float = 1.0,
) -> dict[str, Floats]:  # fmt: skip
    """Return the columns of a table with the built-in profiles of a camera, their core radii `wider` times as large."""
    energy, angle = (axis.ravel() for axis in np.meshgrid(energies_ev, angles_arcmin, indexing="ij"))
    core, slope = (a + b * energy / 1000 + c * angle + d * energy / 1000 * angle
                   for a, b, c, d in (CORE[camera], SLOPE[camera]))  # fmt: skip
    return {"ENERGY": energy, "THETA": np.radians(angle / 60), "PARAMS": np.stack((core * wider, slope), axis=1)}


def write_ccf(
    folder: Path, camera: str = "EPN", issue: int = 18, rows: Mapping[str, Any] | None = None,
    units: Mapping[str, str] | None = None, name: str = "", extname: str = "KING_PARAMS", **cards: Any,
) -> Path:  # fmt: skip
    """Write a file of the point spread function of a camera, and return its path.

    `rows` are the columns of its table, `units` the units that it states, `cards` keywords of its primary header.
    """
    folder.mkdir(exist_ok=True)
    scope = SCOPES[camera]
    known = {"TELESCOP": "XMM", "SCOPE": scope, "TYPEID": "XPSF", "ISSUE": issue, "VALDATE": "2000-01-01T00:00:00"}
    primary = fits.PrimaryHDU()
    primary.header.update({key: value for key, value in (known | cards).items() if value is not None})
    stated = {"ENERGY": "eV", "THETA": "rad"} if units is None else units
    columns = []
    for key, values in (king_rows(camera) if rows is None else rows).items():
        array = np.asarray(values)
        form = "8A" if array.dtype.kind == "S" else f"{array[0].size if len(array) else 2}E"
        columns.append(fits.Column(key, form, unit=stated.get(key), array=array))
    table = fits.BinTableHDU.from_columns(columns, name=extname)
    picture = fits.ImageHDU(np.ones((8, 8), np.float32), name="1500eV_03armin")
    path = folder / (name or f"{scope}_XPSF_{issue:04d}.CCF")
    fits.HDUList([primary, table, picture]).writeto(path)
    return path
