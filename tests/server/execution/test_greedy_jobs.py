"""Jobs that take all they can get: each ends in the phase that it earned, says why, and others are served meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from joblab import OUT, Lab, Remote, define
from processes import until
from uws_server.storage.plainfiles import size_of

# the bounds are for the machine that runs the tests, should a limit not hold
FORKS = """
import os, time
open("begun", "w").close()
for _ in range(3000):
    if os.fork() == 0:
        time.sleep(120)
        os._exit(0)
time.sleep(120)
"""
GROWS = """
import time
open("begun", "w").close()
kept = []
for _ in range(500):
    kept.append(bytearray(100_000_000))
"""
TOGETHER = """
import os, time
open("begun", "w").close()
for _ in range(8):
    if os.fork() == 0:
        kept = b"x" * 20_000_000
        time.sleep(120)
time.sleep(120)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("begun", "w").close()
time.sleep(600)
"""
SHELL = {
    "writes": "touch begun; head -c 100000000000 /dev/zero > results/large",
    "writes_many": "touch begun; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); head -c 99999 /dev/zero > $i; done",
    "prints": "touch begun; head -c 1000000000 /dev/zero | tr '\\0' x; echo made > results/out.txt",
    "closes": "touch begun; exec >&- 2>&-; sleep 1; exit 5",
    "removes": 'touch begun; sleep 1; rm -rf "$PWD"',
}
TOO_LARGE = "disk: the job wrote more than its limit of 20,000,000 bytes and was ended"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("greedy"), module_database_url)
    small = {"control": {"disk": 20_000_000}}
    for name, script in SHELL.items():
        define(made.definitions, name, script, results=[OUT] if name == "prints" else [], **small)
    define(made.definitions, "forks", FORKS, "python")
    define(made.definitions, "grows", GROWS, "python")
    define(made.definitions, "together", TOGETHER, "python", control={"memory": 100_000_000})
    define(made.definitions, "deaf", DEAF, "python")
    limits = {"max_processes": 300, "max_memory": "1 GB", "memory": "1 GB", "max_log": "1 MB", "max_running": 2}
    with made.serving(**limits):
        yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "phase", "message"),
    [
        ("forks", "ERROR", "processes: the job had more than 300 processes at a time; it was ended"),
        ("grows", "ERROR", "MemoryError; each process of the job may have 1,000,000,000 bytes of address space: "),
        ("together", "ERROR", "memory: the processes of the job held more than its 100,000,000 bytes of memory"),
        ("writes", "ERROR", TOO_LARGE),
        ("writes_many", "ERROR", TOO_LARGE),
        ("prints", "COMPLETED", ""),
        ("closes", "ERROR", "the script ended with status 5 and gave no reason"),
        ("removes", "ERROR", "the script removed the folder of its job"),
    ],
)
def test_each_ends_as_it_should_and_others_are_served(lab: Lab, name: str, phase: str, message: str) -> None:
    job = greedy(lab, name)
    assert lab.run(label="meanwhile").ended() == "COMPLETED"
    assert job.ended() == phase, job.text("message")
    assert job.text("message").startswith(message)
    require_nothing_left(lab, job)


def test_one_that_is_deaf_is_aborted(lab: Lab) -> None:
    job = greedy(lab, "deaf")
    job.post(PHASE="ABORT")
    assert lab.run(label="meanwhile").ended() == "COMPLETED"
    assert job.ended() == "ABORTED"
    require_nothing_left(lab, job)


def greedy(lab: Lab, name: str) -> Remote:
    """A job that has begun to take what it can get."""
    job = lab.run(name)
    until(lambda: (lab.folder(job) / "begun").exists() or job.phase() not in ("QUEUED", "EXECUTING"), what="it began")
    return job


def require_nothing_left(lab: Lab, job: Remote) -> None:
    until(lambda: not job.processes(), what="no process of the job is left")
    assert size_of(lab.folder(job)) < 1_000_000_000, "it was ended long before the 10 or 100 GB that it would write"
    assert lab.session.delete(job.url, allow_redirects=False, timeout=300).status_code == 303
    assert not lab.folder(job).exists()
