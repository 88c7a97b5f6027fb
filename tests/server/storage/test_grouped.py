"""Jobs that many threads add at the same moment: in few transactions, each acknowledged once it is committed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from processes import until
from uws_server.jobs.job import Filter, Job, ParameterValue, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)

ADD_FOR_EVER = """
import sys, threading
from datetime import UTC, datetime
from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
store, lock = JobStore(sys.argv[1]), threading.Lock()
def add():
    while True:
        job = Job(new_id(), "dummy", "1", Phase.PENDING, datetime.now(UTC), 60)
        store.add(job)
        with lock:
            print(job.id, flush=True)
for _ in range(12):
    threading.Thread(target=add).start()
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

    def hold(*_: object) -> None:
        begun.set()
        gate.wait(60)

    def met(one: Job) -> Exception | None:
        try:
            store.add(one)
        except Exception as error:  # noqa: BLE001 - what each of them met is looked at
            return error
        return None

    sa.event.listen(store.engine, "checkout", hold, once=True)
    sa.event.listen(store.engine, "checkout", lambda *about: transactions.append(about))
    with ThreadPoolExecutor(len(made)) as pool:
        futures = [pool.submit(met, made[0])]
        assert begun.wait(60)
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
