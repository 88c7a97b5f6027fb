"""Writes ObsCore rows as a table, VOTable 1.4 or ECSV 1.0, piece by piece, however many rows there are.

The metadata of the columns are those of `obscore.ALL_COLUMNS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from provenance.obscore.columns import Column
from provenance.obscore.row import ALL_COLUMNS, Value
from provenance.text.xmltext import writable

VOTABLE_MIME: Final = "application/x-votable+xml"
ECSV_MIME: Final = "text/ecsv"

BATCH: Final = 100
"""The most rows in one piece."""

_NAMESPACE: Final = "http://www.ivoa.net/xml/VOTable/v1.3"
VOTABLE_TYPES: Final = {"INTEGER": "int", "BIGINT": "long", "DOUBLE": "double"}
_ECSV_TYPES: Final = {"INTEGER": "int32", "BIGINT": "int64", "DOUBLE": "float64"}
_XTYPES: Final = {"TIMESTAMP": "timestamp", "REGION": "adql:REGION"}
_REFERENCES: Final = {"s_ra": "icrs", "s_dec": "icrs", "s_region": "icrs", "t_min": "tt", "t_max": "tt",
                      "ra": "icrs", "dec": "icrs"}  # fmt: skip
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_QUOTED: Final = re.compile(r'[\s",]')


@dataclass(frozen=True)
class About:
    """What a table says of itself: its name, a sentence, and further INFO elements: name, value and text of each."""

    name: str
    sentence: str
    infos: tuple[tuple[str, str, str], ...] = ()


OBSCORE: Final = About("obscore", "ObsCore 1.1 rows, and columns of its draft high-energy extension behind them")

Row = Mapping[str, Value]
Columns = Sequence[Column]


def votable(
    rows: Iterable[Row],
    most: int | None = None,
    columns: Columns = ALL_COLUMNS,
    datalink: str = "",
    about: About = OBSCORE,
) -> Iterator[bytes]:
    """Write rows as a VOTable.

    Parameters
    ----------
    rows
        The rows, by column name.
    most
        The most rows to write; None for all. Where there are more, the table ends with QUERY_STATUS=OVERFLOW (DALI 1.1,
        4.4.1).
    columns
        The columns of the table.
    datalink
        The address of the DataLink service that takes an obs_publisher_did as ID, for a descriptor behind the table
        (DataLink 1.1, section 4.1); empty for none.
    about
        What the table says of itself.

    Yields
    ------
    bytes
        The document, piece by piece.

    Raises
    ------
    Exception
        That of `rows`. The table is closed with QUERY_STATUS=ERROR before, so that a reader has a whole document.
    """
    yield _votable_head(columns, about).encode()
    left = iter(rows)
    failed: Exception | None = None
    try:
        yield from written_in_batches(left, most, _votable_row(columns))
        status = "OVERFLOW" if most is not None and next(left, None) is not None else ""
    except Exception as error:  # noqa: BLE001 - the document must end whatever it is; it is raised below
        failed, status = error, "ERROR"
    info = {"": "", "OVERFLOW": '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n',
            "ERROR": '<INFO name="QUERY_STATUS" value="ERROR">not all rows could be read</INFO>\n'}  # fmt: skip
    yield f"</TABLEDATA></DATA></TABLE>\n{info[status]}</RESOURCE>\n{_descriptor(datalink)}</VOTABLE>\n".encode()
    if failed is not None:
        raise failed


def ecsv(rows: Iterable[Row], most: int | None = None, columns: Columns = ALL_COLUMNS) -> Iterator[bytes]:
    """Write rows as ECSV 1.0; values that are not known are empty.

    Parameters
    ----------
    rows
        The rows, by column name.
    most
        The most rows to write; None for all.
    columns
        The columns of the table.

    Yields
    ------
    bytes
        The document, piece by piece.
    """
    yield _ecsv_head(columns).encode()
    yield from written_in_batches(iter(rows), most, _ecsv_row(columns))


def written_in_batches(rows: Iterator[Row], most: int | None, write: Callable[[Row], str]) -> Iterator[bytes]:
    """Write rows in UTF-8, at most `BATCH` of them in a piece.

    Parameters
    ----------
    rows
        The rows.
    most
        The most rows to write; None for all.
    write
        The function that writes a row.

    Yields
    ------
    bytes
        The rows, piece by piece.
    """
    wanted = islice(rows, most)
    while batch := [write(row) for row in islice(wanted, BATCH)]:
        yield "".join(batch).encode()


def _votable_head(columns: Columns, about: About) -> str:
    """Everything before the first row."""
    fields = "\n".join(_field(column) for column in columns)
    infos = "".join(
        f"<INFO name={quoteattr(name)} value={quoteattr(value)}>{escape(text)}</INFO>\n"
        for name, value, text in about.infos
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.4" xmlns="{_NAMESPACE}">\n'
        '<RESOURCE type="results">\n<INFO name="QUERY_STATUS" value="OK"/>\n'
        f'{infos}<COOSYS ID="icrs" system="ICRS"/>\n'
        '<TIMESYS ID="tt" timeorigin="MJD-origin" timescale="TT" refposition="UNKNOWN"/>\n'
        f"<TABLE name={quoteattr(about.name)}>\n<DESCRIPTION>{escape(about.sentence)}</DESCRIPTION>\n"
        f"{fields}\n<DATA><TABLEDATA>\n"
    )


def _descriptor(address: str) -> str:
    """The description of the service that gives the links of a row; empty without its address."""
    if not address:
        return ""
    standard = "ivo://ivoa.net/std/DataLink#links-1.1"
    return (
        '<RESOURCE type="meta" utype="adhoc:service">\n<DESCRIPTION>The links of a row</DESCRIPTION>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={quoteattr(address)}/>\n'
        f'<PARAM name="standardID" datatype="char" arraysize="*" value="{standard}"/>\n'
        '<GROUP name="inputParams">\n<PARAM name="ID" datatype="unicodeChar" arraysize="*" value=""'
        ' ref="obs_publisher_did"/>\n</GROUP>\n</RESOURCE>\n'
    )


def _field(column: Column) -> str:
    """The FIELD of a column."""
    name, _, size = column.adql.partition("(")
    kind = VOTABLE_TYPES.get(name)
    attributes = {
        "ID": column.name,
        "name": column.name,
        "datatype": kind or ("char" if column.adql in _XTYPES else "unicodeChar"),
        "arraysize": size.rstrip(")") or (None if kind else "*"),
        "xtype": _XTYPES.get(column.adql),
        "ref": _REFERENCES.get(column.name),
        "unit": unit_of(column),
        "ucd": column.ucd,
        "utype": column.utype,
    }
    text = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items() if value)
    return f"<FIELD {text}><DESCRIPTION>{escape(column.description)}</DESCRIPTION></FIELD>"


def unit_of(column: Column) -> str | None:
    """The unit of a column; None where it has none, or that of another column (o_unit)."""
    return None if column.unit == "o_unit" else column.unit


def _votable_row(columns: Columns) -> Callable[[Row], str]:
    """The function that writes a row as TR."""
    names = [(column.name, column.type == "str") for column in columns]

    def write(row: Row) -> str:
        get = row.get
        cells = [
            "<TD/>" if (value := get(name)) is None else f"<TD>{_escaped(value) if is_text else value}</TD>"
            for name, is_text in names
        ]
        return f"<TR>{''.join(cells)}</TR>\n"

    return write


def _escaped(value: Value) -> str:
    """A value as text of XML."""
    text = str(value)
    return text if text.isalnum() else escape(writable(text))


def _ecsv_head(columns: Columns) -> str:
    """The header in YAML, as flow mappings (of which JSON is a part), and the line of names."""
    lines = ["%ECSV 1.0", "---", 'delimiter: ","', "datatype:"]
    for column in columns:
        metadata = {
            "name": column.name,
            "unit": unit_of(column),
            "datatype": _ECSV_TYPES.get(column.adql, "string"),
            "description": column.description,
            "meta": {name: value for name, value in (("ucd", column.ucd), ("utype", column.utype)) if value},
        }
        lines.append(f"- {json.dumps({name: value for name, value in metadata.items() if value})}")
    lines.append("schema: astropy-2.0")
    return "".join(f"# {line}\n" for line in lines) + ",".join(column.name for column in columns) + "\n"


def _ecsv_row(columns: Columns) -> Callable[[Row], str]:
    """The function that writes a row as a line."""
    names = [(column.name, column.type == "str") for column in columns]

    def write(row: Row) -> str:
        get = row.get
        cells = [
            "" if (value := get(name)) is None else _cell(str(value)) if is_text else str(value)
            for name, is_text in names
        ]
        return ",".join(cells) + "\n"

    return write


def _cell(text: str) -> str:
    """A text as a cell of ECSV, on one line, quoted where it must be."""
    line = _BREAKS.sub(" ", text)
    return '"' + line.replace('"', '""') + '"' if _QUOTED.search(line) else line
