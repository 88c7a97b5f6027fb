"""The jobs in a real SQLite file: what comes back, which lists show what, and that only one change of phase wins."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uws_server.errors import NotFound
from uws_server.jobs.job import Filter, Job, JobError, ParameterValue, Result, new_id, utcnow
from uws_server.jobs.phases import ENDED, TRANSITIONS, Phase
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield opened
    opened.close()


def job(phase: Phase = Phase.PENDING, created: datetime = NOW, **about: object) -> Job:
    return replace(Job(new_id(), "dummy", "1.0", phase, created, 60), **about)  # type: ignore[arg-type]


def added(store: JobStore, phase: Phase = Phase.PENDING, **about: object) -> Job:
    made = job(phase, **about)  # type: ignore[arg-type]
    store.add(made)
    return made


def result(name: str) -> Result:
    return Result(new_id(), name, f"results/{name}.fits", "application/fits", 2**40, "0" * 64, "A spectrum.")


def race(*attempts: Callable[[], bool]) -> list[bool]:
    """What each attempt said, all begun at the same moment."""
    said: list[bool | None] = [None] * len(attempts)
    gate = threading.Barrier(len(attempts))

    def run(number: int) -> None:
        gate.wait()
        said[number] = attempts[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in said
    return [bool(answer) for answer in said]


times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
kinds = st.sampled_from(["value", "upload", "archive"])
numbers = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
parameters = st.builds(ParameterValue, texts, st.none() | st.booleans() | texts | numbers, kinds)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    created=times,
    destruction=times | st.none(),
    run_id=texts | st.none(),
    given_values=st.dictionaries(texts, parameters),
)
def test_a_job_comes_back_as_it_was_added(
    store: JobStore,
    created: datetime,
    destruction: datetime | None,
    run_id: str | None,
    given_values: dict[str, ParameterValue],
) -> None:
    made = added(
        store, created=created, destruction=destruction, run_id=run_id, parameters=given_values, quote=NOW, owner="ada"
    )
    found = store.get(made.id)
    assert found == made
    assert [type(value.value) for value in found.parameters.values()] == [type(v.value) for v in given_values.values()]
    assert list(found.parameters) == list(given_values)


def test_a_job_outlives_the_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    first = JobStore(url)
    made = added(first)
    first.close()
    second = JobStore(url)
    assert second.get(made.id) == made
    second.close()


@pytest.mark.parametrize("job_id", ["", "x", "' OR 1=1 --", "0" * 32, "a" * 10_000, "\0"])
def test_an_unknown_id_is_told(store: JobStore, job_id: str) -> None:
    added(store)
    for use in (store.get, store.result, lambda wanted: store.change(wanted, execution_duration=1)):
        with pytest.raises(NotFound, match=r"no (job|result)") as caught:
            use(job_id)
        assert len(str(caught.value)) < 200
    store.delete(job_id)
    assert len(store.ids()) == 1


def test_only_legal_steps_happen(store: JobStore) -> None:
    for before, after in itertools.product(Phase, Phase):
        made = added(store, before)
        legal = after in TRANSITIONS[before]
        assert (before, after, store.move(made.id, list(Phase), after)) == (before, after, legal)
        assert store.get(made.id).phase == (after if legal else before)


def test_what_has_ended_stays_ended() -> None:
    for phase in ENDED:
        assert TRANSITIONS[phase] <= {Phase.ARCHIVED}


def test_a_step_from_another_phase_than_expected_does_not_happen(store: JobStore) -> None:
    made = added(store, Phase.HELD)
    assert not store.move(made.id, [Phase.PENDING], Phase.QUEUED, queued=NOW)
    assert not store.move(made.id, [], Phase.QUEUED)
    assert store.get(made.id) == made
    assert not store.move(new_id(), [Phase.PENDING], Phase.QUEUED)


def test_columns_are_set_with_the_phase(store: JobStore) -> None:
    made = added(store, Phase.QUEUED)
    assert store.move(made.id, [Phase.QUEUED], Phase.EXECUTING, started=NOW)
    assert store.get(made.id).started == NOW


def test_of_many_threads_and_two_servers_one_wins(store: JobStore) -> None:
    other = JobStore(str(store.engine.url))
    try:
        for _ in range(15):
            made = added(store, Phase.QUEUED)
            ends = [Phase.EXECUTING, Phase.ABORTED, Phase.HELD, Phase.ERROR]
            attempts = [partial(one.move, made.id, [Phase.QUEUED], end) for one in (store, other) for end in ends]
            said = race(*attempts)
            assert said.count(True) == 1
            assert store.get(made.id).phase == (ends * 2)[said.index(True)]
    finally:
        other.close()


def test_of_an_end_and_an_abort_one_wins_and_results_belong_to_the_winner(store: JobStore) -> None:
    for _ in range(15):
        made = added(store, Phase.EXECUTING)
        made_results = [result("a"), result("b")]
        completed, aborted = race(
            partial(store.end, made.id, Phase.COMPLETED, NOW, None, made_results),
            partial(store.end, made.id, Phase.ABORTED, NOW, JobError("limit"), []),
        )
        assert completed is not aborted
        found = store.get(made.id)
        assert found.phase == (Phase.COMPLETED if completed else Phase.ABORTED)
        assert list(found.results) == (made_results if completed else [])
        assert found.error == (None if completed else JobError("limit"))


def test_writers_wait_for_each_other(store: JobStore) -> None:
    made = [added(store) for _ in range(60)]

    def queue(part: list[Job]) -> bool:
        return all(store.move(one.id, [Phase.PENDING], Phase.QUEUED, queued=utcnow()) for one in part)

    assert all(race(*(partial(queue, made[start::6]) for start in range(6))))
    assert set(store.in_phase(Phase.QUEUED)) == {one.id for one in made}


def test_a_job_ends_once_with_its_results_in_order(store: JobStore) -> None:
    made = added(store, Phase.EXECUTING)
    results = [result(name) for name in ("z", "a", "log")]
    assert store.get(made.id).results == ()
    assert store.end(made.id, Phase.ERROR, NOW, JobError("no counts", fatal=False), results)
    found = store.get(made.id)
    assert (found.phase, found.ended, found.error) == (Phase.ERROR, NOW, JobError("no counts", fatal=False))
    assert found.results == tuple(results)
    assert store.result(results[1].id) == (made.id, results[1])
    assert not store.end(made.id, Phase.COMPLETED, NOW, None, [result("again")])
    assert store.get(made.id) == found
    assert not store.end(new_id(), Phase.COMPLETED, NOW, None, [result("orphan")])


def test_an_end_that_fails_leaves_nothing_half_done(store: JobStore) -> None:
    made = added(store, Phase.EXECUTING)
    twice = result("a")
    with pytest.raises(Exception, match="UNIQUE"):
        store.end(made.id, Phase.COMPLETED, NOW, None, [twice, twice])
    assert store.get(made.id) == made


def test_only_a_pending_job_changes_its_parameters(store: JobStore) -> None:
    before = added(store, parameters={"text": ParameterValue("a", "a")})
    after = replace(before, parameters={"text": ParameterValue("b", "b")})
    assert store.update_pending(before, after)
    assert store.get(before.id) == after
    store.move(before.id, [Phase.PENDING], Phase.QUEUED)
    assert not store.update_pending(after, before)
    assert store.get(before.id).parameters == after.parameters


def test_of_two_changes_to_the_same_parameters_one_wins(store: JobStore) -> None:
    for _ in range(10):
        before = added(store, parameters={"a": ParameterValue("0", 0), "b": ParameterValue("0.1", 0.1)})
        wanted = [replace(before, parameters={**before.parameters, name: ParameterValue("1", 1)}) for name in "ab"]
        said = race(*(partial(store.update_pending, before, after) for after in wanted))
        assert said.count(True) == 1
        assert store.get(before.id) == wanted[said.index(True)]


# --- lists -------------------------------------------------------------------------------------------------


def test_a_list_is_newest_first_without_the_archived(store: JobStore) -> None:
    made = [added(store, phase, created=NOW + timedelta(seconds=i)) for i, phase in enumerate(Phase)]
    listed = store.select(Filter())
    assert [one.id for one in listed] == [one.id for one in reversed(made) if one.phase is not Phase.ARCHIVED]
    archived = store.select(Filter(phases=(Phase.ARCHIVED, Phase.ERROR)))
    assert {one.phase for one in archived} == {Phase.ARCHIVED, Phase.ERROR}


def test_filters_are_taken_together_then_the_last_ones(store: JobStore) -> None:
    for i in range(6):
        added(store, Phase.ERROR if i % 2 else Phase.PENDING, created=NOW + timedelta(seconds=i))
    added(store, Phase.ERROR, created=NOW + timedelta(seconds=9), definition="spectrum")
    listed = store.select(Filter("dummy", (Phase.ERROR,), NOW + timedelta(seconds=1), 1))
    assert [one.created for one in listed] == [NOW + timedelta(seconds=5)]
    after = store.select(Filter("dummy", (), NOW + timedelta(seconds=1)))
    assert [(one.created - NOW).seconds for one in after] == [5, 4, 3, 2]
    assert len(store.select(Filter(last=3))) == 3
    assert store.select(Filter("nothing")) == []


@given(microseconds=st.integers(0, 999_999), apart=st.integers(-3000, 3000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_is_strict_for_the_times_that_clients_see(store: JobStore, microseconds: int, apart: int) -> None:
    """A client knows times to the millisecond; AFTER=<the creation time of a job> does not list that job again."""
    made = added(store, created=NOW.replace(microsecond=microseconds), definition=new_id())
    seen = made.created.replace(microsecond=microseconds // 1000 * 1000)
    after = seen + timedelta(microseconds=apart)
    assert bool(store.select(Filter(made.definition, after=after))) is (seen > after)


def test_the_queue_is_in_order(store: JobStore) -> None:
    made = [added(store, created=NOW + timedelta(seconds=i)) for i in range(4)]
    for place, one in enumerate([made[2], made[0], made[3], made[1]]):
        store.move(one.id, [Phase.PENDING], Phase.QUEUED, queued=NOW + timedelta(microseconds=place))
    assert list(store.in_phase(Phase.QUEUED)) == [made[2].id, made[0].id, made[3].id, made[1].id]


# --- the end of a job --------------------------------------------------------------------------------------


def test_a_deleted_job_leaves_nothing(store: JobStore, tmp_path: Path) -> None:
    kept = added(store, Phase.EXECUTING)
    store.end(kept.id, Phase.COMPLETED, NOW, None, [result("a")])
    gone = added(store, Phase.EXECUTING)
    gone_result = result("a")
    store.end(gone.id, Phase.COMPLETED, NOW, None, [gone_result])
    store.delete(gone.id)
    assert store.ids() == {kept.id}
    with pytest.raises(NotFound):
        store.result(gone_result.id)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as independent:
        assert independent.execute("SELECT job_id FROM results").fetchall() == [(kept.id,)]
    independent.close()


def test_jobs_whose_time_has_come(store: JobStore) -> None:
    due = added(store, destruction=NOW)
    added(store, destruction=NOW + timedelta(microseconds=1))
    added(store, Phase.ARCHIVED, destruction=NOW)
    added(store, destruction=None)
    assert list(store.expired(NOW)) == [due.id]
    store.change(due.id, destruction=NOW + timedelta(days=1), execution_duration=5)
    assert list(store.expired(NOW)) == []
    assert store.get(due.id).execution_duration == 5
