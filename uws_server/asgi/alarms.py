"""One timer of the event loop for thousands of sleepers: one each would take more memory than what it wakes.

Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import weakref
from typing import Protocol


class Sleeper(Protocol):
    """What can be woken."""

    def wake(self, when: float) -> None:
        """Do what is due at that time of the event loop, if it still is."""


class Alarms:
    """Wakes sleepers at their times; a sleeper that nothing else holds is not kept for its alarm."""

    def __init__(self) -> None:
        self._set: list[tuple[float, int, weakref.ref[Sleeper]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, when: float, sleeper: Sleeper) -> None:
        """Have a sleeper woken at a time of the event loop."""
        alarm = (when, next(self._numbers), weakref.ref(sleeper))
        heapq.heappush(self._set, alarm)
        if self._set[0] is alarm:
            self._start()

    def _start(self) -> None:
        """Set the timer to the next alarm."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._set[0][0], self._ring) if self._set else None

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._set and self._set[0][0] <= now:
            when, _, sleeper = heapq.heappop(self._set)
            found = sleeper()
            if found is not None:
                found.wake(when)
        self._start()
