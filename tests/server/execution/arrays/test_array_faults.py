"""What becomes of an array that is ended, stopped or loses a process: real processes, killed while they work."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import Lab, Remote, define
from processes import state, until
from uws_server.execution import local
from uws_server.execution.arrays import sharing
from uws_server.execution.arrays.plan import HELD_FILE
from uws_server.execution.processes import children

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
OUT = {"name": "out", "file": "out.txt", "mime": "text/plain"}
PARAMETERS = [SPREAD, {"name": "track", "type": "string"}, {"name": "gate", "type": "string"}]

# `track` notes in a file that all parts share when it began and ended; a child of another session outlives it
WORK = """
echo "begin $word" >> "$track"
setsid sleep 600 &
echo "$word" > out.txt
while [ ! -e "$gate/$word" ] && [ ! -e "$gate/all" ]; do sleep 0.05; done
echo "end $word" >> "$track"
"""


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path, database_url)
    define(made.definitions, "gated", WORK, parameters=PARAMETERS, results=[OUT])
    filling = "head -c 3000000 /dev/zero > results/zero; sleep 600"
    define(made.definitions, "filling", filling, parameters=[SPREAD], control={"disk": 1_000_000})
    yield made
    made.close()


def gated(lab: Lab, words: list[str], begun: int | None = None, **form: object) -> Remote:
    """A job whose first parts have begun."""
    (lab.root / "gate").mkdir(exist_ok=True)
    job = lab.create("gated", PHASE="RUN", word=words, track=str(lab.track), gate=str(lab.root / "gate"), **form)
    wanted = len(words) if begun is None else begun
    until(lambda: len(lab.tracked()) >= wanted, what=f"{wanted} parts have begun")
    return job


def let(lab: Lab, *words: str) -> None:
    for word in words:
        (lab.root / "gate" / word).touch()


def supervisor_of(lab: Lab, job: Remote) -> int:
    handle = local.find(lab.folder(job))
    assert handle is not None
    handle.close()
    return handle.pid


def driver_of(lab: Lab, job: Remote) -> int:
    (driver,) = children(supervisor_of(lab, job))
    return driver


def part_supervisor(lab: Lab, job: Remote, number: int) -> int:
    claim = lab.folder(job) / f"parts/{number:04d}/shepherd.json"
    return int(local.read_json(claim)["pid"])


def phases(lab: Lab, job: Remote) -> list[str]:
    document = job.session.get(f"{job.url}/parts", timeout=300).json()
    return [part["phase"] for part in sorted(document["parts"], key=lambda part: part["part"])]


def require_none_left(job: Remote) -> None:
    until(lambda: not job.processes(), what="no process of the job is left")


def test_a_part_whose_supervisor_is_killed_is_an_error_of_that_part(lab: Lab) -> None:
    with lab.serving():
        job = gated(lab, ["a", "b", "c"])
        os.kill(part_supervisor(lab, job, 2), signal.SIGKILL)
        until(lambda: "part 2 (b)" in (lab.folder(job) / "job.log").read_text(), what="the driver saw it")
        before = len(job.processes())
        let(lab, "all")
        assert job.ended() == "COMPLETED"
        assert phases(lab, job) == ["COMPLETED", "ERROR", "COMPLETED"]
        assert sorted(lab.tracked()) == ["begin a", "begin b", "begin c", "end a", "end c"]
        assert before < 12  # what the part left, in a session of its own, was ended with it
        require_none_left(job)


def test_a_part_that_cannot_be_begun_is_an_error_of_that_part_alike_wherever_it_is_told(lab: Lab) -> None:
    with lab.serving(max_running=1):
        job = gated(lab, ["a", "b"], begun=1)
        place = lab.folder(job) / "parts/0002"
        shutil.rmtree(place, ignore_errors=True)
        place.write_text("no folder can be made here")
        let(lab, "all")
        assert job.ended() == "COMPLETED"
        why = "the supervisor of the part could not be started"
        assert f"part 2 (b): {why}" in (lab.folder(job) / "job.log").read_text()
        document = job.session.get(f"{job.url}/parts", timeout=300).json()
        parts = {part["part"]: (part["phase"], part["sentence"]) for part in document["parts"]}
        assert parts == {1: ("COMPLETED", ""), 2: ("ERROR", why)}


def test_the_parts_of_a_driver_that_is_killed_end_with_it(lab: Lab) -> None:
    with lab.serving(max_running=2):
        job = gated(lab, ["a", "b", "c", "d"], begun=2)
        let(lab, "a")
        until(lambda: "end a" in lab.tracked() and "begin c" in lab.tracked(), what="a third part has begun")
        os.kill(driver_of(lab, job), signal.SIGKILL)
        assert job.ended() == "ERROR"
        assert "ended by signal 9: run the failed parts again" in job.text("message")
        assert phases(lab, job) == ["COMPLETED", "ERROR", "ERROR", "ABORTED"]
        assert "out_part1" in job.results()
        require_none_left(job)
        assert sorted(lab.tracked()) == ["begin a", "begin b", "begin c", "end a"]


def test_the_parts_of_a_supervisor_that_is_killed_end_with_it(lab: Lab) -> None:
    with lab.serving():
        job = gated(lab, ["a", "b"])
        os.kill(supervisor_of(lab, job), signal.SIGKILL)
        assert job.ended() == "ERROR"
        require_none_left(job)
        let(lab, "all")
        assert sorted(lab.tracked()) == ["begin a", "begin b"]


def test_a_server_that_is_killed_adopts_an_array(lab: Lab) -> None:
    with lab.serving(max_running=2) as served:
        job = gated(lab, ["a", "b", "c"], begun=2)
        served.kill()
    let(lab, "all")
    with lab.serving(max_running=2):
        job = lab.again(job)
        assert job.ended() == "COMPLETED"
        assert phases(lab, job) == ["COMPLETED"] * 3
        assert sorted(lab.tracked()) == sorted(f"{what} {word}" for what in ("begin", "end") for word in "abc")
        require_none_left(job)


def test_an_array_is_aborted_as_a_whole(lab: Lab) -> None:
    with lab.serving(max_running=2):
        job = gated(lab, ["a", "b", "c"], begun=2)
        job.post(PHASE="ABORT")
        assert job.ended() == "ABORTED"
        require_none_left(job)
        assert phases(lab, job) == ["ABORTED"] * 3
        assert sorted(lab.tracked()) == ["begin a", "begin b"]


def test_an_array_is_suspended_and_goes_on(lab: Lab) -> None:
    with lab.serving(max_running=2):
        job = gated(lab, ["a", "b", "c"], begun=2)
        job.post(PHASE="SUSPEND")
        assert job.phase() == "SUSPENDED"
        driver = driver_of(lab, job)
        until(lambda: all(state(pid) == "T" for pid in job.processes() if pid != supervisor_of(lab, job)))
        assert state(driver) == "T"
        let(lab, "all")
        time.sleep(0.3)
        assert sorted(lab.tracked()) == ["begin a", "begin b"]
        job.post(PHASE="RESUME")
        assert job.ended() == "COMPLETED"
        assert phases(lab, job) == ["COMPLETED"] * 3


def test_the_time_limit_is_that_of_the_whole(lab: Lab) -> None:
    with lab.serving(max_running=2):
        job = gated(lab, ["a", "b", "c"], begun=2, EXECUTIONDURATION=3)
        assert job.ended() == "ABORTED"
        assert "limit of 3 s" in job.text("message")
        require_none_left(job)
        assert phases(lab, job) == ["ABORTED"] * 3


def test_the_limit_of_the_disk_is_that_of_the_whole(lab: Lab) -> None:
    with lab.serving():
        job = lab.create("filling", PHASE="RUN", word=["a", "b"])
        assert job.ended() == "ERROR"
        assert "its limit of 1,000,000 bytes" in job.text("message")
        require_none_left(job)


@pytest.mark.parametrize("said", ["0 {huge} {message}", "{huge} 1 {message}", "-1 -1 {message}", "one two three"])
def test_what_a_job_writes_over_its_places_stops_no_other(lab: Lab, said: str) -> None:
    """A script that may write into the folder of its job can write there what its driver says."""
    define(lab.definitions, "quick", "echo done > out.txt", results=[OUT])
    with lab.serving(max_running=3):
        job = gated(lab, ["a", "b"])
        quick = lab.create("quick")

        def has_ended() -> bool:
            _, message = sharing.told(lab.folder(job))
            (lab.folder(job) / HELD_FILE).write_text(said.format(huge=10**30, message=message) + "\n")
            return quick.phase() == "COMPLETED"

        has_ended()
        quick.post(PHASE="RUN")
        until(has_ended, what="the other job has run in the place that is free")
        let(lab, "all")
        assert job.ended() == "COMPLETED"
