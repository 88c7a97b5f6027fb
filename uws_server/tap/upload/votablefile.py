"""Reads the first table of a VOTable: row by row where its rows are XML, else by astropy. Imports its neighbours."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lxml import etree

from provenance.text.votablerows import elsewhere
from uws_server.errors import BadRequest, counted
from uws_server.tap.tables import ColumnDescription
from uws_server.tap.upload.table import BATCH, Batch, FileTable, plain_value

_FOLDED: Final = {"unsignedByte": "short", "bit": "boolean"}
_NUMBERS: Final = frozenset({"short", "int", "long", "float", "double"})
_LIMITS: Final = {"short": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_SERIALIZATIONS: Final = ("TABLEDATA", "BINARY", "BINARY2", "FITS")
_WORDS: Final = ("unit", "ucd", "utype", "xtype")


def votable(path: Path, name: str) -> FileTable:
    """Return the first table of a VOTable. Raise BadRequest if it has none, or cannot be read."""
    try:
        columns, serialization = _head(path)
        if serialization not in ("", "TABLEDATA") and (problem := elsewhere(path)):
            raise BadRequest(f"{name}: {problem}")
    except etree.XMLSyntaxError as error:
        raise BadRequest(f"{name}: this is no readable VOTable: {error.msg}") from error
    if not columns:
        raise BadRequest(f"{name}: this VOTable has no table with FIELDs")
    if serialization in ("", "TABLEDATA"):
        return FileTable(tuple(columns), lambda: _rows(path, name, columns))
    return FileTable(tuple(columns), lambda: _decoded(path, name))


def _events(path: Path, names: Sequence[str], events: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    wanted = [f"{{*}}{name}" for name in names]
    with path.open("rb") as stream:
        yield from etree.iterparse(
            stream, events=events, tag=wanted, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
        )


def _head(path: Path) -> tuple[list[ColumnDescription], str]:
    """Return the columns of the first table, and how its rows are written: '' for a table without rows."""
    columns: list[ColumnDescription] = []
    for event, element in _events(path, ("FIELD", "TABLE", *_SERIALIZATIONS), ("start", "end")):
        word = etree.QName(element).localname
        if event == "end" and word == "FIELD":
            columns.append(_column(element))
        elif event == "start" and word in _SERIALIZATIONS and columns:
            return columns, word
        elif event == "end" and word == "TABLE" and columns:
            return columns, ""
    return columns, ""


def _column(element: Any) -> ColumnDescription:
    datatype, arraysize = element.get("datatype", "char"), element.get("arraysize")
    about = {word: element.get(word) for word in _WORDS}
    texts = [child.text for child in element if etree.QName(child).localname == "DESCRIPTION"]
    kind = _FOLDED.get(datatype, datatype)
    if kind in ("char", "unicodeChar"):
        arraysize = "*"
    elif kind not in _NUMBERS and kind != "boolean":
        kind, arraysize = "unicodeChar", "*"
    arraysize = None if arraysize == "1" else arraysize
    name = element.get("name") or element.get("ID") or ""
    return ColumnDescription(name, kind, arraysize, description=(texts[0] or "").strip() if texts else None, **about)


def _rows(path: Path, name: str, columns: Sequence[ColumnDescription]) -> Iterator[Batch]:
    """Yield the rows of the first table, whose cells are elements of XML."""
    readers = [_reader(column) for column in columns]
    batch: list[tuple[Any, ...]] = []
    try:
        for number, (_, row) in enumerate(_events(path, ("TR", "TABLEDATA"), ("end",)), start=1):
            if etree.QName(row).localname == "TABLEDATA":
                break
            cells = [cell.text for cell in row if isinstance(cell.tag, str)]
            if len(cells) != len(readers):
                came, wanted = counted(len(cells), "cell"), counted(len(readers), "FIELD")
                raise BadRequest(f"{name}: row {number} has {came}; the table has {wanted}")
            batch.append(tuple([read(cell) for read, cell in zip(readers, cells, strict=True)]))
            _forget(row)
            if len(batch) >= BATCH:
                yield batch
                batch = []
    except etree.XMLSyntaxError as error:
        raise BadRequest(f"{name}: this is no readable VOTable: {error.msg}") from error
    except ValueError as error:
        raise BadRequest(f"{name}: a cell is not what its FIELD says: {error}") from error
    if batch:
        yield batch


def _forget(row: Any) -> None:
    """Release a row that was read, and those before it."""
    row.clear()
    parent = row.getparent()
    while parent is not None and row.getprevious() is not None:
        del parent[0]


def _reader(column: ColumnDescription) -> Callable[[str | None], Any]:
    """Return what makes a value of the text of a cell."""
    if column.arraysize:
        return lambda text: None if not text else text.replace("\0", "")
    if column.datatype == "boolean":
        return lambda text: None if not (text or "").strip() else (text or "").strip()[:1].lower() in ("t", "1")
    if column.datatype in ("float", "double"):
        return _float
    low, high = _LIMITS[column.datatype]
    return lambda text: _whole(text, low, high)


def _float(text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    return plain_value(float(text.strip().replace("Inf", "inf")))  # type: ignore[no-any-return]


def _whole(text: str | None, low: int, high: int) -> int | None:
    """Return a whole number. Raise ValueError for a text that is none, or one that the type cannot hold."""
    plain = (text or "").strip()
    if not plain:
        return None
    number = int(plain, 16) if plain.lower().startswith("0x") else int(plain)
    if not low <= number <= high:
        raise ValueError(f"{plain[:40]} is not between {low} and {high}")
    return number


def _decoded(path: Path, name: str) -> Iterator[Batch]:
    """Yield the rows of a table in binary, which astropy decodes as a whole."""
    from astropy.io.votable import parse

    try:
        array: Any = parse(path, verify="ignore").get_first_table().array
    except Exception as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BadRequest(f"{name}: this is no readable VOTable: {told}") from error
    for first in range(0, len(array), BATCH):
        part = array[first : first + BATCH]
        yield list(zip(*(_cells(part[column]) for column in part.dtype.names), strict=True))
    del array
    gc.collect()


def _cells(values: Any) -> list[Any]:
    if values.ndim > 1:
        return [" ".join(map(str, each.ravel().tolist())) for each in values]
    return [_cell(value) for value in values.tolist()]


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.replace("\0", "") or None
    if value is None or isinstance(value, int | float | bool):
        return plain_value(value)
    flat = getattr(value, "ravel", None)
    return " ".join(map(str, flat().tolist())) if flat is not None else str(value)
