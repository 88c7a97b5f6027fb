"""What a server is made of, and its life: start, stop, tidy up. Imports everything below.

The use cases are in `counter`; here is what they share.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from uws_server.accounts import Accounts
from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import NotFound
from uws_server.execution.scheduler import Scheduler
from uws_server.intake import Intake
from uws_server.jobs import parameters
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, utcnow
from uws_server.jobs.library import Library
from uws_server.jobs.phases import ENDED, Phase
from uws_server.rights import rights_of
from uws_server.storage.accounts import AccountStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

LOG = logging.getLogger(__name__)
_ORPHAN_AGE_S = 3600.0


class Services:
    """Stores, library, archive, accounts and scheduler of one server."""

    def __init__(self, config: Config, base_url: str, definitions: Path) -> None:
        self.config = config
        self.base_url = base_url
        self.rights = rights_of(config)
        self.archive = Archive(config.archive)
        self.files = JobFiles(config.data)
        self.store = JobStore(config.database_url())
        self.accounts = Accounts(AccountStore(self.store.engine))
        self.library = Library(definitions, self._check_definition)
        self.scheduler = Scheduler(self.store, self.files, self.library, config, base_url)
        self.scheduler.on_idle = self.tidy

    def start(self) -> None:
        """Begin to run jobs."""
        self.scheduler.start()

    def stop(self) -> None:
        """Stop taking jobs; running ones go on under their keepers."""
        self.scheduler.stop()
        self.store.close()

    def spool(self) -> Path:
        """A new empty file for an upload on its way, on the disk of the jobs."""
        return self.files.spool()

    def tidy(self) -> None:
        """Destroy jobs whose time has come, and what crashes left behind."""
        for job_id in self.store.expired(utcnow()):
            LOG.info("job %s: its destruction time has come", job_id)
            with contextlib.suppress(NotFound):  # a client deleted it meanwhile
                if self.end(self.store.get(job_id)):
                    self._destroy(job_id)  # else the next time, when its keeper has ended it
        swept = self.files.sweep(self.store.known, _ORPHAN_AGE_S)
        if swept:
            LOG.info("swept %d files and folders that belonged to no job", swept)

    def end(self, job: Job) -> bool:
        """End a job that does not run yet, or ask the keeper of one that runs; say whether it has ended."""
        if job.phase in ENDED:
            return True
        if self.store.move(job.id, [Phase.PENDING, Phase.HELD, Phase.QUEUED], Phase.ABORTED, ended=utcnow()):
            self.scheduler.announce(job.id)
            return True
        self.scheduler.abort(job.id)
        return False

    def forget(self, job_id: str) -> None:
        """Remove an ended job and its files."""
        self.store.delete(job_id)
        self.files.delete(job_id)
        self.scheduler.announce(job_id)

    def _destroy(self, job_id: str) -> None:
        """What the configuration wants at a job's destruction time: nothing left, or its record."""
        if self.config.destroyed == "record":
            self.store.archive(job_id)
            self.files.delete(job_id)
            self.scheduler.announce(job_id)
        else:
            self.forget(job_id)

    def _check_definition(self, definition: Definition) -> None:
        parameters.check_defaults(definition, Intake(self.archive, {}).types)
