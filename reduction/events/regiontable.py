"""Regions as tables of a product, in the form of ASC as the SAS writes it, and those that an event list has already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from provenance.fits.hdus import Hdu
from reduction.events import fitswrite
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import Cards, TableColumn

REGION_TABLE = "REG{:03d}01"
"""The name of a region table: its number counts those of earlier selections too."""


class RegionRow(Protocol):
    """A row of a region table."""

    @property
    def shape(self) -> str:
        """The shape in capitals; '!' in front excludes."""

    @property
    def x(self) -> list[float]:
        """Its vector X."""

    @property
    def y(self) -> list[float]:
        """Its vector Y."""

    @property
    def r(self) -> list[float]:
        """Its vector R: radii, semi-axes or full sides."""

    @property
    def rotang(self) -> list[float]:
        """Its vector ROTANG, in degrees."""


class TabledRegion(Protocol):
    """A region that can be written as a table."""

    def table_rows(self) -> Sequence[RegionRow]:
        """Return its rows."""

    def components(self) -> Sequence[int]:
        """Return the component of each row."""


def earlier_regions(events: EventList) -> list[Hdu]:
    """Return the region tables that the data subspace of an event list refers to: its events lie in all of them."""
    referred = {str(events.header.get(f"DSREF{number}") or "").strip().upper() for number in range(1, 10)}
    tables = [hdu for hdu in events.hdus if str(hdu.cards.get("HDUCLAS1")).strip().upper() == "REGION"]
    return [hdu for hdu in tables if hdu.is_table and f":{hdu.name}" in referred]


def region_name(earlier: Sequence[Hdu]) -> str:
    """Return the name of a new region table beside some others."""
    taken = {hdu.name for hdu in earlier}
    return next(name for number in range(1, 1000) if (name := REGION_TABLE.format(number)) not in taken)


def bytes_of(events: EventList, hdus: Sequence[Hdu]) -> list[bytes]:
    """Return some small HDUs as they lie in the event list."""
    with events.path.open("rb") as stream:
        found = []
        for hdu in hdus:
            stream.seek(hdu.start)
            found.append(stream.read(hdu.end - hdu.start))
        return found


def region_table(region: TabledRegion, title: str, form: str) -> bytes:
    """Write a region as the SAS does: vectors are as long as the longest, filled up with 0.

    Parameters
    ----------
    region
        The region.
    title
        The name of the table, that of `region_name`.
    form
        The names of its columns of positions in the event list, with a comma between.

    Returns
    -------
    bytes
        Header and data, whole blocks.
    """
    rows = region.table_rows()
    columns = [TableColumn("SHAPE", np.array([row.shape.encode("ascii") for row in rows], dtype="S16"))]
    for name, values in (("X", [row.x for row in rows]), ("Y", [row.y for row in rows]), ("R", [row.r for row in rows]),
                         ("ROTANG", [row.rotang for row in rows])):  # fmt: skip
        length = max(map(len, values))
        array = np.array([[*value, *[0.0] * (length - len(value))] for value in values], dtype=np.float32)
        if length:
            columns.append(TableColumn(name, array.ravel() if length == 1 else array))
    columns.append(TableColumn("COMPONENT", np.asarray(region.components(), dtype=np.int16)))
    cards: Cards = [("HDUCLASS", "ASC", ""), ("HDUCLAS1", "REGION", ""), ("HDUCLAS2", "STANDARD", ""),
                    ("MTYPE1", "pos", ""), ("MFORM1", form, "")]  # fmt: skip
    return fitswrite.table(title, columns, cards)
