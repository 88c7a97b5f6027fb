"""How a job ends and goes: aborted, deleted, kept as a record, destroyed when its time has come. No right is checked.

Imports execution and storage.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable

from uws_server.errors import DiskFull, NotFound
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs.job import Job, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.uses import UseStore

LOG = logging.getLogger(__name__)


class JobLife:
    """Ends and removes jobs; `keeps_records` says that a job leaves its record at its destruction time."""

    def __init__(
        self, store: JobStore, files: JobFiles, uses: UseStore, scheduler: Scheduler, keeps_records: bool
    ) -> None:
        self._store, self._files, self._uses, self._scheduler = store, files, uses, scheduler
        self._keeps_records = keeps_records

    def end(self, job: Job) -> bool:
        """End a job that does not run yet, or ask the supervisor of one that runs; return whether it has ended."""
        if job.phase in ENDED:
            return True
        self._files.reserve.give_up()
        if self._store.move(job.id, [Phase.PENDING, Phase.HELD, Phase.QUEUED], Phase.ABORTED, ended=utcnow()):
            self._announce_end(job.id)
            return True
        self._scheduler.abort(job.id)
        return False

    def forget(self, job_id: str) -> None:
        """Remove an ended job and its files; its record stays as long as there is a job that came of it.

        On a full disk the bytes that are held for this are given up; where they are not enough, the files go first.
        """
        self._files.reserve.give_up()
        try:
            self._forget(job_id)
        except Exception as error:
            if not isinstance(meaning_of(error), DiskFull):
                raise
            self._files.delete(job_id)
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        doomed = [job_id]
        while doomed:
            job_id = doomed.pop()
            if self._uses.is_referred_to(job_id) and self._keep_record(job_id):
                continue
            earlier = self._uses.forgotten_before(job_id)
            self._store.delete(job_id)
            self._files.delete(job_id)
            self._announce_end(job_id)
            doomed += [parent for parent in earlier if not self._uses.is_referred_to(parent)]

    def destroy(self, job_ids: Iterable[str]) -> None:
        """Destroy jobs whose destruction time has come."""
        for job_id in job_ids:
            LOG.info("job %s: its destruction time has come", job_id)
            with contextlib.suppress(NotFound):  # a client deleted it meanwhile
                if self.end(self._store.bare(job_id)):
                    self._destroy(job_id)  # else the next time, when its supervisor has ended it

    def _destroy(self, job_id: str) -> None:
        """Leave of a job what the configuration wants: nothing, or its record."""
        if self._keeps_records:
            self._store.archive(job_id)
            self._files.delete(job_id)
            self._announce_end(job_id)
        else:
            self.forget(job_id)

    def _keep_record(self, job_id: str) -> bool:
        """Keep the record of a job for those that came of it; return False if it has not ended."""
        with contextlib.suppress(NotFound):  # another client deleted it meanwhile
            if self._store.archive(job_id) or self._store.bare(job_id).phase is Phase.ARCHIVED:
                self._store.change(job_id, forgotten=True)
                self._files.delete(job_id)
                self._announce_end(job_id)
                return True
        return False

    def _announce_end(self, job_id: str) -> None:
        """Notify those who wait for a job that it is no more, and end the jobs that follow it."""
        self._scheduler.announce(job_id)
        self._scheduler.release(job_id)
