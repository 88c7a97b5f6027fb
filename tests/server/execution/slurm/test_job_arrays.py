"""Jobs of several parts on a real Slurm: their parts are the tasks of a job array."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from joblab import PARAMETERS, Lab, Remote, define
from processes import state, until
from slurmcluster import SlurmCluster, missing, running_slurm

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SPREAD = {"name": "word", "type": "string", "max_values": 40, "required": True, "spread": True}
WORK = """
echo "begin $word" >> "$track"
while [ "$gate" ] && [ ! -e "$gate" ]; do sleep 0.05; done
[ "$word" != bad ] || exit 3
echo "$word" > results/out.txt
echo "end $word" >> "$track"
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
def cluster() -> Iterator[SlurmCluster]:
    with running_slurm(more="MaxArraySize=21") as running, pytest.MonkeyPatch.context() as patch:
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
    until(lambda: [state(pid) for pid in job.processes()].count("T") >= 3, what="their scripts stand still")
    assert job.phase() == "SUSPENDED"
    gate.touch()
    job.post(PHASE="RESUME")
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
