"""Whose turn it is on this machine, and whose on the cluster: each has its own places. Imports the fair choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from uws_server.execution.fairness import Limits, choose, has_room, shares
from uws_server.storage.queued_jobs import Candidate, Load

_ANY_NUMBER = 10**9


def has_room_somewhere(loads: Sequence[Load], limits: Limits, elsewhere: Collection[str], free: int) -> bool:
    """Check whether a small job could be started here or, where so many places are free, elsewhere."""
    return (free > 0 and bool(elsewhere)) or has_room(_not_of(loads, elsewhere), limits)


def choose_somewhere(
    queues: Iterable[Iterator[Candidate]],
    loads: Sequence[Load],
    limits: Limits,
    elsewhere: Collection[str],
    free: int,
) -> list[Candidate]:
    """Return the jobs that are started now, here or elsewhere.

    Parameters
    ----------
    queues, loads, limits
        As for `fairness.choose`; the limits are those of this machine.
    elsewhere
        The names of the definitions whose jobs run elsewhere.
    free
        How many more jobs this server may have there.
    """
    here: list[Iterator[Candidate]] = []
    there: list[Iterator[Candidate]] = []
    going_on: list[Candidate] = []
    for queue in queues:
        head = next(queue, None)
        if head is None:
            continue
        if head.grows:  # one that runs here, wherever its definition has new ones run
            here.append(iter((head,)))
        elif head.resumes:  # of several definitions; one that stands still elsewhere has its place
            resuming = [head, *queue]
            going_on += [one for one in resuming if one.definition in elsewhere]
            here.append(iter([one for one in resuming if one.definition not in elsewhere]))
        else:
            (there if head.definition in elsewhere else here).append(chain((head,), queue))
    chosen = choose(here, _not_of(loads, elsewhere), limits)
    if free > 0:
        far = [load._replace(mine=False, here=False) for load in loads if load.definition in elsewhere]
        wide = replace(limits, places=free, short_places=0, cores=_ANY_NUMBER, memory=0)
        chosen += [one._replace(elsewhere=True) for one in choose(map(_as_one, there), far, wide)]
    return [*going_on, *chosen]


def shares_here(
    queues: Iterable[Iterator[Candidate]], loads: Sequence[Load], limits: Limits, elsewhere: Collection[str], now: int
) -> dict[str, int]:
    """Return how many parts of each job that runs here would run if their places were dealt out anew.

    The parameters are those of `choose_somewhere`, and the time in microseconds.
    """
    heads = [(head, queue) for queue in queues if (head := next(queue, None))]
    arrays = [head for head, _ in heads if head.grows and head.definition not in elsewhere]
    if not any(array.width for array in arrays):
        return {}
    waiting = [chain((head,), queue) for head, queue in heads if not head.grows]
    here = [(one for one in queue if one.definition not in elsewhere) for queue in waiting]
    return shares(arrays, here, _not_of(loads, elsewhere), limits, now)


def _as_one(queue: Iterator[Candidate]) -> Iterator[Candidate]:
    """The jobs as they are elsewhere: of parts nothing is known here."""
    return (one._replace(wanted=0) for one in queue)


def _not_of(loads: Sequence[Load], elsewhere: Collection[str]) -> list[Load]:
    return [load for load in loads if load.definition not in elsewhere]
