"""Tables of observations from outside, which astropy reads: what they name is not opened."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from astropy.table import Table

from uws_server.archive import tables
from uws_server.archive.tables import read_table
from uws_server.errors import BadRequest

VOTABLE = """<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3" version="1.4"><RESOURCE><TABLE>
<FIELD name="obs_id" datatype="unsignedByte"/><DATA>{rows}</DATA></TABLE></RESOURCE></VOTABLE>"""


@pytest.mark.parametrize("kind", ["BINARY", "BINARY2", "FITS"])
def test_a_votable_whose_rows_lie_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"nobody is to read this")
    stream = f'<{kind}><STREAM href="{(tmp_path / "secret").as_uri()}"/></{kind}>'
    path = tmp_path / "log.vot"
    path.write_text(VOTABLE.format(rows=stream), encoding="utf-8")
    with pytest.raises(BadRequest, match=r"log\.vot: the rows of this VOTable lie elsewhere"):
        tables.read_table(path)


def test_gzipped_tables_are_read_whatever_they_are(tmp_path: Path) -> None:
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(b"obs_id,ra,dec\n1,2,3\n"))
    assert [column.name for column in read_table(tmp_path / "table.csv.gz")] == ["obs_id", "ra", "dec"]
    Table({"obs_id": ["1"], "ra": [2.0]}).write(tmp_path / "table.fits")
    (tmp_path / "table.fits.gz").write_bytes(gzip.compress((tmp_path / "table.fits").read_bytes()))
    assert [column.values for column in read_table(tmp_path / "table.fits.gz")] == [["1"], [2.0]]


@pytest.mark.parametrize("kind", ["bomb", "cut", "twice"])
def test_a_gzipped_table_that_has_no_end_or_is_damaged_is_refused(tmp_path: Path, kind: str) -> None:
    path, card = tmp_path / "table.fits.gz", b"SIMPLE  =                    T".ljust(80)
    if kind == "bomb":
        with gzip.open(path, "wb", compresslevel=9) as file:
            file.write(card)
            for _ in range(300):
                file.write(bytes(1_000_000))
    else:
        whole = gzip.compress(card * 1000)
        path.write_bytes(whole[:-20] if kind == "cut" else gzip.compress(whole))
    words = {"bomb": "MB when it is inflated; no more", "cut": "the gzip is damaged", "twice": "gzipped twice"}[kind]
    with pytest.raises(BadRequest, match=f"^table.fits.gz: .*{words}"):
        read_table(path)
