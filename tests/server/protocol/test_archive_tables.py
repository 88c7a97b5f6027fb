"""The tables of the archive over HTTP, and its files: the same rows in every format, read by astropy and pyvo."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvo
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse_single_table, validate
from astropy.table import Table
from mocpy import MOC

from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli

HERE = "0999990101"
ELSEWHERE = "0123456789"
ODD = "images & maps/P0999990101PNS003EXPMAP8000.FTZ"
TABLE = f"""obs_id,ra,dec,target,pi,start,stop,duration
{HERE},148.97,69.68,Same,Ada,2019-05-01T00:00:00,2019-05-01T03:00:00,10000
{ELSEWHERE},10.684708,41.26875,"M31, Andromeda <&>",Bo,2019-06-01T00:00:00,2019-06-01T01:00:00,3600
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("archive-tables")
    archive = folder / "archive"
    simulate(small(), archive)
    (archive / ODD).parent.mkdir()
    fits.HDUList([fits.PrimaryHDU(np.zeros((9, 9), dtype=np.float32))]).writeto(archive / "image.fits.gz")
    (archive / "image.fits.gz").rename(archive / ODD)
    (archive / "notes.txt").write_text("nobody's business")
    (folder / "table.csv").write_text(TABLE)
    where = ["--archive", str(archive), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(archive)) as server:
        assert cli.main(["archive", "add", *where]) == 0
        assert cli.main(["archive", "import", str(folder / "table.csv"), *where]) == 0
        server.archive = archive  # type: ignore[attr-defined]
        yield server


def rows_of(served: Served, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{served.url}/archive/{path}", {**asked, "RESPONSEFORMAT": "json"}, timeout=300)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()[path]
    return found


def test_the_exposures_of_files_and_of_tables_are_told_apart(served: Served) -> None:
    rows = rows_of(served, "exposures")
    assert [(row["obs_id"], row["instrument"], row["here"]) for row in rows] == [
        *((ELSEWHERE, camera, 0) for camera in ("EMOS1", "EMOS2", "EPN")),
        *((HERE, camera, 1) for camera in ("EMOS1", "EMOS2", "EPN")),
    ]
    assert [row["eventlist"] == row["source"] for row in rows] == [False] * 3 + [True] * 3
    assert all(row["eventlist"] == "" and row["source"].startswith(f"//{ELSEWHERE}/") for row in rows[:3])
    seen = rows_of(served, "exposures", REGION="Circle ICRS 10.68 41.27 0.01")
    assert [row["obs_id"] for row in seen] == [ELSEWHERE] * 3 and seen[0]["fraction"] == pytest.approx(1)
    searched = rows_of(served, "exposures", REGION="Circle ICRS 10.68 41.27 0.01", QUERY="camera = pn")
    assert [row["instrument"] for row in searched] == ["EPN"] and searched[0]["fraction"] == pytest.approx(1)


def test_observations_are_summed_up(served: Served) -> None:
    elsewhere, here = rows_of(served, "observations")
    assert (elsewhere["obs_id"], elsewhere["exposures"], elsewhere["here"]) == (ELSEWHERE, 3, 0)
    assert (here["obs_id"], here["exposures"], here["here"]) == (HERE, 3, 3)
    assert here["instruments"] == "EMOS1 EMOS2 EPN" and elsewhere["target"] == "M31, Andromeda <&>"
    assert [row["obs_id"] for row in rows_of(served, "observations", QUERY=f"obsid = {HERE}")] == [HERE]


def test_products_are_known_by_their_names(served: Served) -> None:
    (row,) = rows_of(served, "products")
    assert (row["obs_id"], row["instrument"], row["exposure"]) == (HERE, "EPN", "S003")
    assert (row["dataproduct_type"], row["product"], row["subset"]) == ("image", "exposure map", "8")
    assert rows_of(served, "products", QUERY=f"obsid = {HERE}") == [row]
    assert rows_of(served, "products", QUERY=f"obsid = {ELSEWHERE}") == []
    answer = requests.get(row["access_url"], timeout=300)
    content = (served.archive / ODD).read_bytes()  # type: ignore[attr-defined]
    assert answer.status_code == 200 and answer.content == content and row["size"] == len(content)


@pytest.mark.parametrize("path", ["exposures", "observations", "products"])
@pytest.mark.parametrize("form", ["votable", "csv", "fits"])
def test_every_format_of_every_table_has_the_same_rows(served: Served, path: str, form: str) -> None:
    expected = rows_of(served, path)
    answer = requests.post(f"{served.url}/archive/{path}", {"RESPONSEFORMAT": form}, timeout=300)
    assert answer.status_code == 200, answer.text
    if form == "votable":
        table = parse_single_table(io.BytesIO(answer.content)).to_table()
        assert {field for field in table.colnames if table[field].unit} >= {"ra", "dec"} or path == "products"
    elif form == "csv":
        table = Table.read(answer.text, format="ascii.csv", converters={"obs_id": str})
    else:
        table = Table.read(io.BytesIO(answer.content), hdu=1)
    assert len(table) == len(expected)
    for got, want in zip(table, expected, strict=True):
        assert table.colnames == list(want)
        for name, value in want.items():
            if value is None:
                assert np.ma.is_masked(got[name]) or np.isnan(float(got[name]))
            elif isinstance(value, float):
                assert float(got[name]) == pytest.approx(value, rel=1e-12)
            elif value != "" and form != "fits":  # texts of FITS are ASCII
                assert str(got[name]) == str(value)


def test_a_votable_is_valid_and_read_by_pyvo(served: Served, tmp_path: Path) -> None:
    answer = requests.get(f"{served.url}/archive/exposures", timeout=300)
    (tmp_path / "table.xml").write_bytes(answer.content)
    out = io.StringIO()
    validate(str(tmp_path / "table.xml"), out)
    assert "E" not in {line.split(":")[-2].strip()[:1] for line in out.getvalue().splitlines() if ": E" in line}
    found = pyvo.dal.DALQuery(f"{served.url}/archive/exposures", REGION="Circle ICRS 10.68 41.27 0.01").execute()
    assert len(found) == 3 and found.fieldname_with_ucd("pos.eq.ra;instr.fov") == "ra"


@pytest.mark.parametrize("form", ["votable", "json", "csv", "fits"])
def test_a_table_that_is_cut_says_so(served: Served, form: str) -> None:
    asked: dict[str, Any] = {"MAXREC": 4, "RESPONSEFORMAT": form}
    cut = requests.get(f"{served.url}/archive/exposures", asked, timeout=300)
    whole = requests.get(f"{served.url}/archive/exposures", {**asked, "MAXREC": 6}, timeout=300)
    assert cut.headers["X-Overflow"] == "true" and "X-Overflow" not in whole.headers
    if form == "json":
        assert (cut.json()["overflow"], len(cut.json()["exposures"])) == (True, 4)
        assert json.loads(whole.content)["overflow"] is False
    if form == "votable":
        assert 'value="OVERFLOW"' in cut.text and 'value="OVERFLOW"' not in whole.text
        assert len(parse_single_table(io.BytesIO(cut.content)).array) == 4
    none = requests.get(f"{served.url}/archive/exposures", {**asked, "MAXREC": 0}, timeout=300)
    assert none.status_code == 200 and none.headers["X-Overflow"] == "true"


def test_the_footprints_of_an_observation_and_all_of_them_together(served: Served) -> None:
    mocs = []
    rows = rows_of(served, "exposures", QUERY=f"obsid = {HERE}")
    for row in rows:
        asked = {"ID": row["source"], "FORMAT": "ascii"}
        answer = requests.get(f"{served.url}/archive/footprint", asked, timeout=300)
        mocs.append(MOC.from_string(answer.text))
        assert mocs[-1].contains_skycoords(SkyCoord([row["ra"]], [row["dec"]], unit="deg")).all()
    asked_all = [("ID", row["source"]) for row in rows] + [("FORMAT", "ascii")]
    both = requests.get(f"{served.url}/archive/footprint", asked_all, timeout=300)
    assert MOC.from_string(both.text) == mocs[0].union(*mocs[1:])
    unknown = requests.get(f"{served.url}/archive/footprint", {"ID": "nothing.fits"}, timeout=300)
    assert unknown.status_code == 404 and "no exposure 'nothing.fits'" in unknown.text
    blind = requests.get(f"{served.url}/archive/footprint", {"ID": ODD}, timeout=300)
    assert blind.status_code == 404 and "no footprint is known" in blind.text


def test_a_file_of_the_archive_is_sent_whole_and_in_parts(served: Served) -> None:
    row = rows_of(served, "exposures", QUERY=f"obsid = {HERE}")[0]
    address = f"{served.url}/archive/file/{row['source']}"
    content = (served.archive / row["source"]).read_bytes()  # type: ignore[attr-defined]
    whole = requests.get(address, timeout=300)
    assert whole.content == content and int(whole.headers["Content-Length"]) == len(content)
    part = requests.get(address, headers={"Range": "bytes=100-199"}, timeout=300)
    assert (part.status_code, part.content) == (206, content[100:200])
    again = requests.get(address, headers={"If-None-Match": whole.headers["ETag"]}, timeout=300)
    assert again.status_code == 304
    assert requests.head(address, timeout=300).headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize("source", ["notes.txt", "../data/jobs.sqlite", "%2e%2e/data/jobs.sqlite", "/etc/passwd",
                                    f"//{ELSEWHERE}/EPN", "nothing.fits", "images", "%00"])  # fmt: skip
def test_nothing_is_sent_but_what_is_indexed(served: Served, source: str) -> None:
    session = requests.Session()
    prepared = requests.Request("GET", served.url).prepare()
    prepared.url = f"{served.url}/archive/file/{source}"
    answer = session.send(prepared, timeout=300)
    assert answer.status_code in (400, 404), answer.text


def test_an_archive_is_for_those_who_may_enter(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    with running_server(tmp_path / "data", "--archive", str(tmp_path / "archive"), anonymous="refused") as refusing:
        for path in (
            "exposures",
            "observations",
            "products",
            "footprint?ID=x",
            "moc?REGION=1 2 3",
            "coverage",
            "file/x",
        ):
            assert requests.get(f"{refusing.url}/archive/{path}", timeout=300).status_code == 401, path


def test_the_files_of_the_archive_are_in_the_table_of_obscore_with_their_links(served: Served) -> None:
    answer = requests.get(f"{served.url}/obscore", timeout=300)
    table = parse_single_table(io.BytesIO(answer.content)).to_table()
    assert [str(row["obs_id"]) for row in table] == [HERE] * 4  # what only a table tells of has no data
    lists = table[table["dataproduct_type"] == "event"]
    assert sorted(str(name) for name in lists["instrument_name"]) == ["EMOS1", "EMOS2", "EPN"]
    for row in lists:
        moc = requests.get(f"{served.url}/archive/footprint", {"ID": _source(row), "FORMAT": "ascii"}, timeout=300)
        cells = MOC.from_string(moc.text)
        outline = MOC.from_stcs(str(row["s_region"]), max_depth=13)
        assert cells.difference(outline).sky_fraction < 0.05 * cells.sky_fraction
        assert outline.sky_fraction == pytest.approx(cells.sky_fraction, rel=0.3)
    for row in table:
        content = requests.get(str(row["access_url"]), timeout=300).content
        assert round(len(content) / 1000) == int(row["access_estsize"]) or len(content) < 1000
        assert row["obs_collection"] == "XMM-Newton" and row["calib_level"] in (1, 2)
    assert len(set(table["obs_publisher_did"])) == 4
    links = pyvo.dal.adhoc.DatalinkResults.from_result_url(
        f"{served.url}/datalink?ID={requests.utils.quote(str(lists[0]['obs_publisher_did']), safe='')}"
    )
    assert [str(link.semantics) for link in links] == ["#this", "#cutout", "#auxiliary"]
    assert links[0].access_url == lists[0]["access_url"]
    assert requests.get(str(links[2].access_url), timeout=300).status_code == 200
    gone = requests.get(f"{served.url}/datalink", {"ID": f"{served.url}/archive/file/nothing.fits"}, timeout=300)
    assert "NotFoundFault: the archive has no file" in gone.text


def _source(row: Any) -> str:
    return str(row["access_url"]).partition("/archive/file/")[2]


def test_the_identifiers_of_a_publisher_outlive_the_address(tmp_path: Path) -> None:
    simulate(small(), tmp_path / "archive", cameras=("EPN",))
    where = ["--archive", str(tmp_path / "archive"), "--data", str(tmp_path / "data")]
    assert cli.main(["archive", "add", *where]) == 0
    found = []
    for _ in range(2):
        with running_server(tmp_path / "data", "--archive", str(tmp_path / "archive"),
                            publisher="ivo://example.org/x") as server:  # fmt: skip
            answer = requests.get(f"{server.url}/obscore", {"RESPONSEFORMAT": "json"}, timeout=300).json()
            names = [column["name"] for column in answer["metadata"]]
            row = dict(zip(names, answer["data"][0], strict=True))
            found.append(row["obs_publisher_did"])
            links = requests.get(f"{server.url}/datalink", {"ID": found[-1]}, timeout=300)
            assert row["access_url"] in links.text and row["publisher_id"] == "ivo://example.org/x"
    assert found[0] == found[1] and found[0].startswith("ivo://example.org/x?archive/")
