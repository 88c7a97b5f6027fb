"""What a part of a query is worth: its SQL, its kind, and how it would be described as a column of the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from uws_server.tap.tables import ColumnDescription, Composed, Position, RegionIndex, TableDescription

Kind = Literal["number", "text", "boolean", "null", "shape"]
Number = int | float

INTEGERS: Final = ("unsignedByte", "short", "int", "long")
NUMBERS: Final = (*INTEGERS, "float", "double")
"""The types of VOTable for numbers, each with room for those before it."""

_TEXTS: Final = ("char", "unicodeChar")
_SHAPES: Final = ("point", "circle", "polygon", "shape", "region", "moc", "adql:region", "adql:point")


@dataclass(frozen=True)
class Shape:
    """A geometry: POINT, CIRCLE, POLYGON of numbers; REGION of text in the database; MOC of cells, or of text.

    `text` is the SQL of the shape as text; `origin` says of a REGION that it is a plain column.
    """

    name: Literal["POINT", "CIRCLE", "POLYGON", "REGION", "MOC"]
    numbers: tuple[Value, ...] = ()
    text: str = ""
    ranges: tuple[tuple[int, int], ...] = ()
    origin: Origin | None = None

    @property
    def constants(self) -> tuple[float, ...] | None:
        """The numbers, if each is one that the query itself tells."""
        found = tuple(float(value.literal) for value in self.numbers if isinstance(value.literal, Number))
        return found if self.numbers and len(found) == len(self.numbers) else None


@dataclass(frozen=True)
class Value:
    """A value of a query.

    `literal` is what the query itself tells; `condition` is the SQL condition that holds where the value is 1;
    `apart` are the two points whose distance it is; `origin` says where a plain column comes from.
    """

    sql: str
    kind: Kind
    about: ColumnDescription
    literal: Number | str | None = None
    shape: Shape | None = None
    condition: str | None = None
    apart: tuple[Shape, Shape] | None = None
    origin: Origin | None = None

    @property
    def is_integer(self) -> bool:
        """Whether the value is a whole number."""
        return self.kind == "number" and self.about.datatype in INTEGERS

    def named(self, name: str) -> ColumnDescription:
        """Return the description under another name, without the place in the database."""
        return replace(self.about, name=name, sql_name=None)


@dataclass(frozen=True)
class Origin:
    """The table of the query that a plain column comes from, and its alias in SQL."""

    alias: str
    column: str
    table: TableDescription

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions of the table."""
        return self.table.positions

    @property
    def region_index(self) -> RegionIndex | None:
        """What tells the circle around each value of the column; None if nothing does."""
        return next((index for index in self.table.regions if index.region == self.column), None)

    @property
    def composed(self) -> Composed | None:
        """What the values of the column are made of; None if that is not known."""
        return next((each for each in self.table.composed if each.column == self.column), None)

    def sql_name(self, column: str) -> str:
        """Return the name in the database of another column of the table."""
        same = self.table.by_name.get(column.lower(), ())
        return next((one.sql_name or one.name for one in same if one.name == column), column)


def kind_of(column: ColumnDescription) -> Kind:
    """Return the kind of the values of a column; arrays of numbers are kept as text."""
    if (column.xtype or "").lower() in _SHAPES:
        return "shape"
    if column.datatype in _TEXTS:
        return "text"
    if column.datatype == "boolean":
        return "boolean"
    return "number" if column.arraysize in (None, "", "1") else "text"


def number(sql: str, datatype: str = "double", unit: str | None = None, literal: Number | None = None) -> Value:
    """Return the value of an expression that gives a number."""
    return Value(sql, "number", ColumnDescription("", datatype, unit=unit), literal)


def flag(condition: str) -> Value:
    """Return the value of a predicate of ADQL, which is 1 or 0 and stands in conditions as a condition."""
    sql = f"(CASE WHEN {condition} THEN 1 WHEN NOT ({condition}) THEN 0 END)"
    return Value(sql, "number", ColumnDescription("", "int"), condition=condition)


def text(sql: str, literal: str | None = None, xtype: str | None = None) -> Value:
    """Return the value of an expression that gives text."""
    return Value(sql, "text", ColumnDescription("", "char", "*", xtype=xtype), literal)
