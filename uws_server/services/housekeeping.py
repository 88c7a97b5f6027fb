"""What a server removes from time to time: jobs whose time has come, what crashes and trials left behind, unused work.

Imports its neighbours, execution and storage.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from uws_server.execution.hashes import Hashes
from uws_server.execution.observers import Observer
from uws_server.jobs.job import utcnow
from uws_server.services.expiry import Expiry
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.revisions import Revisions
from uws_server.storage.work_sessions import WorkSessionStore

LOG = logging.getLogger(__name__)
_ORPHAN_AGE_S = 3600.0


class Housekeeping(Observer):
    """Tidies up whenever the scheduler has a moment."""

    def __init__(
        self,
        expiry: Expiry,
        store: JobStore,
        files: JobFiles,
        hashes: Hashes,
        revisions: Revisions,
        definitions: DefinitionStore,
        work_sessions: WorkSessionStore,
        keep_days: int,
    ) -> None:
        self._expiry, self._store, self._files, self._hashes = expiry, store, files, hashes
        self._revisions, self._definitions = revisions, definitions
        self._work_sessions, self._kept_unused = work_sessions, timedelta(days=keep_days)
        self._revisions_due = 0.0
        self._is_full = False

    def idle(self) -> None:
        """Destroy jobs whose time has come, then remove what belongs to no job and no definition.

        While the clock is in doubt only what does not go by it is done: it would be wrong about what is old, too.
        """
        self._hashes.sweep()
        self._files.sweep_secrets(lambda: [run.job_id for run in self._store.taken()])
        self._look_at_disk()
        if not self._expiry.is_clock_trusted():
            return
        self._expiry.destroy_due()
        swept = self._files.sweep(self._store.known, _ORPHAN_AGE_S)
        if swept:
            LOG.info("swept %d files and folders that belonged to no job", swept)
        if time.monotonic() >= self._revisions_due:
            self._revisions_due = time.monotonic() + _ORPHAN_AGE_S
            self.sweep_revisions()
            self.sweep_sessions()

    def _look_at_disk(self) -> None:
        """Hold the bytes for deletions, and log once that the disk is too full for anything new, or no longer is."""
        self._files.reserve.hold()
        problem = self._files.reserve.problem()
        if problem and not self._is_full:
            LOG.error("%s", problem)
        if self._is_full and not problem:
            LOG.info("the disk has room again: jobs are taken")
        self._is_full = bool(problem)

    def sweep_revisions(self) -> None:
        """Remove the revisions of job definitions that were only tried, and that no job needs any more."""
        swept = self._revisions.sweep(self._definitions.unused, _ORPHAN_AGE_S)
        if swept:
            LOG.info("swept %d revisions of job definitions that were only tried", swept)

    def sweep_sessions(self) -> None:
        """Delete the sessions of nobody that nobody opened or changed for as long as jobs are kept."""
        swept = self._work_sessions.expire(utcnow() - self._kept_unused)
        if swept:
            LOG.info("deleted %d sessions made without an account that nobody used any more", swept)
