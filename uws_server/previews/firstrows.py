"""The first rows of a table that is drawn in no other way, as text. Imports the libraries only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import bintable
from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu

MOST_ROWS: Final = 12
MOST_COLUMNS: Final = 8
_ITEMS: Final = 3
"""Items of a cell with several numbers that are shown."""

_WIDEST: Final = 24


def first_rows(path: Path, hdu: Hdu) -> str:
    """Return the first rows of a table as text: how many there are, names and units of its columns, and their values.

    Raises FitsError for a table that cannot be read.
    """
    table = bintable.table(hdu, path.name)
    columns = list(table.columns.values())[:MOST_COLUMNS]
    more = len(table.columns) - len(columns)
    plural = "" if table.rows == 1 else "s"
    heading = f"{hdu.title}: {table.rows:,} row{plural}{f', {more} further columns' if more > 0 else ''}"
    if not table.rows or not columns:
        return heading
    rows = next(iter(table.chunks(path, MOST_ROWS * table.dtype.itemsize)))
    cells = [[_name(column), *_texts(column, rows)] for column in columns]
    widths = [max(len(text) for text in texts) for texts in cells]
    lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
             for line in zip(*cells, strict=True)]  # fmt: skip
    return "\n".join([heading, *lines, *(["…"] if table.rows > len(rows) else [])])


def _name(column: Column) -> str:
    unit = "".join(letter for letter in column.unit.strip()[:10] if letter.isprintable())
    return f"{column.name[:_WIDEST]}{f' [{unit}]' if unit else ''}"


def _texts(column: Column, rows: Rows) -> list[str]:
    """Return the values of a column as text; '' where there is none."""
    if column.letter in "PQ":
        return [f"{int(count)} items" for count in column.values(rows).reshape(len(rows), -1)[:, 0]]
    valid = column.valid(rows)
    known: npt.NDArray[np.bool_] = np.ones(len(rows), dtype=np.bool_)
    if valid is not None:
        known = np.logical_or.reduce(valid.reshape(len(rows), -1), axis=1)
    return [_text(value) if shown else "" for value, shown in zip(column.values(rows), known, strict=True)]


def _text(value: Any) -> str:
    """Return a cell as text, of many items the first ones."""
    if isinstance(value, np.ndarray):
        items = [_text(item) for item in value.ravel()[:_ITEMS]]
        return ", ".join([*items, *(["…"] if value.size > _ITEMS else [])])
    if isinstance(value, bytes):
        text = value.decode("ascii", "replace").rstrip()
        return "".join(letter if letter.isprintable() else "?" for letter in text)[:_WIDEST]
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.10g}"
    return str(value)
