"""Where in the queue a job is, and when it will probably start: told from a picture of the whole queue.

The picture is made when somebody asks, and for at most a fiftieth of the time: for whoever asks meanwhile it is a look
into a table, however long the queue is. Imports storage and its neighbours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from uws_server.errors import NotAtHand
from uws_server.execution.fairness import Limits
from uws_server.execution.foresight import foresee
from uws_server.jobs.job import EPOCH, Job, Position, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.queue import QueueStore

_LEAST_S = 0.25
"""Seconds for which a picture stands at the least."""
_SHARE = 50
"""A picture stands for so many times as long as it took to make."""
_MOST = 50_000
"""Jobs of the queue that a picture has; those behind have no place in it."""


@dataclass(frozen=True)
class _Picture:
    """The queue as it was at a moment of the monotonic clock, and until when it stands."""

    positions: Mapping[str, Position] = field(default_factory=dict)
    until: float = float("-inf")


class Forecast:
    """The positions of all jobs that wait; `limits` returns what may run at once."""

    def __init__(self, queue: QueueStore, limits: Callable[[], Limits]) -> None:
        self._queue, self._limits = queue, limits
        self._picture = _Picture()
        self._making = threading.Lock()

    def position(self, job: Job) -> Position | None:
        """Return where a job stands that waits for a place; None for any other, and if it was queued a moment ago."""
        return self._now().positions.get(job.id) if _waits(job) else None

    def position_at_hand(self, job: Job) -> Position | None:
        """Return what `position` does. Raise NotAtHand if the queue would have to be looked at first."""
        if not _waits(job):
            return None
        picture = self._picture
        if time.monotonic() >= picture.until:
            raise NotAtHand("the queue was looked at a while ago")
        return picture.positions.get(job.id)

    def order(self, most: int) -> list[tuple[str, Position]]:
        """Return the ids of the jobs that are the next to start, with their positions, from a new picture."""
        return sorted(self._look().items(), key=lambda each: (not each[1].short, each[1].place))[:most]

    def _now(self) -> _Picture:
        """Return the picture that stands; make one if there is none and nobody else makes one."""
        picture = self._picture
        if time.monotonic() < picture.until or not self._making.acquire(blocking=not picture.positions):
            return picture
        try:
            if time.monotonic() >= self._picture.until:
                begun = time.monotonic()
                positions = self._look()
                took = time.monotonic() - begun
                self._picture = _Picture(positions, begun + took + max(_LEAST_S, _SHARE * took))
            return self._picture
        finally:
            self._making.release()

    def _look(self) -> Mapping[str, Position]:
        return foresee(self._queue.state(_MOST), self._limits(), (utcnow() - EPOCH) // timedelta(microseconds=1))


def _waits(job: Job) -> bool:
    return job.phase is Phase.QUEUED or (job.phase is Phase.SUSPENDED and job.resume_asked is not None)
