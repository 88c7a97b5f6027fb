"""The tables that one caller may query, as values for the translator: built-in and loaded ones. Imports storage.

What the server itself tells is written to the database by the first who asks, where a former version told otherwise.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from uws_server.storage.tap_schema import SchemaRows, SchemaStore
from uws_server.tap.schema import builtin
from uws_server.tap.schema.model import Schema, SchemaColumn, SchemaTable
from uws_server.tap.schema.visible import Visible
from uws_server.tap.tables import ColumnDescription, Position, TableDescription

_FRESH_S: Final = 2.0
"""Seconds for which loaded tables are remembered: another process loads them."""
_CALLERS: Final = 256
"""Callers whose tables are remembered."""
_OF_VOTABLE: Final = ("datatype", "arraysize", "xtype", "description", "utype", "unit", "ucd")


class Catalog:
    """The schemas of one server."""

    def __init__(self, store: SchemaStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._is_published = False
        self._loaded: tuple[float, tuple[Schema, ...]] = (-_FRESH_S, ())
        self._builtin = {table.name: _described(table) for schema in builtin.SCHEMAS for table in schema.tables}
        self._of_loaded: dict[str, TableDescription] = {}
        self._seen = functools.lru_cache(_CALLERS)(self._seen_by)

    def schemas(self) -> tuple[Schema, ...]:
        """Return all schemas: the loaded ones behind those of the server."""
        return (*builtin.SCHEMAS[:-1], *self._look(), builtin.SCHEMAS[-1])

    def tables(self, visible: Visible) -> Mapping[str, TableDescription]:
        """Return the tables by name, with the rows that a caller may see."""
        self._look()
        return {**self._seen(visible), **self._of_loaded}

    def has_changed(self) -> bool:
        """Look whether there are other loaded tables than those that were remembered, and remember these."""
        before = self._loaded[1]
        return self._look(0.0) != before

    def _seen_by(self, visible: Visible) -> Mapping[str, TableDescription]:
        return {
            name: replace(table, rows_sql=visible.rows(name), composed=visible.composed(name))
            for name, table in self._builtin.items()
        }

    def require_published(self) -> None:
        """Write what the server itself tells to the database, if it stands otherwise there."""
        with self._lock:
            if not self._is_published:
                told, there = rows_of_builtin(), self._store.read()
                if _own(there) != _own(told):
                    self._store.publish(told)
                self._is_published = True

    def _look(self, fresh_s: float = _FRESH_S) -> tuple[Schema, ...]:
        """Return the loaded schemas, as they were at most so many seconds ago."""
        self.require_published()
        when, found = self._loaded
        if time.monotonic() - when >= fresh_s:
            found = tuple(_loaded(self._store.read()))
            self._of_loaded = {table.name: _described(table) for schema in found for table in schema.tables}
            self._loaded = (time.monotonic(), found)
        return found


def _described(table: SchemaTable) -> TableDescription:
    columns = tuple(_plain(each.column) for each in table.columns)
    return TableDescription(table.name, table.sql_name, columns, table.positions, regions=table.regions)


def _plain(column: ColumnDescription) -> ColumnDescription:
    """Return a column by its name alone, which TAP_SCHEMA has in quotes where ADQL needs them."""
    return replace(column, name=unquoted(column.name))


def unquoted(name: str) -> str:
    """Return a name of TAP_SCHEMA without the quotes that it has where ADQL needs them."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _own(rows: SchemaRows) -> dict[str, list[tuple[str, ...]]]:
    """Return what a server tells itself, in an order and a form in which it can be compared."""
    return {
        name: sorted(tuple(sorted(map(str, row.items()))) for row in listed if not row.get("loaded"))
        for name, listed in vars(rows).items()
    }


def rows_of_builtin() -> SchemaRows:
    """Return the rows of TAP_SCHEMA for the tables of the server itself."""
    schemas, tables, columns = [], [], []
    for number, schema in enumerate(builtin.SCHEMAS):
        place = number if number < len(builtin.SCHEMAS) - 1 else 1000  # TAP_SCHEMA comes last
        schemas.append(row_of_schema(schema.name, schema.description, place, loaded=False))
        for index, table in enumerate(schema.tables):
            tables.append(row_of_table(table, index, loaded=False))
            columns += rows_of_columns(table, loaded=False)
    keys = [
        {"key_id": key.id, "from_table": key.from_table, "target_table": key.target_table, "utype": None,
         "description": key.description or None}
        for key in builtin.KEYS
    ]  # fmt: skip
    of_keys = [
        {"key_id": key.id, "from_column": key.from_column, "target_column": key.target_column} for key in builtin.KEYS
    ]
    return SchemaRows(schemas, tables, columns, keys, of_keys)


def row_of_schema(name: str, description: str, place: int, *, loaded: bool) -> dict[str, Any]:
    """Return the row of a schema."""
    return {"schema_name": name, "utype": None, "description": description or None, "schema_index": place,
            "loaded": loaded}  # fmt: skip


def row_of_table(table: SchemaTable, place: int, *, loaded: bool) -> dict[str, Any]:
    """Return the row of a table."""
    return {"table_name": table.name, "schema_name": table.schema, "table_type": table.kind,
            "utype": table.utype or None, "description": table.description or None, "table_index": place,
            "loaded": loaded, "sql_name": table.sql_name, "rows": table.rows}  # fmt: skip


def rows_of_columns(table: SchemaTable, *, loaded: bool) -> list[dict[str, Any]]:
    """Return the rows of the columns of a table."""
    found = []
    for index, each in enumerate(table.columns, start=1):
        about = {word: text for word, text in asdict(each.column).items() if word in _OF_VOTABLE}
        size = int(about["arraysize"]) if (about["arraysize"] or "").isdigit() else None
        found.append(
            {"table_name": table.name, "column_name": each.column.name, **about, "size": size,
             "indexed": int(each.indexed), "principal": int(each.principal), "std": int(each.std),
             "column_index": index, "loaded": loaded, "sql_name": each.column.sql_name or unquoted(each.column.name)}
        )  # fmt: skip
    return found


def _loaded(rows: SchemaRows) -> Iterator[Schema]:
    """Yield the schemas of loaded tables."""
    columns: dict[str, list[SchemaColumn]] = {}
    for row in rows.columns:
        if row["loaded"]:
            columns.setdefault(row["table_name"], []).append(_column_of(row))
    for schema in rows.schemas:
        tables = tuple(
            _table_of(row, columns.get(row["table_name"], ()))
            for row in rows.tables
            if row["loaded"] and row["schema_name"] == schema["schema_name"]
        )
        if tables and schema["loaded"]:
            yield Schema(schema["schema_name"], schema["description"] or "", tables)


def _column_of(row: Mapping[str, Any]) -> SchemaColumn:
    about = {word: row[word] for word in _OF_VOTABLE}
    column = ColumnDescription(row["column_name"], sql_name=row["sql_name"], **about)
    return SchemaColumn(column, bool(row["indexed"]), bool(row["principal"]), bool(row["std"]))


def _table_of(row: Mapping[str, Any], columns: Collection[SchemaColumn]) -> SchemaTable:
    return SchemaTable(
        row["table_name"], row["description"] or "", tuple(columns), row["sql_name"], row["utype"] or "",
        row["table_type"], positions_of([each.column for each in columns]), row["rows"],
    )  # fmt: skip


def positions_of(columns: Collection[ColumnDescription]) -> tuple[Position, ...]:
    """Return the positions of a loaded table: the columns whose UCDs say that they are its main ones, or the first.

    Many catalogues in FITS have no UCDs: there it is the columns called ra and dec, if they are numbers of degrees.
    """
    for main in (";meta.main", ""):
        pair = [
            next((unquoted(each.name) for each in columns if (each.ucd or "").lower() == f"pos.eq.{axis}{main}"), None)
            for axis in ("ra", "dec")
        ]
        if pair[0] is not None and pair[1] is not None:
            return (Position(pair[0], pair[1]),)
    named = {unquoted(each.name).lower(): each for each in columns}
    ra, dec = named.get("ra"), named.get("dec")
    if ra is not None and dec is not None and _is_angle(ra) and _is_angle(dec):
        return (Position(unquoted(ra.name), unquoted(dec.name)),)
    return ()


def _is_angle(column: ColumnDescription) -> bool:
    """Check whether a column without a UCD has numbers that may be degrees."""
    is_number = column.datatype in ("double", "float") and column.arraysize is None
    return is_number and not column.ucd and (column.unit or "deg").lower() in ("deg", "degree", "degrees")
