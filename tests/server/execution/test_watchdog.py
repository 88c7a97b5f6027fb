"""Supervisors that do not do their work: they lose their place, and the job says what happened."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from joblab import Lab, define
from processes import state
from serving import HURRIED, PROGRAM
from uws_server.execution import local
from uws_server.execution.running import Running
from uws_server.execution.starter import ColdStarter
from uws_server.execution.watchdog import OVERDUE_S, Watchdog
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

# says that the server is its supervisor, whose parent that is, and ends the true one
FORGER = """
import json, os, pathlib
supervisor = os.getppid()
words = lambda pid: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
server = int(words(supervisor)[1])
boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
claim = {"pid": server, "start": words(server)[19], "boot": boot, "host": os.uname().nodename}
pathlib.Path("shepherd.json").write_text(json.dumps(claim))
os.kill(supervisor, 9)
"""


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path, database_url)
    define(made.definitions, "forger", FORGER, "python")
    define(made.definitions, "stops", "while kill -STOP $PPID; do sleep 0.1; done")
    define(made.definitions, "stops_once", "kill -STOP $PPID; sleep 1; echo made > results/out.txt")
    yield made
    made.close()


def test_a_script_that_stops_or_forges_its_supervisor_holds_no_place(lab: Lab) -> None:
    with lab.serving(program=HURRIED + PROGRAM, max_running=1, sandbox="trials") as server:
        jobs = {name: lab.run(name) for name in ("forger", "stops_once", "stops")}
        last = lab.run()
        assert jobs["forger"].ended() == "ERROR"
        assert "killed" in jobs["forger"].text("message")
        assert jobs["stops_once"].ended() == "COMPLETED"
        assert jobs["stops"].ended() == "ERROR"
        assert "the supervisor of the job was stopped again and again" in jobs["stops"].text("message")
        assert jobs["stops"].processes() == []
        assert last.ended() == "COMPLETED"
        assert server.process.poll() is None


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_supervisor_is_ended_long_after_the_limit_and_after_a_request_to_end(
    tmp_path: Path, database_url: str
) -> None:
    store, clock = JobStore(database_url), Clock()
    files = JobFiles(tmp_path)
    running = Running(store, files, ColdStarter())
    watchdog = Watchdog(store, files, running, 86400, clock)
    began = utcnow() - timedelta(days=1)
    names = ("limited", "unlimited", "suspended", "aborted")
    ids = {name: new_id() for name in names}
    # each has a script that does not end
    pids = {name: subprocess.Popen(["sh", "-c", "sleep 600; :"], start_new_session=True) for name in names}
    for name, job_id in ids.items():
        store.add(Job(job_id, "track", "1", Phase.PENDING, began, 10 if name in ("limited", "suspended") else 0))
        store.move(job_id, [Phase.PENDING], Phase.QUEUED, queued=began)
        store.move(
            job_id,
            [Phase.QUEUED],
            Phase.EXECUTING,
            started=utcnow() if name == "suspended" else began,
            server=store.server,
        )
        running.add(job_id, local.Handle(pids[name].pid, pids[name]))
    store.move(ids["suspended"], [Phase.EXECUTING], Phase.SUSPENDED)
    aborted = [ids["aborted"]]
    watchdog.look(aborted)
    clock.now += OVERDUE_S
    watchdog.look(aborted)
    assert not any(watchdog.given_up(job_id) for job_id in ids.values())
    clock.now += 11
    watchdog.look(aborted)
    for name, job_id in ids.items():
        given_up = watchdog.given_up(job_id)
        if name in ("limited", "aborted"):
            assert given_up is not None and given_up.phase is (Phase.ERROR if name == "limited" else Phase.ABORTED)
            assert pids[name].wait(300) == -9
        else:
            assert given_up is None and state(pids[name].pid) == "S"
        os.killpg(pids[name].pid, signal.SIGKILL)
        pids[name].wait()
        running.remove(job_id)
    store.close()
