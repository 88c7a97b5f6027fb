"""The links of results and jobs: read by pyvo, judged by stilts, followed; and the service that runs a job again."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from astropy.io import fits
from lxml import etree
from pyvo.dal.adhoc import DatalinkResults

from chained import SMALLER, Chained, chained_server, id_of
from provenance import votags
from serving import running_server
from uwsjobs import ENDED, create, reached

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
YOUNG_TERMS = re.compile(r"Unknown predicate '(documentation|package)' from core DataLink vocabulary")
SEMANTICS = {"#this", "#progenitor", "#auxiliary", "#preview", "#preview-plot", "#documentation", "#package", "#proc"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chained]:
    with chained_server(tmp_path_factory.mktemp("datalink")) as chained:
        yield chained


def links(made: Chained, *ids: str) -> DatalinkResults:
    query = "&".join(f"ID={requests.utils.quote(each, safe='')}" for each in ids)
    return DatalinkResults.from_result_url(f"{made.url}/datalink?{query}")


def rows(made: Chained, *ids: str) -> list[dict[str, str]]:
    return [{name: str(row[name]) for name in row.keys()} for row in links(made, *ids)]  # noqa: SIM118  a row is no dict


def did(made: Chained, name: str) -> str:
    """The publisher DID of a file of the second job."""
    return f"{made.second.url}/results/{name}"


def test_pyvo_finds_what_belongs_to_a_product(made: Chained) -> None:
    found = links(made, did(made, "source_spectrum.fits"))
    assert set(found["semantics"]) == SEMANTICS
    (this,) = found.bysemantics("#this", include_narrower=False)
    content = requests.get(this.access_url, timeout=300).content
    assert (this.content_type, int(this.content_length)) == ("application/fits", len(content))
    with fits.open(io.BytesIO(content)) as product:
        assert product["SPECTRUM"].header["HDUCLAS1"] == "SPECTRUM"
    (progenitor,) = found.bysemantics("#progenitor", include_narrower=False)
    assert requests.get(progenitor.access_url, timeout=300).content == made.events.read_bytes()


def test_every_link_leads_somewhere_and_is_of_the_type_it_says(made: Chained) -> None:
    checked = 0
    for row in rows(made, did(made, "events.fits"), did(made, "source_spectrum.fits"), id_of(made.second)):
        assert sum(bool(row[name]) for name in ("access_url", "service_def", "error_message")) == 1, row
        if row["access_url"]:
            response = requests.get(row["access_url"], timeout=300)
            assert response.status_code == 200, row
            assert response.headers["Content-Type"].partition(";")[0] == row["content_type"], row
            checked += 1
    assert checked > 15


def test_every_product_of_a_job_tells_its_type_and_size(made: Chained) -> None:
    found = [row for row in rows(made, id_of(made.second)) if row["semantics"] == "#this"]
    assert [row["local_semantics"] for row in found] == ["source_spectrum", "events", "patterns", "regions"]
    for row in found:
        answer = requests.get(row["access_url"], timeout=300)
        assert (row["content_type"], int(row["content_length"])) == (
            answer.headers["Content-Type"].partition(";")[0], len(answer.content),
        )  # fmt: skip


def test_the_kind_of_preview_follows_the_product(made: Chained) -> None:
    spectrum, events = (rows(made, did(made, name)) for name in ("source_spectrum.fits", "events.fits"))
    plots = [row["access_url"] for row in spectrum if row["semantics"] == "#preview-plot"]
    assert [url.rpartition("/")[2] for url in plots] == ["source_spectrum.svg"]
    (image,) = [row for row in spectrum if row["semantics"] == "#preview"]
    assert image["content_type"].startswith("image/")
    assert requests.get(image["access_url"], timeout=300).content.startswith(b"<svg")
    pictures = {row["semantics"]: row for row in events if row["semantics"].startswith("#preview")}
    places = {semantics: row["access_url"].rpartition("/")[2] for semantics, row in pictures.items()}
    assert places == {"#preview-plot": "events.svg", "#preview": "events.png"}
    for row in pictures.values():
        answer = requests.get(row["access_url"], timeout=300)
        assert answer.headers["Content-Type"].partition(";")[0] == row["content_type"]
    drawn = requests.get(pictures["#preview-plot"]["access_url"], timeout=300).text
    assert "No preview" not in drawn and "<image" in drawn


def test_what_came_of_a_product_is_a_derivation(made: Chained) -> None:
    found = rows(made, f"{made.first.url}/results/events.fits")
    derived = {row["local_semantics"] for row in found if row["semantics"] == "#derivation"}
    assert derived == {"source_spectrum", "events", "patterns", "regions"}
    for_job = {row["access_url"] for row in rows(made, id_of(made.first)) if row["semantics"] == "#derivation"}
    assert for_job == {row["access_url"] for row in found if row["semantics"] == "#derivation"}


def test_a_file_of_the_archive_is_named_though_it_is_not_served(made: Chained) -> None:
    (progenitor,) = [row for row in rows(made, id_of(made.first)) if row["semantics"] == "#progenitor"]
    assert progenitor["error_message"].startswith("NotFoundFault: 0999990101/")


@pytest.mark.parametrize("text", ["nothing", "f" * 32, "ivo://x/y?z", "a" * 64, "\u00e9\x01"])
def test_what_is_not_there_is_a_row_with_an_error(made: Chained, text: str) -> None:
    good = id_of(made.second)
    found = rows(made, text, good)
    assert found[0]["error_message"].startswith("NotFoundFault: ID: ")
    assert not (found[0]["access_url"] or found[0]["service_def"])
    assert {row["ID"] for row in found[1:]} == {good}


def test_without_an_id_the_table_is_empty_and_describes_itself(made: Chained) -> None:
    response = requests.get(f"{made.url}/datalink", timeout=300)
    assert response.headers["Content-Type"] == "application/x-votable+xml;content=datalink"
    root = etree.fromstring(response.content)
    assert not list(root.iter(f"{VOTABLE}TR"))
    (service,) = [each for each in root.iter(f"{VOTABLE}RESOURCE") if each.get("utype") == "adhoc:service"]
    params = {each.get("name"): each.get("value") for each in service.iter(f"{VOTABLE}PARAM")}
    assert params == {"standardID": "ivo://ivoa.net/std/DataLink#links-1.1", "accessURL": f"{made.url}/datalink",
                      "contentType": "application/x-votable+xml;content=datalink", "ID": ""}  # fmt: skip


def test_a_format_that_is_not_made_is_refused(made: Chained) -> None:
    response = requests.get(f"{made.url}/datalink?ID=x&responseformat=csv", timeout=300)
    assert (response.status_code, response.text) == (400, "RESPONSEFORMAT: 'csv' came; votable is allowed\n")


RESPONSE = """
import numpy as np
from astropy.io import fits
from pathlib import Path
Path("results").mkdir(exist_ok=True)
for name in ("source.arf", "source.rmf", "background.fits", "source.fits"):
    table = fits.BinTableHDU.from_columns([fits.Column("CHANNEL", "J", array=np.arange(3))], name="SPECTRUM")
    table.header.update(HDUCLASS="OGIP", HDUCLAS1="SPECTRUM", RESPFILE="source.rmf", ANCRFILE="elsewhere/source.arf",
                        BACKFILE="background.fits")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(Path("results", name))
"""


def test_the_response_of_a_product_is_a_calibration_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "definitions/response"
    folder.mkdir(parents=True)
    definition = {"name": "response", "version": "1", "title": "R", "entry": {"type": "python", "script": "run.py"}}
    (folder / "job.json").write_text(json.dumps(definition))
    (folder / "run.py").write_text(RESPONSE)
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as server:
        job = create(server.url, "response", PHASE="RUN")
        assert reached(job, *ENDED) == "COMPLETED", requests.get(f"{job}/error", timeout=300).text
        address = f"{server.url}/datalink?ID={job}/results/source.fits"
        found = {row["local_semantics"]: row["semantics"] for row in DatalinkResults.from_result_url(address)}
    del found[""]
    assert found == {"source": "#calibration", "source_2": "#this", "source_3": "#calibration",
                     "background": "#auxiliary", "log": "#documentation"}  # fmt: skip


# --- the service -------------------------------------------------------------------------------------------


def test_pyvo_runs_the_job_again_with_another_value(made: Chained) -> None:
    service = links(made, did(made, "source_spectrum.fits")).get_first_proc()
    names = {param.name for param in service.input_params}
    assert names == {"source_region", "background_region", "energy", "pattern", "flag", "channel_width", "grouping",
                     "min_counts", "min_snr"}  # fmt: skip
    content = service.process(grouping="mincounts", min_counts=7, min_snr=4.5).read()
    with fits.open(io.BytesIO(content)) as product:
        assert "GROUPING" in product["SPECTRUM"].columns.names
    again = made.events.with_name("again.fits")
    again.write_bytes(content)
    tags = votags.read(again)
    assert tags is not None
    values = {arg.extra.get("name"): getattr(arg, "value", None) for arg in tags.steps[-1].args}
    assert (values["min_counts"], values["min_snr"], values["source_region"]) == (7, 4.5, SMALLER)
    assert tags.steps[-1].extra["parent"] == id_of(made.second)
    assert [step.extra["job"] for step in tags.steps[:-1]] == [id_of(made.first)]


def test_the_service_refuses_what_may_not_be_changed(made: Chained) -> None:
    address = f"{made.second.url}/rerun/sync"
    locked = requests.get(address, params={"gti": "x"}, timeout=300)
    assert locked.status_code in (400, 403)
    assert "gti" in locked.text
    assert requests.get(address, params={"min_counts": "many"}, timeout=300).status_code == 400
    assert requests.head(address, timeout=300).status_code == 405
    elsewhere = requests.get(address, headers={"Sec-Fetch-Site": "cross-site"}, timeout=300)
    assert elsewhere.status_code == 403


# --- validators --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["datalinklint", "votlint"])
def test_stilts_finds_nothing_wrong(made: Chained, tool: str, tmp_path: Path) -> None:
    if not shutil.which("stilts"):
        pytest.skip("no stilts: install the Debian package stilts")
    query = "&".join(f"ID={each}" for each in (id_of(made.first), id_of(made.second), "nothing"))
    address = f"{made.url}/datalink?{query}&ID={requests.utils.quote(did(made, 'source_spectrum.fits'), safe='')}"
    document = tmp_path / "links.xml"
    document.write_bytes(requests.get(address, timeout=300).content)
    place = [f"votable={document}"] if tool == "votlint" else [f"votable={address}", "maxrepeat=500"]
    done = subprocess.run(["stilts", tool, *place], capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    wrong = [line for line in said.splitlines() if line.startswith(("ERROR", "E-", "WARNING", "W-"))]
    # terms of the vocabulary that are younger than the copy in stilts, which it uses without a network
    assert not [line for line in wrong if not YOUNG_TERMS.search(line)], said
