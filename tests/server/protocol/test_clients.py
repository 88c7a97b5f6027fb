"""The clients there are, against the real server: those that are installed run, the others' requests are replayed."""

from __future__ import annotations

import http.client
import io
import shutil
import subprocess
import threading
import time
import xml.sax
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit
from xml.sax.xmlreader import AttributesImpl

import pytest
import requests
from pyvo.dal import AsyncTAPJob, DALQueryError, DALServiceError
from pyvo.io.uws import parse_job, parse_job_list
from vo_models.uws import Jobs, JobSummary, Parameter, Parameters

from serving import connected, running_server
from uwsjobs import change, create, listed, phase, reached, write_definitions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    definitions = write_definitions(tmp_path_factory.mktemp("definitions"))
    with running_server(tmp_path_factory.mktemp("clients"), definitions=definitions, max_running=8) as served:
        yield served.url


# --- pyvo ----------------------------------------------------------------------------------------------


def test_pyvo_reads_every_property(server: str) -> None:
    with AsyncTAPJob(create(server, "table", RUNID="r", QUERY="SELECT 1")) as job:
        assert job.phase == "PENDING"
        assert job.url == f"{server}/rest/table/{job.job_id}"
        assert job.job.jobid == job.job_id
        assert job.job.runid == "r"
        assert job.execution_duration.sec == 60
        assert job.destruction.to_datetime(UTC) > datetime.now(UTC) + timedelta(days=20)
        assert job.quote is None
        assert job.owner is None
        assert job.query == "SELECT 1"
        assert job.uws_version == "1.1"
        assert (list(job.results), job.result, job.result_uri, job.result_uris) == ([], None, None, [])
    assert requests.get(f"{server}/rest/table/{job.job_id}", timeout=300).status_code == 404  # left the block: deleted


def test_pyvo_edits_runs_waits_and_fetches(server: str) -> None:
    job = AsyncTAPJob(create(server, "table"))
    job.execution_duration = 120
    assert job.execution_duration.sec == 120
    job.execution_duration = 130.0
    assert job.execution_duration.sec == 130
    day = f"{datetime.now() + timedelta(days=9):%Y-%m-%d}"
    for wanted in (datetime.now() + timedelta(days=2), f"{day}T12:00:00.000000Z", f"{day}T12:00:00Z"):
        job.destruction = wanted
        shown = job.destruction.to_datetime()
        latest = datetime.now() + timedelta(days=30)
        expected = wanted if isinstance(wanted, datetime) else datetime.fromisoformat(wanted).replace(tzinfo=None)
        assert abs(shown - min(expected, latest)) < timedelta(hours=26)  # a naive time is the client's own
    job.query = "SELECT 2"
    assert job.query == "SELECT 2"
    assert job.run().wait(timeout=300).phase == "COMPLETED"
    assert job.result_uri == f"{job.url}/results/result"
    assert job.result_uris == [f"{job.url}/results/{name}" for name in ("result", "log")]
    assert list(job.fetch_result()["n"]) == [42]
    job.raise_if_error()
    job.delete()
    with pytest.raises(DALServiceError):
        job.delete()


def test_pyvo_uploads_a_table(server: str) -> None:
    job = AsyncTAPJob(create(server, "files"))
    job.upload(table=io.BytesIO(b"a table"))
    assert requests.get(f"{job.url}/parameters/table", timeout=300).content == b"a table"
    assert [parameter.byreference for parameter in job.job.parameters] == [True, None]
    assert job.run().wait(timeout=300).phase == "COMPLETED"
    assert requests.get(str(job.result_uri), timeout=300).content == b"a table"


def test_pyvo_notices_the_end_of_a_wait_that_began_early(server: str) -> None:
    job = AsyncTAPJob(create(server, "table", seconds="0.2"))
    starter = threading.Timer(0.5, change, (f"{job.url}/phase",), {"PHASE": "RUN"})
    starter.start()
    assert job.wait(phases={"QUEUED", "EXECUTING", "COMPLETED"}, timeout=300) is job  # WAIT=-1 while PENDING
    starter.join()
    assert job.wait(timeout=300).phase == "COMPLETED"


def test_pyvo_tells_of_errors_and_of_jobs_that_do_not_run(server: str) -> None:
    failed = AsyncTAPJob(create(server, fail="1", PHASE="RUN")).wait(timeout=300)
    with pytest.raises(DALQueryError, match="fail: the job was asked to fail"):
        failed.raise_if_error()
    aborted = AsyncTAPJob(create(server, seconds="3000", EXECUTIONDURATION="0", PHASE="RUN"))
    assert aborted.abort().phase == "ABORTED"
    with pytest.raises(DALQueryError, match="No useful error"):
        aborted.raise_if_error()
    held = create(server)
    change(held, PHASE="HOLD")
    for job in (aborted, AsyncTAPJob(held)):
        with pytest.raises(DALServiceError, match="not active"):
            job.wait(timeout=300)
    with pytest.raises(DALServiceError, match="ABORTED: it can be run only while"):
        aborted.run()


def test_pyvo_and_vo_models_read_jobs_and_lists_alike(server: str) -> None:
    class FilesParameters(Parameters):
        table: Parameter = Parameter(id="table")
        note: Parameter = Parameter(id="Note")

    upload = {"table": ("t", b"x"), "Note": (None, "a note")}
    response = requests.post(f"{server}/rest/files?PHASE=RUN", files=upload, allow_redirects=False, timeout=300)
    address = response.headers["Location"]
    reached(address, "COMPLETED")
    content = requests.get(address, timeout=300).content
    lenient, strict = parse_job(io.BytesIO(content)), JobSummary[FilesParameters].from_xml(content)
    assert lenient.jobid == strict.job_id == address[-32:]
    assert lenient.phase == strict.phase == "COMPLETED"
    assert strict.creation_time is not None and lenient.creationtime is not None
    assert abs(lenient.creationtime.to_datetime(UTC) - strict.creation_time) < timedelta(milliseconds=1)
    assert [result.id_ for result in lenient.results] == ["result", "log"]
    assert strict.results is not None and strict.results.results is not None
    assert next((result.id, result.size) for result in strict.results.results) == ("result", 1)
    listing = requests.get(f"{server}/rest/files", timeout=300).content
    jobs = Jobs.from_xml(listing).jobref
    assert jobs is not None
    assert [job.jobid for job in parse_job_list(io.BytesIO(listing))] == [job.job_id for job in jobs]


# --- STILTS and TOPCAT ---------------------------------------------------------------------------------


def stilts(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Debian's stilts; the test is skipped where there is none."""
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package stilts")
    return subprocess.run(["stilts", *arguments], capture_output=True, text=True, timeout=300)


def test_stilts_finds_every_document_valid(server: str) -> None:
    job = create(server, text="<&>", RUNID="r")
    failed = create(server, fail="1", PHASE="RUN")
    reached(failed, "ERROR")
    for address in (job, failed, f"{server}/rest/dummy", f"{server}/availability", f"{server}/capabilities"):
        done = stilts("xsdvalidate", "uselocals=true", f"doc={address}")
        assert (done.returncode, done.stdout) == (0, ""), f"{address}: {done.stdout}{done.stderr}"


def test_stilts_resumes_a_job_fetches_its_table_and_deletes_it(server: str) -> None:
    job = create(server, "table", seconds="1.5", PHASE="RUN")
    done = stilts("tapresume", f"joburl={job}", "poll=200", "delete=finished", "progress=true", "ofmt=csv")
    assert (done.returncode, done.stdout.split()) == (0, ["n", "42"]), done.stderr
    assert requests.get(job, timeout=300).status_code == 404


def test_stilts_notices_that_a_job_failed(server: str) -> None:
    job = create(server, fail="1", PHASE="RUN")
    done = stilts("tapresume", f"joburl={job}", "poll=200", "delete=never")
    assert done.returncode != 0
    assert "TAP Execution error" in done.stderr  # it looks for a VOTable at /error, as of TAP services


def exchange(server: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; the status, the headers and the body that come back."""
    with connected(server) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


JAVA = "User-Agent: Java/17.0.1\r\nHost: x\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n"


def java(
    server: str, method: str, path: str, headers: str = "", body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """A request as Java's own HTTP client writes it."""
    head = f"{method} {urlsplit(path).path or path} HTTP/1.1\r\n{JAVA}Connection: close\r\n{headers}\r\n"
    return exchange(server, head.encode() + body)


@pytest.mark.parametrize("size", [7, 64, 5000])
def test_topcat_posts_its_multipart_form_in_chunks(server: str, size: int) -> None:
    """Quoted boundary, an extra CRLF before the first, chunked transfer, pieces that end anywhere."""
    boundary = "<<<-topcat-41-part>>>".replace("<", "(").replace(">", ")")
    content = b"<VOTABLE>" + b"x" * 1000 + b"\r\n--(((-topcat\r\n</VOTABLE>"
    parts = [
        b'Content-Disposition: form-data; name="Note"\r\nContent-Type: text/plain\r\n\r\na note',
        b'Content-Disposition: form-data; name="UPLOAD"\r\nContent-Type: text/plain\r\n\r\ntable,param:up1',
        b'Content-Disposition: form-data; name="up1"; filename="up1"\r\n'
        b"Content-Type: application/x-votable+xml\r\n\r\n" + content,
    ]
    mark = f"\r\n--{boundary}".encode()
    body = mark + mark.join(b"\r\n" + part for part in parts) + mark + b"--\r\n"
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    headers = f'Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary="{boundary}"\r\n'
    status, answer, text = java(server, "POST", "/rest/files", headers, sent)
    assert status == 303, text
    job = answer["location"]
    assert requests.get(f"{job}/parameters/table", timeout=300).content == content
    assert requests.get(f"{job}/parameters/Note", timeout=300).text == "a note"


def test_topcat_gets_303_for_every_change_and_xml_for_every_look(server: str) -> None:
    form = "Content-Type: application/x-www-form-urlencoded\r\n"

    def post(path: str, **values: str) -> tuple[int, dict[str, str], bytes]:
        body = urlencode(values).encode()
        return java(server, "POST", path, f"{form}Content-Length: {len(body)}\r\n", body)

    status, answer, _ = post("/rest/dummy", text="x", seconds="1.2")
    job = answer["location"]
    path = urlsplit(job).path
    assert (status, job) == (303, server + path)
    for where, values in (
        ("/destruction", {"DESTRUCTION": f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%M:%S}"}),
        ("/executionduration", {"EXECUTIONDURATION": "100"}),
        ("/phase", {"PHASE": "RUN"}),
    ):
        status, answer, _ = post(path + where, **values)
        assert (status, answer["location"]) == (303, job), where
    status, answer, content = java(server, "GET", path)
    assert (status, answer["content-type"]) == (200, "text/xml; charset=UTF-8")
    assert content.startswith(b"<?xml")
    assert java(server, "GET", "/rest/dummy")[1]["content-type"] == "text/xml; charset=UTF-8"
    looks = 0
    state = "QUEUED"
    while state in ("QUEUED", "EXECUTING"):  # asks again without a pause: the server has to hold it
        answer = java_wait(server, f"{path}?WAIT=600&PHASE={state}")
        state = answer.partition("<uws:phase>")[2].partition("<")[0]
        looks += 1
    assert state == "COMPLETED"
    assert looks <= 3
    assert java(server, "DELETE", path)[0] == 303
    assert java(server, "GET", path)[0] == 404


def java_wait(server: str, target: str) -> str:
    """GET with a query."""
    status, _, content = exchange(server, f"GET {target} HTTP/1.1\r\n{JAVA}Connection: close\r\n\r\n".encode())
    assert status == 200
    return content.decode()


# --- others, replayed ------------------------------------------------------------------------------------


class Names(xml.sax.ContentHandler):
    """What a parser that knows no namespaces sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self._now = ""

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the name SAX gives it
        self.seen.append((name, dict(attrs.items())))
        self._now = name

    def characters(self, content: str) -> None:
        self.text[self._now] = self.text.get(self._now, "") + content


def names_in(address: str) -> Names:
    handler = Names()
    xml.sax.parseString(requests.get(address, timeout=300).content, handler)
    return handler


def test_astroquery_finds_its_literal_prefixes_and_its_job(server: str) -> None:
    form = {"Content-type": "application/x-www-form-urlencoded", "Accept": "text/plain"}
    host = urlsplit(server).netloc
    connection = http.client.HTTPConnection(host, timeout=300)
    connection.request("POST", "/rest/table", urlencode({"QUERY": "SELECT 1", "PHASE": "RUN"}), form)
    response = connection.getresponse()
    assert response.status == 303
    location = str(response.getheader("location"))
    response.read()
    job_id = location[location.rfind("/") + 1 :]
    while True:  # on one connection
        connection.request("GET", f"/rest/table/{job_id}/phase")
        state = connection.getresponse().read().decode().strip().upper()
        if state not in ("PENDING", "QUEUED", "EXECUTING", "RUN"):
            break
        time.sleep(0.1)
    assert state == "COMPLETED"
    connection.request("GET", f"/rest/table/{job_id}/results/result")
    table = connection.getresponse()
    assert table.getheader("Content-Type") == "application/x-votable+xml"
    assert b"<TD>42</TD>" in table.read()
    connection.close()
    job = names_in(location)
    root, attributes = job.seen[0]
    assert root == "uws:job"
    assert attributes["xmlns:xlink"] == "http://www.w3.org/1999/xlink"
    assert {"uws:jobId", "uws:phase", "uws:ownerId", "uws:parameters", "uws:results"} <= {name for name, _ in job.seen}
    assert job.text["uws:phase"].strip() == "COMPLETED"
    assert ("uws:parameter", {"id": "QUERY"}) in job.seen
    results = [attributes["xlink:href"] for name, attributes in job.seen if name == "uws:result"]
    assert results[0] == f"{location}/results/result"
    jobs = names_in(f"{server}/rest/table?LAST=1")
    assert jobs.seen[0][0] == "uws:jobs"
    assert dict(jobs.seen)["uws:jobref"] == {"id": job_id, "xlink:type": "simple", "xlink:href": location}
    assert jobs.text["uws:phase"] == "COMPLETED"


@pytest.fixture
def old_client(server: str) -> Iterator[Callable[..., tuple[str, bytes]]]:
    """The 2017 uws-client: one connection, no Accept, follows 303 by GET of what comes after its base address."""
    base = f"{server}/rest/dummy"
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=300)

    def send(method: str, path: str, **values: str) -> tuple[str, bytes]:
        headers = {"Content-type": "application/x-www-form-urlencoded"} if values else {}
        address = f"/rest/dummy/{path}" if path else "/rest/dummy"
        connection.request(method, address, urlencode(values) if values else None, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status != 303:
            assert response.status == 200, content
            return path, content
        return send("GET", str(response.getheader("location")).replace(base, "").lstrip("/"))

    yield send
    connection.close()


def test_the_old_uws_client_runs_its_life_of_a_job(server: str, old_client: Callable[..., tuple[str, bytes]]) -> None:
    job_id, content = old_client("POST", "", text="one", seconds="3000", EXECUTIONDURATION="0")
    assert len(job_id) == 32
    for name in ("parameters", "results", "startTime", "endTime", "destruction", "executionDuration", "ownerId"):
        assert f"<uws:{name}".encode() in content
    assert b">two<" in old_client("POST", job_id, text="two")[1]
    assert b"PENDING" in old_client("GET", f"{job_id}/phase")[1]
    assert b"<uws:jobId>" in old_client("POST", f"{job_id}/phase", PHASE="RUN")[1]
    reached(f"{server}/rest/dummy/{job_id}", "EXECUTING")
    assert b"ABORTED" in old_client("POST", job_id, PHASE="ABORT")[1]
    filters = [("PHASE", "ABORTED"), ("PHASE", "ERROR"), ("AFTER", "2015-10-26T00:00:00"), ("LAST", 5)]
    assert listed(server, urlencode(filters))[0] == f"{server}/rest/dummy/{job_id}"
    _, content = old_client("DELETE", job_id)
    assert content.rstrip().endswith(b"</uws:jobs>")
    assert job_id.encode() not in content


def test_a_clean_up_script_aborts_by_query_with_an_empty_body(server: str) -> None:
    jobs = [create(server, seconds="3000", EXECUTIONDURATION="0", PHASE="RUN") for _ in range(2)]
    active = listed(server, "PHASE=QUEUED&PHASE=EXECUTING")
    assert [active.count(job) for job in jobs] == [1, 1]  # while they go from one of the phases to the other
    for job in jobs:
        reached(job, "EXECUTING")
        target = f"{urlsplit(job).path}/phase?PHASE=ABORT"
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if job == jobs[0] else ""
        status, headers, _ = exchange(server, f"{head}{kind}\r\n".encode())
        assert (status, headers["location"]) == (303, job)
    assert [phase(job) for job in jobs] == ["ABORTED", "ABORTED"]


def test_an_empty_user_is_nobody_not_a_wrong_one(server: str) -> None:
    anonymous = {"Authorization": "Basic Og=="}
    response = requests.post(f"{server}/rest/dummy", headers=anonymous, allow_redirects=False, timeout=300)
    assert response.status_code == 303
    job = response.headers["Location"]
    for method, address in (("GET", f"{server}/rest/dummy"), ("GET", job), ("GET", f"{job}/phase"), ("DELETE", job)):
        answer = requests.request(method, address, headers=anonymous, allow_redirects=False, timeout=300)
        assert answer.status_code in (200, 303), answer.text
