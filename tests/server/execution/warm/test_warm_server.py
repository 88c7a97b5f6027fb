"""Servers whose jobs start from warm processes, with faults: nothing is lost, run twice, or left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import Lab, define
from processes import kill_all, state, until
from starts import FORKED, warm_processes

WAITS = (
    FORKED
    + """
import os, pathlib, time
with open(os.environ["track"], "a") as track:
    track.write("begin " + os.environ["label"] + "\\n")
while os.environ.get("gate") and not pathlib.Path(os.environ["gate"]).exists():
    time.sleep(0.02)
pathlib.Path("results/out.txt").write_text(os.environ["label"])
with open(os.environ["track"], "a") as track:
    track.write("end " + os.environ["label"] + "\\n")
"""
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, "")
    define(made.definitions, "waits", WAITS, "python", results=[{"name": "out", "file": "out.txt"}])
    yield made
    made.close()


def until_warm(lab: Lab) -> None:
    """Run jobs until one of them is a fork."""

    def forked() -> bool:
        job = lab.run("waits", label="warm up")
        assert job.ended() == "COMPLETED"
        return (lab.folder(job) / "stdout.log").read_text().startswith("forked")

    until(forked, what="a job is a fork")
    lab.track.unlink()


def test_a_restarted_server_finds_the_jobs_that_a_warm_process_started(lab: Lab, tmp_path: Path) -> None:
    """The server is killed, its warm process with it; the jobs go on, one is aborted by the next server."""
    gate = tmp_path / "gate"
    with lab.serving() as served:
        until_warm(lab)
        jobs = [lab.run("waits", gate=str(gate), label=f"job {number}") for number in range(3)]
        until(lambda: len(lab.tracked()) == 3, what="all have begun")
        pids = warm_processes(served.process.pid)
        served.kill()
    until(lambda: all(state(pid) in ("", "Z") for pid in pids), what="no warm process outlives its server")
    with lab.serving():
        again = [lab.again(job) for job in jobs]
        until(lambda: all(job.phase() == "EXECUTING" for job in again), what="they are found")
        again[2].session.post(f"{again[2].url}/phase", data={"PHASE": "ABORT"}, timeout=300)
        assert again[2].ended() == "ABORTED"
        gate.touch()
        assert [job.ended() for job in again[:2]] == ["COMPLETED"] * 2
    begun = [line for line in lab.tracked() if line.startswith("begin")]
    assert sorted(begun) == ["begin job 0", "begin job 1", "begin job 2"]


def test_warm_processes_killed_under_load_lose_no_job_and_run_none_twice(lab: Lab) -> None:
    with lab.serving(max_running=4) as served:
        until_warm(lab)
        jobs = []
        for number in range(40):
            jobs.append(lab.run("waits" if number % 2 else "track", label=f"job {number}"))
            if number % 8 == 3:
                kill_all(warm_processes(served.process.pid))
        assert [job.ended() for job in jobs] == ["COMPLETED"] * 40
        assert all(job.processes() == [] for job in jobs)
    begun = [line for line in lab.tracked() if line.startswith("begin")]
    assert sorted(begun) == sorted(f"begin job {number}" for number in range(40))


def test_a_warm_process_that_hangs_holds_up_no_job_for_long(lab: Lab) -> None:
    with lab.serving() as served:
        until_warm(lab)
        (pid,) = warm_processes(served.process.pid)
        os.kill(pid, signal.SIGSTOP)
        job = lab.run("waits", label="after")
        assert job.ended() == "COMPLETED"
        assert lab.tracked() == ["begin after", "end after"]
        until(lambda: state(pid) == "", what="it is gone")


def test_the_setting_and_the_server_s_end(lab: Lab) -> None:
    """Without it no process stays; with it none stays longer than the server."""
    with lab.serving(warm="false") as served:
        for _ in range(3):
            assert lab.run("waits", label="cold").ended() == "COMPLETED"
        assert warm_processes(served.process.pid) == []
    with lab.serving() as served:
        until_warm(lab)
        pids = warm_processes(served.process.pid)
        assert len(pids) == 1
    until(lambda: all(state(pid) == "" for pid in pids))


def test_a_job_finds_no_socket_and_no_database_of_the_server(lab: Lab) -> None:
    text = FORKED + "import os\nfor fd in sorted(os.listdir('/proc/self/fd')):\n    print(fd, end=' ')\n"
    define(lab.definitions, "looks", text + "print(open('/proc/self/environ').read())", "python")
    with lab.serving(publisher="ivo://secret.of/server"):
        until_warm(lab)
        job = lab.run("looks")
        assert job.ended() == "COMPLETED"
        printed = (lab.folder(job) / "stdout.log").read_text()
    assert printed.startswith("forked\n0 1 2 3 UWS_JOB_ID=")  # 3 is the folder that it looks at
    assert "ivo://secret.of" not in printed


def test_no_process_is_left_that_hangs_in_an_import_when_its_server_is_killed(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    hangs = "import os, time\nif os.getcwd() == '/': time.sleep(600)\n"
    (tmp_path / "site" / "hanging.py").write_text(hangs, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    define(lab.definitions, "hangs", "import hanging\n", "python")
    with lab.serving(environment="PYTHONPATH") as served:
        until_warm(lab)
        assert lab.run("hangs").ended() == "COMPLETED"
        pids = warm_processes(served.process.pid)
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGSTOP)  # not even this one can leave by itself
        served.kill()
    until(lambda: all(state(pid) in ("", "Z") for pid in pids), what="no process is left")


def test_a_script_that_puts_another_process_in_the_place_of_its_supervisor(lab: Lab) -> None:
    """A fork of the warm process kills its supervisor: the job ends, and nothing of it is left running."""
    text = "import os, signal, subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    define(lab.definitions, "kills", text + "os.kill(os.getppid(), signal.SIGKILL)\n", "python")
    with lab.serving():
        until_warm(lab)
        job = lab.run("kills")
        assert job.ended() == "ERROR"
        until(lambda: job.processes() == [])
        assert lab.run("waits", label="next").ended() == "COMPLETED"
