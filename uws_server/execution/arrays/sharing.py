"""How an array hears how many of its parts may run, and says how many places it holds: two files of a line each.

`width` has that number and the number of the message; it is replaced by who schedules. `held` has how many parts the
driver may begin or runs before it writes the file anew, how many could run, and the message that it has read. So a
place is free as soon as an answer to the last message says so, whoever was killed meanwhile. Imports the plan.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from uws_server.execution.arrays.plan import HELD_FILE, WIDTH_FILE
from uws_server.jobs.part import Held

_MOST_BYTES = 100
_MOST_PLACES = 1_000_000
"""More than any array has parts; what is more no database need hold."""


def tell(folder: Path, width: int) -> None:
    """Tell an array how many of its parts may run at a time. Raise OSError where the disk has no room for that."""
    before, message = told(folder)
    if width != before:
        _write(folder / WIDTH_FILE, width, message + 1)


def told(folder: Path) -> tuple[int | None, int]:
    """Return how many parts of an array may run at a time, and the number of the message; None, 0 if nothing says."""
    found = _read(folder / WIDTH_FILE, 2)
    return (max(0, found[0]), found[1]) if found else (None, 0)


def say(folder: Path, held: Held, message: int) -> None:
    """Say how many places an array holds, and could use, having read a message."""
    with contextlib.suppress(OSError):  # a full disk: it is taken to hold what it did before
        _write(folder / HELD_FILE, *held, message)


def answer(folder: Path) -> Held | None:
    """Return what an array said, having read the last message; None if it did not say anything since, or nonsense.

    Its scripts may be able to write the file.
    """
    found = _read(folder / HELD_FILE, 3)
    if found is None or found[2] != told(folder)[1] or min(found) < 0 or max(found[:2]) > _MOST_PLACES:
        return None
    return Held(found[0], found[1])


def _write(path: Path, *numbers: int) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(" ".join(map(str, numbers)) + "\n", encoding="ascii")
    beside.replace(path)


def _read(path: Path, count: int) -> list[int] | None:
    """The numbers in a file; None where there are not so many."""
    try:
        with path.open("rb") as stream:
            found = [int(word) for word in stream.read(_MOST_BYTES).split()]
    except (OSError, ValueError):
        return None
    return found if len(found) == count else None
