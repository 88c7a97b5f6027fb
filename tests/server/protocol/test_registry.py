"""Coverage as MOC and T-MOC, and the registry record, which is valid against the schemas of the VO."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvo
import requests
from astropy.coordinates import SkyCoord
from lxml import etree
from mocpy import MOC, TimeMOC

from labs import Lab
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import cli

SOURCE = small().sources[0]
PN = "P0999990101PNS003PIEVLI0000.FITS"
ABOUT = {"publisher": "ivo://x.org/uws", "title": "X-ray products of X & Y", "organisation": "University of X",
         "contact_email": "help@x.org", "registered": "2026-01-31", "subjects": "x-ray-astronomy,galaxies",
         "data_rights": "public"}  # fmt: skip
SCHEMAS = {
    "http://www.ivoa.net/xml/VOResource/v1.0": "VOResource-v1.1.xsd",
    "http://www.ivoa.net/xml/VODataService/v1.1": "VODataService-v1.2.xsd",
    "http://www.ivoa.net/xml/STC/stc-v1.30.xsd": "stc-v1.30.xsd",
    "http://www.w3.org/1999/xlink": "xlink.xsd",
    "http://www.w3.org/2001/xml.xsd": "xmlnamespace.xsd",
}
RI = "http://www.ivoa.net/xml/RegistryInterface/v1.0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("registry")
    simulate(small(), folder / "archive")
    where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive"), **ABOUT) as served:
        assert cli.main(["archive", "add", *where]) == 0
        yield Lab(served, folder)


def record_schema(folder: Path) -> etree.XMLSchema:
    """The schema of a record: a resource of VOResource; nothing is fetched."""

    class Offline(etree.Resolver):
        def resolve(self, url: str, _public: str, context: object) -> object:
            local = SCHEMAS.get(url) or SCHEMAS.get(url.rpartition("/")[2]) or url.rpartition("/")[2]
            found = folder / local
            if not found.is_file():
                found = next(path for path in folder.iterdir() if path.name.startswith(local.partition("-")[0]))
            return self.resolve_filename(str(found), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Offline())
    spaces = list(SCHEMAS)[:2]
    imports = "".join(f'<xs:import namespace="{each}" schemaLocation="{folder / SCHEMAS[each]}"/>' for each in spaces)
    text = (f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:vr="{spaces[0]}" targetNamespace="{RI}">'
            f'{imports}<xs:element name="Resource" type="vr:Resource"/></xs:schema>')  # fmt: skip
    return etree.XMLSchema(etree.fromstring(text, parser))


def test_the_record_is_valid_and_says_what_is_configured(lab: Lab, shared: Path) -> None:
    record = etree.fromstring(requests.get(f"{lab.url}/record", timeout=300).content)
    record_schema(shared / "schemas").assertValid(record)
    said = {name: record.findtext(name) for name in ("title", "identifier", "curation/publisher", "rights",
                                                     "curation/contact/email", "curation/contact/name")}  # fmt: skip
    assert said == {
        "title": ABOUT["title"], "identifier": ABOUT["publisher"], "curation/publisher": ABOUT["organisation"],
        "rights": "public", "curation/contact/email": ABOUT["contact_email"], "curation/contact/name": "Help desk",
    }  # fmt: skip
    assert [each.text for each in record.iterfind("content/subject")] == ["x-ray-astronomy", "galaxies"]
    assert record.get("created") == "2026-01-31T00:00:00.000Z"
    sky = MOC.from_string(str(record.findtext("coverage/spatial")))
    assert sky.contains_skycoords(SkyCoord(SOURCE.ra, SOURCE.dec, unit="deg"))
    rows = requests.get(f"{lab.url}/obscore", {"RESPONSEFORMAT": "json"}, timeout=300).json()
    names = [column["name"] for column in rows["metadata"]]
    begin, end = (float(each) for each in str(record.findtext("coverage/temporal")).split())
    assert begin == pytest.approx(min(row[names.index("t_min")] for row in rows["data"]), abs=1e-3)
    assert end == pytest.approx(max(row[names.index("t_max")] for row in rows["data"]), abs=1e-3)
    low, high = (float(each) / 1.602176634e-16 for each in str(record.findtext("coverage/spectral")).split())
    assert 0.05 < low < high < 30  # keV
    alike = etree.fromstring(requests.get(f"{lab.url}/capabilities", timeout=300).content)
    assert [each.get("standardID") for each in record.iterfind("capability")] == [
        each.get("standardID") for each in alike.iterfind("capability")
    ]


def test_pyvo_finds_the_doors_by_their_capabilities(lab: Lab) -> None:
    service = pyvo.dal.SIA2Service(lab.url)
    assert service.query_ep == f"{lab.url}/sia2"
    assert len(service.search(data_type="image")) == 0


def test_a_server_that_is_not_registered_says_what_is_missing(tmp_path: Path) -> None:
    with running_server(tmp_path, title="X") as served:
        answer = requests.get(f"{served.url}/record", timeout=300)
        assert MOC.from_fits(io.BytesIO(requests.get(f"{served.url}/coverage", timeout=300).content)).empty()
        empty = requests.get(f"{served.url}/coverage?AXIS=time&FORMAT=json", timeout=300)
    assert (answer.status_code, "lacks publisher, organisation, contact_email" in answer.text) == (404, True)
    assert empty.status_code == 200


def test_the_sky_of_the_archive_is_that_of_its_index_and_products_lie_in_it(lab: Lab) -> None:
    def sky(**asked: str) -> MOC:
        return MOC.from_fits(io.BytesIO(requests.get(f"{lab.url}/coverage", asked, timeout=300).content))

    archive = MOC.from_fits(io.BytesIO(requests.get(f"{lab.url}/archive/coverage", timeout=300).content))
    assert sky(OF="archive").difference(archive).empty() and archive.difference(sky(OF="archive")).empty()
    assert sky(of="products").empty()
    made = lab.run("spectrum", {"eventlist": PN, "source_region": f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'})
    assert made.phase == "COMPLETED", made.error
    there = SkyCoord(SOURCE.ra, SOURCE.dec, unit="deg")
    assert sky(OF="products").contains_skycoords(there) and sky(OF="products").sky_fraction < archive.sky_fraction
    text = requests.get(f"{lab.url}/coverage", {"FORMAT": "ascii"}, timeout=300).text
    assert MOC.from_string(text).contains_skycoords(there)


def test_times_are_covered_in_a_tmoc(lab: Lab, tmp_path: Path) -> None:
    answer = requests.post(f"{lab.url}/coverage", {"axis": "TIME", "OF": "archive"}, timeout=300)
    path = tmp_path / "time.fits"
    path.write_bytes(answer.content)
    found = TimeMOC.from_fits(str(path))
    assert (found.min_time.mjd, found.max_time.mjd) == pytest.approx((61100.41, 61100.56), abs=0.1)
    assert answer.headers["Content-Disposition"].endswith('archive-time-moc.fits"')


@pytest.mark.parametrize(
    ("query", "sentence"),
    [("AXIS=energy", "AXIS: 'energy' came"), ("OF=x", "OF: 'x' came"), ("FORMAT=png", "FORMAT: 'png' came"),
     ("POS=1", "POS: no such parameter")],
)  # fmt: skip
def test_what_coverage_does_not_know_is_told(lab: Lab, query: str, sentence: str) -> None:
    answer = requests.get(f"{lab.url}/coverage?{query}", timeout=300)
    assert (answer.status_code, sentence in answer.text) == (400, True)
