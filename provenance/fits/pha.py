"""Spectra as OGIP files hold them: which HDUs they are, counts or rates by channel, the factors, the files they name.

The one reader of spectra. Sources: OGIP/92-007 and 92-007a; files of type II have a spectrum in each row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import bintable, scales
from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from provenance.fits.scales import Floats, Scale
from provenance.text.errors import FitsError

Integers = npt.NDArray[np.int64]

MOST_CHANNELS: Final = 65_536
"""The most channels of a spectrum that is read."""

KEV_ANGSTROM: Final = 12.398419843
"""Planck constant times speed of light over elementary charge, keV Angstrom (CODATA 2018)."""

_REFERENCE: Final = re.compile(r"(.*?)\s*(?:\[([^\]]*)\]|(?<=\w)\+(\d{1,3}))?\s*(?:\{(\d{1,6})[^}]*\})?")
_ARRAYS: Final = ("COUNTS", "RATE")


@dataclass(frozen=True)
class FileReference:
    """A file that a header names, such as ``bkg.pha[1]`` or ``bkg.pha{3}``.

    `name` is without folder, empty for NONE; `hdu` is the number or name of an HDU in brackets, empty for none; `row`
    the number of a spectrum in a file of type II, from 1, None for none.
    """

    name: str
    hdu: str = ""
    row: int | None = None

    @classmethod
    def of(cls, text: str) -> FileReference:
        """Read what a keyword such as BACKFILE says."""
        found = _REFERENCE.fullmatch(text.strip())
        name = PurePath(found[1] if found else text).name
        if found is None or name.upper() in ("", "NONE"):
            return cls("" if name.upper() == "NONE" else name)
        return cls(name, (found[2] or found[3] or "").strip(), int(found[4]) if found[4] else None)

    def find(self, hdus: Sequence[Hdu]) -> Hdu | None:
        """Return the spectrum of a file that is meant: the HDU named, else the first; None if that is no spectrum."""
        wanted = self.hdu.split(",")[0].strip().upper()
        if wanted.isdigit():
            hdus = hdus[int(wanted) : int(wanted) + 1]
        elif re.fullmatch(r"[A-Z][\w -]*", wanted) and any(hdu.name == wanted for hdu in hdus):
            hdus = [hdu for hdu in hdus if hdu.name == wanted]
        return next((hdu for hdu in hdus if is_spectrum(hdu)), None)


@dataclass(frozen=True)
class Pha:
    """A spectrum: `channel`, `counts` or `rate` (counts/s), `stat_error` in the unit of these, shape (n,) each.

    `stat_error` is None where the errors are Poisson's or not given; `starts` are the indices where groups begin, None
    without grouping; `quality` is 0 for good channels. `bins_kev` are the energies in the table itself (BIN_LO, BIN_HI
    of gratings), shape (n,) both. `row` is the number of the spectrum, from 1, among the `rows` of a file of type II.
    """

    header: Mapping[str, Any]
    channel: Integers
    counts: Floats | None
    rate: Floats | None
    stat_error: Floats | None
    starts: Integers | None
    quality: Integers
    exposure: Scale
    areascal: Scale
    backscal: Scale
    background: FileReference
    response: FileReference
    bins_kev: tuple[Floats, Floats] | None = None
    row: int | None = None
    rows: int = 1


def is_spectrum(hdu: Hdu) -> bool:
    """Tell whether an HDU is an OGIP spectrum: HDUCLAS1 says so, or without one its name is SPECTRUM."""
    if not hdu.is_table:
        return False
    kind = str(hdu.cards.get("HDUCLAS1") or "").strip().upper()
    return kind == "SPECTRUM" or (not kind and hdu.name == "SPECTRUM")


def channel_count(cards: Cards) -> int | None:
    """Return the number of channels that the header of a spectrum states: DETCHANS, else the length of its arrays, else
    its rows; None if it states none."""
    if count := cards.count("DETCHANS"):
        return count
    for number in range(1, min(cards.count("TFIELDS") or 0, 999) + 1):
        form = re.match(r"\s*(\d{1,7})[BIJKED]", cards.text(f"TFORM{number}").upper())
        if cards.text(f"TTYPE{number}").upper() in _ARRAYS and form and int(form[1]) > 1:
            return int(form[1])
    return cards.count("NAXIS2")


def read(
    stream: IO[bytes], hdu: Hdu, primary: Hdu | None = None, row: int | None = None, file: str = "the file"
) -> Pha:
    """Read a spectrum.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdu
        The table.
    primary
        The primary HDU, whose keywords hold where the table has none of the name.
    row
        Which spectrum of a file of type II, from 1; None for the one with the most counts.
    file
        What the file is called in errors.

    Returns
    -------
    Pha
        The spectrum.

    Raises
    ------
    FitsError
        The table has no channels with counts or rates of numbers, too many of them, or cannot be read.
    """
    table = bintable.table(hdu, file)
    rows = table.read(stream)
    amounts = [table.columns[name] for name in _ARRAYS if name in table.columns and _is_numeric(table.columns[name])]
    if not amounts:
        raise FitsError("the SPECTRUM table has no columns CHANNEL and COUNTS (or RATE) of numbers")
    is_second_type = amounts[0].repeat > 1
    at = _chosen(rows, amounts[0], row) if is_second_type else None
    cells = _Cells(table.columns, rows, at)
    header = {**({} if primary is None else primary.cards), **{k: v for k, v in hdu.cards.items() if v is not None}}
    headers = [Cards(hdu.cards), *([] if primary is None else [Cards(primary.cards)])]
    return _spectrum(cells, header, headers, len(rows) if is_second_type else 1)


@dataclass(frozen=True)
class _Cells:
    """The cells of one spectrum: all rows of a table, or, in a file of type II, row `at`."""

    columns: Mapping[str, Column]
    rows: Rows
    at: int | None

    def numbers(self, name: str) -> Floats | None:
        """Return the numbers of a column, shape (n,), or () for one that a row of type II has; None without them."""
        column = self.columns.get(name)
        if column is None or not _is_numeric(column) or (self.at is None and column.repeat > 1):
            return None
        return column.floats(self.rows) if self.at is None else column.floats(self.rows[self.at : self.at + 1])[0]

    def text(self, name: str) -> str:
        """Return the text that a row of type II has in a column; empty without it."""
        column = self.columns.get(name)
        if column is None or self.at is None or column.letter != "A":
            return ""
        return bytes(column.stored(self.rows)[self.at]).decode("ascii", "replace").strip()

    def scale(self, headers: Sequence[Cards], name: str, size: int) -> Scale:
        """Return a factor, from its column where there is one, else from its keyword."""
        cells: npt.NDArray[Any] | None = self.numbers(name)
        column = self.columns.get(name)
        if cells is None and column is not None and column.letter == "A":
            texts = column.stored(self.rows)
            cells = texts if self.at is None else np.asarray(texts[self.at])
        if cells is None or cells.shape not in ((), (size,)):
            return scales.from_keyword(headers, name, size)
        return scales.from_column(name, cells, size)


def _is_numeric(column: Column) -> bool:
    """Tell whether a cell is one real number or an array of them."""
    return column.letter in "BIJKED" and column.repeat > 0


def _chosen(rows: Rows, amounts: Column, row: int | None) -> int:
    """Return the index of the spectrum that is meant in a file of type II. Raise FitsError if there is none."""
    if not len(rows):
        raise FitsError("the SPECTRUM table has no rows")
    if row is None:
        return int(np.nan_to_num(amounts.floats(rows)).sum(axis=1).argmax())
    if not 1 <= row <= len(rows):
        raise FitsError(f"there is no spectrum {row}: the file has {len(rows)}")
    return row - 1


def _spectrum(cells: _Cells, header: Mapping[str, Any], headers: Sequence[Cards], rows: int) -> Pha:
    """Put a spectrum together. Raise FitsError if it has no channels, or too many."""
    counts, rate, channel = cells.numbers("COUNTS"), cells.numbers("RATE"), cells.numbers("CHANNEL")
    amounts = counts if counts is not None else rate
    if channel is None and cells.at is not None and amounts is not None:
        channel = np.arange(1.0, amounts.size + 1)  # a type II file may leave the numbers out
    if amounts is None or channel is None or channel.shape != amounts.shape:
        raise FitsError("the SPECTRUM table has no columns CHANNEL and COUNTS (or RATE) of numbers")
    size = amounts.size
    if not 0 < size <= MOST_CHANNELS:
        raise FitsError(f"the spectrum has {size} channels; 1 to {MOST_CHANNELS} can be read")
    error = cells.numbers("STAT_ERR") if header.get("POISSERR") is not True else None
    grouping = cells.numbers("GROUPING")
    named = {name: FileReference.of(cells.text(name) or Cards(header).text(name)) for name in ("BACKFILE", "RESPFILE")}
    return Pha(
        header=header,
        channel=np.nan_to_num(channel).astype(np.int64),
        counts=None if counts is None else np.nan_to_num(counts),
        rate=None if rate is None else np.nan_to_num(rate),
        stat_error=error if error is not None and error.shape == amounts.shape else None,
        starts=_starts(grouping) if grouping is not None and grouping.shape == (size,) else None,
        quality=_quality(cells.numbers("QUALITY"), Cards(header), size),
        exposure=cells.scale(headers, "EXPOSURE", size),
        areascal=cells.scale(headers, "AREASCAL", size),
        backscal=cells.scale(headers, "BACKSCAL", size),
        background=named["BACKFILE"],
        response=named["RESPFILE"],
        bins_kev=_bins(cells, size),
        row=None if cells.at is None else cells.at + 1,
        rows=rows,
    )


def _starts(grouping: Floats) -> Integers | None:
    """Return the indices where groups begin; None where no channel continues one."""
    begins = grouping != -1
    if begins.all():
        return None
    begins[0] = True
    return np.flatnonzero(begins).astype(np.int64)


def _quality(cells: Floats | None, header: Cards, size: int) -> Integers:
    """Return the quality of each channel: that of the column, else that of the keyword; a null is bad."""
    if cells is None:
        return np.full(size, int(header.number("QUALITY") or 0), dtype=np.int64)
    return np.broadcast_to(np.nan_to_num(cells, nan=1), (size,)).astype(np.int64)


def _bins(cells: _Cells, size: int) -> tuple[Floats, Floats] | None:
    """Return the energies (keV) of channels whose table has their wavelengths in Angstrom; None for others."""
    found = [cells.numbers(name) for name in ("BIN_LO", "BIN_HI")]
    units = {cells.columns[name].unit.strip().lower() for name in ("BIN_LO", "BIN_HI") if name in cells.columns}
    if units != {"angstrom"} or any(edges is None or edges.shape != (size,) for edges in found):
        return None
    short, long = (np.asarray(edges) for edges in found)
    if not (np.all(short > 0) and np.all(long > short)):
        return None
    return KEV_ANGSTROM / long, KEV_ANGSTROM / short
