"""The one counter that both doors go to: every use case once, knowing no HTTP. Imports everything below.

Create, change, run, abort, delete, look at: the web pages and the UWS resources call the same methods.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, Forbidden, NotFound
from uws_server.execution.scheduler import Scheduler
from uws_server.intake import Intake, Request, Upload
from uws_server.jobs import parameters
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Filter, Job, Progress, Result, new_id, utcnow
from uws_server.jobs.library import Installed, Library
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

LOG = logging.getLogger(__name__)
_ABORT_WAIT_S = 10.0
_ORPHAN_AGE_S = 3600.0


class Services:
    """Everything a server can do."""

    def __init__(self, config: Config, base_url: str, definitions: Path) -> None:
        self.config = config
        self.base_url = base_url
        self.archive = Archive(config.archive)
        self.files = JobFiles(config.data)
        self.store = JobStore(config.database_url())
        self.library = Library(definitions, self._check_definition)
        self.scheduler = Scheduler(self.store, self.files, self.library, config, base_url)
        self.scheduler.on_idle = self.tidy

    def start(self) -> None:
        """Begin to run jobs."""
        self.tidy()
        self.scheduler.start()

    def stop(self) -> None:
        """Stop taking jobs; running ones go on under their keepers."""
        self.scheduler.stop()
        self.store.close()

    def tidy(self) -> None:
        """Destroy jobs whose time has come, and what crashes left behind."""
        for job_id in self.store.expired(utcnow()):
            LOG.info("job %s: its destruction time has come", job_id)
            with contextlib.suppress(NotFound):  # a client deleted it meanwhile
                if self._end(self.store.get(job_id)):
                    self._forget(job_id)  # else the next time, when its keeper has ended it
        swept = self.files.sweep(self.store.ids(), _ORPHAN_AGE_S)
        if swept:
            LOG.info("swept %d files and folders that belonged to no job", swept)

    # --- looking ---------------------------------------------------------------------------------------

    def definition(self, name: str) -> Installed:
        """The definition of that name."""
        return self.library.get(name)

    def job(self, definition: str, job_id: str) -> Job:
        """The job of that id in that job list."""
        job = self.store.get(job_id)
        if job.definition != definition:
            raise NotFound(f"no job {job_id[:40]!r} in the list {definition[:64]!r}")
        return job

    def jobs(self, wanted: Filter) -> list[Job]:
        """The jobs that a filter lets through, newest first."""
        if wanted.definition is not None:
            self.library.get(wanted.definition)
        return self.store.select(wanted)

    def progress(self, job: Job) -> Progress | None:
        """How far a running job is; None if it does not run."""
        return self.scheduler.progress.read(job.id) if job.phase is Phase.EXECUTING else None

    def log(self, job: Job, name: str, offset: int = 0, most: int = 1 << 20) -> bytes:
        """A piece of what the script printed: of `job.log`, `stdout.log` or `stderr.log`."""
        return self.files.log(job.id, name, offset, most)

    def result_path(self, job: Job, result: Result) -> Path:
        """Where a result lies; NotFound if its file is gone."""
        return self._plain_file(job.id, result.file)

    def stored(self, result_id: str, file_name: str) -> tuple[Result, Path]:
        """The result with that id, whose file has that name."""
        job_id, result = self.store.result(result_id)
        if Path(result.file).name != file_name:
            raise NotFound(f"result {result_id[:40]!r} has no file {file_name[:80]!r}")
        return result, self._plain_file(job_id, result.file)

    def input_path(self, job: Job, name: str) -> Path:
        """Where the uploaded file of a parameter lies."""
        value = job.parameters.get(name)
        if value is None or value.kind != "upload":
            raise NotFound(f"parameter {name[:64]!r} holds no uploaded file")
        return self._plain_file(job.id, str(value.value))

    def spool(self) -> Path:
        """A new empty file for an upload on its way, on the disk of the jobs."""
        return self.files.spool()

    # --- doing -----------------------------------------------------------------------------------------

    def create(self, definition_name: str, request: Request) -> Job:
        """Check a request against the definition and keep the new job, PENDING."""
        definition = self.library.get(definition_name).definition
        job_id = new_id()
        intake = Intake(self.archive, request.uploads)
        values = intake.accept(definition, request.values)
        now = utcnow()
        job = Job(
            id=job_id,
            definition=definition.name,
            version=definition.version,
            phase=Phase.PENDING,
            created=now,
            execution_duration=self._duration(definition, request.execution_duration),
            destruction=self._destruction(now, request.destruction),
            run_id=request.run_id,
            parameters=values,
        )
        self.files.create(job_id, intake.placed)
        self.store.add(job)
        return job

    def set_parameters(self, job: Job, values: Mapping[str, Sequence[str]], uploads: Mapping[str, Upload]) -> Job:
        """Change some parameters of a job that is still PENDING."""
        self._must_be(job, "its parameters can be changed", Phase.PENDING)
        definition = self.library.get(job.definition).definition
        intake = Intake(self.archive, uploads, job)
        accepted = intake.accept(definition, values)
        changed = replace(job, parameters=accepted)
        folder = self.files.folder(job.id)
        for place, path in intake.placed.items():
            path.rename(folder / place)
        won = self.store.update_pending(job, changed)
        before, after = _places(job), _places(changed)
        for place in before - after if won else after - before:
            (folder / place).unlink(missing_ok=True)
        if not won:
            raise Conflict(f"job {job.id} was started or changed meanwhile; look at it and try again")
        return changed

    def run(self, job: Job) -> None:
        """Put a PENDING or HELD job into the queue."""
        self._must_be(job, "it can be run", Phase.PENDING, Phase.HELD)
        if not self.store.move(job.id, [Phase.PENDING, Phase.HELD], Phase.QUEUED, queued=utcnow()):
            raise Conflict(f"job {job.id} changed meanwhile; look at its phase and try again")
        self.scheduler.wake()
        self.scheduler.announce(job.id)

    def abort(self, job: Job) -> Job:
        """End a job; what it made so far is kept. Returns the job as it is then."""
        if job.phase in ENDED:
            raise Forbidden(f"job {job.id} is {job.phase}: it can no longer be aborted")
        return self.store.get(job.id) if self._end(job) else self.scheduler.wait_for_end(job.id, _ABORT_WAIT_S)

    def delete(self, job: Job) -> None:
        """Destroy a job: end it if it runs, remove its files, forget it."""
        if not self._end(job):
            self.scheduler.wait_for_end(job.id, _ABORT_WAIT_S)
        self._forget(job.id)

    def set_duration(self, job: Job, seconds: int) -> None:
        """Set executionDuration, bounded by the definition and the server, of a job that has not begun."""
        self._must_be(job, "its executionDuration can be set", Phase.PENDING, Phase.HELD, Phase.QUEUED)
        definition = self.library.get(job.definition).definition
        self.store.change(job.id, execution_duration=self._duration(definition, seconds))

    def set_destruction(self, job: Job, when: datetime) -> None:
        """Set the time at which the job is destroyed."""
        self.store.change(job.id, destruction=self._destruction(utcnow(), when))

    # --- checks ----------------------------------------------------------------------------------------

    def _check_definition(self, definition: Definition) -> None:
        parameters.check_defaults(definition, Intake(self.archive, {}).types)

    def _must_be(self, job: Job, what: str, *phases: Phase) -> None:
        if job.phase not in phases:
            wanted = " or ".join(phases)
            raise Forbidden(f"job {job.id} is {job.phase}: {what} only while it is {wanted}")

    def _duration(self, definition: Definition, asked: int | None) -> int:
        """Seconds granted: the definition's default, or what was asked for (0 is as long as possible), bounded."""
        most = min(definition.duration.max, self.config.max_duration)
        if asked is None:
            return min(definition.duration.default, most)
        if asked < 0:
            raise BadRequest(f"EXECUTIONDURATION: {asked} came, seconds from 0 (as long as possible) on are allowed")
        return min(asked or most, most)

    def _destruction(self, now: datetime, asked: datetime | None) -> datetime:
        latest = now + timedelta(days=self.config.keep_days)
        return min(asked, latest) if asked is not None else latest

    def _end(self, job: Job) -> bool:
        """End a job that does not run yet, or ask the keeper of one that runs; say whether it has ended."""
        if job.phase in ENDED:
            return True
        if self.store.move(job.id, [Phase.PENDING, Phase.HELD, Phase.QUEUED], Phase.ABORTED, ended=utcnow()):
            self.scheduler.announce(job.id)
            return True
        self.scheduler.abort(job.id)
        return False

    def _forget(self, job_id: str) -> None:
        self.store.delete(job_id)
        self.files.delete(job_id)
        self.scheduler.announce(job_id)

    def _plain_file(self, job_id: str, place: str) -> Path:
        path = self.files.folder(job_id) / place
        if path.is_symlink() or not path.is_file():
            raise NotFound(f"the file {Path(place).name} is no longer there")
        return path


def _places(job: Job) -> set[str]:
    """Where the uploaded files of a job lie, below its folder."""
    return {str(value.value) for value in job.parameters.values() if value.kind == "upload"}
