"""In which order the jobs of the queue will start, and about when, as a pure function of what waits and runs.

The rules are those of `fairness`, played through with the durations that are expected; what the other servers are given
meanwhile, and what starts in the other lane, is left out: so "about". Imports the values of the queue.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from uws_server.execution.fairness import Limits, obstacle
from uws_server.jobs.job import Position, moment_of
from uws_server.storage.queued_jobs import QueueState, Started, Waiting

_GUESS_US = 60_000_000
"""How long a job is taken to run of which nobody knows, to have an order behind it; no time is told there."""
_ANY_NUMBER = 1 << 62
_LEFT = 0.1
"""The part of its duration that a job which runs for longer than expected is taken to have left."""


def foresee(state: QueueState, limits: Limits, now_us: int) -> dict[str, Position]:
    """Return the positions of the jobs that wait, those for short places on their own."""
    of_short = limits.short_places * state.servers
    waiting = [[job for job in state.waiting if job.short], [job for job in state.waiting if not job.short]]
    running = [[job for job in state.running if job.short], [job for job in state.running if not job.short]]
    if not of_short:
        return _Lane(state.waiting, state.running, (), state.places, state, limits).positions(now_us)
    short, overflow = running[0][:of_short], running[0][of_short:]
    long = running[1] + overflow
    found = _Lane(waiting[0], short, long, of_short, state, limits).positions(now_us)
    return found | _Lane(waiting[1], long, short, state.places, state, limits).positions(now_us)


class _End(NamedTuple):
    """The end of a job: when, a number that keeps two apart, whether that is known, and what is free then."""

    when: int
    number: int
    is_known: bool
    owner: str
    definition: str
    places: int
    cores: int
    memory: int


class _Owner:
    """What one owner has in the queue, by definition, and what runs."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.queues: dict[str, deque[Waiting]] = {}
        self.cores = self.jobs = self.served = self.turn = 0

    def head(self, full: set[str]) -> Waiting | None:
        """Return the job that came first, of the definitions that are not at their limit; None if there is none."""
        heads = [queue[0] for name, queue in self.queues.items() if queue and name not in full]
        return min(heads, key=lambda job: job.since, default=None)


class _Lane:
    """Jobs that compete for the same places; of those `beside` them only the memory counts."""

    def __init__(
        self,
        waiting: Sequence[Waiting],
        running: Sequence[Started],
        beside: Sequence[Started],
        places: int,
        state: QueueState,
        limits: Limits,
    ) -> None:
        self._waiting, self._running, self._beside, self._limits = waiting, running, beside, limits
        self._tells_times = not state.drained
        self._free, self._cores = places, max(places, limits.most_cores * state.servers)
        self._memory = limits.memory * max(1, state.servers) - state.standing if limits.memory else _ANY_NUMBER
        self._owners: dict[str, _Owner] = {}
        self._of_definition: Counter[str] = Counter()
        self._full: set[str] = set()
        self._ends: list[_End] = []
        self._turns: list[tuple[int, int, int, str, int]] = []
        self._last, self._numbers = 0, count()
        self._found: dict[str, Position] = {}

    def positions(self, now_us: int) -> dict[str, Position]:
        """Return the positions of all that wait."""
        never = {job.id: f"the job {why}" for job in self._waiting if (why := obstacle(job, self._limits))}
        for job in self._waiting:
            if job.id in never:
                continue
            most = self._limits.of_owner if job.most is None else job.most
            owner = self._owners.setdefault(job.owner, _Owner(most))
            owner.served = job.served
            owner.queues.setdefault(job.definition, deque()).append(job)
        for started in self._running:
            self._begin(started, _end_of(started, now_us), started.expected_s is not None)
        for started in self._beside:
            self._hold(started, _end_of(started, now_us), 0)
        for name in self._owners:
            self._push(name)
        self._play(now_us)
        for job in self._waiting:  # what no end lets start
            if job.id not in self._found:
                self._place(job, None, never.get(job.id, ""))
        return self._found

    def _play(self, now_us: int) -> None:
        now, is_known = now_us, self._tells_times
        while True:
            self._start_some(now, is_known)
            if not self._ends or len(self._found) == len(self._waiting):
                return
            end = heapq.heappop(self._ends)
            now, is_known = max(now, end.when), is_known and end.is_known
            self._memory += end.memory
            if end.places:
                self._release(end)

    def _release(self, end: _End) -> None:
        """Let others have the places of a job."""
        was_full = end.definition in self._full
        self._count(end.owner, end.definition, -end.places, -end.cores)
        self._full.discard(end.definition)
        for each in list(self._owners) if was_full else [end.owner]:
            self._push(each)

    def _start_some(self, now: int, is_known: bool) -> None:
        while self._free > 0 and self._turns:
            _, _, since, name, turn = self._turns[0]
            owner = self._owners[name]
            head = owner.head(self._full) if turn == owner.turn and not 0 < owner.most <= owner.jobs else None
            if head is None:
                heapq.heappop(self._turns)
                continue
            if head.since != since:  # the definition of the one before it has become full meanwhile
                heapq.heappop(self._turns)
                self._push(name)
                continue
            if head.cores > self._cores or 0 < head.memory > self._memory:
                return
            owner.queues[head.definition].popleft()
            self._last = owner.served = max(now, self._last + 1)
            self._place(head, now if is_known else None)
            seconds = None if head.expected_s is None else head.expected_s * 1_000_000
            started = Started(
                head.owner, head.definition, head.short, head.cores, now, head.expected_s, memory=head.memory
            )
            self._begin(started, now + (_GUESS_US if seconds is None else seconds), seconds is not None)
            self._push(name)

    def _begin(self, job: Started, end: int, is_known: bool) -> None:
        self._count(job.owner, job.definition, job.width, job.cores * job.width)
        if 0 < self._limits.of_definition.get(job.definition, 0) <= self._of_definition[job.definition]:
            self._full.add(job.definition)
        self._hold(job, end, job.width, is_known)

    def _count(self, name: str, definition: str, places: int, cores: int) -> None:
        """Count places and cores that a job of an owner takes, or less than none that it leaves."""
        self._free, self._cores = self._free - places, self._cores - cores
        self._of_definition[definition] += places
        if owner := self._owners.get(name):
            owner.cores, owner.jobs = owner.cores + cores, owner.jobs + places

    def _hold(self, job: Started, end: int, places: int, is_known: bool = True) -> None:
        """Count the memory of a job until it ends; `places` are what is free then, 0 for a job of the other lane."""
        memory = job.memory * job.width
        self._memory -= memory
        which = (job.owner, job.definition, places, places * job.cores, memory)
        heapq.heappush(self._ends, _End(end, next(self._numbers), is_known, *which))

    def _push(self, name: str) -> None:
        """Note anew when it is the turn of an owner; what was noted before counts no more."""
        owner = self._owners.get(name)
        if owner is None or (head := owner.head(self._full)) is None:
            return
        owner.turn += 1
        turn = (owner.cores, owner.served, head.since, name, owner.turn)
        heapq.heappush(self._turns, turn)

    def _place(self, job: Waiting, start_us: int | None, why: str = "") -> None:
        start = None if start_us is None else moment_of(start_us)
        self._found[job.id] = Position(len(self._found) + 1, len(self._waiting), job.short, start, why)


def _end_of(job: Started, now_us: int) -> int:
    """Return when a job that runs is expected to end, in microseconds."""
    duration = _GUESS_US if job.expected_s is None else job.expected_s * 1_000_000
    return max(job.started + duration, now_us + int(_LEFT * duration))
