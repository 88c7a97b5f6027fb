"""CSV, TSV, JSON and ECSV. Imports its neighbours."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from uws_server.tap.formats.answer import Answer
from uws_server.tap.tables import ColumnDescription

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_ECSV_TYPES: Final = {"short": "int16", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
                      "boolean": "bool", "unsignedByte": "uint8"}  # fmt: skip


def delimited_csv(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as CSV (RFC 4180) with a line of names; what is null is empty."""
    yield _csv([[column.name for column in answer.columns]])
    for batch in answer.batches():
        yield _csv(batch)
    yield from _failure(answer)


def delimited_tsv(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as TSV, which has no quotes: blanks stand for tabs and line ends of texts."""
    yield _tsv([[column.name for column in answer.columns]])
    for batch in answer.batches():
        yield _tsv(batch)
    yield from _failure(answer)


def json_table(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as a JSON object: `metadata`, an object for each column, and `data`, a list for each row."""
    yield f'{{"metadata": {json.dumps([_metadata(column) for column in answer.columns])},\n"data": ['.encode()
    begin = "\n"
    for batch in answer.batches():
        rows = ",\n".join([json.dumps([_plain(value) for value in row]) for row in batch])
        yield f"{begin}{rows}".encode()
        begin = ",\n"
    status = "ERROR" if answer.failed else "OVERFLOW" if answer.overflowed else "OK"
    told = {"query_status": status, **({"error": answer.failed} if answer.failed else {})}
    yield f"\n],\n{json.dumps(told)[1:]}\n".encode()


def ecsv(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as ECSV 1.0; what is null is empty."""
    lines = ["%ECSV 1.0", "---", 'delimiter: ","', "datatype:"]
    lines += [f"- {json.dumps(_ecsv_metadata(column))}" for column in answer.columns]
    lines.append("schema: astropy-2.0")
    names = ",".join(_ecsv_cell(column.name) for column in answer.columns)
    yield ("".join(f"# {line}\n" for line in lines) + names + "\n").encode()
    for batch in answer.batches():
        yield "".join([f"{','.join(map(_ecsv_cell, row))}\n" for row in batch]).encode()
    yield from _failure(answer)


def _failure(answer: Answer) -> Iterator[bytes]:
    """Raise RuntimeError for a failure, for which these formats have no place: the answer is cut off."""
    if answer.failed:
        raise RuntimeError(answer.failed)
    yield from ()


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def _tsv(rows: Sequence[Sequence[Any]]) -> bytes:
    lines = ["\t".join(["" if cell is None else " ".join(str(cell).split()) for cell in row]) for row in rows]
    return "".join([f"{line}\r\n" for line in lines]).encode()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, which has neither NaN nor infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _metadata(column: ColumnDescription) -> dict[str, str]:
    """Return what a column is, by the words of VOTable."""
    words = ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")
    return {word: str(text) for word in words if (text := getattr(column, word))}


def _ecsv_metadata(column: ColumnDescription) -> dict[str, Any]:
    about = {word: text for word in ("ucd", "utype", "xtype") if (text := getattr(column, word))}
    is_array = bool(column.arraysize)
    found = {
        "name": column.name,
        "unit": column.unit,
        "datatype": "string" if is_array else _ECSV_TYPES.get(column.datatype, "string"),
        "description": column.description,
        "meta": about,
    }
    return {name: value for name, value in found.items() if value}


def _ecsv_cell(value: Any) -> str:
    """Return a value as a cell of ECSV, on one line, quoted where it must be."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    line = _BREAKS.sub(" ", value)
    quoted = not line or any(mark in line for mark in ' ",\t')
    return '"' + line.replace('"', '""') + '"' if quoted else line
