"""Reads CSV and TSV with a line of names, twice: first to see which columns are numbers. Imports its neighbours."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from uws_server.errors import BadRequest, counted
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import BATCH, Batch, FileTable

_NAME: Final = re.compile(r'\s*"?[^\W\d]')
_WHOLE: Final = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_DELIMITER: Final = re.compile(r"^#\s*delimiter:\s*[\"']?(.)")
_DELIMITERS: Final = ",\t;|"
_NULLS: Final = frozenset({"", "null", "nan", "NaN", "NULL", "None", "--"})


def csv_table(path: Path, name: str) -> FileTable:
    """Return the table in a CSV. Raise BadRequest if its first line holds no names, or a line has other cells."""
    try:
        heads, delimiter, skipped = _first_line(path, name)
        kinds = _kinds(path, name, heads, delimiter, skipped)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is neither VOTable, FITS nor CSV in UTF-8") from error
    columns = tuple(
        ColumnDescription(head.strip(), kind, "*" if kind == "unicodeChar" else None)
        for head, kind in zip(heads, kinds, strict=True)
    )
    return FileTable(columns, lambda: _batches(path, name, kinds, delimiter, skipped))


def _first_line(path: Path, name: str) -> tuple[list[str], str, int]:
    """Return the names, what stands between cells, and how many lines come before the first row."""
    told: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        line = stream.readline(1 << 20)
        while line.startswith("#"):
            told.append(line)
            line = stream.readline(1 << 20)
    skipped, delimiter = len(told), max(_DELIMITERS, key=line.count)
    if told and "%ECSV" in told[0]:
        stated = next((match[1] for each in told if (match := _DELIMITER.search(each))), " ")
        delimiter = stated if stated in _DELIMITERS else " "
    heads = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    if not heads or not all(_NAME.match(head) for head in heads):
        raise BadRequest(
            f"{name}: the first line ({line.strip()[:60]!r}) holds no names of columns; a CSV begins with them"
        )
    return heads, delimiter, skipped + 1


def _lines(path: Path, name: str, count: int, delimiter: str, skipped: int) -> Iterator[list[str]]:
    """Yield the cells of each row. Raise BadRequest for a row of another number of cells."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = islice(stream, skipped, None)
        try:
            for number, cells in enumerate(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), skipped + 1):
                if len(cells) != count and cells:
                    came = counted(len(cells), "cell")
                    raise BadRequest(f"{name}: line {number} has {came}; the first line has {count}")
                if cells:
                    yield cells
        except csv.Error as error:
            raise BadRequest(f"{name}: {error}") from error


def _kinds(path: Path, name: str, heads: Sequence[str], delimiter: str, skipped: int) -> list[str]:
    """Return the type of each column: the narrowest that all of its cells are of."""
    kinds = ["long"] * len(heads)
    is_empty = [True] * len(heads)
    for cells in _lines(path, name, len(heads), delimiter, skipped):
        for at, cell in enumerate(cells):
            if kinds[at] == "unicodeChar" or cell.strip() in _NULLS:
                continue
            is_empty[at] = False
            if kinds[at] == "long" and not _WHOLE.fullmatch(cell):
                kinds[at] = "double"
            if kinds[at] == "double" and not _is_number(cell):
                kinds[at] = "unicodeChar"
    return ["unicodeChar" if empty else kind for kind, empty in zip(kinds, is_empty, strict=True)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _batches(path: Path, name: str, kinds: Sequence[str], delimiter: str, skipped: int) -> Iterator[Batch]:
    rows = _lines(path, name, len(kinds), delimiter, skipped)
    while batch := [tuple(map(_value, kinds, cells)) for cells in islice(rows, BATCH)]:
        yield batch


def _value(kind: str, cell: str) -> Any:
    text = cell.strip()
    if kind == "unicodeChar":
        return text.replace("\0", "") or None
    if text in _NULLS:
        return None
    if kind == "long":
        return int(text)
    number = float(text)
    return number if number == number else None
