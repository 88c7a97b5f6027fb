"""The nominal energies of channels, from the table EBOUNDS of a response.

Source: CAL/GEN/92-002, section 3.2. Energies may run down with the channels, as those of gratings do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import bintable
from provenance.fits.hdus import Hdu
from provenance.fits.pha import KEV_ANGSTROM
from provenance.text.errors import FitsError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_KEV: Final = {"": 1.0, "kev": 1.0, "ev": 1e-3}
"""How many keV a unit is; without one it is keV."""


@dataclass(frozen=True)
class Bounds:
    """Lower and upper energy (keV) of some channels, shape (n,) each, in the order of the table."""

    channel: Integers
    low: Floats
    high: Floats

    def of(self, channel: Integers) -> tuple[Floats, Floats] | None:
        """Return lower and upper energies of these channels, shape like `channel`; None if one of them is not here."""
        if not self.channel.size:
            return None
        order = np.argsort(self.channel)
        place = order[np.minimum(np.searchsorted(self.channel, channel, sorter=order), self.channel.size - 1)]
        return (self.low[place], self.high[place]) if np.array_equal(self.channel[place], channel) else None


def is_ebounds(hdu: Hdu) -> bool:
    """Tell whether an HDU is the table of the channels' energies: by its name, or by HDUCLAS2."""
    return hdu.is_table and (hdu.name == "EBOUNDS" or str(hdu.cards.get("HDUCLAS2") or "").strip().upper() == "EBOUNDS")


def read(stream: IO[bytes], hdu: Hdu, file: str = "the file") -> Bounds:
    """Read the energies of channels.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdu
        The table.
    file
        What the file is called in errors.

    Returns
    -------
    Bounds
        Channels and energies; the lower one of a channel is the lower of E_MIN and E_MAX, or that of the longer
        wavelength.

    Raises
    ------
    FitsError
        The table has no columns CHANNEL, E_MIN and E_MAX of numbers in a unit that is known, or cannot be read.
    """
    table = bintable.table(hdu, file)
    columns = [table.columns.get(name) for name in ("CHANNEL", "E_MIN", "E_MAX")]
    if any(column is None or not column.is_number for column in columns):
        raise FitsError(f"{table.title} has no columns CHANNEL, E_MIN and E_MAX of numbers")
    rows = table.read(stream)
    channel, *edges = (column.floats(rows) for column in columns if column is not None)
    unit = table.columns["E_MIN"].unit.strip().lower()
    if unit == "angstrom":
        edges = [KEV_ANGSTROM / np.where(edge > 0, edge, np.nan) for edge in edges]
    elif unit in _KEV:
        edges = [_KEV[unit] * edge for edge in edges]
    else:
        raise FitsError(f"{table.title} is in {unit[:20]}; energies are read in keV, eV or Angstrom")
    if not all(np.isfinite(numbers).all() for numbers in (channel, *edges)):
        raise FitsError(f"{table.title} has energies that are no numbers")
    return Bounds(channel.astype(np.int64), np.minimum(*edges), np.maximum(*edges))
