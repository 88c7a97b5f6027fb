"""Runs the jobs that are queries, each in a thread of the server; any other job is left to another starter.

A server that ends leaves its queries: the next one finds that nothing has claimed their folders, and runs them again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uws_server.execution.jobfolder import write_json
from uws_server.execution.local import is_readable
from uws_server.execution.starter import Handle, Kept, Starter
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed
from uws_server.tap.jobs.definition import NAME

if TYPE_CHECKING:
    from uws_server.tap.jobs.running import QueryRun

LOG = logging.getLogger(__name__)
_STOP_S = 10.0
"""Seconds for which a server that ends waits for its queries to stop."""

Prepare = Callable[[Job, Path], "QueryRun"]
"""Returns what runs a query: of a job, in its folder."""


class QueryHandle:
    """A query that runs: what the queue may ask of it, from any thread."""

    def __init__(self, run: QueryRun, folder: Path) -> None:
        self.fd = os.eventfd(0)
        self._run, self._folder = run, folder
        self._abort = threading.Event()
        self._is_left = False
        self._thread = threading.Thread(target=self._work, name="query", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        began, cpu, reason, code = time.time(), time.thread_time(), "exit", 1
        try:
            reason, code = self._run.run()
        except Exception:  # whatever it is, the job must end
            LOG.exception("query of job %s", self._folder.name)
        finally:
            if self._abort.is_set():
                reason, code = "abort", -15
            used = time.thread_time() - cpu
            if not self._is_left:
                with contextlib.suppress(OSError):  # the job was deleted meanwhile
                    told = {"reason": reason, "code": code, "start": began, "end": time.time(), "cpu_s": used}
                    write_json(self._folder / "status.json", {**told, "max_rss_kib": 0})
            os.eventfd_write(self.fd, 1)

    def abort(self) -> None:
        """Have the query stopped."""
        self._abort.set()
        self._run.cancel()

    def leave(self) -> None:
        """Have the query stopped as if it had never run: the server ends."""
        self._is_left = True
        self._run.cancel()

    def wait(self, seconds: float) -> None:
        """Return when the query has stopped, or after so many seconds."""
        self._thread.join(seconds)

    def suspend(self) -> None:
        """Have the query write no more rows until `resume`."""
        self._run.hold()

    def resume(self) -> None:
        """Have the query go on."""
        self._run.go_on()

    def kill(self) -> None:
        """Have the query stopped."""
        self.abort()

    def go_on(self) -> None:
        """Do nothing: nothing stops a thread."""

    def is_stopped(self) -> bool:
        """Return False: nothing stops a thread."""
        return False

    def has_script(self) -> bool:
        """Check whether the query still runs."""
        return self._thread.is_alive()

    def has_ended(self) -> bool:
        """Check whether the query has ended."""
        return is_readable(self.fd)

    def is_same(self, other: object) -> bool:
        """Check whether another handle stands for the same query."""
        return other is self

    def started(self) -> datetime | None:
        """Return None: a query begins when it is started."""
        return None

    def note_started(self) -> None:
        """Do nothing: a query begins when it is started."""

    def verdict(self) -> GivenUp | None:
        """Return None: the status says all."""
        return None

    def close(self) -> None:
        """Release what the handle holds."""
        os.close(self.fd)


class QueryStarter:
    """Starts queries in threads, and all other jobs by another starter."""

    def __init__(self, others: Starter, prepare: Prepare) -> None:
        self._others, self._prepare = others, prepare
        self._handles: list[QueryHandle] = []

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> Handle:
        """Return what stands for a job that was started. Raise OSError if it cannot be started."""
        if job.definition != NAME:
            return self._others.start(job, installed, folder, launch)
        handle = QueryHandle(self._prepare(job, folder), folder)
        self._handles = [*(one for one in self._handles if one.has_script()), handle]
        return handle

    def find(self, folder: Path) -> Handle | None:
        """Return the supervisor of a folder; None if there is none, as for a query."""
        return self._others.find(folder)

    def claimed(self, folder: Path) -> bool:
        """Check whether a supervisor has ever claimed a folder: none claims that of a query."""
        return self._others.claimed(folder)

    def number_elsewhere(self) -> int:
        """Return how many jobs wait or run elsewhere."""
        return self._others.number_elsewhere()

    def look(self) -> None:
        """Look after what the starts are made with."""
        self._others.look()

    def kept(self) -> list[Kept]:
        """Return the processes that wait for starts."""
        return self._others.kept()

    def stop(self) -> None:
        """Leave the queries, which run again once a server is there; other jobs go on."""
        for handle in self._handles:
            handle.leave()
        for handle in self._handles:
            handle.wait(_STOP_S)
        self._others.stop()
