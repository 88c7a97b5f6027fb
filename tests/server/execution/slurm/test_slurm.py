"""Jobs on a real Slurm: the daemons of Debian's packages, booted for these tests, and a real server that uses them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from joblab import Lab, Remote, define
from processes import kill_all, state, until
from serving import running_server
from slurmcluster import SlurmCluster, missing, running_slurm
from uws_server.config import Config, Slurm
from uws_server.execution import sandbox
from uws_server.execution.slurm.starter import SlurmStarter

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    closed = "PartitionName=closed Nodes=ALL AllowAccounts=xray State=UP"
    with running_slurm(more=closed) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(running.conf))
        yield running


@pytest.fixture(scope="module")
def lab(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server whose jobs run on the cluster."""
    made = Lab(tmp_path_factory.mktemp("slurm"), "")
    wants: dict[str, dict[str, Any]] = {
        "here": {"execution": "local"},
        "nowhere": {"partition": "nope"},
        "closed": {"partition": "closed"},
        "huge": {"cpus": 99},
        "asking": {"cpus": 2, "memory": 300 << 20, "duration": {"default": 100, "max": 600}, "partition": "short"},
        "waits": {"partition": "down"},
    }
    for name, control in wants.items():
        define(made.definitions, name, "echo made > results/out.txt", control=control)
    define(made.definitions, "brief", "echo begun; sleep 600", control={"duration": {"default": 2, "max": 2}})
    define(made.definitions, "gentle", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    with made.serving(execution="slurm", squeue_interval=1):
        yield made
    made.close()


def record(lab: Lab, job: Remote) -> dict[str, Any]:
    """What the server noted of the place of a job on the cluster, once it did."""
    path = lab.folder(job) / "slurm.json"
    until(path.exists, what="the job was given to the cluster")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def asked(cluster: SlurmCluster, number: int) -> dict[str, str]:
    """What Slurm says of a job, by its names of things."""
    words = cluster.run("scontrol", "-o", "show", "job", str(number)).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def executing(lab: Lab, **form: Any) -> Remote:
    """A job whose script runs on the cluster, until it is ended."""
    job = lab.run(seconds="600", **form)
    until(lambda: job.processes() and job.phase() == "EXECUTING", what="the job runs")
    until(lambda: f"begin {form.get('label', 'one')}" in lab.tracked(), what="its script runs")
    return job


def supervisor(lab: Lab, job: Remote) -> int:
    """The pid of the supervisor of a job, wherever it was started: all nodes are on this machine."""
    return int(json.loads((lab.folder(job) / "shepherd.json").read_text(encoding="utf-8"))["pid"])


def test_job_runs_on_a_node(lab: Lab, cluster: SlurmCluster) -> None:
    """The same results and times as on this machine; Slurm has the job under its id, once."""
    job = lab.run("track", label="far", seconds="0.2")
    assert job.ended() == "COMPLETED"
    assert "out" in job.results()
    assert lab.tracked()[-2:] == ["begin far", "end far"]
    found = asked(cluster, record(lab, job)["id"])
    assert (found["Comment"], found["NumCPUs"], found["Requeue"]) == (job.id, "1", "0")
    assert job.text("startTime") and job.text("endTime")
    assert list(cluster.jobs()).count(job.id) == 1


def test_parameter_reaches_script_by_file(lab: Lab, cluster: SlurmCluster) -> None:
    """What sbatch's --export would cut at a comma, or a shell would read, comes as it was given."""
    odd = "a,b='c' \"d\" $HOME `id`\nnext"
    job = lab.run("track", label=odd)
    assert job.ended() == "COMPLETED"
    assert (lab.folder(job) / "results" / "out.txt").read_text(encoding="utf-8") == odd + "\n"


def test_environment_of_server_stays_there(lab: Lab, cluster: SlurmCluster) -> None:
    """Settings of the server, among them the password of a database, reach neither Slurm nor the node."""
    job = executing(lab, label="env")
    environment = Path(f"/proc/{supervisor(lab, job)}/environ").read_bytes()
    assert b"UWS_SERVER_" not in environment
    assert b"SLURM_JOB_ID=" in environment
    job.post(PHASE="ABORT")


def test_resources_become_options(lab: Lab, cluster: SlurmCluster) -> None:
    """Cores, memory with room for the supervisor, and the limit of time in whole minutes, with a margin."""
    job = lab.run("asking")
    assert job.ended() == "COMPLETED"
    found = asked(cluster, record(lab, job)["id"])
    assert found["Partition"] == "short"
    assert found["NumCPUs"] == "2"
    assert found["MinMemoryNode"] == "364M"
    assert found["TimeLimit"] == "00:03:00"


def test_definition_that_runs_here(lab: Lab, cluster: SlurmCluster) -> None:
    """A definition may say that its jobs run on the server."""
    job = lab.run("here")
    assert job.ended() == "COMPLETED"
    assert not (lab.folder(job) / "slurm.json").exists()
    assert job.id not in cluster.jobs()


def test_job_that_waits_is_queued(lab: Lab, cluster: SlurmCluster) -> None:
    """It waits: QUEUED, with Slurm's reason, and no start; it cannot be held, and an abort ends it at once."""
    job = lab.run("waits")
    until(lambda: "PartitionDown" in record(lab, job)["waits"], what="Slurm's reason is known")
    assert job.phase() == "QUEUED"
    assert job.text("startTime") == ""
    told = job.document().findtext(".//{urn:uws-server:progress}progress")
    assert told == "Waiting for the cluster: PartitionDown"
    page = requests.get(f"{lab.served.url}/jobs/{job.id}", timeout=300).text if lab.served else ""
    assert "Waiting for the cluster: PartitionDown" in page
    refused = job.post(PHASE="HOLD")
    assert refused.status_code == 403 and "waits on the cluster" in refused.text
    assert job.session.post(f"{job.url}/executionduration", data={"EXECUTIONDURATION": "5"}).status_code == 403
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"
    until(lambda: cluster.jobs()[job.id] == "CANCELLED", what="Slurm's job is cancelled")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "the cluster refused the job: Invalid partition name specified (asked for partition=nope, "),
        ("closed", "the cluster refused the job: Invalid account or account/partition combination specified"),
        ("huge", "the cluster refused the job: "),
    ],
)
def test_refusal_is_told(lab: Lab, cluster: SlurmCluster, name: str, sentence: str) -> None:
    job = lab.run(name)
    assert job.ended() == "ERROR"
    assert job.text("message").startswith(sentence)


def test_failure_of_script(lab: Lab, cluster: SlurmCluster) -> None:
    """Its own sentence is the reason, as it is on this machine."""
    job = lab.run("fails")
    assert job.ended() == "ERROR"
    assert job.text("message") == "radius: \ufffd came"


def test_time_limit_below_a_minute(lab: Lab, cluster: SlurmCluster) -> None:
    """Slurm knows no limit of two seconds: the supervisor keeps it."""
    job = lab.run("brief")
    assert job.ended() == "ABORTED"
    assert "executionDuration: the job ran for its limit of 2 s" in job.text("message")


def test_abort(lab: Lab, cluster: SlurmCluster) -> None:
    """The supervisor ends the script, and says so: what was made so far is kept, nothing is left on the node."""
    job = executing(lab, label="aborted")
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"
    assert json.loads((lab.folder(job) / "status.json").read_text())["reason"] == "abort"
    assert job.text("message") == ""
    assert "out" in job.results()
    until(lambda: not job.processes(), what="nothing is left")


def test_deaf_script_is_aborted(lab: Lab, cluster: SlurmCluster) -> None:
    job = lab.run("stubborn")
    until(lambda: len(job.processes()) > 2, what="its tree runs")
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"
    until(lambda: not job.processes(), what="nothing is left")


def test_suspend_reaches_supervisor(lab: Lab, cluster: SlurmCluster) -> None:
    """Every process of the script stands still, and goes on; that of the supervisor does not."""
    job = executing(lab, label="still")
    job.post(PHASE="SUSPEND")
    until(lambda: all(state(pid) == "T" for pid in job.processes()), what="the script stands still")
    assert job.phase() == "SUSPENDED"
    assert state(supervisor(lab, job)) != "T"
    job.post(PHASE="RESUME")
    until(lambda: all(state(pid) != "T" for pid in job.processes()), what="the script goes on")
    assert job.phase() == "EXECUTING"
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"


def test_cancelled_from_outside(lab: Lab, cluster: SlurmCluster) -> None:
    """Whatever exit code Slurm has for it: the job was cancelled, and not by us."""
    job = executing(lab, label="cancelled")
    cluster.run("scancel", str(record(lab, job)["id"]))
    assert job.ended() == "ABORTED"
    assert job.text("message") == "the job was cancelled on the cluster, not by this server"


def test_script_that_ends_well_when_it_is_told_to(lab: Lab, cluster: SlurmCluster) -> None:
    """Exit status 0 is no success of a job that the cluster ended, or put back into its queue."""
    cancelled, requeued = lab.run("gentle"), lab.run("gentle")
    for job in (cancelled, requeued):
        until(lambda job=job: len(job.processes()) > 1, what="its script runs")  # type: ignore[misc]
    cluster.run("scancel", str(record(lab, cancelled)["id"]))
    cluster.run("scontrol", "update", f"jobid={record(lab, requeued)['id']}", "requeue=1")
    cluster.run("scontrol", "requeue", str(record(lab, requeued)["id"]))
    assert (cancelled.ended(), requeued.ended()) == ("ABORTED", "ERROR")


def test_cancelled_from_outside_while_it_waits(lab: Lab, cluster: SlurmCluster) -> None:
    job = lab.run("waits")
    until(lambda: record(lab, job)["id"], what="Slurm has it")
    cluster.run("scancel", str(record(lab, job)["id"]))
    assert job.ended() == "ABORTED"
    assert job.text("message") == "the job was cancelled on the cluster, not by this server"
    assert job.text("startTime") == ""


def test_requeued_from_outside_runs_once(lab: Lab, cluster: SlurmCluster) -> None:
    """Slurm would run it a second time, over what the first one made: it is cancelled, and the job says why."""
    job = executing(lab, label="requeued")
    cluster.run("scontrol", "requeue", str(record(lab, job)["id"]), check=False)
    cluster.run("scontrol", "update", f"jobid={record(lab, job)['id']}", "requeue=1")
    cluster.run("scontrol", "requeue", str(record(lab, job)["id"]))
    assert job.ended() == "ERROR"
    assert "put it back into its queue" in job.text("message")
    until(lambda: cluster.jobs()[job.id] == "CANCELLED", what="Slurm's job is cancelled")
    assert lab.tracked().count("begin requeued") == 1


def test_supervisor_killed(lab: Lab, cluster: SlurmCluster) -> None:
    job = executing(lab, label="killed")
    os.kill(supervisor(lab, job), signal.SIGKILL)
    assert job.ended() == "ERROR"
    assert "the supervisor of the job was killed on node node" in job.text("message")
    until(lambda: not job.processes(), what="nothing is left")


def test_script_killed(lab: Lab, cluster: SlurmCluster) -> None:
    """A script that was killed may have used too much memory: Slurm is asked, and has not ended it."""
    job = executing(lab, label="script")
    kill_all([pid for pid in job.processes() if pid != supervisor(lab, job)])
    assert job.ended() == "ERROR"
    assert job.text("message") == "the script was ended by signal 9 and gave no reason"


def test_a_job_is_watched_by_the_handle_that_is_left(lab: Lab, cluster: SlurmCluster) -> None:
    """Who asks for it to end it, and closes its handle, takes nothing from a server that adopts it at that moment."""
    job = executing(lab, label="handles")
    starter = SlurmStarter(Config(slurm=Slurm(squeue_interval=1)), lambda _: False)
    try:
        first, adopted = starter.find(lab.folder(job)), starter.find(lab.folder(job))
        assert first is not None and adopted is not None
        first.close()
        until(lambda: adopted.started() is not None and adopted.listed, what="the other one learns of it")
        adopted.close()
        assert starter.jobs() == []
    finally:
        starter.stop()
    job.post(PHASE="ABORT")
    assert job.ended() == "ABORTED"


def test_server_adopts_jobs_of_cluster(lab: Lab, cluster: SlurmCluster) -> None:
    """One that runs, one that waits and one that ended meanwhile, after the server was killed."""
    assert lab.served is not None
    runs, ends, waits = executing(lab, label="adopted"), executing(lab, label="ended"), lab.run("waits")
    until(lambda: record(lab, waits)["id"], what="Slurm has it")
    lab.served.kill()
    kill_all([pid for pid in ends.processes() if pid != supervisor(lab, ends)])
    with lab.serving(execution="slurm", squeue_interval=1):
        runs, ends, waits = lab.again(runs), lab.again(ends), lab.again(waits)
        assert ends.ended() == "ERROR"
        assert (runs.phase(), waits.phase()) == ("EXECUTING", "QUEUED")
        for job in (runs, waits):
            job.post(PHASE="ABORT")
            assert job.ended() == "ABORTED"
    assert list(cluster.jobs()).count(runs.id) == 1


def test_calibration_files_are_seen_on_the_node(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is shut in, where this machine can, reads the server's folder of calibration files, and no other."""
    made = Lab(tmp_path / "lab", "")
    for name in ("calibration", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "XRT3_XPSF_0018.CCF").write_text(f"of {name}\n")
    monkeypatch.setenv("UWS_CALIBRATION", str(tmp_path / "calibration"))
    script = f'cat "$UWS_CALIBRATION"/*.CCF > results/out.txt; ls "{tmp_path}/hidden" >> results/out.txt; true'
    define(made.definitions, "calibrated", script)
    shut_in = not sandbox.obstacle()
    with made.serving(execution="slurm", squeue_interval=1, sandbox="all" if shut_in else "none"):
        job = made.run("calibrated")
        assert job.ended() == "COMPLETED"
        found = (made.folder(job) / "results" / "out.txt").read_text(encoding="utf-8").split("\n")
        assert found == (["of calibration", ""] if shut_in else ["of calibration", "XRT3_XPSF_0018.CCF", ""])
    made.close()


def test_two_servers_on_one_cluster(cluster: SlurmCluster, tmp_path: Path) -> None:
    """A job is submitted once, aborted through either server, and adopted by the one that is left."""
    made = Lab(tmp_path, "")
    settings = {"definitions": made.definitions, "execution": "slurm", "squeue_interval": 1, "max_jobs": 3}
    with running_server(made.data, **settings) as one, running_server(made.data, **settings) as other:
        made.served = one
        jobs = [made.run(label=f"two{number}", seconds="600") for number in range(4)]
        until(lambda: sum("begin two" in line for line in made.tracked()) == 4, what="all four run: two servers")
        made.served = other
        made.again(jobs[0]).post(PHASE="ABORT")
        assert jobs[0].ended() == "ABORTED"
        one.kill()
        for job in map(made.again, jobs[1:]):
            assert job.phase() == "EXECUTING"
            job.post(PHASE="ABORT")
            assert job.ended() == "ABORTED"
    comments = cluster.run("squeue", "-h", "-t", "all", "-o", "%k").split()
    assert [comments.count(job.id) for job in jobs] == [1] * 4
    made.close()
