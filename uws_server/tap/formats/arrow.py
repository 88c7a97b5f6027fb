"""Parquet and Arrow, by pyarrow, which a server may do without. Imports its neighbours."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from uws_server.errors import BadRequest
from uws_server.tap.formats.answer import Answer
from uws_server.tap.tables import ColumnDescription

_TYPES: Final = {"short": "int16", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
                 "boolean": "bool_", "unsignedByte": "uint8"}  # fmt: skip
_ROWS: Final = 20_000
"""Rows of a row group of Parquet: what is held in memory at a time."""


class _Pieces(io.RawIOBase):
    """A file that is written to, whose content is taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._waiting.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        pieces, self._waiting = b"".join(self._waiting), []
        return pieces


def require() -> None:
    """Raise BadRequest if pyarrow is not installed."""
    try:
        importlib.import_module("pyarrow")
    except ImportError as error:
        raise BadRequest(
            "RESPONSEFORMAT: parquet and arrow need the package pyarrow, which this server does not have; "
            "votable, fits, csv, tsv, ecsv and json are written"
        ) from error


def parquet(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as Parquet."""
    module: Any = importlib.import_module("pyarrow.parquet")
    return _written(answer, lambda file, schema: module.ParquetWriter(file, schema))


def arrow(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as a stream of Arrow."""
    module: Any = importlib.import_module("pyarrow.ipc")
    return _written(answer, lambda file, schema: module.new_stream(file, schema))


def _written(answer: Answer, open_writer: Callable[[Any, Any], Any]) -> Iterator[bytes]:
    pyarrow: Any = importlib.import_module("pyarrow")
    schema, file = pyarrow.schema([_field(pyarrow, column) for column in answer.columns]), _Pieces()
    with open_writer(pyarrow.PythonFile(file, mode="w"), schema) as writer:
        waiting: list[Sequence[Any]] = []
        for batch in answer.batches():
            waiting += batch
            if len(waiting) >= _ROWS:
                writer.write_table(_table(pyarrow, schema, waiting))
                waiting.clear()
                yield file.taken()
        if answer.failed:
            raise RuntimeError(answer.failed)
        if waiting:
            writer.write_table(_table(pyarrow, schema, waiting))
    yield file.taken()


def _table(pyarrow: Any, schema: Any, rows: Sequence[Sequence[Any]]) -> Any:
    columns = (
        (field, _values(pyarrow, field, values)) for field, values in zip(schema, zip(*rows, strict=True), strict=True)
    )
    return pyarrow.Table.from_arrays(
        [pyarrow.array(values, type=field.type) for field, values in columns], schema=schema
    )


def _values(pyarrow: Any, field: Any, values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column as Arrow has them: SQLite has numbers for booleans."""
    if field.type != pyarrow.bool_():
        return values
    return [None if value is None else bool(value) for value in values]


def _field(pyarrow: Any, column: ColumnDescription) -> Any:
    """Return the field of a column; its metadata are those that a VOTable would have."""
    name = None if column.arraysize else _TYPES.get(column.datatype)
    kind = getattr(pyarrow, name)() if name else pyarrow.string()
    words = ("unit", "ucd", "utype", "xtype", "description")
    return pyarrow.field(column.name, kind, metadata={word: text for word in words if (text := getattr(column, word))})
