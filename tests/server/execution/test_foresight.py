"""What a job that waits is told: its place is the order in which jobs really start, and its time when that is, where
all take what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from uws_server.execution.fairness import Limits, choose
from uws_server.execution.foresight import foresee
from uws_server.jobs.job import EPOCH, Position
from uws_server.storage.queued_jobs import Candidate, Load, QueueState, Started, Waiting

S = 1_000_000


def waits(job_id: str, owner: str = "ada", since: int = 0, seconds: int | None = 10, **about: object) -> Waiting:
    values = {"definition": "dummy", "short": False, "cores": 1} | about
    return Waiting(job_id, owner, since=since, expected_s=seconds, **values)  # type: ignore[arg-type]


def state(
    waiting: Sequence[Waiting], running: Sequence[Started] = (), places: int = 1, drained: bool = False
) -> QueueState:
    return QueueState(waiting, running, places, int(places > 0), drained)


def seconds(found: Mapping[str, Position], job_id: str) -> float | None:
    start = found[job_id].start
    return None if start is None else (start - EPOCH).total_seconds()


def test_each_starts_when_the_one_before_it_is_expected_to_end() -> None:
    running = [Started("bob", "dummy", False, 1, 95 * S, 10)]
    found = foresee(state([waits("first", since=1), waits("second", since=2)], running), Limits(1), 100 * S)
    assert (found["first"].place, found["first"].total, seconds(found, "first")) == (1, 2, 105)
    assert (found["second"].place, seconds(found, "second")) == (2, 115)


def test_one_of_a_short_queue_is_not_told_to_wait_for_a_long_one() -> None:
    ada = [waits(f"ada{i:03}", since=i, seconds=100, served=1) for i in range(500)]
    bob = waits("bob", "bob", since=10_000)
    quick = waits("quick", "eve", since=20_000, short=True)
    running = [Started("ada", "dummy", False, 1, 0, 100)]
    found = foresee(state([*ada, bob, quick], running), Limits(1, short_places=1), 50 * S)
    assert (found["bob"].place, found["bob"].total, seconds(found, "bob")) == (1, 501, 100)
    assert (found["quick"].place, found["quick"].total, found["quick"].short) == (1, 1, True)
    assert seconds(found, "quick") == 50
    assert found["ada499"].place == 501


def test_no_time_is_told_that_nobody_knows() -> None:
    waiting = [waits("one", since=1), waits("two", since=2, seconds=None), waits("three", since=3)]
    found = foresee(state(waiting), Limits(1), 0)
    assert [seconds(found, job.id) for job in waiting] == [0, 10, None]
    assert [seconds(foresee(state(waiting, drained=True), Limits(1), 0), job.id) for job in waiting] == [None] * 3
    assert foresee(state(waiting, places=0), Limits(1), 0)["one"].start is None


def test_what_a_limit_holds_back_is_told_so() -> None:
    waiting = [waits(f"ada{i}", since=i) for i in range(3)] + [waits("bob", "bob", 9)]
    found = foresee(state(waiting, places=4), Limits(4, of_definition={"dummy": 1}), 100 * S)
    assert [seconds(found, job.id) for job in waiting] == [100, 120, 130, 110], "one after the other, in turns"
    found = foresee(state(waiting, places=4), Limits(4, of_owner=1), 100 * S)
    assert [seconds(found, job.id) for job in waiting] == [100, 110, 120, 100]


def test_memory_is_waited_for() -> None:
    running = [Started("bob", "dummy", False, 1, 0, 20, memory=6), Started("eve", "dummy", True, 1, 0, 40, memory=2)]
    waiting = [waits("large", since=1, memory=4), waits("plain", since=2), waits("too large", since=3, memory=11)]
    found = foresee(state(waiting, running, places=9), Limits(9, 1, memory=10), 5 * S)
    assert [seconds(found, name) for name in ("large", "plain", "too large")] == [20, 20, None]
    assert found["too large"].obstacle == "the job takes 11 bytes of memory, all jobs here have 10 together"
    found = foresee(state(waiting, running, places=9)._replace(standing=5), Limits(9, 1, memory=10), 5 * S)
    assert seconds(found, "large") == 40, "what stands still keeps its memory, and what has a short place has its own"


def test_nobody_waits_for_one_that_never_starts_here() -> None:
    waiting = [
        waits("wide", since=1, cores=9),
        waits("next", since=2),
        waits("far", since=0, definition="far", cores=9),
    ]
    found = foresee(state(waiting[:2], places=2), Limits(2, cores=4), 5 * S)
    assert [(found[name].place, seconds(found, name)) for name in ("next", "wide")] == [(1, 5), (2, None)]
    assert found["wide"].obstacle == "the job takes 9 cores, all jobs here have 4 together"
    assert foresee(state(waiting[2:]), Limits(2, cores=4, elsewhere=frozenset({"far"})), 0)["far"].obstacle == ""


owners = st.sampled_from(["ada", "bob", ""])
queued = st.lists(
    st.builds(
        Waiting, st.uuids().map(str), owners, st.sampled_from(["dummy", "image"]), st.integers(0, 40), st.just(False),
        st.integers(1, 2), st.integers(1, 30), st.sampled_from([0, 2, 3, 5]), st.none(), st.just(0),
    ),
    max_size=15, unique_by=lambda job: job.since,
)  # fmt: skip


@given(queued, st.integers(1, 3), st.dictionaries(st.just("image"), st.integers(1, 2)), st.integers(0, 2),
       st.sampled_from([0, 4, 5]))  # fmt: skip
def test_the_order_is_that_in_which_jobs_are_really_taken(
    waiting: list[Waiting], places: int, of_definition: dict[str, int], of_owner: int, memory: int
) -> None:
    waiting = [job._replace(cores=min(job.cores, places)) for job in sorted(waiting, key=lambda job: job.since)]
    limits = Limits(places, cores=places, memory=memory, of_owner=of_owner, of_definition=of_definition)
    found = foresee(state(waiting, places=places), limits, 100)
    never = {job.id for job in waiting if 0 < memory < job.memory}
    assert {job_id for job_id, at in found.items() if at.obstacle} == never
    found = {job_id: at for job_id, at in found.items() if job_id not in never}
    real = played(waiting, limits, 100)
    assert {job_id: at.place for job_id, at in found.items()} == {job_id: i for i, (job_id, _) in enumerate(real, 1)}
    told = {job_id: (at.start - EPOCH) // timedelta(microseconds=1) for job_id, at in found.items() if at.start}
    assert told == dict(real)


def played(waiting: Sequence[Waiting], limits: Limits, now: int) -> list[tuple[str, int]]:
    """The jobs in the order in which a server takes them, each at its time, if all take what is expected."""
    left = list(waiting)
    running: list[tuple[int, Waiting]] = []
    served: dict[str, int] = {}
    order: list[tuple[str, int]] = []
    last = 0
    while left or running:
        ordered = sorted(left, key=lambda job: (job.owner, job.definition, job.since))
        queues = [
            iter([Candidate(*job[:6], job.memory, None, served.get(job.owner, 0)) for job in group])
            for _, group in groupby(ordered, lambda job: (job.owner, job.definition))
        ]
        loads = [Load(job.owner, job.definition, True, True, False, False, 1, job.cores, job.memory)
                 for _, job in running]  # fmt: skip
        for one in choose(queues, loads, limits):
            job = next(each for each in left if each.id == one.id)
            order.append((job.id, now))
            last = served[job.owner] = max(now, last + 1)
            left.remove(job)
            running.append((now + (job.expected_s or 0) * S, job))
        if not running:
            break
        running.sort(key=lambda each: each[0])
        now = running.pop(0)[0]
    return order
