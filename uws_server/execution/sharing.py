"""Gives the jobs of several parts that this server runs their places, and takes them back. Imports storage.

A place is taken back in two steps, because no part is ended for it: the job is told to begin fewer parts, and once it
says that it holds fewer places, the database does, and whoever's turn it is gets them. So others see a place as taken
until nothing uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from itertools import tee

from uws_server.execution.dividing import shares_here
from uws_server.execution.fairness import Limits
from uws_server.execution.resources import Resources
from uws_server.execution.work import Work
from uws_server.jobs.job import EPOCH, utcnow
from uws_server.storage.queued_jobs import Candidate, Load
from uws_server.storage.shares import Demand, Share

_LOOK_S = 0.2
"""Seconds between two looks at what jobs hold while others wait for it: of the end of a part no server is told."""


class Sharing:
    """The places of jobs of several parts, for the thread of the queue."""

    def __init__(self, resources: Resources, work: Work) -> None:
        self._shares, self._files, self._work = resources.store.queue.shares, resources.files, work
        self._all: list[Share] = []
        self._dealt: dict[str, int] = {}
        """How many places each job is to have, as they were dealt out last."""
        self._waits = False

    @property
    def is_contended(self) -> bool:
        """Check whether jobs hold places that are others' by right, or may be."""
        others = self._waits or len(self._all) > 1
        return others and self._is_wanted and self.has_places

    @property
    def has_places(self) -> bool:
        """Check whether parts have places, which others may get as soon as somebody waits."""
        return any(share.width for share in self._all)

    @property
    def _is_wanted(self) -> bool:
        return self._waits or any(share.wanted > share.width for share in self._all)

    def look(self, demand: Demand) -> bool:
        """Hear what the jobs hold. Return whether a job waits, or could use another place."""
        self._waits, self._dealt = demand.waits, {}
        self._all = [self._heard(share) for share in self._shares.all()] if demand.shares else []
        return self._is_wanted

    def _heard(self, share: Share) -> Share:
        held = self._work.held(self._files.folder(share.id))
        if held is None or (held.places >= share.width and held.wanted == share.wanted):
            return share
        settled = Share(share.id, min(held.places, share.width), held.wanted)
        self._shares.settle(settled)
        return settled

    def deal(
        self, queues: Sequence[Iterator[Candidate]], loads: Sequence[Load], limits: Limits, elsewhere: Collection[str]
    ) -> Sequence[Iterator[Candidate]]:
        """Deal all places of parts out anew. Return the queues, of which nothing is taken yet."""
        if not self._all:
            return queues
        pairs = [tee(queue) for queue in queues]
        now = (utcnow() - EPOCH) // timedelta(microseconds=1)
        self._dealt = shares_here([first for first, _ in pairs], loads, limits, elsewhere, now)
        return [second for _, second in pairs]

    def tell(self) -> None:
        """Tell each job how many of its parts may run."""
        for share in self._shares.all() if self._all else ():
            places = min(share.width, self._dealt.get(share.id, share.width))
            self._work.share(self._files.folder(share.id), places)

    def seconds_to_next(self) -> float:
        """Return after how many seconds is to be looked again at what jobs hold."""
        return _LOOK_S if self.is_contended else float("inf")
