"""Redistribution matrices as OGIP RMF files (CAL/GEN/92-002)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from provenance.fits import headers
from provenance.fits.atomic import write_bytes
from provenance.fits.bintable import Table
from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError
from reduction.events import fitsfile, fitswrite
from reduction.events.fitsfile import FitsFile
from reduction.events.fitswrite import Cards, ListColumn, TableColumn
from reduction.responses import files
from reduction.responses.grid import Floats
from reduction.responses.redistribution import Channels, Redistribution, Whole

_MATRIX = ("MATRIX", "SPECRESP MATRIX")

_FIRST = 1
"""Number of the first channel where a file does not say it (TLMIN of F_CHAN): CAL/GEN/92-002, section 4.1.2."""

_MOST_CHANNEL = 2**31
"""Number that no channel reaches: F_CHAN has at most 32 bits."""


def read_redistribution(path: Path, parameter: str = "rmf") -> Redistribution:
    """Read an RMF file, with its tables MATRIX (or SPECRESP MATRIX) and EBOUNDS.

    Parameters
    ----------
    path
        The file, plain or gzipped.
    parameter
        Job parameter named in errors.

    Returns
    -------
    Redistribution
        The matrix; where the file has the effective area in it, so has this.

    Raises
    ------
    ReductionError
        No FITS file, a table is missing, or the tables contradict themselves or each other.
    """
    with files.opened(path, parameter) as file:
        hdu, table = files.find_table(file, _MATRIX, ("RSP_MATRIX",), "redistribution matrix (RMF)")
        channels = _channels(file)
        grid = files.energy_grid(file, table)
        (groups,) = files.numbers(file, table, "N_GRP")
        lengths_by_row = groups.astype(np.int64)
        starts = _leading(file, table, "F_CHAN", lengths_by_row)
        lengths = _leading(file, table, "N_CHAN", lengths_by_row)
        values = _probabilities(file, table, lengths, lengths_by_row)
        kept = lengths > 0
        first = _first_channel(file, hdu, table, starts[kept])
        rows = np.concatenate(([0], np.cumsum(kept)))[np.concatenate(([0], np.cumsum(lengths_by_row)))]
        with files.naming(file):
            camera = files.camera_of(hdu)
            return Redistribution(grid, channels, rows, starts[kept] - first, lengths[kept], values, camera)


def write_redistribution(path: Path, matrix: Redistribution, more: Cards | None = None) -> None:
    """Write an RMF file, whole or not at all.

    TLMIN of F_CHAN is always written, and the runs of channels as vectors: readers want both.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    matrix
        The redistribution.
    more
        Further keywords of all headers: the observation, how the matrix was made.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    channels, runs = matrix.channels, np.diff(matrix.rows)
    shape = (matrix.energies.size, max(int(runs.max(initial=0)), 2))
    begin, length = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int16)
    filled = np.arange(shape[1]) < runs[:, None]
    begin[filled], length[filled] = matrix.starts + channels.first, matrix.lengths
    columns: list[TableColumn | ListColumn] = [
        *files.energy_columns(matrix.energies),
        TableColumn("N_GRP", runs.astype(np.int16), "", "number of runs of channels"),
        TableColumn("F_CHAN", begin, "", "first channel of each run"),
        TableColumn("N_CHAN", length, "", "number of channels of each run"),
        ListColumn("MATRIX", np.diff(matrix.first_values), matrix.values.astype(np.float32), "", "probabilities"),
    ]
    last = channels.first + channels.size - 1
    shared: Cards = [
        *files.camera_cards(matrix.camera),
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "RESPONSE", "File contains a response"),
        ("HDUVERS", "1.3.0", "Version of format (CAL/GEN/92-002a)"),
        ("HDUVERS1", "1.0.0", "Version of format, for older readers"),
        ("RMFVERSN", "1992a", "Version of format, for older readers"),
        ("CHANTYPE", "PI", "Type of channel data"),
        ("DETCHANS", channels.size, "Total number of detector channels available"),
        *(more or []),
    ]
    own: Cards = [
        ("HDUCLAS2", "RSP_MATRIX", "redistribution matrix"),
        ("HDUCLAS3", "REDIST", "without the effective area"),
        ("HDUVERS2", "1.3.0", "Version of format, for older readers"),
        ("NUMGRP", int(runs.sum()), "number of runs of channels"),
        ("NUMELT", matrix.values.size, "number of probabilities"),
        ("LO_THRES", 0.0, "lower threshold of probabilities"),
        ("TLMIN4", channels.first, "Lowest channel"),
        ("TLMAX4", last, "Highest channel"),
    ]
    bounds: Cards = [
        ("HDUCLAS2", "EBOUNDS", "nominal energies of channels"),
        ("HDUVERS2", "1.2.0", "Version of format, for older readers"),
        ("TLMIN1", channels.first, "Lowest channel"),
        ("TLMAX1", last, "Highest channel"),
    ]
    parts = [
        files.primary(matrix.camera, more or []),
        fitswrite.table("EBOUNDS", _channel_columns(channels), [*shared, *bounds]),
        fitswrite.table("MATRIX", columns, [*shared, *own]),
    ]
    write_bytes(path, b"".join(parts))


def _channel_columns(channels: Channels) -> list[TableColumn]:
    return [
        TableColumn("CHANNEL", channels.numbers.astype(np.int16), "", "channel"),
        TableColumn("E_MIN", channels.low.astype(np.float32), "keV", "nominal lower edge"),
        TableColumn("E_MAX", channels.high.astype(np.float32), "keV", "nominal upper edge"),
    ]


def _channels(file: FitsFile) -> Channels:
    """Read the channels; those of a grating may run down in energy. Raise ReductionError if they have gaps."""
    table = files.find_table(file, ("EBOUNDS",), ("EBOUNDS",), "redistribution matrix (RMF)")[1]
    (numbers,) = files.numbers(file, table, "CHANNEL")
    low, high = files.in_kev(file, table, "E_MIN", "E_MAX")
    sound = numbers.size and np.isfinite(numbers).all() and np.abs(numbers).max() < _MOST_CHANNEL
    if not (sound and (np.diff(numbers) == 1).all()):
        raise ReductionError(f"the channels of {table.title} do not follow one another: {numbers[:3].tolist()} ...",
                             file.parameter)  # fmt: skip
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ReductionError(
            f"{table.title} has channels whose energies E_MIN and E_MAX are no numbers", file.parameter
        )
    return Channels(int(numbers[0]), np.minimum(low, high), np.maximum(low, high))


def _first_channel(file: FitsFile, hdu: Hdu, table: Table, starts: Whole) -> int:
    """Return the number of the first channel in F_CHAN, which is not always that of EBOUNDS.

    Where the file does not say it, it is 1, unless a run of channels begins at 0. Raise ReductionError for a number
    that no channel has.
    """
    number = headers.Cards(hdu.cards).number(f"TLMIN{table.columns['F_CHAN'].index}")
    if number is not None and abs(number) > _MOST_CHANNEL:
        raise ReductionError(
            f"{table.title} says that its first channel is {number:g}: TLMIN of F_CHAN", file.parameter
        )
    return min(_FIRST, int(starts.min(initial=_FIRST))) if number is None else int(number)


def _lists(file: FitsFile, table: Table, name: str) -> tuple[Whole, Floats]:
    if name not in table.columns:
        raise ReductionError(f"{table.title} needs a column {name}; it has {', '.join(table.columns)}", file.parameter)
    with fitsfile.reduction_errors(file.parameter), file.path.open("rb") as stream:
        return table.lists(stream, name)


def _leading(file: FitsFile, table: Table, name: str, wanted: Whole) -> Whole:
    """Return the first items of the list in each row, as many as N_GRP says, flat."""
    lengths, items = _lists(file, table, name)
    if (wanted < 0).any() or (lengths < wanted).any():
        row = int(np.argmax((wanted < 0) | (lengths < wanted)))
        raise ReductionError(f"row {row + 1} of {table.title} has N_GRP {wanted[row]}, and {lengths[row]} values of "
                             f"{name}", file.parameter)  # fmt: skip
    place = np.arange(items.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    leading = items[place < np.repeat(wanted, lengths)]
    if not (np.isfinite(leading).all() and np.abs(leading).max(initial=0) < _MOST_CHANNEL):
        raise ReductionError(f"column {name} of {table.title} has numbers that no channel has", file.parameter)
    return leading.astype(np.int64)


def _probabilities(file: FitsFile, table: Table, lengths: Whole, runs_by_row: Whole) -> Floats:
    """Return the probabilities of all runs, flat; what a row has more than its runs have channels is filling."""
    by_row, items = _lists(file, table, "MATRIX")
    row = np.repeat(np.arange(runs_by_row.size), runs_by_row)
    wanted = np.bincount(row, lengths, minlength=runs_by_row.size).astype(np.int64)
    if (lengths < 0).any() or (by_row < wanted).any():
        at = int(np.argmax(by_row < wanted))
        raise ReductionError(f"row {at + 1} of {table.title} has {by_row[at]} probabilities for {wanted[at]} channels",
                             file.parameter)  # fmt: skip
    place = np.arange(items.size) - np.repeat(np.cumsum(by_row) - by_row, by_row)
    return items[place < np.repeat(wanted, by_row)]
