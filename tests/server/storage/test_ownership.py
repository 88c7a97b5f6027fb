"""Jobs of nobody that an account takes over, in both databases: whose they are, and what counts for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uws_server.jobs.job import Filter, Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
from uws_server.storage.ownership import Most, Outcome, Ownership

JOB = Job("", "dummy", "1", Phase.PENDING, utcnow(), 60, size=1000)
ANY = Most(0, 0)


@pytest.fixture
def ownership(store: JobStore) -> Ownership:
    return Ownership(store.engine, store.server)


def made(store: JobStore, owner: str | None = None, phase: Phase = Phase.PENDING) -> str:
    job = replace(JOB, id=new_id(), owner=owner, phase=phase)
    store.add(job)
    return job.id


def test_a_job_goes_over_with_its_bytes(store: JobStore, ownership: Ownership) -> None:
    job_id, other = made(store), made(store)
    assert ownership.take(job_id, "ann", ANY) is Outcome.TAKEN
    assert store.bare(job_id).owner == "ann"
    assert store.bare(job_id).size == 1000
    assert (store.stored_bytes("ann"), store.stored_bytes(None)) == (1000, 1000)
    assert [job.id for job in store.summaries(Filter("dummy", owners=("ann",)))] == [job_id]
    assert ownership.take(job_id, "bob", ANY) is Outcome.GONE
    store.delete(job_id)
    store.delete(other)
    assert (store.stored_bytes("ann"), store.stored_bytes(None)) == (0, 0)


def test_no_more_is_taken_than_the_account_may_have(store: JobStore, ownership: Ownership) -> None:
    made(store, "ann", Phase.QUEUED)
    waiting, running = made(store), made(store, phase=Phase.QUEUED)
    assert ownership.take(running, "ann", Most(1, 0)) is Outcome.BUSY
    assert ownership.take(waiting, "ann", Most(1, 1500)) is Outcome.FULL
    assert {store.bare(job_id).owner for job_id in (waiting, running)} == {None}
    assert ownership.take(waiting, "ann", Most(1, 2000)) is Outcome.TAKEN
    assert ownership.take(running, "ann", Most(2, 3000)) is Outcome.TAKEN
    assert store.active_count("ann") == 2
    assert store.stored_bytes(None) == 0
