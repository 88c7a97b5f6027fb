"""Jobs and lists as JSON, jobs made by a JSON body, and the OpenAPI document of all job lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from io import BytesIO

import jsonschema
import pytest
import requests
from lxml import etree
from openapi_spec_validator import validate
from pyvo.io.uws import parse_job

from serving import running_server
from uws_server.incoming import json_forms
from uwsjobs import UWS, XLINK, write_definitions

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("json")
    with running_server(folder / "data", definitions=write_definitions(folder / "definitions")) as served:
        yield served.url


@pytest.fixture(scope="module")
def openapi(server: str) -> dict[str, object]:
    answer = requests.get(f"{server}/openapi.json", timeout=300)
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, object] = answer.json()
    return found


@pytest.fixture(scope="module")
def job(server: str) -> str:
    """The address of a job that was made by JSON, and has ended."""
    values = {"PHASE": "RUN", "runid": "by JSON", "TEXT": "<a> & b\r\nü", "seconds": 0.05, "fail": False, "MAXREC": 5}
    made = requests.post(f"{server}/rest/dummy", json=values, timeout=300, allow_redirects=False)
    assert made.status_code == 303, made.text
    address = made.headers["Location"]
    while requests.get(f"{address}/phase", timeout=300).text in ("QUEUED", "EXECUTING"):
        requests.get(address, {"WAIT": 60}, timeout=300)
    return address


def fits(openapi: dict[str, object], name: str, document: object) -> None:
    """Raise if a document is not what the OpenAPI document says of its kind."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": openapi["components"]}
    jsonschema.Draft202012Validator(schema).validate(document)


def test_a_job_as_json_says_what_its_xml_says(job: str, openapi: dict[str, object]) -> None:
    answer = requests.get(job, headers=JSON, timeout=300)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Vary"] == "Accept"
    told = answer.json()
    fits(openapi, "Job", told)
    xml = requests.get(job, timeout=300)
    assert xml.headers["Content-Type"].startswith("text/xml")  # the default
    read = parse_job(BytesIO(xml.content))
    assert (told["jobId"], told["runId"], told["phase"]) == (read.jobid, "by JSON", read.phase)
    for name in ("creationTime", "startTime", "endTime", "destruction"):
        moment = datetime.fromisoformat(told[name])
        assert moment.replace(tzinfo=None) == getattr(read, name.lower()).datetime, name
    assert told["executionDuration"] == read.executionduration.to_value("s")
    values = {each["id"]: each["value"] for each in told["parameters"]}
    assert values == {"text": "<a> & b\nü", "seconds": "0.05", "fail": "false"}
    linked = {(each.get("id"), each.get(f"{XLINK}href")) for each in etree.fromstring(xml.content).iter(f"{UWS}result")}
    assert {(each["id"], each["href"]) for each in told["results"]} == linked
    for each in told["results"]:
        assert len(requests.get(each["href"], timeout=300).content) == each["size"]


def test_parts_of_a_job_and_its_list_are_json_too(server: str, job: str, openapi: dict[str, object]) -> None:
    whole = requests.get(job, headers=JSON, timeout=300).json()
    for part in ("parameters", "results"):
        told = requests.get(f"{job}/{part}", headers=JSON, timeout=300).json()
        fits(openapi, part.capitalize(), told)
        assert told == {part: whole[part]}
    for query in ("", "?LAST=1", "?PHASE=COMPLETED"):
        listed = requests.get(f"{server}/rest/dummy{query}", headers=JSON, timeout=300).json()
        fits(openapi, "Jobs", listed)
        first = listed["jobs"][0]
        assert (first["href"], first["phase"], first["creationTime"]) == (job, "COMPLETED", whole["creationTime"])
    empty = requests.get(f"{server}/rest/tree", headers=JSON, timeout=300).json()
    assert empty == {"version": "1.1", "jobs": []}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json;q=0.5, text/xml", "text/xml"),
        ("application/xml, application/json", "application/xml"),
        ("application/json, application/xml;q=0.9", "application/json"),
        ("application/json, */*", "application/json"),
        ("*/*", "text/xml"),
    ],
)
def test_xml_is_sent_where_json_is_not_wanted_more(server: str, job: str, accept: str, kind: str) -> None:
    for address in (job, f"{server}/rest/dummy", f"{job}/results"):
        answer = requests.get(address, headers={"Accept": accept}, timeout=300)
        assert answer.headers["Content-Type"].partition(";")[0] == kind


def test_a_failed_job_says_why_in_json(server: str, openapi: dict[str, object]) -> None:
    made = requests.post(f"{server}/rest/dummy", json={"PHASE": "RUN", "fail": True, "seconds": 0}, timeout=300)
    while (told := requests.get(made.url, {"WAIT": 60}, headers=JSON, timeout=300).json())["endTime"] is None:
        pass
    fits(openapi, "Job", told)
    assert (told["phase"], told["errorSummary"]["type"]) == ("ERROR", "fatal")
    assert told["errorSummary"]["message"] in requests.get(f"{made.url}/error", timeout=300).text


def test_a_pending_job_is_changed_and_started_by_json(server: str) -> None:
    made = requests.post(f"{server}/rest/dummy", json={"text": "first", "seconds": None}, timeout=300)
    changed = requests.post(f"{made.url}/parameters", json={"text": "second"}, timeout=300)
    assert changed.ok, changed.text
    assert requests.get(f"{made.url}/parameters/text", timeout=300).text == "second"
    requests.post(f"{made.url}/executionduration", json={"EXECUTIONDURATION": 77}, timeout=300)
    assert requests.get(f"{made.url}/executionduration", timeout=300).text == "77"
    aborted = requests.post(f"{made.url}/phase", json={"PHASE": "ABORT"}, timeout=300)
    assert b"ABORTED" in aborted.content


def test_several_values_and_an_object_are_given_as_json_has_them() -> None:
    body = b'{"n": [1, 2.5, "x", true, null], "region": {"type": "circle"}, "none": null}'
    environ = {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": "q=1"}
    with json_forms.reading(environ, 1000) as form:
        assert form.values == {"q": ["1"], "n": ["1", "2.5", "x", "true"], "region": ['{"type": "circle"}']}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body: is not JSON"),
        (b'{"text": "x"', "the body: is not JSON"),
        (b'{"text": "x", "text": "y"}', "has the key 'text' twice"),
        (b'{"seconds": NaN}', "NaN, which is not a number"),
        (b'{"seconds": 1e999}', "seconds: inf came"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "\\ud800"}', "half of a character"),
        (b'{"text": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", "deep"),
        (b'{"nothing": 1}', "nothing: no such parameter"),
        (b'{"PHASE": "STOP"}', "PHASE: 'STOP' came"),
    ],
)
def test_a_body_that_makes_no_job_is_refused(server: str, body: bytes, sentence: str) -> None:
    before = len(requests.get(f"{server}/rest/dummy", headers=JSON, timeout=300).json()["jobs"])
    answer = requests.post(
        f"{server}/rest/dummy", data=body, headers={"Content-Type": "application/json; charset=utf-8"}, timeout=300,
        allow_redirects=False,
    )  # fmt: skip
    assert (answer.status_code, sentence in answer.text) == (400, True), answer.text
    assert len(requests.get(f"{server}/rest/dummy", headers=JSON, timeout=300).json()["jobs"]) == before


def test_the_openapi_document_is_valid_and_has_every_list(server: str, openapi: dict[str, object]) -> None:
    validate(openapi)  # type: ignore[arg-type]
    paths, schemas = openapi["paths"], openapi["components"]["schemas"]  # type: ignore[index,call-overload]
    lists = [each["name"] for each in requests.get(f"{server}/jdl", timeout=300).json()["definitions"]]
    for name in lists:
        assert {f"/rest/{name}", f"/rest/{name}/sync"} <= set(paths)  # type: ignore[call-overload]
        native = requests.get(f"{server}/jdl/{name}/json", timeout=300).json()
        properties = schemas[f"Parameters.{name}"]["properties"]
        assert {each["name"] for each in native["parameters"]} <= set(properties)
    for path, operations in paths.items():  # type: ignore[attr-defined]
        address = f"{server}{path}".replace("{list}", "dummy").replace("{job}", "0" * 32).replace("{result}", "x")
        for method in {"get", "post", "delete"} & set(operations):
            status = requests.options(address, timeout=300).headers["Allow"]
            assert method.upper() in status, path
    assert openapi["info"]["description"].count("experiments") == 1  # type: ignore[index,call-overload]


def test_a_body_made_after_the_schema_makes_the_job(server: str, openapi: dict[str, object]) -> None:
    values = {"text": "x", "seconds": 0, "fail": False}
    fits(openapi, "Parameters.dummy", values)
    made = requests.post(f"{server}/rest/dummy", json=values, timeout=300, allow_redirects=False)
    assert made.status_code == 303
    with pytest.raises(jsonschema.ValidationError):
        fits(openapi, "Parameters.dummy", {**values, "fail": "perhaps"})
    refused = requests.post(f"{server}/rest/dummy", json={**values, "fail": "perhaps"}, timeout=300)
    assert refused.status_code == 400


def test_who_may_not_enter_gets_no_document(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_server(tmp_path_factory.mktemp("closed"), anonymous="refused") as served:
        answer = requests.get(f"{served.url}/openapi.json", timeout=300)
    assert answer.status_code == 401
