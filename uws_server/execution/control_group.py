"""The control group (cgroup v2) of a script: the kernel keeps all its processes together to what they may take.

Imports nothing of ours, as a supervisor starts with it. Unlike a look at the processes from time to time it misses no
peak, and what a script starts is in the group, whatever session or parent it takes. A script that is not shut in has
the rights of the server, though, to move itself out. `delegation` tells where the server may make groups; elsewhere the
group of a script does nothing, and the limits of each process and the looks of the supervisor are what there is.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PREFIX = "job-"
PERIOD_US = 100_000
"""Microseconds in which a group may use each of its cores once."""
THREADS = 8
"""Threads for each process that a job may have: the kernel counts both alike, and stops what forks without end."""

_REMOVE_S, _PAUSE_S = 1.0, 0.01


class ControlGroup:
    """The group of a script, by its `launch.json`: `groups` is the folder of groups, empty where there is none."""

    def __init__(self, folder: Path, launch: Mapping[str, Any]) -> None:
        self.path: Path | None = None
        base = str(launch.get("groups", ""))
        cores = int(launch.get("cpus", 0))
        self._limits = {
            "memory.max": str(int(launch.get("max_together", 0)) or "max"),
            "memory.swap.max": "0",
            "memory.oom.group": "1",  # half a script is of no use
            "pids.max": str(THREADS * int(launch.get("max_processes", 0)) or "max"),
            "cpu.max": f"{cores * PERIOD_US if cores else 'max'} {PERIOD_US}",
        }
        job = str(launch.get("environment", {}).get("UWS_JOB_ID", ""))
        if not (base and job) or not _is_below(Path(base)):  # such as a supervisor that a cluster put elsewhere
            return
        path = Path(base, f"{PREFIX}{job}" if folder.name == job else f"{PREFIX}{job}.{folder.name}")
        with contextlib.suppress(OSError):
            path.mkdir(exist_ok=True)
            self.path = path
            self.keep()

    def join(self) -> None:
        """Put this process, the child that becomes the script, and what it will start into the group."""
        self._write("cgroup.procs", "0")

    def keep(self) -> None:
        """Set the limits, which are not in force any more after the server was started anew."""
        for name, most in self._limits.items():
            self._write(name, most)

    def ran_out(self) -> bool:
        """Return whether the kernel ended the script because its processes held more memory than they may together."""
        events = dict(line.split() for line in self._read("memory.events").splitlines())
        return any(events.get(name, "0") != "0" for name in ("oom_kill", "oom_group_kill"))

    def kill(self) -> None:
        """End all processes of the group at once."""
        self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove the group, which has no process any more."""
        if self.path is not None:
            remove(self.path)

    def _read(self, name: str) -> str:
        with contextlib.suppress(OSError):
            if self.path is not None:
                return (self.path / name).read_text(encoding="ascii")
        return ""

    def _write(self, name: str, value: str) -> None:
        with contextlib.suppress(OSError):  # such as a controller that was not given to the server
            if self.path is not None:
                (self.path / name).write_text(value, encoding="ascii")


def own_group() -> str:
    """Return the group of this process below the mount of cgroup v2, such as /system.slice/uws-server.service."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("0::"):
                return line[3:]
    return ""


def _is_below(base: Path) -> bool:
    """Return whether this process is in a group below a folder of groups: only then may it move others there."""
    own = own_group().strip("/")
    return own != "" and any(f"{parent}/{own}".startswith(f"{base}/") for parent in (base, *base.parents))


def remove(group: Path) -> None:
    """Remove a group; the kernel may take a moment to see that its last process has gone."""
    until = time.monotonic() + _REMOVE_S
    while os.path.lexists(group):
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > until:
                return
            time.sleep(_PAUSE_S)
