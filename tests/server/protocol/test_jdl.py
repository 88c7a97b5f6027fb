"""/jdl over HTTP: the formats, the links by which a program runs a job, and who may have them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import requests
from astropy.io import votable as astropy_votable
from lxml import etree
from pyvo.dal.adhoc import DatalinkQuery, DatalinkResults

from checkout import DEFINITIONS, ROOT
from serving import Served, running_server
from uws_server.jobs.formats import Package, native, wadl
from uws_server.jobs.formats.detect import read_any
from uws_server.protocol.definitions import FORMATS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running_server(tmp_path_factory.mktemp("jdl")) as server:
        yield server


def get(served: Served, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{served.url}{path}", headers=headers, timeout=300, allow_redirects=False)


def installed(name: str) -> Package:
    folder = ROOT / "job_definitions" / name
    definition = native.read((folder / "job.json").read_text(encoding="utf-8"), name)
    return Package(definition, (folder / definition.entry.script).read_text(), (folder / "README.md").read_text())


def test_the_list_has_every_definition_with_its_addresses(served: Served) -> None:
    answer = get(served, "/jdl")
    assert answer.headers["Content-Type"].startswith("application/json")
    found = {entry["name"]: entry for entry in answer.json()["definitions"]}
    assert set(found) == {path.parent.name for path in ROOT.glob("job_definitions/*/job.json")}
    assert found["dummy"]["title"] == "Test job"
    links = found["dummy"]["links"]
    assert links["jobs"] == f"{served.url}/rest/dummy"
    for name, address in links.items():
        if name != "sync":  # it would make a job
            assert requests.get(address, timeout=300).status_code == 200, address


def test_a_browser_is_shown_the_page(served: Served) -> None:
    answer = get(served, "/jdl", Accept=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{served.url}/definitions")


@pytest.mark.parametrize("form", ["json", "wadl", "votable"])
@pytest.mark.parametrize("name", ["dummy", "spectrum"])
def test_what_is_exported_is_the_definition_with_its_script_and_readme(served: Served, form: str, name: str) -> None:
    answer = get(served, f"/jdl/{name}/{form}")
    assert answer.headers["Content-Disposition"] == f'inline; filename="{name}{FORMATS[form].ending}"'
    assert read_any(answer.content, name) == installed(name)


def test_the_parameters_are_exported_as_a_parameter_file(served: Served) -> None:
    answer = get(served, "/jdl/dummy/par")
    assert answer.headers["Content-Type"].startswith("text/plain")
    read = read_any(answer.content, "dummy.par").definition
    assert [spec.name for spec in read.parameters] == ["text", "seconds", "fail"]


def test_script_and_readme_are_texts(served: Served) -> None:
    package = installed("dummy")
    script, readme = get(served, "/jdl/dummy/script"), get(served, "/jdl/dummy/readme")
    assert (script.text, readme.text) == (package.script, package.readme)
    assert script.headers["Content-Type"].startswith("text/plain")
    assert readme.headers["Content-Type"].startswith("text/markdown")
    assert script.headers["Content-Disposition"] == 'inline; filename="run.py"'
    for answer in (script, readme):
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_schema_is_that_of_what_is_served(served: Served) -> None:
    schema = get(served, "/jdl/schema.json").json()
    assert schema["$id"] == f"{served.url}/jdl/schema.json"
    for name in ("dummy", "spectrum"):
        jsonschema.validate(get(served, f"/jdl/{name}/json").json(), schema, jsonschema.Draft202012Validator)


def test_nothing_is_sent_twice(served: Served) -> None:
    for path in ("", "/dummy", "/dummy/json", "/dummy/wadl", "/dummy/readme", "/dummy/script", "/schema.json"):
        tag = get(served, f"/jdl{path}").headers["ETag"]
        again = get(served, f"/jdl{path}", **{"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content) == (304, b""), path
        assert get(served, f"/jdl{path}", **{"If-None-Match": '"x"'}).status_code == 200


# --- how a program runs a job ----------------------------------------------------------------------------


def test_pyvo_runs_a_job_by_the_service_descriptor(served: Served) -> None:
    links = DatalinkResults.from_result_url(f"{served.url}/jdl/dummy")
    sync = links.get_adhocservice_by_id("_sync")
    query = DatalinkQuery.from_resource([next(iter(links))], sync, text="by pyvo", seconds=0.01)
    assert query.queryurl == f"{served.url}/rest/dummy/sync"
    assert query.execute_raw() == b"by pyvo\n"
    proc = next(links.bysemantics("#proc", include_narrower=False))
    assert proc.service_def == "_sync"


def test_pyvo_makes_a_job_by_the_other_one(served: Served) -> None:
    links = DatalinkResults.from_result_url(f"{served.url}/jdl/dummy")
    service = links.get_adhocservice_by_ivoid("ivo://ivoa.net/std/UWS#rest")
    query = DatalinkQuery.from_resource([next(iter(links))], service, text="by pyvo")
    answer = requests.post(query.queryurl, data=dict(query), timeout=300)
    assert answer.url.startswith(f"{served.url}/rest/dummy/")
    document = etree.fromstring(answer.content)
    assert document.findtext("{*}phase") in ("QUEUED", "EXECUTING", "COMPLETED")
    assert document.findtext("{*}parameters/{*}parameter[@id='text']") == "by pyvo"


def test_pyvo_reads_parameters_without_a_default(served: Served) -> None:
    links = DatalinkResults.from_result_url(f"{served.url}/jdl/spectrum")
    service = links.get_adhocservice_by_id("_sync")
    query = DatalinkQuery.from_resource([next(iter(links))], service, eventlist="obs/1")
    assert query["EVENTLIST"] == "obs/1"
    assert "SOURCE_REGION" not in query
    assert "MIN_COUNTS" not in query, "a default is the server's: a value in a descriptor would be fixed"


def test_the_links_lead_to_all_that_is_known(served: Served) -> None:
    answer = get(served, "/jdl/dummy")
    assert answer.headers["Content-Type"] == "application/x-votable+xml;content=datalink"
    links = DatalinkResults.from_result_url(f"{served.url}/jdl/dummy")
    found = {(str(link.semantics), str(link.content_type)): str(link.access_url) for link in links if link.access_url}
    assert found["#documentation", "text/markdown"] == f"{served.url}/jdl/dummy/readme"
    assert found["#auxiliary", "application/json"] == f"{served.url}/jdl/dummy/json"
    for address in found.values():
        assert requests.get(address, timeout=300).status_code == 200


def test_the_links_are_valid(served: Served, shared: Path, tmp_path: Path) -> None:
    document = get(served, "/jdl/spectrum").content
    etree.XMLSchema(etree.parse(str(shared / "schemas" / "VOTable1.4.xsd"))).assertValid(etree.fromstring(document))
    astropy_votable.parse(io.BytesIO(document), verify="exception")
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package stilts")
    path = tmp_path / "links.xml"
    path.write_bytes(document)
    for command in (["votlint", str(path)], ["datalinklint", str(path)]):
        done = subprocess.run(["stilts", *command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0
        assert "WARNING" not in done.stdout
        assert "ERROR" not in done.stdout


def test_a_plain_description_says_the_same(served: Served) -> None:
    for answer in (get(served, "/jdl/dummy", Accept="application/json"), get(served, "/jdl/dummy?RESPONSEFORMAT=json")):
        described = answer.json()
        assert native.from_plain(described["definition"]) == installed("dummy").definition
        assert described["links"]["sync"] == f"{served.url}/rest/dummy/sync"


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("votable", "application/x-votable+xml;content=datalink"),
        ("application/x-votable%2Bxml", "application/x-votable+xml;content=datalink"),
        ("application/json", "application/json"),
        ("WADL", "application/vnd.sun.wadl+xml"),
        ("par", "text/plain; charset=UTF-8"),
    ],
)
def test_responseformat_is_honoured(served: Served, asked: str, kind: str) -> None:
    assert get(served, f"/jdl/dummy?responseformat={asked}", Accept="text/xml").headers["Content-Type"] == kind


def test_accept_is_honoured(served: Served) -> None:
    answer = get(served, "/jdl/dummy", Accept="application/vnd.sun.wadl+xml, */*;q=0.1")
    assert wadl.read(answer.content, "x") == installed("dummy")
    assert get(served, "/jdl/dummy", Accept="image/png").headers["Content-Type"].startswith("application/x-votable")
    assert get(served, "/jdl", Accept="text/xml").headers["Content-Type"].startswith("application/json")


# --- what there is not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/jdl/nothing", 404, f"no job definition 'nothing'; there are {', '.join(DEFINITIONS)}"),
        ("/jdl/nothing/json", 404, f"no job definition 'nothing'; there are {', '.join(DEFINITIONS)}"),
        (
            "/jdl/dummy/yaml",
            404,
            "no format 'yaml' of a definition; there are json, wadl, votable, par, script",
        ),
        ("/jdl/..%2F..%2Fsecret/script", 404, ""),
        ("/jdl/%2e%2e/script", 404, ""),
        ("/jdl/../../etc/passwd", 404, ""),
        ("/jdl/dummy/..%2Frun.py", 404, ""),
        ("/jdl/dummy?RESPONSEFORMAT=pdf", 400, "RESPONSEFORMAT: 'pdf' came; votable, json, wadl"),
        ("/jdl?RESPONSEFORMAT=wadl", 400, "RESPONSEFORMAT: 'wadl' came; json is served here"),
    ],
)
def test_what_there_is_not_is_told(served: Served, path: str, status: int, said: str) -> None:
    request = requests.Request("GET", served.url).prepare()
    request.url = f"{served.url}{path}"  # as it is: requests would tidy it up
    with requests.Session() as session:
        answer = session.send(request, timeout=300, allow_redirects=False)
    assert answer.status_code == status
    assert said in answer.text
    assert "root:" not in answer.text


def test_an_error_is_a_votable_where_one_was_asked_for(served: Served) -> None:
    answer = get(served, "/jdl/nothing?RESPONSEFORMAT=votable", Accept=BROWSER)
    assert answer.status_code == 404
    info = etree.fromstring(answer.content).find(".//{*}INFO")
    assert info is not None
    assert info.get("value") == "ERROR"


def test_it_is_read_only(served: Served) -> None:
    for path in ("/jdl", "/jdl/dummy", "/jdl/dummy/script"):
        assert requests.post(f"{served.url}{path}", data={"name": "dummy"}, timeout=300).status_code == 405


def test_a_server_for_accounts_shows_them_to_accounts_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, anonymous="refused") as served:
        for path in ("", "/schema.json", "/dummy", "/dummy/json", "/dummy/script", "/dummy/readme", "/nothing"):
            assert get(served, f"/jdl{path}").status_code == 401, path


def test_the_readme_of_each_definition_comes_with_json(served: Served) -> None:
    document = json.loads(get(served, "/jdl/spectrum/json").content)
    assert document["readme"].startswith("# Spectrum of a region")
