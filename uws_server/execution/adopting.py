"""Takes over the jobs that another server process took and left, or that this one left unfinished. Imports storage.

A supervisor runs on when its server ends: the next one finds it by the folder of its job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from uws_server.execution import local
from uws_server.execution.announcing import Announcer
from uws_server.execution.running import Running
from uws_server.execution.starter import Starter
from uws_server.execution.watchdog import OVERDUE_S
from uws_server.jobs.job import utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore, Run

LOG = logging.getLogger(__name__)

_CLAIM_WAIT_S = 3.0
"""Seconds that a restarted server waits for the supervisors of jobs that were being started when it was killed."""


class Adopter:
    """Looks after every job that some server has taken, in the thread of the queue.

    Parameters
    ----------
    store, files
        The jobs, and their folders.
    starter
        What finds supervisors that others have started.
    running
        The supervisors that are watched.
    announcer
        What tells that a job changed.
    finish
        Has a job finished whose supervisor has ended; called with its id.
    ended
        Called with the id of a job that ended without one.
    """

    def __init__(
        self,
        store: JobStore,
        files: JobFiles,
        starter: Starter,
        running: Running,
        announcer: Announcer,
        finish: Callable[[str], None],
        ended: Callable[[str], None],
    ) -> None:
        self._store, self._files, self._starter, self._running = store, files, starter, running
        self._announcer, self._finish, self._ended = announcer, finish, ended
        self._again: set[str] = set()
        """The jobs that were queued again because nothing had claimed their folder."""

    def look(self, taken: list[Run], servers: set[str]) -> None:
        """Take over the jobs of servers that ended, and require each one of this server to run.

        Parameters
        ----------
        taken
            The jobs that servers have taken; read before the servers, so that one which takes a job now is among them.
        servers
            The ids of the servers that run.
        """
        deadline = time.monotonic() + _CLAIM_WAIT_S  # for all of them: their supervisors were started before
        for run in taken:
            if run.server not in servers:
                if self._store.take_over(run.job_id, run.server):
                    self._adopt(run.job_id, deadline)
            elif run.phase is Phase.UNKNOWN:
                self._look_for(run)
            elif run.server == self._store.server and run.job_id not in self._running:
                self._require_started(run)
            elif run.phase is Phase.SUSPENDED:
                self._running.obey(run.job_id)

    def goes_on(self, job_id: str) -> bool:
        """Return whether a job goes on whose supervisor has ended; then this looks after it."""
        folder = self._files.folder(job_id)
        if local.status(folder) is not None or self._running[job_id].verdict() is not None:
            self._again.discard(job_id)
            return False
        other = self._starter.find(folder)
        if other is None:
            return self._is_started_again(job_id, folder)
        if self._running[job_id].is_same(other):
            other.close()
            return False
        # it was started by a server that was killed, and claimed the folder late
        LOG.info("job %s is run by the supervisor of an earlier server: adopted", job_id)
        self._running.unwatch(job_id)
        self._running[job_id].close()
        self._running.adopt(job_id, other)
        return True

    def _is_started_again(self, job_id: str, folder: Path) -> bool:
        """Queue a job again whose supervisor was killed before it claimed the folder, and so before the script ran.

        It is done once: a script that takes the claim away and kills its supervisor is not run for ever.
        """
        began = self._starter.claimed(folder) or not (folder / "launch.json").exists() or (folder / "job.log").exists()
        if began or job_id in self._again or not self._queue_again(job_id):
            self._again.discard(job_id)
            return False
        LOG.warning("job %s: its supervisor was killed before the script ran; the job is queued again", job_id)
        self._again.add(job_id)
        self._running.unwatch(job_id)
        self._running.remove(job_id)
        self._announcer.announce(job_id)
        return True

    def _require_started(self, run: Run) -> None:
        """Start or end a job that this server took over, and that no server had started."""
        if self._starter.claimed(self._files.folder(run.job_id)):
            return  # it is being finished
        if self._store.asked(run.job_id).abort:
            if self._store.end(run.job_id, Phase.ABORTED, utcnow(), None, []):
                self._announcer.announce(run.job_id)
                self._ended(run.job_id)
        else:
            self._queue_again(run.job_id)

    def _adopt(self, job_id: str, deadline: float) -> None:
        """Adopt a job that was running when its server ended; its supervisor is waited for until the deadline."""
        folder = self._files.folder(job_id)
        while (folder / "launch.json").exists() and not self._starter.claimed(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        handle = self._starter.find(folder)
        if handle is not None:
            LOG.info("job %s still runs: adopted", job_id)
            self._store.stand_still(job_id)
            self._running.adopt(job_id, handle)
        elif local.is_elsewhere(folder):
            if self._store.move(job_id, [Phase.EXECUTING, Phase.SUSPENDED], Phase.UNKNOWN):
                LOG.warning("job %s: its supervisor is on another machine, whose server is silent", job_id)
                self._announcer.announce(job_id)
        elif self._starter.claimed(folder):
            self._finish(job_id)
        else:  # one that is SUSPENDED waits for RESUME
            self._queue_again(job_id)

    def _queue_again(self, job_id: str) -> bool:
        queued = self._store.move(job_id, [Phase.EXECUTING], Phase.QUEUED, started=None, server=None)
        if not queued:
            queued = self._store.on_cluster.give_back(job_id)
        self._running.wake()
        return queued

    def _look_for(self, run: Run) -> None:
        """Look again for a job whose supervisor was on a machine without a server: it may be here, or have ended."""
        folder = self._files.folder(run.job_id)
        mine = run.server == self._store.server
        handle = self._starter.find(folder)
        if handle is None and not (mine and (local.status(folder) is not None or self._is_overdue(run.job_id))):
            return
        stands = handle is not None and self._store.asked(run.job_id).suspend
        if (mine or self._store.take_over(run.job_id, run.server)) and self._store.move(
            run.job_id, [Phase.UNKNOWN], Phase.SUSPENDED if stands else Phase.EXECUTING
        ):
            self._announcer.announce(run.job_id)
            if handle is None:
                self._finish(run.job_id)
            else:
                self._store.stand_still(run.job_id)
                self._running.adopt(run.job_id, handle)
        elif handle is not None:
            handle.close()

    def _is_overdue(self, job_id: str) -> bool:
        """Whether a job must have ended, wherever it runs."""
        limit = self._store.get(job_id).execution_duration
        return bool(limit) and self._store.seconds_run(job_id, utcnow()) > limit + OVERDUE_S
