"""The supervisors that a server watches, one for each job that it runs. Imports storage and the starter.

What a supervisor shall do stands in the database: it is asked whenever that changed and whenever it is found, so that
no request is lost that came before it was ready.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import weakref

from uws_server.execution.starter import Handle, Starter
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore


class Running:
    """The running jobs of this server process, with the handles of their supervisors.

    The thread of the queue adds supervisors and waits for their ends; any thread may remove one, ask one or wake it.
    """

    def __init__(self, store: JobStore, files: JobFiles, starter: Starter) -> None:
        self._store, self._files, self._starter = store, files, starter
        self._handles: dict[str, Handle] = {}
        self._still: set[str] = set()
        """The jobs that may stand still: of two signals that wait together the supervisor cannot tell which came last,
        so that one which never stood still is not asked to go on."""
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        weakref.finalize(self, _close, self._wake_out, self._wake_in)
        os.set_blocking(self._wake_in, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)

    def __len__(self) -> int:
        return len(self._handles)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._handles

    def __getitem__(self, job_id: str) -> Handle:
        return self._handles[job_id]

    def handles(self) -> dict[str, Handle]:
        """Return the supervisors by the id of their job, as they are now."""
        with self._lock:
            return dict(self._handles)

    def wake(self) -> None:
        """Have `wait` return now."""
        with contextlib.suppress(BlockingIOError):  # enough wake-ups are waiting already
            os.write(self._wake_in, b".")

    def wait(self, seconds: float) -> list[str]:
        """Wait for an end or a wake-up, at most so many seconds. Return the jobs whose supervisors have ended.

        Each is returned again until `unwatch` is called for it.
        """
        ended = []
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(self._wake_out, 4096)
            else:
                ended.append(str(key.data))
        return ended

    def unwatch(self, job_id: str) -> None:
        """Wait no more for the supervisor of a job; the job stays until it is removed."""
        self._selector.unregister(self._handles[job_id].fd)

    def add(self, job_id: str, handle: Handle) -> None:
        """Watch the supervisor of a job."""
        with self._lock:
            self._handles[job_id] = handle
        self._selector.register(handle.fd, selectors.EVENT_READ, job_id)

    def adopt(self, job_id: str, handle: Handle) -> None:
        """Watch the supervisor of a job that this server did not start, and that may stand still."""
        self.add(job_id, handle)
        self._still.add(job_id)
        self.obey(job_id)

    def remove(self, job_id: str) -> None:
        """Watch a job no more, whose supervisor has ended."""
        with self._lock:
            handle = self._handles.pop(job_id, None)
            self._still.discard(job_id)
        if handle is not None:
            handle.close()

    def obey(self, job_id: str) -> bool:
        """Ask the supervisor of a job for what the database says now. Return False if this server has none."""
        # one at a time: the last one to ask has read what the database said last
        with self._asking:
            asked = self._store.asked(job_id)
            with self._lock:
                handle = self._handles.get(job_id)
                if handle is None:
                    return False
                if asked.abort:
                    handle.abort()
                elif asked.suspend:
                    self._still.add(job_id)
                    handle.suspend()
                elif job_id in self._still:
                    self._still.remove(job_id)
                    handle.resume()
                return True

    def abort(self, job_id: str) -> bool:
        """End a job by its supervisor if that can be found from here, whichever server started it."""
        if self.obey(job_id):
            return True
        handle = self._starter.find(self._files.folder(job_id))
        if handle is None:
            return False
        handle.abort()
        handle.close()
        return True


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
