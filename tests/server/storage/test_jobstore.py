"""The jobs in both databases: what comes back, which lists show what, and that only one change of phase wins."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.pool import QueuePool

from uws_server.errors import NotFound
from uws_server.jobs.job import Filter, Job, JobError, JobSummary, ParameterValue, Result, new_id, utcnow
from uws_server.jobs.phases import ENDED, TRANSITIONS, Phase
from uws_server.storage.counts import Counts
from uws_server.storage.jobstore import JobColumns, JobStore, PhaseColumns
from uws_server.storage.tables import job_row, jobs

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
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


def listed(store: JobStore, wanted: Filter) -> list[JobSummary]:
    return list(store.summaries(wanted))


def ids(store: JobStore) -> set[str]:
    return {one.id for one in store.summaries(Filter(phases=tuple(Phase)))}


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
printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
kinds = st.sampled_from(["value", "upload", "archive"])
numbers = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
parameters = st.builds(ParameterValue, texts, st.none() | st.booleans() | texts | numbers, kinds)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    created=times,
    destruction=times | st.none(),
    run_id=printable | st.none(),
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


def test_a_job_outlives_the_server(database_url: str) -> None:
    first = JobStore(database_url)
    made = added(first)
    first.close()
    second = JobStore(database_url)
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
    assert len(ids(store)) == 1


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
    assert {one.id for one in listed(store, Filter(phases=(Phase.QUEUED,)))} == {one.id for one in made}


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
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.end(made.id, Phase.COMPLETED, NOW, None, [twice, twice])
    assert store.get(made.id) == made


def test_only_a_pending_job_changes_its_parameters(store: JobStore) -> None:
    before = added(store, parameters={"text": ParameterValue("a", "a")})
    after = replace(before, parameters={"text": ParameterValue("b", "b")})
    assert store.update_pending(before, after, 0, 0).done
    assert store.get(before.id) == after
    store.move(before.id, [Phase.PENDING], Phase.QUEUED)
    assert not store.update_pending(after, before, 0, 0).done
    assert store.get(before.id).parameters == after.parameters


def test_of_two_changes_to_the_same_parameters_one_wins(store: JobStore) -> None:
    def updated(before: Job, after: Job) -> bool:
        return store.update_pending(before, after, 0, 0).done

    for _ in range(10):
        before = added(store, parameters={"a": ParameterValue("0", 0), "b": ParameterValue("0.1", 0.1)})
        wanted = [replace(before, parameters={**before.parameters, name: ParameterValue("1", 1)}) for name in "ab"]
        said = race(*(partial(updated, before, after) for after in wanted))
        assert said.count(True) == 1
        assert store.get(before.id) == wanted[said.index(True)]


# --- lists -------------------------------------------------------------------------------------------------


def test_a_list_is_newest_first_without_the_archived(store: JobStore) -> None:
    made = [added(store, phase, created=NOW + timedelta(seconds=i)) for i, phase in enumerate(Phase)]
    listable = [one.id for one in reversed(made) if one.phase is not Phase.ARCHIVED]
    assert [one.id for one in listed(store, Filter())] == listable
    archived = listed(store, Filter(phases=(Phase.ARCHIVED, Phase.ERROR)))
    assert {one.phase for one in archived} == {Phase.ARCHIVED, Phase.ERROR}


def test_filters_are_taken_together_then_the_last_ones(store: JobStore) -> None:
    for i in range(6):
        added(store, Phase.ERROR if i % 2 else Phase.PENDING, created=NOW + timedelta(seconds=i))
    added(store, Phase.ERROR, created=NOW + timedelta(seconds=9), definition="spectrum")
    newest = listed(store, Filter("dummy", (Phase.ERROR,), NOW + timedelta(seconds=1), 1))
    assert [one.created for one in newest] == [NOW + timedelta(seconds=5)]
    after = listed(store, Filter("dummy", (), NOW + timedelta(seconds=1)))
    assert [(one.created - NOW).seconds for one in after] == [5, 4, 3, 2]
    assert len(listed(store, Filter(last=3))) == 3
    assert listed(store, Filter("nothing")) == []


@given(microseconds=st.integers(0, 999_999), apart=st.integers(-3000, 3000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_is_strict_for_the_times_that_clients_see(store: JobStore, microseconds: int, apart: int) -> None:
    """A client knows times to the millisecond; AFTER=<the creation time of a job> does not list that job again."""
    made = added(store, created=NOW.replace(microsecond=microseconds), definition=new_id())
    seen = made.created.replace(microsecond=microseconds // 1000 * 1000)
    after = seen + timedelta(microseconds=apart)
    assert bool(listed(store, Filter(made.definition, after=after))) is (seen > after)


def test_a_list_longer_than_a_page_holds_every_job_once_in_order(store: JobStore) -> None:
    """Many jobs of one moment: a page may end among them."""
    fill(
        store, 1703, lambda number: {"created": NOW + timedelta(microseconds=number // 400), "owner": "ab"[number % 2]}
    )
    everything = listed(store, Filter("dummy"))
    assert len({one.id for one in everything}) == 1703
    order = [(one.created, one.id) for one in everything]
    assert order == sorted(order, reverse=True)
    assert listed(store, Filter()) == listed(store, Filter(owners=("b", "a"))) == everything
    assert listed(store, Filter(owners=("b",))) == [one for one in everything if one.owner == "b"]
    for last in (1, 499, 500, 501, 1000, 1702, 1703, 2000):
        assert listed(store, Filter(last=last)) == everything[:last]


@pytest.mark.parametrize("phases", list(itertools.permutations((Phase.QUEUED, Phase.EXECUTING, Phase.COMPLETED))))
def test_a_job_that_changes_its_phase_meanwhile_is_listed_once(
    store: JobStore, phases: tuple[Phase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a list names its phases: each statement of one sees the jobs a phase further than the last one did."""
    fill(store, 1300, lambda number: {"created": NOW + timedelta(seconds=number), "phase": Phase.QUEUED})
    further = {Phase.QUEUED: Phase.EXECUTING, Phase.EXECUTING: Phase.COMPLETED}

    def all_a_phase_further(*_: Any) -> None:
        phase = sa.case({old.value: new.value for old, new in further.items()}, value=jobs.c.phase)
        with store.engine.begin() as connection:
            connection.execute(
                jobs.update().where(jobs.c.phase.in_([one.value for one in further])).values(phase=phase)
            )

    expected = sorted((one.created, one.id) for one in listed(store, Filter()))
    after_each_look(store, monkeypatch, all_a_phase_further)
    seen = listed(store, Filter("dummy", phases))
    assert sorted((one.created, one.id) for one in seen) == expected
    assert {store.get(job_id).phase for _, job_id in expected} == {Phase.COMPLETED}


def test_a_reader_that_stops_to_think_holds_nothing(store: JobStore) -> None:
    fill(store, 1200, lambda number: {"created": NOW + timedelta(seconds=number)})
    pool = store.engine.pool
    assert isinstance(pool, QueuePool)
    reading = store.summaries(Filter("dummy"))
    seen = [next(reading) for _ in range(3)]
    assert pool.checkedout() == 0
    later = added(store, created=NOW + timedelta(days=1))
    store.delete(seen[0].id)
    seen += reading
    assert pool.checkedout() == 0
    assert [one.created for one in seen] == [NOW + timedelta(seconds=number) for number in reversed(range(1200))]
    assert later.id not in {one.id for one in seen}


def test_lists_of_some_owners(store: JobStore) -> None:
    ada, eve, nobody = (added(store, owner=owner, created=NOW) for owner in ("ada", "eve", None))
    archived = added(store, Phase.ARCHIVED, owner="ada", definition="spectrum")
    assert {one.id for one in listed(store, Filter(owners=("ada",)))} == {ada.id}
    assert {one.id for one in listed(store, Filter(owners=("ada", None, "ada")))} == {ada.id, nobody.id}
    assert {one.id for one in listed(store, Filter("dummy", owners=("eve", "nobody")))} == {eve.id}
    assert {one.id for one in listed(store, Filter(phases=(Phase.ARCHIVED,), owners=("ada",)))} == {archived.id}
    assert listed(store, Filter(owners=())) == []
    summary = listed(store, Filter(owners=(None,)))[0]
    assert (summary.owner, summary.phase, summary.created, summary.run_id) == (None, Phase.PENDING, NOW, None)


def after_each_look(store: JobStore, monkeypatch: pytest.MonkeyPatch, then: Callable[[str, Any], object]) -> None:
    """Have something done after each query of the store's reader, with its text and values."""
    look = store.reader.rows

    def rows(text: str, values: Any) -> list[tuple[Any, ...]]:
        found = look(text, values)
        then(text, values if isinstance(values, dict) else tuple(values))
        return found

    monkeypatch.setattr(store.reader, "rows", rows)


OWNERS = (None, ("ada",), (None, "ada"))
PHASES = ((), (Phase.ERROR,), (Phase.PENDING, Phase.ARCHIVED))


def test_every_list_is_a_walk_along_an_index(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query of a list or of what runs sorts, or looks at rows that it does not return."""

    def about(number: int) -> dict[str, object]:
        phase = Phase.PENDING if number % 50 else Phase.QUEUED
        return {"created": NOW + timedelta(seconds=number), "owner": "ada" if number % 3 else None, "phase": phase}

    fill(store, 4000, about)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    executed: list[tuple[str, Any]] = []
    after_each_look(store, monkeypatch, lambda *look: executed.append(look))
    for definition, owners, phases in itertools.product((None, "dummy"), OWNERS, PHASES):
        for after, last in ((None, 10), (NOW + timedelta(seconds=100), 10), (None, 1100)):  # that of 1100 has two pages
            listed(store, Filter(definition, phases, after, last, owners))
            list(store.references(Filter(definition, phases, after, last, owners)))
    sa.event.listen(store.engine, "before_cursor_execute", lambda *args: executed.append((args[2], args[3])))
    store.taken()
    store.to_abort()
    store.expired(NOW - timedelta(days=1))
    store.active_count("ada")
    Counts(store.engine).active()
    walks = 0
    for statement, values in dict(executed).items():
        with store.engine.connect() as connection:
            explain = "EXPLAIN QUERY PLAN " if store.engine.name == "sqlite" else "EXPLAIN "
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, values))
        assert "Seq Scan on jobs" not in plan, (statement, plan)
        assert "SCAN jobs" not in plan, (statement, plan)
        if "FROM jobs" in statement and "created DESC" in statement:
            walks += 1
            assert "Sort  (" not in plan and "TEMP B-TREE" not in plan, (statement, plan)
    assert walks == 32, "twelve forms of a list, four of a further page, of two kinds of columns"


def fill(store: JobStore, count: int, about: Callable[[int], dict[str, object]]) -> None:
    """Add many jobs at once."""
    made = [job(**about(number)) for number in range(count)]  # type: ignore[arg-type]
    with store.engine.begin() as connection:
        connection.execute(jobs.insert(), [job_row(one) for one in made])


# --- quotas ------------------------------------------------------------------------------------------------


def test_active_jobs_are_those_that_wait_or_run(store: JobStore) -> None:
    for phase in Phase:
        added(store, phase, owner="ada")
        added(store, phase)
    added(store, Phase.QUEUED, owner="eve")
    assert (store.active_count("ada"), store.active_count(None), store.active_count("eve")) == (4, 4, 1)
    assert store.active_count("nobody") == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 10**13)), max_size=12))
def test_stored_bytes_are_those_of_the_jobs_that_are_there(store: JobStore, steps: list[tuple[int, int, int]]) -> None:
    """Through any order of additions, changes, ends, archivings and deletions."""
    owner = new_id()
    made: list[Job] = []
    for which, what, size in steps:
        if what == 0 or not made:
            made.append(added(store, Phase.EXECUTING, owner=owner, size=size))
            continue
        one = made[which % len(made)]
        if what == 1 and one.id in ids(store):
            store.change(one.id, size=size)
        elif what == 2:
            store.end(one.id, Phase.COMPLETED, NOW, None, [], size=size)
        elif what == 3:
            store.archive(one.id)
        elif what == 4:
            store.delete(one.id)
    left = [store.get(one.id) for one in made if one.id in ids(store)]
    assert store.stored_bytes(owner) == sum(one.size for one in left)


def test_of_two_changes_of_size_at_once_none_is_lost(store: JobStore) -> None:
    made = [added(store, owner="ada", size=1) for _ in range(8)]

    def grow(one: Job) -> bool:
        for size in range(2, 8):
            store.change(one.id, size=size)
        return True

    race(*(partial(grow, one) for one in made), partial(grow, made[0]))
    assert store.stored_bytes("ada") == sum(store.get(one.id).size for one in made) == 8 * 7


# --- the end of a job --------------------------------------------------------------------------------------


def test_a_deleted_job_leaves_nothing(store: JobStore) -> None:
    kept = added(store, Phase.EXECUTING)
    store.end(kept.id, Phase.COMPLETED, NOW, None, [result("a")])
    gone = added(store, Phase.EXECUTING)
    gone_result = result("a")
    store.end(gone.id, Phase.COMPLETED, NOW, None, [gone_result])
    store.delete(gone.id)
    assert ids(store) == {kept.id}
    with pytest.raises(NotFound):
        store.result(gone_result.id)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT job_id FROM results").all() == [(kept.id,)]


def test_the_columns_that_may_be_changed_are_columns_of_a_job(store: JobStore) -> None:
    """What the type checker lets through, the database has; what it does not know, no change can set."""
    assert JobColumns.__annotations__.keys() | PhaseColumns.__annotations__.keys() <= set(jobs.c.keys())
    wrong: Any = {"destructoin": NOW}
    with pytest.raises(sa.exc.CompileError, match="destructoin"):
        store.change(added(store).id, **wrong)


def test_jobs_whose_time_has_come(store: JobStore) -> None:
    due = added(store, destruction=NOW)
    added(store, destruction=NOW + timedelta(microseconds=1))
    added(store, Phase.ARCHIVED, destruction=NOW)
    added(store, destruction=None)
    assert list(store.expired(NOW)) == [due.id]
    store.change(due.id, destruction=NOW + timedelta(days=1), execution_duration=5)
    assert list(store.expired(NOW)) == []
    assert store.get(due.id).execution_duration == 5


def test_an_archived_job_is_a_record_without_results(store: JobStore) -> None:
    made = added(store, Phase.EXECUTING, run_id="kept", destruction=NOW)
    kept = result("a")
    assert not store.archive(made.id)
    store.end(made.id, Phase.ERROR, NOW, JobError("no counts"), [kept], size=5)
    assert store.archive(made.id)
    assert not store.archive(made.id)
    found = store.get(made.id)
    assert (found.phase, found.run_id, found.results, found.size) == (Phase.ARCHIVED, "kept", (), 0)
    assert found.error == JobError("no counts")
    with pytest.raises(NotFound):
        store.result(kept.id)
    assert list(store.expired(NOW)) == []


def test_which_ids_are_jobs(store: JobStore) -> None:
    made = [added(store).id for _ in range(3)]
    assert store.known([*made[:2], new_id()]) == set(made[:2])
    assert store.known([]) == set()
