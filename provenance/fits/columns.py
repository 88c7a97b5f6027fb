"""One column of a binary table: what its TFORM means, and how stored numbers become values.

The only place where TSCAL, TZERO and TNULL are applied. Source: FITS Standard 4.0, section 7.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from provenance.fits.cards import Value
from provenance.fits.headers import Cards
from provenance.text.errors import FitsError

Rows = npt.NDArray[np.void]
"""Rows of a table as they lie in the file, shape (n,)."""

MAX_ROW: Final = 1024 * 1024
"""Widest row that is read, in bytes; EPIC events have 45."""

_TYPES: Final = {
    "L": "i1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "S", "E": ">f4", "D": ">f8",
    "C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8",
}  # fmt: skip
_WORDS: Final = {"L": "logical", "X": "bits", "A": "text", "C": "complex", "M": "complex", "P": "of variable length",
                 "Q": "of variable length"}  # fmt: skip
_FORM: Final = re.compile(r"\s*(\d{0,7})([LXBIJKAEDCMPQ])(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Column:
    """One column of a table: where its values are in a row and how they are scaled.

    `index` counts from 1 as in TTYPEn; `field` is the name of the column in `Table.dtype`; `letter` and `repeat` are
    those of TFORMn (TDIMn is not looked at), `items` the letter of what a column of variable length holds. A value is
    ``zero + scale * stored``; a stored integer equal to `null` is none.
    """

    name: str
    field: str
    index: int
    letter: str
    repeat: int
    dtype: np.dtype[Any]
    scale: float = 1.0
    zero: float = 0.0
    null: int | None = None
    unit: str = ""
    items: str = ""

    @cached_property
    def native(self) -> np.dtype[Any]:
        """The type of a stored number in native byte order."""
        return self.dtype.newbyteorder("=")

    @cached_property
    def scaled(self) -> bool:
        """Whether stored numbers differ from values."""
        return self.scale != 1.0 or self.zero != 0.0

    @cached_property
    def is_whole(self) -> bool:
        """Whether values are integers that are stored as they are, or but for a whole TZERO."""
        return self.dtype.kind in "iu" and self.scale == 1.0 and self.zero.is_integer()

    @property
    def is_number(self) -> bool:
        """Whether a cell is one real number."""
        return self.letter in "BIJKED" and self.repeat == 1

    @property
    def form(self) -> str:
        """The format of a cell, as TFORMn has it."""
        return f"{self.repeat}{self.letter}"

    @property
    def kind(self) -> str:
        """What the column holds, in words: numbers, text, logical, bits, complex, of variable length."""
        return _WORDS.get(self.letter, "numbers")

    def stored(self, rows: Rows) -> npt.NDArray[Any]:
        """Return a copy of the stored items of some rows in native byte order, shape (n,) or (n, items)."""
        raw = rows[self.field]
        items: npt.NDArray[Any] = raw.astype(self.native if raw.dtype == self.dtype else raw.dtype.newbyteorder("="))
        return items

    def values(self, rows: Rows) -> npt.NDArray[Any]:
        """Return the values of some rows in native byte order, shape (n,) or (n, repeat); bits always (n, repeat).

        Integers stay integers where the scaling allows, logical values and bits are booleans, texts bytes, arrays of
        variable length their descriptors (number of items, offset in the heap).
        """
        items = self.stored(rows)
        if self.letter == "L":
            return np.asarray(items == ord("T"))
        if self.letter == "X":
            bits = np.unpackbits(items.reshape(len(rows), -(-self.repeat // 8)), axis=1)
            return bits[:, : self.repeat].astype(np.bool_)
        if not self.scaled:
            return items
        if self.is_whole:
            return _offset(items, int(self.zero))
        if items.dtype.kind == "c":  # part by part: a complex product makes NaN of both parts where one is
            return (items.astype(np.complex128).view(np.float64) * self.scale).view(np.complex128) + self.zero
        return items.astype(np.float64) * self.scale + self.zero

    def valid(self, rows: Rows) -> npt.NDArray[np.bool_] | None:
        """Return which rows hold a value, shape (n,); None when all do because the column has no null."""
        return None if self.null is None else rows[self.field] != self.null

    def floats(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the values of a column of numbers, shape (n,) or (n, repeat); NaN where there is none."""
        values = self.values(rows).astype(np.float64, copy=False)
        valid = self.valid(rows)
        if valid is not None:
            values[~valid] = np.nan
        return values

    def whole(self, rows: Rows) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
        """Return the values of a column of numbers as integers, shape (n,), and which rows hold one; None for all.

        Scaled numbers and floats are rounded. What stands where there is no value means nothing.
        """
        if self.is_whole:
            return self.values(rows), self.valid(rows)
        numbers = np.rint(self.floats(rows))
        valid = np.abs(numbers) < 2.0**63
        return np.where(valid, numbers, 0.0).astype(np.int64), valid

    def between(self, low: float, high: float) -> Callable[[Rows], npt.NDArray[np.bool_]]:
        """Return a test of rows: low <= value <= high, never for a row without a value.

        Where values are stored as they are, or but for a whole TZERO, stored numbers are compared and none is scaled.
        They are copied out of their rows first: what lies in one piece is compared many times faster.
        """
        if self.scaled and not self.is_whole:
            return lambda rows: _within(self.floats(rows), low, high)
        least, most, bottom, top = low, high, -math.inf, math.inf
        if self.is_whole:
            limits, offset = np.iinfo(self.dtype), int(self.zero)
            bottom, top = limits.min, limits.max
            least = bottom if low == -math.inf else max(math.ceil(low) - offset, bottom)
            most = top if high == math.inf else min(math.floor(high) - offset, top)
        if not least <= most:
            return lambda rows: np.zeros(rows.size, dtype=np.bool_)
        native, field, null = self.native, self.field, self.null

        def test(rows: Rows) -> npt.NDArray[np.bool_]:
            numbers = rows[field].astype(native)
            inside: npt.NDArray[np.bool_] = numbers <= most
            if least > bottom:
                inside &= numbers >= least
            if null is not None:
                inside &= numbers != null
            return inside

        return test


def column(cards: Mapping[str, Value], index: int, where: str) -> Column:
    """Read what a header says of a column.

    Parameters
    ----------
    cards
        The header of the table.
    index
        The number of the column, from 1.
    where
        What the table is called in the error.

    Returns
    -------
    Column
        The column, with its unit, its scaling and its null.

    Raises
    ------
    FitsError
        TFORMn is no format of the standard, or too wide.
    """
    header = Cards(cards)
    name, form = header.text(f"TTYPE{index}"), header.text(f"TFORM{index}")
    found = _FORM.fullmatch(form)
    if found is None:
        raise FitsError(f"column {name or index} of {where} has TFORM {form[:20]!r}, which is no FITS format")
    repeat, letter = int(found[1]) if found[1] else 1, found[2].upper()
    if repeat > MAX_ROW:
        raise FitsError(f"column {name or index} of {where} has TFORM {form[:20]!r}, wider than {MAX_ROW} items")
    dtype = np.dtype(_TYPES[letter])
    scale, zero = header.number(f"TSCAL{index}"), header.number(f"TZERO{index}")
    if letter in "LXAPQ":  # what is no number is not scaled; for P and Q the scaling is that of the heap
        scale = zero = None
    null = _null(header, index, dtype) if letter in "BIJK" else None
    return Column(name, f"c{index}", index, letter, repeat, dtype, 1.0 if scale is None else scale, zero or 0.0, null,
                  header.text(f"TUNIT{index}"), found[3][:1].upper() if letter in "PQ" else "")  # fmt: skip


def number_type(letter: str) -> np.dtype[Any] | None:
    """Return the type of one real number as it lies in a file; None for a letter that stands for something else."""
    return np.dtype(_TYPES[letter]) if letter in tuple("BIJKED") else None


def field_type(column: Column) -> np.dtype[Any]:
    """Return the type of a cell as it lies in a row: one item, or an array of shape (items,)."""
    if column.letter == "A":
        return np.dtype(f"S{column.repeat}")
    items = {"X": -(-column.repeat // 8), "P": 2 * column.repeat, "Q": 2 * column.repeat}.get(
        column.letter, column.repeat
    )
    return column.dtype if items == 1 else np.dtype((column.dtype, (items,)))


def _within(numbers: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (numbers >= low) & (numbers <= high)
    return inside


def _offset(items: npt.NDArray[Any], zero: int) -> npt.NDArray[Any]:
    """Add a whole TZERO; 2**63 makes unsigned numbers of 64 bits (FITS Standard 4.0, table 19)."""
    if items.dtype == np.int64:
        if zero == 2**63:
            return items.view(np.uint64) ^ np.uint64(2**63)
        if abs(zero) > 2**53:
            return items.astype(np.float64) + float(zero)
    return items.astype(np.int64) + zero if abs(zero) < 2**62 else items.astype(np.float64) + float(zero)


def _null(header: Cards, index: int, dtype: np.dtype[Any]) -> int | None:
    """Return TNULLn; None when it is absent, no whole number, or none that the column can hold."""
    value = header.value(f"TNULL{index}")
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None
