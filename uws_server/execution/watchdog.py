"""The last resort for supervisors that do not do their work, which would hold a place for ever. Imports its neighbours.

A script that is not shut in can stop its supervisor, or put another process in its place. A supervisor that waits for
room on the disk, to record what its script did, does its work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from uws_server.execution.running import Running
from uws_server.execution.starter import Handle
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import JobError, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

LOG = logging.getLogger(__name__)

STOPPED_S = 10.0
"""Seconds after which a supervisor that is stopped again and again is ended."""
OVERDUE_S = 60.0
"""Seconds after the limit of its job, or after the request to end it, when a supervisor is ended."""


@dataclass
class _Watched:
    """What is known of a supervisor, in seconds of the clock of the watchdog."""

    since: float
    limit: int
    stopped: float | None = None
    asked: float | None = None
    full: float | None = None


class Watchdog:
    """Watches the supervisors of a server, and ends those that are overdue."""

    def __init__(
        self,
        store: JobStore,
        files: JobFiles,
        running: Running,
        longest_suspension_s: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._files, self._running, self._clock = store, files, running, clock
        self._watched: dict[str, _Watched] = {}
        self._longest_suspension = timedelta(seconds=longest_suspension_s)
        self._given_up: dict[str, GivenUp] = {}
        self._stood_too_long: dict[str, GivenUp] = {}

    def look(self, to_abort: Collection[str]) -> None:
        """Look at every supervisor; `to_abort` are the jobs that were asked to end."""
        for job_id in self._store.queue.standing_since(utcnow() - self._longest_suspension):
            self._end_standing(job_id)
        handles = self._running.handles()
        for job_id in self._watched.keys() - handles.keys():
            del self._watched[job_id]
        for job_id, handle in handles.items():
            if job_id not in self._given_up and not handle.has_ended():  # else it is being finished
                self._look_at(job_id, handle, job_id in to_abort)

    def given_up(self, job_id: str) -> GivenUp | None:
        """Return how a job ends whose supervisor, or which itself, was ended by the server; None for any other."""
        return self._given_up.get(job_id) or self._stood_too_long.get(job_id)

    def forget(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._given_up.pop(job_id, None)
        self._stood_too_long.pop(job_id, None)

    def _end_standing(self, job_id: str) -> None:
        """Have a job ended that stood still for too long: its memory is for others."""
        if job_id not in self._stood_too_long:
            most = f"{self._longest_suspension.total_seconds():,.0f} s"
            why = f"the job stood still for {most}, as long as one may on this server, and was ended"
            LOG.warning("job %s: %s", job_id, why)
            self._stood_too_long[job_id] = GivenUp(Phase.ABORTED, JobError(why, fatal=False))
            self._store.ask_abort(job_id)
            self._running.abort(job_id)

    def _look_at(self, job_id: str, handle: Handle, to_abort: bool) -> None:
        now = self._clock()
        watched = self._watched.get(job_id)
        if watched is None:
            watched = self._watched[job_id] = _Watched(now, self._store.get(job_id).execution_duration)
        if not handle.is_stopped():
            watched.stopped = None
        elif watched.stopped is None:
            watched.stopped = now
            LOG.warning("job %s: its supervisor was stopped; it is continued", job_id)
        if to_abort and watched.asked is None:
            watched.asked = now
        if given_up := self._verdict(job_id, handle, watched, now):
            LOG.error("job %s: %s", job_id, given_up.error.message if given_up.error else given_up.phase)
            self._given_up[job_id] = given_up
            handle.kill()
        elif watched.stopped is not None:
            handle.go_on()

    def _verdict(self, job_id: str, handle: Handle, watched: _Watched, now: float) -> GivenUp | None:
        """How a job ends whose supervisor is overdue; None for one that is not."""
        ended = "it was ended with all of its job"
        if watched.asked is not None and now - watched.asked > OVERDUE_S:
            why = f"the supervisor of the job did not carry out the request to end it; {ended}"
            return GivenUp(Phase.ABORTED, JobError(why))
        if watched.stopped is not None and now - watched.stopped > STOPPED_S:
            why = f"the supervisor of the job was stopped again and again, as by its script; {ended}"
            return GivenUp(Phase.ERROR, JobError(why))
        most = watched.limit + OVERDUE_S
        # by both clocks: neither one that was set anew nor a machine that slept ends a job
        is_late = watched.limit and now - watched.since > most and self._store.seconds_run(job_id, utcnow()) > most
        if is_late and not self._waits_for_room(handle, watched, now):
            limit = f"executionDuration: the job has a limit of {watched.limit} s"
            why = f"{limit}, at which its supervisor did not end it; {ended}"
            return GivenUp(Phase.ERROR, JobError(why))
        return None

    def _waits_for_room(self, handle: Handle, watched: _Watched, now: float) -> bool:
        """Check whether the script of a supervisor has ended, and the disk is full or was a moment ago."""
        if handle.has_script():
            return False
        if watched.full is None or not self._files.has_room():
            watched.full = now
        return now - watched.full <= OVERDUE_S
