"""What watches a server: /health without an account, /metrics for those who may, read by the official parser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as families

from accounts import account
from joblab import Lab
from postgres import Cluster
from processes import until
from serving import running_server
from uws_server.storage import migrate

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def figures(url: str) -> Figures:
    """All samples of a server, by name and labels."""
    answer = requests.get(f"{url}/metrics", timeout=300)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(answer.text)
        for sample in family.samples
    }


def one(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("watched"), module_database_url)
    with made.serving(max_running=1):
        yield made
    made.close()


def test_health_needs_no_account_and_tells_no_paths(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", anonymous="refused") as served:
        for path, told in (
            ("/health/live", {"live": True}),
            ("/health/ready", {"live": True, "ready": True, "database": True, "disk": True, "scheduler": True}),
            ("/health", {"live": True, "ready": True, "database": True, "disk": True, "scheduler": True}),
        ):
            answer = requests.get(served.url + path, timeout=300)
            assert (answer.status_code, answer.json()) == (200, told)
            assert answer.headers["Cache-Control"] == "no-store"
            assert str(tmp_path) not in answer.text
        assert requests.get(f"{served.url}/metrics", timeout=300).status_code == 200  # of this machine
        assert requests.get(f"{served.url}/", timeout=300).status_code == 401


def test_a_disk_below_its_reserve_is_not_ready(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", reserve=10**15) as served:
        answer = requests.get(f"{served.url}/health/ready", timeout=300)
        assert (answer.status_code, answer.json()["disk"], answer.json()["ready"]) == (503, False, False)
        assert requests.get(f"{served.url}/health/live", timeout=300).status_code == 200


def test_a_silent_database_is_not_ready_and_is_again(postgres: Cluster, tmp_path: Path) -> None:
    with postgres.lent_database() as url:
        migrate.upgrade(url)
        with running_server(tmp_path / "data", database=url) as served:
            assert requests.get(f"{served.url}/health", timeout=300).status_code == 200
            name = url.rpartition("/")[2].partition("?")[0].encode()
            connected = [pid for pid in _processes(b"postgres: ") if name in _command(pid)]
            assert connected, "the server has connections"
            # the one that would take new connections first
            stopped = [int((postgres.folder / "data/postmaster.pid").read_text().split()[0]), *connected]
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                answers = [requests.get(f"{served.url}/health", timeout=300) for _ in range(3)]
                assert [(answer.status_code, answer.json()["database"]) for answer in answers] == [(503, False)] * 3
                assert requests.get(f"{served.url}/health/live", timeout=300).status_code == 200
                found = figures(served.url)
                assert (one(found, "uws_database_answers"), one(found, "uws_scheduler_beats")) == (0, 1)
                assert one(found, "uws_disk_free_bytes") > 0
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
            until(lambda: requests.get(f"{served.url}/health", timeout=300).status_code == 200, what="it answers again")


def _processes(begin: bytes) -> list[int]:
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in found if _command(pid).startswith(begin)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_figures_are_those_of_the_jobs_that_ran(lab: Lab) -> None:
    assert lab.served is not None
    before = figures(lab.served.url)
    gate = lab.root / "gate"
    running = lab.run(label="first", gate=str(gate))
    until(lambda: running.phase() == "EXECUTING")
    until(lambda: one(figures(lab.served.url), "uws_running_jobs") == 1)  # type: ignore[union-attr]
    waiting = [lab.run(label=f"later{i}") for i in range(3)]
    failing = lab.run("fails")
    during = figures(lab.served.url)
    assert one(during, "uws_queue_length") == 4
    assert one(during, "uws_jobs", definition="track", phase="QUEUED") == 3
    assert one(during, "uws_jobs", definition="fails", phase="QUEUED") == 1
    assert one(during, "uws_jobs", definition="track", phase="EXECUTING") == 1
    assert (one(during, "uws_running_jobs"), one(during, "uws_running_jobs_limit")) == (1, 1)
    gate.touch()
    assert [job.ended() for job in (running, *waiting, failing)] == ["COMPLETED"] * 4 + ["ERROR"]
    until(lambda: one(figures(lab.served.url), "uws_running_jobs") == 0)  # type: ignore[union-attr]
    after = figures(lab.served.url)

    def grown(name: str, **labels: str) -> float:
        return one(after, name, **labels) - one(before, name, **labels)

    assert grown("uws_jobs_ended_total", definition="track", phase="COMPLETED") == 4
    assert grown("uws_jobs_ended_total", definition="fails", phase="ERROR") == 1
    assert grown("uws_jobs_started_total", definition="track") == 4
    for histogram in ("uws_job_wait_seconds", "uws_job_duration_seconds"):
        assert grown(f"{histogram}_count", definition="track") == 4
        assert grown(f"{histogram}_bucket", definition="track", le="+Inf") == 4
    took = [_seconds(job.text("startTime"), job.text("endTime")) for job in (running, *waiting)]
    assert grown("uws_job_duration_seconds_sum", definition="track") == pytest.approx(sum(took), abs=0.01)
    assert grown("uws_job_cpu_seconds_total", definition="track") > 0
    assert one(after, "uws_queue_length") == 0
    disk = os.statvfs(lab.data)
    free = disk.f_bavail * disk.f_frsize
    assert one(after, "uws_disk_free_bytes") == pytest.approx(free, rel=0.2)
    assert one(after, "process_resident_memory_bytes") > 10_000_000


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def test_processes_that_are_kept_warm_are_counted(lab: Lab) -> None:
    assert lab.served is not None
    url = lab.served.url
    assert lab.run("track").ended() == "COMPLETED"
    until(lambda: one(figures(url), "uws_warm_processes") >= 1, what="a warm process is kept")
    assert one(figures(url), "uws_warm_memory_bytes") > 1_000_000


def test_answers_are_counted_by_the_class_of_their_status(lab: Lab) -> None:
    assert lab.served is not None
    job = lab.create("track")
    before = figures(lab.served.url)
    for _ in range(7):
        job.document()  # in the event loop
    for _ in range(5):
        requests.get(f"{lab.served.url}/nothing", timeout=300)
    after = figures(lab.served.url)
    assert (
        one(after, "uws_http_requests_total", status="2xx") - one(before, "uws_http_requests_total", status="2xx") == 8
    )
    assert (
        one(after, "uws_http_requests_total", status="4xx") - one(before, "uws_http_requests_total", status="4xx") == 5
    )


def test_clients_that_wait_are_counted(lab: Lab) -> None:
    assert lab.served is not None
    url = lab.served.url
    job = lab.create("track")
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(requests.get, f"{job.url}?WAIT=60", timeout=300) for _ in range(3)]
        until(lambda: one(figures(url), "uws_waiting_clients") == 3, what="three clients wait")
        job.post(PHASE="ABORT")
        assert [wait.result().status_code for wait in waits] == [200] * 3
    until(lambda: one(figures(url), "uws_waiting_clients") == 0, what="nobody waits")


def test_a_request_that_came_through_a_proxy_is_not_of_this_machine(lab: Lab) -> None:
    assert lab.served is not None
    for name in ("X-Forwarded-For", "Forwarded"):
        answer = requests.get(f"{lab.served.url}/metrics", headers={name: "127.0.0.1"}, timeout=300)
        assert (answer.status_code, "admins, and programs on this machine" in answer.text) == (401, True)


@pytest.mark.parametrize(("setting", "nobody", "user"), [("local", 200, 200), ("admins", 401, 403), ("all", 200, 200)])
def test_who_may_read_the_figures(setting: str, nobody: int, user: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, metrics=setting) as served:
        admin, plain = account(data, "ada", "--admin"), account(data, "bob")
        asked = [None, plain, admin]
        statuses = [requests.get(f"{served.url}/metrics", auth=who, timeout=300).status_code for who in asked]
        assert statuses == [nobody, user, 200]
