"""Indices of calibration files: caldb.indx of the HEASARC (CAL/GEN/92-008) and CALINDEX of XMM-Newton's CCF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.calibration.keys import Entry, parse_date
from reduction.errors import ReductionError
from reduction.events import fitsfile

_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)

_BOUND = re.compile(r"\s*(?P<name>\w+)\s*\(\s*(?P<value>[^)]*?)\s*\)\s*(?P<unit>\S*)")

_PATTERN_BOUNDS = ("PATTERN", "GRADE")

Column = npt.NDArray[Any]


def read_caldb_index(path: Path, root: Path | None = None, parameter: str = "calibration") -> list[Entry]:
    """Read an index of the HEASARC's calibration database.

    Parameters
    ----------
    path
        The file caldb.indx.
    root
        The folder that its column CAL_DIR counts from (that of the variable CALDB); None for the nearest folder above
        the index below which the first file lies, else that of the index.
    parameter
        Job parameter named in errors.

    Returns
    -------
    list of Entry
        A file for each row. `kind` is CAL_CNAM, `pattern` what CAL_CBD says of PATTERN or GRADE, `since` is REF_TIME, a
        modified Julian date; a file holds until one replaces it, so that there is no `until`.

    Raises
    ------
    ReductionError
        The file is no such index.
    """
    needed = ("TELESCOP", "INSTRUME", "CAL_DIR", "CAL_FILE", "CAL_CNAM", "REF_TIME", "CAL_QUAL")
    columns = _columns(path, ("CIF", "CALDB_INDEX"), needed, parameter)
    base = root or _root(path, columns)
    with _numbers_of(path, parameter):
        return [_caldb_entry(columns, row, base) for row in range(len(columns["CAL_FILE"]))]


def _root(path: Path, columns: Mapping[str, Column]) -> Path:
    if not len(columns["CAL_FILE"]):
        return path.parent
    first = Path(_text(columns["CAL_DIR"], 0)) / _text(columns["CAL_FILE"], 0)
    return next((folder for folder in path.absolute().parents if (folder / first).is_file()), path.parent)


def _caldb_entry(columns: Mapping[str, Column], row: int, base: Path) -> Entry:
    bounds = parse_bounds(_texts(columns.get("CAL_CBD"), row))
    day = float(columns["REF_TIME"][row])
    extension = columns.get("CAL_XNO")
    return Entry(
        path=base / _text(columns["CAL_DIR"], row) / _text(columns["CAL_FILE"], row),
        telescope=_text(columns["TELESCOP"], row),
        instrument=_text(columns["INSTRUME"], row),
        kind=_text(columns["CAL_CNAM"], row),
        filter=_text(columns.get("FILTER"), row),
        pattern=next((bounds[name] for name in _PATTERN_BOUNDS if name in bounds), ""),
        since=_MJD_ZERO + timedelta(days=day) if np.isfinite(day) else None,
        is_good=int(columns["CAL_QUAL"][row]) == 0,
        extension=None if extension is None else int(extension[row]),
    )


def parse_bounds(texts: Sequence[str]) -> dict[str, str]:
    """Return the boundaries of a file by name, from texts such as ``THETA(0-5)arcmin`` or ``GRADE(0:4)``."""
    found = (_BOUND.match(text) for text in texts)
    return {match["name"].upper(): match["value"].replace("-", ":", 1) if match["name"].upper() in _PATTERN_BOUNDS
            else match["value"] for match in found if match}  # fmt: skip


def read_calindex(path: Path, folders: Sequence[Path] = (), parameter: str = "calibration") -> list[Entry]:
    """Read the index of an observation's calibration files, as cifbuild of the SAS makes it.

    Parameters
    ----------
    path
        The index, such as ccf.cif.
    folders
        Where the files are, first to last (SAS_CCFPATH); of a file that is in none the path is its name alone.
    parameter
        Job parameter named in errors.

    Returns
    -------
    list of Entry
        A file for each row. `instrument` is SCOPE, `kind` is TYPEID. Dates are in ISO 8601 whatever TUNIT says; an
        empty one is no bound.

    Raises
    ------
    ReductionError
        The file is no such index, or a date in it is none.
    """
    columns = _columns(path, ("CALINDEX",), ("SCOPE", "TYPEID", "ISSUE", "VALDATE", "FNAME"), parameter)
    entries = []
    for row in range(len(columns["FNAME"])):
        name = Path(_text(columns["FNAME"], row)).name
        place = next((folder / name for folder in folders if (folder / name).is_file()), Path(name))
        dates = [_text(columns.get(key), row) for key in ("VALDATE", "VALDATE-END")]
        since, until = (parse_date(text, parameter) if text else None for text in dates)
        scope = _text(columns["SCOPE"], row)
        telescope = _text(columns.get("TELESCOP"), row) or "XMM"
        with _numbers_of(path, parameter):
            issue = float(columns["ISSUE"][row])
        kind = _text(columns["TYPEID"], row)
        entries.append(Entry(place, telescope, scope, kind, since=since, until=until, issue=issue))
    return entries


@contextmanager
def _numbers_of(path: Path, parameter: str) -> Iterator[None]:
    """Raise ReductionError where a cell of an index holds no number, or a date that no calendar has."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise ReductionError(f"the index {path.name} has a cell that is no number, or no date: {error}",
                             parameter) from error  # fmt: skip


def _columns(path: Path, names: Sequence[str], needed: Sequence[str], parameter: str) -> dict[str, Column]:
    """Read the columns of an index. Raise ReductionError if it has no such table, or lacks a column."""
    file = fitsfile.scan(path, parameter)
    for hdu in file.hdus:
        if hdu.is_table and (hdu.name.upper() in names or set(needed) <= set(file.table(hdu).columns)):
            rows, columns = file.read(hdu)
            if lost := [name for name in needed if name not in columns]:
                raise ReductionError(f"the index {path.name} has no column {', '.join(lost)}", parameter)
            return {name: column.values(rows) for name, column in columns.items()}
    raise ReductionError(f"{path.name} is no index of calibration files: it has no table {' or '.join(names)}",
                         parameter)  # fmt: skip


def _text(column: Column | None, row: int) -> str:
    if column is None:
        return ""
    value = column[row]
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip("\x00 ")


def _texts(column: Column | None, row: int) -> list[str]:
    """The texts of a cell that holds one or, side by side, several of 70 characters each."""
    if column is None:
        return []
    cell = column[row]
    if isinstance(cell, np.ndarray):
        return [_text(cell, index) for index in range(cell.size)]
    text = cell.decode("ascii", "replace") if isinstance(cell, bytes) else str(cell)
    return [text[start : start + 70].strip("\x00 ") for start in range(0, len(text), 70)]
