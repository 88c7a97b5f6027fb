"""TAP_SCHEMA in the database: what the server itself tells, and the tables that operators load. Imports the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from uws_server.storage.database import reading
from uws_server.storage.tap_tables import tap_columns, tap_key_columns, tap_keys, tap_schemas, tap_tables

Rows = Sequence[Mapping[str, Any]]
_WRITTEN = {"schemas": tap_schemas, "tables": tap_tables, "columns": tap_columns, "keys": tap_keys,
            "key_columns": tap_key_columns}  # fmt: skip


@dataclass(frozen=True)
class SchemaRows:
    """The rows of the tables of TAP_SCHEMA, by the names of their columns."""

    schemas: Rows
    tables: Rows
    columns: Rows
    keys: Rows
    key_columns: Rows


class SchemaStore:
    """Reads and writes the tables of TAP_SCHEMA."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def backend(self) -> str:
        """The kind of the database: sqlite or postgresql."""
        return self._engine.dialect.name

    def read(self) -> SchemaRows:
        """Return all rows, schemas, tables and columns in the order in which they are shown."""
        orders = {
            "schemas": ("schema_index", "schema_name"),
            "tables": ("table_index", "table_name"),
            "columns": ("table_name", "column_index"),
        }
        with reading(self._engine).connect() as connection:
            found = {
                name: [
                    dict(row)
                    for row in connection.execute(
                        sa.select(table).order_by(*(table.c[column] for column in orders.get(name, ())))
                    ).mappings()
                ]
                for name, table in _WRITTEN.items()
            }
        return SchemaRows(**found)

    def publish(self, told: SchemaRows) -> None:
        """Store what the server itself tells in place of what an earlier one told; loaded tables stay."""
        with self._engine.begin() as connection:
            for table in (tap_columns, tap_tables, tap_schemas):
                connection.execute(table.delete().where(sa.not_(table.c.loaded)))
            connection.execute(tap_key_columns.delete())
            connection.execute(tap_keys.delete())
            names = [row["schema_name"] for row in told.schemas]
            connection.execute(tap_schemas.delete().where(tap_schemas.c.schema_name.in_(names)))
            for name, table in _WRITTEN.items():
                if rows := getattr(told, name):
                    connection.execute(table.insert(), [dict(row) for row in rows])

    def add(self, schema: Mapping[str, Any], table: Mapping[str, Any], columns: Rows) -> None:
        """Make a loaded table known; its schema is added where it is not there."""
        name = schema["schema_name"]
        with self._engine.begin() as connection:
            there = sa.select(tap_schemas.c.schema_name).where(tap_schemas.c.schema_name == name)
            if connection.execute(there).first() is None:
                connection.execute(tap_schemas.insert(), [dict(schema)])
            connection.execute(tap_tables.insert(), [dict(table)])
            connection.execute(tap_columns.insert(), [dict(column) for column in columns])

    def remove(self, table_name: str) -> None:
        """Forget a loaded table, and drop it; its schema goes with its last table."""
        with self._engine.begin() as connection:
            found = connection.execute(
                sa.select(tap_tables).where(tap_tables.c.table_name == table_name, tap_tables.c.loaded)
            ).one()
            connection.execute(tap_columns.delete().where(tap_columns.c.table_name == table_name))
            connection.execute(tap_tables.delete().where(tap_tables.c.table_name == table_name))
            others = sa.select(tap_tables.c.table_name).where(tap_tables.c.schema_name == found.schema_name)
            if connection.execute(others).first() is None:
                gone = (tap_schemas.c.schema_name == found.schema_name, tap_schemas.c.loaded)
                connection.execute(tap_schemas.delete().where(*gone))
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_quoted(found.sql_name)}")

    def create(self, sql_name: str, columns: Sequence[tuple[str, str]]) -> None:
        """Make an empty table for the rows of a file; `columns` are names and types of the database."""
        described = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns)
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {_quoted(sql_name)} ({described})")

    def insert(self, sql_name: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add rows, a piece of a file, in a transaction of their own: others write in between."""
        mark = "?" if self.backend == "sqlite" else "%s"
        listed, marks = ", ".join(map(_quoted, names)), ", ".join([mark] * len(names))
        statement = f"INSERT INTO {_quoted(sql_name)} ({listed}) VALUES ({marks})"
        with self._engine.begin() as connection:
            connection.exec_driver_sql(statement, [tuple(row) for row in rows])

    def index(self, sql_name: str, number: int, names: Sequence[str]) -> None:
        """Make an index of some columns of a loaded table."""
        listed = ", ".join(map(_quoted, names))
        with self._engine.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE INDEX {_quoted(f'ix_{sql_name}_{number}')} ON {_quoted(sql_name)} ({listed})"
            )

    def drop(self, sql_name: str) -> None:
        """Drop a table that could not be loaded to its end."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_quoted(sql_name)}")

    def analyze(self, sql_name: str) -> None:
        """Let the database count what there is, by which it plans queries."""
        with reading(self._engine).connect() as connection:
            connection.exec_driver_sql(f"ANALYZE {_quoted(sql_name)}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
