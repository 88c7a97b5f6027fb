"""Who hears of what happens to the jobs of a server: one list, which anything may join. Imports storage."""

from __future__ import annotations

import logging
from collections.abc import Callable

from uws_server.storage.failures import meaning_of
from uws_server.storage.outages import first_line

LOG = logging.getLogger(__name__)


class Observer:
    """Hears of the jobs of a server; a subclass has the methods for what it wants to hear of.

    The methods are called from any thread and must not wait, except `idle`.
    """

    def job_changed(self, job_id: str) -> None:
        """Take notice that a job changed; the change is committed."""

    def changes_missed(self) -> None:
        """Take notice that other servers may have changed any job, and nothing tells which."""

    def idle(self) -> None:
        """Use a moment, once a minute, in a thread kept for it: what waits here keeps no job from starting."""


class Observers(Observer):
    """Passes each event on to every observer that was added; the failure of one is logged and keeps none from it."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()

    def add(self, observer: Observer) -> None:
        """Have an observer hear of everything from now on."""
        self._observers = (*self._observers, observer)

    def job_changed(self, job_id: str) -> None:
        """Pass on that a job changed."""
        self._pass_on(lambda observer: observer.job_changed(job_id), f" when job {job_id} changed")

    def changes_missed(self) -> None:
        """Pass on that any job may have changed."""
        self._pass_on(lambda observer: observer.changes_missed(), " when any job might have changed")

    def idle(self) -> None:
        """Pass on that there is a moment for what is not urgent."""
        self._pass_on(lambda observer: observer.idle(), "; it is tried again in a minute")

    def _pass_on(self, event: Callable[[Observer], None], about: str) -> None:
        """Call every observer; `about` ends the log line of one that failed."""
        for observer in self._observers:
            try:
                event(observer)
            except Exception as error:
                known = meaning_of(error)
                reason = f": {known} ({first_line(error)})" if known else ""
                LOG.error("%s failed%s%s", type(observer).__name__, about, reason, exc_info=None if known else error)
