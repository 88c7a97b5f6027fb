"""The processes of this machine, as /proc has them. Imports nothing of ours: a supervisor does with little else."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import NamedTuple


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; with pid and boot id it identifies the process."""
    return _stat(pid)[19]


def _stat(pid: int | str) -> list[str]:
    """The words of /proc/PID/stat after the name of the command: state, parent, ..."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return text.rpartition(")")[2].split()


NO_PROCESS = frozenset({errno.ESRCH, errno.EINVAL, errno.ENOENT})
"""What the system says where a descriptor of a process is asked for: there is none, or the number is none of a process.

A thread has such a number, which was that of a process before: newer kernels say ENOENT there, older ones EINVAL.
"""


def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped, by a signal or a debugger, and does not run until it is continued."""
    try:
        return _stat(pid)[0] in "Tt"
    except (OSError, IndexError):
        return False


def arguments(pid: int) -> list[str]:
    """Return the command line of a process; empty for a zombie. Raise OSError where there is no such process.

    Empty words at its end are left out: a process that sets its own has room to spare.
    """
    content = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
    return [os.fsdecode(part) for part in content.split(b"\0")] if content else []


class Process(NamedTuple):
    """A process as /proc has it; `state` is R, S, D, T (stopped), Z (zombie), ..."""

    pid: int
    group: int
    state: str


def descendants(root: int) -> list[Process]:
    """Return all descendants of `root`, zombies included."""
    children: dict[int, list[Process]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, parent, group = _stat(entry.name)[:3]
            children.setdefault(int(parent), []).append(Process(int(entry.name), int(group), state))
    found: list[Process] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += [process.pid for process in below]
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process; none where it has gone, or the kernel does not tell."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def kill_tree(sign: int, but: int = 0) -> None:
    """Send a signal to all descendants of this process, except those in the group `but`.

    A group gets it at once: processes that fork and end in turn would always be ahead of a signal to each.
    """
    for group in {process.group for process in descendants(os.getpid())} - {os.getpgrp(), but}:
        with contextlib.suppress(OSError):
            os.killpg(group, sign)
