"""VOTable 1.4 with BINARY2: rows become bytes column by column, a batch at a time. Imports its neighbours and numpy.

A row is a mask of its nulls, a bit for each column, then its values (VOTable 1.4, section 5.4).
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from uws_server.tap.formats.answer import Answer, Batch
from uws_server.tap.formats.votable import head, tail
from uws_server.tap.tables import ColumnDescription

_TYPES: Final = {"short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8", "boolean": "S1"}
_MOST_KNOWN: Final = 512
"""Texts whose bytes are kept for each column: most columns say the same again and again."""
_LINE: Final = 57 * 400
"""Bytes that become one line of base64: a multiple of three, so that lines follow each other without padding."""
_length: Final = struct.Struct(">i").pack

Columns = Sequence[ColumnDescription]
Encoder = Callable[[Sequence[Any]], Sequence[bytes]]


def binary2(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as VOTable with BINARY2."""
    yield f'{head(answer)}<DATA><BINARY2><STREAM encoding="base64">\n'.encode()
    encode = encoder(answer.columns)
    waiting = bytearray()
    for batch in answer.batches():
        waiting += encode(batch)
        whole = len(waiting) // _LINE * _LINE
        if whole:
            yield _lines(waiting[:whole])
            del waiting[:whole]
    if waiting:
        yield _lines(waiting)
    yield f"</STREAM></BINARY2></DATA>{tail(answer)}".encode()


def _lines(data: bytearray) -> bytes:
    return b"".join(b64encode(data[first : first + _LINE]) + b"\n" for first in range(0, len(data), _LINE))


def encoder(columns: Columns) -> Callable[[Batch], bytes]:
    """Return the function that writes rows as bytes."""
    groups = list(_groups(columns))

    def encode(batch: Batch) -> bytes:
        values = list(zip(*batch, strict=True))
        parts: list[Sequence[bytes]] = [_masks(values)]
        parts += [group(values[first:last]) for first, last, group in groups]
        return b"".join(chain.from_iterable(zip(*parts, strict=True)))

    return encode


def _groups(columns: Columns) -> Iterator[tuple[int, int, Callable[[Sequence[Sequence[Any]]], Sequence[bytes]]]]:
    """Yield neighbouring columns that are written together: numbers that follow each other, or one text."""
    first = 0
    while first < len(columns):
        last = first
        while last < len(columns) and _is_number(columns[last]):
            last += 1
        if last > first:
            yield first, last, _numbers(columns[first:last])
        else:
            last = first + 1
            yield first, last, _single(_encoder_of(columns[first]))
        first = last


def _is_number(column: ColumnDescription) -> bool:
    return column.datatype in _TYPES and not column.arraysize


def _single(encode: Encoder) -> Callable[[Sequence[Sequence[Any]]], Sequence[bytes]]:
    return lambda values: encode(values[0])


def _masks(values: Sequence[Sequence[Any]]) -> list[bytes]:
    """Return the mask of each row."""
    count = len(values[0])
    nulls = np.zeros((count, len(values)), bool)
    for number, column in enumerate(values):
        if None in column:
            nulls[:, number] = [value is None for value in column]
    return _rows(np.packbits(nulls, axis=1))


def _numbers(columns: Columns) -> Callable[[Sequence[Sequence[Any]]], Sequence[bytes]]:
    """Return the function that writes columns of numbers."""
    layout = np.dtype([(f"f{number}", _TYPES[column.datatype]) for number, column in enumerate(columns)])

    def encode(values: Sequence[Sequence[Any]]) -> list[bytes]:
        table = np.zeros(len(values[0]), layout)
        for number, (column, given) in enumerate(zip(columns, values, strict=True)):
            table[f"f{number}"] = _filled(column, given)
        return _rows(table)

    return encode


def _filled(column: ColumnDescription, values: Sequence[Any]) -> Any:
    """Return values without nulls, whose place the mask tells."""
    if column.datatype in ("float", "double"):
        return np.array(values, float)  # NaN for None
    if column.datatype == "boolean":
        return [b"?" if value is None else b"T" if value else b"F" for value in values]
    return [0 if value is None else value for value in values] if None in values else values


def _rows(table: Any) -> list[bytes]:
    """Return the bytes of each row of an array."""
    data, width = table.tobytes(), table.nbytes // len(table)
    return [data[first : first + width] for first in range(0, len(data), width)]


def _encoder_of(column: ColumnDescription) -> Encoder:
    """Return the function that writes a column of texts or arrays."""
    if column.datatype in ("char", "unicodeChar"):
        to_bytes, width = _text_encoder(column)
    else:
        to_bytes, width = _array_encoder(column)
    known: dict[Any, bytes] = {}

    def one(value: Any) -> bytes:
        data, count = to_bytes(value)
        written = data if width else _length(count) + data
        if len(known) < _MOST_KNOWN:
            known[value] = written
        return written

    def encode(values: Sequence[Any]) -> list[bytes]:
        get = known.get
        return [get(value) or one(value) for value in values]

    return encode


def _text_encoder(column: ColumnDescription) -> tuple[Callable[[Any], tuple[bytes, int]], int]:
    """Return what makes bytes of a text, with their number of characters, and the fixed number of these (0: none)."""
    wide = column.datatype == "unicodeChar"
    size = column.arraysize or "1"
    fixed = int(size) if size.isdigit() else 0

    def to_bytes(value: Any) -> tuple[bytes, int]:
        text = "" if value is None else str(value)
        data = text.encode("utf-16-be" if wide else "utf-8", "replace")
        if fixed:
            data = data[: fixed * (1 + wide)].ljust(fixed * (1 + wide), b"\0")
        return data, len(data) // (1 + wide)

    return to_bytes, fixed


def _array_encoder(column: ColumnDescription) -> tuple[Callable[[Any], tuple[bytes, int]], int]:
    """Return what makes bytes of the text of an array, numbers with blanks, and the fixed number of these (0: none)."""
    kind, size = np.dtype(_TYPES.get(column.datatype, "u1")), column.arraysize or "1"
    fixed = int(size) if size.isdigit() else 0

    def to_bytes(value: Any) -> tuple[bytes, int]:
        numbers = [float(word) for word in str(value).split()] if value is not None else []
        if fixed:
            numbers = (numbers + [0.0] * fixed)[:fixed]
        return np.array(numbers, float).astype(kind).tobytes(), len(numbers)

    return to_bytes, fixed
