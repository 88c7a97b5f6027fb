"""Reading of quantities from products: a keyword, or values of a column; may import numpy and astropy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from reduction.bench import formula, references
from reduction.bench.recipe import Formula, FromFile, FromTruth, Quantity
from reduction.errors import ReductionError

NEAR_ARCSEC = 30.0
"""How far a row of a list of sources may be from the source that it is said to be near."""


def measure(quantities: Mapping[str, Quantity], known: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return quantities by name, and sentences about those that could not be had, which are NaN.

    Parameters
    ----------
    quantities
        The quantities, each after those that it is made of.
    known
        What references can name: the truth, and the results of the steps that were run.

    Returns
    -------
    values, troubles
        Numbers by name, and sentences.
    """
    values: dict[str, float] = {}
    troubles: list[str] = []
    for name, quantity in quantities.items():
        try:
            values[name] = _value(quantity, values, known)
        except ReductionError as error:
            values[name] = math.nan
            troubles.append(f"{name}: {error}")
    return values, troubles


class Measured(Mapping[str, float]):
    """Quantities by name, each measured when it is asked for, from what is known by then."""

    def __init__(self, quantities: Mapping[str, Quantity], known: Mapping[str, Any]) -> None:
        self._quantities, self._known = quantities, known

    def __getitem__(self, name: str) -> float:
        wanted, values = self._quantities[name], {}
        if isinstance(wanted, Formula):
            values = {each: self[each] for each in formula.names_in(wanted.text)}
        found = _value(wanted, values, self._known)
        if not math.isfinite(found):
            raise ReductionError(f"{name} has no value")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._quantities)

    def __len__(self) -> int:
        return len(self._quantities)

    def __contains__(self, name: object) -> bool:
        return name in self._quantities


def _value(quantity: Quantity, values: Mapping[str, float], known: Mapping[str, Any]) -> float:
    if isinstance(quantity, Formula):
        return formula.evaluate(quantity.text, values)
    if isinstance(quantity, FromTruth):
        found = references.look_up(quantity.reference, known)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise ReductionError(f"{quantity.reference} is no number")
        return float(found)
    path = references.look_up(f"{quantity.step}.{quantity.result}", known)
    if not isinstance(path, Path):
        raise ReductionError(f"{quantity.result} of {quantity.step} is no single file")
    return _in_file(path, quantity, references.look_up(quantity.near, known) if quantity.near else None)


def _in_file(path: Path, quantity: FromFile, near: Any) -> float:
    """Return a quantity of a product. Raise ReductionError if it is not in there."""
    with opened_hdu(path, quantity.hdu) as hdu:
        if quantity.keyword:
            if quantity.keyword not in hdu.header:
                raise ReductionError(f"{path.name}[{quantity.hdu}] has no keyword {quantity.keyword}")
            return _number(hdu.header[quantity.keyword], quantity.keyword)
        table = rows(hdu, path)
        chosen = np.ones(len(table), dtype=bool)
        for column, wanted in quantity.where:
            chosen &= _equal(column_of(table, column, path), wanted)
        if near is not None:
            chosen &= _nearest(table, chosen, near, path)
        found = np.asarray(column_of(table, quantity.column, path))[chosen]
    if quantity.take == "count":
        return float(len(found))
    if not found.size:
        raise ReductionError(f"{path.name}[{quantity.hdu}] has no row where {dict(quantity.where)}")
    if not np.issubdtype(found.dtype, np.number):
        return _number(found.ravel()[0], quantity.column)
    numbers = found.astype(np.float64).ravel()
    return float(numbers[0] if quantity.take == "first" else getattr(np, quantity.take)(numbers))


def _nearest(table: Any, chosen: Any, near: Any, path: Path) -> Any:
    """Return a mask of the row nearest to a source. Raise ReductionError if none of those chosen is near."""
    if not isinstance(near, Mapping) or not {"ra", "dec"} <= set(near):
        raise ReductionError("near is to name a source, such as source.A")
    ra, dec = (np.asarray(column_of(table, name, path), dtype=np.float64) for name in ("RA", "DEC"))
    place = SkyCoord(near["ra"] * u.deg, near["dec"] * u.deg)
    apart = np.where(chosen, place.separation(SkyCoord(ra * u.deg, dec * u.deg)).arcsec, np.inf)
    if not len(apart) or not apart.min() <= NEAR_ARCSEC:
        raise ReductionError(f"{path.name} has no source within {NEAR_ARCSEC:g} arcsec of {near['name']}")
    return apart == apart.min()


@contextmanager
def opened_hdu(path: Path, hdu: str) -> Iterator[Any]:
    """Open an HDU of a file by name or number. Raise ReductionError if it is not there."""
    try:
        file = fits.open(path, memmap=False)
    except OSError as error:
        raise ReductionError(f"{path.name} cannot be read as FITS: {error}") from error
    with file:
        try:
            found = file[int(hdu) if hdu.isdigit() else hdu]
        except (KeyError, IndexError) as error:
            raise ReductionError(f"{path.name} has no HDU {hdu}") from error
        yield found


def rows(hdu: Any, path: Path) -> Any:
    """Return the rows of a table. Raise ReductionError if the HDU is none."""
    if getattr(hdu, "columns", None) is None:
        raise ReductionError(f"{hdu.name or 'the HDU'} of {path.name} is no table")
    return hdu.data


def column_of(table: Any, name: str, path: Path) -> Any:
    """Return a column of a table.

    Parameters
    ----------
    table
        The rows.
    name
        The name of the column, in any case.
    path
        The file, for an error.

    Returns
    -------
    array
        The values.

    Raises
    ------
    ReductionError
        It is not there; the message has those that are.
    """
    names = list(table.dtype.names or ())
    found = next((each for each in names if each.upper() == name.upper()), None)
    if found is None:
        raise ReductionError(f"{path.name} has no column {name}; it has {', '.join(names)[:200]}")
    return table[found]


def _equal(column: Any, wanted: Any) -> Any:
    if isinstance(wanted, str):
        return np.array([str(each).strip() == wanted for each in column], dtype=bool)
    return np.asarray(column) == wanted


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ReductionError(f"{name} is {value!r}, no number") from error
