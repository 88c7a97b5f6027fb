"""Whether the clock of the machine can be trusted: what its time decides is not undone. Imports storage.

A clock can be wrong by days for some seconds: when a machine starts, or is set by hand. Its time is compared with what
the database saw last and with the time that passed since; a jump is believed only when it has lasted for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from uws_server.errors import DiskFull
from uws_server.jobs.job import utcnow
from uws_server.storage.clock import ClockStore
from uws_server.storage.failures import meaning_of

HELD_S = 3600.0
"""Seconds for which a jump of the clock must last until it is believed."""
_SLACK_S = 600.0
"""Seconds by which the clock may differ from what is expected: it is set right now and then."""


def elapsed_s() -> float:
    """Return the seconds since the machine started, the time that it slept included: no one can set them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class _Reading:
    """A time of the clock, and the seconds that had elapsed then."""

    now: datetime
    elapsed_s: float

    def jump_s(self, later: _Reading) -> float:
        """Return the seconds by which the clock went further than the time that elapsed."""
        return (later.now - self.now).total_seconds() - (later.elapsed_s - self.elapsed_s)

    def leads_to(self, later: _Reading) -> bool:
        """Check whether the clock went on to a later reading without a jump."""
        return abs(self.jump_s(later)) <= _SLACK_S


class ServerClock:
    """The clock of the machine, as far as it can be trusted."""

    def __init__(
        self, store: ClockStore, now: Callable[[], datetime] = utcnow, elapsed: Callable[[], float] = elapsed_s
    ) -> None:
        self._store, self._now, self._elapsed = store, now, elapsed
        self._trusted: _Reading | None = None
        self._doubted: _Reading | None = None

    def read(self) -> datetime:
        """Return the time that it is by the clock."""
        return self._now()

    def elapsed_s(self) -> float:
        """Return the seconds that have elapsed since the machine started."""
        return self._elapsed()

    def doubt(self) -> str:
        """Read the clock, once a minute, and return the sentence that says why its time is not believed.

        Return '' for a time that is believed, which is then noted in the database.
        """
        reading = _Reading(self._now(), self._elapsed())
        if self._trusted is None:  # nobody knows how long no server ran
            self._trusted = _Reading(self._store.seen() or reading.now, reading.elapsed_s)
        if not self._trusted.leads_to(reading) and not self._has_lasted(reading):
            return _sentence(self._trusted, reading)
        self._trusted, self._doubted = reading, None
        self._note(reading.now)
        return ""

    def _note(self, now: datetime) -> None:
        """Note the time in the database; on a full disk it is enough to have read it, and jobs must go."""
        try:
            self._store.note(now)
        except Exception as error:
            if not isinstance(meaning_of(error), DiskFull):
                raise

    def _has_lasted(self, reading: _Reading) -> bool:
        """Check whether a jump has lasted for so long that it is believed."""
        if self._doubted is None or not self._doubted.leads_to(reading):
            self._doubted = reading
        return reading.elapsed_s - self._doubted.elapsed_s >= HELD_S


def _sentence(trusted: _Reading, reading: _Reading) -> str:
    jump = timedelta(seconds=round(trusted.jump_s(reading)))
    way = "ahead of" if jump > timedelta(0) else "behind"
    return (
        f"the clock says {reading.now:%Y-%m-%dT%H:%M:%SZ}, {abs(jump)} {way} what the database saw last; it is "
        f"believed once it has gone on like this for {HELD_S / 60:.0f} minutes"
    )
