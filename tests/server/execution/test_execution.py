"""Running jobs, seen over HTTP: the queue, abort, time limits, and what survives a killed server or supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from joblab import UWS, Lab, Remote, define
from processes import state, until
from serving import PROGRAM
from uws_server import config
from uws_server.execution import local, sandbox, staging
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.services.context import Services
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.revisions import Revisions

PAST = "2001-01-01T00:00:00Z"


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    """A lab over each kind of database."""
    made = Lab(tmp_path, database_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    """A lab whose server runs two jobs at a time and stays up for all tests that do not kill it."""
    made = Lab(tmp_path_factory.mktemp("shop"), module_database_url)
    with made.serving(max_running=2):
        yield made
    made.close()


@pytest.fixture
def open_shop(shop: Lab) -> Iterator[Lab]:
    shop.track.unlink(missing_ok=True)
    yield shop
    assert shop.served is not None and shop.served.process.poll() is None, "the server goes on"


# --- the queue -----------------------------------------------------------------------------------------


def test_jobs_start_in_order_and_no_more_than_allowed(open_shop: Lab) -> None:
    gate = open_shop.root / "in order"
    jobs = [open_shop.run(label=str(i), gate=str(gate)) for i in range(6)]
    until(lambda: len(open_shop.tracked()) == 2, what="two jobs run")
    gate.touch()
    assert [job.ended() for job in jobs] == ["COMPLETED"] * 6
    starts = [job.text("startTime") for job in jobs]
    assert starts == sorted(starts)
    running, most = 0, 0
    for line in open_shop.tracked():
        running += 1 if line.startswith("begin") else -1
        most = max(most, running)
    assert (most, running) == (2, 0)
    assert len(open_shop.tracked()) == 12


def test_thirty_quick_jobs_leave_nothing_but_results(open_shop: Lab) -> None:
    assert open_shop.served is not None
    server = open_shop.served.process.pid
    with ThreadPoolExecutor(4) as pool:
        before = list(pool.map(lambda i: open_shop.run(label=f"before{i}"), range(12)))
        assert list(pool.map(Remote.ended, before)) == ["COMPLETED"] * 12
        # by now the server has opened the connections to its database that it keeps
        descriptors, threads = descriptors_of(server), threads_of(server)
        open_shop.track.unlink()
        jobs = list(pool.map(lambda i: open_shop.run(label=f"quick{i}"), range(30)))
        assert list(pool.map(Remote.ended, jobs)) == ["COMPLETED"] * 30
    expected = [f"{what} quick{i}" for i in range(30) for what in ("begin", "end")]
    assert sorted(open_shop.tracked()) == sorted(expected)
    assert jobs[7].results() == {"out": "text/plain", "log": "text/plain"}
    until(lambda: not [pid for pid in children_of(server) if state(pid) == "Z"], what="no zombies")
    until(lambda: descriptors_of(server) <= descriptors + 12, what="descriptors do not grow with the jobs")
    assert threads_of(server) <= threads + 16  # the workers of the polling; not one for each job


def descriptors_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


# --- ends ----------------------------------------------------------------------------------------------


def test_abort_of_queued_and_of_running_jobs(open_shop: Lab) -> None:
    running = [open_shop.run(label="runs", seconds=600), open_shop.run("stubborn")]
    queued = open_shop.run(label="waits")
    until(lambda: "begin runs" in open_shop.tracked())
    until(lambda: len(running[1].processes()) == 3)
    assert queued.phase() == "QUEUED"
    assert queued.post(PHASE="ABORT").ok
    assert queued.phase() == "ABORTED"
    for job in running:
        assert job.post(PHASE="ABORT").ok
        assert job.phase() == "ABORTED"
        assert job.processes() == []
    assert open_shop.tracked() == ["begin runs"]
    assert open_shop.session.get(f"{running[0].url}/results/out", timeout=300).text == "runs\n", "what it made is kept"
    assert not (open_shop.folder(queued) / "launch.json").exists()
    assert queued.post(PHASE="ABORT").status_code == 403
    assert open_shop.run().ended() == "COMPLETED", "their places are free again"


def test_abort_at_any_moment_of_the_start(open_shop: Lab) -> None:
    for delay in (0, 0, 0, 0.005, 0.01, 0.02, 0.03, 0.05):
        job = open_shop.run(seconds=600)
        time.sleep(delay)
        assert job.post(PHASE="ABORT").ok
        assert job.ended() == "ABORTED", f"abort {delay} s after the start"
        assert job.processes() == []


def test_suspend_and_resume_at_any_moment_of_the_start(open_shop: Lab) -> None:
    """Also before the job has a supervisor, and before that has started the script."""
    for number, delay in enumerate((0, 0, 0, 0.005, 0.01, 0.02, 0.03, 0.05)):
        gate = open_shop.root / f"after {number}"
        job = open_shop.run(gate=str(gate))
        until(lambda job=job: job.phase() != "QUEUED", every=0)  # type: ignore[misc]
        time.sleep(delay)
        assert job.post(PHASE="SUSPEND").ok
        until(lambda job=job: standing_still(job), what=f"SUSPEND {delay} s after the start")  # type: ignore[misc]
        assert job.phase() == "SUSPENDED"
        gate.touch()
        assert job.post(PHASE="RESUME").ok
        assert job.ended() == "COMPLETED"


def test_the_last_of_many_requests_to_suspend_and_resume_counts(open_shop: Lab) -> None:
    for last in ("SUSPEND", "RESUME"):
        job = open_shop.run(seconds=600)
        until(lambda job=job: job.phase() == "EXECUTING", every=0)  # type: ignore[misc]
        for phase in ("SUSPEND", "RESUME") * 4 + (("SUSPEND",) if last == "SUSPEND" else ()):
            assert job.post(PHASE=phase).ok
        until(lambda job=job, last=last: bool(job.processes()) and standing_still(job) == (last == "SUSPEND"))  # type: ignore[misc]
        assert job.post(PHASE="ABORT").ok
        assert job.ended() == "ABORTED"


def standing_still(job: Remote) -> bool:
    return {state(pid) for pid in job.processes()} == {"T"}


def test_execution_duration_is_enforced(open_shop: Lab) -> None:
    job = open_shop.run(seconds=600, EXECUTIONDURATION=5)
    assert job.ended() == "ABORTED"
    assert "executionDuration" in job.text("message") and " 5 s " in job.text("message")
    assert job.processes() == []
    assert "out" in job.results()


def test_deleted_while_it_runs(open_shop: Lab) -> None:
    job = open_shop.run("stubborn")
    until(lambda: len(job.processes()) == 3)
    handle = local.find(open_shop.folder(job))
    assert handle is not None
    answer = open_shop.session.delete(job.url, allow_redirects=False, timeout=300)
    assert answer.status_code == 303
    assert open_shop.session.get(job.url, timeout=300).status_code == 404
    assert job.processes() == []
    until(lambda: state(handle.pid) == "", what="the supervisor is gone and buried")
    handle.close()
    assert not open_shop.folder(job).exists()
    assert list((open_shop.data / "incoming").iterdir()) == []


def test_deleted_right_after_it_was_started(open_shop: Lab) -> None:
    for delay in (0, 0, 0.005, 0.01, 0.03):
        job = open_shop.run(seconds=600)
        time.sleep(delay)
        assert open_shop.session.delete(job.url, allow_redirects=False, timeout=300).status_code == 303
        assert job.processes() == [], f"deletion {delay} s after the start"
        assert not open_shop.folder(job).exists()


def test_reason_of_a_script_that_fails(open_shop: Lab) -> None:
    job = open_shop.run("fails")
    assert job.ended() == "ERROR"
    assert job.text("message") == "radius: \ufffd came"
    silent = open_shop.run(code=7)
    assert silent.ended() == "ERROR"
    assert silent.text("message") == "the script ended with status 7 and gave no reason"


def test_declared_result_that_is_missing(open_shop: Lab) -> None:
    job = open_shop.run("forgetful")
    assert job.ended() == "ERROR"
    assert "out.txt" in job.text("message")


def test_a_declared_result_may_lie_beside_the_results(open_shop: Lab) -> None:
    job = open_shop.run("beside")
    assert job.ended() == "COMPLETED", job.text("message")
    assert sorted(path.name for path in (open_shop.folder(job) / "results").iterdir()) == ["out.txt"]


def test_limits_of_a_definition_hold_and_are_named(open_shop: Lab) -> None:
    bulky, greedy = open_shop.run("bulky"), open_shop.run("greedy")
    assert bulky.ended() == "ERROR"
    assert bulky.text("message") == "disk: the job wrote more than its limit of 1,000,000 bytes and was ended"
    assert greedy.ended() == "ERROR"
    assert greedy.text("message") == "no memory on 2 cores"


@pytest.mark.skipif(bool(sandbox.obstacle()), reason=f"no sandbox here: {sandbox.obstacle()}")
def test_every_job_can_be_shut_in(lab: Lab) -> None:
    define(lab.definitions, "curious", "ls -A $(dirname $(dirname $PWD)); touch /etc/uws-was-here", results=[])
    with lab.serving(sandbox="all"):
        first, second = lab.run(seconds=60), lab.run("curious")
        assert second.ended() == "ERROR"
        assert "Read-only file system" in second.text("message")
        listed = (lab.folder(second) / "stdout.log").read_text(encoding="utf-8").split()
        assert listed == [second.id[:2]]
        until(lambda: first.phase() == "EXECUTING" and len(first.processes()) > 1)
        first.session.post(f"{first.url}/phase", data={"PHASE": "ABORT"}, timeout=300)
        assert first.ended() == "ABORTED"
        assert first.processes() == []


def test_odd_files_do_not_lose_the_job(open_shop: Lab) -> None:
    job = open_shop.run("odd")
    assert job.ended() == "COMPLETED", job.text("message")
    results = job.results()
    assert results.pop("plain") == "text/plain"
    assert "log" in results and len(results) >= 2, "the file with the strange name is there too"
    assert not any("pipe" in name or "link" in name for name in results)
    log = open_shop.session.get(f"{job.url}/results/log", timeout=300).text
    assert "pipe" in log and "link.txt" in log and log.count("is not a plain file") == 2


def test_killed_supervisor_is_reported_and_leaves_nothing_running(open_shop: Lab) -> None:
    job = open_shop.run("stubborn")
    until(lambda: len(list(open_shop.folder(job).glob("results/*"))) == len(job.processes()) == 3)
    handle = local.find(open_shop.folder(job))
    assert handle is not None
    os.kill(handle.pid, signal.SIGKILL)
    handle.close()
    assert job.ended() == "ERROR"
    assert "killed" in job.text("message")
    assert job.document().find(f"{UWS}errorSummary").get("type") == "transient"
    assert job.processes() == []
    assert len(job.results()) == 4, "three parts and the log"


# --- a server that is killed ---------------------------------------------------------------------------


def test_jobs_go_on_without_the_server_and_are_found_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.root)  # the first server's folders are relative, as the default is
    with lab.serving(Path("data"), definitions="definitions", max_running=5) as server:
        zero = lab.run(label="zero", gate=str(lab.root / "open"))
        seven = lab.run(label="seven", gate=str(lab.root / "open"), code=7)
        while_down = lab.run(label="down", gate=str(lab.root / "down"), code=5)
        limited = lab.run(label="limited", seconds=600, EXECUTIONDURATION=4)
        aborted = lab.run(label="aborted", seconds=600)
        queued = lab.run(label="queued")
        until(lambda: len(lab.tracked()) == 5)
        server.kill()
    assert all(job.processes() for job in (zero, seven, aborted))
    (lab.root / "down").touch()
    until(lambda: local.status(lab.folder(while_down)), what="a job ends while no server runs")
    with lab.serving(max_running=5):
        assert lab.again(zero).phase() == lab.again(seven).phase() == "EXECUTING", "adopted"
        assert lab.again(while_down).ended() == "ERROR"
        assert "status 5" in lab.again(while_down).text("message")
        assert lab.again(queued).ended() == "COMPLETED"
        assert lab.again(aborted).post(PHASE="ABORT").ok
        assert lab.again(aborted).ended() == "ABORTED"
        (lab.root / "open").touch()
        assert lab.again(zero).ended() == "COMPLETED"
        assert lab.again(zero).results().keys() == {"out", "log"}
        assert lab.again(seven).ended() == "ERROR"
        assert "status 7" in lab.again(seven).text("message")
        assert lab.again(limited).ended() == "ABORTED"
        assert "executionDuration" in lab.again(limited).text("message")
    assert aborted.processes() == limited.processes() == []
    begun = sorted(line for line in lab.tracked() if line.startswith("begin"))
    assert begun == [f"begin {label}" for label in ("aborted", "down", "limited", "queued", "seven", "zero")]


def test_killed_between_the_phase_and_the_claim(lab: Lab) -> None:
    """Whatever a killed server had done to start a job, it runs once: after a start that never came to be, anew."""
    settings = config.load(None, {}, data=lab.data, definitions=lab.definitions, database=lab.database)
    files, store = JobFiles(lab.data), JobStore(lab.database)
    library = Library(lab.definitions, lambda definition: None, Revisions(lab.data), DefinitionStore(store.engine))
    names = ("nothing done", "launch written", "supervisor about to claim", "supervisor lost and found")
    nothing, written, late, found = jobs = [
        add_queued_job(lab, files, store, label=name, seconds=0.3) for name in names
    ]
    for job in (nothing, written, late):
        store.move(job, [Phase.QUEUED], Phase.EXECUTING, started=utcnow())
    for job in (written, late, found):
        staging.prepare(store.get(job), library.get("track"), files.folder(job), settings, "http://localhost")
    store.close()
    with (
        # put back into the queue because its supervisor was slow to claim it; then it did
        subprocess.Popen(local.command(files.folder(found))) as slow,
        subprocess.Popen(["/bin/sh", "-c", 'sleep 1; exec "$@"', "sh", *local.command(files.folder(late))]) as slower,
    ):
        until(lambda: local.claimed(files.folder(found)))
        with lab.serving() as server:
            for job in jobs:
                remote = Remote(f"{server.url}/rest/track/{job}", lab.session)
                assert remote.ended() == "COMPLETED", remote.text("message")
    assert slow.returncode == slower.returncode == 0
    assert sorted(lab.tracked()) == sorted(f"{what} {name}" for what in ("begin", "end") for name in names)


@pytest.mark.parametrize(("deaths", "phase"), [(1, "COMPLETED"), (9, "ERROR")])
def test_a_supervisor_killed_before_the_script_ran(lab: Lab, deaths: int, phase: str) -> None:
    """The job is started again, once: it has not run, but must not be tried for ever."""
    dies = (
        "import os, pathlib; died = len(list(pathlib.Path().glob('died*'))); pathlib.Path(f'died{died}').touch(); "
        f"died < {deaths} and os.kill(os.getpid(), 9); "
    )
    program = f"from uws_server.execution import local; local._SUPERVISOR = {dies!r} + local._SUPERVISOR; {PROGRAM}"
    with lab.serving(program=program, warm="false"):
        job = lab.run(label="once")
        assert job.ended() == phase
        assert len(list(lab.folder(job).glob("died*"))) == 2
    assert lab.tracked() == ([] if phase == "ERROR" else ["begin once", "end once"])


def test_a_job_that_lost_its_folder_while_no_server_ran_is_not_run_again(lab: Lab) -> None:
    """The folder had the claim of its supervisor; only the script can have removed it, whose job was started."""
    ends = {
        "removes": 'rm -rf "$PWD"',
        "empties": "rm -rf ./*",
        "kills": 'rm -rf "$PWD"; kill -9 $PPID',
        "stays": 'rm -rf "$PWD"; touch "$OPEN.gone"; until [ -e "$OPEN" ]; do sleep 0.05; done',
    }
    for name, script in ends.items():
        wait = 'echo "begin $label" >> "$track"; until [ -e "$gate" ]; do sleep 0.05; done'
        define(lab.definitions, name, f"OPEN={lab.root / 'open'}\n{wait}\n{script}")
    with lab.serving(max_running=4) as server:
        jobs = {name: lab.run(name, label=name, gate=str(lab.root / "down")) for name in ends}
        until(lambda: len(lab.tracked()) == 4)
        server.kill()
    (lab.root / "down").touch()
    until((lab.root / "open.gone").exists)
    until(lambda: not any(jobs[name].processes() for name in ("removes", "empties", "kills")))
    until(lambda: not local.claimed(lab.folder(jobs["kills"])) or not lab.folder(jobs["kills"]).exists())
    with lab.serving(max_running=4):
        assert lab.run("track", label="other").ended() == "COMPLETED", "the queue was looked at"
        assert lab.again(jobs["stays"]).phase() == "EXECUTING", "adopted"
        (lab.root / "open").touch()
        found = {name: (lab.again(job).ended(), lab.again(job).text("message")) for name, job in jobs.items()}
    assert sorted(line for line in lab.tracked() if "other" not in line) == [f"begin {name}" for name in sorted(ends)]
    assert {name: phase for name, (phase, _) in found.items()} == {
        "removes": "ERROR", "empties": "COMPLETED", "kills": "ERROR", "stays": "ERROR",
    }  # fmt: skip
    for name in ("removes", "stays"):
        assert found[name][1].startswith("the script removed the folder of its job"), found[name]
    assert found["kills"][1].startswith("the supervisor of the job was killed, and its folder removed")
    assert all(job.processes() == [] for job in jobs.values())


def test_a_job_that_was_suspended_before_it_was_started_waits_for_resume_or_ends(lab: Lab) -> None:
    """Its server died between the phase and the supervisor; it neither runs nor holds its place for ever."""
    files, store = JobFiles(lab.data), JobStore(lab.database)
    jobs = {name: add_queued_job(lab, files, store, label=name, seconds=0) for name in ("resumed", "aborted")}
    for job_id in jobs.values():
        store.move(job_id, [Phase.QUEUED], Phase.EXECUTING, started=utcnow())
        store.move(job_id, [Phase.EXECUTING], Phase.SUSPENDED)
    store.close()
    with lab.serving() as server:
        resumed, aborted = (Remote(f"{server.url}/rest/track/{job_id}", lab.session) for job_id in jobs.values())
        assert lab.run(label="other").ended() == "COMPLETED"
        assert (resumed.phase(), aborted.phase()) == ("SUSPENDED", "SUSPENDED")
        assert resumed.post(PHASE="RESUME").ok and resumed.ended() == "COMPLETED"
        assert aborted.post(PHASE="ABORT").ok and aborted.ended() == "ABORTED"
    assert lab.tracked() == ["begin other", "end other", "begin resumed", "end resumed"]


def test_a_job_that_ended_before_it_could_be_suspended_ends_as_it_did(lab: Lab) -> None:
    with lab.serving() as server:
        jobs = [lab.run(label=str(code), gate=str(lab.root / "gate"), code=code) for code in (0, 7)]
        until(lambda: len(lab.tracked()) == 2)
        server.kill()
    (lab.root / "gate").touch()
    until(lambda: all(local.status(lab.folder(job)) for job in jobs))
    store = JobStore(lab.database)
    assert all(store.move(job.id, [Phase.EXECUTING], Phase.SUSPENDED) for job in jobs)
    store.close()
    with lab.serving():
        assert [lab.again(job).ended() for job in jobs] == ["COMPLETED", "ERROR"]
        assert lab.run().ended() == "COMPLETED", "their places are free"


def test_a_job_whose_start_was_noted_but_not_confirmed_runs_all_the_same(lab: Lab) -> None:
    """The database makes the change, and the connection is lost before it says so."""
    settings = config.load(None, {}, data=lab.data, definitions=lab.definitions, database=lab.database)
    services = Services(settings, "http://localhost", lab.definitions)
    job = add_queued_job(lab, services.files, services.store, label="lost", seconds=0)
    started: list[bool] = []

    @sa.event.listens_for(services.store.engine, "before_cursor_execute")
    def notice(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.startswith("UPDATE jobs") and "EXECUTING" in str(values):
            started.append(True)

    @sa.event.listens_for(services.store.engine, "commit")
    def lose(connection: sa.Connection) -> None:
        if started == [True]:
            started.append(False)
            connection.connection.commit()
            raise sa.exc.OperationalError("COMMIT", None, ConnectionError("lost"))

    services.start()
    try:
        until(lambda: services.store.get(job).phase is Phase.COMPLETED)
    finally:
        services.stop()
    assert len(started) > 2
    assert lab.tracked() == ["begin lost", "end lost"]


def add_queued_job(lab: Lab, files: JobFiles, store: JobStore, **values: str | float) -> str:
    """Put a job of the definition `track` into the data folder, as the server does it; returns its id."""
    texts = {"track": str(lab.track), "code": 0} | values
    job_id, now = new_id(), utcnow()
    parameters = {name: ParameterValue(str(value), value) for name, value in texts.items()}
    files.create(job_id, {})
    store.add(Job(job_id, "track", "1", Phase.PENDING, now, 60, parameters=parameters))
    store.move(job_id, [Phase.PENDING], Phase.QUEUED, queued=now)
    return job_id


def test_expired_jobs_are_swept_by_the_next_server_with_what_runs(lab: Lab) -> None:
    with lab.serving() as server:
        done, running, kept = lab.run(), lab.run(seconds=600), lab.run()
        until(running.processes)
        assert done.ended() == kept.ended() == "COMPLETED"
        for job in (done, running):
            assert job.post(DESTRUCTION=PAST).ok
            assert job.text("destruction").startswith("2001-01-01")
        server.kill()
    with lab.serving():
        until(lambda: is_gone(lab, done))
        until(lambda: is_gone(lab, running) or lab.again(running).phase() == "ABORTED")
        assert running.processes() == []
        assert lab.again(kept).phase() == "COMPLETED"
    with lab.serving():  # a server that stays up does this within two minutes
        until(lambda: is_gone(lab, running))
        assert lab.again(kept).phase() == "COMPLETED"


def is_gone(lab: Lab, job: Remote) -> bool:
    answer = lab.session.get(lab.again(job).url, timeout=300)
    return answer.status_code == 404 and not lab.folder(job).exists()
