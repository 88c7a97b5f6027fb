"""Tables of good time intervals: which HDUs they are, and the starts and stops that they hold.

Source: OGIP/93-003 (HDUCLAS1 = 'GTI', columns START and STOP). What the times count from is left to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import bintable
from provenance.fits.hdus import Hdu
from provenance.text.errors import FitsError

Times = npt.NDArray[np.float64]
"""Times, shape (n,)."""

EDGES: Final = ("START", "STOP")
"""The columns of a table of good time intervals."""

_SECONDS: Final = ("", "s", "sec", "second", "seconds")
_NAME: Final = re.compile(r"(STDGTI|GTI)\d*")


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
    """Return those of some HDUs that are tables of good time intervals."""
    return [hdu for hdu in hdus if is_gti(hdu)]


def is_gti(hdu: Hdu) -> bool:
    """Tell whether an HDU is a table of good time intervals.

    It is if HDUCLAS1 says so, or its name is GTI or STDGTI and a number; by any other name that begins so, such as
    GTI_FILT, if it has columns START and STOP.
    """
    if not hdu.is_table:
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
    table = bintable.table(hdu, file)
    missing = [name for name in EDGES if name not in table.columns]
    if missing:
        names = ", ".join(table.columns)[:200]
        raise FitsError(f"{table.title} has no columns START and STOP; it has {names}")
    edges = [table.columns[name] for name in EDGES]
    for column in edges:
        if not column.is_number:
            held = f"{column.kind} ({column.repeat}{column.letter})"
            raise FitsError(f"{table.title}: {column.name} is {held}; good times are numbers of seconds")
    units = {_unit(column.unit) for column in edges if column.unit} or {_unit(str(hdu.cards.get("TIMEUNIT") or "s"))}
    if len(units) > 1:
        raise FitsError(f"{table.title} is in {', '.join(sorted(units))[:40]}; good times are read in s")
    rows = table.read(stream)
    start, stop = (column.floats(rows) for column in edges)
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


def _unit(text: str) -> str:
    """Return a unit as FITS writes it: s for seconds, however spelt."""
    return "s" if text.strip().lower() in _SECONDS else text.strip()


def _has_edges(hdu: Hdu) -> bool:
    try:
        columns = bintable.table(hdu).columns
    except FitsError:
        return False
    return set(EDGES) <= set(columns)
