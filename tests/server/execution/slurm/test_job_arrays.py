"""Jobs of several parts on a real Slurm: their parts are the tasks of a job array."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from joblab import PARAMETERS, Lab, Remote, define
from processes import state, until
from slurmcluster import SlurmCluster, missing, running_slurm
from uws_server.config import Config, Slurm
from uws_server.execution.processes import descendants
from uws_server.execution.slurm.job import ClusterJob
from uws_server.execution.slurm.starter import SlurmStarter

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SPREAD = {"name": "word", "type": "string", "max_values": 40, "required": True, "spread": True}
WORK = """
echo "begin $word" >> "$track"
while [ "$gate" ] && [ ! -e "$gate" ]; do sleep 0.05; done
[ "$word" != bad ] || exit 3
echo "$word" > results/out.txt
echo "end $word" >> "$track"
"""
WAITS_TO_START = """#!/bin/sh
[ ! -e "{file}" ] || touch "{folder}/${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
while [ -e "{file}" ]; do sleep 0.05; done
"""
LOSES_THE_REPLY = """#!/bin/sh
if [ "$1" = --parsable ] && [ ! -e {once} ]; then
    touch {once}
    {sbatch} "$@" > {once}
    echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
    exit 1
fi
exec {sbatch} "$@"
"""


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as long as which is there the nodes start nothing, having noted beside it what they are to start."""
    file = tmp_path_factory.mktemp("prolog") / "wait"
    prolog = file.with_name("prolog")
    prolog.write_text(WAITS_TO_START.format(file=file, folder=file.parent), encoding="utf-8")
    prolog.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def cluster(starts: Path) -> Iterator[SlurmCluster]:
    more = f"MaxArraySize=21\nTaskProlog={starts.parent}/prolog"
    with running_slurm(more=more) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(running.conf))
        yield running


def make_lab(root: Path) -> Lab:
    made = Lab(root, "")
    define(made.definitions, "words", WORK, parameters=[SPREAD, *PARAMETERS], control={"memory": 100 << 20})
    place = define(
        made.definitions, "merged", WORK, parameters=[SPREAD, *PARAMETERS], gather="merge.sh",
        results=[{"name": "all", "file": "all.txt", "gathered": True}],
    )  # fmt: skip
    (place / "merge.sh").write_text("cat ../parts/*/results/out.txt > all.txt\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def lab(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = make_lab(tmp_path_factory.mktemp("arrays"))
    with made.serving(execution="slurm", squeue_interval=1, array_width=3):
        yield made
    made.close()


def run(lab: Lab, words: list[str], name: str = "words", **form: Any) -> Remote:
    return lab.create(name, PHASE="RUN", word=words, track=str(lab.track), **form)


def record(lab: Lab, job: Remote) -> dict[str, Any]:
    path = lab.folder(job) / "slurm.json"
    until(path.exists, what="the job was given to the cluster")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def parts(job: Remote) -> list[tuple[str, str]]:
    document = job.session.get(f"{job.url}/parts", timeout=300).json()
    return [(part["phase"], part["sentence"]) for part in sorted(document["parts"], key=lambda part: part["part"])]


def begun(lab: Lab, *words: str) -> None:
    until(lambda: all(f"begin {word}" in lab.tracked() for word in words), what=f"{words} run")


def listed(cluster: SlurmCluster, mark: str) -> list[list[str]]:
    """Id of the array, CPUs and state of each job with a comment."""
    lines = cluster.run("squeue", "-h", "-r", "-t", "all", "-o", "%F %C %T %k").splitlines()
    return [line.split()[:3] for line in lines if line.split()[3] == mark]


def states(cluster: SlurmCluster, array: int) -> list[str]:
    """The state of each task of an array."""
    lines = cluster.run("squeue", "-h", "-r", "-t", "all", "-o", "%F %T").splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == str(array)]


def held(cluster: SlurmCluster, array: int) -> bool:
    """Whether tasks of an array wait because they are held."""
    return "JobHeld" in cluster.run("squeue", "-h", "-t", "PENDING", "-j", str(array), "-O", "Reason:40", check=False)


def supervisor(lab: Lab, job: Remote, part: int) -> int:
    """The pid of the supervisor of a part; 0 as long as there is none."""
    claim = lab.folder(job) / f"parts/{part:04d}/shepherd.json"
    return int(json.loads(claim.read_text(encoding="utf-8"))["pid"]) if claim.exists() else 0


def still(lab: Lab, job: Remote) -> list[int]:
    """The parts all processes of whose scripts stand still."""
    pids = {part: supervisor(lab, job, part) for part in range(1, 6)}
    trees = {part: {process.state for process in descendants(pid)} for part, pid in pids.items() if pid}
    return [part for part, tree in trees.items() if {"T"} <= tree <= {"T", "Z"}]


def suspended(lab: Lab, cluster: SlurmCluster, word: str, **form: Any) -> tuple[Remote, int]:
    """A job of four parts, of which three stand still and one is held, and the number of its array."""
    job = run(lab, [f"{word}{number}" for number in range(1, 5)], **form)
    begun(lab, f"{word}1", f"{word}2", f"{word}3")
    until(lambda: job.phase() == "EXECUTING")
    job.post(PHASE="SUSPEND")
    array = int(record(lab, job)["array_id"])
    with telling(lab, cluster, job):
        until(lambda: still(lab, job) == [1, 2, 3], what="three parts stand still")
        until(lambda: held(cluster, array), what="the fourth one is held")
    return job, array


@contextmanager
def asking(lab: Lab, job: Remote) -> Iterator[ClusterJob]:
    """The job in the hands of this process, beside its server."""
    starter = SlurmStarter(Config(slurm=Slurm(squeue_interval=1)), lambda _: False)
    try:
        handle = starter.find(lab.folder(job))
        assert handle is not None
        yield handle
        handle.close()
    finally:
        starter.stop()


@contextmanager
def standing(lab: Lab) -> Iterator[None]:
    """The server stands still for the time of a block."""
    assert lab.served is not None
    os.kill(lab.served.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(lab.served.process.pid, signal.SIGCONT)


@contextmanager
def telling(lab: Lab, cluster: SlurmCluster, job: Remote) -> Iterator[None]:
    """What fails in a block says how the job, its parts, its processes and Slurm stood then."""
    try:
        yield
    except AssertionError as error:
        folder = lab.folder(job)
        error.add_note(f"phase: {job.phase()}, parts: {parts(job)}")
        error.add_note(f"processes: { {pid: state(pid) for pid in job.processes()} }")
        error.add_note(cluster.run("squeue", "-t", "all", "-o", "%i %F %K %T %r %k", check=False))
        for path in [folder / "slurm.json", folder / "parts.log", *sorted(folder.glob("parts/*/usage.json"))]:
            error.add_note(f"{path}: {path.read_text(encoding='utf-8') if path.exists() else 'is not there'}")
        raise


def test_each_part_is_a_task(lab: Lab, cluster: SlurmCluster) -> None:
    """Of one array, each with the cores of a part; the job itself gathers them afterwards."""
    job = run(lab, ["one", "two", "bad", "four", "five"], "merged")
    assert job.ended() == "COMPLETED", job.text("message")
    answer = job.session.get(f"{job.url}/results/all", timeout=300)
    assert answer.text == "one\ntwo\nfour\nfive\n"
    assert [phase for phase, _ in parts(job)] == ["COMPLETED", "COMPLETED", "ERROR", "COMPLETED", "COMPLETED"]
    assert job.document().findtext(".//{urn:uws-server:progress}warning") == "1 of 5 parts failed"
    found = listed(cluster, f"{job.id}.parts")
    assert len(found) == 5
    assert {cpus for _, cpus, _ in found} == {"1"}
    assert {array for array, _, _ in found} == {str(record(lab, job)["array_id"])}
    assert len(listed(cluster, job.id)) == 1
    assert "[STAGE 5/5]" in (lab.folder(job) / "job.log").read_text(encoding="utf-8")


def test_as_many_run_at_a_time_as_the_configuration_says_and_are_shown(lab: Lab, cluster: SlurmCluster) -> None:
    gate = lab.root / "wide"
    job = run(lab, [f"w{number}" for number in range(1, 6)], gate=str(gate))
    begun(lab, "w1", "w2", "w3")
    until(lambda: job.phase() == "EXECUTING", what="the job runs with its first part")
    assert job.text("startTime")
    until(lambda: [phase for phase, _ in parts(job)] == ["EXECUTING"] * 3 + ["QUEUED"] * 2)
    gate.touch()
    assert job.ended() == "COMPLETED"
    assert sorted(line for line in lab.tracked() if line.startswith("begin w")) == [f"begin w{n}" for n in range(1, 6)]


def test_abort_ends_all_tasks(lab: Lab, cluster: SlurmCluster) -> None:
    job = run(lab, ["a1", "a2", "a3", "a4"], gate=str(lab.root / "never"))
    begun(lab, "a1", "a2", "a3")
    until(lambda: job.phase() == "EXECUTING")
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"
    until(lambda: not job.processes(), what="nothing is left")
    assert "begin a4" not in lab.tracked()
    assert {phase for phase, _ in parts(job)} == {"ABORTED"}
    until(lambda: {row[2] for row in listed(cluster, job.id)} == {"CANCELLED"})


def test_suspended_parts_stand_still_and_none_begins(lab: Lab, cluster: SlurmCluster) -> None:
    gate = lab.root / "still"
    job = run(lab, ["s1", "s2", "s3", "s4"], gate=str(gate))
    begun(lab, "s1", "s2", "s3")
    until(lambda: job.phase() == "EXECUTING")
    job.post(PHASE="SUSPEND")
    with telling(lab, cluster, job):
        until(lambda: [state(pid) for pid in job.processes()].count("T") >= 3, what="their scripts stand still")
        assert job.phase() == "SUSPENDED"
        gate.touch()
        job.post(PHASE="RESUME")
        assert job.ended() == "COMPLETED"


def test_a_resumption_undoes_a_suspension_that_was_asked_for_again(lab: Lab, cluster: SlurmCluster) -> None:
    """The queue asks for it every few seconds: the last word holds, not how often each one was said."""
    gate = lab.root / "again"
    job = run(lab, ["t1", "t2"], gate=str(gate))
    begun(lab, "t1", "t2")
    with telling(lab, cluster, job), asking(lab, job) as handle:
        handle.suspend()
        until(lambda: still(lab, job) == [1, 2], what="both parts stand still")
        handle.suspend()
        handle.resume()
        until(lambda: still(lab, job) == [], what="both go on")
        gate.touch()
        assert job.ended() == "COMPLETED"


def test_parts_go_on_when_all_that_stood_still_were_ended(lab: Lab, cluster: SlurmCluster) -> None:
    """The one that is held begins, though no part is left that could be told to go on."""
    job, array = suspended(lab, cluster, "u", gate=str(lab.root / "never"))
    with telling(lab, cluster, job):
        cluster.run("scancel", *(f"{array}_{number}" for number in (1, 2, 3)))
        until(lambda: "RUNNING" not in states(cluster, array), what="no part runs")
        assert "begin u4" not in lab.tracked()
        job.post(PHASE="RESUME")
        begun(lab, "u4")
        (lab.root / "never").touch()
        assert job.ended() == "COMPLETED"
    (lab.root / "never").unlink()
    assert parts(job) == [("ABORTED", "it was ended on the cluster, not with the job")] * 3 + [("COMPLETED", "")]


def test_suspended_job_is_aborted_with_the_parts_that_are_held(lab: Lab, cluster: SlurmCluster) -> None:
    job, array = suspended(lab, cluster, "v", gate=str(lab.root / "never"))
    job.post(PHASE="ABORT")
    with telling(lab, cluster, job):
        assert job.ended() == "ABORTED"
        until(lambda: not job.processes(), what="nothing is left")
        until(lambda: not {"RUNNING", "PENDING"} & set(states(cluster, array)), what="no task is left")
    assert "begin v4" not in lab.tracked()


def test_a_part_that_was_just_starting_stands_still_too(lab: Lab, cluster: SlurmCluster, starts: Path) -> None:
    """Slurm runs it already, its supervisor does not listen yet: a signal would end it."""
    gate = lab.root / "starting"
    job = run(lab, ["x1", "x2", "x3", "x4"], gate=str(gate))
    begun(lab, "x1", "x2", "x3")
    until(lambda: job.phase() == "EXECUTING")
    array = record(lab, job)["array_id"]
    with telling(lab, cluster, job):
        starts.touch()
        cluster.run("scancel", f"{array}_1")
        until(lambda: (starts.parent / f"{array}_4").exists(), what="the node starts the fourth part")
        until(lambda: states(cluster, array).count("RUNNING") == 3, what="Slurm runs it")
        job.post(PHASE="SUSPEND")
        until(lambda: still(lab, job) == [2, 3], what="the others stand still")
        starts.unlink()
        until(lambda: still(lab, job) == [2, 3, 4], what="so does the one that starts")
        gate.touch()
        job.post(PHASE="RESUME")
        assert job.ended() == "COMPLETED"
    assert [phase for phase, _ in parts(job)] == ["ABORTED"] + ["COMPLETED"] * 3


def test_signals_that_come_late_are_put_right(lab: Lab, cluster: SlurmCluster) -> None:
    """Slurm passes a signal on after its answer, so that one may come after the next one."""
    gate = lab.root / "late"
    job = run(lab, ["y1", "y2"], gate=str(gate))
    begun(lab, "y1", "y2")
    until(lambda: job.phase() == "EXECUTING")
    with telling(lab, cluster, job):
        job.post(PHASE="SUSPEND")
        until(lambda: still(lab, job) == [1, 2], what="both parts stand still")
        job.post(PHASE="RESUME")
        until(lambda: still(lab, job) == [], what="both go on")
        with standing(lab):  # so that nothing is put right before it was seen
            os.kill(supervisor(lab, job, 1), signal.SIGUSR1)
            until(lambda: still(lab, job) == [1], what="the first part stands still once more")
        gate.touch()
        assert job.ended() == "COMPLETED"


def test_another_server_lets_parts_go_on_that_the_first_one_held(cluster: SlurmCluster, tmp_path: Path) -> None:
    made = make_lab(tmp_path)
    settings = {"execution": "slurm", "squeue_interval": 1, "array_width": 3}
    with made.serving(**settings) as served:
        job, _ = suspended(made, cluster, "z", gate=str(tmp_path / "gate"))
        served.kill()
    (tmp_path / "gate").touch()
    with made.serving(**settings):
        job = made.again(job)
        with telling(made, cluster, job):
            assert job.phase() == "SUSPENDED"
            job.post(PHASE="RESUME")
            assert job.ended() == "COMPLETED"
            assert [phase for phase, _ in parts(job)] == ["COMPLETED"] * 4
    made.close()


def test_what_an_operator_holds_stays_held(lab: Lab, cluster: SlurmCluster) -> None:
    """A job that was never suspended, taken over by another server, is told to go on: its tasks are not released."""
    gate = lab.root / "operator"
    job = run(lab, ["p1", "p2", "p3", "p4"], gate=str(gate))
    begun(lab, "p1", "p2", "p3")
    array = record(lab, job)["array_id"]
    cluster.run("scontrol", "hold", str(array), check=False)
    with telling(lab, cluster, job), asking(lab, job) as handle:
        handle.resume()
        for asked in (time.monotonic() for _ in range(2)):  # what a list lets be done is done before the next one
            until(partial(handle.is_known_since, asked), what="Slurm is asked for its list")
        gate.touch()
        until(lambda: states(cluster, array).count("COMPLETED") == 3, what="the others have ended")
        assert held(cluster, array)
        cluster.run("scontrol", "release", str(array), check=False)
        assert job.ended() == "COMPLETED"


def test_a_task_that_is_ended_from_outside_is_that_part_only(lab: Lab, cluster: SlurmCluster) -> None:
    """One is cancelled as it runs, one before it began, one is put back into the queue, and never runs twice."""
    gate = lab.root / "outside"
    job = run(lab, ["o1", "o2", "o3", "o4", "o5"], gate=str(gate))
    begun(lab, "o1", "o2", "o3")
    array = record(lab, job)["array_id"]
    cluster.run("scancel", f"{array}_1", f"{array}_5")
    cluster.run("scontrol", "update", f"jobid={array}_2", "requeue=1")
    cluster.run("scontrol", "requeue", f"{array}_2")
    until(lambda: "begin o4" in lab.tracked(), what="the place of the one that was ended is used")
    gate.touch()
    until(lambda: "end o4" in lab.tracked() and "end o3" in lab.tracked())
    cluster.run("scontrol", "update", f"jobid={array}_2", "starttime=now", check=False)
    assert job.ended(300) == "COMPLETED"
    outside = ("ABORTED", "it was ended on the cluster, not with the job")
    well = ("COMPLETED", "")
    assert parts(job) == [outside, outside, well, well, ("ABORTED", "the cluster did not run the part")]
    assert lab.tracked().count("begin o2") == 1


def test_a_part_whose_supervisor_is_killed(lab: Lab, cluster: SlurmCluster) -> None:
    gate = lab.root / "killed"
    job = run(lab, ["k1", "k2"], gate=str(gate))
    begun(lab, "k1", "k2")
    claim = json.loads((lab.folder(job) / "parts/0001/shepherd.json").read_text(encoding="utf-8"))
    os.kill(int(claim["pid"]), signal.SIGKILL)
    gate.touch()
    assert job.ended() == "COMPLETED"
    assert parts(job) == [("ERROR", "the supervisor of the part was killed"), ("COMPLETED", "")]


def test_more_parts_than_an_array_may_have_share_a_node(lab: Lab, cluster: SlurmCluster) -> None:
    """The cluster allows 20: it refuses the array, and the job runs as one of Slurm's."""
    job = run(lab, [f"m{number}" for number in range(25)])
    assert job.ended() == "COMPLETED"
    assert (record(lab, job)["array"], len(listed(cluster, f"{job.id}.parts"))) == ("", 0)
    assert listed(cluster, job.id)[0][1] == "3"
    told = cluster.run("scontrol", "-o", "show", "job", str(record(lab, job)["id"]))
    assert "MinMemoryNode=556M" in told, "that of three parts, and of their supervisors"


def test_failed_parts_run_again_as_an_array(lab: Lab, cluster: SlurmCluster) -> None:
    job = run(lab, ["one", "bad", "bad"])
    assert job.ended() == "COMPLETED"
    answer = job.session.post(f"{job.url}/parts/rerun", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    again = Remote(answer.headers["Location"], lab.session)
    assert again.ended() == "ERROR"
    assert len(listed(cluster, f"{again.id}.parts")) == 2


def test_the_lost_reply_for_an_array_is_found_by_its_mark(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, once = tmp_path / "programs", tmp_path / "once"
    programs.mkdir()
    script = programs / "sbatch"
    script.write_text(LOSES_THE_REPLY.format(once=once, sbatch=shutil.which("sbatch")), encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{Path(str(shutil.which('python3'))).parent}:/usr/bin:/bin")
    made = make_lab(tmp_path / "lab")
    with made.serving(execution="slurm", squeue_interval=1):
        job = run(made, ["l1", "l2"])
        assert job.ended() == "COMPLETED"
        assert record(made, job)["array_id"] == int(once.read_text(encoding="utf-8"))
        assert len(listed(cluster, f"{job.id}.parts")) == 2
        assert sorted(made.tracked()) == ["begin l1", "begin l2", "end l1", "end l2"]
    made.close()


def test_a_server_adopts_an_array_and_waits_for_a_controller(lab: Lab, cluster: SlurmCluster, tmp_path: Path) -> None:
    made = make_lab(tmp_path)
    gate = tmp_path / "gate"
    with made.serving(execution="slurm", squeue_interval=1) as served:
        job = run(made, ["c1", "c2", "c3"], gate=str(gate))
        begun(made, "c1", "c2", "c3")
        until(lambda: job.phase() == "EXECUTING")
        served.kill()
    with made.serving(execution="slurm", squeue_interval=1):
        job = made.again(job)
        assert job.phase() == "EXECUTING"
        cluster.stop_controller()
        gate.touch()
        until(lambda: sum(line.startswith("end") for line in made.tracked()) == 3)
        until(lambda: not requests.get(f"{made.served.url}/health/ready", timeout=300).json()["cluster"])  # type: ignore[union-attr]
        assert job.phase() == "EXECUTING"
        cluster.start_controller()
        assert job.ended() == "COMPLETED"
        assert [phase for phase, _ in parts(job)] == ["COMPLETED"] * 3
    made.close()
