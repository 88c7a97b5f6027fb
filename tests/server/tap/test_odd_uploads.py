"""Uploaded tables that are odd or made to harm: no other file is read, no memory filled, and each is told why."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from uws_server.errors import BadRequest
from uws_server.tap.upload.table import open_table

SECRET = b"what no caller may read"


def votable(field: str, content: str, before: str = "") -> bytes:
    return (
        f'{before}<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="a" datatype="{field}"/><DATA>{content}</DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    ).encode()


def read(folder: Path, content: bytes, most: int | None = None) -> list[tuple[object, ...]]:
    path = folder / "upload-x1y2"
    path.write_bytes(content)
    table = open_table(path, "UPLOAD x", most)
    return [tuple(row) for batch in table.read() for row in batch]


def refused(folder: Path, content: bytes, most: int | None = None) -> str:
    """The sentence, which names no file of the server, and leaves none behind."""
    with pytest.raises(BadRequest) as error:
        read(folder, content, most)
    assert "upload-x1y2" not in str(error.value) and str(folder) not in str(error.value)
    assert not list(folder.glob("inflated-*"))
    return str(error.value)


@pytest.mark.parametrize("kind", ["BINARY", "BINARY2", "FITS"])
def test_a_votable_whose_rows_lie_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    """The reader of binary rows opens whatever file or address the table names."""
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    stream = f'<{kind}><STREAM href="{secret.as_uri()}"/></{kind}>'
    assert "lie elsewhere" in refused(tmp_path, votable("unsignedByte", stream))
    inline = f'<{kind}><STREAM encoding="base64">AAAA</STREAM></{kind}>'
    second = votable("int", inline).replace(b"</TABLE>", b"</TABLE><TABLE><FIELD name='b' datatype='int'/><DATA>"
                                            + stream.encode() + b"</DATA></TABLE>")  # fmt: skip
    assert "lie elsewhere" in refused(tmp_path, second)
    entity = f"<!DOCTYPE VOTABLE [<!ENTITY s '{stream}'>]>"
    assert "DOCTYPE" in refused(tmp_path, votable("unsignedByte", inline + "&s;", entity))


def test_rows_within_a_votable_are_read(tmp_path: Path) -> None:
    rows = base64.b64encode(np.array([7, -1], ">i4").tobytes()).decode()
    content = f'<BINARY><STREAM encoding="base64">{rows}</STREAM></BINARY>'
    assert read(tmp_path, votable("int", content)) == [(7,), (-1,)]


@pytest.mark.parametrize("datatype, value", [("short", 2**15), ("int", -(2**31) - 1), ("long", 2**63)])
def test_a_number_that_its_type_cannot_hold_is_told(tmp_path: Path, datatype: str, value: int) -> None:
    rows = "<TABLEDATA><TR><TD>{}</TD></TR></TABLEDATA>"
    assert f"{value} is not between" in refused(tmp_path, votable(datatype, rows.format(value)))
    nearest = value - 1 if value > 0 else value + 1
    assert read(tmp_path, votable(datatype, rows.format(nearest))) == [(nearest,)]


def test_an_unsigned_number_beyond_64_bits_of_a_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "u.fits"
    Table({"a": np.array([1, 2**63], dtype=np.uint64)}).write(path)
    assert f"{2**63} is not below 2**63" in refused(tmp_path, path.read_bytes())


def test_a_broken_votable_is_told_without_the_name_of_a_file(tmp_path: Path) -> None:
    rows = "<TABLEDATA>" + "<TR><TD>1</TD></TR>" * 3
    assert "no readable VOTable" in refused(tmp_path, votable("int", rows)[:-40])
    assert "no readable VOTable" in refused(tmp_path, b"<VOTABLE><RESOURCE>" + b"<x>" * 5000)


def test_a_gzipped_table_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    Table({"a": np.arange(3)}).write(path)
    plain = path.read_bytes()
    assert read(tmp_path, gzip.compress(plain)) == [(0,), (1,), (2,)]
    assert read(tmp_path, gzip.compress(b"a,b\n1,2\n")) == [(1, 2)]
    assert not list(tmp_path.glob("inflated-*"))
    bomb = gzip.compress(fits.PrimaryHDU().header.tostring().encode() + bytes(30_000_000))
    assert "more than 2 MB when it is inflated" in refused(tmp_path, bomb, 2_000_000)
    assert "gzipped twice" in refused(tmp_path, gzip.compress(gzip.compress(plain)))
    assert "gzip is damaged" in refused(tmp_path, gzip.compress(plain)[:-20])


def test_a_table_of_many_parts_comes_whole(tmp_path: Path) -> None:
    """The file is opened anew every 32 MB; here a row has 40 kB."""
    numbers = np.arange(4500)
    wide = fits.Column("wide", "40000A", array=np.array([b"x"] * 4500))
    path = tmp_path / "wide.fits"
    fits.BinTableHDU.from_columns([fits.Column("n", "J", array=numbers), wide]).writeto(path)
    rows = [row[0] for batch in open_table(path, "wide").read() for row in batch]
    assert rows == numbers.tolist()
