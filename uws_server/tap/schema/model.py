"""Schemas, tables and columns as TAP_SCHEMA describes them (TAP 1.1, section 4). Imports the columns of tables."""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.tap.tables import ColumnDescription, Position, RegionIndex


@dataclass(frozen=True)
class SchemaColumn:
    """A column, and what TAP_SCHEMA says of it beside: has it an index, is it one to begin with, one of a standard."""

    column: ColumnDescription
    indexed: bool = False
    principal: bool = True
    std: bool = False


@dataclass(frozen=True)
class SchemaTable:
    """A table, `schema.table`; `sql_name` is that of the database, `rows` how many it has where that is known."""

    name: str
    description: str
    columns: tuple[SchemaColumn, ...]
    sql_name: str = ""
    utype: str = ""
    kind: str = "table"
    positions: tuple[Position, ...] = ()
    rows: int | None = None
    regions: tuple[RegionIndex, ...] = ()

    @property
    def schema(self) -> str:
        """The name of its schema."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Schema:
    """A schema with its tables."""

    name: str
    description: str
    tables: tuple[SchemaTable, ...]
    utype: str = ""


@dataclass(frozen=True)
class Key:
    """A foreign key: a column of a table whose values are those of one of another table."""

    id: str
    from_table: str
    target_table: str
    from_column: str
    target_column: str
    description: str = ""
