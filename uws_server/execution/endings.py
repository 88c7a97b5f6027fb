"""Ends a job: registers the files that it left, and sets its last phase. Imports storage and its neighbours."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from uws_server.errors import NotFound
from uws_server.execution import job_steps, local, obscore, reasons
from uws_server.execution.job_steps import EndedJob
from uws_server.execution.observers import Observers
from uws_server.execution.verdicts import GivenUp
from uws_server.execution.work import Outcome, Work
from uws_server.jobs.job import Job, JobError, Usage, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage import obscore_rows
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import Ending, JobStore
from uws_server.storage.library import Library
from uws_server.storage.plainfiles import size_of
from uws_server.storage.uses import UseStore

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registrar:
    """Registers the end of each job after that of its supervisor."""

    store: JobStore
    files: JobFiles
    library: Library
    base_url: str
    observers: Observers
    work: Work

    def register(self, job_id: str, given_up: GivenUp | None = None, told: GivenUp | None = None) -> None:
        """Store the results of a job and set its last phase. Does nothing for a job that was deleted while it ran.

        `given_up` is how it ends if the server ended its supervisor, `told` how whatever its status says.
        """
        self.files.remove_secrets(job_id)  # its supervisor has, unless it was killed
        try:
            job = self.store.get(job_id)
        except NotFound:
            return
        folder = self.files.folder(job_id)
        definition = self.library.of(job).definition
        status = local.status(folder)
        left = local.end_orphans(job_id) if status is None else 0
        if status is None and told is None:
            errors = local.error_output(folder)
            LOG.error("job %s: its supervisor left no status (%d processes): %s", job_id, left, errors)
        folder.mkdir(parents=True, exist_ok=True)  # a script may have removed it, with its supervisor
        ended = datetime.fromtimestamp(status.end, UTC) if status else utcnow()
        url = f"{self.base_url}/rest/{job.definition}/{job.id}/results"
        outcome = self.work.outcome(EndedJob(job, definition, folder, url, ended), status)
        found, warning = outcome.products, outcome.warning
        phase, error = (Phase.COMPLETED, None) if warning else _verdict(job, status, given_up, outcome, folder)
        if told is not None:
            phase, error, warning = told.phase, told.error, ""
        ending = Ending(warning, _usage(status), outcome.parts)
        used = job_steps.checked(found.used, job, folder, UseStore(self.store.engine).made_here)
        if self.store.end(job_id, phase, ended, error, found.results, size_of(folder), used, ending):
            obscore_rows.keep(self.store.engine, obscore.rows_of(folder, found.results))
            self.observers.job_ended(job, phase, ended, status.cpu_s if status else 0.0)
            LOG.info("job %s %s: %s %s", job.definition, job_id, phase, error.message if error else warning)
            for note in found.notes:
                LOG.warning("job %s: %s", job_id, note)
        local.forget_claim(folder)


def _usage(status: local.Status | None) -> Usage | None:
    """What the processes of a job used; its memory is that of the largest one where nothing looked at all together."""
    return Usage(status.cpu_s, max(status.memory, status.max_rss_kib << 10)) if status else None


def _verdict(
    job: Job, status: local.Status | None, given_up: GivenUp | None, outcome: Outcome, folder: Path
) -> tuple[Phase, JobError | None]:
    """The last phase of a job, with its error; None for COMPLETED, or if a user aborted it."""
    if status is None and given_up is not None:
        return given_up.phase, given_up.error
    if status is None and local.has_lost_claim(folder):
        why = "the supervisor of the job was killed, and its folder removed or emptied, as by the script"
        return Phase.ERROR, JobError(f"{why}: nothing is known of its end")
    if status is None:
        return Phase.ERROR, JobError("the supervisor of the job was killed; run the job again", fatal=False)
    if status.reason == "abort":
        return Phase.ABORTED, given_up.error if given_up is not None else None
    if status.reason == "timeout":
        limit = job.execution_duration
        return Phase.ABORTED, JobError(f"executionDuration: the job ran for its limit of {limit} s and was ended")
    if status.reason == "gone":
        return Phase.ERROR, JobError("the script removed the folder of its job: nothing that it made is left")
    if status.code != 0:
        return Phase.ERROR, JobError(outcome.reason or reasons.of_script(folder, status.code))
    if missing := outcome.products.missing:
        return Phase.ERROR, JobError(f"the script ended well but left no {', '.join(missing)}")
    return Phase.COMPLETED, None
