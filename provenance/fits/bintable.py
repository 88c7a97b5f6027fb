"""The columns of a small binary table, read from the bytes of a FITS file.

For the tables that describe a product (good time intervals, regions): whole columns of numbers and texts, unscaled.
"""

from __future__ import annotations

import re
from typing import IO, Any, Final

import numpy as np

from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards

MAX_BYTES: Final = 64 * 1024**2
"""The largest table that is read."""

_FORM: Final = re.compile(r"(\d*)([ABDEIJKL])\w*")
_TYPES: Final = {"B": "u1", "D": ">f8", "E": ">f4", "I": ">i2", "J": ">i4", "K": ">i8", "L": "S1"}

Array = np.ndarray[Any, np.dtype[Any]]


def read(stream: IO[bytes], hdu: Hdu, *names: str) -> dict[str, Array] | None:
    """The named columns (in capitals), shape (rows,) or (rows, items), texts as bytes; None where it cannot be read.

    A column that the table does not have is not in the answer. Never raises for what the file holds.
    """
    layout = _layout(Cards(hdu.cards)) if hdu.kind == "BINTABLE" else None
    if layout is None:
        return None
    row, rows = layout
    if row.itemsize * rows > MAX_BYTES:
        return None
    stream.seek(hdu.data)
    data = stream.read(row.itemsize * rows)
    if len(data) < row.itemsize * rows:
        return None
    table = np.frombuffer(data, dtype=row)
    there = {name.upper(): name for name in reversed(row.names or ())}
    return {name: table[there[name]] for name in names if name in there}


def _layout(cards: Cards) -> tuple[np.dtype[Any], int] | None:
    """The type of a row and how many there are; None for columns that this module does not read, or scaled ones."""
    width, rows, count = cards.count("NAXIS1"), cards.count("NAXIS2"), cards.count("TFIELDS")
    if not width or rows is None or not count or count > 999:
        return None
    names, formats, offsets, at = [], [], [], 0
    for number in range(1, count + 1):
        match = _FORM.fullmatch(cards.text(f"TFORM{number}"))
        if match is None or cards.number(f"TSCAL{number}") not in (None, 1.0) or cards.number(f"TZERO{number}"):
            return None
        items, kind = int(match[1] or 1), match[2]
        type_ = np.dtype(f"S{items}") if kind == "A" else np.dtype((_TYPES[kind], (items,) if items != 1 else ()))
        name = cards.text(f"TTYPE{number}") or f"column {number}"
        if type_.itemsize and name not in names:
            names.append(name)
            formats.append(type_)
            offsets.append(at)
        at += type_.itemsize
    if at != width:
        return None
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": width}), rows
