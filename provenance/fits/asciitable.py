"""ASCII tables: their columns, and the numbers in them, of a small table read whole.

Source: FITS Standard 4.0, section 7.2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import hdus
from provenance.fits.bintable import MAX_BYTES, MAX_ROWS
from provenance.fits.columns import MAX_ROW
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards, numeral
from provenance.text.errors import FitsError

Lines = tuple[bytes, ...]
"""The rows of a table as they lie in the file."""

_FORM: Final = re.compile(r"\s*([AIFED])(\d{1,4})(?:\.(\d{1,3}))?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class TextColumn:
    """One column of an ASCII table: `width` characters of a row from `start` on, counted from 0.

    Of a number without a decimal point the last `decimals` digits are behind it. A value is ``zero + scale * number``;
    a field that is blank, or the text `null`, holds none.
    """

    name: str
    form: str
    start: int
    width: int
    letter: str
    decimals: int
    scale: float
    zero: float
    null: str
    unit: str

    @property
    def is_number(self) -> bool:
        """Whether a field is a number."""
        return self.letter != "A"

    @property
    def kind(self) -> str:
        """What the column holds, in words."""
        return "numbers" if self.is_number else "text"

    def floats(self, rows: Lines) -> npt.NDArray[np.float64]:
        """Return the values of a column of numbers, shape (n,); NaN where there is none."""
        return np.array([self._value(row[self.start : self.start + self.width]) for row in rows], dtype=np.float64)

    def _value(self, field: bytes) -> float:
        text = field.decode("ascii", errors="replace").strip()
        number = None if text == self.null else numeral(text)
        if number is None:
            return math.nan
        if self.letter != "I" and "." not in text:
            number /= 10.0**self.decimals
        return self.zero + self.scale * number


@dataclass(frozen=True)
class TextTable:
    """An ASCII table: where its rows lie, and its columns by name in capitals, the first of a name that stands twice.

    `title` is what the table is called in errors, `file` the name of its file.
    """

    title: str
    file: str
    data: int
    rows: int
    width: int
    columns: Mapping[str, TextColumn]

    def read(self, stream: IO[bytes]) -> Lines:
        """Read all rows. Raise FitsError if the table is larger than MAX_BYTES or not all there."""
        size = self.rows * self.width
        if size > MAX_BYTES:
            raise FitsError(f"{self.title} has {self.rows} rows of {self.width} bytes; at most {MAX_BYTES} are read")
        stream.seek(self.data)
        data = stream.read(size)
        if len(data) < size:
            raise FitsError(f"{self.file} ends inside {self.title}: the file changed while it was read")
        return tuple(data[at : at + self.width] for at in range(0, size, self.width))

    def floats(self, stream: IO[bytes], names: Iterable[str]) -> list[npt.NDArray[np.float64]]:
        """Read some columns of numbers, named in capitals, as `read` does; NaN where there is no value."""
        rows = self.read(stream)
        return [self.columns[name].floats(rows) for name in names]


def table(hdu: Hdu, file: str = "the file") -> TextTable:
    """Read from its header what an ASCII table holds.

    `file` is what the file is called in errors. Raises FitsError if this is no ASCII table, or a column of it has no
    TBCOLn or TFORMn of the standard.
    """
    title = f"table {hdu.name or hdu.index} of {file}"
    try:
        if hdu.kind != "TABLE" or hdus.whole(hdu, "NAXIS", 0, 999) != 2:
            raise FitsError("is not an ASCII table")
        width = hdus.whole(hdu, "NAXIS1", 1, MAX_ROW)
        rows = hdus.whole(hdu, "NAXIS2", 0, MAX_ROWS)
        count = hdus.whole(hdu, "TFIELDS", 1, 999)
    except FitsError as error:
        raise FitsError(f"{title} {error}") from error
    header = Cards(hdu.cards)
    found = [_column(header, index, title) for index in range(1, count + 1)]
    return TextTable(title, file, hdu.data, rows, width, {column.name.upper(): column for column in reversed(found)})


def _column(header: Cards, index: int, where: str) -> TextColumn:
    """Read what a header says of a column. Raise FitsError."""
    name, form = header.text(f"TTYPE{index}"), header.text(f"TFORM{index}")
    found, first = _FORM.fullmatch(form), header.count(f"TBCOL{index}")
    if found is None or not first:
        raise FitsError(f"column {name or index} of {where} has TFORM {form[:20]!r} and TBCOL {first}; a format such "
                        "as F15.3 and the number of its first character are expected")  # fmt: skip
    scale, zero = header.number(f"TSCAL{index}"), header.number(f"TZERO{index}")
    return TextColumn(name, form.strip(), first - 1, int(found[2]), found[1].upper(), int(found[3] or 0),
                      1.0 if scale is None else scale, zero or 0.0, header.text(f"TNULL{index}"),
                      header.text(f"TUNIT{index}"))  # fmt: skip
