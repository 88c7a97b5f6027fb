"""Reads the first table of a FITS file in pieces. Imports its neighbours and astropy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits

from uws_server.errors import BadRequest, first_line
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import BATCH, Batch, FileTable, plain_value

_TYPES: Final = {"L": "boolean", "B": "unsignedByte", "I": "short", "J": "int", "K": "long", "E": "float",
                 "D": "double"}  # fmt: skip
_PART: Final = 1 << 25
"""Bytes of a table for which a file stays open."""


def fits_table(path: Path, name: str) -> FileTable:
    """Return the first table of a FITS file. Raise BadRequest if it has none, or cannot be read."""
    try:
        with fits.open(path, memmap=True) as hdus:
            number = next((at for at, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)), -1)
            if number < 0:
                raise BadRequest(f"{name}: this FITS file has no table")
            columns = tuple(_column(hdus[number], at) for at in range(len(hdus[number].columns)))
    except BadRequest:
        raise
    except Exception as error:
        raise BadRequest(f"{name}: this is no readable FITS table: {first_line(error)}") from error
    return FileTable(columns, lambda: _batches(path, name, number))


def _column(hdu: Any, at: int) -> ColumnDescription:
    column, header = hdu.columns[at], hdu.header
    form = re.fullmatch(r"(\d*)([A-Z])(.*)", str(column.format).strip()) if isinstance(hdu, fits.BinTableHDU) else None
    about = str(header.comments[f"TTYPE{at + 1}"]) or None
    described = {"unit": column.unit or None, "ucd": header.get(f"TUCD{at + 1}") or None, "description": about}
    if form is None:  # of an ASCII table: A, I, F, E or D
        letter = str(column.format).strip()[:1]
        kind = {"I": "long", "F": "double", "E": "double", "D": "double"}.get(letter)
        return ColumnDescription(column.name, kind or "unicodeChar", None if kind else "*", **described)
    count, letter = int(form[1] or 1), form[2]
    if letter == "A" or letter not in _TYPES:
        return ColumnDescription(column.name, "unicodeChar", "*", **described)
    if column.bscale not in (None, "", 1) or column.bzero not in (None, "", 0):
        kind = "long" if letter in "BIJK" and column.bscale in (None, "", 1) else "double"
    else:
        kind = _TYPES[letter]
    return ColumnDescription(column.name, kind, None if count == 1 else str(count), **described)


def _batches(path: Path, name: str, number: int) -> Iterator[Batch]:
    """Yield the rows of a table; the file is opened anew for each part, so that its pages do not stay in memory."""
    first, total = 0, 1
    try:
        while first < total:
            with fits.open(path, memmap=True) as hdus:
                hdu: Any = hdus[number]
                nulls = [_null(column) for column in hdu.columns]
                total = len(hdu.data) if hdu.data is not None else 0
                until = min(total, first + max(1, _PART // max(1, hdu.header["NAXIS1"] * BATCH)) * BATCH)
                for start in range(first, until, BATCH):
                    part = hdu.data[start : min(until, start + BATCH)]
                    cells = [_cells(part.field(at), nulls[at]) for at in range(len(nulls))]
                    yield list(zip(*cells, strict=True))
                first = until
    except (OSError, ValueError, TypeError, IndexError, KeyError) as error:
        raise BadRequest(f"{name}: the rows of this FITS table cannot be read: {first_line(error)}") from error


def _null(column: Any) -> Any:
    return None if column.null in (None, "") else column.null


def _cells(values: Any, null: Any) -> list[Any]:
    if getattr(values, "ndim", 1) > 1:
        return [" ".join(map(str, each.ravel().tolist())) for each in values]
    if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
        raise ValueError(f"{int(values.max())} is not below 2**63, the most that a database holds")
    found: list[Any] = values.tolist()
    if values.dtype.kind not in "iuf":
        return [_cell(value, null) for value in found]
    is_null = np.isnan(values) if values.dtype.kind == "f" else values == null
    for at in np.flatnonzero(is_null) if null is not None or values.dtype.kind == "f" else ():
        found[at] = None
    return found


def _cell(value: Any, null: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.rstrip().replace("\0", "") or None
    if isinstance(value, int | float | bool):
        return None if null is not None and value == null else plain_value(value)
    return None if value is None else str(value)
