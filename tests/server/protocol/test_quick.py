"""Answers of the event loop beside those of the application: the same status, headers and bytes in every case."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from accounts import account
from answering import answer_of_application, scope_of
from processes import until
from serving import Served, running_server
from uws_server import app
from uws_server.asgi.shortcut import Answer
from uws_server.config import Config
from uws_server.protocol.uws import ATOMS
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uwsjobs import change, create, reached


@dataclass(frozen=True)
class Both:
    """One server's two ways to an answer, without a socket; `jobs` are the paths of some jobs by what they are."""

    served: Served
    services: Services
    at_once: Callable[[Any], Answer | None]
    jobs: dict[str, str]

    def fast(self, path: str, method: str = "GET", **headers: str) -> Answer | None:
        """The answer of the event loop."""
        return self.at_once(scope_of(self.services, path, method, headers))

    def fast_list(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """The answer of the event loop once the definitions have been read, which another request does."""
        answer: Answer | None = None
        while answer is None:
            self.services.library.look()
            answer = self.fast(path, method, **headers)
        return answer

    def slow(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """The answer of the application."""
        return answer_of_application(self.services, scope_of(self.services, path, method, headers))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    data = tmp_path_factory.mktemp("quick")
    ann = account(data, "ann")
    with running_server(data) as served:
        jobs = {
            "pending": create(served.url, text="a & b", RUNID="<run>"),
            "completed": create(served.url, PHASE="RUN"),
            "failed": create(served.url, fail="true", PHASE="RUN"),
            "running": create(served.url, seconds="600", EXECUTIONDURATION="0", PHASE="RUN"),
            "owned": requests.post(f"{served.url}/rest/dummy", auth=ann, allow_redirects=False, timeout=300).headers[
                "Location"
            ],
        }
        for name, phase in (("completed", "COMPLETED"), ("failed", "ERROR"), ("running", "EXECUTING")):
            reached(jobs[name], phase)
        until(lambda: b"Working" in requests.get(jobs["running"], timeout=300).content, what="the script runs")
        with closing(sqlite3.connect(data / "jobs.sqlite")) as database, database:
            database.execute("update jobs set share = ? where owner = 'ann'", ("5" * 32,))
        services = Services(Config.of(data=data), served.url, definitions_folder())
        at_once = app.at_once(services)
        yield Both(served, services, at_once, {name: job[len(served.url) :] for name, job in jobs.items()})
        services.store.close()
        change(f"{jobs['running']}/phase", PHASE="ABORT")


ACCEPTS = ["", "*/*", "text/xml", "application/xml", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]
QUERIES = [
    "",
    "?WAIT=0",
    "?WAIT=60",
    "?wait=-1&PHASE=PENDING",
    f"?share={'5' * 32}",
    f"?share={'5' * 32}&WAIT=9",
    "?x=%FC",
]


@pytest.mark.parametrize("name", ["pending", "completed", "failed", "running", "owned"])
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("query", QUERIES)
def test_both_ways_lead_to_the_same_answer(both: Both, name: str, accept: str, query: str) -> None:
    paths = [both.jobs[name], *(f"{both.jobs[name]}/{atom}" for atom in ATOMS)]
    statuses = []
    for path in paths:
        for method in ("GET", "HEAD"):
            slow = both.slow(path + query, method, accept=accept)
            for _ in range(2):  # the second time, of what was kept
                fast = both.fast(path + query, method, accept=accept)
                assert fast is not None
                assert fast == Answer(slow.status, slow.headers, slow.body if method == "GET" else fast.body)
                statuses.append(fast.status)
    if name == "owned" and "share" not in query:
        assert set(statuses) == {401}
    else:
        assert set(statuses[4:]) == {200}


@pytest.mark.parametrize("accept", [*ACCEPTS, "application/x-votable+xml"])
def test_both_ways_lead_to_the_same_refusal(both: Both, accept: str) -> None:
    pending, owned = both.jobs["pending"], both.jobs["owned"]
    is_page = accept.startswith("text/html")  # a person is led to the page before the query is read
    for path, status in (
        (owned, 401),
        (f"{owned}?share={'6' * 32}", 401),
        (f"{owned}/phase", 401),
        (pending.replace("dummy", "spectrum"), 404),
        (f"/rest/dummy/{'0' * 32}", 404),
        (f"/rest/dummy/{'0' * 32}?RESPONSEFORMAT=votable", 404),
        (f"{pending}?WAIT=soon", 303 if is_page else 400),
    ):
        fast = both.fast(path, accept=accept)
        assert fast == both.slow(path, accept=accept)
        assert fast is not None and fast.status == status


LISTS = [
    "LAST=1",
    "last=3&PHASE=PENDING",
    "LAST=100&PHASE=ERROR&PHASE=COMPLETED",
    "LAST=2&AFTER=2020-01-01",
    "LAST=9&LAST=0",
    "LAST=2&PHASE=SLEEPING",
    f"LAST=9&share={'5' * 32}",
    "LAST=5&RESPONSEFORMAT=votable",
]


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("query", LISTS)
@pytest.mark.parametrize("name", ["dummy", "spectrum", "nothing"])
def test_both_ways_lead_to_the_same_newest_jobs(both: Both, accept: str, query: str, name: str) -> None:
    path = f"/rest/{name}?{query}"
    for method in ("GET", "HEAD"):
        slow = both.slow(path, method, accept=accept)
        fast = both.fast_list(path, method, accept=accept)
        assert fast == Answer(slow.status, slow.headers, slow.body if method == "GET" else fast.body)
    if (name, accept, query) == ("dummy", "*/*", "LAST=1"):
        assert slow.status == 200 and fast.body.count(b"<uws:jobref ") == 1


def test_lists_that_may_be_long_are_left_to_a_thread(both: Both) -> None:
    for query in ("", "?PHASE=PENDING", "?LAST=101", "?LAST=99999"):
        both.fast_list("/rest/dummy?LAST=100")
        assert both.fast(f"/rest/dummy{query}") is None


def test_definitions_are_never_read_in_the_event_loop(both: Both) -> None:
    both.fast_list("/rest/dummy?LAST=1")
    until(lambda: not both.services.library.is_fresh(), what="the definitions may have changed")
    assert both.fast("/rest/dummy?LAST=1") is None
    assert both.slow("/rest/dummy?LAST=1").status == 200


def test_what_needs_a_thread_is_left_to_the_application(both: Both) -> None:
    pending = both.jobs["pending"]
    for path, headers, status in (
        (pending, {"host": f"evil.example:{urlsplit(both.served.url).port}"}, 403),
        (pending, {"authorization": "Basic Og=="}, 200),
        (pending, {"cookie": "a=b; uws_session=made-up"}, 200),
        (pending, {"content-length": "5"}, 200),
        (f"{pending}/parameters", {}, 200),
    ):
        assert both.fast(path, **headers) is None
        assert both.slow(path, **headers).status == status
    assert both.fast(pending, "POST") is None


def test_what_is_kept_is_the_job_as_it_is(both: Both) -> None:
    """Every change of the row is seen at once, whoever made it; a share link that was taken back shows nothing."""

    def document(path: str) -> bytes | None:
        answer = both.fast(path)
        return None if answer is None else answer.body

    url = create(both.served.url, text="before")
    path = url[len(both.served.url) :]
    assert b">before<" in (document(path) or b"")
    assert change(url, text="after").status_code == 303
    assert b">after<" in (document(path) or b"")
    assert change(url, EXECUTIONDURATION="7").status_code == 303
    assert b"Duration>7<" in (document(path) or b"")
    assert change(f"{url}/phase", PHASE="RUN").status_code == 303
    reached(url, "COMPLETED")
    assert document(path) == both.slow(path).body
    assert document(f"{path}/phase") == b"COMPLETED"
    shared = f"{both.jobs['owned']}?share={'5' * 32}"
    assert document(shared) is not None
    with closing(sqlite3.connect(both.services.config.folders.data / "jobs.sqlite")) as database, database:
        database.execute("update jobs set share = ? where owner = 'ann'", ("7" * 32,))
    assert b"belongs to an account" in (document(shared) or b"")
    with closing(sqlite3.connect(both.services.config.folders.data / "jobs.sqlite")) as database, database:
        database.execute("update jobs set share = ? where owner = 'ann'", ("5" * 32,))
    assert requests.delete(url, allow_redirects=False, timeout=300).status_code == 303
    assert b"it was deleted" in (document(path) or b"")


def test_a_log_that_grows_is_followed(both: Both, tmp_path: Path) -> None:
    path = both.jobs["running"]
    before = both.fast(path)
    log = next(both.services.config.folders.data.glob(f"**/{path[-32:]}/job.log"))
    with log.open("a", encoding="utf-8") as stream:
        stream.write("[STAGE 7/9] Thinking\n")
    fast = both.fast(path)
    assert fast is not None and before != fast
    assert b'n="7" m="9"' in fast.body and b">Thinking<" in fast.body
    with log.open("a", encoding="utf-8") as stream:
        stream.write("x\n" * 100_000 + "[STAGE 8/9] Thinking again\n")
    assert both.fast(path) is None, "much of it is unread"
    assert b"Thinking again" in both.slow(path).body
    again = both.fast(path)
    assert again is not None and b"Thinking again" in again.body


def test_a_job_of_many_results_is_left_to_a_thread(both: Both) -> None:
    url = create(both.served.url, PHASE="RUN")
    reached(url, "COMPLETED")
    path = url[len(both.served.url) :]
    assert both.fast(path) is not None
    with closing(sqlite3.connect(both.services.config.folders.data / "jobs.sqlite")) as database, database:
        rows = [(f"{number:032x}", url[-32:], number + 10, f"r{number}") for number in range(200)]
        database.executemany("insert into results values (?, ?, ?, ?, 'results/x', 'text/plain', 1, '', '')", rows)
        database.execute("update jobs set size = size + 200 where id = ?", (url[-32:],))  # as what ends a job does
    assert both.fast(path) is None
    assert both.slow(path).body.count(b"<uws:result ") > 200
