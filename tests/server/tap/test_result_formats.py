"""The formats of query results, read back by astropy: every value and every null, whichever the format."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io.votable import parse, parse_single_table
from astropy.table import Table

from uws_server.errors import BadRequest
from uws_server.tap.formats.answer import Answer, Row
from uws_server.tap.formats.choice import FORMATS, format_of
from uws_server.tap.tables import ColumnDescription

COLUMNS = (
    ColumnDescription("name", "unicodeChar", "*", None, "meta.id", "obs:x", None, 'what "it" is & <more>'),
    ColumnDescription("ra", "double", None, "deg", "pos.eq.ra"),
    ColumnDescription("flag", "boolean"),
    ColumnDescription("small", "short"),
    ColumnDescription("count", "int"),
    ColumnDescription("large", "long"),
    ColumnDescription("rate", "float", None, "ct/s"),
    ColumnDescription("when", "char", "*", xtype="timestamp"),
    ColumnDescription("corner", "double", "2"),
)
ROWS: tuple[Row, ...] = (
    ("Étoile <&> \"x\", 'y'", 83.633212345678901, 1, -7, 2**31 - 1, 2**62 + 1, 0.25, "2026-11-29T21:00:00", "1.0 2.5"),
    (None, None, None, None, None, None, None, None, None),
    ("a\tb\nc", -0.0, 0, 32767, -(2**31), -(2**62), 1e-30, "2026-11-29", "-3.0 4e-300"),
    ("", 1e300, 1, 0, 0, 0, 3.0, "", "0.0 0.0"),
)


def answer(rows: Sequence[Row] = ROWS, maxrec: int = 100, at_once: int = 3) -> Answer:
    batches = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]
    return Answer(COLUMNS, batches, maxrec, 'SELECT "x" < & FROM t')


def written(word: str, given: Answer | None = None) -> bytes:
    return b"".join(format_of(word).write()(given or answer()))


def read_votable(document: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse_single_table(io.BytesIO(document))


@pytest.mark.parametrize("word", ["votable/td", "votable/b2"])
def test_a_votable_holds_every_value_and_every_null(word: str) -> None:
    table = read_votable(written(word))
    array = table.array
    for number, column in enumerate(COLUMNS[:-1]):
        found = array[column.name]
        for row, expected in enumerate(ROW[number] for ROW in ROWS):
            if expected is None:
                value = found[row]
                # a text has no null in TABLEDATA
                assert value is np.ma.masked or value == "" or (isinstance(value, float) and math.isnan(value))
            elif column.datatype == "float":
                assert found[row] == np.float32(expected)
            else:
                assert found[row] == expected, column.name
    assert array["corner"][2].tolist() == [-3.0, 4e-300]
    field = table.get_field_by_id("name")
    assert (field.ucd, field.utype, field.description) == ("meta.id", "obs:x", 'what "it" is & <more>')
    assert str(table.get_field_by_id("ra").unit) == "deg"


def test_a_votable_says_that_there_is_more() -> None:
    for word in ("votable/td", "votable/b2"):
        document = written(word, answer(maxrec=3))
        infos = [(info.name, info.value) for info in parse(io.BytesIO(document)).resources[0].infos]
        assert infos == [
            ("QUERY_STATUS", "OK"),
            ("QUERY", 'SELECT "x" < & FROM t'),
            ("QUERY_STATUS", "OVERFLOW"),
        ]
        assert len(read_votable(document).array) == 3
        exact = parse(io.BytesIO(written(word, answer(maxrec=4)))).resources[0].infos
        assert [info.value for info in exact].count("OVERFLOW") == 0


def test_no_rows_are_a_table_all_the_same() -> None:
    for word in ("votable/td", "votable/b2"):
        assert len(read_votable(written(word, answer(maxrec=0))).array) == 0
        assert b"OVERFLOW" in written(word, answer(maxrec=0))
    assert len(Table.read(io.BytesIO(written("fits", answer(maxrec=0))))) == 0
    assert written("csv", answer(rows=())).count(b"\r\n") == 1


@pytest.mark.filterwarnings("ignore:Column 'flag' contains NULL")  # astropy has no null of a boolean
def test_fits_is_read_by_astropy() -> None:
    table = Table.read(io.BytesIO(written("fits")), unit_parse_strict="silent")
    assert table["large"].tolist() == [2**62 + 1, None, -(2**62), 0]
    assert table["count"].tolist() == [2**31 - 1, None, -(2**31), 0]
    assert table["small"].tolist() == [-7, None, 32767, 0]
    assert table["ra"][0] == 83.633212345678901
    assert table["ra"][1] is np.ma.masked or math.isnan(table["ra"][1])
    assert str(table["ra"].unit) == "deg"
    assert table["name"][0].startswith("?toile <&>")
    assert table.meta["OVERFLOW"] is False


def test_text_formats() -> None:
    table = Table.read(written("ecsv").decode(), format="ascii.ecsv")
    assert table["large"].tolist() == [2**62 + 1, None, -(2**62), 0]
    assert table["name"][0] == ROWS[0][0]
    lines = written("tsv").decode().split("\r\n")
    assert lines[0].split("\t") == [column.name for column in COLUMNS]
    assert lines[3].startswith("a b c\t-0.0\t0\t32767")
    document = json.loads(written("json"))
    assert document["data"][0][5] == 2**62 + 1
    assert document["data"][1] == [None] * len(COLUMNS)
    assert document["metadata"][1] == {"name": "ra", "datatype": "double", "unit": "deg", "ucd": "pos.eq.ra"}
    assert document["query_status"] == "OK"


def test_a_failure_on_the_way_is_told_in_the_votable_and_cuts_off_what_has_no_place_for_it() -> None:
    def failing() -> Iterator[Sequence[Row]]:
        yield ROWS[:2]
        raise BadRequest("the query was ended after 60 s")

    for word in ("votable/td", "votable/b2"):
        document = written(word, Answer(COLUMNS, failing(), 100))
        infos = parse(io.BytesIO(document)).resources[0].infos
        assert (infos[-1].value, infos[-1].content) == ("ERROR", "the query was ended after 60 s")
    for word in ("csv", "fits", "ecsv"):
        with pytest.raises(RuntimeError, match="ended after 60 s"):
            written(word, Answer(COLUMNS, failing(), 100))


def test_whoever_stops_reading_gives_back_what_the_rows_come_from_once() -> None:
    released: list[int] = []
    given = answer()
    given.release = lambda: released.append(1)
    pieces = iter(format_of("csv").write()(given))
    next(pieces)
    given.close()
    given.close()
    assert released == [1]


def test_every_format_has_words_of_its_own() -> None:
    for each in FORMATS:
        assert format_of(each.mime) is each
        assert all(format_of(word) is each for word in each.words)
    with pytest.raises(BadRequest, match=r"'pdf' came; .*csv"):
        format_of("pdf")


@pytest.mark.skipif(not shutil.which("stilts"), reason="there is no stilts")
def test_stilts_reads_binary2_as_it_reads_tabledata(tmp_path: Path) -> None:
    texts = []
    for word in ("votable/td", "votable/b2"):
        path = tmp_path / "table.vot"
        path.write_bytes(written(word, answer(ROWS[:3])))
        command = ["stilts", "-Xmx200m", "tpipe", f"in={path}", "omode=out", "ofmt=csv"]
        texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert texts[0] == texts[1]
    assert str(2**62 + 1) in texts[0]


def test_parquet_and_arrow_hold_every_value_and_the_metadata() -> None:
    parquet, ipc = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.ipc")
    for word in ("parquet", "arrow"):
        stream = io.BytesIO(written(word))
        table = parquet.read_table(stream) if word == "parquet" else ipc.open_stream(stream).read_all()
        rows = [tuple(row.values()) for row in table.to_pylist()]
        assert [row[:3] for row in rows] == [
            (name, ra, None if flag is None else bool(flag)) for name, ra, flag, *_ in ROWS
        ]
        assert [row[3:6] for row in rows] == [row[3:6] for row in ROWS]
        assert table.schema.field("ra").metadata[b"unit"] == b"deg"


def test_parquet_without_pyarrow_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadRequest, match="pyarrow, which this server does not have; votable"):
        format_of("parquet").write()
