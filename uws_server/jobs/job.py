"""The job as a value, with its parameters, results and error; how ids are made. Imports the phases only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from uws_server.jobs.phases import Phase

ParameterKind = Literal["value", "upload", "archive", "url"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""From when the microseconds of times are counted."""


@dataclass(frozen=True)
class ParameterValue:
    """One parameter of a job as it was accepted.

    `text` is what the user sees (for a file: the name it was given or its place in the archive); `value` is
    what the script gets (for a file: its path, below the job's folder for an upload or for what the server fetches,
    absolute for the archive). A parameter that may have several values has them in `parts`, even if it is one only.
    """

    text: str
    value: str | int | float | bool | None
    kind: ParameterKind = "value"
    parts: tuple[ParameterValue, ...] = ()

    @staticmethod
    def several(parts: Sequence[ParameterValue]) -> ParameterValue:
        """The values of a parameter that may have several; their texts stand below each other in `text`."""
        return ParameterValue("\n".join(part.text for part in parts), None, parts[0].kind, tuple(parts))

    @property
    def each(self) -> tuple[ParameterValue, ...]:
        """Its values, one by one."""
        return self.parts or (self,)

    @property
    def is_file(self) -> bool:
        """Whether the script gets a file, or files."""
        return self.kind != "value"


LOG = "log"
"""The name of the result that every job has: what its script printed."""


@dataclass(frozen=True)
class Result:
    """One file that a job made; `id` is its own 128-bit random name, so that a link to it needs no cookie."""

    id: str
    name: str
    file: str
    mime: str
    size: int
    sha256: str
    description: str = ""

    @property
    def file_name(self) -> str:
        """The name of the file; `file` is its place below the job's folder."""
        return self.file.rpartition("/")[2]


@dataclass(frozen=True)
class Progress:
    """The last stage a script named: `number` of `total` (0 of 0 where it did not count)."""

    stage: str = ""
    number: int = 0
    total: int = 0


@dataclass(frozen=True)
class JobError:
    """Why a job ended in ERROR; `fatal` means that running it again unchanged would fail again."""

    message: str
    fatal: bool = True


@dataclass(frozen=True)
class Job:
    """A UWS job. Times are aware UTC; durations in seconds, 0 for unlimited.

    `revision` is the digest of the definition's files that it runs with, '' for the one that is live when it is run;
    `trial` says that it tries a draft; `parent` is the job that it runs again, `after` the one whose end it waits for.
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

    def result(self, name: str) -> Result | None:
        """The result of that name, or whose file has that name; None if there is none."""
        by_file = (result for result in self.results if result.file_name == name)
        return next((result for result in self.results if result.name == name), None) or next(by_file, None)

    def elapsed(self, now: datetime) -> float | None:
        """Seconds since the job started (until it ended), or None before it starts."""
        return elapsed(self.started, self.ended, now)


class JobSummary(NamedTuple):
    """What a list shows of a job: a named tuple that is made of a row as it is, because a list makes thousands.

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

    @property
    def created(self) -> datetime:
        """When the job was made."""
        return moment_of(self.created_us)

    @property
    def started(self) -> datetime | None:
        """When it began to run."""
        return None if self.started_us is None else moment_of(self.started_us)

    @property
    def ended(self) -> datetime | None:
        """When it ended."""
        return None if self.ended_us is None else moment_of(self.ended_us)

    @property
    def destruction(self) -> datetime | None:
        """When it will be destroyed."""
        return None if self.destruction_us is None else moment_of(self.destruction_us)

    def elapsed(self, now: datetime) -> float | None:
        """Seconds since the job started (until it ended), or None before it starts."""
        return elapsed(self.started, self.ended, now)


@dataclass(frozen=True)
class Filter:
    """Which jobs a list shows: UWS 1.1, section 2.2.2.1. Empty `phases` means all but ARCHIVED.

    `owners` are those whose jobs are shown, None among them for jobs of nobody; None instead for all.
    """

    definition: str | None = None
    phases: tuple[Phase, ...] = ()
    after: datetime | None = None
    last: int | None = None
    owners: tuple[str | None, ...] | None = None


def moment_of(microseconds: int) -> datetime:
    """The time that is so many microseconds after 1970 began, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def elapsed(started: datetime | None, ended: datetime | None, now: datetime) -> float | None:
    """Seconds from the start to the end, or to now; None before the start."""
    return None if started is None else max(0.0, ((ended or now) - started).total_seconds())


def new_id() -> str:
    """A new 128-bit random id, as 32 hexadecimal digits: never guessed, never the same twice."""
    return secrets.token_hex(16)


def utcnow() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)
