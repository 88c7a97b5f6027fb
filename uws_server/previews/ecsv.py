"""Reads the first rows of a table of text (ECSV) for a page that shows it. Imports nothing of the house."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

OPENING: Final = b"# %ECSV"
MOST_ROWS: Final = 50
MOST_COLUMNS: Final = 24
_MOST_BYTES: Final = 200_000
_ERROR: Final = "_error"
"""A column of this ending holds the errors of the column before it."""


@dataclass(frozen=True)
class ShownColumn:
    """The heading of a column as a page shows it, and whether there are numbers below."""

    name: str
    unit: str
    is_number: bool


@dataclass(frozen=True)
class ShownTable:
    """The first rows of a table as texts, of `total` in the file, and how many columns are left out."""

    columns: tuple[ShownColumn, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    left_out: int = 0


def read(path: Path) -> ShownTable | None:
    """Return the first rows of a table, with errors in the column that they belong to; None for one that is none."""
    # here: a server shows other pages without
    from astropy.table import Table
    from astropy.table.meta import YamlParseError

    head, total = _head(path)
    try:
        table = Table.read(head.splitlines(), format="ascii.ecsv")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, YamlParseError):
        return None
    errors = {name for name, other in itertools.pairwise(table.colnames) if other == name + _ERROR}
    names = [name for name in table.colnames if name.removesuffix(_ERROR) not in errors or not name.endswith(_ERROR)]
    columns, cells = [], []
    for name in names[:MOST_COLUMNS]:
        column = table[name]
        is_number = bool(column.dtype.kind in "iuf" and column.ndim == 1)
        texts = [_text(value) for value in column]
        if name in errors:
            texts = [f"{text} ± {_text(error, 2)}" if text and _text(error) else text
                     for text, error in zip(texts, table[name + _ERROR], strict=True)]  # fmt: skip
        columns.append(ShownColumn(name.replace("_", " "), str(column.unit or ""), is_number))
        cells.append(texts)
    rows = tuple(zip(*cells, strict=True))
    return ShownTable(tuple(columns), rows, max(total, len(rows)), max(0, len(names) - MOST_COLUMNS))


def _head(path: Path) -> tuple[str, int]:
    """Return the lines that tell of the columns with the first rows, and how many rows there are."""
    kept: list[bytes] = []
    rows, size = -1, 0  # -1: the line of the names comes first
    with path.open("rb") as stream:
        for line in stream:
            rows += not line.startswith(b"#")
            if rows <= MOST_ROWS and size + len(line) <= _MOST_BYTES:
                kept.append(line)
                size += len(line)
    return b"".join(kept).decode("utf-8", "replace"), rows


def _text(value: object, digits: int = 5) -> str:
    """Return a cell as text; '' for none, and for a number that is none."""
    if value is np.ma.masked:
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}" if np.isfinite(value) else ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return "".join(letter for letter in str(value)[:200] if letter.isprintable())
