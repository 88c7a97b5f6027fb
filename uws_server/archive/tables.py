"""Reads a table of observations, CSV, VOTable or FITS, plain or gzipped, as columns with their names, units and UCDs.

astropy is imported where a VOTable or a FITS table is read.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from provenance.fits import gzipped
from provenance.text.errors import FitsError
from provenance.text.votablerows import elsewhere
from uws_server.errors import BadRequest, counted, first_line

_NAME: Final = re.compile(r"\s*[A-Za-z_]")
_DELIMITERS: Final = ",\t;|"
_XML: Final = (b"<?xml", b"<VOTABLE")
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20

MAX_INFLATED: Final = 1_000_000_000
"""Bytes of a gzipped table when it is inflated: a million observations, and what memory has room for."""


@dataclass(frozen=True)
class TableColumn:
    """A column: its name, unit and UCD ('' for none), and its values: numbers or texts, None where a cell is empty."""

    name: str
    unit: str
    ucd: str
    values: Sequence[Any]


def read_table(path: Path, names: Sequence[str] = ()) -> tuple[TableColumn, ...]:
    """Return the columns of a table.

    Parameters
    ----------
    path
        The file; what it is tells its content.
    names
        Names of the columns in place of those of the file, for CSV whose first line holds none; empty for its own.

    Raises
    ------
    BadRequest
        It is no table, or has no rows, or `names` are not as many as the columns.
    OSError
        It cannot be read.
    """
    with _plain(path) as plain:
        columns = _columns(plain, bool(names))
    if names:
        if len(names) != len(columns):
            there = counted(len(columns), "column")
            raise BadRequest(f"--columns: {counted(len(names), 'name')} came; {path.name} has {there}")
        columns = tuple(TableColumn(name, one.unit, one.ucd, one.values)
                        for name, one in zip(names, columns, strict=True))  # fmt: skip
    if not columns or not columns[0].values:
        raise BadRequest(f"{path.name}: this table has no rows")
    return columns


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """Yield a file, in place of a gzipped one an inflated copy. Raise BadRequest if it is damaged or too long."""
    with path.open("rb") as stream:
        if not gzipped.is_gzipped(stream):
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="uws-table-") as folder:
            copy = Path(folder) / path.name
            with copy.open("wb") as target:
                _inflate(stream, path, target)
            yield copy


def _inflate(stream: IO[bytes], path: Path, target: IO[bytes]) -> None:
    most = min(MAX_INFLATED, gzipped.longest(stream))
    try:
        with gzipped.inflated(stream, path) as content:
            while piece := content.read(_CHUNK):
                target.write(piece)
                if target.tell() > most:
                    size = f"{most / 1e6:,.0f} MB"
                    raise BadRequest(f"{path.name}: it has more than {size} when it is inflated; no more is read")
    except FitsError as error:
        raise BadRequest(f"{path.name}: the gzip is damaged") from error
    target.seek(0)


def _columns(path: Path, is_named: bool) -> tuple[TableColumn, ...]:
    """Return the columns of a plain file by what it is."""
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(_GZIP):
        raise BadRequest(f"{path.name}: it is gzipped twice; once is allowed")
    if head.startswith(b"SIMPLE"):
        return tuple(_fits(path))
    if head.startswith(_XML):
        return tuple(_votable(path))
    if head.startswith(b"# %ECSV"):
        return tuple(_ecsv(path))
    return tuple(_csv(path, is_named))


def _csv(path: Path, is_named: bool) -> Iterator[TableColumn]:
    """Yield the columns of a CSV; the first line is that of the names, unless names are given and it is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path.name} is neither FITS, VOTable nor CSV in UTF-8") from error
    text = re.sub(r"\A(?:\s*#.*(?:\n|\Z))*", "", text)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = [(number, line) for number, line in enumerate(_lines(text, delimiter, path.name), 1) if any(line)]
    if not lines:
        raise BadRequest(f"{path.name}: this table has no rows")
    heads = lines[0][1]
    has_names = all(_NAME.match(name) for name in heads if name)
    if not has_names and not is_named:
        raise BadRequest(
            f"{path.name}: its first line ({', '.join(heads)[:80]}) holds no names of columns: "
            "give them in order, such as --columns obs_id,ra,dec"
        )
    rows = lines[1:] if has_names else lines
    wrong = next((each for each in rows if len(each[1]) != len(heads)), None)
    if wrong is not None:
        cells = counted(len(wrong[1]), "cell")
        raise BadRequest(f"{path.name}: line {wrong[0]} has {cells}; the first line has {len(heads)}")
    for number, name in enumerate(heads):
        yield TableColumn(name.strip(), "", "", [row[number].strip() or None for _, row in rows])


def _lines(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise BadRequest(f"{name}: {error}") from error


def _ecsv(path: Path) -> Iterator[TableColumn]:
    from astropy.table import Table

    try:
        table = Table.read(path, format="ascii.ecsv")
    except Exception as error:
        raise BadRequest(f"{path.name}: this is no readable ECSV: {first_line(error)}") from error
    for column in table.itercols():
        if column.ndim == 1:
            unit = "" if column.unit is None else str(column.unit)
            yield TableColumn(column.name, unit, str(column.meta.get("ucd", "")), _cells(column))


def _votable(path: Path) -> Iterator[TableColumn]:
    """Yield the columns of the first table of a VOTable."""
    from astropy.io.votable import parse

    if problem := elsewhere(path):
        raise BadRequest(f"{path.name}: {problem}")
    try:
        table = parse(path, verify="ignore").get_first_table()
        array = table.array
    except Exception as error:
        raise BadRequest(f"{path.name}: this is no readable VOTable: {first_line(error)}") from error
    for field in table.fields:
        values = array[field.ID]
        if values.ndim == 1:
            unit = "" if field.unit is None else str(field.unit)
            yield TableColumn(str(field.name or field.ID), unit, str(field.ucd or ""), _cells(values))


def _fits(path: Path) -> Iterator[TableColumn]:
    """Yield the columns of the first table of a FITS file."""
    from astropy.io import fits
    from astropy.table import Table

    try:
        with path.open("rb") as file, fits.open(file) as hdus:
            number = next(
                (at for at, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)), None
            )
            if number is None:
                raise BadRequest(f"{path.name}: this FITS file has no table")
            header = hdus[number].header
            ucds = [str(header.get(f"TUCD{at}", "")) for at in range(1, int(header["TFIELDS"]) + 1)]
            table = Table.read(hdus[number])
    except BadRequest:
        raise
    except Exception as error:
        raise BadRequest(f"{path.name}: this is no readable FITS table: {first_line(error)}") from error
    for column, ucd in zip(table.itercols(), ucds, strict=True):
        if column.ndim == 1:
            yield TableColumn(column.name, "" if column.unit is None else str(column.unit), ucd, _cells(column))


def _cells(column: Any) -> list[Any]:
    """Return the cells of a column of astropy: None where one is masked, empty or NaN; texts without blanks."""
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.strip() or None
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value
