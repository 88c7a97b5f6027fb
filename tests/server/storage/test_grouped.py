"""Jobs that many threads add at the same moment: in few transactions, each acknowledged once it is committed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from processes import until
from uws_server.errors import Unavailable
from uws_server.jobs.job import Filter, Job, ParameterValue, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage import changes, database
from uws_server.storage.failures import meaning_of
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)

ADD_FOR_EVER = """
import sys, threading
from datetime import UTC, datetime
from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
store, lock = JobStore(sys.argv[1]), threading.Lock()
def add(begins):
    while True:
        job = Job(new_id(), "dummy", "1", Phase.PENDING, datetime.now(UTC), 60)
        store.begin_adding(job).wait() if begins else store.add(job)
        with lock:
            print(job.id, flush=True)
for number in range(12):
    threading.Thread(target=add, args=[number % 2]).start()
"""


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
    yield opened
    opened.close()


def job(job_id: str = "", **about: str) -> Job:
    values = {"text": ParameterValue("a & b", "a & b")}
    return Job(
        job_id or new_id(), "dummy", "1", Phase.PENDING, NOW, 60, parameters=values, owner="ada", size=7, **about
    )


def added_together(store: JobStore, made: list[Job]) -> tuple[list[Exception | None], int]:
    """Add a job, and others while it is being added; what each met, and how many transactions there were."""
    begun, gate, transactions = threading.Event(), threading.Event(), []
    commit = store._added._commit

    def held(rows: Sequence[Any], notices: Sequence[Any]) -> None:
        transactions.append(rows)
        begun.set()
        gate.wait(300)
        commit(rows, notices)

    def met(one: Job) -> Exception | None:
        try:
            store.add(one)
        except Exception as error:  # noqa: BLE001 - what each of them met is looked at
            return error
        return None

    store._added._turns = 1  # as in SQLite; a turn more would let the others pass
    store._added._commit = held
    with ThreadPoolExecutor(len(made)) as pool:
        futures = [pool.submit(met, made[0])]
        assert begun.wait(300)
        futures += [pool.submit(met, one) for one in made[1:]]
        until(lambda: len(store._added._waiting) == len(made) - 1, what="the others wait")
        gate.set()
    return [future.result() for future in futures], len(transactions)


def test_those_that_wait_are_added_in_one_transaction(store: JobStore) -> None:
    made = [job(run_id=f"run {number}") for number in range(10)]
    errors, transactions = added_together(store, made)
    assert errors == [None] * 10
    assert [store.get(one.id) for one in made] == made
    assert transactions == 2
    assert store.stored_bytes("ada") == 70


def test_one_thread_begins_many_and_each_tells_when_it_is_committed(store: JobStore) -> None:
    made = [job() for _ in range(50)]
    made[20] = made[10]
    ended: list[tuple[int, bool]] = []
    addings = [store.begin_adding(one) for one in made]
    for number, (one, adding) in enumerate(zip(made, addings, strict=True)):
        adding.then(lambda number=number, one=one: ended.append((number, bool(store.known([one.id])))))  # type: ignore[misc]
    until(lambda: len(ended) == len(made), what="every one has told")
    assert sorted(ended) == [(number, True) for number in range(50)]
    assert [number for number, adding in enumerate(addings) if adding.error] in ([10], [20])
    with pytest.raises(Exception, match=r"(?i)unique"):
        next(adding for adding in addings if adding.error).wait()


def test_others_hear_of_jobs_that_are_run_at_once_and_of_those_only(store: JobStore) -> None:
    heard: list[tuple[str, str]] = []
    watching = changes.watch(store.engine, "another", lambda *what: heard.append(what), lambda: None)
    watching.start()
    try:
        made = [replace(job(), phase=Phase.QUEUED, queued=NOW) if number % 2 else job() for number in range(10)]
        errors, _ = added_together(store, made)
        assert errors == [None] * 10
        last = replace(job(), phase=Phase.QUEUED, queued=NOW)
        assert store.add_within(last, 100) is None
        queued = [*made[1::2], last]
        until(lambda: len(heard) >= len(queued), what="the notices")
    finally:
        watching.stop()
    assert sorted(heard) == sorted((one.id, "QUEUED") for one in queued)
    assert [store.get(one.id).queued for one in made] == [None, NOW] * 5


def test_one_that_is_not_possible_fails_alone(store: JobStore) -> None:
    first = job()
    store.add(first)
    made = [job() for _ in range(8)]
    made[5] = job(first.id, run_id="another")
    errors, _ = added_together(store, made)
    assert [error is None for error in errors] == [number != 5 for number in range(8)]
    assert "unique" in str(errors[5]).lower()
    assert {one.id for one in store.summaries(Filter())} == {one.id for one in made}
    assert store.get(first.id) == first


def test_after_a_failure_jobs_are_added_as_before(store: JobStore) -> None:
    made = job()
    store.add(made)
    for _ in range(3):
        with pytest.raises(Exception, match=r"(?i)unique"):
            store.add(made)
    following = [job() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.add, following))
    assert store.known([one.id for one in following]) == {one.id for one in following}


def test_a_server_that_is_killed_has_every_job_that_it_acknowledged(store: JobStore) -> None:
    url = store.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with subprocess.Popen([sys.executable, "-c", ADD_FOR_EVER, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(500)]
        process.kill()
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert len(set(acknowledged)) == len(acknowledged) >= 500
    there = {one.id for one in store.summaries(Filter())}
    assert there.issuperset(acknowledged)
    assert all(store.get(job_id).phase is Phase.PENDING for job_id in there)


def close_others(store: JobStore) -> None:
    """Have the database close every connection but the one that asks for it, as a restart does."""
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite closes none")
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    with store.engine.connect() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


def test_connections_that_the_database_closed_meanwhile_lose_no_job(store: JobStore) -> None:
    before, at_once, after = job(), job(), job()
    store.add(before)
    close_others(store)
    with pytest.raises(Exception, match=r"(?i)terminat|closed") as met:
        store.add(at_once)  # in a burst none is asked before
    assert isinstance(meaning_of(met.value), Unavailable)
    store.add(after)
    assert store.known([one.id for one in (before, at_once, after)]) == {before.id, after.id}


def test_a_connection_that_has_rested_is_asked_before(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(job())
    close_others(store)
    monkeypatch.setattr(database, "_RESTED_S", 0.0)
    made = job()
    store.add(made)
    assert store.known([made.id]) == {made.id}
