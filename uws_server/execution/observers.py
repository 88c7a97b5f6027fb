"""Who hears of what happens to the jobs of a server: one list, which anything may join. Imports storage."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.outages import first_line

LOG = logging.getLogger(__name__)


class Observer:
    """Hears of the jobs of a server; a subclass has the methods for what it wants to hear of.

    The methods are called from any thread and must not wait, except `idle`.
    """

    def job_changed(self, job_id: str) -> None:
        """Take notice that a job changed; the change is committed."""

    def job_started(self, job: Job) -> None:
        """Take notice that a job was started here."""

    def job_ended(self, job: Job, phase: Phase, ended: datetime, cpu_s: float) -> None:
        """Take notice that the end of a job that ran was registered here; `job` is as it was before."""

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

    def job_started(self, job: Job) -> None:
        """Pass on that a job was started."""
        self._pass_on(lambda observer: observer.job_started(job), f" when job {job.id} was started")

    def job_ended(self, job: Job, phase: Phase, ended: datetime, cpu_s: float) -> None:
        """Pass on that the end of a job was registered."""
        self._pass_on(lambda observer: observer.job_ended(job, phase, ended, cpu_s), f" when job {job.id} ended")

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
