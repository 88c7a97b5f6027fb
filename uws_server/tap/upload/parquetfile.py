"""Reads Parquet in pieces, by pyarrow, which a server may do without. Imports its neighbours."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from uws_server.errors import BadRequest
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import BATCH, Batch, FileTable, plain_value

_TYPES: Final = {"int8": "short", "uint8": "short", "int16": "short", "uint16": "int", "int32": "int",
                 "uint32": "long", "int64": "long", "uint64": "long", "halffloat": "float", "float": "float",
                 "double": "double", "bool": "boolean"}  # fmt: skip
_WORDS: Final = ("unit", "ucd", "utype", "xtype", "description")


def parquet(path: Path, name: str) -> FileTable:
    """Return the table in a Parquet file. Raise BadRequest if it cannot be read, or pyarrow is not there."""
    try:
        module: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise BadRequest(f"{name}: Parquet is read with the package pyarrow, which is not installed") from error
    try:
        schema = module.read_schema(path)
    except Exception as error:
        raise BadRequest(f"{name}: this is no readable Parquet file: {str(error)[:200]}") from error
    columns = tuple(_column(field) for field in schema)
    return FileTable(columns, lambda: _batches(module, path, name))


def _column(field: Any) -> ColumnDescription:
    kind = _kind(field.type)
    metadata = {key.decode(): value.decode("utf-8", "replace") for key, value in (field.metadata or {}).items()}
    about = {word: metadata[word] for word in _WORDS if word in metadata}
    return ColumnDescription(field.name, kind or "unicodeChar", None if kind else "*", **about)


def _kind(of: Any) -> str | None:
    """Return the type of numbers that a type of Arrow has in VOTable. Return None for what becomes text."""
    name = str(getattr(of, "value_type", of)) if str(of).startswith("dictionary") else str(of)
    return "double" if name.startswith("decimal") else _TYPES.get(name)


def _batches(module: Any, path: Path, name: str) -> Iterator[Batch]:
    try:
        with module.ParquetFile(path) as file:
            for part in file.iter_batches(batch_size=BATCH):
                columns = (
                    [_cell(value, f"{name}: {field.name}") for value in column.to_pylist()]
                    for field, column in zip(part.schema, part.columns, strict=True)
                )
                yield list(zip(*columns, strict=True))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{name}: the rows of this Parquet file cannot be read: {str(error)[:200]}") from error


def _cell(value: Any, where: str) -> Any:
    """Return a value as a database takes it: times as ISO 8601, lists as text. Raise BadRequest past 64 bits."""
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise BadRequest(f"{where}: {value} came; whole numbers up to {(1 << 63) - 1} are taken")
    if value is None or isinstance(value, int | float | bool | str):
        return plain_value(value)
    if isinstance(value, Decimal):
        return plain_value(float(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return plain_value(value.decode("utf-8", "replace"))
    if isinstance(value, list):
        return " ".join("NaN" if part is None else str(part) for part in value)
    return str(value)
