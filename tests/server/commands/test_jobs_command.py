"""The command `uws-server jobs` beside a running server: it hears of what the command changes, in either database."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import requests

from accounts import account
from joblab import Lab, Remote
from processes import until
from serving import COMMAND, run_command


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("operated"), module_database_url)
    with made.serving(max_running=1):
        yield made
    made.close()


@pytest.fixture
def lab(shop: Lab) -> Iterator[Lab]:
    yield shop
    told(shop, "undrain")


def ran(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    config = lab.root / "server.toml"
    config.write_text(f"[folders]\ndata = {str(lab.data)!r}\ndatabase = {lab.database!r}\n", encoding="utf-8")
    return run_command("jobs", words[0], "--config", str(config), *words[1:])


def told(lab: Lab, *words: str) -> str:
    done = ran(lab, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(lab: Lab, *words: str) -> list[str]:
    return [json.loads(line)["id"] for line in told(lab, "list", "--json", *words).splitlines()]


def page(lab: Lab, place: str) -> str:
    assert lab.served is not None
    return requests.get(f"{lab.served.url}{place}", timeout=300).text


def running(lab: Lab, gate: str) -> Remote:
    job = lab.run(gate=str(lab.root / gate))
    until(lambda: job.phase() == "EXECUTING")
    return job


def test_jobs_are_listed_by_phase_definition_owner_and_number(lab: Lab) -> None:
    assert lab.served is not None
    jobs = [lab.create("track").id for _ in range(3)]
    failed = lab.run("fails")
    assert failed.ended() == "ERROR"
    assert listed(lab, "--phase", "error") == [failed.id]
    assert listed(lab, "--phase", "PENDING", "--definition", "track")[:3] == jobs[::-1]
    assert listed(lab, "--last", "2") == [failed.id, jobs[2]]
    assert listed(lab, "--owner", "nobody-of-that-name") == []
    assert listed(lab, "--owner", "", "--last", "1") == [failed.id]
    line = told(lab, "list", "--last", "1")
    assert line.split()[:2] == [failed.id, "ERROR"]
    ann = account(lab.data, "ann", "--config", str(lab.root / "server.toml"))
    job = requests.post(f"{lab.served.url}/rest/track", auth=ann, timeout=300, allow_redirects=False)
    assert listed(lab, "--owner", "ann") == [job.headers["Location"].rpartition("/")[2]]


def test_a_running_and_a_queued_job_are_aborted(lab: Lab) -> None:
    first = running(lab, "abort")
    queued = lab.run()
    out = told(lab, "abort", queued.id, first.id)
    assert out == f"{queued.id} aborted\n{first.id} asked to end: the server that runs it ends it\n"
    assert (first.ended(), queued.ended()) == ("ABORTED", "ABORTED")
    again = ran(lab, "abort", first.id)
    assert (again.returncode, "it has ended" in again.stderr) == (2, True)


def test_who_waits_for_a_job_hears_of_it(lab: Lab) -> None:
    job = lab.create("track")
    asked = subprocess.Popen(["curl", "-s", f"{job.url}?WAIT=100"], stdout=subprocess.PIPE, text=True)
    until(lambda: "uws_waiting_clients 1.0" in page(lab, "/metrics"), what="it waits")
    told(lab, "abort", job.id)
    assert "<uws:phase>ABORTED</uws:phase>" in asked.communicate(timeout=100)[0]


def test_a_queued_job_is_held_and_does_not_start(lab: Lab) -> None:
    first = running(lab, "hold")
    queued, later = lab.run(label="held"), lab.run(label="later")
    places = [json.loads(line)["place"] for line in told(lab, "list", "--json", "--phase", "QUEUED").splitlines()]
    assert places == [2, 1], "the newest is listed first"
    assert told(lab, "list", "--phase", "QUEUED", "--last", "1").split()[4] == "#2"
    assert told(lab, "hold", queued.id) == f"{queued.id} held\n"
    (lab.root / "hold").touch()
    assert (first.ended(), later.ended(), queued.phase()) == ("COMPLETED", "COMPLETED", "HELD")
    never_run = lab.create("track")
    told(lab, "hold", never_run.id)
    released = told(lab, "release", queued.id, never_run.id).splitlines()
    assert released == [f"{queued.id} queued again", f"{never_run.id} released: it waits to be run"]
    assert (queued.ended(), never_run.phase()) == ("COMPLETED", "PENDING")
    assert "only one that is held can be released" in ran(lab, "release", never_run.id).stderr
    assert "only one that waits can be held" in ran(lab, "hold", running(lab, "other").id).stderr
    (lab.root / "other").touch()


def test_nothing_is_done_if_one_of_the_ids_is_wrong(lab: Lab) -> None:
    job = lab.create("track")
    done = ran(lab, "abort", job.id, "0" * 32)
    assert (done.returncode, job.phase()) == (2, "PENDING")
    assert "no job '000" in done.stderr


def test_a_drained_queue_starts_nothing_until_it_is_undrained(lab: Lab) -> None:
    assert lab.served is not None
    first = running(lab, "drain")
    assert "1 still run" in told(lab, "drain", "--why", "upgrade,  back at 14:00")
    queued = lab.run(label="queued")
    waiting = subprocess.Popen([*COMMAND, "jobs", "drain", "--wait", "--config", str(lab.root / "server.toml"), "--why",
                                "upgrade, back at 14:00"], stdout=subprocess.PIPE, text=True)  # fmt: skip
    (lab.root / "drain").touch()
    assert first.ended() == "COMPLETED", "what runs goes on to its end"
    assert waiting.communicate(timeout=300)[0].endswith("no job runs any more\n")
    assert queued.phase() == "QUEUED"
    assert "drained" in told(lab, "list")
    for place in ("/", f"/jobs/{queued.id}", "/availability"):
        assert "upgrade, back at 14:00" in page(lab, place), place
    assert "<vosi:available>true" in page(lab, "/availability")
    assert "uws_drained 1.0" in page(lab, "/metrics")
    assert told(lab, "undrain") == "queued jobs are started again\n"
    assert queued.ended() == "COMPLETED", "the server hears of it"
    assert told(lab, "undrain") == "the queue was not drained\n"
    assert "upgrade" not in page(lab, "/")


def test_a_suspended_job_is_not_waited_for(lab: Lab) -> None:
    """Nobody may ever resume it: the operator is told, and the upgrade goes on."""
    job = running(lab, "suspend")
    job.post(PHASE="SUSPEND")
    assert job.phase() == "SUSPENDED"
    said = "0 still run; 1 are suspended, and are not waited for\nno job runs any more\n"
    assert told(lab, "drain", "--wait").endswith(said)
    told(lab, "undrain")
    job.post(PHASE="RESUME")
    (lab.root / "suspend").touch()
    assert job.ended() == "COMPLETED"


def test_a_restart_remembers_that_the_queue_is_drained(
    tmp_path_factory: pytest.TempPathFactory, database_url: str
) -> None:
    lab = Lab(tmp_path_factory.mktemp("again"), database_url)
    try:
        with lab.serving():
            told(lab, "drain")
            job = lab.run()
        with lab.serving():
            job = lab.again(job)
            other = lab.run()
            requests.get(f"{job.url}?WAIT=2&PHASE=QUEUED", timeout=300)
            assert (job.phase(), other.phase()) == ("QUEUED", "QUEUED")
            told(lab, "undrain")
            assert (job.ended(), other.ended()) == ("COMPLETED", "COMPLETED")
    finally:
        lab.close()


def test_a_folder_that_is_no_server_is_refused(lab: Lab) -> None:
    done = run_command("jobs", "list", "--data", str(lab.root / "nowhere"))
    assert (done.returncode, "there is no such folder" in done.stderr) == (2, True)
    assert not (lab.root / "nowhere").exists()
