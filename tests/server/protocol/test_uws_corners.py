"""Corners of the UWS resources over HTTP that strict readers of the standard and tired users get into."""

from __future__ import annotations

import gzip
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from processes import until
from serving import HURRIED, PROGRAM, Served, connected, running_server
from uws_server.protocol import control, cors
from uwsjobs import UWS, change, create, define, document, listed, phase, reached, write_definitions


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("corners")
    with running_server(folder / "data", definitions=write_definitions(folder / "definitions")) as server:
        yield server


@pytest.fixture
def server(served: Served) -> str:
    return served.url


def send(method: str, address: str, **what: object) -> requests.Response:
    """Send a request and do not follow."""
    return requests.request(method, address, allow_redirects=False, timeout=300, **what)  # type: ignore[arg-type]


# --- numbers, times and words ------------------------------------------------------------------------------


@pytest.mark.parametrize("many", ["2147483647", "9223372036854775807", "0000000000005"])
def test_numbers_larger_than_any_that_is_meant_are_numbers_all_the_same(server: str, many: str) -> None:
    """What Java and C call the largest number stands for 'as much as there is'."""
    job = create(server, EXECUTIONDURATION=many)
    granted = requests.get(f"{job}/executionduration", timeout=300).text
    assert int(granted) == min(int(many), 3600)
    assert job in listed(server, f"LAST={many}")
    assert send("GET", f"{job}?WAIT={many}&PHASE=EXECUTING").status_code == 200
    assert change(f"{job}/executionduration", EXECUTIONDURATION=many).status_code == 303


def test_an_empty_run_id_is_none(server: str) -> None:
    """A form sends the field that was left empty; runId is then left out (schema: it is not nillable)."""
    job = create(server, RUNID="")
    assert document(job).find(f"{UWS}runId") is None
    assert change(job, RUNID="").status_code == 303
    refused = change(job, RUNID="late")
    assert (refused.status_code, refused.text) == (
        403,
        f"RUNID: job {job[-32:]} was made without one, and that stays\n",
    )


def test_filters_that_come_twice_both_count(server: str) -> None:
    """2.2.2.1: filters are ANDed."""
    first = create(server)
    time.sleep(0.02)
    second = create(server)
    made = str(document(first).findtext(f"{UWS}creationTime"))
    assert listed(server, f"AFTER={made}&AFTER=2015")[-1] == listed(server, f"AFTER=2015&AFTER={made}")[-1] == second
    assert listed(server, "LAST=1&LAST=2") == listed(server, "LAST=2&LAST=1") == [second]


@pytest.mark.parametrize("name", ["destruction", "executionduration", "executionDuration"])
def test_a_control_resource_wants_its_own_parameter(server: str, name: str) -> None:
    """2.2.3: a POST that names nothing to change changes nothing, and is not told that it did."""
    job = create(server)
    for wrong in ({}, {"ACTION": "DELETE"}, {"PHASE": "RUN"}, {"text": "other"}):
        refused = change(f"{job}/{name}", **wrong)
        assert (refused.status_code, refused.text.partition(":")[0]) == (400, name.upper()), wrong
    assert phase(job) == "PENDING"
    assert requests.get(f"{job}/parameters/text", timeout=300).text == "hello"


# --- formats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/xml", "application/xml"), ("application/xml;q=0.9, */*;q=0.1", "application/xml"),
        ("text/xml", "text/xml"), ("application/xml, text/xml", "text/xml"), ("*/*", "text/xml"), (None, "text/xml"),
    ],
)  # fmt: skip
def test_xml_has_the_media_type_that_was_asked_for(server: str, accept: str | None, kind: str) -> None:
    """RFC 9110, 12.5.1; the validator of 2016 sends, and wants, application/xml."""
    job = create(server)
    for address in (f"{server}/rest/dummy?LAST=1", job, f"{job}/parameters", f"{job}/results"):
        response = requests.get(address, headers={"Accept": accept}, timeout=300)
        assert response.headers["Content-Type"] == f"{kind}; charset=UTF-8", address
        assert response.headers["Vary"] == "Accept"


def test_the_error_of_a_job_is_a_votable_where_one_is_asked_for(server: str) -> None:
    """DALI 1.1, 4.4: also at /error."""
    job = create(server, fail="1", PHASE="RUN")
    assert reached(job, "ERROR", "COMPLETED") == "ERROR"
    for how in ({"params": {"RESPONSEFORMAT": "votable"}}, {"headers": {"Accept": "application/x-votable+xml"}}):
        response = send("GET", f"{job}/error", **how)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/x-votable+xml")
        info = etree.fromstring(response.content).find("{*}RESOURCE/{*}INFO[@name='QUERY_STATUS']")
        assert info is not None
        assert (info.get("value"), info.text) == ("ERROR", "fail: the job was asked to fail")
    assert send("GET", f"{job}/error").headers["Content-Type"] == "text/plain; charset=UTF-8"


def test_the_page_of_a_filtered_list_is_filtered(server: str) -> None:
    people = {"Accept": "text/html"}
    for query, shown in (("PHASE=ERROR&LAST=3", "&phase=ERROR"), ("PHASE=ERROR&PHASE=ABORTED", ""), ("LAST=3", "")):
        response = send("GET", f"{server}/rest/dummy?{query}", headers=people)
        assert response.headers["Location"] == f"{server}/?definition=dummy{shown}"


def test_a_download_is_not_continued_from_another_file(server: str) -> None:
    """RFC 9110, 13.1.1 and 13.1.4: If-Match, and without it If-Unmodified-Since."""
    job = create(server, text="0123456789", PHASE="RUN")
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    result = f"{job}/results/result"
    tag = requests.get(result, timeout=300).headers["ETag"]
    past, future = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2100 23:59:59 GMT"
    for headers, status in (
        ({"If-Match": tag}, 206),
        ({"If-Match": "*"}, 206),
        ({"If-Match": f'"other", {tag}', "If-Unmodified-Since": past}, 206),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": f"W/{tag}"}, 412),
        ({"If-Unmodified-Since": future}, 206),
        ({"If-Unmodified-Since": past}, 412),
        ({"If-Unmodified-Since": "once"}, 206),
    ):
        response = requests.get(result, headers={"Range": "bytes=5-", **headers}, timeout=300)
        assert response.status_code == status, headers
        if status == 206:
            assert response.content == b"56789\n"


# --- requests ----------------------------------------------------------------------------------------------


def test_options_and_405_tell_every_method(server: str) -> None:
    """RFC 9110, 9.3.7 and 10.2.1: HEAD is there wherever GET is."""
    job = create(server)
    for address, allowed in (
        (f"{server}/rest/dummy", "GET, HEAD, POST"),
        (job, "DELETE, GET, HEAD, POST"),
        (f"{job}/phase", "GET, HEAD, POST"),
        (f"{job}/parameters/text", "GET, HEAD, PUT"),
        (f"{job}/results", "GET, HEAD"),
    ):
        told = send("OPTIONS", address)
        assert (told.status_code, told.headers["Allow"], told.text) == (204, allowed, "")
        refused = send("PATCH", address)
        assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)
    assert send("OPTIONS", f"{server}/nothing").status_code == 404


def test_a_post_that_brings_nothing_is_no_redirection_without_end(server: str) -> None:
    """What `curl -L -X POST` makes of the redirection that answers a change."""
    job = create(server)
    for address in (job, f"{job}/parameters"):
        refused = send("POST", address)
        assert (refused.status_code, refused.text.partition(":")[0]) == (400, "nothing came")
    assert send("POST", f"{job}?PHASE=RUN").status_code == 303, "a query string is something"


def test_what_dali_may_send_to_any_service_is_passed_over(server: str) -> None:
    job = create(server, MAXREC="10", version="1.1", REQUEST="doQuery", Lang="ADQL", text="hello")
    assert listed_parameters(job) == {"text", "seconds", "fail"}
    assert send("POST", f"{server}/rest/dummy", data={"MAXRECS": "1"}).status_code == 400


def listed_parameters(job: str) -> set[str]:
    return {str(each.get("id")) for each in document(job).iter(f"{UWS}parameter")}


def test_the_main_result_is_found_by_the_name_that_dali_gives_it(tmp_path: Path) -> None:
    script = "mkdir -p results; echo 1 > results/curve.txt; echo 2 > results/other.txt\n"
    define(tmp_path / "definitions", "curve", script, results=[{"name": "curve", "file": "curve.txt"}])
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        job = create(served.url, "curve", PHASE="RUN")
        reached(job, "COMPLETED")
        answer = send("GET", f"{job}/results/result")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{job}/results/curve")
        assert requests.get(f"{job}/results/result", timeout=300).text == "1\n"


def test_pages_of_other_sites_read_what_is_public_by_construction(server: str) -> None:
    job = create(server, PHASE="RUN")
    reached(job, "COMPLETED")
    store = document(job).xpath("string(//*[local-name()='result'][1]/@*[local-name()='href'])")
    links = requests.get(f"{server}/datalink", params={"ID": job}, timeout=300).text
    stored = re.search(rf"{server}/store/[0-9a-f]+/result.txt", links)
    assert store
    assert stored
    private = (f"{server}/rest/dummy", job, f"{server}/obscore", f"{server}/datalink?ID={job}")
    for address, shared in ((stored[0], True), (f"{server}/jdl/dummy", True), *((one, False) for one in private)):
        answer = send("GET", address, headers={"Origin": "https://example.org"})
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") == ("*" if shared else None), address
        assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = send(
        "OPTIONS", stored[0], headers={"Origin": "https://example.org", "Access-Control-Request-Headers": "range"}
    )
    assert (asked.status_code, "Range" in asked.headers["Access-Control-Allow-Headers"]) == (204, True)
    part = send("GET", stored[0], headers={"Range": "bytes=0-1", "Origin": "https://example.org"})
    assert "Content-Range" in part.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", ["/obscore", "/datalink", "/capabilities", "/availability"])
def test_tables_of_a_server_for_others_may_be_read_by_pages_of_others(path: str) -> None:
    assert ("Access-Control-Allow-Origin", "*") in cors.headers("GET", path, True)
    assert cors.headers("GET", path, False) == ()
    assert cors.headers("POST", path, True) == ()
    assert cors.headers("GET", f"{path}/x", True) == ()


def test_a_job_sent_to_a_page_is_told_where_jobs_are_made(server: str) -> None:
    refused = send("POST", f"{server}/jobs")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
    assert refused.text == "POST is not possible at /jobs: jobs are made at /rest/NAME, NAME that of a job definition\n"


def test_a_slash_too_many_is_told(server: str) -> None:
    for address in (f"{server}/rest/dummy/", f"{create(server)}/", f"{server}/rest/dummy/x/phase/"):
        response = send("GET", address)
        assert response.status_code == 404
        assert response.text.endswith("/: no address of this server ends with a slash\n")


def test_a_body_in_a_coding_that_is_not_read_is_refused(server: str) -> None:
    """RFC 9110, 15.5.16: 415, and neither garbage nor half of it becomes a value."""
    coded = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    job = create(server)
    for method, address in (("POST", f"{server}/rest/dummy"), ("POST", job), ("PUT", f"{job}/parameters/text")):
        response = send(method, address, data=gzip.compress(b"text=coded"), headers=coded)
        assert (response.status_code, response.text.partition(" came")[0]) == (415, "Content-Encoding 'gzip'")
    plain = {**coded, "Content-Encoding": "identity"}
    assert send("POST", f"{server}/rest/dummy", data="text=plain", headers=plain).status_code == 303


def test_a_file_without_a_name_is_not_dropped_unseen(server: str) -> None:
    """A browser sends an empty name, and nothing, for a field without a file: that alone is no file."""
    head = "Content-Type: multipart/form-data; boundary=b".partition(": ")
    form = '--b\r\nContent-Disposition: form-data; name="table"; filename=""\r\n\r\n{}\r\n--b--\r\n'
    sent = {"headers": {head[0]: head[2]}}
    assert send("POST", f"{server}/rest/files", data=form.format(""), **sent).status_code == 303
    refused = send("POST", f"{server}/rest/files", data=form.format("content"), **sent)
    assert (refused.status_code, refused.text.partition(":")[0]) == (400, "table")


# --- when the server fails ---------------------------------------------------------------------------------


def test_every_500_says_a_number_that_is_in_the_log(tmp_path: Path) -> None:
    """2.2: 500 for a server failure only; the list is streamed, and fails where nobody catches any more."""
    with running_server(tmp_path) as broken:
        job = create(broken.url)
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database:
            database.execute("ALTER TABLE jobs RENAME TO jobs_away")
            database.commit()
            for path in ("/rest/dummy", "/rest/dummy?LAST=5", job.removeprefix(broken.url), "/"):
                response = requests.get(broken.url + path, timeout=300)
                assert response.status_code == 500, path
                (number,) = re.findall(r"under the number ([0-9a-f]{8})\n", response.text)
                assert f"error {number} at GET {path.partition('?')[0]}" in broken.log.read_text()
            available = etree.fromstring(requests.get(f"{broken.url}/availability", timeout=300).content)
            assert available.findtext("{*}available") == "false"
            database.execute("ALTER TABLE jobs_away RENAME TO jobs")
            database.commit()
        available = etree.fromstring(requests.get(f"{broken.url}/availability", timeout=300).content)
        assert available.findtext("{*}available") == "true"
        assert phase(job) == "PENDING"


def test_a_job_that_ends_while_the_database_does_not_answer_is_not_lost(tmp_path: Path) -> None:
    """2.1.3: the phase tells what became of a job, also of one whose end could not be noted at once."""
    with running_server(tmp_path, program=HURRIED + PROGRAM) as broken:
        job = create(broken.url, seconds="3", PHASE="RUN", text="kept")
        reached(job, "EXECUTING")
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite", timeout=300)) as database:
            database.execute("ALTER TABLE jobs RENAME TO jobs_away")
            database.commit()
            until(lambda: "could not be registered" in broken.log.read_text(), what="the end of the job")
            time.sleep(3)  # longer than it takes to try a second time
            database.execute("ALTER TABLE jobs_away RENAME TO jobs")
            database.commit()
        assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
        assert requests.get(f"{job}/results/result", timeout=300).text == "kept\n"
        assert reached(create(broken.url, PHASE="RUN"), "COMPLETED", "ERROR") == "COMPLETED"


# --- clients that send no more ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status"),
    [("GET {job}", 200), ("GET {job}?x=1", 200), ("GET {job}/results", 200), ("GET {list}", 200), ("GET /jobs", 200),
     ("POST {list}", 303), ("DELETE {job}", 303)],
)  # fmt: skip
def test_a_client_that_ends_its_side_after_a_whole_request_is_answered(server: str, asked: str, status: int) -> None:
    """Whichever way its answer is made: in the event loop, in a thread, or where others wait for a change."""
    method, _, place = asked.partition(" ")
    address = urlsplit(place.format(job=create(server), list=f"{server}/rest/dummy") if "{" in place else place)
    target = f"{address.path}?{address.query}" if address.query else address.path
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    with connected(server) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert len(body) == int(re.findall(rb"content-length: (\d+)", head)[0])


@pytest.mark.parametrize("text", ["-1", "301", "3600", "9223372036854775807"])
def test_no_request_waits_longer_than_five_minutes(text: str) -> None:
    """pyvo asks for as long as possible, and gives a request up after ten minutes without an answer."""
    assert control.asked_wait({"WAIT": text}) == 300
