"""What the processes of a job use: measured by its supervisor, read by the server. Imports the processes.

The supervisor needs nothing but the standard library, and so does this.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

from uws_server.execution.processes import children

USAGE_FILE = "usage.json"
"""What a job that runs has used so far, in its folder."""

STILL = "still"
"""The name by which that file says whether the supervisor has the job stand still."""

_FIRST_S, _LATER_S = 1.0, 5.0
"""Seconds from the start to the first look at the processes, and between two of the later ones."""
_REST = 20
"""How many times as long as a look takes it is waited for the next one, at least."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_PROCESSES = 10_000


class Used(NamedTuple):
    """Seconds of CPU of some processes and of their children that ended, the bytes that they hold in memory now, and
    how many they are.
    """

    cpu_s: float
    memory: int
    processes: int


class Sampler:
    """Looks at the tree of processes below this one from time to time, and writes down what it used.

    If they are many, beside `most`, the next look comes soon; 0 stands for any number.
    """

    def __init__(self, folder: Path, most: int = 0) -> None:
        self._folder, self._every_s, self._most = folder, _FIRST_S, most
        self._before_s = _of_ended()
        self.peak = self.now = self.processes = 0
        self._is_still = False
        self.next = time.monotonic() + _FIRST_S

    def note_still(self, is_still: bool) -> None:
        """Write down with the next look, which comes now, whether the processes are to stand still."""
        self._is_still, self.next = is_still, 0.0

    def look(self, now: float) -> bool:
        """Look if it is time for that, and return whether it was; what cannot be written is passed over."""
        if now < self.next:
            return False
        begun = time.monotonic()
        used = of_tree(os.getpid())
        grows = used.processes > self.processes and used.processes > self._most // 10
        self._every_s = _FIRST_S if self._most and grows else min(2 * self._every_s, _LATER_S)
        # the kernel walks through all pages: of 16 GB that may take a second, which is not to be spent all the time
        self.next = now + max(self._every_s, _REST * (time.monotonic() - begun))
        self.processes, self.now, self.peak = used.processes, used.memory, max(self.peak, used.memory)
        told = {"cpu_s": used.cpu_s + _of_ended() - self._before_s, "memory": used.memory, "peak": self.peak}
        told |= {STILL: self._is_still}
        new = self._folder / f"{USAGE_FILE}.new"
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
            with new.open("x", encoding="ascii") as stream:  # never through a link that a script put there
                json.dump(told, stream)
            new.replace(self._folder / USAGE_FILE)
        return True


def _of_ended() -> float:
    """Return the seconds of CPU of the children of this process that ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def of_tree(root: int) -> Used:
    """Return what all descendants of a process use; of a page that some processes share each counts its part."""
    cpu_ticks = memory = 0
    todo, seen = children(root), 0
    while todo and seen < _MOST_PROCESSES:
        pid = todo.pop()
        seen += 1
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            cpu_ticks += sum(map(int, words[11:15]))  # its own and that of its children that ended
            memory += _proportional(pid, int(words[21]) * _PAGE)
        todo += children(pid)
    return Used(cpu_ticks / _TICKS, memory, seen)


def _proportional(pid: int, resident: int) -> int:
    """Return the bytes of a process in memory, its part of what it shares; `resident`, all of it, if none is told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return resident


def holds_more(root: int, most: int) -> bool:
    """Check whether all descendants of a process hold more bytes, pages that several share counted once."""
    held, todo = 0, children(root)
    while todo and held <= most:
        pid = todo.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
            held += int(text.partition("\nPss:")[2].split()[0]) << 10
        todo += children(pid)
    return held > most
