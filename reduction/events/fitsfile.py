"""Reads FITS files that nobody vouches for: finds the HDUs, checks that the data are all there, types the table rows.

Nothing here loads a large table; `Hdu.table` is for small ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from provenance.fits import cards
from provenance.fits.cards import BLOCK, SIZE, Value
from provenance.fits.hdus import OPENING
from reduction.errors import ReductionError

Header = Mapping[str, Value]
"""Keywords and their values, read so that no card, however broken, raises."""

MAX_HEADER = 16 * 1024 * 1024
"""Longest header read, in bytes; the longest known event list headers have 0.1 MB."""

MAX_HDUS = 2000
"""Most HDUs of a file; a pn event list has 64."""

MAX_ROW = 1024 * 1024
"""Widest table row, in bytes; EPIC events have 45."""

MAX_SMALL_TABLE = 64 * 1024 * 1024
"""Largest table read at once, in bytes; GTI and bad pixel tables have some kilobytes."""

_TYPES = {
    "L": "i1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "S", "E": ">f4", "D": ">f8",
    "C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a table: where its values are in a row and how they are scaled.

    `index` counts from 1 as in TTYPEn. A value is ``zero + scale * stored``; a stored integer equal to `null` is none.
    """

    name: str
    field: str
    index: int
    dtype: np.dtype[Any]
    scale: float = 1.0
    zero: float = 0.0
    null: int | None = None
    unit: str = ""

    @property
    def scaled(self) -> bool:
        """Whether stored numbers differ from values."""
        return self.scale != 1.0 or self.zero != 0.0

    def stored(self, rows: npt.NDArray[np.void]) -> npt.NDArray[Any]:
        """Stored numbers of some rows in native byte order, shape (n,)."""
        raw = rows[self.field]
        native: npt.NDArray[Any] = raw.astype(raw.dtype.newbyteorder("="))
        return native

    def values(self, rows: npt.NDArray[np.void]) -> npt.NDArray[Any]:
        """Values of some rows in native byte order, shape (n,): integers stay integers where the scaling allows."""
        numbers = self.stored(rows)
        if not self.scaled:
            return numbers
        if numbers.dtype.kind in "iu" and self.scale == 1.0 and self.zero.is_integer():
            return numbers.astype(np.int64) + int(self.zero)
        return numbers * self.scale + self.zero

    def valid(self, rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_] | None:
        """Which rows hold a value, shape (n,); None when all do because the column has no null."""
        return None if self.null is None else rows[self.field] != self.null


@dataclass(frozen=True)
class Hdu:
    """One HDU: its header and where its bytes are in the file."""

    path: Path
    index: int
    name: str
    header: Header
    header_start: int
    data_start: int
    data_size: int

    @property
    def is_table(self) -> bool:
        """Whether this is a binary table."""
        return str(self.header.get("XTENSION", "")).strip() == "BINTABLE"

    def header_bytes(self) -> bytes:
        """The header as it stands in the file, whole blocks."""
        with self.path.open("rb") as file:
            file.seek(self.header_start)
            return file.read(self.data_start - self.header_start)

    def table(self, parameter: str) -> tuple[npt.NDArray[np.void], dict[str, Column]]:
        """Read a small table whole.

        Returns its rows, shape (n,), and its columns by upper-case name. Raises ReductionError if the table is too
        large or its description makes no sense.
        """
        dtype, columns = describe_table(self, parameter)
        rows = integer(self.header, "NAXIS2", 0, 2**40, f"table {self.name} of {self.path.name}", parameter)
        if rows * dtype.itemsize > MAX_SMALL_TABLE:
            raise ReductionError(f"table {self.name} of {self.path.name} has {rows} rows of {dtype.itemsize} bytes; at "
                                 f"most {MAX_SMALL_TABLE} bytes are read", parameter)  # fmt: skip
        with self.path.open("rb") as file:
            file.seek(self.data_start)
            data = file.read(rows * dtype.itemsize)
        if len(data) < rows * dtype.itemsize:
            raise ReductionError(f"{self.path.name} ends inside table {self.name}: the file changed while it was read",
                                 parameter)  # fmt: skip
        return np.frombuffer(data, dtype=dtype), columns


def scan(path: Path, parameter: str) -> tuple[Hdu, ...]:
    """Find all HDUs of a file, reading headers only.

    Raises
    ------
    ReductionError
        Not a FITS file, a header without end or sense, or data that the file is too short for.
    """
    size = path.stat().st_size
    hdus: list[Hdu] = []
    with path.open("rb") as file:
        if file.read(len(OPENING)) != OPENING:
            raise ReductionError(f"{path.name} is not a FITS file{_guess(path)}; give a FITS file, plain or gzipped",
                                 parameter)  # fmt: skip
        start = 0
        while start < size:
            file.seek(start)
            if hdus and file.read(9) != b"XTENSION=":
                break  # FITS allows special records after the last HDU
            if len(hdus) == MAX_HDUS:
                raise ReductionError(f"{path.name} has more than {MAX_HDUS} HDUs", parameter)
            file.seek(start)
            header, length = _read_header(file, len(hdus), path, parameter)
            hdu = _place(path, len(hdus), header, start, start + length, size, parameter)
            hdus.append(hdu)
            start = hdu.data_start + -(-hdu.data_size // BLOCK) * BLOCK
    return tuple(hdus)


def _guess(path: Path) -> str:
    """Say what a file that is not FITS seems to be."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return " (it is empty)"
    for magic, kind in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"PK\x03\x04", "zip"), (b"\x1f\x9d", "compress"),
                        (b"\xfd7zXZ", "xz")):  # fmt: skip
        if head.startswith(magic):
            return f" (it is packed with {kind})"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return " (it is a web page or XML)"
    return ""


def _read_header(file: BinaryIO, index: int, path: Path, parameter: str) -> tuple[Header, int]:
    """Read one header from where the file stands; returns it and its length in bytes."""
    blocks: list[bytes] = []
    while True:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise ReductionError(f"{path.name} is truncated: it ends inside the header of HDU {index}; fetch it again",
                                 parameter)  # fmt: skip
        blocks.append(block)
        if any(block[card : card + 8] == b"END     " for card in range(0, BLOCK, SIZE)):
            break
        if len(blocks) * BLOCK > MAX_HEADER:
            raise ReductionError(f"the header of HDU {index} of {path.name} has no end", parameter)
    data = b"".join(blocks)
    return cards.parse(data.translate(_PRINTABLE)), len(data)


_PRINTABLE = bytes(code if 32 <= code < 127 else 63 if code >= 128 else 32 for code in range(256))


def integer(header: Header, key: str, lowest: int, highest: int, where: str, parameter: str) -> int:
    """The whole number under a structural keyword; ReductionError if it is absent, no number or out of range."""
    value = header.get(key)
    if value is None:
        raise ReductionError(f"{where} has no readable {key}: the file is broken", parameter)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ReductionError(f"{where} has {key} = {str(value)[:40]}, allowed are {lowest}..{highest}: the file is "
                             "broken", parameter)  # fmt: skip
    return value


def _place(
    path: Path, index: int, header: Header, start: int, data_start: int, size: int, parameter: str
) -> Hdu:
    """Make the Hdu of a header, checking that its data lie within the file."""
    name = str(header.get("EXTNAME", "PRIMARY" if index == 0 else "")).strip().upper()
    where = f"HDU {index}{f' ({name})' if name else ''} of {path.name}"
    big = 2**62
    bits = abs(integer(header, "BITPIX", -64, 64, where, parameter))
    if bits not in (8, 16, 32, 64):
        raise ReductionError(f"{where} has BITPIX = {bits}: the file is broken", parameter)
    axes = integer(header, "NAXIS", 0, 999, where, parameter)
    count = 1 if axes else 0
    for axis in range(1, axes + 1):
        count *= integer(header, f"NAXIS{axis}", 0, big, where, parameter)
    extra = integer(header, "PCOUNT", 0, big, where, parameter) if "PCOUNT" in header else 0
    groups = integer(header, "GCOUNT", 0, big, where, parameter) if "GCOUNT" in header else 1
    data_size = bits // 8 * groups * (extra + count)
    if data_start + data_size > size:
        raise ReductionError(f"{path.name} is truncated: {where} declares data up to byte {data_start + data_size}, "
                             f"the file has {size}; fetch it again", parameter)  # fmt: skip
    return Hdu(path, index, name, header, start, data_start, data_size)


def describe_table(hdu: Hdu, parameter: str) -> tuple[np.dtype[np.void], dict[str, Column]]:
    """Type of a row (packed as in the file, big-endian) and the columns by upper-case name.

    Raises ReductionError if TFIELDS, TFORMn and NAXIS1 contradict each other.
    """
    where = f"table {hdu.name or hdu.index} of {hdu.path.name}"
    header = hdu.header
    if not hdu.is_table or integer(header, "NAXIS", 0, 999, where, parameter) != 2:
        raise ReductionError(f"{where} is not a binary table", parameter)
    width = integer(header, "NAXIS1", 1, MAX_ROW, where, parameter)
    count = integer(header, "TFIELDS", 1, 999, where, parameter)
    columns: dict[str, Column] = {}
    fields: list[tuple[str, str, tuple[int, ...]] | tuple[str, str]] = []
    for index in range(1, count + 1):
        name = str(header.get(f"TTYPE{index}", "")).strip()
        code, repeat = _form(str(header.get(f"TFORM{index}", "")), f"column {name or index} of {where}", parameter)
        field = f"c{index}"
        fields.append((field, f"S{repeat}") if code == "S" else
                      (field, code) if repeat == 1 else (field, code, (repeat,)))  # fmt: skip
        scale, zero = _real(header, f"TSCAL{index}", 1.0), _real(header, f"TZERO{index}", 0.0)
        unit = str(header.get(f"TUNIT{index}", "")).strip()
        columns.setdefault(name.upper(), Column(
            name, field, index, np.dtype(code), scale, zero, _null(header, index, np.dtype(code)), unit))  # fmt: skip
    dtype = np.dtype(fields)
    if dtype.itemsize != width:
        raise ReductionError(f"the columns of {where} take {dtype.itemsize} bytes, NAXIS1 says {width}: the file is "
                             "broken", parameter)  # fmt: skip
    return dtype, columns


def _form(form: str, where: str, parameter: str) -> tuple[str, int]:
    """Numpy type and number of items of a TFORM."""
    found = re.fullmatch(r"\s*(\d{0,7})([LXBIJKAEDCMPQ])(.*)", form)
    if not found:
        raise ReductionError(f"{where} has TFORM {form[:20]!r}, which is no FITS format", parameter)
    repeat = int(found[1]) if found[1] else 1
    letter = found[2]
    if letter == "X":
        repeat = -(-repeat // 8)
    elif letter in "PQ":
        repeat *= 2
    if repeat > MAX_ROW:
        raise ReductionError(f"{where} has TFORM {form[:20]!r}, wider than {MAX_ROW} items", parameter)
    return _TYPES[letter], repeat


def _real(header: Header, key: str, default: float) -> float:
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return float(value)


def _null(header: Header, index: int, dtype: np.dtype[Any]) -> int | None:
    value = header.get(f"TNULL{index}")
    if dtype.kind not in "iu" or not isinstance(value, int) or isinstance(value, bool):
        return None
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None
