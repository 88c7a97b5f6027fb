"""Two real server processes on one database and one data folder, on both databases: they share the queue, wake each
other's clients, and stand in for one that died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from joblab import Lab, Remote
from postgres import empty
from processes import state, until
from serving import HURRIED, WITHOUT_RECHECKS, Served, require_read, running_server
from starts import is_warm, parent_of
from uws_server import config
from uws_server.execution import jobfolder, local, processes, staging
from uws_server.execution.peers import Peers, runs
from uws_server.jobs.job import Filter, Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage import changes
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.revisions import Revisions
from uws_server.storage.servers import Server, ServerStore
from uws_server.storage.tables import jobs, servers


@dataclass
class Town:
    """A lab whose database and folder several servers use."""

    lab: Lab
    database: str

    @contextmanager
    def server(self, max_running: int = 1) -> Iterator[Served]:
        with running_server(
            self.lab.data,
            program=HURRIED + WITHOUT_RECHECKS,
            definitions=self.lab.definitions,
            max_running=max_running,
            database=self.database,
        ) as served:
            yield served

    @contextmanager
    def two(self) -> Iterator[tuple[Served, Served]]:
        """Two servers that run one job each."""
        with self.server() as one, self.server() as other:
            yield one, other

    def run(self, served: Served, label: str, gate: str = "", **form: Any) -> Remote:
        """A job that waits for `gate` to be opened, created at that server."""
        self.lab.served = served
        return self.lab.run(label=label, gate=str(self.lab.root / gate) if gate else "", **form)

    def open(self, gate: str) -> None:
        (self.lab.root / gate).touch()

    def seen_at(self, served: Served, job: Remote) -> Remote:
        """The same job at another server."""
        return Remote(served.url + job.url[job.url.index("/rest/") :], self.lab.session)

    def runner(self, job: Remote) -> int:
        """The pid of the server that started the job's supervisor."""
        until(lambda: local.claimed(self.lab.folder(job)), what=f"{job.url} has a supervisor")
        process = json.loads((self.lab.folder(job) / "shepherd.json").read_text(encoding="utf-8"))["pid"]
        parent = parent_of(process)
        while is_warm(parent):  # which stands between them
            parent = parent_of(parent)
        return parent

    def begun(self, label: str) -> None:
        until(lambda: f"begin {label}" in self.lab.tracked(), what=f"{label} runs")


@pytest.fixture
def town(tmp_path: Path, database_url: str) -> Iterator[Town]:
    made = Lab(tmp_path, database_url)
    yield Town(made, database_url)
    made.close()


def waiting(pool: ThreadPoolExecutor, job: Remote) -> Future[str]:
    """A client that WAITs for a change of a job; what it was answered."""

    def wait() -> str:
        phase = job.phase()
        ready.set()
        answer = job.session.get(job.url, params={"WAIT": "3600", "PHASE": phase}, timeout=300)
        assert answer.status_code == 200
        assert f">{phase}<" not in answer.text
        return answer.text

    ready = threading.Event()
    answered = pool.submit(wait)
    assert ready.wait(300)
    time.sleep(0.3)  # the request is sent by now
    require_read(job.url.partition("/rest/")[0])
    assert not answered.done()
    return answered


# --- the queue and those who wait ----------------------------------------------------------------------


def test_a_full_server_leaves_jobs_to_the_other_and_hears_of_them(town: Town) -> None:
    with town.two() as (one, other), ThreadPoolExecutor(2) as pool:
        first = town.run(one, "first", "a")
        second = town.run(one, "second", "b")
        town.begun("first")
        town.begun("second")
        third = town.run(one, "third", "c")
        assert {town.runner(first), town.runner(second)} == {one.process.pid, other.process.pid}
        assert third.phase() == "QUEUED"
        elsewhere, here = (second, first) if town.runner(second) == other.process.pid else (first, second)

        for_start, for_end = waiting(pool, third), waiting(pool, elsewhere)
        town.open("b" if elsewhere is second else "a")
        there = town.seen_at(other, elsewhere)
        until(lambda: there.phase() == "COMPLETED", every=0.01)
        assert ">COMPLETED<" in for_end.result(300), "the end of a job at the other server"
        assert ">EXECUTING<" in for_start.result(300)  # the other server takes the third, too
        town.begun("third")
        assert town.runner(third) == other.process.pid
        town.open("c")
        town.open("a")
        town.open("b")
        assert third.ended() == here.ended() == elsewhere.ended() == "COMPLETED"
        assert elsewhere.results().keys() == {"out", "log"}


def test_a_server_that_was_alone_hears_of_one_that_comes(town: Town) -> None:
    with town.server() as one, ThreadPoolExecutor(1) as pool:
        town.run(one, "fills", "a")
        town.begun("fills")
        queued = town.run(one, "waits")
        time.sleep(1)  # it has settled to be alone
        answered = waiting(pool, queued)
        with town.server() as other:
            there = town.seen_at(other, queued)
            until(lambda: there.phase() != "QUEUED", every=0.01)
            assert answered.result(300)
            assert there.ended() == "COMPLETED"
        town.open("a")


def test_many_jobs_at_two_servers_run_once_each(town: Town) -> None:
    with town.two() as (one, other), ThreadPoolExecutor(4) as pool:
        run = lambda number: town.run((one, other)[number % 2], f"job{number}")  # noqa: E731
        jobs = [run(number) for number in range(16)]
        assert set(pool.map(Remote.ended, jobs)) == {"COMPLETED"}
    expected = [f"{what} job{number}" for number in range(16) for what in ("begin", "end")]
    assert sorted(town.lab.tracked()) == sorted(expected)


def test_a_client_hears_of_a_change_that_its_server_could_not_hear(tmp_path: Path, postgres_url: str) -> None:
    """The connection that listens breaks; by the time there is a new one the job has ended."""
    empty(postgres_url)
    lab = Lab(tmp_path, postgres_url)
    town = Town(lab, postgres_url)
    with town.two() as (one, other), ThreadPoolExecutor(1) as pool:
        jobs = [town.run(one, f"job{number}", "a") for number in range(2)]
        for job in jobs:
            until(lambda job=job: job.phase() == "EXECUTING")  # type: ignore[misc]
        elsewhere = next(job for job in jobs if town.runner(job) == other.process.pid)
        answered = waiting(pool, elsewhere)
        with psycopg.connect(postgres_url, autocommit=True) as operator:
            operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        town.open("a")
        there = town.seen_at(other, elsewhere)
        until(lambda: there.phase() == "COMPLETED", every=0.01)
        assert ">COMPLETED<" in answered.result(300)
    lab.close()


# --- abort and delete ----------------------------------------------------------------------------------


def test_a_job_is_aborted_and_deleted_through_the_other_server(town: Town) -> None:
    with town.two() as (one, other):
        town.run(one, "fills", "a")
        town.begun("fills")
        for number, delay in enumerate((0, 0.02, 0.05, 0.5)):
            job = town.run(one, f"runs{number}", seconds=600)
            time.sleep(delay)
            through = job if number % 2 else town.seen_at(other, job)
            assert through.post(PHASE="ABORT").ok
            assert through.ended() == "ABORTED", f"abort {delay} s after the start"
            assert job.processes() == []
        job = town.run(one, "deleted", seconds=600)
        town.begun("deleted")
        assert town.runner(job) in (one.process.pid, other.process.pid)
        answer = job.session.delete(job.url, allow_redirects=False, timeout=300)
        assert answer.status_code == 303
        assert job.session.get(town.seen_at(other, job).url, timeout=300).status_code == 404
        assert job.processes() == []
        assert not town.lab.folder(job).exists()
        town.open("a")


def test_a_job_is_suspended_and_resumed_through_the_other_server(town: Town) -> None:
    with town.two() as (one, other):
        job = town.run(one, "runs", "a")
        town.begun("runs")
        through = town.seen_at(other if town.runner(job) == one.process.pid else one, job)
        assert through.post(PHASE="SUSPEND").ok
        until(lambda: job.phase() == "SUSPENDED" and {state(pid) for pid in job.processes()} == {"T"})
        town.open("a")
        assert through.post(PHASE="RESUME").ok
        assert job.ended() == "COMPLETED"


def test_an_abort_that_no_server_could_carry_out_is_not_forgotten(town: Town) -> None:
    """The wish is in the database: a server that takes the job over finds it there."""
    with town.server() as one:
        job = town.run(one, "runs", seconds=600)
        town.begun("runs")
        one.kill()
    store = JobStore(town.database)
    assert store.ask_abort(job.id)
    store.close()
    with town.server() as one:
        assert town.seen_at(one, job).ended() == "ABORTED"
    assert job.processes() == []


# --- a server that dies --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_jobs_of_a_server_that_ended_are_taken_over(town: Town, how: str) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(town.server(3))
        other = stack.enter_context(town.server(3))
        jobs = [town.run(one, f"job{number}", "a", code=number % 2 * 7) for number in range(6)]
        for number in range(6):
            town.begun(f"job{number}")
        dead = [job for job in jobs if town.runner(job) == other.process.pid]
        assert 0 < len(dead) < 6
        if how == "kill":
            other.kill()
        else:
            other.stop()
        queued = town.run(one, "waits")
        town.open("a")
        for number, job in enumerate(jobs):
            assert town.seen_at(one, job).ended() == ("ERROR" if number % 2 else "COMPLETED")
            assert number % 2 == 0 or "status 7" in town.seen_at(one, job).text("message")
            assert town.seen_at(one, job).results().keys() == {"out", "log"}
        assert queued.ended() == "COMPLETED"
    begun = sorted(line for line in town.lab.tracked() if line.startswith("begin"))
    assert begun == sorted([f"begin job{number}" for number in range(6)] + ["begin waits"])
    assert all(job.processes() == [] for job in jobs)


def test_a_job_on_a_machine_that_is_silent_is_unknown_until_it_has_ended(town: Town) -> None:
    """The machine is another one by what it left in the database and in the folder."""
    files, store = JobFiles(town.lab.data), JobStore(town.database)
    silent, heard = (Server(new_id(), "elsewhere", "another boot", 1, "1") for _ in range(2))
    for server in (silent, heard):
        ServerStore(store.engine).add(server)
    with store.engine.begin() as connection:
        connection.execute(servers.update().where(servers.c.id == silent.id).values(seen=utcnow().replace(year=2020)))
        connection.execute(servers.update().where(servers.c.id == heard.id).values(seen=utcnow().replace(year=2999)))
    lost, fine = (executing_elsewhere(files, store, server) for server in (silent, heard))
    with town.server() as served:
        remote = Remote(f"{served.url}/rest/track/{lost}", town.lab.session)
        until(lambda: remote.phase() == "UNKNOWN", what="the queue has looked at it")
        assert Remote(f"{served.url}/rest/track/{fine}", town.lab.session).phase() == "EXECUTING"
        (files.folder(lost) / "results/out.txt").write_text("done", encoding="utf-8")
        status = {"reason": "exit", "code": 0, "start": 1.0, "end": 2.0, "cpu_s": 0.1, "max_rss_kib": 1}
        jobfolder.write_json(files.folder(lost) / "status.json", status)
        assert remote.ended() == "COMPLETED"
        assert remote.results() == {"out": "text/plain"}
        assert Remote(f"{served.url}/rest/track/{fine}", town.lab.session).phase() == "EXECUTING"
    store.close()


def test_the_limit_of_a_suspended_job_stands_still_while_its_machine_is_silent(town: Town) -> None:
    files, store = JobFiles(town.lab.data), JobStore(town.database)
    silent = Server(new_id(), "elsewhere", "another boot", 1, "1")
    ServerStore(store.engine).add(silent)
    suspended, running = (executing_elsewhere(files, store, silent, town.lab.root / "gate") for _ in range(2))
    store.move(suspended, [Phase.EXECUTING], Phase.SUSPENDED)
    began = utcnow() - timedelta(days=1)
    with store.engine.begin() as connection:
        connection.execute(servers.update().values(seen=began))
        connection.execute(jobs.update().values(started=began))
        connection.execute(jobs.update().where(jobs.c.id == suspended).values(suspended=began + timedelta(seconds=30)))
    with town.server() as served:
        one, other = (Remote(f"{served.url}/rest/track/{job}", town.lab.session) for job in (suspended, running))
        assert other.ended() != "COMPLETED", "its limit passed long ago"
        assert one.phase() == "UNKNOWN"
        assert store.seconds_run(suspended, utcnow()) == 30
        # the machine is heard again: its supervisor, which stands still, is found
        (files.folder(suspended) / "shepherd.json").unlink()
        settings = config.load(None, {}, data=town.lab.data, definitions=town.lab.definitions)
        revisions = DefinitionStore(store.engine)
        library = Library(town.lab.definitions, lambda definition: None, Revisions(town.lab.data), revisions)
        staging.prepare(store.get(suspended), library.get("track"), files.folder(suspended), settings, "http://x")
        handle = local.start(files.folder(suspended))
        until(lambda: one.phase() == "SUSPENDED" and {state(pid) for pid in one.processes()} == {"T"})
        town.open("gate")
        assert one.post(PHASE="RESUME").ok
        assert one.ended() == "COMPLETED", one.text("message")
        assert 30 < store.seconds_run(suspended, utcnow()) < 3600
        handle.close()
    store.close()


def executing_elsewhere(files: JobFiles, store: JobStore, server: Server, gate: Path = Path()) -> str:
    """A job that a server on another machine runs; it waits until there is a file `gate`."""
    job_id, now = new_id(), utcnow()
    folder = files.create(job_id, {})
    jobfolder.write_json(folder / "shepherd.json", {"pid": 1, "start": "1", "boot": "another", "host": server.host})
    texts = {"label": "x", "seconds": "0", "code": "0", "track": "/dev/null", "gate": str(gate)}
    parameters = {name: ParameterValue(text, text) for name, text in texts.items()}
    store.add(Job(job_id, "track", "1", Phase.PENDING, now, 60, parameters=parameters))
    store.move(job_id, [Phase.PENDING], Phase.QUEUED, queued=now)
    store.move(job_id, [Phase.QUEUED], Phase.EXECUTING, started=now, server=server.id)
    return job_id


# --- what servers tell each other ----------------------------------------------------------------------


@dataclass
class Ear:
    """Listens to the changes of others, as a server does."""

    store: JobStore

    def __post_init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.missed = 0
        self.watch = changes.watch(self.store.engine, self.store.server, self.hear, self.miss)

    def hear(self, job_id: str, what: str) -> None:
        self.heard.append((job_id, what))

    def miss(self) -> None:
        self.missed += 1


@pytest.fixture
def two_stores(database_url: str) -> Iterator[tuple[JobStore, JobStore]]:
    one, other = JobStore(database_url), JobStore(database_url)
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def ear(two_stores: tuple[JobStore, JobStore]) -> Iterator[Ear]:
    made = Ear(two_stores[0])
    made.watch.start()
    until(lambda: made.missed == 1)
    yield made
    made.watch.stop()


def test_every_change_of_others_is_heard_and_none_of_one_s_own(two_stores: tuple[JobStore, JobStore], ear: Ear) -> None:
    one, other = two_stores
    job = Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 60)
    other.add(job)
    assert other.move(job.id, [Phase.PENDING], Phase.QUEUED)
    assert not other.move(job.id, [Phase.PENDING], Phase.QUEUED)
    assert one.move(job.id, [Phase.QUEUED], Phase.EXECUTING, started=utcnow(), server=one.server)
    assert other.ask_abort(job.id)
    assert list(one.to_abort()) == [job.id]
    assert list(other.to_abort()) == []
    assert not other.end(job.id, Phase.ABORTED, utcnow(), None, []), "it is for the server that runs it to say"
    assert one.end(job.id, Phase.ABORTED, utcnow(), None, [])
    assert not other.ask_abort(job.id)
    assert other.archive(job.id)
    other.delete(job.id)
    other.delete(job.id)
    expected = [(job.id, what) for what in ("QUEUED", "ABORT", "ARCHIVED", "DELETED")]
    until(lambda: len(ear.heard) >= len(expected))
    time.sleep(0.1)
    assert ear.heard == expected


def test_a_change_that_is_taken_back_is_never_heard(two_stores: tuple[JobStore, JobStore], ear: Ear) -> None:
    _, other = two_stores
    with pytest.raises(ZeroDivisionError), other.engine.begin() as connection:
        changes.announce(connection, other.server, new_id(), "QUEUED")
        raise ZeroDivisionError
    with other.engine.begin() as connection:
        changes.announce(connection, other.server, "0" * 32, "QUEUED")
    until(lambda: ear.heard)
    assert ear.heard == [("0" * 32, "QUEUED")]


def test_a_lost_connection_is_made_again_and_told(postgres_url: str) -> None:
    store, other = JobStore(postgres_url), JobStore(postgres_url)
    ear = Ear(store)
    ear.watch.start()
    until(lambda: ear.missed == 1)
    with psycopg.connect(postgres_url, autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    until(lambda: ear.missed == 2, what="it listens again, and says that something may have gone unheard")
    with other.engine.begin() as connection:
        changes.announce(connection, other.server, "0" * 32, "QUEUED")
    until(lambda: ear.heard)
    ear.watch.stop()
    store.close()
    other.close()


def test_one_who_was_away_for_too_many_changes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    ear = Ear(store)
    ear.watch.start()
    until(lambda: ear.missed == 1)
    with store.engine.begin() as connection:  # all at once: the listener sees them pruned
        for number in range(10):
            changes.announce(connection, "another", f"{number:032x}", "QUEUED")
        connection.exec_driver_sql("DELETE FROM changes WHERE number <= 7")
    until(lambda: len(ear.heard) == 3 and ear.missed == 2)
    ear.watch.stop()
    monkeypatch.setattr(changes, "_KEPT", 2)
    changes.prune(store.engine)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT number FROM changes ORDER BY number").all() == [(9,), (10,)]
    store.close()


# --- who lives -----------------------------------------------------------------------------------------


def test_a_process_runs_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        start = processes.start_time(child.pid)
        assert runs(child.pid, start)
        assert not runs(child.pid, "1"), "another process that had the pid"
        child.send_signal(signal.SIGKILL)
        until(lambda: state(child.pid) == "Z")
        assert not runs(child.pid, start), "dead, though nobody buried it yet"
    assert not runs(child.pid, start)
    assert not runs(0, start)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert not runs(thread.native_id or 0, start), "a thread that has the number now"
    done.set()
    thread.join()
    assert not runs(2**22 + 1, start)


def test_servers_know_who_lives(two_stores: tuple[JobStore, JobStore]) -> None:
    one, other = (Peers(ServerStore(store.engine), store.server, 1) for store in two_stores)
    table = ServerStore(two_stores[0].engine)
    one.join()
    other.join()
    me = next(server for server, _ in table.all())
    here = Server(new_id(), me.host, me.place, 2**22 + 1, "1")
    far, silent = (Server(new_id(), "far", "another boot", os.getpid(), me.start) for _ in range(2))
    for server in (here, far, silent):
        table.add(server)
    old = sa.update(servers).where(servers.c.id == silent.id).values(seen=utcnow().replace(year=2020))
    with two_stores[0].engine.begin() as connection:
        connection.execute(old)
    living = {two_stores[0].server, two_stores[1].server, far.id}
    assert one.beat() == living
    assert {server.id for server, _ in table.all()} == living, "the dead are forgotten"
    assert all(silent_s >= 0 for _, silent_s in table.all())
    one.leave()
    assert other.beat() == living - {two_stores[0].server}
    assert one.beat() == living, "one that was taken for dead makes itself known again"


def test_a_job_of_a_dead_server_goes_to_one_other(two_stores: tuple[JobStore, JobStore]) -> None:
    one, other = two_stores
    job = Job(new_id(), "dummy", "1", Phase.EXECUTING, utcnow(), 60)
    one.add(job)
    assert one.taken() == [(job.id, Phase.EXECUTING, None)]
    assert one.take_over(job.id, None)
    assert not other.take_over(job.id, None)
    assert not other.take_over(job.id, "a third")
    assert other.take_over(job.id, one.server)
    assert one.taken() == [(job.id, Phase.EXECUTING, other.server)]
    assert other.end(job.id, Phase.COMPLETED, utcnow(), None, [], size=7)
    assert not one.take_over(job.id, other.server)
    assert [found.phase for found in one.summaries(Filter())] == [Phase.COMPLETED]
