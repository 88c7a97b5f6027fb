"""Faults of a real Slurm: lost replies, a controller that is away, and, with UWS_SOAK=1, those that take long."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from joblab import SOAK, Lab, Remote, define
from processes import kill_all, until
from slurmcluster import SlurmCluster, missing, running_slurm

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
long = pytest.mark.skipif(not SOAK, reason="takes minutes: UWS_SOAK=1")

LOSES_THE_REPLY = """#!/bin/sh
if [ "$1" = --parsable ] && [ ! -e {once} ]; then
    touch {once}
    {sbatch} "$@" > {once}
    echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
    exit 1
fi
exec {sbatch} "$@"
"""


@contextmanager
def lab_on(cluster: SlurmCluster, root: Path, **settings: Any) -> Iterator[Lab]:
    """A server whose jobs run on a cluster."""
    made = Lab(root, "")
    define(made.definitions, "waits", "exit 0", control={"partition": "down"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        with made.serving(execution="slurm", squeue_interval=1, **settings):
            yield made
    made.close()


@pytest.fixture
def cluster() -> Iterator[SlurmCluster]:
    with running_slurm() as running:
        yield running


def running_job(lab: Lab, **form: Any) -> Remote:
    job = lab.run(**{"seconds": "600", "label": "fault", **form})
    until(lambda: job.phase() == "EXECUTING" and f"begin {form.get('label', 'fault')}" in lab.tracked(), what="it runs")
    return job


def record(lab: Lab, job: Remote) -> dict[str, Any]:
    path = lab.folder(job) / "slurm.json"
    until(path.exists, what="the job was given to the cluster")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def health(lab: Lab) -> dict[str, Any]:
    assert lab.served is not None
    answer = requests.get(f"{lab.served.url}/health/ready", timeout=300)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_lost_reply_is_found_again(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm took the job, and the answer was lost: it is found by its comment, and not submitted again."""
    programs = tmp_path / "programs"
    programs.mkdir()
    once = tmp_path / "once"
    script = programs / "sbatch"
    script.write_text(LOSES_THE_REPLY.format(once=once, sbatch=shutil.which("sbatch")), encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{Path(str(shutil.which('python3'))).parent}:/usr/bin:/bin")
    with lab_on(cluster, tmp_path / "lab") as lab:
        job = lab.run(label="lost")
        assert job.ended() == "COMPLETED"
        assert record(lab, job)["id"] == int(once.read_text(encoding="utf-8"))
        comments = cluster.run("squeue", "-h", "-t", "all", "-o", "%k").split()
        assert comments == [job.id]
        assert lab.tracked().count("begin lost") == 1


def test_controller_is_away(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Nothing is declared dead; what ends, ends with its own words; what comes, waits; what waits can be aborted."""
    with lab_on(cluster, tmp_path) as lab:
        stays, ends, waits = running_job(lab, label="stays"), running_job(lab, label="ends"), lab.run("waits")
        until(lambda: record(lab, waits)["id"], what="Slurm has the one that waits")
        assert health(lab)["cluster"] is True
        cluster.stop_controller()
        until(lambda: health(lab)["cluster"] is False, what="the server notices")
        assert health(lab)["ready"] is True
        assert "uws_cluster_answers 0.0" in requests.get(f"{lab.served.url}/metrics", timeout=300).text  # type: ignore[union-attr]
        kill_all([pid for pid in ends.processes() if pid != supervisor(lab, ends)])
        waits.post(PHASE="ABORT")
        assert waits.ended() == "ABORTED"
        comes = lab.run(label="comes")
        until(lambda: comes.phase() == "QUEUED", what="the new one waits")
        assert stays.phase() == "EXECUTING"
        cluster.start_controller()
        assert comes.ended() == "COMPLETED"
        assert ends.ended() == "ERROR"
        assert ends.text("message") == "the script was ended by signal 9 and gave no reason"
        assert stays.phase() == "EXECUTING"
        until(lambda: cluster.jobs()[waits.id] == "CANCELLED", what="Slurm hears of the abort")
        assert list(cluster.jobs()).count(comes.id) == 1
        stays.post(PHASE="ABORT")
        assert stays.ended() == "ABORTED"


def supervisor(lab: Lab, job: Remote) -> int:
    return int(json.loads((lab.folder(job) / "shepherd.json").read_text(encoding="utf-8"))["pid"])


@long
def test_controller_is_away_for_a_minute(cluster: SlurmCluster, tmp_path: Path) -> None:
    with lab_on(cluster, tmp_path) as lab:
        job = running_job(lab)
        cluster.kill("slurmctld")
        with pytest.raises(AssertionError, match="still not"):
            until(lambda: job.phase() != "EXECUTING", 70, "nothing changes", every=1)
        job.post(PHASE="ABORT")
        cluster.start_controller()
        assert job.ended() == "ABORTED"
        assert job.text("message") == ""


@long
def test_node_fails(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Its daemon and everything on it are gone: Slurm says so after a while, and so does the job."""
    with lab_on(cluster, tmp_path) as lab:
        job = running_job(lab)
        until(lambda: record(lab, job)["node"], 60, "it is known on which node it runs")
        node = record(lab, job)["node"]
        cluster.kill(node)
        cluster.kill_steps()
        kill_all([supervisor(lab, job), *job.processes()])
        assert job.ended() == "ERROR"
        assert f"node {node} of the cluster failed" in job.text("message")
        again = lab.run(label="again")
        assert again.ended() == "COMPLETED"


@long
def test_job_that_slurm_has_forgotten(tmp_path: Path) -> None:
    """It ended while the server was down for longer than Slurm remembers: its supervisor wrote how."""
    with running_slurm(more="MinJobAge=2") as cluster, lab_on(cluster, tmp_path) as lab:
        assert lab.served is not None
        gate = tmp_path / "gate"
        job = running_job(lab, seconds="0", gate=str(gate))
        lab.served.kill()
        gate.touch()
        until(lambda: job.id not in cluster.jobs(), what="Slurm has forgotten the job")
        with lab.serving(execution="slurm", squeue_interval=1):
            job = lab.again(job)
            assert job.ended() == "COMPLETED"
            assert "out" in job.results()


@long
def test_queue_of_cluster_is_full(tmp_path: Path) -> None:
    """Slurm takes no more than two: the others wait here, and every job runs once."""
    with running_slurm(more="MaxJobCount=3\nMinJobAge=2") as cluster, lab_on(cluster, tmp_path) as lab:
        jobs = [lab.run(label=f"full{number}", seconds="2") for number in range(6)]
        assert [job.ended(300) for job in jobs] == ["COMPLETED"] * 6
        assert sorted(line for line in lab.tracked() if "begin" in line) == [f"begin full{n}" for n in range(6)]


@long
def test_limit_of_time_of_cluster(cluster: SlurmCluster, tmp_path: Path) -> None:
    with lab_on(cluster, tmp_path) as lab:
        job = running_job(lab)
        cluster.run("scontrol", "update", f"jobid={record(lab, job)['id']}", "timelimit=1")
        assert job.ended() == "ABORTED"
        assert "executionDuration: the cluster ended the job" in job.text("message")


@long
def test_preempted(tmp_path: Path) -> None:
    more = (
        "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL\n"
        "PartitionName=urgent Nodes=ALL PriorityTier=100 DefMemPerCPU=100 PreemptMode=off State=UP"
    )
    with running_slurm(number=1, cpus=1, more=more) as cluster, lab_on(cluster, tmp_path) as lab:
        job = running_job(lab)
        cluster.run("sbatch", "-p", "urgent", "-o", "/dev/null", "--wrap", "sleep 1")
        assert job.ended() == "ERROR"
        assert "in favour of another one" in job.text("message")


@long
def test_out_of_memory(tmp_path: Path) -> None:
    """Slurm looks at the memory every second, and ends what has too much."""
    more = "JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=task=1\nJobAcctGatherParams=OverMemoryKill\n"
    with running_slurm(more=more) as cluster, lab_on(cluster, tmp_path, sbatch_options="--mem=50") as lab:
        define(lab.definitions, "hungry", "import time\nx = bytearray(10**9)\ntime.sleep(600)\n", "python")
        until(lambda: requests.get(f"{lab.served.url}/jdl/hungry", timeout=300).ok)  # type: ignore[union-attr]
        job = lab.run("hungry")
        assert job.ended() == "ERROR"
        assert "the job used more memory than it has on the cluster" in job.text("message")


CGROUPS = Path("/sys/fs/cgroup/memory")
BOUNDED = """CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
"""


@long
@pytest.mark.skipif(not os.access(CGROUPS, os.W_OK), reason="no control groups of memory can be made here (v1)")
def test_out_of_memory_by_control_groups(tmp_path: Path) -> None:
    """The kernel ends the script at the limit of its allocation, and leaves its supervisor."""
    more = "ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup\n"
    before = set(CGROUPS.parent.glob("*/slurm_node1"))
    with (
        running_slurm(number=1, more=more, cgroups=BOUNDED) as cluster,
        lab_on(cluster, tmp_path, sbatch_options="--mem=100") as lab,
    ):
        define(lab.definitions, "hungry", "x = bytearray(10**9)\nimport time\ntime.sleep(600)\n", "python")
        until(lambda: requests.get(f"{lab.served.url}/jdl/hungry", timeout=300).ok)  # type: ignore[union-attr]
        job = lab.run("hungry")
        assert job.ended() == "ERROR"
        assert "the job used more memory than it has on the cluster" in job.text("message")
        assert lab.run(label="next").ended() == "COMPLETED"
    for left in set(CGROUPS.parent.glob("*/slurm_node1")) - before:  # by a node that was killed
        for folder in sorted([left, *(path for path in left.rglob("*") if path.is_dir())], reverse=True):
            folder.rmdir()


@long
def test_spool_of_node_is_full(tmp_path: Path) -> None:
    """A node without room for the script of a job cancels it: that was nobody's wish, and the job says so."""
    with running_slurm(number=1) as cluster, cluster.full_spool("node1"), lab_on(cluster, tmp_path) as lab:
        job = lab.run(label="spool")
        assert job.ended() == "ERROR"
        assert "was cancelled on node node1 of the cluster at its start" in job.text("message")
        assert "begin spool" not in lab.tracked()


@long
def test_controller_loses_its_state(cluster: SlurmCluster, tmp_path: Path) -> None:
    """One that waited is submitted again; one that ran was ended by its node, and never runs twice."""
    with lab_on(cluster, tmp_path) as lab:
        runs, waits = running_job(lab, label="lost"), lab.run("waits")
        until(lambda: record(lab, waits)["id"], what="Slurm has the one that waits")
        cluster.lose_state()
        assert runs.ended() in ("ABORTED", "ERROR")
        assert runs.text("message")
        until(lambda: cluster.jobs().get(waits.id) == "PENDING", what="it is submitted again")
        assert waits.phase() == "QUEUED"
        assert record(lab, waits)["tries"] == 2
        waits.post(PHASE="ABORT")
        assert waits.ended() == "ABORTED"
        assert lab.tracked().count("begin lost") == 1
