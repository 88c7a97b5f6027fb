"""A drained queue, and what is counted of it, as every server on the database finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.counts import ActiveJobs, Counts, DiskUse, Waiting
from uws_server.storage.drain import Drain, DrainStore
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 29, 9, 0, 0, tzinfo=UTC)


def queued(store: JobStore, number: int = 0, definition: str = "dummy", owner: str | None = None) -> str:
    job = Job(new_id(), definition, "1.0", Phase.PENDING, NOW, 60, owner=owner)
    store.add(job)
    assert store.move(job.id, [Phase.PENDING], Phase.QUEUED, queued=NOW + timedelta(seconds=number))
    return job.id


def taken(store: JobStore) -> list[str]:
    """What a server takes that has room for everything."""
    return [one.id for one in store.queue.take(lambda queues, _: [one for queue in queues for one in queue], NOW)]


def test_no_server_takes_a_job_of_a_drained_queue(store: JobStore, other: JobStore) -> None:
    job = queued(store)
    drain = DrainStore(store.engine, store.server)
    note = Drain(NOW, "ada", "upgrade")
    drain.begin(note)
    assert DrainStore(other.engine, other.server).now() == note
    assert (taken(store), taken(other)) == ([], [])
    assert store.get(job).phase is Phase.QUEUED
    drain.begin(Drain(NOW, "eve", ""))
    assert drain.now() == Drain(NOW, "eve", ""), "the last one is named"
    assert drain.end()
    assert not drain.end()
    assert drain.now() is None
    assert taken(other) == [job]
    assert store.get(job).phase is Phase.EXECUTING
    assert store.get(job).queued == NOW


def test_what_waits_runs_and_is_held_is_counted(store: JobStore) -> None:
    counts = Counts(store.engine)
    assert (counts.active(), counts.waiting([]), counts.disk(5)) == ([], [], [])
    later, first = queued(store, 2, owner="ada"), queued(store, 1, "other")
    for phase in (Phase.EXECUTING, Phase.SUSPENDED, Phase.COMPLETED, Phase.PENDING):
        store.add(Job(new_id(), "dummy", "1.0", phase, NOW, 60, owner="ada", size=1000))
    store.add(Job(new_id(), "dummy", "1.0", Phase.COMPLETED, NOW, 60, size=50))
    counts.require_answer()
    assert sorted(counts.active()) == [
        ActiveJobs("dummy", Phase.EXECUTING, 1),
        ActiveJobs("dummy", Phase.QUEUED, 1),
        ActiveJobs("dummy", Phase.SUSPENDED, 1),
        ActiveJobs("other", Phase.QUEUED, 1),
    ]
    assert counts.waiting([later, first]) == [
        Waiting(first, "other", "", NOW + timedelta(seconds=1)),
        Waiting(later, "dummy", "ada", NOW + timedelta(seconds=2)),
    ]
    assert [each.id for each in counts.waiting([first, new_id()])] == [first]
    assert counts.disk(5) == [DiskUse("ada", 4000), DiskUse("", 50)]
    assert counts.disk(1) == [DiskUse("ada", 4000)]
