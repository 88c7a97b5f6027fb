"""The parts of a job that runs, as who looks on sees them: read from its journal. Imports the plan and the progress."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from uws_server.execution.arrays import journal, plan
from uws_server.execution.progress import latest
from uws_server.jobs.job import Progress
from uws_server.jobs.part import Part
from uws_server.jobs.phases import Phase
from uws_server.storage.plainfiles import opened

_MOST = 1 << 24
_TAIL = 1 << 14
"""Bytes at the end of the log of a part that are searched for its stage."""


def of_running(folder: Path) -> list[Part]:
    """Return the parts of a job that has not ended, as they are now; none where it has not begun."""
    try:
        planned = plan.read(folder)
    except (OSError, ValueError):
        return []
    entries: dict[int, tuple[journal.Entry, ...]] = {}
    with contextlib.suppress(OSError), opened(folder / journal.JOURNAL_FILE) as stream:
        entries = journal.parse(stream.read(_MOST))
    return [_part(number, given.text, entries.get(number, ())) for number, given in enumerate(planned.inputs, start=1)]


def _part(number: int, text: str, entries: tuple[journal.Entry, ...]) -> Part:
    if not entries:
        return Part(number, text, Phase.QUEUED)
    first, last = entries[0], entries[-1]
    try:
        phase = Phase(last.phase)
        moments = [datetime.fromtimestamp(entry.at, UTC) for entry in (first, last)]
    except (ValueError, OverflowError, OSError):
        return Part(number, text, Phase.UNKNOWN)
    ended = None if phase is Phase.EXECUTING else moments[1]
    return Part(number, text, phase, moments[0], ended, last.sentence)


def last_stage(place: Path) -> str:
    """Return the last stage that the script of a part announced; '' for none."""
    with contextlib.suppress(OSError), opened(place / "job.log") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
        return latest(stream.read(_TAIL), Progress()).stage
    return ""
