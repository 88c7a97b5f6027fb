"""Whose turn it is: which of the jobs that wait are started next, as pure functions. Imports the values of the queue.

The owner with the fewest cores in use comes first, then the one who was served longest ago, then the one who came
first, so that whoever queued five hundred jobs gets no more than whoever queued one. What does not fit on the machine
is waited for, and nothing that came later passes it: else a job of many cores would wait as long as small ones come.
What a limit of an owner or a definition holds back is passed.

Each part of a job counts as a job. One that runs asks for a place for each further part as its owner's turn comes, and
gives up those that would go to others if all places that parts have were dealt out anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from uws_server.storage.queued_jobs import Candidate, Load, Waiting


@dataclass(frozen=True)
class Limits:
    """What may run at once: places and short places of this process, cores and bytes of memory of this machine, jobs of
    an owner and of each definition on all servers; 0 stands for any number, except of places.

    Where `cores` is 0 those of the machine are not counted, and this process has `own_cores`, or one for each place.
    `elsewhere` are the definitions whose jobs run on a cluster.
    """

    places: int
    short_places: int = 0
    cores: int = 0
    memory: int = 0
    of_owner: int = 0
    of_definition: Mapping[str, int] = field(default_factory=dict)
    own_cores: int = 0
    elsewhere: frozenset[str] = frozenset()

    @property
    def most_cores(self) -> int:
        """Return how many cores the jobs may use together that are counted together."""
        return self.cores or self.own_cores or self.places


def obstacle(job: Candidate | Waiting, limits: Limits) -> str:
    """Return what keeps a job from ever starting on this machine, as "takes 8 cores, ..."; '' where it may."""
    if job.definition in limits.elsewhere:
        return ""
    if job.cores > (most := limits.most_cores):
        return f"takes {job.cores} cores, all jobs here have {most} together"
    if limits.memory and job.memory > limits.memory:
        return f"takes {job.memory:,} bytes of memory, all jobs here have {limits.memory:,} together"
    return ""


def has_room(loads: Iterable[Load], limits: Limits) -> bool:
    """Check whether a small job could be started beside those that run, whoever it belongs to."""
    use = _Use(loads, limits)
    return use.short < limits.short_places or use.fits(_SMALL)


def choose(
    queues: Iterable[Iterator[Candidate]],
    loads: Iterable[Load],
    limits: Limits,
    had: Mapping[str, int] | None = None,
) -> list[Candidate]:
    """Return the jobs that are started now, in that order; one that grows for each place that it gets.

    Parameters
    ----------
    queues
        The jobs that wait: those of one owner and one definition, in the order in which they were queued. No more is
        read of one than is needed. Each job that runs and has parts is a queue of its own.
    loads
        What servers have taken, on this machine and elsewhere.
    limits
        What may run at once.
    had
        Cores that owners had before all were dealt out anew: of two with as many, the one who had fewer comes first.
    """
    heads = {number: (head, queue) for number, queue in enumerate(queues) if (head := _next_of(queue))}
    use, chosen = _Use(loads, limits), list[Candidate]()
    served = {head.owner: head.served for head, _ in heads.values()}
    now = max((max(head.since, head.served) for head, _ in heads.values()), default=0)
    while heads:
        number = _first(heads, use, served, had or {})
        head, queue = heads[number]
        verdict = use.take(head)
        if verdict is _Verdict.STARTED:
            chosen.append(head)
            now += 1
            served[head.owner] = now
        following = (head.grown() if verdict is _Verdict.STARTED else None) or (
            _next_of(queue) if verdict is not _Verdict.WAITS else None
        )
        if following is None:
            del heads[number]
        else:
            heads[number] = (following, queue)
    return chosen


def shares(
    arrays: Sequence[Candidate], queues: Iterable[Iterator[Candidate]], loads: Sequence[Load], limits: Limits, now: int
) -> dict[str, int]:
    """Return how many parts of each job that runs would run if the places of all parts were dealt out anew.

    Parameters
    ----------
    arrays
        The jobs with parts that run here.
    queues, loads, limits
        As for `choose`; the queues without these jobs, the loads with them.
    now
        The time in microseconds: what a job got a moment ago it keeps before others of the same right.
    """
    freed = [_load_of(one, -one.width) for one in arrays]
    anew = [one._replace(width=0, kept=one.width if 0 <= now - one.served < KEPT_US else 0) for one in arrays]
    had = _Use(loads, limits).cores_of
    chosen = choose([*map(iter, ([one] for one in anew)), *queues], [*loads, *freed], limits, had)
    return dict.fromkeys((one.id for one in arrays), 0) | Counter(one.id for one in chosen if one.grows)


KEPT_US = 1_000_000
"""How long, in microseconds, parts keep a place before another owner with as many cores has it: else short parts would
do little but wait for their turn."""
_SMALL = Candidate("", "", "", 0, False, 1, 0)


def _next_of(queue: Iterator[Candidate]) -> Candidate | None:
    """Return the next job of a queue that could use a place."""
    return next((one for one in queue if not one.grows or one.width < one.wanted), None)


def _load_of(one: Candidate, places: int) -> Load:
    """Return what so many parts of a job use that runs here."""
    where = (True, True, False, one.short)
    return Load(one.owner, one.definition, *where, places, one.cores * places, one.memory * places)


def _first(
    heads: Mapping[int, tuple[Candidate, Iterator[Candidate]]],
    use: _Use,
    served: Mapping[str, int],
    had: Mapping[str, int],
) -> int:
    """Return the number of the queue whose head comes first."""
    since: dict[str, int] = {}
    for head, _ in heads.values():
        since[head.owner] = min(head.since, since.get(head.owner, head.since))

    def rank(number: int) -> tuple[int, bool, int, int, int, str, bool, int, str]:
        head = heads[number][0]
        owner, is_kept = head.owner, head.width < head.kept
        right = use.cores_of[owner], not is_kept, had.get(owner, 0), served[owner], since[owner]
        return *right, owner, not head.resumes, head.since, head.id

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
        if head.resumes:  # with all of its parts, or as many as there may be at all
            cores = min(head.cores, self._limits.most_cores)
            head = head._replace(cores=cores, width=min(max(head.width, 1), self._limits.places))
        elif self._never_fits(head):
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
        number = head.width if head.resumes else 1
        self._count(Load(head.owner, head.definition, True, True, False, head.short, number, head.cores, memory))
        return _Verdict.STARTED

    def fits(self, head: Candidate) -> bool:
        """Check whether a place and the cores for a job are free; the short places take short jobs first."""
        places = self._long + max(0, self.short - self._limits.short_places)
        cores = self._cores + max(0, self._short_counted - self._limits.short_places)
        number = head.width if head.resumes else 1
        return places + number <= self._limits.places and cores + head.cores <= self._limits.most_cores

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
        return bool(obstacle(head, self._limits))
