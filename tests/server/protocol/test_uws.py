"""The UWS resources over HTTP against the real server, read back by the schema, vo-models and pyvo."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from lxml import etree
from pyvo.io.uws import parse_job, parse_job_list
from vo_models.uws import Jobs, JobSummary, Parameter, Parameters

from serving import WITHOUT_RECHECKS, running_server

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XLINK = "{http://www.w3.org/1999/xlink}"


class DummyParameters(Parameters):
    """The parameters of the test job, for the strict reader."""

    text: Parameter = Parameter(id="text")
    seconds: Parameter = Parameter(id="seconds")
    fail: Parameter = Parameter(id="fail")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[str]:
    with running_server(
        tmp_path_factory.mktemp("uws"), program=WITHOUT_RECHECKS, database=module_database_url
    ) as served:
        yield served.url


@pytest.fixture(scope="session")
def schema(shared: Path) -> etree.XMLSchema:
    class Offline(etree.Resolver):
        def resolve(self, url: str, _public: str, context: object) -> object:
            name = url.rpartition("/")[2]
            local = {"xml.xsd": "xmlnamespace.xsd"}.get(name, name)
            return self.resolve_filename(str(shared / "schemas" / local), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Offline())
    return etree.XMLSchema(etree.parse(str(shared / "schemas/UWS.xsd"), parser))


def create(server: str, **values: str) -> str:
    response = requests.post(f"{server}/rest/dummy", data=values, allow_redirects=False, timeout=300)
    assert response.status_code == 303, response.text
    return response.headers["Location"]


def ended(job: str, seconds: float = 300) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        phase = requests.get(f"{job}/phase", timeout=300).text
        if phase in ("COMPLETED", "ERROR", "ABORTED"):
            return phase
        time.sleep(0.05)
    raise AssertionError(f"{job} is still {phase}")


def test_create_answers_303_with_an_absolute_location(server: str) -> None:
    job = create(server)
    assert re.fullmatch(rf"{re.escape(server)}/rest/dummy/[0-9a-f]{{32}}", job)
    assert requests.get(f"{job}/phase", timeout=300).text == "PENDING"


def test_a_pending_job_runs_when_it_is_told_to(server: str) -> None:
    job = create(server, text="grüße")
    response = requests.post(f"{job}/phase", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
    assert (response.status_code, response.headers["Location"]) == (303, job)
    assert ended(job) == "COMPLETED"
    result = requests.get(f"{job}/results/result", timeout=300)
    assert result.content.decode() == "grüße\n"
    assert result.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("where", ["form", "query"])
def test_creation_with_phase_run_starts_the_job(server: str, where: str) -> None:
    sent = {"params": {"PHASE": "RUN"}} if where == "query" else {"data": {"phase": "RUN"}}
    response = requests.post(f"{server}/rest/dummy", allow_redirects=False, timeout=300, **sent)
    assert response.status_code == 303
    assert ended(response.headers["Location"]) == "COMPLETED"


def test_a_failing_job_says_why_and_is_still_200(server: str, schema: etree.XMLSchema) -> None:
    job = create(server, fail="true", PHASE="RUN")
    assert ended(job) == "ERROR"
    response = requests.get(job, timeout=300)
    document = etree.fromstring(response.content)
    schema.assertValid(document)
    assert document.findtext(f"{UWS}errorSummary/{UWS}message") == "fail: the job was asked to fail"
    assert requests.get(f"{job}/error", timeout=300).text.startswith("fail: the job was asked to fail\n")


def test_documents_are_valid_in_every_phase(server: str, schema: etree.XMLSchema) -> None:
    pending = create(server, RUNID="run <1> & é", text="<&>\"'")
    running = create(server, seconds="600", PHASE="RUN")
    done = create(server, PHASE="RUN")
    ended(done)
    for job, phase in ((pending, "PENDING"), (running, "EXECUTING"), (done, "COMPLETED")):
        content = requests.get(job, timeout=300).content
        schema.assertValid(etree.fromstring(content))
        strict = JobSummary[DummyParameters].from_xml(content)
        assert strict.phase == phase
        lenient = parse_job(io.BytesIO(content))
        assert lenient.phase == phase
        assert lenient.executionduration.sec == 60
    document = etree.fromstring(requests.get(pending, timeout=300).content)
    assert document.findtext(f"{UWS}runId") == "run <1> & é"
    assert document.findtext(f"{UWS}parameters/{UWS}parameter[@id='text']") == "<&>\"'"
    requests.delete(running, allow_redirects=False, timeout=300)


def test_progress_is_in_job_info(server: str) -> None:
    job = create(server, seconds="5", PHASE="RUN")
    seen = set()
    while True:
        document = etree.fromstring(requests.get(job, timeout=300).content)
        found = document.find(f"{UWS}jobInfo/{{urn:uws-server:progress}}progress")
        if found is not None and found.text:
            seen.add((found.get("n"), found.get("m"), found.text))
        if document.findtext(f"{UWS}phase") not in ("QUEUED", "EXECUTING"):
            break
        time.sleep(0.1)
    assert seen == {(str(n), "5", "Working") for n in range(1, 6)}


def test_abort_ends_a_running_job(server: str) -> None:
    job = create(server, seconds="60", PHASE="RUN")
    while requests.get(f"{job}/phase", timeout=300).text != "EXECUTING":
        time.sleep(0.02)
    response = requests.post(f"{job}/phase", params={"PHASE": "ABORT"}, allow_redirects=False, timeout=300)
    assert response.status_code == 303
    assert requests.get(f"{job}/phase", timeout=300).text == "ABORTED"
    again = requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, allow_redirects=False, timeout=300)
    assert again.status_code == 403
    assert "ABORTED" in again.text


@pytest.mark.parametrize("how", ["DELETE", "ACTION"])
def test_delete_forgets_the_job(server: str, how: str) -> None:
    job = create(server, seconds="60", PHASE="RUN")
    if how == "DELETE":
        response = requests.delete(job, allow_redirects=False, timeout=300)
    else:
        response = requests.post(job, data={"ACTION": "DELETE"}, allow_redirects=False, timeout=300)
    assert (response.status_code, response.headers["Location"]) == (303, f"{server}/rest/dummy")
    assert requests.get(job, timeout=300).status_code == 404
    assert job not in requests.get(f"{server}/rest/dummy", timeout=300).text


def test_parameters_change_only_while_pending(server: str) -> None:
    job = create(server, text="one", seconds="0")
    for address in (job, f"{job}/parameters"):
        response = requests.post(address, data={"TEXT": "two"}, allow_redirects=False, timeout=300)
        assert response.status_code == 303
    assert requests.get(f"{job}/parameters/text", timeout=300).text == "two"
    assert requests.get(f"{job}/parameters/seconds", timeout=300).text == "0"
    refused = requests.post(job, data={"seconds": "-1"}, allow_redirects=False, timeout=300)
    assert refused.status_code == 400
    requests.post(f"{job}/phase", data={"PHASE": "RUN"}, timeout=300)
    ended(job)
    late = requests.post(job, data={"text": "three"}, allow_redirects=False, timeout=300)
    assert late.status_code == 403
    assert requests.get(f"{job}/parameters/text", timeout=300).text == "two"


def test_every_wrong_parameter_is_named_at_once_and_no_job_is_made(server: str) -> None:
    before = requests.get(f"{server}/rest/dummy", timeout=300).text.count("jobref ")
    response = requests.post(
        f"{server}/rest/dummy",
        data={"secnds": "1", "seconds": "4000", "fail": "perhaps"},
        allow_redirects=False,
        timeout=300,
    )
    assert response.status_code == 400
    assert response.text.splitlines() == [
        "secnds: no such parameter; did you mean seconds? dummy takes text, seconds, fail",
        "seconds: '4000' is out of range; allowed is 0 to 3,600 s",
        "fail: 'perhaps' is neither true nor false",
    ]
    assert requests.get(f"{server}/rest/dummy", timeout=300).text.count("jobref ") == before


def test_units_are_converted_and_wrong_ones_refused(server: str) -> None:
    job = create(server, seconds="0.5 min")
    assert requests.get(f"{job}/parameters/seconds", timeout=300).text == "30"
    response = requests.post(f"{server}/rest/dummy", data={"seconds": "3 kg"}, allow_redirects=False, timeout=300)
    assert response.status_code == 400
    assert response.text == "seconds: unit 'kg' is not one that converts to s\n"


def test_the_list_is_valid_and_filters(server: str, schema: etree.XMLSchema) -> None:
    kept = [create(server, RUNID="a&b") for _ in range(3)]
    done = create(server, PHASE="RUN")
    ended(done)
    address = f"{server}/rest/dummy"
    content = requests.get(address, timeout=300).content
    schema.assertValid(etree.fromstring(content))
    assert Jobs.from_xml(content).version == "1.1"
    assert {job.jobid for job in parse_job_list(io.BytesIO(content))} >= {url[-32:] for url in [*kept, done]}

    def ids(**filters: str | list[str]) -> list[str]:
        root = etree.fromstring(requests.get(address, params=filters, timeout=300).content)
        return [str(ref.get(f"{XLINK}href")) for ref in root.iterfind(f"{UWS}jobref")]

    assert ids(LAST="2") == [done, kept[2]]
    assert done not in ids(PHASE="PENDING")
    assert ids(PHASE=["PENDING", "COMPLETED"], LAST="1") == [done]
    created = etree.fromstring(requests.get(kept[1], timeout=300).content).findtext(f"{UWS}creationTime")
    assert kept[0] not in ids(AFTER=str(created))
    assert ids(AFTER="2999") == []


@pytest.mark.parametrize(
    "wrong", ["LAST=0", "LAST=-1", "LAST=x", "PHASE=pending", "PHASE=x", "AFTER=2015-26-10", "AFTER=sometext", "X=1"]
)
def test_wrong_filters_are_refused(server: str, wrong: str) -> None:
    response = requests.get(f"{server}/rest/dummy?{wrong}", timeout=300)
    assert response.status_code == 400
    assert response.text.startswith(wrong.partition("=")[0])


def test_wait_returns_when_the_phase_changes(server: str) -> None:
    started = time.monotonic()
    job = create(server, seconds="1", PHASE="RUN")
    phase = "QUEUED"
    while phase in ("QUEUED", "EXECUTING"):
        answer = requests.get(job, params={"WAIT": "-1", "PHASE": phase}, timeout=300)
        assert "X-Park" not in answer.headers
        phase = str(etree.fromstring(answer.content).findtext(f"{UWS}phase"))
    assert phase == "COMPLETED"
    assert time.monotonic() - started > 0.9
    assert b"COMPLETED" in requests.get(job, params={"WAIT": "-1"}, timeout=300).content


def test_wait_ends_when_its_time_is_over(server: str) -> None:
    job = create(server)
    started = time.monotonic()
    assert b"PENDING" in requests.get(job, params={"WAIT": "1"}, timeout=300).content
    assert time.monotonic() - started > 0.9


def test_things_that_are_not_there_are_404_with_a_sentence(server: str) -> None:
    job = create(server)
    for path, named in (
        ("/rest/nothing", "nothing"),
        (f"/rest/spectrum/{job[-32:]}", "spectrum"),
        ("/rest/dummy/0123", "0123"),
        (f"/rest/dummy/{'0' * 32}/phase", "0000"),
        (f"/rest/dummy/{job[-32:]}/results/x", "x"),
        (f"/rest/dummy/{job[-32:]}/error", "PENDING"),
        (f"/store/{'0' * 32}/result.txt", "0000"),
    ):
        response = requests.get(server + path, timeout=300)
        assert response.status_code == 404, path
        assert named in response.text
        assert response.headers["Content-Type"].startswith("text/plain")


def test_a_result_file_answers_ranges(server: str) -> None:
    job = create(server, text="0123456789", PHASE="RUN")
    ended(job)
    part = requests.get(f"{job}/results/result", headers={"Range": "bytes=2-4"}, timeout=300)
    assert (part.status_code, part.text) == (206, "234")


def test_an_upload_larger_than_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path, max_upload="1 MB") as served:

        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 100_000

        address = f"{served.url}/rest/spectrum"
        announced = requests.post(address, data=b"x" * 1_100_000, timeout=300)
        assert announced.status_code == 413
        assert "1 MB at most" in announced.text
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            unannounced = requests.post(address, data=endless(), headers=kind, timeout=300)
            assert unannounced.status_code in (400, 413)
        except requests.ConnectionError:
            pass  # the server hung up while more was being sent
        assert list((tmp_path / "incoming").iterdir()) == []
