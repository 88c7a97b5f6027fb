"""The journal of an array, `parts.log`: which parts began and ended, a JSON object a line. Imports nothing of ours.

It is for who looks on while the job runs: a page reads one file instead of a thousand folders.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

JOURNAL_FILE = "parts.log"
BEGUN = "EXECUTING"
_LONGEST_LINE = 1 << 12


@dataclass(frozen=True)
class Entry:
    """What happened to a part: its number, its phase from then on, when (seconds since 1970), and why."""

    part: int
    phase: str
    at: float
    sentence: str = ""


class Journal:
    """Appends to the journal of the job with a folder; a full disk ends the journal, not the job."""

    def __init__(self, folder: Path) -> None:
        self._stream = os.open(folder / JOURNAL_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stream)

    def note(self, part: int, phase: str, sentence: str = "") -> None:
        """Append what happened to a part just now."""
        line = json.dumps(asdict(Entry(part, phase, time.time(), sentence))) + "\n"
        try:
            os.write(self._stream, line.encode())
        except OSError:
            return


def is_kept(folder: Path) -> bool:
    """Tell whether a job came as far as its parts: whether its driver began."""
    return (folder / JOURNAL_FILE).exists()


def begun(folder: Path) -> float | None:
    """Return when the first part of a job began, in seconds since 1970; None before that."""
    try:
        with (folder / JOURNAL_FILE).open("rb") as stream:
            entries = parse(stream.readline(_LONGEST_LINE))
    except OSError:
        return None
    return next((entry.at for each in entries.values() for entry in each), None)


def parse(content: bytes) -> dict[int, tuple[Entry, ...]]:
    """Return the entries of a journal, by the number of the part; a line that is none is passed over."""
    found: dict[int, tuple[Entry, ...]] = {}
    for line in content.splitlines():
        try:
            entry = Entry(**json.loads(line))
            sound = isinstance(entry.part, int) and isinstance(entry.at, int | float)
        except (ValueError, TypeError, RecursionError):
            continue
        if sound and isinstance(entry.phase, str) and isinstance(entry.sentence, str):
            found[entry.part] = (*found.get(entry.part, ()), entry)[-2:]
    return found
