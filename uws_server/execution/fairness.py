"""Whose turn it is: which of the jobs that wait are started next, as a pure function. Imports the values of the queue.

The owner with the fewest cores in use comes first, then the one who was served longest ago, then the one who came
first, so that whoever queued five hundred jobs gets no more than whoever queued one. What does not fit on the machine
is waited for, and nothing that came later passes it: else a job of many cores would wait as long as small ones come.
What a limit of an owner or a definition holds back is passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from uws_server.storage.queue import Candidate, Load


@dataclass(frozen=True)
class Limits:
    """What may run at once: places and short places of this process, cores and bytes of memory of this machine, jobs of
    an owner and of each definition on all servers; 0 stands for any number, except of places.

    Where `cores` is 0 those of the machine are not counted, and this process has `own_cores`, or one for each place.
    """

    places: int
    short_places: int = 0
    cores: int = 0
    memory: int = 0
    of_owner: int = 0
    of_definition: Mapping[str, int] = field(default_factory=dict)
    own_cores: int = 0

    @property
    def most_cores(self) -> int:
        """Return how many cores the jobs may use together that are counted together."""
        return self.cores or self.own_cores or self.places


def has_room(loads: Iterable[Load], limits: Limits) -> bool:
    """Check whether a small job could be started beside those that run, whoever it belongs to."""
    use = _Use(loads, limits)
    return use.short < limits.short_places or use.fits(_SMALL)


def choose(queues: Iterable[Iterator[Candidate]], loads: Iterable[Load], limits: Limits) -> list[Candidate]:
    """Return the jobs that are started now, in that order.

    Parameters
    ----------
    queues
        The jobs that wait: those of one owner and one definition, in the order in which they were queued. No more is
        read of one than is needed.
    loads
        What servers have taken, on this machine and elsewhere.
    limits
        What may run at once.
    """
    heads = {number: (head, queue) for number, queue in enumerate(queues) if (head := next(queue, None))}
    use, chosen = _Use(loads, limits), list[Candidate]()
    served = {head.owner: head.served for head, _ in heads.values()}
    now = max((max(head.since, head.served) for head, _ in heads.values()), default=0)
    while heads:
        number = _first(heads, use, served)
        head, queue = heads[number]
        verdict = use.take(head)
        if verdict is _Verdict.STARTED:
            chosen.append(head)
            now += 1
            served[head.owner] = now
        following = next(queue, None) if verdict is not _Verdict.WAITS else None
        if following is None:
            del heads[number]
        else:
            heads[number] = (following, queue)
    return chosen


_SMALL = Candidate("", "", "", 0, False, 1, 0)


def _first(heads: Mapping[int, tuple[Candidate, Iterator[Candidate]]], use: _Use, served: Mapping[str, int]) -> int:
    """Return the number of the queue whose head comes first."""
    since: dict[str, int] = {}
    for head, _ in heads.values():
        since[head.owner] = min(head.since, since.get(head.owner, head.since))

    def rank(number: int) -> tuple[int, int, int, str, bool, int, str]:
        head = heads[number][0]
        came, owner = since[head.owner], head.owner
        return use.cores_of[owner], served[owner], came, owner, not head.resumes, head.since, head.id

    return min(heads, key=rank)


class _Verdict(Enum):
    """What becomes of a job: it is started, it and its queue wait, or it is for another server and is passed over."""

    STARTED = auto()
    WAITS = auto()
    PASSED_OVER = auto()


class _Use:
    """What is in use, and what still fits."""

    def __init__(self, loads: Iterable[Load], limits: Limits) -> None:
        self._limits = limits
        self.cores_of: Counter[str] = Counter()
        """The cores that each owner uses on all servers, by which shares are compared."""
        self._of_owner: Counter[str] = Counter()
        self._of_definition: Counter[str] = Counter()
        self.short = self._long = 0
        """The jobs of this process that may use a short place, and all others."""
        self._short_counted = self._cores = self._memory = 0
        """Of what counts together: the jobs that may use a short place, the cores of all others, the memory of all."""
        self._waits_for_room = self._waits_for_memory = False
        """Whether a job that comes first waits until others on this machine have ended."""
        for load in loads:
            self._count(load)

    def _count(self, load: Load) -> None:
        self._memory += load.memory if load.here else 0  # one that stands still keeps it
        if load.stands:
            return
        self.cores_of[load.owner] += load.cores
        self._of_owner[load.owner] += load.number
        self._of_definition[load.definition] += load.number
        is_counted = load.here if self._limits.cores else load.mine
        if load.short:
            self.short += load.number if load.mine else 0
            self._short_counted += load.number if is_counted else 0
        else:
            self._long += load.number if load.mine else 0
            self._cores += load.cores if is_counted else 0

    def take(self, head: Candidate) -> _Verdict:
        """Start a job if that is possible."""
        if self._never_fits(head):
            return _Verdict.PASSED_OVER
        if self._is_held_back(head):
            return _Verdict.WAITS
        memory = 0 if head.resumes else head.memory  # one that stood still has its memory
        if memory and self._limits.memory and self._memory + memory > self._limits.memory:
            self._waits_for_memory = self._waits_for_room = True
        if memory and self._waits_for_memory:
            return _Verdict.WAITS
        has_short_place = head.short and self.short < self._limits.short_places
        if not has_short_place and (self._waits_for_room or not self.fits(head)):
            self._waits_for_room = True
            return _Verdict.WAITS
        self._count(Load(head.owner, head.definition, True, True, False, head.short, 1, head.cores, memory))
        return _Verdict.STARTED

    def fits(self, head: Candidate) -> bool:
        """Check whether a place and the cores for a job are free; the short places take short jobs first."""
        places = self._long + max(0, self.short - self._limits.short_places)
        cores = self._cores + max(0, self._short_counted - self._limits.short_places)
        return places < self._limits.places and cores + head.cores <= self._limits.most_cores

    def _is_held_back(self, head: Candidate) -> bool:
        """Check whether a limit of the owner or of the definition is reached."""
        of_owner = self._limits.of_owner if head.most is None else head.most
        of_definition = self._limits.of_definition.get(head.definition, 0)
        return bool(
            (of_owner and self._of_owner[head.owner] >= of_owner)
            or (of_definition and self._of_definition[head.definition] >= of_definition)
        )

    def _never_fits(self, head: Candidate) -> bool:
        """Check whether a job is for a larger machine, on which another server may run."""
        is_large = head.cores > self._limits.most_cores
        return is_large or bool(self._limits.memory and head.memory > self._limits.memory)
