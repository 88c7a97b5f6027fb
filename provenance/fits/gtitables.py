"""Tables of good time intervals, binary or ASCII: which HDUs they are, and the starts and stops that they hold.

Source: OGIP/93-003 (HDUCLAS1 = 'GTI', columns START and STOP). What the times count from is left to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import asciitable, bintable
from provenance.fits.hdus import Hdu
from provenance.fits.timing import unit_of
from provenance.text.errors import FitsError

Times = npt.NDArray[np.float64]
"""Times, shape (n,)."""

EDGES: Final = ("START", "STOP")
"""The columns of a table of good time intervals."""

_NAME: Final = re.compile(r"(STDGTI|GTI)\d*")
_BAD_TIMES: Final = re.compile(r".*(BTI|BAD).*")


@dataclass(frozen=True)
class GoodTimes:
    """The rows of a table of good time intervals as they stand there: nothing is sorted, joined or left out.

    `start` and `stop`, shape (n,) each, are in `unit`, NaN where a time is null; `unit` is TUNITn, else TIMEUNIT, else
    s (FITS Standard 4.0, section 9.3).
    """

    start: Times
    stop: Times
    unit: str


def gti_tables(hdus: Iterable[Hdu]) -> list[Hdu]:
    """Return those of some HDUs that are tables of good time intervals.

    Those by convention (`is_gti`) come first; where there are none, those that are so by their name and columns, such
    as FLAREGTI or SRC_GTIS.
    """
    every = list(hdus)
    return [hdu for hdu in every if is_gti(hdu)] or [hdu for hdu in interval_tables(every) if "GTI" in hdu.name]


def interval_tables(hdus: Iterable[Hdu]) -> list[Hdu]:
    """Return those of some HDUs that have columns START and STOP, whatever their name, but for tables of bad times."""
    return [hdu for hdu in hdus if not _BAD_TIMES.fullmatch(hdu.name) and _has_edges(hdu)]


def is_gti(hdu: Hdu) -> bool:
    """Tell whether an HDU is by convention a table of good time intervals.

    It is if HDUCLAS1 says so, or its name is GTI or STDGTI and a number; by any other name that begins so, such as
    GTI_FILT, if it has columns START and STOP.
    """
    if not (hdu.is_table or hdu.kind == "TABLE"):
        return False
    if str(hdu.cards.get("HDUCLAS1") or "").strip().upper() == "GTI" or _NAME.fullmatch(hdu.name):
        return True
    return hdu.name.startswith(("STDGTI", "GTI")) and _has_edges(hdu)


def read(stream: IO[bytes], hdu: Hdu, file: str = "the file") -> GoodTimes:
    """Read a table of good time intervals.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdu
        The table.
    file
        What the file is called in errors.

    Returns
    -------
    GoodTimes
        Starts and stops, scaled, shape (n,) each.

    Raises
    ------
    FitsError
        The table has no columns START and STOP of numbers in one unit, or cannot be read.
    """
    table = _table(hdu, file)
    missing = [name for name in EDGES if name not in table.columns]
    if missing:
        names = ", ".join(table.columns)[:200]
        raise FitsError(f"{table.title} has no columns START and STOP; it has {names}")
    edges = [table.columns[name] for name in EDGES]
    for column in edges:
        if not column.is_number:
            held = f"{column.kind} ({column.form})"
            raise FitsError(f"{table.title}: {column.name} is {held}; good times are numbers of seconds")
    units = {unit_of(column.unit) for column in edges if column.unit}
    units = units or {unit_of(str(hdu.cards.get("TIMEUNIT") or ""))}
    if len(units) > 1:
        raise FitsError(f"{table.title} is in {', '.join(sorted(units))[:40]}; one unit is expected for both columns")
    start, stop = table.floats(stream, EDGES)
    return GoodTimes(start, stop, units.pop())


def joined(start: Times, stop: Times) -> tuple[Times, Times]:
    """Join intervals that overlap or touch: sorted and apart, without empty ones; shape (n,) each, of finite times."""
    kept = np.flatnonzero(stop > start)
    order = kept[np.argsort(start[kept], kind="stable")]
    start, reached = start[order], np.maximum.accumulate(stop[order])
    is_new, is_last = np.ones(len(start), dtype=np.bool_), np.ones(len(start), dtype=np.bool_)
    is_new[1:] = start[1:] > reached[:-1]
    is_last[:-1] = is_new[1:]
    return start[is_new], reached[is_last]


def _table(hdu: Hdu, file: str = "the file") -> bintable.Table | asciitable.TextTable:
    return asciitable.table(hdu, file) if hdu.kind == "TABLE" else bintable.table(hdu, file)


def _has_edges(hdu: Hdu) -> bool:
    try:
        columns = _table(hdu).columns
    except FitsError:
        return False
    return set(EDGES) <= set(columns)
