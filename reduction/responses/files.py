"""What the files of responses have in common: where their tables are, energies in keV, the camera."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from provenance.fits import headers
from provenance.fits.bintable import Table
from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError
from reduction.events import fitsfile, fitswrite
from reduction.events.fitsfile import FitsFile
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Cards
from reduction.missions import CREATOR
from reduction.responses.grid import Camera, EnergyGrid, Floats

KEV = {"": 1.0, "kev": 1.0, "ev": 1e-3, "mev": 1e3}
"""Units of energy as files write them, in keV."""


def find_table(file: FitsFile, names: tuple[str, ...], classes: tuple[str, ...], what: str) -> tuple[Hdu, Table]:
    """Return the first table of a kind.

    Parameters
    ----------
    file
        The file.
    names
        Names that such a table may have.
    classes
        Its classes of OGIP: HDUCLAS2, else HDUCLAS1.
    what
        What such a file is called in the error.

    Returns
    -------
    tuple
        Its HDU, and the table.

    Raises
    ------
    ReductionError
        There is none.
    """
    for hdu in file.hdus:
        cards = headers.Cards(hdu.cards)
        named = (cards.text("HDUCLAS2") or cards.text("HDUCLAS1")).upper()
        if hdu.is_table and (hdu.name.upper() in names or named in classes):
            return hdu, file.table(hdu)
    raise ReductionError(f"{file.name} is no {what}: it has no table {' or '.join(names)}; it has {file.names}",
                         file.parameter)  # fmt: skip


def numbers(file: FitsFile, table: Table, *names: str) -> list[Floats]:
    """Read columns of numbers, one a row.

    Parameters
    ----------
    file
        The file.
    table
        The table in it.
    *names
        The columns.

    Returns
    -------
    list
        The values of each column, shape (rows,).

    Raises
    ------
    ReductionError
        A column is absent, or holds no numbers.
    """
    for name in names:
        column = table.columns.get(name)
        if column is None or not column.is_number:
            have = ", ".join(table.columns) if column is None else f"{name} as {column.form}"
            raise ReductionError(f"{table.title} needs a column {name} of numbers; it has {have}", file.parameter)
    with fitsfile.reduction_errors(file.parameter), file.path.open("rb") as stream:
        return table.floats(stream, names)


def in_kev(file: FitsFile, table: Table, *names: str) -> list[Floats]:
    """Read columns of energies.

    Parameters
    ----------
    file
        The file.
    table
        The table in it.
    *names
        The columns.

    Returns
    -------
    list
        The energies of each column in keV, shape (rows,).

    Raises
    ------
    ReductionError
        A column is absent, holds no numbers, or has an unknown unit.
    """
    found = numbers(file, table, *names)
    for name in names:
        unit = table.columns[name].unit.strip()
        if unit.lower() not in KEV:
            raise ReductionError(f"column {name} of {table.title} is in {unit[:20]!r}; energies are read in keV, eV "
                                 "and MeV", file.parameter)  # fmt: skip
    return [values * KEV[table.columns[name].unit.strip().lower()] for name, values in zip(names, found, strict=True)]


def energy_grid(file: FitsFile, table: Table) -> EnergyGrid:
    """Read the bins of photon energy of a response."""
    with naming(file):
        return EnergyGrid(*in_kev(file, table, "ENERG_LO", "ENERG_HI"))


def camera_of(hdu: Hdu) -> Camera:
    """Read whose response a table holds."""
    cards = headers.Cards(hdu.cards)
    filter_ = cards.text("FILTER").strip()
    return Camera(cards.text("TELESCOP").strip(), cards.text("INSTRUME").strip(), "" if filter_ == "NONE" else filter_)


@contextmanager
def naming(file: FitsFile) -> Iterator[None]:
    """Raise an error about a value as one about the file that it was read from."""
    try:
        yield
    except ReductionError as error:
        if error.parameter is not None:
            raise
        raise ReductionError(f"{file.name} cannot be used: {error}", file.parameter) from error


def camera_cards(camera: Camera) -> Cards:
    """Return the keywords that say whose response a table holds."""
    return [
        *LONGSTRN,
        ("TELESCOP", camera.telescope or "UNKNOWN", "Telescope (mission) name"),
        ("INSTRUME", camera.instrument or "UNKNOWN", "Instrument name"),
        ("FILTER", camera.filter or "NONE", "Filter ID"),
    ]


def primary(camera: Camera, more: Cards) -> bytes:
    """Write the primary header of a response; without a date, so that the same response gives the same bytes."""
    creator: Cards = [("CREATOR", CREATOR, "name of code which created this file")]
    return fitswrite.header([*PRIMARY, *creator, *camera_cards(camera), *more])


def energy_columns(grid: EnergyGrid) -> list[fitswrite.TableColumn]:
    """Return the columns of photon energy."""
    return [
        fitswrite.TableColumn("ENERG_LO", grid.low.astype(np.float32), "keV", "lower edge of the bin"),
        fitswrite.TableColumn("ENERG_HI", grid.high.astype(np.float32), "keV", "upper edge of the bin"),
    ]


@contextmanager
def opened(path: Path, parameter: str) -> Iterator[FitsFile]:
    """Find the tables of a response, plain or gzipped; raise ReductionError if it is no sound FITS file."""
    if not fitsfile.is_gzip(path):
        yield fitsfile.scan(path, parameter)
        return
    with tempfile.TemporaryDirectory(prefix="response-") as folder:
        plain = Path(folder) / "inflated"
        fitsfile.inflate(path, plain, parameter)
        yield fitsfile.scan(plain, parameter, path.name)
