"""Tables of observations from outside, which astropy reads: what they name is not opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from uws_server.archive import tables
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
