"""Destroys the jobs whose destruction time has come, unless that may be an error. Imports its neighbours, storage.

What is destroyed is gone for good. So nothing goes while the clock is in doubt, and many jobs at once, as a wrong clock
or a wrong setting would have them go, are announced in the log an hour before.
"""

from __future__ import annotations

import logging

from uws_server.services.job_life import JobLife
from uws_server.services.server_clock import HELD_S, ServerClock
from uws_server.storage.jobstore import JobStore

LOG = logging.getLogger(__name__)
MANY = 50
"""Jobs that are not destroyed at once without an announcement, where they are more than half of all."""


class Expiry:
    """Finds the jobs whose time has come and has them destroyed."""

    def __init__(self, life: JobLife, store: JobStore, clock: ServerClock) -> None:
        self._life, self._store, self._clock = life, store, clock
        self._doubted = False
        self._announced_s: float | None = None

    def is_clock_trusted(self) -> bool:
        """Check whether the time can be believed; where it cannot, the log says so once."""
        doubt = self._clock.doubt()
        if doubt and not self._doubted:
            LOG.warning("jobs whose destruction time has come are kept: %s", doubt)
        if self._doubted and not doubt:
            LOG.info("jobs whose destruction time has come are destroyed again: the clock is believed")
        self._doubted = bool(doubt)
        return not doubt

    def destroy_due(self) -> None:
        """Destroy the jobs whose time has come; if they are unusually many, an hour after that was announced."""
        due = self._store.expired(self._clock.read())
        if len(due) < MANY or 2 * len(due) <= self._store.listed_count():
            self._announced_s = None
        elif not self._is_announced(len(due)):
            return
        self._life.destroy(due)

    def _is_announced(self, number: int) -> bool:
        """Check whether it was announced an hour ago that many jobs go, and announce it if it was not."""
        if self._announced_s is None:
            self._announced_s = self._clock.elapsed_s()
            LOG.warning(
                "%d jobs are to be destroyed at once, more than half of all: they are kept for %.0f minutes more; if "
                "that is wrong, stop the server or give them a later destruction time",
                *(number, HELD_S / 60),
            )
        return self._clock.elapsed_s() - self._announced_s >= HELD_S
