"""Writes ObsCore rows as a plain table, CSV, TSV, JSON or FITS, piece by piece, however many rows there are.

Next to `table`, which writes the formats that hold all of a column's metadata as IVOA has them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Any, Final

from provenance.obscore.columns import Column
from provenance.obscore.row import ALL_COLUMNS, Value
from provenance.obscore.table import (
    BATCH,
    OBSCORE,
    VOTABLE_TYPES,
    About,
    Columns,
    Row,
    unit_of,
    written_in_batches,
)

CSV_MIME: Final = "text/csv"
TSV_MIME: Final = "text/tab-separated-values"
JSON_MIME: Final = "application/json"
FITS_MIME: Final = "application/fits"

_NULL: Final = -(2**31)
"""What stands for an integer that is not known in FITS (TNULL)."""
_NUMBERS: Final = {"INTEGER": ("K", ">i8"), "BIGINT": ("K", ">i8"), "DOUBLE": ("D", ">f8")}
"""The TFORM and the numpy type of each numeric type; an INTEGER could be the null of a 32-bit column."""
_BLOCK: Final = 2880


def delimited(rows: Iterable[Row], most: int | None, delimiter: str, columns: Columns = ALL_COLUMNS) -> Iterator[bytes]:
    """Write rows as CSV (RFC 4180) or TSV, with a line of names; what is not known is empty.

    Parameters
    ----------
    rows
        The rows, by column name.
    most
        The most rows to write; None for all.
    delimiter
        A comma, or a tab: texts then have blanks in place of their tabs and line ends.
    columns
        The columns of the table.

    Yields
    ------
    bytes
        The table in UTF-8, piece by piece.
    """
    names = [column.name for column in columns]
    write = _csv_line if delimiter == "," else _tsv_line
    yield write(names).encode()
    yield from written_in_batches(iter(rows), most, lambda row: write([row.get(name) for name in names]))


def json_table(rows: Iterable[Row], most: int | None = None, columns: Columns = ALL_COLUMNS) -> Iterator[bytes]:
    """Write rows as a JSON object: `metadata`, an object for each column, and `data`, a list for each row.

    Parameters
    ----------
    rows
        The rows, by column name.
    most
        The most rows to write; None for all.
    columns
        The columns of the table.

    Yields
    ------
    bytes
        The document, piece by piece; what is not known is null.
    """
    names = [column.name for column in columns]
    yield f'{{"metadata": {json.dumps([_metadata(column) for column in columns])},\n"data": ['.encode()
    begin = "\n"
    for row in islice(iter(rows), most):
        yield (begin + json.dumps([row.get(name) for name in names], allow_nan=False)).encode()
        begin = ",\n"
    yield b"\n]}\n"


def fits_table(
    rows: Iterable[Row], most: int | None = None, columns: Columns = ALL_COLUMNS, about: About = OBSCORE
) -> Iterator[bytes]:
    """Write rows as a FITS binary table.

    The rows wait in a temporary file: how many there are, and how wide their texts, stands in the header, before them.

    Parameters
    ----------
    rows
        The rows, by column name.
    most
        The most rows to write; None for all.
    columns
        The columns of the table.
    about
        What the table says of itself: its name is that of the extension.

    Yields
    ------
    bytes
        The file, piece by piece; what is not known is NaN, the TNULL of the column, or an empty text. Texts are in
        ASCII, with a question mark for any other character.
    """
    import numpy as np  # here: the other formats do without

    with tempfile.TemporaryFile("w+b") as waiting:
        count, widths = _store(rows, most, columns, waiting)
        dtype = np.dtype([(column.name, _dtype(column, widths)) for column in columns])
        yield _fits_head(columns, widths, count, dtype.itemsize, about)
        waiting.seek(0)
        while batch := list(islice(waiting, BATCH)):
            cells = [tuple(map(_cell, columns, json.loads(line))) for line in batch]
            yield np.array(cells, dtype).tobytes()
        yield bytes(-count * dtype.itemsize % _BLOCK)


def _csv_line(cells: Sequence[Value | None]) -> str:
    """Cells as a line of CSV, quoted where they must be."""
    written = io.StringIO(newline="")
    csv.writer(written).writerow(cells)
    return written.getvalue()


def _tsv_line(cells: Sequence[Value | None]) -> str:
    """Cells as a line of TSV, which has no quotes: blanks stand for their tabs and line ends."""
    return "\t".join("" if cell is None else " ".join(str(cell).split()) for cell in cells) + "\r\n"


def _metadata(column: Column) -> dict[str, str]:
    """What a column is, by the words of VOTable."""
    found = {
        "name": column.name,
        "datatype": VOTABLE_TYPES.get(column.adql, "char"),
        "unit": unit_of(column),
        "ucd": column.ucd,
        "utype": column.utype,
        "description": column.description,
    }
    return {name: text for name, text in found.items() if text}


def _store(rows: Iterable[Row], most: int | None, columns: Columns, waiting: IO[bytes]) -> tuple[int, dict[str, int]]:
    """Write each row as a line; return how many there are and the width of each text in bytes."""
    widths = {column.name: 1 for column in columns if column.adql not in _NUMBERS}
    count = 0
    for row in islice(iter(rows), most):
        values = [row.get(column.name) for column in columns]
        for column, value in zip(columns, values, strict=True):
            if value is not None and column.name in widths:
                widths[column.name] = max(widths[column.name], len(str(value)))
        waiting.write(json.dumps(values).encode() + b"\n")
        count += 1
    return count, widths


def _dtype(column: Column, widths: dict[str, int]) -> str:
    """The numpy type of a column's cells."""
    return _NUMBERS[column.adql][1] if column.adql in _NUMBERS else f"S{widths[column.name]}"


def _cell(column: Column, value: Value | None) -> Any:
    """A value as its cell holds it."""
    if column.adql not in _NUMBERS:
        return "" if value is None else str(value).encode("ascii", "replace")
    if value is None:
        return math.nan if column.adql == "DOUBLE" else _NULL
    return value


def _fits_head(columns: Columns, widths: dict[str, int], count: int, row_bytes: int, about: About) -> bytes:
    """Everything before the first row: an empty primary HDU and the header of the table."""
    from astropy.io import fits  # here: the other formats do without

    header = fits.Header(
        [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", row_bytes), ("NAXIS2", count),
         ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", len(columns)), ("EXTNAME", about.name.upper())]
    )  # fmt: skip
    for number, column in enumerate(columns, start=1):
        header[f"TTYPE{number}"] = (column.name, column.description[:40])
        kind = _NUMBERS.get(column.adql)
        header[f"TFORM{number}"] = kind[0] if kind else f"{widths[column.name]}A"
        if unit := unit_of(column):
            header[f"TUNIT{number}"] = unit
        if kind and kind[0] == "K":
            header[f"TNULL{number}"] = _NULL
        if column.ucd:
            header[f"TUCD{number}"] = column.ucd
    primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    return f"{primary.tostring()}{header.tostring()}".encode("ascii")
