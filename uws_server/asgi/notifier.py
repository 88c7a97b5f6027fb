"""Wakes those who wait for a job. Imports nothing of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Notifier:
    """Tells those who listen for a job that it has changed; rung from any thread, after the change is committed."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self, job_id: str) -> None:
        """Wake everyone who waits for this job."""
        # who does not listen yet will read the database later than this, and find the change there
        if self._loop is not None and job_id in self._listeners:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake, job_id)

    def notify_all(self) -> None:
        """Wake everyone: any job may have changed unheard."""
        for job_id in tuple(self._listeners):
            self.notify(job_id)

    def listen(self, job_id: str, listener: Callable[[], None]) -> None:
        """Have `listener` called, in the event loop, at each notification for this job from now on."""
        self._loop = asyncio.get_running_loop()
        self._listeners.setdefault(job_id, set()).add(listener)

    def leave(self, job_id: str, listener: Callable[[], None]) -> None:
        """Listen no longer."""
        listeners = self._listeners.get(job_id, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(job_id, None)

    def _wake(self, job_id: str) -> None:
        for listener in tuple(self._listeners.get(job_id, ())):
            listener()
