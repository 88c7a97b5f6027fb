"""Reads Parquet in pieces, by pyarrow, which a server may do without. Imports its neighbours."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from uws_server.errors import BadRequest
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import BATCH, Batch, FileTable, plain_value

_TYPES: Final = {"int8": "short", "uint8": "short", "int16": "short", "uint16": "int", "int32": "int",
                 "uint32": "long", "int64": "long", "halffloat": "float", "float": "float", "double": "double",
                 "bool": "boolean"}  # fmt: skip
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
    kind = _TYPES.get(str(field.type))
    metadata = {key.decode(): value.decode("utf-8", "replace") for key, value in (field.metadata or {}).items()}
    about = {word: metadata[word] for word in _WORDS if word in metadata}
    return ColumnDescription(field.name, kind or "unicodeChar", None if kind else "*", **about)


def _batches(module: Any, path: Path, name: str) -> Iterator[Batch]:
    try:
        with module.ParquetFile(path) as file:
            for part in file.iter_batches(batch_size=BATCH):
                yield list(
                    zip(*([_cell(value) for value in column.to_pylist()] for column in part.columns), strict=True)
                )
    except (OSError, ValueError) as error:
        raise BadRequest(f"{name}: the rows of this Parquet file cannot be read: {str(error)[:200]}") from error


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float | bool | str):
        return plain_value(value)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
