"""What one caller can look at of jobs, without HTTP: a job, a list of them, what they print and leave.

Each method checks the caller's right first, unless its docstring says otherwise. Changes are in `job_service`. Imports
the services and everything below.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from uws_server.archive.observations import Archive, ArchiveFile
from uws_server.errors import NotFound
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs.estimates import expected_end
from uws_server.jobs.job import Filter, Job, JobReference, JobSummary, Position, Progress, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.services.definition_service import DefinitionService
from uws_server.services.job_keys import JobKeys
from uws_server.services.job_parts import JobParts
from uws_server.services.job_results import JobResults
from uws_server.services.parameters import ParameterReader
from uws_server.services.rights import Caller, Rights
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles, copy
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.uses import UseStore
from uws_server.storage.work_sessions import WorkSessionStore

if TYPE_CHECKING:
    from uws_server.services.archive_files import ArchiveFiles
    from uws_server.services.archive_search import ArchiveSearch
    from uws_server.services.exposures import Exposures


class LookNeeds(Protocol):
    """The parts of a server that are needed to look at jobs."""

    rights: Rights
    keys: JobKeys
    archive: Archive
    parameters: ParameterReader
    files: JobFiles
    store: JobStore
    uses: UseStore
    library: Library
    scheduler: Scheduler
    work_sessions: WorkSessionStore

    @property
    def exposures(self) -> Exposures:
        """The footprints of the exposures of the archive."""

    @property
    def archive_search(self) -> ArchiveSearch:
        """The search for observations and exposures."""

    @property
    def archive_files(self) -> ArchiveFiles:
        """The files of the archive, by what is known of them."""


class JobReader:
    """What one caller can look at; `definitions` are the job definitions, as this caller meets them."""

    def __init__(self, needs: LookNeeds, caller: Caller) -> None:
        self.caller = caller
        self.definitions = DefinitionService(needs.library, needs.rights, caller)
        self.results = JobResults(needs.store)
        self.parts = JobParts(needs.store, needs.files)
        self._rights, self._keys, self._store, self._files = needs.rights, needs.keys, needs.store, needs.files
        self._archive, self._uses, self._running = needs.archive, needs.uses, needs.scheduler
        self._parameters = needs.parameters.seen_by(self.job)
        self._looked_at = needs  # what searches the archive is made when something asks for it
        self._work_sessions = needs.work_sessions

    def require_entry(self) -> None:
        """Raise Unauthorized if this server is for accounts and the caller has none."""
        self._rights.require_entry(self.caller)

    def may_enter(self) -> bool:
        """Check whether the caller may use the server at all."""
        return self._rights.may_enter(self.caller)

    def open(self, text: str) -> str:
        """Return a text that names jobs (an id, an address) without their keys, which the caller has from now on."""
        if not self._rights.uses_keys():
            return self._keys.open(text, self.caller)[0]
        plain, self.caller = self._keys.open(text, self.caller)
        return plain

    def address(self, job_id: str) -> str:
        """Return what names a job in an address: its id, with its key if it needs one and the caller has it."""
        return self._keys.address(job_id, self.caller)

    def job(self, job_id: str, definition: str | None = None) -> Job:
        """Return the job with that id (its key may follow it), in that job list where one is named.

        Raise NotFound if there is none, Forbidden or Unauthorized if the caller may not see it.
        """
        return self.results.filled(self.bare(job_id, definition))

    def bare(self, job_id: str, definition: str | None = None) -> Job:
        """Return the job as `job` does, without its results: at the same cost for a job that has thousands of them."""
        job = self._job(self.open(job_id), definition)
        self._rights.require_look(self.caller, job)
        return job

    def seen(self, job_id: str, definition: str | None = None) -> Job | None:
        """Return the job with that id without its results, in that job list where one is named.

        Return None if there is none that the caller may see.
        """
        try:
            job = self._job(job_id, definition)
        except NotFound:
            return None
        return job if self.may_look(job) else None

    def of_sequence(self, job: Job, other_id: str) -> Job | None:
        """Return another job of the sequence of a job; None if there is none that the caller may see.

        One request made them all: who has the key of one may have those of the others.
        """
        if job.id in self.caller.opened:
            self.give_keys({other_id})
        return self.seen(other_id)

    def recall(self, cookie: str) -> None:
        """Give the caller the keys of the jobs that the cookie of a browser remembers."""
        if cookie and self._rights.uses_keys():
            self.give_keys(self._keys.remembered(cookie))

    def remembering(self, cookie: str, job_id: str) -> str | None:
        """Return the text of the cookie that remembers a job beside those of the cookie that came.

        Return None for a job of which the caller has no key.
        """
        return self.remembering_made(cookie, job_id) if job_id in self.caller.opened else None

    def remembering_made(self, cookie: str, job_id: str) -> str:
        """Return the text of the cookie that remembers a job which the browser made, beside those of the cookie."""
        return self._keys.remember([job_id, *self._keys.remembered(cookie)])

    def follow(self, session_id: str, key: str) -> None:
        """Give the caller what the share link of a session shows from now on; nothing if it is none."""
        self.caller = replace(self.caller, share=f"{session_id}-{key}")
        self.show(self._work_sessions.opened_by(session_id, key))

    def show(self, job_ids: Iterable[str]) -> None:
        """Let the caller look at some jobs from now on. No right is checked."""
        self.caller = replace(self.caller, shown=self.caller.shown.union(job_ids))

    def give_keys(self, ids: Iterable[str]) -> None:
        """Give the caller the keys of some jobs, or sessions, that nobody owns. No right is checked."""
        self.caller = replace(self.caller, opened=self.caller.opened.union(ids))

    def may_look(self, job: Job) -> bool:
        """Check whether the caller may see the job."""
        return self._rights.may_look(self.caller, job)

    def jobs(self, wanted: Filter) -> Iterator[JobSummary]:
        """Return the jobs that a filter lets through and the caller may see listed, newest first."""
        return self._store.summaries(self._listed(wanted))

    def references(self, wanted: Filter) -> Iterator[JobReference]:
        """Return what `jobs` does, with no more of each job than a list of UWS says."""
        return self._store.references(self._listed(wanted))

    def own_jobs(self, wanted: Filter) -> Sequence[JobSummary]:
        """Return the jobs of `jobs`, with those among them whose keys the caller has, in the order of the filter."""
        listed = self.jobs(wanted)
        if not self._has_opened(wanted):
            return list(listed)
        opened = self._store.some(self.caller.opened, wanted)
        found = heapq.merge(listed, opened, key=lambda job: (job.created_us, job.id), reverse=not wanted.oldest_first)
        return list(itertools.islice(found, wanted.last))

    def count_to(self, wanted: Filter, most: int) -> int:
        """Return how many jobs `own_jobs` has for a filter; `most` if there are more."""
        opened = len(self._store.some(self.caller.opened, wanted)) if self._has_opened(wanted) else 0
        return min(most, opened + self._store.count_to(self._listed(wanted), most))

    def _has_opened(self, wanted: Filter) -> bool:
        """Check whether there may be jobs in a list because the caller has their keys."""
        is_of_others = wanted.owners is not None and None not in wanted.owners
        return bool(self.caller.opened) and self._rights.listed_owners(self.caller) is not None and not is_of_others

    def uses_keys(self) -> bool:
        """Check whether a job that nobody owns is for whoever has its key."""
        return self._rights.uses_keys()

    def waits(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return those of some jobs that wait for another one, with the id of that one. No right is checked."""
        return self._uses.held_back(ids) if ids else {}

    def progress(self, job: Job | JobSummary) -> Progress | None:
        """Return how far a running job is, or why one waits on a cluster. Return None if it does neither."""
        if job.phase is Phase.QUEUED and isinstance(job, Job):
            return self._running.progress.waiting(job.id)
        return self._foreseen(job, self._running.progress.read(job.id)) if job.phase is Phase.EXECUTING else None

    def _foreseen(self, job: Job | JobSummary, progress: Progress) -> Progress:
        """Add when a running job will probably end, by how far it is: the parts of a job are alike, stages are not.

        For one without parts that is second to how long others took before it, as long as that has not passed.
        """
        now = utcnow()
        if not isinstance(job, Job) or job.started is None or progress.reached is None:
            return progress
        has_parts = self.parts.is_array(job)
        if not has_parts and job.quote is not None and job.quote > now:
            return progress
        done = progress.number if has_parts else progress.number - 1
        return replace(progress, end=expected_end(job.started, progress.reached, done, progress.total, now))

    def progress_at_hand(self, job: Job) -> Progress | None:
        """Return what `progress` does. Raise NotAtHand if much of the log is unread."""
        if job.phase is Phase.QUEUED:
            return self._running.progress.waiting(job.id)
        return self._foreseen(job, self._running.progress.at_hand(job.id)) if job.phase is Phase.EXECUTING else None

    def position(self, job: Job) -> Position | None:
        """Return where a job stands that waits for a place. Return None for any other."""
        return self._running.forecast.position(job)

    def position_at_hand(self, job: Job) -> Position | None:
        """Return what `position` does. Raise NotAtHand if the queue would have to be looked at first."""
        return self._running.forecast.position_at_hand(job)

    def log(self, job: Job, name: str, offset: int = 0, most: int = 1 << 20) -> bytes:
        """Return a piece of what the script printed: of `job.log`, `stdout.log` or `stderr.log`."""
        return self._files.log(job.id, name, offset, most)

    def log_place(self, job: Job, name: str) -> tuple[int, Path]:
        """Return how many bytes a log has, and its path, for what waits until it grows."""
        return self._files.size_of_log(job.id, name), self._files.folder(job.id) / name

    def result_path(self, job: Job, result: Result) -> Path:
        """Return the path of a result's file. Raise NotFound if it is gone."""
        return self._plain_file(job.id, result.file)

    def stored(self, result_id: str, file_name: str) -> tuple[Result, Path]:
        """Return the result and its file. No right is checked: the id is secret.

        Raise NotFound if id or name is wrong.
        """
        job_id, result = self._store.result(result_id)
        if result.file_name != file_name:
            raise NotFound(f"result {result_id[:40]!r} has no file {file_name[:80]!r}")
        return result, self._plain_file(job_id, result.file)

    def result(self, result_id: str) -> Result:
        """Return the result with that id. No right is checked: the id is secret. Raise NotFound if there is none."""
        return self._store.result(result_id)[1]

    def input_path(self, job: Job, name: str, number: int = 1) -> Path:
        """Return the path of the uploaded file of a parameter: the one of that number, from 1 on, if it has several.

        Raise NotFound if there is none.
        """
        value = job.parameters.get(name)
        parts = value.each if value is not None else ()
        if not 1 <= number <= len(parts) or parts[number - 1].kind != "upload":
            raise NotFound(f"parameter {name[:64]!r} holds no uploaded file")
        return self._plain_file(job.id, str(parts[number - 1].value))

    def copied_input(self, job: Job, name: str, number: int) -> Path:
        """Return a copy of an uploaded file of a job, for another job. Raise NotFound if it is gone."""
        source, spool = self.input_path(job, name, number), self._files.spool()
        try:
            copy(source, spool)
        except OSError as error:
            spool.unlink()
            raise NotFound(f"the file {source.name} cannot be read") from error
        return spool

    @property
    def archive(self) -> Archive:
        """The event lists that a job may name. No right is checked."""
        return self._archive

    def named_file(self, text: str) -> ArchiveFile:
        """Return the file that a job would get of a text: of the archive, or a result by its address.

        Raise ValueError, with the reason, if there is none. No right is checked: the id in an address is secret.
        """
        return self._parameters.find(text)

    @property
    def exposures(self) -> Exposures:
        """The index of these event lists, by the sky that they see. No right is checked."""
        return self._looked_at.exposures

    @property
    def archive_search(self) -> ArchiveSearch:
        """The search in the archive by what people type. No right is checked."""
        return self._looked_at.archive_search

    @property
    def archive_files(self) -> ArchiveFiles:
        """The files of the archive. No right is checked."""
        return self._looked_at.archive_files

    def obstacle(self) -> str:
        """Return the sentence that says why no jobs are accepted now: '' where they are."""
        try:
            self._store.known([new_id()])
        except Exception as error:  # noqa: BLE001 - whatever the database says: it does not answer
            return str(meaning_of(error) or "the database of the server failed: its log tells more")
        return self._files.reserve.problem()

    def _listed(self, wanted: Filter) -> Filter:
        """Return a filter for the jobs that the caller may see listed. Raise NotFound if there is no such list."""
        if wanted.definition is not None:
            self.definitions.get(wanted.definition)
        seen = self._rights.listed_owners(self.caller)
        if wanted.owners is None or seen is None:
            return replace(wanted, owners=wanted.owners if seen is None else seen)
        return replace(wanted, owners=tuple(owner for owner in wanted.owners if owner in seen))

    def _job(self, job_id: str, definition: str | None) -> Job:
        job = self._store.bare(job_id)
        if definition is not None and job.definition != definition:
            raise NotFound(f"no job {job_id[:40]!r} in the list {definition[:64]!r}")
        return job

    def _plain_file(self, job_id: str, place: str) -> Path:
        path = self._files.folder(job_id) / place
        if path.is_symlink() or not path.is_file():
            raise NotFound(f"the file {Path(place).name} is no longer there")
        return path
