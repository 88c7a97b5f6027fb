"""Where the server may make control groups (cgroup v2) for jobs: below its own, if that was given to it.

systemd gives it by `Delegate=` in the unit: the group then belongs to the user of the server, or is marked as given
where that is root. The kernel allows limits only below a group that has no process itself, so that the server moves to
a group `server` in it, where the supervisors that it starts are, too. Imports the group of a job.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from pathlib import Path

from uws_server.execution import control_group

LOG = logging.getLogger(__name__)

LEAF = "server"
"""The group of the server and the supervisors, beside those of the jobs."""
_WANTED = ("cpu", "memory", "pids")
_MARKS = ("trusted.delegate", "user.delegate")
"""The attributes by which systemd marks a group as given."""
_END_S = 5.0


@functools.cache
def base() -> Path | None:
    """Return the folder in which the groups of jobs are made; None where there can be none. It is tried once."""
    try:
        found = _prepared()
    except OSError as error:
        LOG.info("jobs get no control groups: %s", error.strerror or error)
        return None
    if isinstance(found, str):
        LOG.info("jobs get no control groups: %s", found)
        return None
    LOG.info("the control groups of jobs are made in %s", found)
    return found


def _prepared() -> Path | str:
    """The folder of groups, ready for limits; in words why there is none."""
    mount = _mount()
    if mount is None:
        return "this machine has none of version 2"
    own = mount / control_group.own_group().strip("/")
    top = own.parent if own.name == LEAF else own
    available = _words(top / "cgroup.controllers")
    if "memory" not in available:
        return f"{top} has no controller of memory"
    if not _is_given(top):
        return f"{top} was not given to the server (Delegate= of systemd)"
    (top / LEAF).mkdir(exist_ok=True)
    _write(top / LEAF / "cgroup.procs", str(os.getpid()))
    try:
        _write(top / "cgroup.subtree_control", " ".join(f"+{name}" for name in _WANTED if name in available))
    except OSError as error:
        _write(own / "cgroup.procs", str(os.getpid()))
        return f"{top} has other processes: {error.strerror}"
    return top


def release() -> None:
    """Have no limits below the server's group any more, which is about to stop.

    systemd (252) starts a service in its group itself, where no process may be beside limits. Jobs that go on get their
    limits back from their supervisors, once a server has started.
    """
    if base.cache_info().currsize and (top := base()) is not None:
        with contextlib.suppress(OSError):
            _write(top / "cgroup.subtree_control", " ".join(f"-{name}" for name in _WANTED))
        base.cache_clear()


def end(job_id: str) -> None:
    """End what is left in the groups of a job whose supervisor was killed, and remove them."""
    top = base() if base.cache_info().currsize else None
    if top is None or not job_id:
        return
    until = time.monotonic() + _END_S
    for group in (*top.glob(f"{control_group.PREFIX}{job_id}"), *top.glob(f"{control_group.PREFIX}{job_id}.*")):
        with contextlib.suppress(OSError):
            _write(group / "cgroup.kill", "1")
        if time.monotonic() < until:
            control_group.remove(group)


def _is_given(top: Path) -> bool:
    """Whether the group belongs to the user of the server, or to root and systemd has marked it as given."""
    user = os.geteuid()
    if user:
        return top.stat().st_uid == user and os.access(top / "cgroup.subtree_control", os.W_OK)
    for mark in _MARKS:
        with contextlib.suppress(OSError):
            if os.getxattr(top, mark) == b"1":
                return True
    return False


def _mount() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) > 2 and words[2] == "cgroup2":
            return Path(words[1])
    return None


def _words(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii").split()
    return []


def _write(path: Path, value: str) -> None:
    path.write_text(value, encoding="ascii")
