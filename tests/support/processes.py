"""Looks for the processes of a job by what they carry in their environment: independent of who is whose child."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def carrying(variable: str, value: str) -> list[int]:
    """Pids of the living processes (zombies are not) whose environment holds `variable=value`."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in Path(entry.path, "environ").read_bytes().split(b"\0") and state(int(entry.name)) != "Z":
                    found.append(int(entry.name))
    return found


def state(pid: int) -> str:
    """The state of a process: R, S, D, T, Z; '' where there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith("State:")), "")


def descriptors() -> set[tuple[str, str]]:
    """The descriptors of this process with what each leads to; those of other tests may close at any time."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself, or one closed meanwhile
            found.add((entry.name, str(entry.readlink())))
    return found


def kill_all(pids: list[int]) -> None:
    """End processes at once."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], object], seconds: float = 300.0, what: str = "", every: float = 0.01) -> None:
    """Wait until a condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what or condition}"
        time.sleep(every)
