"""SIA2, cone search and SSA over the rows of a server: asked by pyvo and stilts, and followed to the files."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pyvo
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse, parse_single_table
from pyvo.dal.exceptions import DALQueryError

from reduction.simulate import simulate, small
from serving import running_server
from uws_server import cli, client

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
PN = "P0999990101PNS003PIEVLI0000.FITS"
PUBLISHER = "ivo://x.org/uws"


@dataclass(frozen=True)
class Doors:
    """A server with three event lists, an image and a spectrum; all rows of its table of results."""

    url: str
    image: str
    spectrum: str

    def get(self, door: str, **asked: Any) -> requests.Response:
        return requests.get(f"{self.url}/{door}", asked, timeout=300)

    def ids(self, door: str, **asked: Any) -> list[str]:
        """The identifiers of the rows that a door finds, in order."""
        answer = self.get(door, **asked)
        assert answer.status_code == 200, answer.text
        table = parse_single_table(io.BytesIO(answer.content)).to_table()
        return sorted(str(row["obs_publisher_did"]) for row in table)

    def rows(self) -> list[dict[str, Any]]:
        """All rows, as JSON."""
        document = self.get("obscore", RESPONSEFORMAT="json").json()
        names = [column["name"] for column in document["metadata"]]
        return [dict(zip(names, row, strict=True)) for row in document["data"]]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    simulate(small(), folder / "archive")
    where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive"), publisher=PUBLISHER) as served:
        assert cli.main(["archive", "add", *where]) == 0
        jobs = []
        for name, values in (
            ("image", {"bands": "0.5 2", "size": "6", "centre": f"{SOURCE.ra} {SOURCE.dec}", "background": "none",
                       "smoothing": "none"}),
            ("spectrum", {"source_region": CIRCLE, "background_region": ""}),
        ):  # fmt: skip
            made = client.create(f"{served.url}/rest/{name}", {"eventlist": PN, **values})
            final = client.follow(made, lambda state: None)
            assert final.phase == "COMPLETED", final.error
            jobs.append(final.url)
        yield Doors(served.url, *jobs)


def of_type(doors: Doors, *types: str) -> list[str]:
    return sorted(row["obs_publisher_did"] for row in doors.rows() if row["dataproduct_type"] in types)


def test_images_are_found_where_nothing_is_asked_and_other_types_where_they_are_named(doors: Doors) -> None:
    images, events = of_type(doors, "image", "cube"), of_type(doors, "event")
    assert images and len(events) >= 3
    assert doors.ids("sia2") == images
    assert doors.ids("sia2", DPTYPE="event") == events
    assert doors.ids("sia2", DPTYPE=["event", "image"]) == sorted([*events, *images])


def test_pyvo_finds_an_image_by_its_place_and_follows_it_to_its_links(doors: Doors) -> None:
    service = pyvo.dal.SIA2Service(f"{doors.url}/sia2", check_baseurl=False)
    found = service.search(
        pos=(SOURCE.ra, SOURCE.dec, 0.01), band=(1e-10, 1e-8), time=[("2026-02-28", "2026-03-02")], maxrec=50
    )
    assert sorted(found["obs_publisher_did"]) == of_type(doors, "image")
    assert len(service.search(pos=(SOURCE.ra, -SOURCE.dec, 1.0))) == 0
    assert len(service.search(pos=(SOURCE.ra, SOURCE.dec, 0.01), band=(5e-7, 6e-7))) == 0
    row = found[0]
    links = row.getdatalink()
    (this,) = links.bysemantics("#this", include_narrower=False)
    assert str(this.access_url) == row["access_url"]
    with fits.open(io.BytesIO(requests.get(row["access_url"], timeout=300).content)) as product:
        assert product[0].header["NAXIS"] == 2
    preview = next(iter(links.bysemantics("#preview", include_narrower=False)))
    assert requests.get(preview.access_url, timeout=300).content.startswith(b"\x89PNG")


def test_identifiers_are_the_publishers_and_lead_to_the_same_links_as_addresses(doors: Doors) -> None:
    for row in doors.rows():
        assert row["obs_publisher_did"].startswith(f"{PUBLISHER}?")
        answers = [doors.get("datalink", ID=row[name]) for name in ("obs_publisher_did", "access_url")]
        urls = [[str(one["access_url"]) for one in parse_single_table(io.BytesIO(each.content)).to_table()]
                for each in answers]  # fmt: skip
        assert urls[0] == urls[1] and urls[0][0] == row["access_url"]


@pytest.mark.parametrize("door", ["sia2", "ssap?REQUEST=queryData"])
def test_a_place_finds_what_covers_it(doors: Doors, door: str) -> None:
    sia, ra, dec = door == "sia2", SOURCE.ra, SOURCE.dec
    far = {"POS": f"CIRCLE {ra} {dec - 3} 0.1"} if sia else {"POS": f"{ra},{dec - 3}", "SIZE": 0.2}
    near = {"POS": f"CIRCLE {ra} {dec} 0.01"} if sia else {"POS": f"{ra},{dec}", "SIZE": 0.02}
    assert doors.ids(door, **far) == []
    assert doors.ids(door, **near) == of_type(doors, "image" if sia else "spectrum")
    if sia:
        for place in (f"RANGE {ra - 0.01} {ra + 0.01} {dec - 0.01} {dec + 0.01}", "RANGE -Inf +Inf 69 70",
                      f"POLYGON {ra - 1} {dec - 1} {ra + 1} {dec - 1} {ra} {dec + 1}"):  # fmt: skip
            assert doors.ids("sia2", POS=place) == of_type(doors, "image"), place
        assert doors.ids("sia2", POS=[far["POS"], near["POS"]]) == of_type(doors, "image")  # either of them


def test_every_number_and_text_selects(doors: Doors) -> None:
    (first, *_) = [row for row in doors.rows() if row["dataproduct_type"] == "event"]
    events = {"DPTYPE": "event"}
    for name, column in (("ID", "obs_publisher_did"), ("COLLECTION", "obs_collection"), ("TARGET", "target_name"),
                         ("INSTRUMENT", "instrument_name"), ("FACILITY", "facility_name"), ("CALIB", "calib_level"),
                         ("FORMAT", "access_format"), ("EXPTIME", "t_exptime"), ("FOV", "s_fov")):  # fmt: skip
        if first[column] is None:
            continue
        expected = sorted(row["obs_publisher_did"] for row in doors.rows()
                          if row[column] == first[column] and row["dataproduct_type"] == "event")  # fmt: skip
        assert doors.ids("sia2", **events, **{name: first[column]}) == expected, name
    lower = doors.ids("sia2", **events, EXPTIME=f"-Inf {first['t_exptime'] / 2}")
    assert first["obs_publisher_did"] not in lower
    assert doors.ids("sia2", **events, TIME=f"{first['t_max'] + 1} +Inf") == []
    assert first["obs_publisher_did"] in doors.ids("sia2", **events, TIME=first["t_min"])


def test_stilts_and_pyvo_search_a_cone(doors: Doors, tmp_path: Path) -> None:
    expected = sorted(
        row["obs_publisher_did"]
        for row in doors.rows()
        if SkyCoord(row["s_ra"], row["s_dec"], unit="deg").separation(SkyCoord(148.97, 69.65, unit="deg")).deg <= 0.02
    )
    assert len(expected) > 0
    found = pyvo.dal.SCSService(f"{doors.url}/scs").search(pos=(148.97, 69.65), radius=0.02)
    assert sorted(row.id for row in found) == expected
    assert found[0].pos.separation(SkyCoord(148.97, 69.65, unit="deg")).deg <= 0.02
    assert len(found[0].getdatalink()) > 0
    if shutil.which("stilts") is None:
        pytest.skip("install the Debian package stilts")
    done = subprocess.run(
        ["stilts", "cone", f"serviceurl={doors.url}/scs", "lon=148.97", "lat=69.65", "radius=0.02", "verb=1",
         f"out={tmp_path / 'cone.vot'}"], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = parse_single_table(tmp_path / "cone.vot").to_table()
    assert sorted(str(each) for each in table["obs_publisher_did"]) == expected


def test_verb_and_an_empty_cone_change_columns_and_rows(doors: Doors) -> None:
    widths = []
    for verb in (1, 2, 3):
        answer = doors.get("scs", RA=148.97, DEC=69.65, SR=0.1, VERB=verb, whatever="x")
        widths.append(len(parse_single_table(io.BytesIO(answer.content)).fields))
    assert widths[0] < widths[1] < widths[2]
    assert doors.ids("scs", RA=148.97, DEC=69.65, SR=0) == []


def test_pyvo_finds_spectra(doors: Doors) -> None:
    service = pyvo.dal.SSAService(f"{doors.url}/ssap")
    found = service.search(
        pos=(SOURCE.ra, SOURCE.dec), diameter=0.02, band=(1e-10, 1e-9), time=("2026-02-01", "2026-04-01")
    )
    assert sorted(found["obs_publisher_did"]) == of_type(doors, "spectrum")
    row = found[0]
    assert (float(row.ra), float(row.dec)) == pytest.approx((SOURCE.ra, SOURCE.dec), abs=0.02)
    assert row.format == "application/fits" and row.title
    with fits.open(io.BytesIO(requests.get(row.getdataurl(), timeout=300).content)) as product:
        assert product["SPECTRUM"].header["HDUCLAS1"] == "SPECTRUM"
    assert len(row.getdatalink()) > 0
    assert len(service.search(time=("2019-02-01", "2019-04-01"))) == 0
    for form, count in (("compliant", 0), ("graphic", 0), ("fits", len(found)), ("application/fits,x", len(found))):
        assert len(service.search(format=form)) == count, form


def test_the_metadata_of_ssa_names_inputs_and_columns(doors: Doors) -> None:
    document = parse(io.BytesIO(doors.get("ssap", REQUEST="queryData", FORMAT="METADATA").content))
    (resource,) = document.resources
    assert {f"INPUT:{name}" for name in ("POS", "SIZE", "BAND", "TIME", "FORMAT")} <= {
        param.name for param in resource.params
    }
    utypes = {field.utype for field in resource.tables[0].fields}
    assert {"ssa:Access.Reference", "ssa:Access.Format", "ssa:DataID.Title", "ssa:Target.Name"} <= utypes
    assert len(resource.tables[0].array) == 0


@pytest.mark.parametrize(
    "asked",
    [("sia2", {}), ("sia2", {"MAXREC": 0}), ("scs", {"RA": 148.97, "DEC": 69.65, "SR": 1}),
     ("ssap", {"REQUEST": "queryData"}), ("ssap", {"REQUEST": "queryData", "FORMAT": "METADATA"})],
)  # fmt: skip
def test_votlint_finds_nothing_and_the_schema_holds(doors: Doors, asked: tuple[str, dict[str, Any]], shared: Path,
                                                    tmp_path: Path) -> None:  # fmt: skip
    if shutil.which("stilts") is None:
        pytest.skip("install the Debian package stilts")
    (tmp_path / "table.vot").write_bytes(doors.get(asked[0], **asked[1]).content)
    command = ["stilts", "votlint", f"votable={tmp_path / 'table.vot'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.stdout + done.stderr).strip() == ""


@pytest.mark.parametrize(
    ("door", "asked", "sentence"),
    [
        ("sia2", {"POS": "CIRCLE 1 2"}, "POS: 'CIRCLE 1 2' came; CIRCLE ra dec radius"),
        ("sia2", {"WHAT": "x"}, "WHAT: no such parameter; there are POS, BAND"),
        ("sia2", {"MAXREC": "-1"}, "MAXREC: '-1' came"),
        ("sia2", {"RESPONSEFORMAT": "pdf"}, "RESPONSEFORMAT: 'pdf' came"),
        ("scs", {"RA": 1, "DEC": 2}, "SR is needed"),
        ("scs", {"RA": 1, "DEC": 92, "SR": 1}, "DEC: '92' came; a number from -90 to 90 degrees"),
        ("scs", {"RA": "nan", "DEC": 2, "SR": 1}, "RA: 'nan' came"),
        ("scs", {"RA": 1, "DEC": 2, "SR": 1, "VERB": 4}, "VERB: '4' came"),
        ("ssap", {}, "REQUEST: 'nothing' came; queryData is allowed"),
        ("ssap", {"REQUEST": "queryData", "POS": "1 2"}, "POS: '1 2' came"),
        ("ssap", {"REQUEST": "queryData", "POS": "1,2", "SIZE": "-1"}, "SIZE: '-1' came"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_votable(
    doors: Doors, door: str, asked: dict[str, Any], sentence: str
) -> None:
    for answer in (doors.get(door, **asked), requests.post(f"{doors.url}/{door}", asked, timeout=300)):
        assert answer.status_code == 400
        (resource,) = parse(io.BytesIO(answer.content)).resources
        (status,) = [info for info in resource.infos if info.name == "QUERY_STATUS"]
        assert status.value == "ERROR" and sentence in status.content
        if door == "scs":
            assert [info.value for info in resource.infos if info.name == "Error"] == [status.content]


def test_pyvo_tells_the_sentence(doors: Doors) -> None:
    with pytest.raises(DALQueryError, match=r"SR: '200\.0' came; a number from 0 to 180"):
        pyvo.dal.SCSService(f"{doors.url}/scs").search(pos=(1.0, 2.0), radius=200.0)


@pytest.mark.parametrize("door", ["sia2", "scs", "ssap"])
def test_a_door_has_the_manners_of_dali(doors: Doors, door: str) -> None:
    asked = {"request": "queryData", "ra": 148.97, "dec": 69.65, "sr": 180} if door != "sia2" else {"dptype": "event"}
    whole = doors.ids(door, **asked)
    posted = requests.post(f"{doors.url}/{door}", asked, timeout=300)
    table = parse_single_table(io.BytesIO(posted.content)).to_table()
    assert sorted(map(str, table["obs_publisher_did"])) == whole and len(whole) >= 1
    empty = doors.get(door, **asked, MaxRec=0)
    assert b"<TR>" not in empty.content and b'value="OVERFLOW"' in empty.content
    assert len(doors.ids(door, **asked, MAXREC=1)) == 1
    assert requests.head(f"{doors.url}/{door}", params=asked, timeout=300).content == b""
    assert "Access-Control-Allow-Origin" not in empty.headers  # a server on a loopback address


def test_who_may_not_enter_finds_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        for door in ("sia2", "scs?RA=1&DEC=1&SR=1", "ssap?REQUEST=queryData"):
            assert requests.get(f"{served.url}/{door}", timeout=300).status_code == 401


ODD = ("", "1", "-1", "nan", "-Inf +Inf", "1e999", "CIRCLE 1 2 3", "POLYGON 0 0 0 0 0 0", "POLYGON 0 89 120 89 240 89",
       "RANGE 0 0 90 90", "RANGE 350 10 -90 -Inf", "\x00", "é", "' OR 1=1", "<a>", "2 1", "0,90", "2001/", "0000",
       "/", "X-ray", "a" * 5000, "1e-10 1e-9", "ivo://x?y", "%", "1e-320", "1e308", "٣", "METADATA")  # fmt: skip
NAMES = {
    "sia2": ("POS", "BAND", "TIME", "POL", "FOV", "ID", "DPTYPE", "CALIB", "MAXREC", "RESPONSEFORMAT", "TARGET"),
    "scs": ("RA", "DEC", "SR", "VERB", "MAXREC"),
    "ssap": ("POS", "SIZE", "BAND", "TIME", "FORMAT", "MAXREC", "TARGETNAME", "PUBDID"),
    "soda/sync": ("ID", "CIRCLE", "POLYGON", "POS", "BAND", "TIME"),
    "coverage": ("AXIS", "OF", "FORMAT"),
    "search": ("place", "radius", "kind", "begin", "end", "low", "high", "target"),
}


@pytest.mark.parametrize("door", NAMES)
def test_no_value_makes_a_door_fail(doors: Doors, door: str) -> None:
    chance = random.Random(door)
    usual = {"scs": {"RA": "1", "DEC": "2", "SR": "3"}, "ssap": {"REQUEST": "queryData"}}.get(door, {})
    with requests.Session() as session:
        for value in ODD:
            asked = {**usual, chance.choice(NAMES[door]): value, chance.choice(NAMES[door]): chance.choice(ODD)}
            answer = session.get(f"{doors.url}/{door}", params=asked, timeout=300, allow_redirects=False)
            assert answer.status_code < 500, asked
            assert answer.status_code != 200 or b'value="ERROR"' not in answer.content, asked
