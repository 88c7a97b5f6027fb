"""The queue in both databases: what is offered in which order, that no two servers take the same job, and that a
limit holds when requests race."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa

from uws_server.jobs.job import Job, Needs, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.accounts import Account, AccountStore
from uws_server.storage.drain import Drain, DrainStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.locks import QUEUE, alone
from uws_server.storage.queue import _HEADS
from uws_server.storage.queued_jobs import Candidate, Load
from uws_server.storage.rows import job_row
from uws_server.storage.servers import Server, ServerStore
from uws_server.storage.shares import Share
from uws_server.storage.tables import jobs, microseconds_of

NOW = datetime(2026, 11, 29, 9, 0, 0, tzinfo=UTC)
HOST = os.uname().nodename


def queued(store: JobStore, number: int = 0, definition: str = "dummy", **about: object) -> str:
    """A job that was queued so many seconds after nine o'clock."""
    job = Job(new_id(), definition, "1.0", Phase.PENDING, NOW, 60, **about)  # type: ignore[arg-type]
    store.add(job)
    assert store.move(job.id, [Phase.PENDING], Phase.QUEUED, queued=NOW + timedelta(seconds=number))
    return job.id


def many_queued(store: JobStore, number: int, owner: str, since: int = 0) -> list[str]:
    made = [Job(new_id(), "dummy", "1.0", Phase.QUEUED, NOW, 60, owner=owner) for _ in range(number)]
    rows = [job_row(job) | {"queued": NOW + timedelta(seconds=since + i)} for i, job in enumerate(made)]
    with store.engine.begin() as connection:
        connection.execute(jobs.insert(), rows)
    return [job.id for job in made]


def offered(store: JobStore, most: int = 9) -> list[list[Candidate]]:
    """What a server is offered, of each owner and definition; it takes nothing."""
    seen: list[list[Candidate]] = []

    def look(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
        seen.extend(list(islice(queue, most)) for queue in queues)
        return []

    assert store.queue.take(look, NOW) == []
    return seen


def take_first(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
    return [next(queue) for queue in queues][:1]


def take_all(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
    return [one for queue in queues for one in queue]


def test_the_jobs_of_each_owner_and_definition_are_offered_in_their_order(store: JobStore) -> None:
    AccountStore(store.engine).add(Account("ada", "", False, False, NOW, max_running=3))
    AccountStore(store.engine).add(Account("bob", "", True, False, NOW, max_running=3))
    ada = [queued(store, number, owner="ada") for number in (3, 1, 2)]
    nobody = queued(store, 9)
    image = queued(store, 0, "image", owner="ada", needs=Needs(4, 2 * 10**9))
    quick = queued(store, 5, owner="ada", needs=Needs(short=True))
    bob = queued(store, 4, owner="bob")
    found = {(queue[0].owner, queue[0].definition, queue[0].short): queue for queue in offered(store)}
    assert {key: [one.id for one in queue] for key, queue in found.items()} == {
        ("", "dummy", False): [nobody],
        ("ada", "dummy", False): [ada[1], ada[2], ada[0]],
        ("ada", "dummy", True): [quick],
        ("ada", "image", False): [image],
        ("bob", "dummy", False): [bob],
    }
    large = found["ada", "image", False][0]
    assert (large.cores, large.memory, large.most) == (4, 2 * 10**9, 3)
    assert found["", "dummy", False][0].most is None, "nobody has no limit of their own"
    assert found["bob", "dummy", False][0].most == 0, "an admin has none at all"


def test_what_is_taken_is_executed_here_and_offered_no_more(store: JobStore, other: JobStore) -> None:
    first, second = queued(store, 0, expected_s=90), queued(store, 1)
    assert store.queue.has_waiting()
    assert [one.id for one in store.queue.take(take_first, NOW)] == [first]
    found = other.get(first)
    assert (found.phase, found.started, found.quote) == (Phase.EXECUTING, NOW, NOW + timedelta(seconds=90))
    assert [(run.job_id, run.server) for run in other.taken()] == [(first, store.server)]
    assert [one.id for one in other.queue.take(take_first, NOW)] == [second]
    assert not store.queue.has_waiting()
    assert store.queue.take(take_first, NOW) == []


def test_what_runs_is_counted_by_owner_place_and_machine(store: JobStore, other: JobStore) -> None:
    servers = ServerStore(store.engine)
    servers.add(Server(store.server, HOST, "here", 1, "1"))
    servers.add(Server(other.server, "elsewhere", "there", 1, "1"))
    for number in range(2):
        queued(store, number, owner="ada", needs=Needs(2, 100))
    assert len(store.queue.take(take_all, NOW)) == 2
    still = queued(store, 2, needs=Needs(1, 50, short=True))
    store.queue.take(take_all, NOW)
    assert store.move(still, [Phase.EXECUTING], Phase.SUSPENDED)
    queued(store, 3, owner="bob")
    other.queue.take(take_all, NOW)
    queued(store, 4, owner="bob")
    expected = {
        Load("ada", "dummy", True, True, False, False, 2, 4, 200),
        Load("", "dummy", True, True, True, True, 1, 1, 50),
        Load("bob", "dummy", False, False, False, False, 1, 1, 0),
    }
    assert set(store.queue.loads()) == expected
    assert store.queue.ask_resume(still, NOW)
    large = queued(store, 5, needs=Needs(1, 70))
    state = store.queue.state(9)
    assert (sorted(run.memory for run in state.running), state.standing) == ([0, 100, 100], 50)
    assert {job.id: job.memory for job in state.waiting if job.id in (still, large)} == {still: 0, large: 70}


def test_two_servers_never_take_the_same_job(store: JobStore, other: JobStore) -> None:
    made = set(many_queued(store, 100, "ada")) | set(many_queued(store, 100, "bob"))
    gate = threading.Barrier(2)

    def take(server: JobStore) -> list[str]:
        gate.wait()
        taken: list[str] = []
        while found := server.queue.take(take_first, utcnow()):
            taken += [one.id for one in found]
        return taken

    with ThreadPoolExecutor(2) as pool:
        here, there = pool.map(take, (store, other))
    assert len(here) + len(there) == len(made)
    assert {*here, *there} == made


def test_a_limit_on_what_runs_holds_when_servers_race(store: JobStore, other: JobStore) -> None:
    """Each looks at what runs and takes one more below three: without one lock for both there would be four."""
    gate = threading.Barrier(2)

    def below_three(queues: Sequence[Iterator[Candidate]], loads: Sequence[Load]) -> list[Candidate]:
        return take_first(queues, loads) if sum(load.number for load in loads) < 3 else []

    def take(server: JobStore) -> int:
        gate.wait()
        return len(server.queue.take(below_three, utcnow()))

    for _ in range(10):
        many_queued(store, 2, "ada")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(take, (store, other)))
    assert len(store.taken()) == 3


def test_a_drained_queue_offers_only_what_resumes(store: JobStore) -> None:
    queued(store)
    still = queued(store, 1)
    store.queue.take(take_all, NOW)
    assert store.move(still, [Phase.EXECUTING], Phase.SUSPENDED)
    queued(store, 2)
    DrainStore(store.engine, store.server).begin(Drain(NOW, "ada", ""))
    assert offered(store) == []
    assert store.queue.ask_resume(still, NOW)
    assert [one.id for one in store.queue.take(take_all, NOW)] == [still]


def test_a_suspended_job_goes_on_where_it_stands_when_it_gets_a_place(store: JobStore, other: JobStore) -> None:
    job = queued(store, owner="ada")
    assert not store.queue.ask_resume(job, NOW), "it does not stand still"
    store.queue.take(take_all, NOW)
    assert store.move(job, [Phase.EXECUTING], Phase.SUSPENDED)
    assert not store.queue.has_waiting()
    assert other.queue.ask_resume(job, NOW + timedelta(seconds=5))
    assert store.get(job).phase is Phase.SUSPENDED
    assert store.queue.has_waiting()
    assert not other.queue.has_waiting(), "its processes are not there"
    ((one,),) = offered(store)
    assert (one.id, one.resumes, one.since) == (job, True, microseconds_of(NOW + timedelta(seconds=5)))
    assert store.queue.withdraw_resume(job)
    assert (offered(store), store.get(job).resume_asked) == ([], None)
    assert store.queue.ask_resume(job, NOW)
    assert [found.id for found in store.queue.take(take_all, NOW + timedelta(seconds=9))] == [job]
    gone_on = store.get(job)
    assert (gone_on.phase, gone_on.started, gone_on.resume_asked) == (Phase.EXECUTING, NOW, None)
    assert not store.asked(job).suspend


def test_a_job_that_was_held_meanwhile_is_not_taken(store: JobStore) -> None:
    job = queued(store)
    gone = Candidate(new_id(), "", "dummy", 0, False, 1, 0)
    held = queued(store, 1)
    assert store.move(held, [Phase.QUEUED], Phase.HELD)
    chosen = [gone, *(one for queue in offered(store) for one in queue), gone._replace(id=held)]
    assert [one.id for one in store.queue.take(lambda *_: chosen, NOW)] == [job]
    assert store.get(held).phase is Phase.HELD


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.SUSPENDED])
def test_a_limit_of_an_owner_holds_across_servers(store: JobStore, other: JobStore, phase: Phase) -> None:
    before = Phase.PENDING if phase is Phase.QUEUED else Phase.EXECUTING
    made = [Job(new_id(), "dummy", "1.0", before, NOW, 60, owner="ada") for _ in range(8)]
    for job in made:
        store.add(job)
    store.add(Job(new_id(), "dummy", "1.0", phase, NOW, 60, owner="bob"))
    gate = threading.Barrier(8)

    def move(number: int) -> bool:
        gate.wait()
        server = (store, other)[number % 2]
        moved = server.queue.move_within(made[number].id, "ada", [before], phase, [phase], 3, queued=utcnow())
        assert moved.counted <= 3
        return moved.done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 3


def test_a_limit_of_bytes_holds_across_servers(store: JobStore, other: JobStore) -> None:
    """New jobs and changed parameters alike: of eight requests for 30 bytes each, three find room in 100."""
    before = [Job(new_id(), "dummy", "1.0", Phase.PENDING, NOW, 60, owner="ada") for _ in range(4)]
    for job in before:
        store.add(job)
    gate = threading.Barrier(8)

    def store_some(number: int) -> bool:
        gate.wait()
        server = (store, other)[number % 2]
        if number < 4:
            changed = replace(before[number], parameters={"text": ParameterValue("b", "b")})
            return server.update_pending(before[number], changed, 30, 100).done
        new = Job(new_id(), "dummy", "1.0", Phase.PENDING, NOW, 60, owner="ada", size=30)
        return server.add_within(new, 100) is None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(store_some, range(8))) == 3
    assert store.stored_bytes("ada") == 90


@pytest.mark.parametrize("where", ["queue", "cluster"])
def test_ten_thousand_jobs_are_not_read(store: JobStore, where: str) -> None:
    """The plan of every query walks along the index of the queue, or those of what runs; those that wait on a cluster
    came before, and are not stepped over."""
    many_queued(store, 10_000, "ada")
    if where == "cluster":
        with store.engine.begin() as connection:
            connection.execute(jobs.update().values(server="elsewhere"))
        many_queued(store, 20, "ada", since=10_000)
    queued(store, 99, owner="bob")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    executed: list[tuple[str, object]] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *args: executed.append((args[2], args[3])))
    found = offered(store, 20)
    assert sorted(len(queue) for queue in found) == [1, 20]
    demand = store.queue._demand.statement
    selects = [each for each in executed if "SELECT" in each[0] and "FROM jobs" in each[0]]
    assert len(selects) >= 4
    loads = str(store.queue._loads[1].compile(store.engine))
    for statement, values in [*selects, (demand.text, demand.bound({}))]:
        if statement != loads:  # what is on the cluster is counted
            require_few_rows(store, statement, values)


def require_few_rows(store: JobStore, statement: str, values: Any) -> None:
    """Fail if a query walks over all jobs: SQLite counts its steps, PostgreSQL the rows that it saw."""
    with store.engine.connect() as connection:
        if store.engine.name == "sqlite":
            steps: list[int] = []
            raw = connection.connection.dbapi_connection
            raw.set_progress_handler(lambda: steps.append(1), 100)  # type: ignore[union-attr]
            connection.exec_driver_sql(statement, values).all()
            raw.set_progress_handler(None, 100)  # type: ignore[union-attr]
            assert len(steps) < 50, (statement, len(steps))
            return
        explain = "EXPLAIN (ANALYZE, FORMAT TEXT) "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, values))
    assert "Seq Scan on jobs" not in plan, (statement, plan)
    found_rows = re.findall(r"actual time=\S+ rows=(\d+)|Rows Removed by Filter: (\d+)", plan)
    assert all(int(number or removed) < 50 for number, removed in found_rows), (statement, plan)


def test_the_heads_are_found_by_steps_whatever_postgresql_believes(store: JobStore) -> None:
    """It has not counted the rows since they came, and takes the query for one that is worth compiling."""
    if store.engine.name == "sqlite":
        pytest.skip("SQLite has no such beliefs")
    many_queued(store, 10_000, "ada")
    queued(store, 99, owner="bob")
    with alone(store.engine, QUEUE) as connection:
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {_HEADS}"))
    assert "JIT" not in plan
    assert all(int(number) < 50 for number in re.findall(r"actual time=\S+ rows=(\d+)", plan)), plan


def test_a_job_with_parts_takes_a_place_for_each_that_may_run(store: JobStore, other: JobStore) -> None:
    for server in (store, other):
        ServerStore(store.engine).add(Server(server.server, HOST, "here", 1, "1"))
    array = queued(store, 0, owner="ada", needs=Needs(2, 100, parts=9))
    assert not store.queue.demand().shares

    def take_three(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
        first = next(queues[0])
        assert (first.id, first.width, first.wanted, first.grows) == (array, 0, 9, False)
        grown = first.grown()
        assert grown is not None
        return [first, grown, grown]

    assert len(store.queue.take(take_three, NOW)) == 3
    assert store.queue.demand() == (False, True) and other.queue.demand() == (False, False)
    assert store.queue.shares.all() == [Share(array, 3, 9)] and other.queue.shares.all() == []
    assert [load[6:] for load in other.queue.loads()] == [(3, 6, 300)]
    (running,) = store.queue.state(9).running
    assert (running.cores, running.width) == (2, 3)
    assert offered(other) == []
    assert [[(one.id, one.width, one.wanted, one.grows) for one in queue] for queue in offered(store)] == [
        [(array, 3, 9, True)]
    ]
    store.queue.shares.settle(Share(array, 4, 9))
    assert store.queue.shares.all() == [Share(array, 3, 9)], "it gets none by what it says itself"
    store.queue.shares.settle(Share(array, 1, 1))
    assert store.queue.shares.all() == [Share(array, 1, 1)]
    other.queue.shares.settle(Share(array, 0, 1))
    assert store.queue.shares.all() == [Share(array, 1, 1)]
    assert store.move(array, [Phase.EXECUTING], Phase.SUSPENDED)
    assert store.queue.shares.all() == []
    store.queue.ask_resume(array, NOW)
    ((again,),) = offered(store)
    assert (again.id, again.resumes, again.grows, again.cores, again.width) == (array, True, False, 2, 1)
