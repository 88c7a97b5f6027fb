"""Tables that an operator loads: from every format, with their metadata, found by an index, gone when removed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table, writeto
from astropy.table import MaskedColumn, Table

from uws_server import cli
from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, NotFound
from uws_server.storage.jobstore import JobStore
from uws_server.storage.tap_schema import SchemaStore
from uws_server.tap.loading.table import Loader, LoadRequest
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.request import read_request
from uws_server.tap.query.service import Queries

COUNT = 5000


def catalogue() -> Table:
    random = np.random.default_rng(3)
    count = MaskedColumn(random.integers(-5, 10**12, COUNT), mask=random.random(COUNT) < 0.1)
    made = Table(
        {
            "IAUNAME": [f"4XMM J{number:06d}" for number in range(COUNT)],
            "SC_RA": random.uniform(0, 360, COUNT) * u.deg,
            "SC_DEC": np.degrees(np.arcsin(random.uniform(-1, 1, COUNT))) * u.deg,
            "EP_8_FLUX": random.lognormal(-30, 2, COUNT) * u.Unit("W m-2"),
            "N": count,
            "SELECT": random.integers(0, 9, COUNT).astype("int16"),
            "is it": random.random(COUNT) < 0.5,
        }
    )
    made["SC_RA"].meta["ucd"], made["SC_DEC"].meta["ucd"] = "pos.eq.ra;meta.main", "pos.eq.dec;meta.main"
    made["IAUNAME"].meta["ucd"] = "meta.id;meta.main"
    made["SC_RA"].description = "mean right ascension"
    made["EP_8_FLUX"][7] = np.nan
    return made


@pytest.fixture(scope="module")
def whole() -> Table:
    return catalogue()


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
    yield opened
    for row in Loader(SchemaStore(opened.engine)).tables():
        Loader(SchemaStore(opened.engine)).remove(row["table_name"])
    opened.close()


@pytest.fixture
def queries(store: JobStore, database_url: str, tmp_path: Path) -> Iterator[Queries]:
    made = Queries(SchemaStore(store.engine), Config.of(data=tmp_path, database=database_url), "https://x.org")
    yield made
    made.close()


def ask(queries: Queries, query: str) -> list[Any]:
    answer = queries.answer(read_request({"LANG": ["ADQL"], "QUERY": [query]}), (), {}, Budget(60))
    return [row for batch in answer.batches() for row in batch]


def write(whole: Table, path: Path) -> Path:
    if path.suffix == ".vot":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "is it" is no ID
            form = "binary2" if "b2" in path.name else "tabledata"
            writeto(from_table(whole), str(path), tabledata_format=form)
    elif path.suffix == ".parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({name: whole[name].tolist() for name in whole.colnames}), path)
    elif path.suffix == ".fits":
        whole.write(path)
    else:
        whole.write(path, format="ascii.csv")
    return path


@pytest.mark.parametrize("name", ["cat.fits", "cat.vot", "cat-b2.vot", "cat.csv", "cat.parquet"])
def test_a_table_of_every_format_is_asked(
    whole: Table, store: JobStore, queries: Queries, tmp_path: Path, name: str
) -> None:
    loaded = Loader(SchemaStore(store.engine)).add(LoadRequest(write(whole, tmp_path / name), "xmm", "cat"))
    assert (loaded.name, loaded.rows) == ("xmm.cat", COUNT)
    rows = ask(queries, 'SELECT iauname, sc_ra, ep_8_flux, n, "SELECT" FROM xmm.cat ORDER BY IAUNAME')
    assert [row[0] for row in rows] == list(whole["IAUNAME"])
    assert [row[1] for row in rows] == whole["SC_RA"].tolist()
    assert rows[7][2] is None
    assert [row[2] for row in rows[:7]] == whole["EP_8_FLUX"][:7].tolist()
    assert [row[3] for row in rows] == whole["N"].tolist()
    assert [row[4] for row in rows] == whole["SELECT"].tolist()


def test_a_table_that_was_loaded_a_moment_ago_is_asked_and_one_that_was_removed_is_told(
    store: JobStore, queries: Queries, tmp_path: Path
) -> None:
    """Tables are remembered for a while; nobody who waits for `table add` to end has to know that."""
    loader, path, query = Loader(SchemaStore(store.engine)), tmp_path / "cat.csv", "SELECT name FROM xmm.cat"
    with pytest.raises(BadRequest, match=r"there is no table xmm\.cat"):
        ask(queries, query)
    path.write_text("id\n7\n")
    loader.add(LoadRequest(path, "xmm"))
    assert ask(queries, "SELECT id FROM xmm.cat") == [(7,)]
    loader.remove("xmm.cat")
    path.write_text("name\nM31\n")
    loader.add(LoadRequest(path, "xmm"))
    assert ask(queries, query) == [("M31",)]
    loader.remove("xmm.cat")
    with pytest.raises(BadRequest, match=r"there is no table xmm\.cat"):
        ask(queries, query)


def test_units_and_ucds_are_in_tap_schema_and_a_cone_uses_an_index(
    whole: Table, store: JobStore, queries: Queries, tmp_path: Path
) -> None:
    path = write(whole, tmp_path / "cat.vot")
    Loader(SchemaStore(store.engine)).add(LoadRequest(path, "xmm", indexes=("EP_8_FLUX", "N,SELECT")))
    found = ask(
        queries,
        "SELECT column_name, unit, ucd, datatype, indexed, description FROM TAP_SCHEMA.columns "
        "WHERE table_name = 'xmm.cat'",
    )
    about = {row[0]: row[1:] for row in found}
    assert about["SC_RA"] == ("deg", "pos.eq.ra;meta.main", "double", 1, "mean right ascension")
    assert about["SC_DEC"][3] == about["IAUNAME"][3] == about["EP_8_FLUX"][3] == 1
    assert about["EP_8_FLUX"][0] == "W.m**-2"
    assert set(about) >= {'"SELECT"', '"is it"'}
    with store.engine.connect() as connection:
        names = {index["name"] for index in sa.inspect(connection).get_indexes("tap_data_1")}
    assert len(names) == 4
    cone = "1 = CONTAINS(POINT('ICRS', sc_ra, sc_dec), CIRCLE('ICRS', 120, 30, 10))"
    sky = SkyCoord(whole["SC_RA"], whole["SC_DEC"])
    wanted = int(np.count_nonzero(sky.separation(SkyCoord(120, 30, unit="deg")) <= 10 * u.deg))
    assert ask(queries, f"SELECT COUNT(*) FROM xmm.cat WHERE {cone}") == [(wanted,)]


@pytest.mark.parametrize(("unit", "is_place"), [("deg", True), ("degrees", True), ("", True), ("rad", False)])
def test_ra_and_dec_without_ucds_are_the_place(
    store: JobStore, queries: Queries, tmp_path: Path, unit: str, is_place: bool
) -> None:
    """A catalogue in FITS has no UCDs; its cones are found by an index all the same."""
    sky = np.random.default_rng(4)
    made = Table({"RA": sky.uniform(0, 360, 500), "DEC": sky.uniform(-80, 80, 500), "SRCID": np.arange(500)})
    path = tmp_path / "cat.csv"
    made.write(path)
    if unit:
        path = tmp_path / "cat.fits"
        hdu = fits.table_to_hdu(made)
        hdu.columns["RA"].unit = hdu.columns["DEC"].unit = unit
        hdu.writeto(path)
    loaded = Loader(SchemaStore(store.engine)).add(LoadRequest(path, "xmm"))
    assert {each.column.name for each in loaded.columns if each.indexed} == ({"RA", "DEC"} if is_place else set())
    near = SkyCoord(made["RA"], made["DEC"], unit="deg").separation(SkyCoord(120, 30, unit="deg")) <= 10 * u.deg
    cone = "1 = CONTAINS(POINT(ra, dec), CIRCLE(120, 30, 10))"
    assert ask(queries, f"SELECT COUNT(*) FROM xmm.cat WHERE {cone}") == [(int(np.count_nonzero(near)),)]


def test_what_is_refused(whole: Table, store: JobStore, tmp_path: Path) -> None:
    loader, path = Loader(SchemaStore(store.engine)), write(whole, tmp_path / "cat.csv")
    loader.add(LoadRequest(path, "xmm"))
    for request, error, sentence in (
        (LoadRequest(path, "XMM", "Cat"), Conflict, r"there is a table XMM\.Cat"),
        (LoadRequest(path, "ivoa"), BadRequest, "'ivoa' is a schema of the server itself"),
        (LoadRequest(path, "tap_schema"), BadRequest, "schema of the server itself"),
        (LoadRequest(path, "xmm", "select"), BadRequest, "--name: 'select' is a word of ADQL"),
        (LoadRequest(path, "x; DROP TABLE jobs"), BadRequest, "--schema: .* letters, digits"),
        (LoadRequest(path, "xmm", "other", indexes=("nothing",)), BadRequest, "--index: 'nothing' is no column"),
    ):
        with pytest.raises(error, match=sentence):
            loader.add(request)
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1,2\n3\n")
    with pytest.raises(BadRequest, match="line 3 has 1 cell;"):
        loader.add(LoadRequest(broken, "xmm"))
    with pytest.raises(NotFound, match=r"no loaded table 'xmm\.x'; there are xmm\.cat"):
        loader.remove("xmm.x")
    assert [row["table_name"] for row in loader.tables()] == ["xmm.cat"]


def test_the_command(whole: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, data = write(whole[:50], tmp_path / "cat.fits"), str(tmp_path / "data")
    assert cli.main(["table", "add", str(path), "--schema", "xmm", "--description", "sources", "--data", data]) == 0
    assert re.search(r"xmm\.cat: 50 rows of 7 columns; indexed: ", capsys.readouterr().out)
    assert cli.main(["table", "list", "--data", data]) == 0
    assert re.search(r"xmm\.cat +50 rows  sources\n", capsys.readouterr().out)
    assert cli.main(["table", "remove", "xmm.cat", "--data", data]) == 0
    assert cli.main(["table", "remove", "xmm.cat", "--data", data]) == 2
    assert "no loaded table" in capsys.readouterr().err
    assert cli.main(["table", "list", "--data", str(tmp_path / "nowhere")]) == 2
