"""A job that waits on a cluster, in both databases: QUEUED for the world, and nobody's but its server's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore, Run
from uws_server.storage.queued_jobs import Candidate, Load

NOW = datetime(2026, 11, 29, 9, 0, 0, tzinfo=UTC)


def all_elsewhere(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
    return [one._replace(elsewhere=True) for one in chain(*queues)]


def all_here(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
    return list(chain(*queues))


@pytest.fixture
def waiting(store: JobStore) -> str:
    """A job that a server has given to the cluster."""
    job = Job(new_id(), "dummy", "1.0", Phase.PENDING, NOW, 60)
    store.add(job)
    assert store.move(job.id, [Phase.PENDING], Phase.QUEUED, queued=NOW)
    assert [one.id for one in store.queue.take(all_elsewhere, NOW)] == [job.id]
    return job.id


def test_it_is_queued_and_of_its_server(store: JobStore, other: JobStore, waiting: str) -> None:
    """No other server takes it, and no request changes its phase; it counts as taken, and for its owner's share."""
    job = store.get(waiting)
    assert (job.phase, job.started) == (Phase.QUEUED, None)
    assert store.on_cluster.waits(waiting)
    assert other.queue.take(all_here, NOW) == []
    assert not other.queue.has_waiting()
    assert not other.move(waiting, [Phase.QUEUED], Phase.HELD)
    assert not other.move(waiting, [Phase.QUEUED], Phase.ABORTED, ended=NOW)
    assert store.taken() == [Run(waiting, Phase.QUEUED, store.server)]
    assert [load.number for load in other.queue.loads()] == [1]


def test_it_begins_once(store: JobStore, other: JobStore, waiting: str) -> None:
    began = NOW + timedelta(hours=3)
    assert not other.on_cluster.begin(waiting, began)
    assert store.on_cluster.begin(waiting, began)
    assert not store.on_cluster.begin(waiting, began + timedelta(hours=1))
    job = store.get(waiting)
    assert (job.phase, job.started) == (Phase.EXECUTING, began)
    assert not store.on_cluster.waits(waiting)


def test_abort_is_noted_for_its_server(store: JobStore, other: JobStore, waiting: str) -> None:
    assert other.ask_abort(waiting)
    assert (store.to_abort(), other.to_abort()) == ([waiting], [])
    assert store.end(waiting, Phase.ABORTED, NOW, None, [])
    assert store.get(waiting).phase is Phase.ABORTED


def test_it_is_taken_over_and_given_back(store: JobStore, other: JobStore, waiting: str) -> None:
    """By a server that finds that the first one ended before it submitted the job."""
    assert other.take_over(waiting, store.server)
    assert not store.on_cluster.give_back(waiting)
    assert other.on_cluster.give_back(waiting)
    assert [one.id for one in store.queue.take(all_here, NOW)] == [waiting]
    assert store.get(waiting).phase is Phase.EXECUTING
