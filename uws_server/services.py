"""The one counter that both doors go to: every use case once, knowing no HTTP. Imports everything below.

Create, change, run, abort, delete, look at: the web pages and the UWS resources call the same methods.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from reduction import regions
from reduction.errors import ReductionError
from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, Forbidden, InvalidParameters, NotFound, Problem
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs import parameters
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Filter, Job, ParameterValue, Progress, Result, new_id, utcnow
from uws_server.jobs.library import Installed, Library
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.files import JobFiles, safe_name
from uws_server.storage.jobstore import JobStore

LOG = logging.getLogger(__name__)
_ABORT_WAIT_S = 10.0
_ORPHAN_AGE_S = 3600.0
_HEAD = 1 << 16
"""Bytes at the beginning of a file that tell whether it is FITS: a gzip file may be made to inflate without end."""
_MOST_TEXT = 4_000_000


@dataclass(frozen=True)
class Upload:
    """A file that came with a request: where it was spooled, and the name it was given."""

    path: Path
    filename: str


@dataclass(frozen=True)
class Request:
    """What a client asks of a new job: parameter values and files by name, and the control parameters."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    run_id: str | None = None
    execution_duration: int | None = None
    destruction: datetime | None = None


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
        intake = _Intake(self, request.uploads)
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
        intake = _Intake(self, uploads, job)
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
        parameters.check_defaults(definition, _Intake(self, {}).types)

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


class _Intake:
    """Accepts the parameters of one request: types that need the archive, the uploads or the sky are here."""

    def __init__(self, services: Services, uploads: Mapping[str, Upload], before: Job | None = None) -> None:
        self._archive = services.archive
        self._uploads = {name.lower(): upload for name, upload in uploads.items()}
        self._before = before.parameters if before else {}
        # a changed file gets a place of its own: the job may be starting with the old one
        self._mark = f"{new_id()[:8]}-" if before else ""
        self._places: dict[str, str] = {}
        self.placed: dict[str, Path] = {}
        texts = {**parameters.TYPES, "region": _region}
        self.types: Mapping[str, parameters.Check] = {
            **{name: self._inline(check) for name, check in texts.items()},
            "file": self._file,
            "eventlist": self._event_list,
        }

    def accept(self, definition: Definition, values: Mapping[str, Sequence[str]]) -> dict[str, ParameterValue]:
        """Every value of the request (over those of the job as it was), accepted; or every problem."""
        given = {name: list(texts) for name, texts in values.items()}
        named = {_reference(text) for texts in given.values() for text in texts}
        for name in self._uploads.keys() - named:
            # a page has a text field and a file field of one name: the text is then empty
            key = next((key for key in given if key.lower() == name), name)
            given[key] = [text for text in given.get(key, []) if text.strip()] + [f"param:{name}"]
        return parameters.validate(definition, given, self.types, self._before)

    def _inline(self, check: parameters.Check) -> parameters.Check:
        """A check of a text, which may also have come as a file (UWS 1.1, section 2.2.3.1.1)."""

        def checked(text: str, spec: ParameterSpec) -> ParameterValue:
            upload = self._uploads.get(_reference(text) or "")
            return check(text if upload is None else _text_of(upload), spec)

        return checked

    def _event_list(self, text: str, spec: ParameterSpec) -> ParameterValue:
        value = self._file(text, spec)
        path = self.placed.get(str(value.value)) or Path(str(value.value))
        _must_be_fits(path, value.text)
        return value

    def _file(self, text: str, spec: ParameterSpec) -> ParameterValue:
        reference = _reference(text)
        if reference is None:
            found = self._archive.find(text)
            return ParameterValue(found.place, str(found.path), "archive")
        upload = self._uploads.get(reference)
        if upload is None:
            raise ValueError(f"{text[:80]!r} refers to a file that did not come with the request")
        if upload.path.stat().st_size == 0:
            raise ValueError(f"the uploaded file {upload.filename[:80]!r} is empty")
        name = safe_name(upload.filename)
        place = self._places.setdefault(reference, f"inputs/{spec.name}-{self._mark}{name}")
        self.placed[place] = upload.path
        return ParameterValue(name, place, "upload")


def _places(job: Job) -> set[str]:
    """Where the uploaded files of a job lie, below its folder."""
    return {str(value.value) for value in job.parameters.values() if value.kind == "upload"}


def _reference(text: str) -> str | None:
    """The name of the part that `param:<name>` refers to, in lower case; None for any other text."""
    return text[6:].strip().lower() if text[:6].lower() == "param:" else None


def _text_of(upload: Upload) -> str:
    """The content of a file that came for a parameter whose value is text."""
    name = upload.filename[:80]
    with upload.path.open("rb") as stream:
        content = stream.read(_MOST_TEXT + 1)
    if len(content) > _MOST_TEXT:
        raise ValueError(f"the file {name!r} came; a text of at most {_MOST_TEXT:,} bytes is expected")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {name!r} came; it is not UTF-8 text, which is expected") from error
    parameters.require_printable(text)
    return text


def _region(text: str, spec: ParameterSpec) -> ParameterValue:
    try:
        regions.parse(text, spec.name)
    except ReductionError as error:
        raise ValueError(str(error).removeprefix(f"{spec.name}: ")) from error
    return ParameterValue(text, text)


def _must_be_fits(path: Path, name: str) -> None:
    """Refuse at once what is certainly no FITS file; the rest of the checks need the job."""
    try:
        with path.open("rb") as stream:
            first = stream.read(_HEAD)
        if first[:2] == b"\x1f\x8b":
            first = zlib.decompressobj(wbits=31).decompress(first, 30)
    except OSError as error:
        raise ValueError(f"{name!r} cannot be read: {error.strerror}") from error
    except zlib.error as error:
        raise ValueError(f"{name!r} is a gzip file that cannot be read: {error}") from error
    if not first.startswith(b"SIMPLE  = "):
        raise ValueError(f"{name!r} is not a FITS file: it begins with {first[:10]!r}; a FITS event list is expected")


def problems_of(error: BadRequest) -> tuple[Problem, ...]:
    """The problems of a refused request, each with the parameter it belongs to ('' for the request itself)."""
    return error.problems if isinstance(error, InvalidParameters) else (Problem("", str(error)),)


def discard(uploads: Mapping[str, Upload]) -> None:
    """Remove uploads that no job took."""
    for upload in uploads.values():
        upload.path.unlink(missing_ok=True)
