"""Loads a table of a file into the database, and makes it known to TAP_SCHEMA. Imports storage and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from uws_server.errors import BadRequest, Conflict, NotFound
from uws_server.storage.tap_schema import SchemaStore
from uws_server.tap.adql.words import RESERVED
from uws_server.tap.schema import builtin
from uws_server.tap.schema.catalog import positions_of, row_of_schema, row_of_table, rows_of_columns, unquoted
from uws_server.tap.schema.model import SchemaColumn, SchemaTable
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import FileTable, open_table, sql_type

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_PLACE: Final = 100
"""The place of schemas of operators: behind those of the server, before TAP_SCHEMA."""
_MAIN: Final = ("meta.main", "meta.id;meta.main")


@dataclass(frozen=True)
class LoadRequest:
    """A table to be loaded: its file, schema and name, what it holds, and what it is to be found by beside its place.

    `indexes` are names of columns, several for one index with commas between.
    """

    path: Path
    schema: str
    name: str = ""
    description: str = ""
    indexes: tuple[str, ...] = ()


class Loader:
    """The loaded tables of one server."""

    def __init__(self, store: SchemaStore) -> None:
        self._store = store

    def add(self, request: LoadRequest, show: Callable[[int], None] = lambda rows: None) -> SchemaTable:
        """Load a table and return it; `show` is called with the number of rows that are loaded.

        Raise BadRequest for a file without a table or a name that is none, Conflict if there is such a table.
        """
        name = f"{request.schema}.{request.name or _name_of(request.path)}"
        _require_names(*name.split("."))
        there = self._store.read()
        if name.lower() in {row["table_name"].lower() for row in there.tables}:
            raise Conflict(f"there is a table {name}: remove it first, or give this one another --name")
        schema = next((row["schema_name"] for row in there.schemas if row["schema_name"].lower() ==
                       request.schema.lower()), request.schema)  # fmt: skip
        table = open_table(request.path, request.path.name)
        number = 1 + max((_number(row["sql_name"]) for row in there.tables), default=0)
        described = _described(table, f"{schema}.{name.partition('.')[2]}", f"tap_data_{number}", request)
        indexes = _indexes(described, request.indexes)
        rows = self._fill(described, table, indexes, show)
        described = replace(described, rows=rows, columns=_marked(described.columns, indexes))
        places = [row["table_index"] for row in there.tables if row["schema_name"] == schema]
        self._store.add(
            row_of_schema(schema, "", _PLACE, loaded=True),
            row_of_table(described, len(places), loaded=True),
            rows_of_columns(described, loaded=True),
        )
        return described

    def _fill(
        self, table: SchemaTable, file: FileTable, indexes: Collection[Sequence[str]], show: Callable[[int], None]
    ) -> int:
        """Make the table of the database and its indexes; return how many rows it has. It is dropped if that fails."""
        columns = [each.column for each in table.columns]
        names = [str(column.sql_name) for column in columns]
        self._store.create(
            table.sql_name,
            [(name, sql_type(column, self._store.backend)) for name, column in zip(names, columns, strict=True)],
        )
        count = 0
        try:
            for batch in file.read():
                self._store.insert(table.sql_name, names, batch)
                count += len(batch)
                show(count)
            for number, of_index in enumerate(indexes, start=1):
                self._store.index(table.sql_name, number, of_index)
            self._store.analyze(table.sql_name)
        except BaseException:
            self._store.drop(table.sql_name)
            raise
        return count

    def tables(self) -> list[dict[str, Any]]:
        """Return the rows of TAP_SCHEMA.tables for the loaded tables, with how many rows each has."""
        return [dict(row) for row in self._store.read().tables if row["loaded"]]

    def remove(self, name: str) -> None:
        """Remove a loaded table. Raise NotFound if there is none of that name."""
        found = next((row["table_name"] for row in self.tables() if row["table_name"].lower() == name.lower()), None)
        if found is None:
            known = ", ".join(row["table_name"] for row in self.tables()) or "none"
            raise NotFound(f"no loaded table {name[:80]!r}; there are {known}")
        self._store.remove(found)


def _name_of(path: Path) -> str:
    """Return the name of a table after that of its file."""
    stem = path.name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_]", "_", stem).lower()


def _require_names(schema: str, table: str) -> None:
    """Raise BadRequest for a name that queries could not give, or for a schema of the server itself."""
    for what, name in (("--schema", schema), ("--name", table)):
        if not _NAME.fullmatch(name):
            raise BadRequest(f"{what}: {name[:80]!r} came; letters, digits and _, a letter first, are allowed")
        if name.upper() in RESERVED:
            raise BadRequest(f"{what}: {name!r} is a word of ADQL: give another name")
    own = {each.name.lower() for each in builtin.SCHEMAS} | {"tap_upload"}
    if schema.lower() in own:
        raise BadRequest(f"--schema: {schema!r} is a schema of the server itself: give another one")


def _number(sql_name: str) -> int:
    word = sql_name.removeprefix("tap_data_")
    return int(word) if word.isdigit() else 0


def _described(table: FileTable, name: str, sql_name: str, request: LoadRequest) -> SchemaTable:
    columns = tuple(
        SchemaColumn(replace(column, name=_adql(column.name), sql_name=f"c{number}"), False, _is_principal(column))
        for number, column in enumerate(table.columns, start=1)
    )
    about = request.description or table.description
    return SchemaTable(name, about, columns, sql_name, positions=positions_of([each.column for each in columns]))


def _adql(name: str) -> str:
    """Return the name of a column as queries give it: in quotes where it is no plain word."""
    plain = _NAME.fullmatch(name) and name.upper() not in RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


def _is_principal(column: ColumnDescription) -> bool:
    """Check whether a column is one to begin with: one that its UCD calls a main one, or an identifier."""
    words = (column.ucd or "").lower().split(";")
    return "meta.main" in words or (column.ucd or "").lower() in ("meta.id", *_MAIN)


def _indexes(table: SchemaTable, asked: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the columns of each index, by their names in the database. Raise BadRequest for one that there is not."""
    known = {unquoted(each.column.name).lower(): str(each.column.sql_name) for each in table.columns}
    found: list[tuple[str, ...]] = [(known[each.dec.lower()], known[each.ra.lower()]) for each in table.positions]
    for each in table.columns:
        if "meta.main" in (each.column.ucd or "").lower() and "meta.id" in (each.column.ucd or "").lower():
            found.append((str(each.column.sql_name),))
    for text in asked:
        names = [name.strip() for name in text.split(",")]
        wrong = next((name for name in names if name.lower() not in known), None)
        if wrong is not None:
            raise BadRequest(f"--index: {wrong[:80]!r} is no column of the table")
        found.append(tuple(known[name.lower()] for name in names))
    return list(dict.fromkeys(found))


def _marked(columns: Sequence[SchemaColumn], indexes: Collection[Sequence[str]]) -> tuple[SchemaColumn, ...]:
    """Return the columns, those with an index marked."""
    first = {each[0] for each in indexes} | {name for each in indexes for name in each if len(each) == 2}
    return tuple(replace(each, indexed=each.column.sql_name in first) for each in columns)
