"""Notifies those who wait for a job that it has changed. Imports nothing of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Notifier:
    """Calls the listeners of a job when it has changed; called from any thread, after the change is committed."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self, job_id: str) -> None:
        """Call the listeners of this job."""
        # a listener that comes later reads the database after this, and finds the change there
        if self._loop is not None and job_id in self._listeners:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._call_listeners, job_id)

    def notify_all(self) -> None:
        """Call every listener: any job may have changed."""
        for job_id in tuple(self._listeners):
            self.notify(job_id)

    def listen(self, job_id: str, listener: Callable[[], None]) -> None:
        """Have `listener` called, in the event loop, at each notification for this job from now on."""
        self._loop = asyncio.get_running_loop()
        self._listeners.setdefault(job_id, set()).add(listener)

    def leave(self, job_id: str, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        listeners = self._listeners.get(job_id, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(job_id, None)

    def _call_listeners(self, job_id: str) -> None:
        for listener in tuple(self._listeners.get(job_id, ())):
            listener()
