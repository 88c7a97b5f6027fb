"""What happens around a server while jobs run: its database is restarted or silent, the clock is set anew.

With UWS_SOAK=1 the database is silent for a minute, else for some seconds.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from joblab import SOAK, Lab
from postgres import Cluster, running_cluster
from processes import until
from uws_server.execution.processes import descendants

SILENT_S = 60 if SOAK else 8
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@pytest.fixture
def cluster(postgres: Cluster) -> Iterator[Cluster]:
    """A cluster of its own: others use that of all tests."""
    with running_cluster() as own:
        yield own


@contextmanager
def silent(cluster: Cluster) -> Iterator[None]:
    """Stop every process of a cluster for the time of a block: connections stay, and nothing answers."""
    main = int((cluster.folder / "data/postmaster.pid").read_text(encoding="ascii").split()[0])
    stopped = [main, *(each.pid for each in descendants(main))]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_database_that_is_silent_costs_no_job(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path, cluster.database())
    gate = tmp_path / "gate"
    with lab.serving() as served, ThreadPoolExecutor(20) as pool:
        running = [lab.run(gate=str(gate), label=f"runs{number}") for number in range(2)]
        until(lambda: len(lab.tracked()) == 2, what="both run")
        with silent(cluster):
            asked = [pool.submit(requests.get, f"{served.url}/rest/track", timeout=300) for _ in range(20)]
            gate.touch()
            until(lambda: len(lab.tracked()) == 4, what="both scripts end meanwhile")
            end = time.monotonic() + SILENT_S
            while time.monotonic() < end:
                live = requests.get(f"{served.url}/health/live", timeout=60)
                assert live.status_code == 200, "a load balancer does not restart it for that"
                time.sleep(0.5)
        assert {answer.result().status_code for answer in asked} <= {200, 503}
        assert [job.ended() for job in running] == ["COMPLETED"] * 2
        assert lab.run(label="after").ended() == "COMPLETED"
        assert "Traceback" not in served.log.read_text(encoding="utf-8")
    assert sorted(lab.tracked()) == sorted(f"{what} {name}" for what in ("begin", "end") for name in NAMES)
    lab.close()


NAMES = ("runs0", "runs1", "after")


def test_a_database_that_is_restarted_costs_no_job(cluster: Cluster, tmp_path: Path) -> None:
    """At once, as by a crash: what was committed is there, what was not is tried again."""
    lab = Lab(tmp_path, cluster.database())
    gate = tmp_path / "gate"
    with lab.serving() as served:
        running = [lab.run(gate=str(gate), label=f"runs{number}") for number in range(2)]
        until(lambda: len(lab.tracked()) == 2, what="both run")
        cluster.run("pg_ctl", "-D", f"{cluster.folder}/data", "-m", "immediate", "-w", "stop")
        answer = requests.get(f"{served.url}/rest/track", timeout=300)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert requests.get(f"{served.url}/health/ready", timeout=300).status_code == 503
        gate.touch()
        until(lambda: len(lab.tracked()) == 4, what="both scripts end meanwhile")
        options = f"-p {cluster.port} -h 127.0.0.1 -k {cluster.folder} -c max_connections=200"
        cluster.run(
            "pg_ctl", "-D", f"{cluster.folder}/data", "-w", "-l", f"{cluster.folder}/log", "-o", options, "start"
        )
        until(lambda: requests.get(f"{served.url}/health/ready", timeout=300).status_code == 200, what="it is ready")
        assert [job.ended() for job in running] == ["COMPLETED"] * 2
        assert lab.run(label="after").ended() == "COMPLETED"
        assert "Traceback" not in served.log.read_text(encoding="utf-8")
    assert sorted(lab.tracked()) == sorted(f"{what} {name}" for what in ("begin", "end") for name in NAMES)
    lab.close()


@pytest.mark.skipif(not FAKETIME.exists(), reason="no libfaketime: install the Debian package libfaketime")
@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_anew_ends_no_job_and_starts_none_late(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """The clock of server and jobs jumps by an hour: a job goes on, its limit is that of time that passes."""
    lab = Lab(tmp_path, database_url)
    with lab.serving():
        pass  # the definitions are kept: with libfaketime a server may find times of files that are none
    clock = tmp_path / "clock"
    clock.write_text("+0", encoding="ascii")
    faked = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1, "NO_FAKE_STAT": 1,
             "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1}  # fmt: skip
    for name, value in faked.items():
        monkeypatch.setenv(name, str(value))
    gate = tmp_path / "gate"
    with lab.serving(environment=",".join(faked)) as served:
        goes_on = lab.run(gate=str(gate), label="goes on", EXECUTIONDURATION="1000")
        begun = time.monotonic()
        limited = lab.run(gate=str(gate), label="limited", EXECUTIONDURATION="8")
        until(lambda: len(lab.tracked()) == 2, what="both run")
        clock.write_text(f"{hours * 3600:+d}", encoding="ascii")
        assert lab.run(label="after").ended() == "COMPLETED"
        ended, log = limited.ended(), served.log.read_text(encoding="utf-8")
        if ended == "ERROR" and "time.sleep" in log and "[Errno 22]" in log:
            pytest.skip("libfaketime let a sleep of the supervisor fail with EINVAL, as it does now and then")
        assert ended == "ABORTED", limited.text("message")
        assert time.monotonic() - begun > 8, "not at once, as the clock would have it"
        assert "limit of 8 s" in limited.text("message")
        assert goes_on.phase() == "EXECUTING", goes_on.text("message")
        gate.touch()
        assert goes_on.ended() == "COMPLETED"
        begin, end = (datetime.fromisoformat(goes_on.text(name)) for name in ("startTime", "endTime"))
        assert timedelta(0) < end - begin < timedelta(hours=1)
        assert requests.get(f"{served.url}/health/ready", timeout=300).status_code == 200
        assert "Traceback" not in served.log.read_text(encoding="utf-8")
    lab.close()
