"""The threads in which jobs are finished: small ones never wait behind large ones. Imports storage and its neighbours.

To finish a job its files are read, which takes a minute or more for tens of gigabytes and no time for a spectrum.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uws_server.execution.endings import Registrar
from uws_server.execution.persistence import persist
from uws_server.execution.verdicts import GivenUp
from uws_server.execution.watchdog import Watchdog
from uws_server.jobs.job import JobError, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.outages import Outage

LOG = logging.getLogger(__name__)

_LARGE = 1 << 28
"""The bytes of the files of a job from which it is a large one: half a second of reading."""
_MANY = 5_000
"""The files of a job from which it is a large one."""
_THREADS = 2


class Finishers:
    """Two threads for jobs with large files, and two for all others."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files
        self._sorter = ThreadPoolExecutor(1, "sort")
        self._small = ThreadPoolExecutor(_THREADS, "finish")
        self._large = ThreadPoolExecutor(_THREADS, "finish-large")

    def submit(self, finish: Callable[[str], None], job_id: str) -> None:
        """Have a job finished by `finish`, which is called with its id in one of the threads."""
        self._sorter.submit(self._sort, finish, job_id)

    def shutdown(self) -> None:
        """Return when all jobs are finished that were submitted."""
        for each in (self._sorter, self._small, self._large):
            each.shutdown()

    def _sort(self, finish: Callable[[str], None], job_id: str) -> None:
        try:
            is_large = _is_large(self._files.folder(job_id))
        except Exception:  # whatever it is, the job must be finished
            LOG.exception("job %s: its files cannot be counted", job_id)
            is_large = True
        (self._large if is_large else self._small).submit(finish, job_id)


class Finisher:
    """Registers the files that a job left and sets its last phase, as soon as disk and database let that be done."""

    def __init__(self, store: JobStore, registrar: Registrar, watchdog: Watchdog, stopping: threading.Event) -> None:
        self._store, self._registrar, self._watchdog, self._stopping = store, registrar, watchdog, stopping

    def finish(self, job_id: str, told: GivenUp | None = None) -> None:
        """Finish a job whose supervisor has ended; `told` is how it ends where its status does not say that."""
        try:
            self._register(job_id, told)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
            self._stopping.wait(Outage(LOG, f"the end of job {job_id}").failed(error))
            persist(lambda: self._register_or_fail(job_id, told), self._stopping)
        finally:
            self._watchdog.forget(job_id)

    def _register(self, job_id: str, told: GivenUp | None) -> None:
        self._registrar.register(job_id, self._watchdog.given_up(job_id), told)

    def _register_or_fail(self, job_id: str, told: GivenUp | None) -> None:
        try:
            self._register(job_id, told)
        except Exception as error:
            if meaning_of(error):
                raise  # it passes, and what the script made is still there
            LOG.exception("job %s could not be registered", job_id)
            self._store.end(job_id, Phase.ERROR, utcnow(), JobError("the server could not register the results"), [])


def _is_large(folder: Path) -> bool:
    """Check whether the files below a folder are many bytes, or many files; no more are looked at than tells so.

    Folders lie in each other as deep as a script likes: nothing recurses.
    """
    size = number = 0
    todo = [str(folder)]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                    continue
                number += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
                if size >= _LARGE or number > _MANY:
                    return True
    return False
