"""A table in a file, as columns and batches of rows, and the format that a file is in. Imports the columns of tables.

What reads a format is imported when a file of it comes.
"""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from provenance.fits import gzipped
from provenance.text.errors import FitsError
from uws_server.errors import BadRequest
from uws_server.tap.tables import ColumnDescription

BATCH: Final = 2000
"""Rows that are read at a time."""
MOST_COLUMNS: Final = 1500
_LONGEST_NAME: Final = 60
_GZIP: Final = b"\x1f\x8b"
_HEAD: Final = 4096
_CHUNK: Final = 1 << 20

Batch = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class FileTable:
    """A table in a file: its columns, and what reads its rows from the beginning, in the order of the columns."""

    columns: tuple[ColumnDescription, ...]
    read: Callable[[], Iterator[Batch]]
    description: str = ""


def open_table(path: Path, name: str, most_inflated: int | None = None) -> FileTable:
    """Return the table in a file: VOTable, FITS, CSV, TSV or Parquet, whichever its content is, plain or gzipped.

    `name` is what the file is called in errors; a gzipped one may have as many bytes as `most_inflated` when it is
    inflated, None for what any gzipped file may have; the copy goes with the table. Raise
    BadRequest if there is no table in it.
    """
    if not _beginning(path).startswith(_GZIP):
        return _table(path, name)
    copy = _inflated(path, name, most_inflated)
    try:
        if _beginning(copy).startswith(_GZIP):
            raise BadRequest(f"{name}: the file is gzipped twice; once is allowed")
        found = _table(copy, name)
    except BaseException:
        copy.unlink()
        raise
    weakref.finalize(found, copy.unlink, missing_ok=True)
    return found


def _table(path: Path, name: str) -> FileTable:
    """Return the table in a plain file. Raise BadRequest if there is none."""
    head = _beginning(path)
    if not head.strip():
        raise BadRequest(f"{name}: the file is empty; a table as VOTable, FITS or CSV is expected")
    found = _reader(head.lstrip(b"\xef\xbb\xbf \t\r\n"))(path, name)
    if not found.columns:
        raise BadRequest(f"{name}: the table has no columns")
    if len(found.columns) > MOST_COLUMNS:
        raise BadRequest(f"{name}: the table has {len(found.columns):,} columns; at most {MOST_COLUMNS:,} are taken")
    return replace(found, columns=_distinct(found.columns))


def _beginning(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _inflated(path: Path, name: str, most: int | None) -> Path:
    """Write an inflated copy of a file beside it. Raise BadRequest if it is broken, or longer than allowed."""
    with tempfile.NamedTemporaryFile(prefix="inflated-", dir=path.parent, delete=False) as copy:
        try:
            with path.open("rb") as stream, gzipped.inflated(stream, path) as content:
                longest = min(gzipped.longest(stream), most or gzipped.MAX_INFLATED)
                while piece := content.read(_CHUNK):
                    copy.write(piece)
                    if copy.tell() > longest:
                        raise BadRequest(f"{name}: the file has more than {longest / 1e6:,.0f} MB when it is inflated, "
                                         "which is the most that is taken")  # fmt: skip
        except BaseException as error:
            Path(copy.name).unlink()
            if isinstance(error, FitsError):
                raise BadRequest(f"{name}: the gzip is damaged; send the file anew") from error
            raise
    return Path(copy.name)


def _reader(head: bytes) -> Callable[[Path, str], FileTable]:
    if head.startswith(b"SIMPLE"):
        from uws_server.tap.upload.fitsfile import fits_table

        return fits_table
    if head.startswith((b"<?xml", b"<VOTABLE", b"<!--", b"<vot", b"<ns")):
        from uws_server.tap.upload.votablefile import votable

        return votable
    if head.startswith(b"PAR1"):
        from uws_server.tap.upload.parquetfile import parquet

        return parquet
    from uws_server.tap.upload.csvfile import csv_table

    return csv_table


def _distinct(columns: Sequence[ColumnDescription]) -> tuple[ColumnDescription, ...]:
    """Return the columns with names that ADQL tells apart, which minds no case, and that a database can have."""
    taken: set[str] = set()
    found = []
    for number, column in enumerate(columns, start=1):
        plain = re.sub(r"[\x00-\x1f\x7f]", " ", column.name or "").strip()[:_LONGEST_NAME] or f"col{number}"
        name, further = plain, 2
        while name.lower() in taken:
            name, further = f"{plain}_{further}", further + 1
        taken.add(name.lower())
        found.append(replace(column, name=name))
    return tuple(found)


_SQL: Final = {
    "sqlite": {"boolean": "INTEGER", "short": "INTEGER", "int": "INTEGER", "long": "INTEGER", "unsignedByte": "INTEGER",
               "float": "REAL", "double": "REAL"},
    "postgresql": {"boolean": "BOOLEAN", "short": "SMALLINT", "int": "INTEGER", "long": "BIGINT",
                   "unsignedByte": "SMALLINT", "float": "REAL", "double": "DOUBLE PRECISION"},
}  # fmt: skip


def sql_type(column: ColumnDescription, backend: str) -> str:
    """Return the type that a column has in a database; arrays are texts, numbers with blanks between."""
    return "TEXT" if column.arraysize else _SQL[backend].get(column.datatype, "TEXT")


def plain_value(value: Any) -> Any:
    """Return a value as a database takes it: None for NaN, a text without NUL."""
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, str):
        return value.replace("\0", "") if "\0" in value else value
    return value
