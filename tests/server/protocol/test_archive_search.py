"""The archive over HTTP: exposures that see a region, MOCs, what is refused; by requests, astropy, pyvo and mocpy."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.coordinates import Latitude, Longitude, SkyCoord
from astropy.io.votable import parse_single_table
from astropy.table import Table
from mocpy import MOC

from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli
from uws_server.storage.jobstore import JobStore

REGION = 'icrs; circle(148.9745, 69.651, 60")'
AS_JSON = {"REGION": REGION, "RESPONSEFORMAT": "json"}

_JAGS = ", ".join(f"{150 + 10 * np.sin(turn):.4f}, {40 * np.cos(turn) * (1 - turn % 0.01 * 50):.4f}"
                  for turn in np.linspace(0, 2 * np.pi, 1500))  # fmt: skip
JAGGED = f"icrs; polygon({_JAGS})"
"""A polygon whose border is so long, and has so many corners, that its cells of order 12 take minutes."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("archive-search")
    simulate(small(), folder / "archive")
    with running_server(folder / "data", "--archive", str(folder / "archive")) as server:
        indexed = cli.main(["archive", "add", "--archive", str(folder / "archive"), "--data", str(folder / "data")])
        assert indexed == 0
        yield server


def test_the_exposures_that_see_a_region_are_told_with_their_share_and_angle(served: Served) -> None:
    answer = requests.get(f"{served.url}/archive/exposures", {"region": REGION, "RESPONSEFORMAT": "json"}, timeout=300)
    assert answer.status_code == 200, answer.text
    found = answer.json()["exposures"]
    assert [one["instrument"] for one in found] == ["EMOS1", "EMOS2", "EPN"]
    middle = SkyCoord(148.9745 * u.deg, 69.651 * u.deg)
    for one in found:
        assert one["fraction"] > 0.8 and 0 < one["field_fraction"] < 0.02
        pointing = SkyCoord(one["ra"] * u.deg, one["dec"] * u.deg)
        assert one["off_axis"] == pytest.approx(pointing.separation(middle).arcmin, abs=0.01)
        assert one["eventlist"].startswith(f"P{one['obs_id']}") and one["exposure_s"] > 1000
    nothing = requests.get(f"{served.url}/archive/exposures", {"REGION": "10 10 0.1"}, timeout=300)
    assert nothing.status_code == 200 and len(parse_single_table(io.BytesIO(nothing.content)).array) == 0


@pytest.mark.parametrize("form", ["votable", "csv", "fits", "application/x-votable+xml"])
def test_every_format_has_the_same_rows(served: Served, form: str) -> None:
    expected = requests.get(f"{served.url}/archive/exposures", AS_JSON, timeout=300)
    answer = requests.post(f"{served.url}/archive/exposures", {"REGION": REGION, "RESPONSEFORMAT": form}, timeout=300)
    assert answer.status_code == 200, answer.text
    kind = {"csv": "ascii.csv", "fits": "fits"}.get(form, "votable")
    if kind == "ascii.csv":
        table = Table.read(answer.text, format=kind)
    else:
        table = Table.read(io.BytesIO(answer.content), format=kind)
    rows = expected.json()["exposures"]
    assert len(table) == len(rows) == 3
    for got, want in zip(table, rows, strict=True):
        assert str(got["eventlist"]) == want["eventlist"]
        assert float(got["fraction"]) == pytest.approx(want["fraction"])
        assert float(got["off_axis"]) == pytest.approx(want["off_axis"])


def test_a_votable_that_is_cut_says_so(served: Served) -> None:
    answer = requests.get(f"{served.url}/archive/exposures", {"REGION": REGION, "MAXREC": 1}, timeout=300)
    assert 'value="OVERFLOW"' in answer.text
    assert len(parse_single_table(io.BytesIO(answer.content)).array) == 1


def test_the_moc_of_a_region_in_every_format(served: Served) -> None:
    mocs = {}
    for form in ("fits", "json", "ascii"):
        asked = {"REGION": REGION, "ORDER": 16, "FORMAT": form}
        answer = requests.get(f"{served.url}/archive/moc", asked, timeout=300)
        assert answer.status_code == 200, answer.text
        if form == "fits":
            mocs[form] = _from_fits(answer.content)
        else:
            mocs[form] = MOC.from_json(answer.json()) if form == "json" else MOC.from_string(answer.text)
    assert mocs["fits"] == mocs["json"] == mocs["ascii"]
    assert mocs["fits"].max_order == 16
    area = mocs["fits"].sky_fraction * 4 * np.pi
    assert area == pytest.approx(np.pi * np.radians(60 / 3600) ** 2, rel=0.2)


def test_a_large_region_has_a_moc_of_the_order_that_it_can_have(served: Served) -> None:
    for region in (JAGGED, "Circle ICRS 83 22 90", "Circle ICRS 83 22 180"):
        answer = requests.post(f"{served.url}/archive/moc", {"REGION": region, "FORMAT": "ascii"}, timeout=300)
        assert answer.status_code == 200, answer.text
        assert MOC.from_string(answer.text).contains_skycoords(SkyCoord([150], [1], unit="deg")).all()
    whole = requests.get(f"{served.url}/archive/moc", {"REGION": "Circle ICRS 83 22 180", "ORDER": 18}, timeout=300)
    assert whole.status_code == 200 and len(whole.content) < 20_000


def _from_fits(content: bytes) -> MOC:
    table = Table.read(io.BytesIO(content), format="fits", hdu=1)
    ranges = np.asarray(table["RANGE"], dtype=np.uint64).reshape(-1, 2)
    return MOC.from_depth29_ranges(16, ranges)


def test_the_coverage_of_the_archive_holds_what_its_exposures_see(served: Served) -> None:
    answer = requests.get(f"{served.url}/archive/coverage", {"FORMAT": "ascii"}, timeout=300)
    moc = MOC.from_string(answer.text)
    assert moc.contains_skycoords(SkyCoord([148.9745], [69.651], unit="deg")).all()
    assert moc.sky_fraction * 41253 == pytest.approx(0.22, abs=0.08)  # a field of EPIC in square degrees


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        ("exposures", {"QUERY": "exposure >"}, "column 11: the search ends"),
        ("observations", {"QUERY": "exposure > 10 AND"}, "column 18"),
        ("footprint", {}, "ID is needed"),
        ("moc", {}, "REGION is needed"),
        ("exposures", {"REGION": "cirle(1, 2, 3)"}, "REGION"),
        ("exposures", {"REGION": "physical; circle(1, 2, 3)"}, "physical"),
        ("exposures", {"REGION": REGION, "MAXREC": "many"}, "MAXREC: 'many' came"),
        ("exposures", {"REGION": REGION, "RESPONSEFORMAT": "parquet"}, "RESPONSEFORMAT: 'parquet' came"),
        ("exposures", {"REGION": REGION, "OBSID": "0123"}, "OBSID: no such parameter"),
        ("exposures", {"REGION": "icrs; polygon(0, -80, 120, -80, 240, 85)"}, "80 degrees"),
        ("exposures", {"REGION": JAGGED}, "at most order"),
        ("moc", {"REGION": JAGGED, "ORDER": "12"}, "ORDER: 12 came"),
        ("moc", {"REGION": "Circle ICRS 83 22 90", "ORDER": "18"}, "ORDER: 18 came"),
        ("moc", {"REGION": "Circle ICRS 83 22 90", "ORDER": "16"}, "from 0 to 15 is allowed"),
        ("moc", {"REGION": REGION, "ORDER": "30"}, "ORDER: 30 came"),
        ("moc", {"REGION": REGION, "FORMAT": "xml"}, "FORMAT: 'xml' came"),
    ],
)
def test_what_means_nothing_is_refused_by_name(served: Served, path: str, asked: dict[str, str], words: str) -> None:
    answer = requests.get(f"{served.url}/archive/{path}", asked, timeout=300)
    assert answer.status_code == 400
    assert words in answer.text and 'value="ERROR"' in answer.text


def test_a_server_without_an_archive_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as served:
        answer = requests.get(f"{served.url}/archive/exposures", {"REGION": REGION}, timeout=300)
        assert answer.status_code == 404 and "this server has no archive" in answer.text
        assert requests.get(f"{served.url}/archive/moc", {"REGION": REGION}, timeout=300).status_code == 200


def test_the_command_tells_an_archive_without_index_from_a_region_that_nothing_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(small(), tmp_path / "archive", cameras=("EPN",))
    (tmp_path / "data").mkdir()
    where = ["--archive", str(tmp_path / "archive"), "--data", str(tmp_path / "data")]
    JobStore(f"sqlite:///{tmp_path / 'data' / 'jobs.sqlite'}").close()
    for action in (["list"], ["find", REGION]):
        assert cli.main(["archive", *action, *where]) == 0
        out, err = capsys.readouterr()
        assert out == "" and "uws-server archive add" in err
    assert cli.main(["archive", "add", *where]) == 0
    capsys.readouterr()
    assert cli.main(["archive", "find", "10 10 0.1", *where]) == 0
    assert capsys.readouterr() == ("", "no exposure of the archive sees this region\n")
    assert cli.main(["archive", "find", REGION, *where]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("0999990101   EPN ")


@pytest.mark.parametrize("command", [["archive", "list"], ["archive", "find", REGION], ["jobs", "list"]])
def test_a_command_that_looks_makes_no_database_of_a_mistyped_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "empty").mkdir()
    where = ["--archive", str(tmp_path / "archive")] if command[0] == "archive" else []
    for folder, words in (("nowhere", "there is no such folder"), ("empty", "it has no database of a server")):
        assert cli.main([*command, *where, "--data", str(tmp_path / folder)]) == 2
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "empty"]


def test_the_command_refuses_the_regions_that_the_server_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "archive").mkdir()
    where = ["--archive", str(tmp_path / "archive"), "--data", str(tmp_path / "data")]
    assert cli.main(["archive", "add", *where]) == 0
    assert cli.main(["archive", "find", JAGGED, *where]) == 2
    assert "at most order" in capsys.readouterr().err


def polygon(ra: float, dec: float, radius_deg: float, corners: int) -> str:
    """A regular polygon on the sphere as DS9 has it."""
    turns = np.linspace(0, 360, corners, endpoint=False) * u.deg
    sky = SkyCoord(ra * u.deg, dec * u.deg).directional_offset_by(turns, radius_deg * u.deg)
    pairs = ", ".join(f"{lon:.8f}, {lat:.8f}" for lon, lat in zip(sky.ra.deg, sky.dec.deg, strict=True))
    return f"icrs; polygon({pairs})"


def test_a_polygon_of_many_nodes_finds_what_one_of_a_hundred_does(served: Served) -> None:
    found = []
    for corners in (100, 3_500):
        asked = {"REGION": polygon(148.9745, 69.651, 0.1, corners), "RESPONSEFORMAT": "json"}
        answer = requests.post(f"{served.url}/archive/exposures", asked, timeout=300)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["exposures"])
    assert [one["source"] for one in found[0]] == [one["source"] for one in found[1]] and len(found[0]) == 3
    for few, many in zip(*found, strict=True):
        assert few["fraction"] == pytest.approx(many["fraction"], abs=0.05)
    asked = {"REGION": polygon(148.9745, 69.651, 0.1, 10_000)}
    refused = requests.post(f"{served.url}/archive/exposures", asked, timeout=300)
    assert refused.status_code == 400 and "at most 100,000 are read" in refused.text


@pytest.mark.parametrize("lat", [90.0, -90.0])
def test_a_region_around_a_pole_covers_all_right_ascensions(served: Served, lat: float) -> None:
    asked = {"REGION": polygon(0.0, lat, 5, 12), "ORDER": 9, "FORMAT": "ascii"}
    moc = MOC.from_string(requests.post(f"{served.url}/archive/moc", asked, timeout=300).text)
    lon = np.arange(0.0, 360.0, 7.0)
    for away, covered in ((0.0, True), (4.0, True), (6.0, False)):
        points = SkyCoord(lon * u.deg, np.full(len(lon), lat - np.sign(lat) * away) * u.deg)
        assert (moc.contains_skycoords(points) == covered).all()
    answer = requests.post(f"{served.url}/archive/exposures", {"REGION": polygon(0.0, lat, 5, 12)}, timeout=300)
    assert answer.status_code == 200 and len(parse_single_table(io.BytesIO(answer.content)).array) == 0


@pytest.mark.parametrize(
    "region",
    ["icrs; circle(10, 20, 0)", "icrs; polygon(10, 20, 10, 20, 10, 20)", "Circle ICRS 10 20 181",
     "icrs; box(1, 2, 0, 3, 0)", "icrs; annulus(10, 20, 0.2, 0.1)", "icrs; circle(10, 91, 1)",
     "icrs; circle(nan, 9, 1)", polygon(10, 20, 91, 40)],
)  # fmt: skip
def test_a_region_of_no_size_or_of_more_than_the_sky_is_refused(served: Served, region: str) -> None:
    answer = requests.post(f"{served.url}/archive/exposures", {"REGION": region}, timeout=300)
    assert answer.status_code == 400 and "REGION: " in answer.text, answer.text


@pytest.mark.parametrize("form", ["fits", "json", "ascii", "text"])
def test_a_moc_can_be_searched_for(served: Served, form: str) -> None:
    moc = MOC.from_cone(Longitude(148.9745 * u.deg), Latitude(69.651 * u.deg), radius=1 * u.arcmin, max_depth=16)
    contents = {"json": json.dumps(moc.serialize("json")), "ascii": moc.serialize("str"), "text": moc.serialize("str")}
    file = io.BytesIO()
    moc.serialize("fits").writeto(file)
    content = contents.get(form, file.getvalue())
    asked = {"RESPONSEFORMAT": "json"} | ({"REGION": content} if form == "text" else {})
    files = None if form == "text" else {"REGION": (f"region.{form}", content)}
    answer = requests.post(f"{served.url}/archive/exposures", asked, files=files, timeout=300)
    assert answer.status_code == 200, answer.text
    expected = requests.get(f"{served.url}/archive/exposures", AS_JSON, timeout=300)
    for got, want in zip(answer.json()["exposures"], expected.json()["exposures"], strict=True):
        assert got["source"] == want["source"]
        assert got["fraction"] == pytest.approx(want["fraction"], abs=0.1)
        assert got["off_axis"] == pytest.approx(want["off_axis"], abs=0.05)


def test_a_moc_of_order_29_finds_the_exposures_of_its_one_cell(served: Served) -> None:
    cell = MOC.from_lonlat([148.9745] * u.deg, [69.651] * u.deg, max_norder=29)
    files = {"region": ("cell.txt", cell.serialize("str"))}
    answer = requests.post(f"{served.url}/archive/exposures", {"RESPONSEFORMAT": "json"}, files=files, timeout=300)
    assert [one["fraction"] for one in answer.json()["exposures"]] == pytest.approx([1.0, 1.0, 1.0])


def test_a_moc_of_a_file_is_searched_for_together_with_a_query(served: Served) -> None:
    moc = MOC.from_cone(Longitude(148.9745 * u.deg), Latitude(69.651 * u.deg), radius=1 * u.arcmin, max_depth=16)

    def found(region: str, **asked: str) -> list[dict[str, Any]]:
        files = {"REGION": ("moc.txt", region)}
        answer = requests.post(f"{served.url}/archive/exposures", {"RESPONSEFORMAT": "json"} | asked, files=files,
                               timeout=60)  # fmt: skip
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["exposures"]
        return rows

    whole, both = found(moc.serialize("str")), found(moc.serialize("str"), QUERY="pn")
    assert len(whole) == 3 and both == [one for one in whole if one["instrument"] == "EPN"]
    assert found(moc.serialize("str"), QUERY="pn AND cone('148.9745 69.651', '1deg')") == both
    assert found("12/5", QUERY="pn") == []


def test_files_that_mean_nothing_are_refused(served: Served) -> None:
    address, moc = f"{served.url}/archive/exposures", ("moc.txt", "3/5")
    for files, data, words in (
        ({"REGION": ("moc.txt", "30/5")}, {}, "order 30 came"),
        ({"REGION": ("empty.txt", "")}, {}, "no cells"),
        ({"SKY": moc}, {}, "sky: a file came; one can be sent for REGION only"),
        ({"REGION": moc}, {"QUERY": "expsure > 3"}, "did you mean exposure?"),
        ({"REGION": moc}, {"REGION": "1 2 3"}, "one of them is searched for"),
    ):
        answer = requests.post(address, data, files=files, timeout=300)
        assert answer.status_code == 400 and words in answer.text, answer.text
