"""The job as a value, with its parameters, results and error; how ids are made. Imports parts and phases only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from uws_server.jobs.part import PartCounts
from uws_server.jobs.phases import Phase

ParameterKind = Literal["value", "upload", "archive", "url"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The origin of times counted in microseconds."""


@dataclass(frozen=True)
class ParameterValue:
    """A parameter of a job as it was accepted.

    `text` is what the user sees (for a file: the name it was given or its path in the archive); `value` is what the
    script gets (for a file: its path, below the job's folder for an upload or for what the server fetches, absolute for
    the archive). A parameter that may have several values has them in `parts`, even if it is one only.
    """

    text: str
    value: str | int | float | bool | None
    kind: ParameterKind = "value"
    parts: tuple[ParameterValue, ...] = ()

    @staticmethod
    def several(parts: Sequence[ParameterValue]) -> ParameterValue:
        """Return the value of a parameter that may have several; their texts stand below each other in `text`."""
        return ParameterValue("\n".join(part.text for part in parts), None, parts[0].kind, tuple(parts))

    @property
    def each(self) -> tuple[ParameterValue, ...]:
        """Return its values, one by one."""
        return self.parts or (self,)

    @property
    def is_file(self) -> bool:
        """Return whether the script gets a file, or files."""
        return self.kind != "value"


MAIN = "result"
"""The name by which the main result of a job can be asked for; scripts of one product call it so."""

LOG = "log"
"""The name of the result that every job has: the output of its script."""


@dataclass(frozen=True)
class Result:
    """A file that a job made; `id` is its own 128-bit random name, so that a link to it needs no cookie."""

    id: str
    name: str
    file: str
    mime: str
    size: int
    sha256: str
    description: str = ""

    @property
    def file_name(self) -> str:
        """Return the name of the file; `file` is its path below the job's folder."""
        return self.file.rpartition("/")[2]

    @property
    def place(self) -> str:
        """Return the path of the file among the results, such as pn/spectrum.fits: what people call it.

        That of a part of the job is parts/0003/spectrum.fits.
        """
        if self.file.startswith("results/"):
            return self.file.removeprefix("results/")
        return self.file.replace("/results/", "/", 1)


@dataclass(frozen=True)
class Usage:
    """What the processes of a job have used: seconds of CPU, and bytes of memory at the most.

    `memory_now` are the bytes that they held when they were looked at last; 0 for a job that has ended.
    """

    cpu_s: float
    memory: int
    memory_now: int = 0


class Position(NamedTuple):
    """Where a job stands that waits for a place: which of how many, among those for short places if it is `short`.

    `start` is when it will start about; None where that cannot be told. `obstacle` says why the server that is asked
    can never start it.
    """

    place: int
    total: int
    short: bool
    start: datetime | None
    obstacle: str = ""


@dataclass(frozen=True)
class Progress:
    """The last stage that a script reported: `number` of `total` (0 of 0 where it did not count).

    `usage` is what its processes used so far; None where nobody has looked yet. `position` is that of one that waits.
    `reached` is when the stage was reported, `end` when the job will probably end; None where nobody knows.
    """

    stage: str = ""
    number: int = 0
    total: int = 0
    usage: Usage | None = None
    position: Position | None = None
    reached: datetime | None = field(default=None, compare=False)
    end: datetime | None = None


@dataclass(frozen=True)
class JobError:
    """The reason why a job ended in ERROR; `fatal` means that running it again unchanged would fail again."""

    message: str
    fatal: bool = True


@dataclass(frozen=True)
class Needs:
    """What a job takes while it runs: cores, bytes of memory (0: not counted), and whether a short place will do.

    One that has parts takes that for each part that runs; `parts` is how many could run at a time, 0 for any other.
    """

    cores: int = 1
    memory: int = 0
    short: bool = False
    parts: int = 0


@dataclass(frozen=True)
class Job:
    """A UWS job. Times are aware UTC; durations in seconds, 0 for unlimited.

    `revision` is the digest of the definition's files that it runs with, '' for the one that is live when it is run;
    `trial` says that it tries a draft; `parent` is the job that it runs again, `after` the one whose end it waits for.
    `warning` is what the exit status of its script stands for, where that is no failure; `usage` what it used until its
    end; `input_size` are the bytes of its input files, `expected_s` the seconds that it is expected to run (None where
    nobody knows), `resume_asked` since when a SUSPENDED job waits for a place to go on; `parts` counts those of a job
    that was spread over a parameter; `target` is what was observed, '' where nobody knows.
    """

    id: str
    definition: str
    version: str
    phase: Phase
    created: datetime
    execution_duration: int
    destruction: datetime | None = None
    owner: str | None = None
    run_id: str | None = None
    quote: datetime | None = None
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    error: JobError | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    share: str | None = None
    size: int = 0
    revision: str = ""
    trial: bool = False
    parent: str | None = None
    after: str | None = None
    warning: str = ""
    usage: Usage | None = None
    needs: Needs = Needs()
    input_size: int = 0
    expected_s: int | None = None
    resume_asked: datetime | None = None
    parts: PartCounts | None = None
    target: str = ""

    @property
    def upload_places(self) -> set[str]:
        """The places of the uploaded files, below the job's folder."""
        parts = (part for value in self.parameters.values() for part in value.each)
        return {str(part.value) for part in parts if part.kind == "upload"}

    def result(self, name: str) -> Result | None:
        """Return the result of that name, or whose file has that name; None if there is none."""
        by_file = (result for result in self.results if result.file_name == name)
        return next((result for result in self.results if result.name == name), None) or next(by_file, None)

    def elapsed(self, now: datetime) -> float | None:
        """Return the seconds since the job started (until it ended), or None before it starts."""
        return elapsed(self.started, self.ended, now)


class JobSummary(NamedTuple):
    """The columns of a job list: a named tuple made of a database row as it is, because a list makes thousands.

    Times are microseconds since 1970 (UTC), and become aware datetimes where one is asked for.
    """

    id: str
    definition: str
    phase: Phase
    created_us: int
    owner: str | None = None
    run_id: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    destruction_us: int | None = None
    target: str = ""

    @property
    def created(self) -> datetime:
        """Return when the job was created."""
        return moment_of(self.created_us)

    @property
    def started(self) -> datetime | None:
        """Return when it began to run, or None."""
        return None if self.started_us is None else moment_of(self.started_us)

    @property
    def ended(self) -> datetime | None:
        """Return when it ended, or None."""
        return None if self.ended_us is None else moment_of(self.ended_us)

    @property
    def destruction(self) -> datetime | None:
        """Return when it will be destroyed, or None."""
        return None if self.destruction_us is None else moment_of(self.destruction_us)

    def elapsed(self, now: datetime) -> float | None:
        """Return the seconds since the job started (until it ended), or None before it starts."""
        return elapsed(self.started, self.ended, now)


JobReference = tuple[str, str, str, int, str, str | None]
"""What a list of UWS says of a job, as the database has it, because a list may have thousands: id, definition, phase,
microseconds since 1970 (UTC) of its creation, owner ('' for nobody), run id."""


class Place(NamedTuple):
    """The place of a job in a list: microseconds since 1970 (UTC) of its creation, and its id."""

    created_us: int
    job_id: str


@dataclass(frozen=True)
class Filter:
    """The jobs that a list shows: UWS 1.1, section 2.2.2.1. Empty `phases` means all but ARCHIVED.

    `owners` are those whose jobs are shown, None among them for jobs of nobody; None instead for all. The rest is for
    people: `until` is the time before which a job was created; its id, run id or target begins with `text`, its run id
    with `run_id`, its target with `target` (case and blanks do not count). `last` of them come, newest first or oldest
    first, from the one that follows `start` in that order.
    """

    definition: str | None = None
    phases: tuple[Phase, ...] = ()
    after: datetime | None = None
    last: int | None = None
    owners: tuple[str | None, ...] | None = None
    until: datetime | None = None
    text: str = ""
    run_id: str = ""
    target: str = ""
    oldest_first: bool = False
    start: Place | None = None

    @property
    def is_search(self) -> bool:
        """Return whether jobs are looked for by how something of them begins."""
        return bool(self.text or self.run_id or self.target)


def moment_of(microseconds: int) -> datetime:
    """Return the time that is so many microseconds after the beginning of 1970, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def elapsed(started: datetime | None, ended: datetime | None, now: datetime) -> float | None:
    """Return the seconds from the start to the end, or to now; None before the start."""
    return None if started is None else max(0.0, ((ended or now) - started).total_seconds())


def new_id() -> str:
    """Return a new 128-bit random id, as 32 hexadecimal digits, which cannot be guessed."""
    return secrets.token_hex(16)


def utcnow() -> datetime:
    """Return the time now, aware, in UTC."""
    return datetime.now(UTC)
