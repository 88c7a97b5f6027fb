"""The log of a job as lines for a page: its end, and the pieces that follow. Imports the job service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from uws_server.jobs.job import Job
from uws_server.jobs.words import CONTROL, without_colours
from uws_server.services.job_service import JobService

LineKind = Literal["", "stage", "warning", "error"]

TAIL_BYTES = 200_000
PIECE_BYTES = 100_000
_READ = 1 << 20
_KIND = re.compile(r"\[(STAGE|WARNING|ERROR)\b|(WARNING|ERROR):|\*\* \w+: (warning|error) \(", re.ASCII)
"""The marks of errors and warnings as the scripts of jobs, FTOOLS, Python's logging and the tasks of XMM-SAS write
them.
"""


@dataclass(frozen=True)
class Line:
    """A line of the log and its kind by its first word."""

    kind: LineKind
    text: str


@dataclass(frozen=True)
class Tail:
    """The end of a log: its lines, where it stops (in bytes), and how many bytes before it are not visible."""

    lines: list[Line]
    offset: int
    skipped: int


def tail(job_service: JobService, job: Job, whole: bool) -> Tail:
    """Return the last TAIL_BYTES of the log; `whole` is whether its last line is taken although nothing ends it."""
    held, offset = b"", 0
    while piece := job_service.log(job, "job.log", offset, _READ):
        offset += len(piece)
        held = (held + piece)[-TAIL_BYTES:]
    cut = held.rfind(b"\n") + 1
    if not whole:
        offset -= len(held) - cut
        held = held[:cut]
    skipped = offset - len(held)
    if skipped:
        begin = held.find(b"\n") + 1
        held, skipped = held[begin:], skipped + begin
    return Tail(as_lines(held), offset, skipped)


def piece(job_service: JobService, job: Job, offset: int, whole: bool) -> tuple[list[Line], int]:
    """Return the lines after `offset`, and the new offset; half a line waits until it is whole."""
    data = job_service.log(job, "job.log", offset, PIECE_BYTES)
    if not whole or len(data) == PIECE_BYTES:
        cut = data.rfind(b"\n") + 1
        data = data[:cut] if cut or len(data) < PIECE_BYTES else data
    return as_lines(data), offset + len(data)


def last_stage(log: Tail) -> str:
    """Return the last stage that the end of a log reports, '' for none."""
    stages = (line.text.partition("]")[2].strip() for line in reversed(log.lines) if line.kind == "stage")
    return next(stages, "")


def as_lines(data: bytes) -> list[Line]:
    """Return lines for a page, without what a terminal would have hidden (colours, overwritten progress)."""
    lines = []
    for text in data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []:
        visible = without_colours(text.rstrip("\r")).rpartition("\r")[2]
        visible = CONTROL.sub("\N{REPLACEMENT CHARACTER}", visible)
        lines.append(Line(kind_of(visible), visible))
    return lines


def kind_of(text: str) -> LineKind:
    """Return the kind of a line by its beginning."""
    found = _KIND.match(text)
    kinds: dict[str, LineKind] = {"STAGE": "stage", "WARNING": "warning", "ERROR": "error"}
    return kinds[(found[1] or found[2] or found[3]).upper()] if found else ""
