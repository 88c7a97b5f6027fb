"""The rows of a source list (table SOURCES with RA and DEC), and the regions by which each is reduced further.

Imports the libraries only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from provenance.fits import FitsError, bintable
from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan
from uws_server.previews.spectra import NoPreview

TABLE: Final = "SOURCES"
"""EXTNAME of a source list."""

MOST_ROWS: Final = 5000

SOURCE_ARCSEC: Final = 20.0
"""Radius of the region of a point source: it holds about three quarters of its light."""

_RING_ARCSEC: Final = (40.0, 100.0)
_MOST_BITS: Final = 13
"""Bits of a flag that four digits of a keyword have room for, from 1 to 4096."""

_MOST_CUT: Final = 20
"""Neighbours that are cut out of a background: more would make the address too long."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ListedSource:
    """A row: number, name, place (ICRS, degrees) and what is known of the rest; NaN for what is not."""

    number: int
    name: str
    ra: float
    dec: float
    error_arcsec: float
    likelihood: float
    counts: float
    counts_error: float
    rate: float
    extent_arcsec: float
    flag: int

    @property
    def radius_arcsec(self) -> float:
        """Radius of the region that holds its light."""
        return max(SOURCE_ARCSEC, 2 * self.extent_arcsec) if self.extent_arcsec > 0 else SOURCE_ARCSEC


def is_list(hdu: Hdu) -> bool:
    """Return whether a table is a source list."""
    return hdu.is_table and hdu.name == TABLE


def read(path: Path) -> tuple[ListedSource, ...]:
    """Return the first `MOST_ROWS` rows of the source list in a file. Raise NoPreview if there is none."""
    try:
        hdu = next((hdu for hdu in scan(path, "").hdus if is_list(hdu)), None)
        if hdu is None:
            raise NoPreview(f"{path.name} has no table {TABLE}")
        table = bintable.table(hdu, path.name)
        missing = [name for name in ("RA", "DEC") if name not in table.columns]
        if missing:
            raise NoPreview(f"the table {TABLE} of {path.name} has no column {' and '.join(missing)}")
        if not table.rows:
            return ()
        rows = next(iter(table.chunks(path, MOST_ROWS * table.dtype.itemsize)))[:MOST_ROWS]
        values = {name: column.floats(rows) for name, column in table.columns.items() if column.is_number}
        names = table.columns["NAME"].values(rows).tolist() if "NAME" in table.columns else [b""] * len(rows)
    except (FitsError, ReductionError, OSError) as error:
        raise NoPreview(str(error)) from error
    return tuple(_listed(values, names, index) for index in range(len(rows)))


def flags(path: Path) -> dict[int, str]:
    """Return what each bit of the column FLAG says, by the keywords FLAG0001, FLAG0002 and so on; none without them."""
    try:
        hdu = next((hdu for hdu in scan(path, "").hdus if is_list(hdu)), None)
    except (FitsError, ReductionError, OSError):
        return {}
    if hdu is None:
        return {}
    bits = (2**power for power in range(_MOST_BITS))
    found = {bit: hdu.cards.get(f"FLAG{bit:04d}") for bit in bits}
    return {bit: text for bit, text in found.items() if isinstance(text, str) and text}


def _listed(values: dict[str, Floats], names: Sequence[bytes], index: int) -> ListedSource:
    """Return one row."""

    def value(name: str, other: float = math.nan) -> float:
        return float(values[name][index]) if name in values else other

    name = names[index].decode("ascii", "replace").strip() if isinstance(names[index], bytes) else str(names[index])
    number, flag = value("SRC_ID", index + 1), value("FLAG", 0)
    return ListedSource(
        int(number) if math.isfinite(number) else index + 1, name, value("RA"), value("DEC"), value("RADEC_ERR"),
        value("DET_ML"), value("COUNTS"), value("COUNTS_ERR"), value("RATE"), value("EXT", 0.0),
        int(flag) if math.isfinite(flag) else 0,
    )  # fmt: skip


def source_region(source: ListedSource) -> str:
    """Return the region of a source as DS9 text."""
    return f'icrs; circle({source.ra:.5f}, {source.dec:.5f}, {source.radius_arcsec:g}")'


def background_region(source: ListedSource, everything: Sequence[ListedSource]) -> str:
    """Return a ring around a source as DS9 text, the other sources that reach into it cut out."""
    inner, outer = (edge + source.radius_arcsec - SOURCE_ARCSEC for edge in _RING_ARCSEC)
    near = sorted(_apart(source, everything, outer), key=lambda pair: pair[0])[:_MOST_CUT]
    ring = f'icrs; annulus({source.ra:.5f}, {source.dec:.5f}, {inner:g}", {outer:g}")'
    cut = [f'-circle({other.ra:.5f}, {other.dec:.5f}, {other.radius_arcsec:g}")' for _, other in near]
    return "; ".join([ring, *cut])


def _apart(
    source: ListedSource, everything: Sequence[ListedSource], outer: float
) -> Iterator[tuple[float, ListedSource]]:
    """Yield the other sources that reach into a circle, with their distances in arcsec."""
    for other in everything:
        if other is source or abs(other.dec - source.dec) * 3600 > outer + other.radius_arcsec:
            continue
        east = (other.ra - source.ra + 180) % 360 - 180
        away = 3600 * math.hypot(east * math.cos(math.radians(source.dec)), other.dec - source.dec)
        if away < outer + other.radius_arcsec:
            yield away, other
