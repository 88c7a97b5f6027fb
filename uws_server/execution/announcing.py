"""Tells that a job changed: to the threads that wait for it, and to the observers. Imports storage."""

from __future__ import annotations

import threading
import time

from uws_server.execution.observers import Observers
from uws_server.jobs.job import Job
from uws_server.jobs.phases import ENDED
from uws_server.storage.jobstore import JobStore


class Announcer:
    """Tells of the changes of the jobs, from any thread to any thread."""

    def __init__(self, store: JobStore) -> None:
        self.observers = Observers()
        self._store = store
        self._changed = threading.Condition()

    def announce(self, job_id: str) -> None:
        """Wake the threads that wait for a change, and report the job that changed."""
        with self._changed:
            self._changed.notify_all()
        self.observers.job_changed(job_id)

    def missed(self) -> None:
        """Tell that any job may have changed."""
        with self._changed:
            self._changed.notify_all()
        self.observers.changes_missed()

    def wait_for_end(self, job_id: str, seconds: float) -> Job:
        """Return the job, once it has ended or after so many seconds."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (job := self._store.get(job_id)).phase not in ENDED and time.monotonic() < deadline:
                self._changed.wait(min(0.5, max(0.01, deadline - time.monotonic())))
        return job
