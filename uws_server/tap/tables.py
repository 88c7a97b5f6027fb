"""What the tables are that a query may name, as values: names, columns, and where a row stands on the sky.

ADQL is translated against these values alone (`uws_server/tap/adql/`), and they say how a table is stored:

- Times are ISO 8601 text, regions STC-S text (`Circle ICRS 10 20 0.5`, `Polygon ICRS ...`) or DALI's numbers with the
  xtype `circle` or `polygon`, MOCs ASCII text, boolean columns integers in SQLite and boolean in PostgreSQL.
- Indexes that the geometry wants: for each `Position` a b-tree over (dec, ra) in that order, and, where it names one,
  a b-tree over its column `healpix`, which holds the nested HEALPix cell of order 29 (`adql.healpix.cell`) of the
  position as a 64-bit integer, or one over (zone, ra) with its column `zone`; for each `RegionIndex` a b-tree over
  (size, dec, ra).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class ColumnDescription:
    """A column of a table or of a result, in the words of VOTable; `sql_name` is its name in the database."""

    name: str
    datatype: str = "char"
    arraysize: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None
    sql_name: str | None = None


@dataclass(frozen=True)
class Position:
    """The columns that hold a row's place, ICRS degrees.

    `healpix` is the name in the database of the cell of order 29, `zone` that of the number of the zone of declination,
    floor((dec + 90) * `zones_per_deg`); they need not be columns of the description.
    """

    ra: str
    dec: str
    healpix: str | None = None
    zone: str | None = None
    zones_per_deg: int = 1


@dataclass(frozen=True)
class RegionIndex:
    """The columns of the database that tell of each row's `region` which circle, ICRS degrees, is around it.

    They need not be columns of the description. `size` is the number of the first of `reaches_deg` that is no smaller
    than the radius; the last one also of a region whose circle nobody knows, NULL where there is no region.
    """

    region: str
    ra: str
    dec: str
    radius: str
    size: str
    reaches_deg: tuple[float, ...]


@dataclass(frozen=True)
class Composed:
    """A column whose values are, where they are told at all, each a prefix and the value of a column behind it.

    `parts` are those that there may be, prefixes with the names in the database of columns that have an index; a value
    is one of them at least.
    """

    column: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableDescription:
    """A table that queries may name, `schema.table`, and the table or view of the database that is read for it.

    `sql_name` is one name, which does not begin with `adql`, or schema and name with a dot between. `rows_sql`, if
    given, is a SELECT that is read in its place (rows of one caller, say): trusted text, whose parameters stand in
    `parameters`, none named `adql...`.
    """

    name: str
    sql_name: str
    columns: tuple[ColumnDescription, ...]
    positions: tuple[Position, ...] = ()
    rows_sql: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    regions: tuple[RegionIndex, ...] = ()
    composed: tuple[Composed, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, tuple[ColumnDescription, ...]]:
        """The columns by their names in lower case; two stand together if their names differ in case alone."""
        found: dict[str, tuple[ColumnDescription, ...]] = {}
        for column in self.columns:
            key = column.name.lower()
            found[key] = (*found.get(key, ()), column)
        return found
