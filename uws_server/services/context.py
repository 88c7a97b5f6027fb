"""What a server is made of, and its life: start, stop, tidy up. Imports everything below.

The use cases are in `job_service`; here is what they share.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from provenance.text.jsontext import MAX_BYTES
from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import DefinitionError, NotFound
from uws_server.execution import curation, sandbox
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs import checks, parameters
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.services.accounts import Accounts
from uws_server.services.hashes import Hashes
from uws_server.services.parameters import Intake, Outside, Upload
from uws_server.services.rights import rights_of
from uws_server.storage.accounts import AccountStore
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.files import STEPS_FILE, JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.revisions import Revisions
from uws_server.storage.uses import UseStore

LOG = logging.getLogger(__name__)
_ORPHAN_AGE_S = 3600.0


class Services:
    """Stores, library, archive, accounts and scheduler of one server."""

    def __init__(self, config: Config, base_url: str, definitions: Path) -> None:
        sandbox.require(config)
        curation.require(config)
        self.config = config
        self.base_url = base_url
        self.rights = rights_of(config)
        self.archive = Archive(config.folders.archive)
        self.outside = Outside.of(config)
        self.files = JobFiles(config.folders.data)
        self.hashes = Hashes(config.folders.data)
        self.store = JobStore(config.database_url())
        self.uses = UseStore(self.store.engine)
        self.accounts = Accounts(AccountStore(self.store.engine))
        self.revisions = Revisions(config.folders.data)
        self.definitions = DefinitionStore(self.store.engine)
        self.library = Library(definitions, self.check_definition, self.revisions, self.definitions)
        self.scheduler = Scheduler(self.store, self.files, self.library, config, base_url)
        self.scheduler.on_idle = self.tidy
        self._revisions_due = 0.0
        self.counting = threading.Lock()
        """Held from when something is counted against a limit of its account until it counts itself."""

    def start(self) -> None:
        """Begin to run jobs."""
        self.scheduler.start()

    def stop(self) -> None:
        """Stop taking jobs; running ones go on under their supervisors."""
        self.scheduler.stop()
        self.store.close()

    def spool(self) -> Path:
        """A new empty file for an upload on its way, on the disk of the jobs."""
        return self.files.spool()

    def step_list(self, job_id: str) -> bytes:
        """The step list of a job as JSON, which its script may have written; OSError where there is no such file.

        Of one that is too long to be read no more comes than tells so.
        """
        return self.files.told(job_id, STEPS_FILE, MAX_BYTES + 1)

    def tidy(self) -> None:
        """Destroy jobs whose time has come, and what crashes left behind."""
        for job_id in self.store.expired(utcnow()):
            LOG.info("job %s: its destruction time has come", job_id)
            with contextlib.suppress(NotFound):  # a client deleted it meanwhile
                if self.end(self.store.get(job_id)):
                    self._destroy(job_id)  # else the next time, when its supervisor has ended it
        swept = self.files.sweep(self.store.known, _ORPHAN_AGE_S)
        if swept:
            LOG.info("swept %d files and folders that belonged to no job", swept)
        self.hashes.sweep()
        if time.monotonic() >= self._revisions_due:
            self._revisions_due = time.monotonic() + _ORPHAN_AGE_S
            swept = self.revisions.sweep(self.definitions.unused, _ORPHAN_AGE_S)
            if swept:
                LOG.info("swept %d revisions of job definitions that were only tried", swept)

    def end(self, job: Job) -> bool:
        """End a job that does not run yet, or ask the supervisor of one that runs; say whether it has ended."""
        if job.phase in ENDED:
            return True
        if self.store.move(job.id, [Phase.PENDING, Phase.HELD, Phase.QUEUED], Phase.ABORTED, ended=utcnow()):
            self._tell_end(job.id)
            return True
        self.scheduler.abort(job.id)
        return False

    def forget(self, job_id: str) -> None:
        """Remove an ended job and its files; its record stays as long as there is a job that came of it."""
        doomed = [job_id]
        while doomed:
            job_id = doomed.pop()
            if self.uses.is_referred_to(job_id) and self._keep_record(job_id):
                continue
            earlier = self.uses.forgotten_before(job_id)
            self.store.delete(job_id)
            self.files.delete(job_id)
            self._tell_end(job_id)
            doomed += [each for each in earlier if not self.uses.is_referred_to(each)]

    def _keep_record(self, job_id: str) -> bool:
        """Keep of a job what those that came of it tell; say whether it had ended."""
        with contextlib.suppress(NotFound):  # another client deleted it meanwhile
            if self.store.archive(job_id) or self.store.get(job_id).phase is Phase.ARCHIVED:
                self.store.change(job_id, forgotten=True)
                self.files.delete(job_id)
                self._tell_end(job_id)
                return True
        return False

    def _tell_end(self, job_id: str) -> None:
        """Tell those who look on that a job is no more, and end the jobs that wait for it."""
        self.scheduler.announce(job_id)
        self.scheduler.release(job_id)

    def _destroy(self, job_id: str) -> None:
        """What the configuration wants at a job's destruction time: nothing left, or its record."""
        if self.config.jobs.destroyed == "record":
            self.store.archive(job_id)
            self.files.delete(job_id)
            self._tell_end(job_id)
        else:
            self.forget(job_id)

    def intake(self, uploads: Mapping[str, Upload], before: Job | None = None) -> Intake:
        """What takes in the parameters of one request (for the job `before`, where there is one)."""
        return Intake(self.archive, uploads, before, self.outside)

    def check_definition(self, definition: Definition) -> None:
        """DefinitionError with every problem of a definition: its own, and its values that do not fit their types."""
        problems = checks.problems(definition)
        types = Intake(self.archive, {}, None, self.outside.at_rest()).types
        problems += parameters.check_values(definition, types, problems)
        if problems:
            raise DefinitionError.of(f"{definition.name}/job.json", problems)
