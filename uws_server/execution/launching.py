"""Takes jobs out of the queue and starts their supervisors. Imports storage, the configuration and its neighbours."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from uws_server.config import Config
from uws_server.errors import Forbidden, NotFound
from uws_server.execution.announcing import Announcer
from uws_server.execution.persistence import persist
from uws_server.execution.running import Running
from uws_server.execution.starter import Starter
from uws_server.execution.work import Work
from uws_server.jobs.job import JobError, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library

LOG = logging.getLogger(__name__)


class Launcher:
    """Takes and starts jobs, one after the other, in the thread of the queue.

    Parameters
    ----------
    store, files, library, config
        What a server is made of.
    work
        What prepares the folders of jobs.
    starter
        What starts the supervisors.
    running
        The supervisors that are watched.
    announcer
        What tells that a job changed.
    failed
        Called with the id of a job that could not be started, once it has ended.
    stopping
        Set once the server is to stop.
    """

    def __init__(
        self,
        store: JobStore,
        files: JobFiles,
        library: Library,
        config: Config,
        work: Work,
        starter: Starter,
        running: Running,
        announcer: Announcer,
        failed: Callable[[str], None],
        stopping: threading.Event,
    ) -> None:
        self._store, self._files, self._library = store, files, library
        self._config, self._work, self._starter = config, work, starter
        self._running, self._announcer, self._failed, self._stopping = running, announcer, failed, stopping

    def take(self) -> None:
        """Start queued jobs while there is room; other servers may take them first."""
        if self._files.reserve.problem():
            return  # they would fail for want of room
        while (free := self._config.jobs.max_running - len(self._running)) > 0:
            queued = self._store.queued(free)
            if not queued:
                return
            for job_id in queued:
                if self._takes(job_id):
                    self._launch(job_id)
                    self._announcer.announce(job_id)
                    self._running.obey(job_id)

    def _takes(self, job_id: str) -> bool:
        """Take a job. Return False if another server took it first."""
        try:
            return self._store.take(job_id, utcnow())
        except Exception:
            # the change may have been made and the answer lost: the job would wait for a supervisor for ever
            persist(lambda: self._store.give_back(job_id), self._stopping)
            raise

    def _launch(self, job_id: str) -> None:
        """Start a job that was taken. Where that fails for want of something, put it back into the queue and raise."""
        folder = self._files.folder(job_id)
        try:
            job = self._store.get(job_id)
            installed = self._library.of(job)
            self._files.create(job_id, {})
            launch = self._work.prepare(job, installed, folder)
            self._running.add(job_id, self._starter.start(job, installed, folder, launch))
            self._announcer.observers.job_started(job)
        except Exception as error:
            if meaning_of(error):
                persist(lambda: self._store.give_back(job_id), self._stopping)
                raise
            LOG.exception("job %s cannot be started", job_id)
            told = isinstance(error, NotFound | Forbidden)
            why = JobError(str(error) if told else "the server could not start the script", fatal=False)
            persist(lambda: self._store.end(job_id, Phase.ERROR, utcnow(), why, []), self._stopping)
            self._failed(job_id)
