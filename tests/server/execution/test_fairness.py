"""Whose turn it is: shares, limits and patience, over whatever mixture of jobs waits and runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uws_server.execution.fairness import KEPT_US, Limits, choose, has_room, shares
from uws_server.storage.queued_jobs import Candidate, Load


def one(job_id: str, owner: str = "ada", since: int = 0, cores: int = 1, **about: object) -> Candidate:
    """A job that waits."""
    values = {"definition": "dummy", "short": False, "memory": 0} | about
    return Candidate(job_id, owner, since=since, cores=cores, **values)  # type: ignore[arg-type]


def flood(owner: str, number: int, since: int = 0, **about: object) -> list[Candidate]:
    return [one(f"{owner}{i:03}", owner, since + i, **about) for i in range(number)]  # type: ignore[arg-type]


def load_of(job: Candidate, mine: bool = True, here: bool = True, stands: bool = False) -> Load:
    """What a job uses that was started."""
    return Load(job.owner, job.definition, mine, here, stands, job.short, 1, job.cores, job.memory)


def queues(waiting: Sequence[Candidate]) -> list[Iterator[Candidate]]:
    """The jobs as the database offers them: by owner, definition and place, in their order; those that resume apart."""

    def kind(job: Candidate) -> tuple[str, str, bool, bool]:
        return job.owner, job.definition, job.short, job.resumes

    ordered = sorted(waiting, key=lambda job: (kind(job), job.since, job.id))
    return [iter(list(group)) for _, group in groupby(ordered, kind)]


def started(waiting: Sequence[Candidate], loads: Sequence[Load], limits: Limits) -> list[str]:
    return [job.id for job in choose(queues(waiting), loads, limits)]


# --- shares --------------------------------------------------------------------------------------------


def test_who_queued_five_hundred_gets_no_more_than_who_queued_one() -> None:
    ada, bob = flood("ada", 500), one("bob", "bob", since=10_000)
    assert started([*ada, bob], [], Limits(2)) == ["ada000", "bob"]
    running = [load_of(job) for job in ada[:2]]
    assert started([*ada[2:], bob], running, Limits(3)) == ["bob"]


def test_who_waits_longest_comes_first_and_nobody_is_an_owner_like_others() -> None:
    waiting = [one("new", "ada", 3), one("old", "", 1), one("older", "bob", 0)]
    assert started(waiting, [], Limits(2)) == ["older", "old"]
    assert started([*flood("", 9), one("ada", "ada", 99)], [], Limits(2)) == ["000", "ada"]


def test_a_job_of_many_cores_counts_as_many() -> None:
    large = load_of(one("large", "ada", cores=3))
    waiting = [one("ada", "ada", 0), *flood("bob", 9, since=5)]
    assert started(waiting, [large], Limits(6, cores=6)) == ["bob000", "bob001", "bob002"]


def test_a_job_that_resumes_comes_before_the_queue_of_its_owner_only() -> None:
    waiting = [one("queued", "ada", 0), one("again", "ada", 50, resumes=True), one("bob", "bob", 40)]
    assert started(waiting, [], Limits(1)) == ["again"], "before what its owner queued earlier"
    waiting = [one("again", "ada", 50, resumes=True), one("bob", "bob", 40)]
    assert started(waiting, [], Limits(1)) == ["bob"], "and not before others"


# --- limits --------------------------------------------------------------------------------------------


def test_what_a_limit_holds_back_is_passed_by_others() -> None:
    waiting = [*flood("ada", 9), *flood("bob", 9, since=20), one("image", "ada", 30, definition="image")]
    assert started(waiting, [], Limits(9, of_owner=2)) == ["ada000", "bob000", "ada001", "bob001"]
    limited = Limits(9, of_definition={"dummy": 1})
    assert started(waiting, [], limited) == ["ada000", "image"]
    own = [one(f"eve{i}", "eve", i, most=most) for i, most in enumerate((4, 4, 4, 4, 4, 4))]
    assert len(started(own, [], Limits(9, of_owner=2))) == 4, "an account's own limit is the one that counts"
    assert len(started([one(job.id, "eve", job.since, most=0) for job in own], [], Limits(9, of_owner=2))) == 6
    elsewhere = [load_of(one("x", "ada"), mine=False, here=False)] * 2
    assert started(waiting, elsewhere, Limits(3, of_owner=2)) == ["bob000", "bob001"], "limits hold on all servers"


def test_a_large_job_is_waited_for_and_smaller_ones_do_not_pass_it() -> None:
    large, small = one("large", "ada", 0, cores=4), flood("bob", 9, since=5)
    running = [load_of(one("x", "bob"))]
    assert started([large, *small], running, Limits(4)) == []
    assert started([large, *small], [], Limits(4)) == ["large"]
    greedy = one("greedy", "ada", 0, memory=8)
    running = [load_of(one("x", "bob", memory=4), mine=False)]
    limits = Limits(4, short_places=1, memory=10)
    assert started([greedy, *small], running, limits) == []
    quick = [one("lean", "eve", 8, short=True), one("fat", "eve", 9, short=True, memory=1)]
    assert started([greedy, *quick], running, limits) == ["lean"], "nor by the short places, for what it waits for"


def test_a_job_for_a_larger_machine_is_left_to_that_one() -> None:
    waiting = [one("large", "ada", 0, cores=8), one("fat", "ada", 1, memory=99), one("bob", "bob", 5)]
    assert started(waiting, [], Limits(4, memory=10)) == ["bob"]


def test_short_jobs_have_places_that_long_ones_never_take() -> None:
    long = flood("ada", 9)
    quick = flood("bob", 3, since=99, short=True)
    limits = Limits(2, short_places=1)
    assert started(long, [], limits) == ["ada000", "ada001"]
    running = [load_of(job) for job in long[:2]]
    assert has_room(running, limits)
    assert started([*long[2:], *quick], running, limits) == ["bob000"]
    assert not has_room([*running, load_of(quick[0])], limits)
    assert started([*long[2:], *quick[1:]], [*running, load_of(quick[0])], limits) == []
    assert started(quick, [], limits) == ["bob000", "bob001", "bob002"], "they may have all places"
    assert started(long, [load_of(job) for job in quick], limits) == []


def test_what_stands_still_leaves_its_place_and_keeps_its_memory() -> None:
    still = load_of(one("still", "ada", cores=2, memory=8), stands=True)
    waiting = [one("lean", "bob", 0), one("fat", "bob", 1, memory=4)]
    limits = Limits(2, memory=10, of_owner=1, of_definition={"dummy": 2})
    assert started([waiting[0]], [still], limits) == ["lean"]
    assert started([waiting[1]], [still], limits) == []
    again = one("still", "ada", 9, cores=2, memory=8, resumes=True)
    assert started([again], [still], limits) == ["still"], "its memory is counted already"


# --- whatever comes ------------------------------------------------------------------------------------

owners = st.sampled_from(["", "ada", "bob", "eve"])
definitions = st.sampled_from(["dummy", "image"])
sizes = st.integers(0, 6)
candidates = st.builds(
    one, st.uuids().map(str), owners, st.integers(0, 50), st.integers(1, 5), definition=definitions,
    short=st.booleans(), memory=sizes, most=st.none() | st.integers(0, 3),
).map(lambda job: job._replace(cores=1 if job.short else job.cores))  # fmt: skip
rules = st.builds(
    Limits, st.integers(1, 5), st.integers(0, 2), st.integers(0, 6), st.integers(0, 9), st.integers(0, 4),
    st.dictionaries(definitions, st.integers(0, 3)),
)  # fmt: skip


@dataclass
class Server:
    """A server that starts what is chosen; the loads are counted anew from the jobs that run."""

    limits: Limits
    waiting: list[Candidate]
    running: list[Candidate] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    now: int = 0

    def loads(self) -> list[Load]:
        return [load_of(job) for job in self.running]

    def start(self) -> list[Candidate]:
        waiting = [job._replace(served=self.served.get(job.owner, 0)) for job in self.waiting]
        chosen = choose(queues(waiting), self.loads(), self.limits)
        self.running += chosen
        ids = {job.id for job in chosen}
        self.waiting = [job for job in self.waiting if job.id not in ids]
        for job in chosen:
            self.now += 1
            self.served[job.owner] = self.now
        return chosen

    def require_limits(self) -> None:
        """Count by hand what the rules promise."""
        limits = self.limits
        short = [job for job in self.running if job.short]
        long = [job for job in self.running if not job.short]
        beside = max(0, len(short) - limits.short_places)
        assert len(long) + beside <= limits.places
        assert sum(job.cores for job in long) + beside <= (limits.cores or limits.places)
        assert not limits.memory or sum(job.memory for job in self.running) <= limits.memory
        for definition, most in limits.of_definition.items():
            assert not most or sum(job.definition == definition for job in self.running) <= most
        for owner in {job.owner for job in self.running}:
            theirs = [job for job in self.running if job.owner == owner]
            most = limits.of_owner if theirs[0].most is None else theirs[0].most
            assert not most or len(theirs) <= most


def fits_at_all(job: Candidate, limits: Limits) -> bool:
    return job.cores <= (limits.cores or limits.places) and (not limits.memory or job.memory <= limits.memory)


@given(st.lists(candidates, max_size=30), rules, st.data())
def test_no_limit_is_exceeded_and_every_job_that_fits_is_started_once(
    jobs: list[Candidate], limits: Limits, data: st.DataObject
) -> None:
    most_of = {owner: data.draw(st.none() | st.integers(0, 3)) for owner in ("", "ada", "bob", "eve")}
    server = Server(limits, [job._replace(most=most_of[job.owner]) for job in jobs])
    seen: list[str] = []
    while True:
        seen += [job.id for job in server.start()]
        server.require_limits()
        if not server.running:
            break
        server.running.pop(data.draw(st.integers(0, len(server.running) - 1)))
    assert len(seen) == len(set(seen))
    assert {job.id for job in server.waiting} == {job.id for job in jobs if not fits_at_all(job, limits)}


@given(st.integers(1, 6), st.integers(2, 4), st.data())
def test_shares_are_equal_within_one_whoever_ends_first(places: int, number: int, data: st.DataObject) -> None:
    names = ["ada", "bob", "eve", ""][:number]
    server = Server(Limits(places), [job for name in names for job in flood(name, 40)])
    for _ in range(30):
        server.start()
        shares = Counter(dict.fromkeys(names, 0))
        shares.update(job.owner for job in server.running)
        assert sum(shares.values()) == places
        assert max(shares.values()) - min(shares.values()) <= 1
        server.running.pop(data.draw(st.integers(0, places - 1)))


def test_on_one_place_owners_take_turns() -> None:
    """Nobody runs when the place is free: what one ran before counts."""
    server = Server(Limits(1), [*flood("ada", 500), *flood("bob", 3, since=600), one("eve", "eve", 1000)])
    server.now = 1000
    order = []
    for _ in range(8):
        order += [job.owner for job in server.start()]
        server.running.clear()
    assert order == ["ada", "bob", "eve", "ada", "bob", "ada", "bob", "ada"]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.data())
def test_nobody_waits_for_ever_beside_owners_who_always_have_more(
    places: int, cores: int, number: int, data: st.DataObject
) -> None:
    """Whoever comes, a job of many cores is served once each of the others had a turn, and enough of what runs has
    ended to make room for it."""
    server = Server(Limits(places), [job for name in ("ada", "bob") for job in flood(name, 50)])
    server.now = 1000
    server.start()
    server.waiting.append(one("victim", "victim", since=1001, cores=min(cores, places)))
    server.now = 1001
    for turn in range(2 + number + places):
        server.now += 1
        server.waiting += flood(f"later{turn % number}", 3, since=server.now)
        if server.running:
            server.running.pop(data.draw(st.integers(0, len(server.running) - 1)))
        if any(job.id == "victim" for job in server.start()):
            return
    raise AssertionError(f"{[job.owner for job in server.running]} were started before it")


@given(st.lists(candidates, max_size=20), st.lists(candidates, max_size=6), rules)
def test_a_server_that_says_it_is_full_would_start_nothing(
    jobs: list[Candidate], running: list[Candidate], limits: Limits
) -> None:
    loads = [load_of(job) for job in running]
    if not has_room(loads, limits):
        assert started(jobs, loads, limits) == []


# --- jobs of several parts -----------------------------------------------------------------------------


def array(job_id: str, owner: str, width: int, wanted: int, **about: object) -> Candidate:
    """A job that runs and has parts."""
    return one(job_id, owner, width=width, wanted=wanted, grows=True, **about)


def dealt(
    arrays: Sequence[Candidate],
    waiting: Sequence[Candidate],
    limits: Limits,
    beside: Sequence[Load] = (),
    now: int = 2 * KEPT_US,
) -> dict[str, int]:
    """How many parts of each job would run."""
    loads = [Load(each.owner, each.definition, True, True, False, False, each.width, each.width, 0) for each in arrays]
    return shares(arrays, queues(waiting), [*loads, *beside], limits, now)


def test_a_lone_job_of_many_parts_gets_all_places_at_once() -> None:
    assert started([one("array", wanted=500)], [], Limits(4)) == ["array"] * 4
    assert started([one("array", wanted=3)], [], Limits(4)) == ["array"] * 3
    assert started([one("array", wanted=9, cores=2)], [], Limits(9, cores=5)) == ["array"] * 2
    assert started([one("array", wanted=9, memory=3)], [], Limits(9, memory=8)) == ["array"] * 2
    assert started([one("array", wanted=9)], [], Limits(9, of_owner=3)) == ["array"] * 3
    assert started([one("array", wanted=9)], [], Limits(9, of_definition={"dummy": 2})) == ["array"] * 2


def test_two_who_come_at_once_share_the_places() -> None:
    waiting = [one("ada", "ada", 0, wanted=500), one("bob", "bob", 9, wanted=500)]
    assert Counter(started(waiting, [], Limits(6))) == {"ada": 3, "bob": 3}
    waiting = [one("ada", "ada", 0, wanted=500), *flood("bob", 500, since=9)]
    assert Counter(each[:3] for each in started(waiting, [], Limits(6))) == {"ada": 3, "bob": 3}


def test_what_an_owner_queued_later_waits_for_the_parts_before_it() -> None:
    waiting = [one("first", "ada", 0, wanted=3), one("later", "ada", 1)]
    assert started(waiting, [], Limits(2)) == ["first", "first"]
    assert started(waiting, [], Limits(4)) == ["first", "first", "first", "later"]


def test_a_job_that_runs_grows_into_places_that_are_free() -> None:
    running = array("array", "ada", 2, 500)
    own = [Load("ada", "dummy", True, True, False, False, 2, 2, 0)]
    assert started([running], own, Limits(4)) == ["array", "array"]
    assert started([running, one("bob", "bob")], own, Limits(3)) == ["bob"], "not before one who has fewer"
    assert started([array("array", "ada", 2, 2)], own, Limits(4)) == []


def test_who_comes_later_gets_a_share_of_the_places_of_parts() -> None:
    running, bob = array("array", "ada", 4, 500, served=9), one("bob", "bob", 99)
    assert dealt([running], [bob], Limits(4)) == {"array": 3}
    assert dealt([running], flood("bob", 9, since=99), Limits(4)) == {"array": 2}
    assert dealt([running], [one("large", "bob", 99, cores=4)], Limits(4)) == {"array": 0}
    assert dealt([running], [one("far too large", "bob", 99, cores=5)], Limits(4)) == {"array": 4}
    assert dealt([running], flood("ada", 9, since=99), Limits(4)) == {"array": 4}, "its owner's own come later"
    other = [Load("bob", "dummy", True, True, False, False, 2, 2, 0)]
    assert dealt([running], flood("bob", 9), Limits(6), other) == {"array": 3}


def test_on_one_place_parts_give_way_but_not_at_once() -> None:
    running, bob = array("array", "ada", 1, 500, served=10), one("bob", "bob", 99, served=5)
    assert dealt([running], [bob], Limits(1), now=11 + KEPT_US) == {"array": 0}
    assert dealt([running], [bob], Limits(1), now=9 + KEPT_US) == {"array": 1}
    assert dealt([running], flood("bob", 9), Limits(2), now=9 + KEPT_US) == {"array": 1}, "who has none need not wait"


def test_a_job_goes_on_with_all_its_parts() -> None:
    again = one("again", width=3, wanted=9, cores=6, resumes=True)
    assert started([again], [load_of(one("x"))], Limits(4, cores=8)) == ["again"]
    assert started([again], [load_of(one("x"))] * 2, Limits(4, cores=8)) == []
    assert started([again], [], Limits(2, cores=4)) == ["again"], "also where there are fewer places by now"
    assert started([again, one("bob", "bob", 99)], [], Limits(4, cores=8)) == ["again", "bob"]


@dataclass
class PartServer(Server):
    """A server some of whose jobs have parts: each part that runs has an entry, and so has each place kept for one."""

    todo: Counter[str] = field(default_factory=Counter)
    arrays: dict[str, Candidate] = field(default_factory=dict)
    give_up: dict[str, int] = field(default_factory=dict)

    def start(self) -> list[Candidate]:
        widths = Counter(job.id for job in self.running)
        now = [
            job._replace(
                width=widths[job.id],
                wanted=widths[job.id] + self.todo[job.id],
                grows=True,
                served=self.served.get(job.owner, 0),
            )
            for job in self.arrays.values()
            if widths[job.id] + self.todo[job.id]
        ]
        waiting = [job._replace(served=self.served.get(job.owner, 0)) for job in self.waiting]
        self.give_up = shares(now, queues(waiting), self.loads(), self.limits, 10**12)
        chosen = choose([*(iter([job]) for job in now), *queues(waiting)], self.loads(), self.limits)
        for job in chosen:
            if job.wanted > 1 and not job.grows:
                self.arrays[job.id] = job
                self.todo[job.id] = job.wanted
            if job.id in self.arrays:
                self.todo[job.id] -= 1
            self.running.append(job._replace(grows=False, width=0))
            self.now += 1
            self.served[job.owner] = self.now
        ids = {job.id for job in chosen}
        self.waiting = [job for job in self.waiting if job.id not in ids]
        return chosen

    def end(self, number: int) -> None:
        """End a job or a part; the next part has its place, unless that is given up."""
        job = self.running.pop(number)
        width = sum(each.id == job.id for each in self.running)
        if self.todo[job.id] and width < self.give_up.get(job.id, width + 1):
            self.todo[job.id] -= 1
            self.running.append(job)


parted = st.tuples(candidates, st.integers(1, 9)).map(lambda both: both[0]._replace(wanted=both[1], short=False))


@settings(max_examples=50)
@given(st.lists(parted, max_size=12), rules, st.data())
def test_no_limit_is_exceeded_by_parts_and_every_part_runs_once(
    jobs: list[Candidate], limits: Limits, data: st.DataObject
) -> None:
    server = PartServer(limits, [job._replace(most=None) for job in jobs])
    for _ in range(sum(job.wanted for job in jobs) + 1):
        server.start()
        server.require_limits()
        if server.running:
            server.end(data.draw(st.integers(0, len(server.running) - 1)))
    assert server.running == [] and not server.todo.total()
    assert {job.id for job in server.waiting} == {job.id for job in jobs if not fits_at_all(job, limits)}


@pytest.mark.parametrize(("places", "number"), [(1, 3), (2, 3), (3, 2), (4, 2), (5, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_owners_of_parts_and_of_jobs_have_as_much_in_the_long_run(places: int, number: int, seed: int) -> None:
    """Who came first has all places; the others come with jobs, or with one of many parts."""
    chance = random.Random(seed)
    names = ["ada", "bob", "eve", ""][:number]
    server = PartServer(Limits(places), [one("first", names[0], wanted=500)])
    server.start()
    assert len(server.running) == places
    for name in names[1:]:
        waiting = [one(f"array of {name}", name, 9, wanted=500)] if chance.random() < 0.5 else flood(name, 300, since=9)
        server.waiting += waiting
    held = Counter(dict.fromkeys(names, 0))
    for _ in range(100):
        server.start()  # says who gives up a place
        server.end(chance.randrange(len(server.running)))
        server.start()
        held.update(job.owner for job in server.running)
    assert max(held.values()) <= 1.5 * min(held.values()), held
