"""The past durations in both databases: what the ends of jobs leave, and what a new job is told from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from uws_server.jobs.estimates import MOST_SAMPLES
from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.durations import DurationStore
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 29, 9, 0, 0, tzinfo=UTC)


def ran(
    store: JobStore,
    seconds: float,
    ended: datetime = NOW,
    phase: Phase = Phase.COMPLETED,
    revision: str = "a",
    trial: bool = False,
    size: int = 0,
) -> None:
    """A job that ran for so long."""
    job = Job(
        new_id(), "dummy", "1.0", Phase.PENDING, NOW, 60, revision=revision, trial=trial, input_size=size
    )  # fmt: skip
    store.add(job)
    assert store.move(job.id, [Phase.PENDING], Phase.QUEUED, queued=NOW)
    started = ended - timedelta(seconds=seconds)
    assert store.move(job.id, [Phase.QUEUED], Phase.EXECUTING, started=started, server=store.server)
    assert store.end(job.id, phase, ended, None, [])


def expected(store: JobStore, revision: str = "a", size: int = 0, definition: str = "dummy") -> float | None:
    """What a server that has remembered nothing yet says."""
    return DurationStore(store.engine).expected(definition, revision, size)


def test_only_jobs_that_were_completed_and_no_trials_tell_how_long_one_takes(store: JobStore) -> None:
    assert expected(store) is None
    ran(store, 1, phase=Phase.ERROR)
    ran(store, 2, phase=Phase.ABORTED)
    ran(store, 3, trial=True)
    assert expected(store) is None
    for seconds in (10, 30, 20):
        ran(store, seconds)
    assert expected(store) == 20
    assert expected(store, definition="other") is None


def test_a_new_revision_is_told_by_the_one_before_until_it_has_ended_once(store: JobStore) -> None:
    ran(store, 99, NOW - timedelta(hours=1), revision="older")
    ran(store, 10)
    assert expected(store, "new") == 10
    ran(store, 4, NOW + timedelta(hours=1), revision="new")
    assert (expected(store, "new"), expected(store, "a"), expected(store, "newest")) == (4, 10, 4)


def test_the_last_jobs_count_and_many_a_second_are_not_all_written(store: JobStore) -> None:
    for number in range(MOST_SAMPLES):
        ran(store, 10, NOW + timedelta(seconds=number))
    for number in range(MOST_SAMPLES):
        ran(store, 50, NOW + timedelta(seconds=MOST_SAMPLES + number / 100))
    assert expected(store) == 10, "within the same moment"
    for number in range(MOST_SAMPLES):
        ran(store, 50, NOW + timedelta(minutes=2 + number))
    assert expected(store) == 50


def test_the_size_of_the_input_counts_where_it_told(store: JobStore) -> None:
    for size in range(1, 13):
        ran(store, 2 * size, size=size * 10**6)
    assert expected(store, size=10 * 10**6) == pytest.approx(20)
    assert expected(store, size=10**6) == pytest.approx(2)
