"""A FITS binary table: how many rows there are and how wide their texts stands before them, so that they wait in a
temporary file. Imports its neighbours and numpy.
"""

from __future__ import annotations

import marshal
import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import numpy as np

from uws_server.tap.formats.answer import Answer
from uws_server.tap.tables import ColumnDescription

_NUMBERS: Final = {"short": ("J", ">i4"), "int": ("K", ">i8"), "long": ("K", ">i8"), "unsignedByte": ("I", ">i2"),
                   "float": ("E", ">f4"), "double": ("D", ">f8"), "boolean": ("L", "S1")}  # fmt: skip
"""The TFORM and the numpy type of each datatype; an integer has room for a TNULL that is none of its values."""
_NULL: Final = -(2**31)
_LONG_NULL: Final = -(2**63)
_BLOCK: Final = 2880


def fits_table(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as FITS. What is null is NaN, the TNULL of the column, or an empty text; texts are in ASCII."""
    with tempfile.TemporaryFile("w+b") as waiting:
        count, widths = _store(answer, waiting)
        if answer.failed:
            raise RuntimeError(answer.failed)
        kinds = [
            (f"f{number}", _kind(column, widths[number - 1])) for number, column in enumerate(answer.columns, start=1)
        ]
        layout = np.dtype(kinds)
        yield _head(answer, widths, count, layout.itemsize)
        waiting.seek(0)
        while waiting.tell() < _end(waiting):
            yield _encoded(answer.columns, layout, marshal.load(waiting))
        yield bytes(-count * layout.itemsize % _BLOCK)


def _end(waiting: IO[bytes]) -> int:
    place = waiting.tell()
    end = waiting.seek(0, 2)
    waiting.seek(place)
    return end


def _store(answer: Answer, waiting: IO[bytes]) -> tuple[int, list[int]]:
    """Write the rows to a file; return how many there are and the width of each text in bytes."""
    widths, count = [1] * len(answer.columns), 0
    texts = [number for number, column in enumerate(answer.columns) if not _is_number(column)]
    for batch in answer.batches():
        marshal.dump([tuple(row) for row in batch], waiting)
        count += len(batch)
        for number in texts:
            widths[number] = max(
                widths[number], *(len(str(row[number])) for row in batch if row[number] is not None), 1
            )
    return count, widths


def _is_number(column: ColumnDescription) -> bool:
    return column.datatype in _NUMBERS and not column.arraysize


def _kind(column: ColumnDescription, width: int) -> str:
    return _NUMBERS[column.datatype][1] if _is_number(column) else f"S{width}"


def _encoded(columns: Sequence[ColumnDescription], layout: np.dtype[Any], batch: Sequence[Sequence[Any]]) -> bytes:
    table = np.zeros(len(batch), layout)
    for number, (column, values) in enumerate(zip(columns, zip(*batch, strict=True), strict=True), start=1):
        table[f"f{number}"] = [_cell(column, value) for value in values]
    return table.tobytes()


def _cell(column: ColumnDescription, value: Any) -> Any:
    """Return a value as its cell holds it."""
    if not _is_number(column):
        return b"" if value is None else str(value).encode("ascii", "replace")
    if column.datatype == "boolean":
        return b"\0" if value is None else b"T" if value else b"F"
    if value is None:
        return math.nan if column.datatype in ("float", "double") else _null(column)
    return value


def _null(column: ColumnDescription) -> int:
    return _LONG_NULL if column.datatype in ("int", "long") else _NULL if column.datatype == "short" else -1


def _head(answer: Answer, widths: Sequence[int], count: int, row_bytes: int) -> bytes:
    """Return everything before the first row: an empty primary HDU and the header of the table."""
    from astropy.io import fits  # here: it is large, and the other formats do without

    header = fits.Header(
        [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", row_bytes), ("NAXIS2", count),
         ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", len(answer.columns)), ("EXTNAME", "RESULT"),
         ("OVERFLOW", answer.overflowed, "whether MAXREC cut the table off")]
    )  # fmt: skip
    for number, column in enumerate(answer.columns, start=1):
        header[f"TTYPE{number}"] = (_ascii(column.name)[:68], _ascii(column.description)[:40])
        form = _NUMBERS[column.datatype][0] if _is_number(column) else f"{widths[number - 1]}A"
        header[f"TFORM{number}"] = form
        if form in ("I", "J", "K"):
            header[f"TNULL{number}"] = _null(column)
        for keyword, text in (("TUNIT", column.unit), ("TUCD", column.ucd)):
            if text:
                header[f"{keyword}{number}"] = _ascii(text)[:68]
    primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    return f"{primary.tostring()}{header.tostring()}".encode("ascii")


def _ascii(text: str | None) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text or "")
