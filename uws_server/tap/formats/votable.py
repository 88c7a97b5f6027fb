"""VOTable 1.4, as TABLEDATA or BINARY2: what stands before and after the rows is the same. Imports its neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from provenance.text.xmltext import writable
from uws_server.tap.formats.answer import DID_UTYPE, Answer, Batch
from uws_server.tap.tables import ColumnDescription

MIME: Final = "application/x-votable+xml"
_NAMESPACE: Final = "http://www.ivoa.net/xml/VOTable/v1.3"
_MOST_KNOWN: Final = 512
"""Texts whose written form is kept for each column: most columns say the same again and again."""
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LONGEST_QUERY: Final = 20_000
_SPECIAL: Final = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}

Columns = Sequence[ColumnDescription]


def tabledata(answer: Answer) -> Iterator[bytes]:
    """Yield the answer as VOTable with TABLEDATA."""
    yield f"{head(answer)}<DATA><TABLEDATA>\n".encode()
    write = _writer(answer.columns)
    for batch in answer.batches():
        yield write(batch)
    yield f"</TABLEDATA></DATA>{tail(answer)}".encode()


def head(answer: Answer) -> str:
    """Return everything before the DATA element."""
    fields = "\n".join(map(_field, answer.columns, _ids(answer.columns)))
    query = writable(answer.query[:_LONGEST_QUERY])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.4" xmlns="{_NAMESPACE}">\n'
        '<RESOURCE type="results">\n<INFO name="QUERY_STATUS" value="OK"/>\n'
        f'<INFO name="QUERY" value={quoteattr(query)}/>\n'
        f'<TABLE name="result">\n{fields}\n'
    )


def tail(answer: Answer) -> str:
    """Return everything after the DATA element, once the rows were gone through."""
    status = ""
    if answer.failed:
        status = f'<INFO name="QUERY_STATUS" value="ERROR">{escape(writable(answer.failed))}</INFO>\n'
    elif answer.overflowed:
        status = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n'
    return f"\n</TABLE>\n{status}</RESOURCE>\n{_descriptor(answer)}</VOTABLE>\n"


def _field(column: ColumnDescription, identifier: str) -> str:
    attributes = {
        "ID": identifier,
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": column.arraysize,
        "xtype": column.xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
    }
    text = " ".join(f"{name}={quoteattr(writable(str(value)))}" for name, value in attributes.items() if value)
    about = f"<DESCRIPTION>{escape(writable(column.description))}</DESCRIPTION>" if column.description else ""
    return f"<FIELD {text}>{about}</FIELD>" if about else f"<FIELD {text}/>"


def _ids(columns: Columns) -> list[str]:
    """Return the ID of each FIELD, its name where that can be one: astropy takes it for the name of the column."""
    names = [column.name for column in columns]
    return [
        name if _PLAIN.fullmatch(name) and names.count(name) == 1 else f"col{number}_"
        for number, name in enumerate(names, start=1)
    ]


def _descriptor(answer: Answer) -> str:
    """Return the description of the service that gives the links of a row (DataLink 1.1, section 4.1)."""
    if not answer.links:
        return ""
    reference = next(
        name for name, each in zip(_ids(answer.columns), answer.columns, strict=True) if each.utype == DID_UTYPE
    )
    return (
        '<RESOURCE type="meta" utype="adhoc:service">\n<DESCRIPTION>The links of a row</DESCRIPTION>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={quoteattr(answer.datalink)}/>\n'
        '<PARAM name="standardID" datatype="char" arraysize="*" value="ivo://ivoa.net/std/DataLink#links-1.1"/>\n'
        '<GROUP name="inputParams">\n<PARAM name="ID" datatype="char" arraysize="*" value=""'
        f' ref="{reference}"/>\n</GROUP>\n</RESOURCE>\n'
    )


def _writer(columns: Columns) -> Callable[[Batch], bytes]:
    """Return the function that writes rows as TR."""
    writers = [_cells(column) for column in columns]

    def write(batch: Batch) -> bytes:
        cells = [writer(values) for writer, values in zip(writers, zip(*batch, strict=True), strict=True)]
        return "".join([f"<TR>{''.join(row)}</TR>\n" for row in zip(*cells, strict=True)]).encode()

    return write


def _cells(column: ColumnDescription) -> Callable[[Sequence[Any]], list[str]]:
    """Return the function that writes the values of a column."""
    if column.datatype in ("char", "unicodeChar") or column.arraysize:
        return _texts
    if column.datatype in ("float", "double"):
        return lambda values: ["<TD/>" if value is None else f"<TD>{_number(value)}</TD>" for value in values]
    if column.datatype == "boolean":
        return lambda values: ["<TD/>" if value is None else f"<TD>{'true' if value else 'false'}</TD>"
                               for value in values]  # fmt: skip
    return lambda values: ["<TD/>" if value is None else f"<TD>{value}</TD>" for value in values]


def _number(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return _SPECIAL.get(text, text)


def _texts(values: Sequence[Any]) -> list[str]:
    known: dict[Any, str] = {None: "<TD/>"}
    found = []
    for value in values:
        cell = known.get(value)
        if cell is None:
            cell = f"<TD>{escape(writable(str(value)))}</TD>"
            if len(known) < _MOST_KNOWN:
                known[value] = cell
        found.append(cell)
    return found
