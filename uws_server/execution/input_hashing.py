"""Hashes the files of the archive that are used again, so that later jobs need not. Imports jobs and its neighbours.

What a script says of its inputs is not taken for true, so the server reads such a file itself, once: in the background
after a second job used it. A file that one job uses only is not read for nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from provenance.fits.digests import FileState
from uws_server.execution.hashes import Hashes
from uws_server.execution.observers import Observer
from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase

LOG = logging.getLogger(__name__)
_MOST_SEEN = 100_000
"""Files that were used once and are remembered: some 20 MB at most."""
_NICE = 10


class InputHashing(Observer):
    """Hears which files jobs used, and has `hashes` keep those of the files that are used again."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self._seen: OrderedDict[Path, FileState] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, "hash", initializer=_yield_to_jobs)

    def job_ended(self, job: Job, phase: Phase, ended: datetime, cpu_s: float) -> None:
        """Look at the files of the archive that the job was given, one after the other, in a thread."""
        parts = (part for value in job.parameters.values() for part in value.each if part.kind == "archive")
        for path in {Path(str(part.value)) for part in parts if part.value}:
            self._worker.submit(self._look_at, path)

    def stop(self) -> None:
        """Finish the file that is read, and leave the others."""
        self._worker.shutdown(cancel_futures=True)

    def _look_at(self, path: Path) -> None:
        try:
            if self._hashes.known(path):
                return
            state = FileState.of(path)
            if self._seen.pop(path, None) == state:
                self._hashes.of(path)
                return
        except OSError as error:
            LOG.info("a file that jobs use cannot be hashed: %s", error)
            return
        self._seen[path] = state
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)


def _yield_to_jobs() -> None:
    """Give the thread less of the processor than what people wait for."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
