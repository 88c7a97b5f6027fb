"""Every rule of UWS 1.1 for a server, and the errors of DALI, over HTTP against the real server.

Each docstring names the section of the Recommendation. What `test_uws.py` shows already is not repeated here.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree
from pyvo.io.uws import parse_job
from vo_models.uws import Jobs, JobSummary, Parameter, Parameters

from processes import carrying, state, until
from serving import HURRIED, PROGRAM, WITHOUT_RECHECKS, Served, connected, running_server, start_server
from uwsjobs import (
    ENDED,
    NIL,
    UWS,
    XLINK,
    change,
    create,
    document,
    listed,
    phase,
    reached,
    read_schema,
    write_definitions,
)

ORDER = ["jobId", "runId", "ownerId", "phase", "quote", "creationTime", "startTime", "endTime", "executionDuration"]
ORDER += ["destruction", "parameters", "results", "errorSummary", "jobInfo"]
"""The elements of a job in the order of the schema."""

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


class DummyParameters(Parameters):
    """The parameters of the test job, for the strict reader."""

    text: Parameter = Parameter(id="text")
    seconds: Parameter = Parameter(id="seconds")
    fail: Parameter = Parameter(id="fail")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_definitions(tmp_path_factory.mktemp("definitions"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, definitions: Path) -> Iterator[Served]:
    settings = {"definitions": definitions, "max_upload": "8 MB", "max_running": 8}
    with running_server(tmp_path_factory.mktemp("rules") / "data", program=WITHOUT_RECHECKS, **settings) as served:
        yield served


@pytest.fixture(scope="module")
def server(served: Served) -> str:
    return served.url


@pytest.fixture
def incoming(served: Served) -> Path:
    """Where the server puts what is being uploaded."""
    return served.log.parent / "incoming"


@pytest.fixture(scope="session")
def schema(shared: Path) -> etree.XMLSchema:
    return read_schema(shared / "schemas", "UWS.xsd")


@pytest.fixture(scope="session")
def votable_schema(shared: Path) -> etree.XMLSchema:
    return read_schema(shared / "schemas", "VOTable1.4.xsd")


@pytest.fixture(scope="module")
def done(server: str) -> str:
    """A job that has ended well."""
    job = create(server, text="0123456789", RUNID="a run", PHASE="RUN")
    assert reached(job, *ENDED) == "COMPLETED"
    return job


def shown(text: str | None) -> datetime:
    """A time as a document shows it."""
    return datetime.fromisoformat(str(text))


# --- documents -----------------------------------------------------------------------------------------


def jobs_in_every_phase(server: str) -> Iterator[tuple[str, str]]:
    held = create(server)
    change(f"{held}/phase", PHASE="HOLD")
    suspended = create(server, seconds="30", PHASE="RUN")
    reached(suspended, "EXECUTING")
    change(f"{suspended}/phase", PHASE="SUSPEND")
    aborted = create(server)
    change(f"{aborted}/phase", PHASE="ABORT")
    failed = create(server, fail="1", PHASE="RUN", RUNID="r")
    reached(failed, "ERROR")
    done = create(server, PHASE="RUN")
    reached(done, "COMPLETED")
    yield from ((create(server), "PENDING"), (held, "HELD"), (suspended, "SUSPENDED"))
    yield from ((aborted, "ABORTED"), (failed, "ERROR"), (done, "COMPLETED"))
    change(f"{suspended}/phase", PHASE="ABORT")


def test_documents_follow_the_schema_in_every_phase(server: str, schema: etree.XMLSchema) -> None:
    """2.1.2, 2.2.1.1, schema: order, what is nil, what is left out; read by the schema, vo-models and pyvo."""
    for job, expected in jobs_in_every_phase(server):
        content = requests.get(job, timeout=300).content
        root = etree.fromstring(content)
        schema.assertValid(root)
        assert root.get("version") == "1.1"
        names = [etree.QName(child).localname for child in root]
        assert names == sorted(names, key=ORDER.index)
        assert set(ORDER) - {"runId", "errorSummary", "jobInfo"} <= set(names)
        assert len(set(names)) == len(names)
        assert ("runId" in names) == (expected == "ERROR")
        assert ("errorSummary" in names) == (expected == "ERROR")
        ran, ended = expected in ("SUSPENDED", "ERROR", "COMPLETED"), expected in ENDED
        nils = {etree.QName(child).localname for child in root if child.get(NIL) == "true"}
        wanted = {"ownerId", "quote"} | (set() if ran else {"startTime"}) | (set() if ended else {"endTime"})
        assert nils == wanted, expected
        for name in {"creationTime", "startTime", "endTime", "destruction"} - nils:
            assert re.fullmatch(DATE, str(root.findtext(UWS + name)))
        strict = JobSummary[DummyParameters].from_xml(content)
        assert (strict.phase, strict.execution_duration) == (expected, 60)
        assert parse_job(io.BytesIO(content)).phase == expected


def test_job_info_and_error_summary_are_ours_and_harmless(server: str, schema: etree.XMLSchema) -> None:
    """2.1.2, schema: whatever a script prints, the document stays XML; /error and /stderr have it all."""
    job = create(server, "loud", PHASE="RUN")
    assert reached(job, *ENDED) == "ERROR"
    root = document(job)
    schema.assertValid(root)
    summary = root.find(f"{UWS}errorSummary")
    assert summary is not None
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    assert summary.findtext(f"{UWS}message") == "\ufffd <not> & ]]> allowed"
    assert requests.get(f"{job}/error", timeout=300).text.startswith("\ufffd <not> & ]]> allowed\n")
    printed = requests.get(f"{job}/stdout", timeout=300)
    assert printed.headers["Content-Type"].startswith("text/plain")
    lines = printed.text.splitlines()
    assert len(lines) == 60_000
    assert [line.partition(" ")[0] for line in lines[::20_000]] == ["1", "20001", "40001"]
    assert "\x02" in requests.get(f"{job}/stderr", timeout=300).text


def test_values_come_back_as_they_were_sent(server: str, schema: etree.XMLSchema) -> None:
    """2.1.11: parameters are the client's, to the last character; only the line ends of a form are those of Unix."""
    sent = "two lines\r\nand\ttabs <&> ]]> \" ' %41 + ü 𝔘 \u2028 --> &amp; "
    value = sent.replace("\r\n", "\n")
    job = create(server, text=sent, RUNID="<b> & 'ü'")
    root = document(job)
    schema.assertValid(root)
    assert root.findtext(f"{UWS}parameters/{UWS}parameter[@id='text']") == value
    assert root.findtext(f"{UWS}runId") == "<b> & 'ü'"
    assert requests.get(f"{job}/parameters/TEXT", timeout=300).content.decode() == value


def test_containers_are_xml_and_atoms_are_text(server: str, done: str, schema: etree.XMLSchema) -> None:
    """2.2.1: every resource of a job, its type and its form."""
    root = document(done)
    for name in ("parameters", "results"):
        part = document(f"{done}/{name}")
        schema.assertValid(part)
        whole = root.find(UWS + name)
        assert whole is not None
        assert [child.attrib for child in part] == [child.attrib for child in whole]
    for path, expected in (
        ("phase", "COMPLETED"),
        ("executionduration", "60"),
        ("executionDuration", "60"),
        ("destruction", root.findtext(f"{UWS}destruction")),
        ("quote", ""),
        ("owner", ""),
        ("parameters/text", "0123456789"),
        ("parameters/Seconds", "0"),
        ("stderr", ""),
    ):
        response = requests.get(f"{done}/{path}", timeout=300)
        assert response.status_code == 200, path
        assert response.headers["Content-Type"] == "text/plain; charset=UTF-8", path
        assert response.text == expected, path
    assert requests.get(f"{done}/error", timeout=300).status_code == 404


def test_every_resource_answers_head_like_get(server: str, done: str) -> None:
    """RFC 9110, 9.3.2: HEAD says what GET would, and sends nothing."""
    paths = ["", *(f"/{name}" for name in ("phase", "parameters", "results", "results/result", "quote", "stdout"))]
    for address in (f"{server}/rest/dummy", f"{server}/capabilities", *(done + path for path in paths)):
        got, headed = requests.get(address, timeout=300), requests.head(address, timeout=300)
        assert headed.status_code == 200
        assert headed.content == b""
        for name in ("Content-Type", "ETag", "Last-Modified"):
            assert headed.headers.get(name) == got.headers.get(name), (address, name)


def test_results_are_unique_and_listed_even_when_there_are_none(server: str, done: str) -> None:
    """2.1.12: id, xlink:type, an absolute href that leads to the file, size and media type."""
    assert [child.tag for child in document(f"{create(server)}/results")] == []
    results = document(f"{done}/results")
    assert [result.get("id") for result in results] == ["result", "log"]
    for result in results:
        assert result.get(f"{XLINK}type") == "simple"
        href = str(result.get(f"{XLINK}href"))
        assert href == f"{done}/results/{result.get('id')}"
        file = requests.get(href, timeout=300)
        assert len(file.content) == int(str(result.get("size")))
        assert file.headers["Content-Type"].partition(";")[0] == result.get("mime-type")
        assert not {name for name in result.attrib if name.startswith("{") and XLINK not in name}


def test_addresses_come_from_the_configured_base(tmp_path: Path, schema: etree.XMLSchema) -> None:
    """2.2.1, clients: Location and every href are absolute, below the configured base, without a slash at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with running_server(tmp_path, "--port", port, base_url="https://x.example/uws/"):
        server = f"http://127.0.0.1:{port}"
        location = create(server)
        assert re.fullmatch(r"https://x\.example/uws/rest/dummy/[0-9a-f]{32}", location)
        job = f"{server}/rest/dummy/{location[-32:]}"
        for path, form in (("/phase", {"PHASE": "RUN"}), ("/destruction", {"DESTRUCTION": "2999"})):
            assert change(job + path, **form).headers["Location"] == location
        reached(job, "COMPLETED")
        content = requests.get(job, timeout=300).text
        schema.assertValid(etree.fromstring(content.encode()))
        assert f'xlink:href="{location}/results/result"' in content
        assert 'href="https://x.example/uws/static/uws.xsl"' in content
        assert listed(server) == [location]
        assert change(job, ACTION="DELETE").headers["Location"] == "https://x.example/uws/rest/dummy"
        assert "uws//" not in content


# --- changes ---------------------------------------------------------------------------------------------


def test_every_change_is_answered_303_with_an_absolute_location(server: str) -> None:
    """2.2: the status after every change of state, in the ways that clients make it."""
    job = create(server)
    text = {"Content-Type": "text/plain"}
    day = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
    for method, path, sent in (
        ("POST", "", {"data": {"text": "1"}}),
        ("POST", "/parameters", {"data": {"text": "2"}}),
        ("POST", "/parameters", {"files": {"text": (None, "3")}}),
        ("PUT", "/parameters/text", {"data": b"4", "headers": text}),
        ("POST", "/executionduration", {"data": {"EXECUTIONDURATION": "30"}}),
        ("POST", "/executionDuration", {"data": {"executionDuration": "40.0"}}),
        ("POST", "/destruction", {"data": {"DESTRUCTION": f"{day}T00:00:00.000000Z"}}),
        ("POST", "", {"params": {"destruction": day}}),
        ("POST", "/phase", {"data": {"PHASE": "HOLD"}}),
        ("POST", "/phase", {"data": {"PHASE": "RUN"}}),
    ):
        response = requests.request(method, job + path, allow_redirects=False, timeout=300, **sent)
        assert (response.status_code, response.headers.get("Location")) == (303, job), (path, response.text)
        assert response.content == b""
    reached(job, "COMPLETED")
    assert requests.get(f"{job}/parameters/text", timeout=300).text == "4"
    assert requests.get(f"{job}/executionduration", timeout=300).text == "40"
    gone = requests.delete(job, allow_redirects=False, timeout=300)
    assert (gone.status_code, gone.headers["Location"]) == (303, f"{server}/rest/dummy")


def test_control_parameters_ride_along_at_creation(server: str) -> None:
    """2.2.3.1: in form or query, in any case; runId is only given here."""
    day = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"  # one that has passed would have the job swept
    response = requests.post(
        f"{server}/rest/dummy",
        params={"executionduration": "7", "Phase": "RUN"},
        data={"RunId": "mine", "TEXT": "x", "Destruction": day},
        allow_redirects=False,
        timeout=300,
    )
    job = response.headers["Location"]
    assert reached(job, *ENDED) == "COMPLETED"
    root = document(job)
    found = {name: root.findtext(UWS + name) for name in ("runId", "executionDuration", "destruction")}
    assert found == {"runId": "mine", "executionDuration": "7", "destruction": f"{day}T00:00:00.000Z"}
    other = create(server, RUNID="first")
    assert change(other, RUNID="first", text="y").status_code == 303
    refused = change(other, RUNID="second", text="z")
    assert (refused.status_code, "RUNID" in refused.text) == (403, True)
    assert requests.get(f"{other}/parameters/text", timeout=300).text == "y"


def test_a_refused_change_changes_nothing(server: str) -> None:
    """2.1.11: all or nothing, also where control parameters and parameters come together."""
    job = create(server)
    before = requests.get(job, timeout=300).content
    for path, form in (
        ("", {"seconds": "x", "EXECUTIONDURATION": "5", "DESTRUCTION": "2999-01-01"}),
        ("/parameters", {"nothing": "1", "text": "new"}),
        ("", {"PHASE": "STOP", "text": "new"}),
        ("/executionduration", {"EXECUTIONDURATION": "-5"}),
        ("/executionduration", {"EXECUTIONDURATION": "long"}),
        ("/destruction", {"DESTRUCTION": "2999-01-01T00:00:00+02:00"}),
        ("/destruction", {"DESTRUCTION": "tomorrow"}),
        ("", {"ACTION": "STOP"}),
        ("/phase", {}),
    ):
        response = change(job + path, **form)
        assert response.status_code == 400, (path, form)
        assert response.text.strip()
    assert requests.get(job, timeout=300).content == before


def test_several_values_of_one_parameter_are_refused_by_name(server: str) -> None:
    """2.1.11: names count in any case, so that two spellings are one parameter."""
    sent = [("text", "a"), ("TEXT", "b")]
    response = requests.post(f"{server}/rest/dummy", data=sent, allow_redirects=False, timeout=300)
    assert response.status_code == 400
    assert response.text == "text: several values came, one is allowed\n"


# --- content that comes with the request -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"table": ("up.dat", b"\x00\xffbytes\r\n")},
        {"TABLE": (None, "param:Part"), "part": ("up.dat", b"\x00\xffbytes\r\n")},
        {"UPLOAD": (None, "table,param:part"), "PART": ("up.dat", b"\x00\xffbytes\r\n")},
        {"upload": (None, "TABLE,param:part;note,param:memo"), "part": ("up.dat", b"\x00\xffbytes\r\n"),
         "memo": (None, "x")},
    ],
    ids=["by name", "param:", "UPLOAD", "two by UPLOAD"],
)  # fmt: skip
def test_inline_content_is_served_at_the_parameter(
    server: str, fields: dict[str, tuple[str | None, bytes | str]], schema: etree.XMLSchema
) -> None:
    """2.2.3.1.1: byReference, the bytes themselves at /parameters/{name}; DALI: UPLOAD says the same."""
    if "memo" in fields:
        fields = {**fields, "memo": ("memo.txt", b"x")}
    address = f"{server}/rest/files?PHASE=RUN"
    response = requests.post(address, files=fields, allow_redirects=False, timeout=300)
    assert response.status_code == 303, response.text
    job = response.headers["Location"]
    root = document(job)
    schema.assertValid(root)
    parameter = root.find(f"{UWS}parameters/{UWS}parameter[@id='table']")
    assert parameter is not None
    assert (parameter.get("byReference"), parameter.text) == ("true", f"{job}/parameters/table")
    content = requests.get(str(parameter.text), timeout=300)
    assert content.content == b"\x00\xffbytes\r\n"
    assert content.headers["Content-Type"] == "application/octet-stream"
    assert requests.get(f"{job}/parameters/note", timeout=300).text == ("x" if "memo" in fields else "")
    reached(job, "COMPLETED")
    assert requests.get(f"{job}/results/result", timeout=300).content == b"\x00\xffbytes\r\n"


def test_a_reference_to_nothing_is_refused_by_name(server: str) -> None:
    """2.2.3.1.1: a reference must have come with the request."""
    for form in ({"table": "param:none"}, {"UPLOAD": "table,param:none"}, {"UPLOAD": "table"}):
        response = change(f"{server}/rest/files", **form)
        assert response.status_code == 400
        assert response.text.startswith(("table:", "UPLOAD:"))


def test_put_sets_one_parameter_from_the_body(server: str) -> None:
    """2.1.11: text or file, whatever its type; only while PENDING; only what the definition knows."""
    job = create(server, "files")

    def put(name: str, body: object, **headers: str) -> requests.Response:
        address = f"{job}/parameters/{name}"
        return requests.put(address, data=body, headers=headers, allow_redirects=False, timeout=300)

    for body, kind in (("grüße=1&x", "text/plain; charset=UTF-8"), ("a=b", "application/x-www-form-urlencoded")):
        assert put("NOTE", body.encode(), **{"Content-Type": kind}).status_code == 303
        assert requests.get(f"{job}/parameters/Note", timeout=300).content.decode() == body
    assert put("Note", b"").status_code == 303
    assert requests.get(f"{job}/parameters/Note", timeout=300).text == ""
    big = b"\x00\r\n\xfe" * 200_000
    assert put("table", iter([big[:100_000], big[100_000:]])).status_code == 303
    assert requests.get(f"{job}/parameters/table", timeout=300).content == big
    named = {"Content-Disposition": 'attachment; filename="../../x.fits"', "Content-Type": "application/fits"}
    assert put("table", b"SIMPLE", **named).headers["Location"] == job
    assert requests.get(f"{job}/parameters/table", timeout=300).content == b"SIMPLE"
    for name, body, headers, status in (
        ("nothing", b"x", {}, 404),
        ("Note", b"\xff", {}, 400),
        ("Note", b"a\x01b", {}, 400),
        ("table", b"x" * 8_000_001, {}, 413),
        ("Note", b"--b--", {"Content-Type": "multipart/form-data; boundary=b"}, 415),
    ):
        refused = put(name, body, **headers)
        assert refused.status_code == status, refused.text
        assert refused.text.count("\n") == 1
    assert requests.get(f"{job}/parameters/table", timeout=300).content == b"SIMPLE"
    assert change(f"{job}/phase", PHASE="RUN").status_code == 303
    reached(job, "COMPLETED")
    assert put("Note", b"late").status_code == 403


# --- phases ------------------------------------------------------------------------------------------------


def test_a_held_job_waits_for_another_run(server: str, tmp_path: Path) -> None:
    """2.1.3: HELD by PHASE=HOLD, from PENDING and from the queue; nothing starts it but RUN."""
    with running_server(tmp_path, max_running=1) as served:
        busy = create(served.url, seconds="600", PHASE="RUN")
        queued = create(served.url, PHASE="RUN")
        reached(busy, "EXECUTING")
        assert phase(queued) == "QUEUED"
        assert change(queued, PHASE="HOLD").status_code == 303
        pending = create(served.url)
        assert change(f"{pending}/phase", PHASE="HOLD").status_code == 303
        change(f"{busy}/phase", PHASE="ABORT")
        reached(busy, "ABORTED")
        time.sleep(0.3)
        for job in (queued, pending):
            assert phase(job) == "HELD"
            assert change(job, text="late").status_code == 403
            assert change(f"{job}/phase", PHASE="HOLD").status_code == 403
            assert b"HELD" in requests.get(job, params={"WAIT": "-1"}, timeout=300).content
            assert change(f"{job}/phase", PHASE="RUN").status_code == 303
            assert reached(job, *ENDED) == "COMPLETED"


def test_a_suspended_job_stops_with_all_its_processes(server: str) -> None:
    """2.1.3: SUSPENDED keeps everything and runs nothing; PHASE=RESUME lets it go on; ABORT ends it as ever."""
    job = create(server, "tree", PHASE="RUN")
    mark = ("UWS_JOB_ID", job[-32:])
    until(lambda: len(carrying(*mark)) == 6, what="six processes of the job")
    assert change(f"{job}/phase", PHASE="SUSPEND").headers["Location"] == job
    until(lambda: {state(pid) for pid in carrying(*mark)} == {"T"}, what="all of them stopped")
    assert phase(job) == "SUSPENDED"
    for form in ({"PHASE": "SUSPEND"}, {"PHASE": "RUN"}, {"PHASE": "HOLD"}, {"text": "x"}):
        assert change(job, **form).status_code == 403, form
    assert b"SUSPENDED" in requests.get(job, params={"WAIT": "-1"}, timeout=300).content
    assert change(f"{job}/phase", PHASE="RESUME").status_code == 303
    until(lambda: "T" not in {state(pid) for pid in carrying(*mark)}, what="all of them running")
    assert phase(job) == "EXECUTING"
    assert change(f"{job}/phase", PHASE="RESUME").status_code == 403
    change(f"{job}/phase", PHASE="SUSPEND")
    assert change(f"{job}/phase", PHASE="ABORT").status_code == 303
    assert reached(job, *ENDED) == "ABORTED"
    until(lambda: not carrying(*mark), what="no process left")


def test_the_time_limit_stands_still_while_a_job_is_suspended(server: str) -> None:
    """2.1.3, 2.1.7: the limit is 10 s; the job is there for longer, and completes."""
    job = create(server, "table", seconds="1", EXECUTIONDURATION="10", PHASE="RUN")
    until(lambda: carrying("UWS_JOB_ID", job[-32:]), what="its process")
    assert change(f"{job}/phase", PHASE="SUSPEND").status_code == 303
    time.sleep(10.2)
    assert change(f"{job}/phase", PHASE="RESUME").status_code == 303
    assert reached(job, *ENDED) == "COMPLETED"


def test_a_job_is_aborted_when_its_execution_duration_is_over(server: str) -> None:
    """2.1.7: ABORTED, with what it printed, and a reason."""
    job = create(server, seconds="30", EXECUTIONDURATION="1", PHASE="RUN")
    assert reached(job, *ENDED) == "ABORTED"
    root = document(job)
    assert root.findtext(f"{UWS}errorSummary/{UWS}message") == (
        "executionDuration: the job ran for its limit of 1 s and was ended"
    )
    assert [result.get("id") for result in root.iterfind(f"{UWS}results/{UWS}result")] == ["log"]
    spent = shown(root.findtext(f"{UWS}endTime")) - shown(root.findtext(f"{UWS}startTime"))
    assert spent.total_seconds() > 0.9


def test_a_deleted_job_leaves_no_process(server: str) -> None:
    """2.2.3.3: deleting ends what runs."""
    job = create(server, "tree", PHASE="RUN")
    mark = ("UWS_JOB_ID", job[-32:])
    until(lambda: len(carrying(*mark)) == 6, what="six processes of the job")
    assert requests.delete(job, allow_redirects=False, timeout=300).status_code == 303
    assert carrying(*mark) == []
    assert requests.get(job, timeout=300).status_code == 404


def test_commands_that_a_phase_does_not_allow_are_403(server: str, done: str) -> None:
    """2.2: 403 with the reason; the job stays as it is."""
    before = requests.get(done, timeout=300).content
    for command in ("RUN", "ABORT", "HOLD", "SUSPEND", "RESUME"):
        for address in (done, f"{done}/phase"):
            response = change(address, PHASE=command)
            assert response.status_code == 403
            assert "COMPLETED" in response.text
    assert change(f"{done}/executionduration", EXECUTIONDURATION="5").status_code == 403
    assert requests.get(done, timeout=300).content == before
    pending = create(server)
    assert change(pending, PHASE="SUSPEND").status_code == 403
    assert change(pending, PHASE="RESUME").status_code == 403


# --- waiting -----------------------------------------------------------------------------------------------


def test_wait_with_another_phase_returns_at_once(server: str) -> None:
    """2.2.1.2: WAIT holds only while the phase is the one that the client knows; only GET of the job waits."""
    job = create(server)
    for query in ("WAIT=3600&PHASE=QUEUED", "wait=-1&phase=EXECUTING", "WAIT=0", "PHASE=PENDING"):
        assert b"PENDING" in requests.get(f"{job}?{query}", timeout=300).content
    for path in ("/phase", "/parameters", "/results"):
        assert requests.get(f"{job}{path}?WAIT=3600", timeout=300).status_code == 200
    assert requests.head(f"{job}?WAIT=3600", timeout=300).status_code == 200
    for query in ("WAIT=soon", "WAIT=-2", "WAIT=1.5", "WAIT=", "WAIT=1&PHASE=DONE", "WAIT=99999999999999999999"):
        response = requests.get(f"{job}?{query}", timeout=300)
        assert response.status_code == 400, query
        assert response.text.startswith(("WAIT:", "PHASE:"))


def test_many_who_wait_are_told_of_each_change(server: str) -> None:
    """2.2.1.2: PENDING, then EXECUTING, then its end: every wait ends with the change, none before."""
    job = create(server, seconds="1")

    def waited(_: int) -> list[str]:
        phases = ["PENDING"]
        while phases[-1] in ("PENDING", "QUEUED", "EXECUTING"):
            query = {"WAIT": "-1", "PHASE": phases[-1]}
            phases.append(str(document(job, **query).findtext(f"{UWS}phase")))
        return phases

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(waited, number) for number in range(12)]
        time.sleep(0.5)
        assert not any(each.done() for each in waiting)
        change(f"{job}/phase", PHASE="RUN")
        for each in waiting:
            phases = each.result(300)
            assert phases[-1] == "COMPLETED"
            assert len(phases) == len(set(phases))  # no answer without a change


def test_a_wait_ends_when_the_job_is_deleted(server: str) -> None:
    """2.2.1.2: who waits for what is no more, is told so."""
    job = create(server)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, f"{job}?WAIT=-1", timeout=300)
        time.sleep(0.4)
        assert not waiting.done()
        requests.delete(job, allow_redirects=False, timeout=300)
        answer = waiting.result(300)
    assert answer.status_code == 404 or b"ABORTED" in answer.content
    assert requests.get(f"{job}?WAIT=-1", timeout=300).status_code == 404


# --- the list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2015", "2015-01-01T00:00:00"),
        ("20151026", "2015-10-26T00:00:00"),
        ("2015-10-26", "2015-10-26T00:00:00"),
        ("2015-10-26 09:00", "2015-10-26T09:00:00"),
        ("2015-10-26T09:15:35", "2015-10-26T09:15:35"),
        ("2015-10-26T09:15:35Z", "2015-10-26T09:15:35"),
        ("2015-10-26T09:15:35.123456Z", "2015-10-26T09:15:35.123"),
    ],
)
def test_after_takes_the_spellings_that_clients_use(server: str, after: str, expected: str) -> None:
    """2.2.2.1: all of them mean UTC; the same moment spelt in the future lets nothing through."""
    assert datetime.fromisoformat(expected).tzinfo is None
    job = create(server)
    assert listed(server, f"AFTER={after}&LAST=1") == [job]
    assert listed(server, f"AFTER={after.replace('2015', '2915')}") == []


@pytest.mark.parametrize(
    "wrong",
    [
        "AFTER=2015-26-10", "AFTER=sometext", "AFTER=", "AFTER=2015-10", "AFTER=12", "AFTER=2015-W01-1",
        "AFTER=2015-10-26T09:15:35%2B01:00", "AFTER=2015-10-26T09:15:35-01:00", "AFTER=2015-10-26T09:15:35+01:00",
        "AFTER=1445850935", "AFTER=%D9%A2%D9%A0%D9%A1%D9%A5", "AFTER=2015-10-26T25:00:00", "AFTER=NaN",
        "LAST=0", "LAST=-1", "LAST=1.5", "LAST=ten", "LAST=", "LAST=%D9%A1", "LAST=1e3",
        "PHASE=pending", "PHASE=DONE", "PHASE=", "PHASE=PENDING,ERROR", "PHASE=PENDING&PHASE=x", "NEWEST=1",
    ],
)  # fmt: skip
def test_other_filters_are_refused_by_name(server: str, wrong: str) -> None:
    """2.2.2.1: 400 with a sentence that names the filter."""
    response = requests.get(f"{server}/rest/dummy?{wrong}", timeout=300)
    assert response.status_code == 400, response.text[:200]
    assert response.text.startswith(wrong.partition("=")[0] + ":")
    assert response.text.count("\n") == 1


@pytest.mark.parametrize("after", ["0001", "9999", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00Z"])
def test_the_first_and_the_last_moment_are_times_too(server: str, after: str) -> None:
    """2.2.2.1: an AFTER at the end of the calendar is a filter like any other."""
    create(server)
    assert bool(listed(server, f"AFTER={after}&LAST=1")) == (after < "2000")


def test_after_is_strict_to_the_last_digit_shown(server: str) -> None:
    """2.2.2.1: strictly after the creation time that the job's own document shows."""
    job = create(server)
    created = str(document(job).findtext(f"{UWS}creationTime"))
    assert job not in listed(server, f"AFTER={created}")
    before = (shown(created) - timedelta(milliseconds=1)).isoformat().removesuffix("+00:00")
    assert job in listed(server, f"AFTER={before}")
    assert job in listed(server, f"AFTER={before}Z&PHASE=PENDING")
    assert job not in listed(server, f"AFTER={before}Z&PHASE=QUEUED")


def test_last_is_the_newest_first_after_the_other_filters(server: str) -> None:
    """2.2.2.1: PHASE (a union) and AFTER first, then the order, then LAST."""
    jobs = []
    for number in range(6):
        jobs.append(create(server, "files"))
        if number % 2:
            change(f"{jobs[-1]}/phase", PHASE="ABORT")
    assert listed(server, "LAST=4", "files") == jobs[:1:-1]
    assert listed(server, "PHASE=ABORTED&LAST=2", "files") == [jobs[5], jobs[3]]
    assert listed(server, "phase=ABORTED&last=3&PHASE=PENDING", "files") == [jobs[5], jobs[4], jobs[3]]
    created = str(document(jobs[2]).findtext(f"{UWS}creationTime"))
    assert listed(server, f"AFTER={created}&PHASE=PENDING&LAST=5", "files") == [jobs[4]]
    assert listed(server, "LAST=999999999", "files")[:6] == jobs[::-1]
    assert listed(server, "PHASE=PENDING&PHASE=PENDING&LAST=1", "files") == [jobs[4]]


def test_the_list_is_valid_and_says_of_each_job_what_the_schema_has(server: str, schema: etree.XMLSchema) -> None:
    """2.2.2.1, schema: jobref with id and href, and phase, runId, creationTime in that order."""
    job = create(server, RUNID="é<")
    content = requests.get(f"{server}/rest/dummy?LAST=1", timeout=300).content
    root = etree.fromstring(content)
    schema.assertValid(root)
    assert Jobs.from_xml(content).version == "1.1"
    (ref,) = root
    assert dict(ref.attrib) == {"id": job[-32:], f"{XLINK}type": "simple", f"{XLINK}href": job}
    assert [etree.QName(child).localname for child in ref] == ["phase", "runId", "creationTime"]
    assert ref.findtext(f"{UWS}creationTime") == document(job).findtext(f"{UWS}creationTime")


def test_lists_are_apart(server: str) -> None:
    """2.2.2: a job is in the list of its definition, and at no other address."""
    job = create(server, "files")
    assert job in listed(server, "", "files")
    assert job not in listed(server)
    assert requests.get(f"{server}/rest/dummy/{job[-32:]}", timeout=300).status_code == 404
    for name in ("nothing", "Dummy", "dummy%00", "%2E%2E%2Fdummy"):
        assert requests.get(f"{server}/rest/{name}", timeout=300).status_code == 404, name


# --- people ------------------------------------------------------------------------------------------------

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True), ("text/html", True), ("text/html;q=0.8, */*;q=0.1", True), ("TEXT/HTML, */*", True),
        ("*/*", False), (None, False), ("text/xml", False), ("application/xml, text/html", False),
        ("text/html;q=0, */*", False), (JAVA, False), ("text/html;q=.5, text/xml", False),
        ("text/html;q=x;;=,,;", True), (",;q=" + "." * 3000, False),
    ],
)  # fmt: skip
def test_a_browser_is_shown_a_page_and_everyone_else_xml(
    server: str, done: str, accept: str | None, page: bool
) -> None:
    """2.2.2: HTML by Accept; XML stays the default, also for Java, which names text/html without meaning it."""
    for address, people in ((f"{server}/rest/dummy", "/?definition=dummy"), (done, f"/jobs/{done[-32:]}")):
        response = requests.get(address, headers={"Accept": accept}, allow_redirects=False, timeout=300)
        assert response.headers["Vary"] == "Accept"
        if page:
            assert (response.status_code, response.headers["Location"]) == (303, server + people)
            shown_page = requests.get(address, headers={"Accept": accept}, timeout=300)
            assert shown_page.headers["Content-Type"].startswith("text/html")
        else:
            assert response.status_code == 200
            kind = "application/xml" if accept == "application/xml, text/html" else "text/xml"
            assert response.headers["Content-Type"] == f"{kind}; charset=UTF-8"


def test_the_style_sheet_shows_lists_and_jobs_as_tables(server: str, done: str) -> None:
    """2.2.2: the xml-stylesheet instruction names an XSLT that a browser may apply."""
    running = create(server, seconds="30", PHASE="RUN")
    until(lambda: b"Working" in requests.get(running, timeout=300).content, what="progress")
    for address, expected in (
        (f"{server}/rest/dummy?LAST=5", [running, running[-32:], "EXECUTING"]),
        (done, ["COMPLETED", "a run", "0123456789", f"{done}/results/result", "text/plain", "11 bytes"]),
        (running, ["EXECUTING", "1 of 5: Working"]),
    ):
        tree = etree.fromstring(requests.get(address, timeout=300).content).getroottree()
        (instruction,) = tree.xpath("/processing-instruction('xml-stylesheet')")
        assert instruction.get("type") == "text/xsl"
        sheet = requests.get(instruction.get("href"), timeout=300)
        assert sheet.headers["Content-Type"].partition(";")[0] in ("text/xsl", "text/xml", "application/xslt+xml")
        html = etree.XSLT(etree.fromstring(sheet.content))(tree)
        assert html.xpath("count(//table/tbody/tr)") >= 1
        assert html.xpath("string(//link/@href)") == f"{server}/static/style.css"
        text = etree.tostring(html, encoding="unicode", method="html")
        for piece in expected:
            assert piece in text, piece
    requests.delete(running, allow_redirects=False, timeout=300)


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "content", "span"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/11"),
        ("bytes=8-", 206, b"89\n", "bytes 8-10/11"),
        ("bytes=-3", 206, b"89\n", "bytes 8-10/11"),
        ("bytes=-300", 206, b"0123456789\n", "bytes 0-10/11"),
        ("bytes=0-0", 206, b"0", "bytes 0-0/11"),
        ("bytes=5-999999999999", 206, b"56789\n", "bytes 5-10/11"),
        ("bytes=11-", 416, None, "bytes */11"),
        ("bytes=99-100", 416, None, "bytes */11"),
        ("bytes=-0", 416, None, "bytes */11"),
        ("bytes=4-2", 200, b"0123456789\n", None),
        ("bytes=0-1,4-5", 200, b"0123456789\n", None),
        ("lines=1-2", 200, b"0123456789\n", None),
        ("bytes=x-", 200, b"0123456789\n", None),
    ],
)
def test_ranges_of_a_result(done: str, asked: str, status: int, content: bytes | None, span: str | None) -> None:
    """RFC 9110, 14: a range, the whole file where it cannot be served in part, 416 where there is nothing."""
    response = requests.get(f"{done}/results/result", headers={"Range": asked}, timeout=300)
    assert response.status_code == status
    assert response.headers.get("Content-Range") == span
    assert content is None or response.content == content


def test_a_result_that_the_client_has_is_not_sent_again(done: str) -> None:
    """RFC 9110, 13: If-None-Match in all its forms, If-Modified-Since only without it, If-Range."""
    address = f"{done}/results/result"
    first = requests.get(address, timeout=300)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    assert re.fullmatch(r'"[^"]+"', tag)
    later = "Fri, 31 Dec 2100 23:59:59 GMT"
    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"other", W/{tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": later}, 200),
        ({"If-Modified-Since": date}, 304),
        ({"If-Modified-Since": later}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"Range": "bytes=0-1", "If-Range": tag}, 206),
        ({"Range": "bytes=0-1", "If-Range": date}, 206),
        ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200),
    ):
        response = requests.get(address, headers=headers, timeout=300)
        assert response.status_code == status, headers
        assert response.headers["ETag"] == tag
        if status == 304:
            assert response.content == b""
    uploaded = requests.get(f"{done}/results/log", timeout=300)
    assert uploaded.headers["ETag"] != tag
    assert first.headers["Content-Security-Policy"] == "sandbox"
    assert first.headers["X-Content-Type-Options"] == "nosniff"


# --- sync ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sync_answers_with_the_main_result(server: str, method: str) -> None:
    """5: create and run, 303, wait, 303 to the result; the job stays in the list."""
    where = {"params": {"text": "now", "seconds": "0.4"}} if method == "GET" else {"data": {"text": "now"}}
    first = requests.request(method, f"{server}/rest/dummy/sync", allow_redirects=False, timeout=300, **where)
    assert first.status_code == 303
    job = first.headers["Location"].removesuffix("/sync")
    second = requests.get(first.headers["Location"], allow_redirects=False, timeout=300)
    assert (second.status_code, second.headers["Location"]) == (303, f"{job}/results/result")
    assert requests.request(method, f"{server}/rest/dummy/sync", timeout=300, **where).text == "now\n"
    assert job in listed(server)


def test_sync_waits_without_a_thread_and_tells_of_failure(server: str, votable_schema: etree.XMLSchema) -> None:
    """5, DALI 4.4: more at once than there are threads, while others are served; errors as asked for."""

    def sync(number: int) -> str:
        form = {"text": number, "seconds": "600", "EXECUTIONDURATION": "0"}
        answer = requests.get(f"{server}/rest/dummy/sync", params=form, timeout=300)
        return answer.text.strip()

    def active() -> list[str]:
        return listed(server, "PHASE=QUEUED&PHASE=EXECUTING")

    before = active()
    with ThreadPoolExecutor(24) as pool:
        answers = [pool.submit(sync, number) for number in range(24)]
        until(lambda: len(active()) == len(before) + 24, what="all have a job")
        assert requests.get(f"{server}/rest/dummy?LAST=1", timeout=300).status_code == 200
        assert not any(answer.done() for answer in answers), "the list came while all of them were held"
        for job in set(active()) - set(before):
            change(job, PHASE="ABORT")
        texts = [answer.result(300) for answer in answers]
    assert all(text.endswith("is ABORTED: it has no result") for text in texts)
    asked = {"responseformat": "votable", "fail": "1"}
    for query, form in ((asked, {}), ({}, asked), ({"RESPONSEFORMAT": "VOTable"}, {"fail": "1"})):
        failed = requests.post(f"{server}/rest/dummy/sync", params=query, data=form, timeout=300)
        assert failed.status_code == 400
        assert error_in(failed, votable_schema) == "fail: the job was asked to fail"
    refused = requests.get(f"{server}/rest/dummy/sync?seconds=x", timeout=300)
    assert (refused.status_code, refused.text.partition(":")[0]) == (400, "seconds")
    assert requests.get(f"{create(server)}/sync", timeout=300).status_code == 400


def test_head_makes_no_job(server: str) -> None:
    """RFC 9110, 9.2.1: HEAD is safe, also where GET is not."""
    before = listed(server)
    response = requests.head(f"{server}/rest/dummy/sync?text=x", timeout=300)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert listed(server) == before


# --- errors ----------------------------------------------------------------------------------------------------


def error_in(response: requests.Response, schema: etree.XMLSchema) -> str:
    """The sentence in a VOTable that says nothing else."""
    assert response.headers["Content-Type"].partition(";")[0] == "application/x-votable+xml"
    root = etree.fromstring(response.content)
    schema.assertValid(root)
    (info,) = root.iterfind("{*}RESOURCE[@type='results']/{*}INFO[@name='QUERY_STATUS']")
    assert info.get("value") == "ERROR"
    return str(info.text)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "named"),
    [
        ("POST", "/rest/dummy", {"data": {"seconds": "x"}}, 400, "seconds"),
        ("GET", "/rest/dummy?LAST=x", {}, 400, "LAST"),
        ("GET", "/rest/dummy", {"headers": {"Authorization": "Basic eDp5"}}, 401, "name and the token"),
        ("GET", "/rest/nothing", {}, 404, "nothing"),
        ("GET", f"/rest/dummy/{'0' * 32}", {}, 404, "0000"),
        ("POST", f"/rest/dummy/{'0' * 32}/phase", {"data": {"PHASE": "RUN"}}, 404, "0000"),
        ("GET", "/rest/dummy/%01%02%ff/x/y", {}, 404, "nothing at"),
        ("DELETE", "/rest/dummy", {}, 405, "DELETE"),
        ("PUT", "/rest/dummy", {"data": "x"}, 405, "PUT"),
        ("PATCH", "/capabilities", {}, 405, "PATCH"),
        ("POST", "/rest/dummy", {"data": b"x" * 8_000_001}, 413, "8 MB"),
        ("POST", "/rest/dummy", {"json": {"text": [["x"]]}}, 400, "text: ['x'] came; text, a number"),
        ("POST", "/rest/dummy", {"json": ["x"]}, 400, "the body: a JSON object"),
        ("POST", "/rest/dummy", {"data": "x", "headers": {"Content-Type": "text/xml"}}, 415, "text/xml"),
    ],
)
def test_errors_are_one_sentence_and_a_votable_where_one_was_asked_for(
    server: str,
    method: str,
    path: str,
    sent: dict[str, object],
    status: int,
    named: str,
    votable_schema: etree.XMLSchema,
) -> None:
    """2.2, DALI 4.4: the status, a sentence that says what came, Allow with 405, WWW-Authenticate with 401."""
    response = requests.request(method, server + path, timeout=300, **sent)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.text.count("\n") == 1
    assert named in response.text
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert ("Allow" in response.headers) == (status == 405)
    if status == 405:
        assert "GET" in response.headers["Allow"]
    if path != "/rest/dummy?LAST=x":  # the list takes filters only
        path += "?RESPONSEFORMAT=application/x-votable%2Bxml"
        asked = requests.request(method, server + path, timeout=300, **sent)
        assert asked.status_code == status
        assert error_in(asked, votable_schema)


def test_an_error_says_nothing_of_the_inside(server: str) -> None:
    """2.2: sentences for clients, without paths and tracebacks."""
    for path in ("/rest/dummy/../../etc/passwd", "/rest/%2e%2e%2f/x", "/store/x/y", f"/store/{'0' * 32}/%00"):
        text = requests.get(server + path, timeout=300).text
        assert "Traceback" not in text
        assert "/site-packages" not in text


def test_who_changes_what_another_has_changed_meanwhile_is_told_so(server: str, incoming: Path) -> None:
    """2.2: 409 for a slow client whose job was changed, or started, while its body was on the way."""
    for meanwhile, status in (({"Note": "mine"}, 409), ({"PHASE": "RUN"}, 409), ({}, 303)):
        job = create(server, "files")
        body = b'--b\r\nContent-Disposition: form-data; name="table"; filename="t"\r\n\r\n' + b"x" * 2_000_000
        body += b"\r\n--b--\r\n"
        address = urlsplit(job)
        with connected(job) as connection:
            head = f"POST {address.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            kind = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            connection.sendall((head + kind).encode() + body[:1_000_000])
            until(lambda: list(incoming.iterdir()), what="the server reads the file")
            if meanwhile:
                assert change(job, **meanwhile).status_code == 303
            connection.sendall(body[1_000_000:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
        if status == 409:
            assert b"meanwhile" in answer
            assert requests.get(f"{job}/parameters/table", timeout=300).status_code == 404


# --- time: bounds, destruction, restarts -----------------------------------------------------------------------


def test_durations_and_destruction_are_bounded(tmp_path: Path) -> None:
    """2.1.7, 2.1.8: the server may override what was asked for, and says what it granted; a rejected job is none."""
    with running_server(tmp_path, max_duration=100, keep_days=2, max_active=1) as served:
        latest = datetime.now(UTC) + timedelta(days=2)
        job = create(served.url, EXECUTIONDURATION="1000000", DESTRUCTION="2999-01-01")
        for asked, granted in (("50", "50"), ("50.0", "50"), ("0", "100"), ("101", "100"), ("999999999", "100")):
            assert change(f"{job}/executionduration", EXECUTIONDURATION=asked).status_code == 303
            assert requests.get(f"{job}/executionduration", timeout=300).text == granted
        for address, form in ((job, {"DESTRUCTION": "2999"}), (f"{job}/destruction", {"destruction": "2999-12-31"})):
            assert change(address, **form).status_code == 303
            destruction = shown(requests.get(f"{job}/destruction", timeout=300).text)
            assert abs(destruction - latest) < timedelta(minutes=1)
        soon = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
        change(f"{job}/destruction", DESTRUCTION=soon.isoformat().replace("+00:00", "Z"))
        assert shown(document(job).findtext(f"{UWS}destruction")) == soon
        create(served.url, seconds="600", PHASE="RUN")
        for path in ("", "/sync"):
            rejected = change(f"{served.url}/rest/dummy{path}", PHASE="RUN")
            assert rejected.status_code == 403
            assert "1 active jobs, 1 are allowed" in rejected.text
        assert len(listed(served.url)) == 2


class Lives:
    """A server that is killed and started again, at the same address, on the same data."""

    def __init__(self, data: Path, **settings: object) -> None:
        self._data = data
        self._served = start_server(data, **settings)
        self.url = self._served.url

    def kill(self) -> None:
        self._served.kill()

    def start(self, **settings: object) -> None:
        self.close()
        self._served = start_server(self._data, "--port", str(urlsplit(self.url).port), **settings)

    def close(self) -> None:
        self._served.stop()
        assert self._served.process.stdout is not None
        self._served.process.stdout.close()


def test_expired_jobs_are_swept_after_a_restart(tmp_path: Path, schema: etree.XMLSchema) -> None:
    """2.1.8, 2.1.3: ARCHIVED (metadata kept, results gone) or forgotten, by the configuration."""
    with contextlib.closing(Lives(tmp_path, destroyed="record")) as served:
        done = create(served.url, text="kept", RUNID="mine", PHASE="RUN")
        assert reached(done, *ENDED) == "COMPLETED"
        pending, other = create(served.url), create(served.url)
        for job in (done, pending):
            assert change(f"{job}/destruction", DESTRUCTION="2001-01-01T00:00:00Z").status_code == 303
        served.kill()
        served.start(destroyed="record")
        for job in (done, pending):
            reached(job, "ARCHIVED")
        assert listed(served.url) == [other]
        assert set(listed(served.url, "PHASE=ARCHIVED")) == {done, pending}
        assert set(listed(served.url, "PHASE=ARCHIVED&PHASE=PENDING")) == {done, pending, other}
        root = document(done)
        schema.assertValid(root)
        assert root.findtext(f"{UWS}parameters/{UWS}parameter[@id='text']") == "kept"
        assert root.findtext(f"{UWS}runId") == "mine"
        assert re.fullmatch(DATE, str(root.findtext(f"{UWS}endTime")))
        assert len(document(f"{done}/results")) == 0
        assert requests.get(f"{done}/results/result", timeout=300).status_code == 404
        assert requests.get(f"{done}/stdout", timeout=300).text == ""
        assert not list(tmp_path.rglob(f"*{done[-32:]}*"))
        for form in ({"PHASE": "ABORT"}, {"PHASE": "RUN"}, {"text": "x"}):
            assert change(done, **form).status_code == 403
        assert requests.get(done, params={"WAIT": "-1"}, timeout=300).status_code == 200
        assert requests.delete(done, allow_redirects=False, timeout=300).status_code == 303
        assert listed(served.url, "PHASE=ARCHIVED") == [pending]
        change(f"{other}/destruction", DESTRUCTION="2001")
        served.kill()
        served.start()
        until(lambda: requests.get(other, timeout=300).status_code == 404, what="the job forgotten")
        assert requests.get(pending, timeout=300).status_code == 200


def test_a_job_whose_supervisor_cannot_be_seen_is_unknown(tmp_path: Path, schema: etree.XMLSchema) -> None:
    """2.1.3: UNKNOWN while nobody can say (its supervisor is on another machine), and then what it is."""
    with contextlib.closing(Lives(tmp_path, program=HURRIED + PROGRAM)) as served:
        job = create(served.url, seconds="60", PHASE="RUN")
        reached(job, "EXECUTING")
        until(lambda: list(tmp_path.rglob("shepherd.json")), what="its supervisor")
        (claim,) = tmp_path.rglob("shepherd.json")
        here = claim.read_text()
        served.kill()
        claim.write_text(json.dumps({**json.loads(here), "host": "elsewhere", "boot": "another"}))
        served.start()
        reached(job, "UNKNOWN")
        schema.assertValid(document(job))
        assert listed(served.url, "PHASE=UNKNOWN") == [job]
        assert b"UNKNOWN" in requests.get(f"{job}?WAIT=-1", timeout=300).content
        assert change(job, PHASE="RUN").status_code == 403
        claim.write_text(here)
        reached(job, "EXECUTING")
        assert change(f"{job}/phase", PHASE="ABORT").status_code == 303
        assert reached(job, *ENDED) == "ABORTED"
