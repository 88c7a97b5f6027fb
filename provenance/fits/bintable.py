"""Binary tables: the type of a row and the columns, a small table read whole, a large one in chunks.

A large table is never loaded, and no row is copied before someone has looked at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import columns, hdus
from provenance.fits.columns import MAX_ROW, Column, Rows
from provenance.fits.hdus import Hdu
from provenance.text.errors import FitsError

MAX_BYTES: Final = 64 * 1024**2
"""The largest table that is read whole, in bytes; GTI and bad pixel tables have some kilobytes."""

MAX_ROWS: Final = 2**40
"""The most rows that are believed."""

CHUNK_BYTES: Final = 12_000_000
"""Bytes of rows handed out at a time."""


@dataclass(frozen=True)
class Table:
    """A binary table: where its rows lie, and what they are.

    `title` is what the table is called in errors, `file` the name of its file; `data` is the byte where the rows begin,
    `heap_data` and `heap_end` are those where its heap begins and ends.
    `dtype` is a row as it lies in the file, packed and big-endian. `columns` go by name in capitals; of two columns of
    one name the first is meant.
    """

    title: str
    file: str
    data: int
    rows: int
    dtype: np.dtype[np.void]
    columns: Mapping[str, Column]
    heap_data: int
    heap_end: int

    def read(self, stream: IO[bytes]) -> Rows:
        """Read all rows, shape (rows,). Raise FitsError if the table is larger than MAX_BYTES or not all there."""
        size = self.size
        if size > MAX_BYTES:
            raise FitsError(f"{self.title} has {self.rows} rows of {self.dtype.itemsize} bytes; at most "
                            f"{MAX_BYTES} bytes are read")  # fmt: skip
        stream.seek(self.data)
        data = stream.read(size)
        if len(data) < size:
            raise FitsError(f"{self.file} ends inside {self.title}: the file changed while it was read")
        return np.frombuffer(data, dtype=self.dtype)

    def floats(self, stream: IO[bytes], names: Iterable[str]) -> list[npt.NDArray[np.float64]]:
        """Read some columns of numbers, named in capitals, as `read` does; NaN where there is no value."""
        rows = self.read(stream)
        return [self.columns[name].floats(rows) for name in names]

    def lists(self, stream: IO[bytes], name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Read a column of numbers, named in capitals, in which each row has a list of its own length.

        Parameters
        ----------
        stream
            The file.
        name
            The column: of variable length, or an array of one length in all rows.

        Returns
        -------
        tuple
            The lengths of the lists, shape (rows,), and what they hold, one list behind the other, not scaled.

        Raises
        ------
        FitsError
            The column holds no numbers, a list lies outside of the heap, or all are more than MAX_BYTES.
        """
        column, rows = self.columns[name], self.read(stream)
        what = f"column {column.name} of {self.title}"
        item = columns.number_type(column.items or column.letter)
        if item is None:
            raise FitsError(f"{what} has TFORM {column.form + column.items!r}; numbers are read")
        if not column.items:
            return np.full(self.rows, column.repeat, dtype=np.int64), column.floats(rows).reshape(-1)
        if column.repeat != 1:  # no list at all: FITS Standard 4.0, 7.3.5
            return np.zeros(self.rows, dtype=np.int64), np.empty(0)
        lengths, starts = column.stored(rows).astype(np.int64).T
        room, filled = self.heap_end - self.heap_data, lengths > 0  # where an empty list begins means nothing
        inside = (starts >= 0) & (starts <= room) & (lengths <= (room - starts) // item.itemsize)
        if (lengths < 0).any() or not inside[filled].all():
            raise FitsError(f"{what} points outside of its table: the file is broken")
        ends = np.where(filled, starts + lengths * item.itemsize, 0)
        last = int(ends.max(initial=0))
        if max(last, int(lengths.sum()) * item.itemsize) > MAX_BYTES:
            raise FitsError(f"{what} holds {lengths.sum()} numbers; at most {MAX_BYTES} bytes are read")
        stream.seek(self.heap_data)
        heap = stream.read(last)
        if len(heap) < last:
            raise FitsError(f"{self.file} ends inside {self.title}: the file changed while it was read")
        joined = b"".join(heap[start:end] for start, end in zip(starts, ends, strict=True))
        return lengths, np.frombuffer(joined, dtype=item).astype(np.float64)

    @property
    def size(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.dtype.itemsize

    @property
    def heap(self) -> int:
        """Bytes behind the rows: a gap and the heap."""
        return self.heap_end - self.data - self.size

    def chunks(self, path: Path, size_bytes: int = CHUNK_BYTES) -> Iterator[Rows]:
        """Go once through the rows of a plain file, about `size_bytes` at a time.

        The arrays are views on one buffer: each is valid until the next is asked for. Raises FitsError if the file is
        shorter than it was when its header was read.
        """
        at_once = max(1, min(size_bytes // self.dtype.itemsize, self.rows))
        buffer = bytearray(at_once * self.dtype.itemsize)
        rows = np.frombuffer(buffer, dtype=self.dtype)
        with path.open("rb", buffering=0) as file:
            file.seek(self.data)
            for first in range(0, self.rows, at_once):
                number = min(at_once, self.rows - first)
                wanted = number * self.dtype.itemsize
                view = memoryview(buffer)[:wanted]
                done = 0
                while done < wanted:
                    count = file.readinto(view[done:])
                    if not count:
                        raise FitsError(f"{self.file} became shorter while it was read")
                    done += count
                yield rows[:number]


def table(hdu: Hdu, file: str = "the file") -> Table:
    """Read from its header what a binary table holds.

    `file` is what the file is called in errors. Raises FitsError if this is no binary table, or TFIELDS, TFORMn and
    NAXIS1 contradict each other.
    """
    title = f"table {hdu.name or hdu.index} of {file}"
    try:
        if not hdu.is_table or hdus.whole(hdu, "NAXIS", 0, 999) != 2:
            raise FitsError("is not a binary table")
        width = hdus.whole(hdu, "NAXIS1", 1, MAX_ROW)
        rows = hdus.whole(hdu, "NAXIS2", 0, MAX_ROWS)
        count = hdus.whole(hdu, "TFIELDS", 1, 999)
        heap = hdus.whole(hdu, "PCOUNT", 0, hdus.LARGEST, default=0)
    except FitsError as error:
        raise FitsError(f"{title} {error}") from error
    found = [columns.column(hdu.cards, index, title) for index in range(1, count + 1)]
    before = rows * width
    if any(column.items for column in found):
        before = hdus.whole(hdu, "THEAP", before, before + heap, default=before)
    dtype = np.dtype([(column.field, columns.field_type(column)) for column in found])
    if dtype.itemsize != width:
        raise FitsError(f"the columns of {title} take {dtype.itemsize} bytes, NAXIS1 says {width}: the file is broken")
    by_name = {column.name.upper(): column for column in reversed(found)}
    ordered = {column.name.upper(): by_name[column.name.upper()] for column in found}
    return Table(title, file, hdu.data, rows, dtype, ordered, hdu.data + before, hdu.data + rows * width + heap)
