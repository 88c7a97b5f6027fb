"""Every use case of jobs once, for one caller, without HTTP: create, change, run, abort, delete.

The pages and the UWS resources call the same methods, and each checks the caller's right first. How jobs are looked at
is in `job_reader`, how one ends in `job_life`. Imports the services and everything below.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from uws_server.config import Config
from uws_server.errors import Conflict, Forbidden, InvalidParameters, NotFound, Problem
from uws_server.execution.capacity import Capacity
from uws_server.execution.job_secrets import Asking, JobSecrets
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.jobs.work_session import MOST_JOBS
from uws_server.services import trials
from uws_server.services.job_life import JobLife
from uws_server.services.job_reader import JobReader, LookNeeds
from uws_server.services.parameters import ParameterReader, Request, Upload
from uws_server.services.quotas import Quotas, expected_end
from uws_server.services.rights import Caller
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.durations import DurationStore
from uws_server.storage.grouped import Adding
from uws_server.storage.library import Installed
from uws_server.storage.plainfiles import size_of
from uws_server.storage.rows import search_key
from uws_server.storage.targets import target_of

_ABORT_WAIT_S = 10.0
TRIAL = "trial"
"""The run id of a job that tries a draft: such a job is in the lists of its owner and of admins, like others."""


class Needs(LookNeeds, Protocol):
    """The parts of a server that the job service uses."""

    config: Config
    parameters: ParameterReader
    definitions: DefinitionStore
    secrets: JobSecrets
    life: JobLife
    capacity: Capacity
    durations: DurationStore


@dataclass(frozen=True)
class _Accepted:
    """A job that a request makes, and the files that come with it, by their places below its folder."""

    job: Job
    placed: Mapping[str, Path]

    def queued(self, now: datetime) -> _Accepted:
        """Return the same for a job that is run at once."""
        return replace(self, job=replace(self.job, phase=Phase.QUEUED, queued=now))


class JobService(JobReader):
    """What one caller can do with jobs."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        super().__init__(needs, caller)
        self.quotas = Quotas(needs.store, needs.config, caller)
        self._needs = needs

    def create(self, definition_name: str, request: Request) -> Job:
        """Check a request against the definition and return the new job, PENDING. Raise InvalidParameters."""
        return self._store_new(self._accepted(*self._asked_for(definition_name, request)))

    def begin_creating(self, definition_name: str, request: Request) -> tuple[Job, Adding | None]:
        """Do what `create` does; return the new job and what tells when it is committed, None if it is already."""
        accepted = self._accepted(*self._asked_for(definition_name, request))
        job = accepted.job
        if accepted.placed or job.parent or self.quotas.most_bytes or self._needs_key(job):
            return self._store_new(accepted), None
        return job, self._store.begin_adding(job)

    def create_and_run(self, definition_name: str, request: Request) -> Job:
        """Check a request against the definition, and return the new job, which is in the queue.

        Where that is refused there is no job. Raise InvalidParameters, or Forbidden for too many active jobs.
        """
        accepted = self._accepted(*self._asked_for(definition_name, request))
        if self.quotas.most_active or accepted.job.after is not None:
            job = self._store_new(accepted)
            self.run_new(job)
            return job
        # in one transaction: whoever waits for a job that is run at once waits for the disk once
        job = self._store_new(accepted.queued(utcnow()))
        self._needs.scheduler.job_queued()
        self._needs.scheduler.announce(job.id)
        return job

    def problems(self, definition: Definition, request: Request) -> Sequence[Problem]:
        """Return what the parameters of a request would be refused for; no job is made."""
        try:
            self._parameters.read(definition, request.values, request.uploads)
        except InvalidParameters as error:
            return error.problems
        return ()

    def _asked_for(self, definition_name: str, request: Request) -> tuple[Installed, Request, bool]:
        """Return the definition that a request is for, the request, and whether it tries a draft."""
        self.require_entry()
        library, origin = self._needs.library, request.origin
        installed = library.revision(origin.revision) if origin.revision else library.get(definition_name)
        # a revision that never was live is that of a draft: to run a trial again is a trial, too
        trial = bool(origin.revision) and not self._needs.definitions.was_live(definition_name, origin.revision)
        if origin.revision and not trial:
            library.get(definition_name)  # of a definition that was taken out of use no old version makes jobs, either
        self._require_run(installed, trial)
        return installed, request, trial

    def try_out(self, installed: Installed, request: Request) -> Job:
        """Make a job that tries a draft, run it and return it."""
        self._require_run(installed, trial=True)
        job = self._store_new(self._accepted(installed, replace(request, run_id=request.run_id or TRIAL), trial=True))
        self.run_new(job)
        return self._store.get(job.id)

    def _accepted(self, installed: Installed, request: Request, trial: bool) -> _Accepted:
        """Check a request and return the job that it makes, which is stored nowhere yet."""
        self._files.reserve.require()
        definition, origin = installed.definition, request.origin
        if obstacle := self._needs.capacity.obstacle(definition):
            raise Forbidden(f"{obstacle}: it cannot run on this server; ask who runs it")
        self._needs.secrets.of(Asking(definition, installed.revision, self.caller.name, trial, utcnow()))
        accepted = self._parameters.read(definition, request.values, request.uploads, origin)
        self.quotas.require_room(accepted.size)
        now, duration = utcnow(), self.quotas.duration(definition, request.execution_duration)
        expected = self._expected(installed, accepted.input_size)
        job = Job(
            id=new_id(),
            definition=definition.name,
            version=definition.version,
            phase=Phase.PENDING,
            created=now,
            execution_duration=duration,
            destruction=self.quotas.destruction(now, request.destruction),
            quote=expected_end(expected, now),
            owner=self.caller.name,
            run_id=request.run_id,
            parameters=accepted.values,
            size=accepted.size,
            revision=installed.revision,
            trial=trial,
            parent=origin.parent,
            after=origin.after,
            needs=self._needs.capacity.needs(definition, duration, trial, accepted.values),
            input_size=accepted.input_size,
            expected_s=expected,
            target=target_of(self._store.engine, accepted.values.values()),
        )
        return _Accepted(job, accepted.placed)

    def _store_new(self, accepted: _Accepted) -> Job:
        """Store a new job with its files and return it. Raise Forbidden if its owner has no room for them."""
        job = accepted.job
        if accepted.placed:
            self._files.create(job.id, accepted.placed)
        try:
            self.quotas.add(job)
        except Forbidden:
            self._files.delete(job.id)
            raise
        if self._needs_key(job):
            self.give_keys({job.id})
        if job.parent and job.owner is not None:
            self._work_sessions.link_rerun(job.id, job.parent, job.owner, utcnow(), MOST_JOBS)
        return job

    def _needs_key(self, job: Job) -> bool:
        """Return whether a job belongs to nobody, and who has its key may see it."""
        return job.owner is None and self._rights.uses_keys()

    def _expected(self, installed: Installed, input_size: int) -> int | None:
        """Return the seconds that a job is expected to run: as its definition says, else as those before it did."""
        definition = installed.definition
        if definition.control.quote:
            return definition.control.quote
        seconds = self._needs.durations.expected(definition.name, installed.revision, input_size)
        return None if seconds is None else math.ceil(seconds)

    def set_parameters(self, job: Job, values: Mapping[str, Sequence[str]], uploads: Mapping[str, Upload]) -> Job:
        """Change some parameters of a job that is still PENDING, and return the job."""
        self._rights.require_change(self.caller, job)
        _must_be(job, "its parameters can be changed", Phase.PENDING)
        self._files.reserve.require()
        installed = self.definitions.of(job)
        accepted = self._parameters.read_changes(installed.definition, values, uploads, job.parameters)
        changed = replace(job, parameters=accepted.values)
        kept = job.upload_places & changed.upload_places
        input_size = accepted.input_size + self._files.size_of_files(job.id, kept)
        needs = self._needs.capacity.needs(installed.definition, job.execution_duration, job.trial, accepted.values)
        expected = self._expected(installed, input_size)
        target = target_of(self._store.engine, accepted.values.values())
        changed = replace(changed, input_size=input_size, expected_s=expected, needs=needs, target=target)
        self.quotas.require_room(accepted.size)
        self._change_pending(job, changed, accepted.placed, accepted.size)
        return changed

    def _change_pending(self, job: Job, changed: Job, placed: Mapping[str, Path], coming: int) -> None:
        """Store the new parameters and files, of so many bytes, and delete the old ones.

        If another request changed the job first, delete the new files and raise Conflict.
        """
        folder = self._files.folder(job.id)
        if placed:
            self._files.create(job.id, placed)
        before, after = job.upload_places, changed.upload_places
        won = False
        try:
            won = self.quotas.update(job, changed, coming)
        finally:
            for place in before - after if won else after - before:
                (folder / place).unlink(missing_ok=True)
        if not won:
            raise Conflict(f"job {job.id} was started or changed meanwhile; look at it and try again")
        if before != after:
            self._store.change(job.id, size=size_of(folder))

    def run(self, job: Job) -> None:
        """Put a PENDING or HELD job into the queue."""
        self._rights.require_change(self.caller, job)
        _must_be(job, "it can be run", Phase.PENDING, Phase.HELD)
        installed = self.definitions.of(job)
        self._require_run(installed, job.trial)
        self._require_predecessor(job)
        now = utcnow()
        quote = expected_end(job.expected_s, now)
        if not self.quotas.queue(job, now, quote):
            raise _changed(job)
        self._needs.scheduler.job_queued()
        self._needs.scheduler.announce(job.id)

    def run_new(self, *jobs: Job) -> None:
        """Run the first of jobs that were just made; the others follow it.

        If that is refused, remove them all and raise Forbidden.
        """
        try:
            self.run(jobs[0])
        except Forbidden:
            self.discard_new(*jobs)
            raise

    def discard_new(self, *jobs: Job) -> None:
        """Remove jobs that were just made for a request that cannot be carried out."""
        for job in jobs:
            self._needs.life.forget(job.id)
            self._work_sessions.forget_job(job.id)

    def hold(self, job: Job) -> None:
        """Keep a job from starting until it is run again."""
        self._rights.require_change(self.caller, job)
        self._require_not_on_cluster(job, "it can no longer be held; it can be aborted")
        _must_be(job, "it can be held", Phase.PENDING, Phase.QUEUED)
        if not self._store.move(job.id, [Phase.PENDING, Phase.QUEUED], Phase.HELD):
            raise _changed(job)
        self._needs.scheduler.announce(job.id)

    def suspend(self, job: Job) -> None:
        """Stop a running job for a while; its time limit stands still, and another one has its place.

        One that was to go on, and waits for a place, stays where it is.
        """
        self._rights.require_change(self.caller, job)
        if job.phase is Phase.SUSPENDED and job.resume_asked is not None:
            if self._store.queue.withdraw_resume(job.id):
                self._needs.scheduler.announce(job.id)
                return
            job = self._store.bare(job.id)  # it got its place at this moment
        _must_be(job, "it can be suspended", Phase.EXECUTING)
        if not self.quotas.suspend(job):
            raise _changed(job)
        self._needs.scheduler.announce(job.id)
        self._needs.scheduler.suspend(job.id)

    def resume(self, job: Job) -> None:
        """Let a suspended job go on as soon as there is a place for it; it is SUSPENDED until then."""
        self._rights.require_change(self.caller, job)
        _must_be(job, "it can be resumed", Phase.SUSPENDED)
        if not self._store.queue.ask_resume(job.id, utcnow()):
            raise _changed(job)
        self._needs.scheduler.announce(job.id)
        self._needs.scheduler.wake()

    def abort(self, job: Job) -> Job:
        """End a job, keep what it made so far and return the job as it is then. Raise Forbidden if it has ended."""
        self._rights.require_change(self.caller, job)
        if job.phase in ENDED:
            raise Forbidden(f"job {job.id} is {job.phase}: it can no longer be aborted")
        if self._needs.life.end(job):
            return self._store.get(job.id)
        return self._needs.scheduler.wait_for_end(job.id, _ABORT_WAIT_S)

    def delete(self, job: Job) -> None:
        """Destroy a job: end it if it runs, remove its files and its record."""
        self._rights.require_change(self.caller, job)
        if not self._needs.life.end(job):
            self._needs.scheduler.wait_for_end(job.id, _ABORT_WAIT_S)
        self._needs.life.forget(job.id)

    def set_run_id(self, job: Job, run_id: str) -> None:
        """Change what a client calls a job that is still PENDING."""
        self._rights.require_change(self.caller, job)
        _must_be(job, "its RUNID can be set", Phase.PENDING)
        self._store.change(job.id, run_id=run_id, run_key=search_key(run_id))

    def set_duration(self, job: Job, seconds: int) -> None:
        """Set executionDuration of a job that has not begun, bounded by the definition and the server."""
        self._rights.require_change(self.caller, job)
        _must_be(job, "its executionDuration can be set", Phase.PENDING, Phase.HELD, Phase.QUEUED)
        self._require_not_on_cluster(job, "its executionDuration can no longer be set")
        definition = self.definitions.of(job).definition
        duration = self.quotas.duration(definition, seconds)
        needs = self._needs.capacity.needs(definition, duration, job.trial, job.parameters)
        self._store.change(job.id, execution_duration=duration, short=needs.short)
        if needs.short and not job.needs.short:
            self._needs.scheduler.wake()  # there may be a short place for it

    def set_destruction(self, job: Job, when: datetime) -> None:
        """Set the time at which the job is destroyed."""
        self._rights.require_change(self.caller, job)
        self._store.change(job.id, destruction=self.quotas.destruction(utcnow(), when))

    def may_change(self, job: Job) -> bool:
        """Check whether the caller may change the job, not only look at it."""
        return self._rights.may_change(self.caller, job)

    def can_share(self, job: Job) -> bool:
        """Check whether a share link makes sense: the caller may change the job, and not everybody sees it."""
        return self.may_change(job) and not self._rights.is_public(job)

    def share(self, job: Job) -> str:
        """Return the token of the job's share link, by which anyone may see the job; make one if there is none."""
        self._rights.require_change(self.caller, job)
        token = job.share or secrets.token_hex(16)
        if job.share is None:
            self._store.change(job.id, share=token)
        return token

    def unshare(self, job: Job) -> None:
        """Make the share link void."""
        self._rights.require_change(self.caller, job)
        self._store.change(job.id, share=None)

    # --- checks ----------------------------------------------------------------------------------------

    def _require_not_on_cluster(self, job: Job, what: str) -> None:
        if job.phase is Phase.QUEUED and self._store.on_cluster.waits(job.id):
            raise Forbidden(f"job {job.id} waits on the cluster for a node: {what}")

    def _require_run(self, installed: Installed, trial: bool) -> None:
        """Raise Forbidden or Unauthorized if the caller lacks the roles for making and running a job.

        They are those of the definition as it is live now, and as it was when the job was made.
        """
        if trial:
            self._rights.require_draft(self.caller)
            trials.require_possible(self._needs.config)
            return
        self._rights.require_run(self.caller, installed.definition)
        live = self.definitions.by_name().get(installed.definition.name)
        if live is not None:
            self._rights.require_run(self.caller, live.definition)

    def _require_predecessor(self, job: Job) -> None:
        """Raise Forbidden if a job follows another one that has not ended: that one then has it run."""
        if job.after is None:
            return
        with contextlib.suppress(NotFound):
            earlier = self._store.bare(job.after)
            if earlier.phase not in ENDED:
                raise Forbidden(
                    f"job {job.id} waits for job {earlier.id}, which is {earlier.phase}: "
                    "run that one, and this one follows"
                )


def _changed(job: Job) -> Conflict:
    return Conflict(f"job {job.id} changed meanwhile; look at its phase and try again")


def _must_be(job: Job, what: str, *phases: Phase) -> None:
    if job.phase not in phases:
        wanted = " or ".join(phases)
        raise Forbidden(f"job {job.id} is {job.phase}: {what} only while it is {wanted}")
