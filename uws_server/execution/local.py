"""Starts, finds and ends the supervisors of jobs on this machine. Imports the supervisor and the files.

A supervisor is identified by pid, start time and boot id together, so that a reused pid is never taken for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from uws_server.execution import delegation, processes, supervisor
from uws_server.execution.verdicts import GivenUp
from uws_server.storage.files import read_json
from uws_server.storage.plainfiles import claim_beside, opened

_REASONS = ("exit", "abort", "timeout", "disk", "memory", "processes", "gone")
"""Why a script may have ended; 'gone' says that it removed the folder of its job."""
_LATEST = 253_402_300_800
"""The end of the year 9999, in seconds since 1970."""
_HIGHEST_CODE = 2**31
_MOST_USED = 1e15
"""Numbers that no script ends with, and that none uses of anything: no database need hold them."""
_TAIL = 2000


@dataclass(frozen=True)
class Status:
    """The end of a script: `code` is negative for a signal, `reason` is one of _REASONS.

    `memory` are the bytes that its processes were seen to hold at the most.
    """

    reason: str
    code: int
    start: float
    end: float
    cpu_s: float
    max_rss_kib: int
    memory: int = 0


class Handle:
    """A running supervisor; `fd`, which is opened where none is given, becomes readable when it ends."""

    def __init__(self, pid: int, process: subprocess.Popen[bytes] | None = None, fd: int = -1) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid) if fd < 0 else fd
        self._process = process

    def abort(self) -> None:
        """Ask the supervisor to end all processes of its job, also if its script has stopped it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGTERM)
        self.go_on()

    def go_on(self) -> None:
        """Continue the supervisor itself, which something has stopped."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGCONT)

    def kill(self) -> None:
        """End the supervisor at once; it leaves no status."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)

    def suspend(self) -> None:
        """Ask the supervisor to stop all processes of its job until `resume`."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGUSR1)

    def resume(self) -> None:
        """Ask the supervisor to continue the processes of its job."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGUSR2)

    def is_stopped(self) -> bool:
        """Check whether something has stopped the supervisor itself."""
        return processes.is_stopped(self.pid)

    def has_script(self) -> bool:
        """Check whether processes of the job are left."""
        return bool(processes.descendants(self.pid))

    def is_same(self, other: object) -> bool:
        """Check whether another handle stands for the same supervisor."""
        return isinstance(other, Handle) and other.pid == self.pid

    def started(self) -> datetime | None:
        """Return None: a job here begins when it is started."""
        return None

    def note_started(self) -> None:
        """Do nothing: a job here begins when it is started."""

    def verdict(self) -> GivenUp | None:
        """Return None: the status of a supervisor here says all."""
        return None

    def has_ended(self) -> bool:
        """Check whether the supervisor has ended."""
        return is_readable(self.fd)

    def close(self) -> None:
        """Release the resources of a supervisor that has ended."""
        os.close(self.fd)
        if self._process is not None:
            self._process.wait()


def is_readable(fd: int) -> bool:
    """Check whether a descriptor can be read, now."""
    looking = select.poll()  # unlike select, for descriptors of any number
    looking.register(fd, select.POLLIN)
    return bool(looking.poll(0))


_SUPERVISOR = (
    f"import sys; sys.path.append({str(Path(supervisor.__file__).parents[2])!r}); "
    "from uws_server.execution import supervisor; supervisor.main()"
)
"""The code that runs it. As a module it is loaded from the cache; a script would be compiled at each start."""


def command(folder: Path) -> list[str]:
    """Return the command of the supervisor of a job, whose folder is given."""
    return [sys.executable, "-I", "-S", "-c", _SUPERVISOR, str(folder)]


def start(folder: Path) -> Handle:
    """Start the supervisor of the job whose `launch.json` is in the folder. Raises OSError if that fails."""
    folder = folder.resolve()
    spare = os.open(os.devnull, os.O_RDONLY)  # so that a descriptor is left for the handle of what was started
    try:
        with (folder / "shepherd.err").open("ab") as errors, _term_blocked():
            process = subprocess.Popen(
                command(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=folder,
                start_new_session=True,
            )
    finally:
        os.close(spare)
    try:
        return Handle(process.pid, process)
    except OSError:  # no descriptor left: a supervisor that nobody watches must not run
        process.kill()
        process.wait()
        raise


@contextlib.contextmanager
def _term_blocked() -> Iterator[None]:
    """Block the signals of a supervisor while it starts, so that they wait until it can handle them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def find(folder: Path) -> Handle | None:
    """Return the running supervisor of a folder, such as one that an earlier server started; None if there is none.

    The claim is a file that a script can write: a process that is no supervisor of that folder is never taken for it.
    """
    return next(filter(None, (_claimant(claim, folder) for claim in _claims(folder))), None)


def _claims(folder: Path) -> list[dict[str, Any]]:
    """The claim of a supervisor as it stands in the folder, and beside it."""
    return [read_json(path) for path in _places_of_claim(folder)]


def _places_of_claim(folder: Path) -> tuple[Path, Path]:
    return folder / "shepherd.json", claim_beside(folder)


def _claimant(claim: dict[str, Any], folder: Path) -> Handle | None:
    """The process that a claim names, if it runs and is the supervisor of the folder."""
    try:
        pid, start_time, boot = int(claim["pid"]), claim["start"], claim["boot"]
        handle = Handle(pid)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    except OSError as error:
        if error.errno in processes.NO_PROCESS:
            return None
        raise  # such as no descriptor left: the supervisor may be running
    with contextlib.suppress(OSError):
        # compared after the descriptor was opened: from then on the pid cannot pass to another process unseen
        if boot == processes.boot_id() and processes.start_time(pid) == start_time and _is_supervisor(pid, folder):
            return handle
    handle.close()
    return None


def _is_supervisor(pid: int, folder: Path) -> bool:
    """Whether the command line of a process is that of the supervisor of a folder, whichever version started it."""
    words = processes.arguments(pid)
    return words[1:4] == ["-I", "-S", "-c"] and "supervisor.main()" in words[4] and Path(words[-1]).name == folder.name


def end_orphans(job_id: str) -> int:
    """Kill every process with a job's id in its environment or in its groups, after its supervisor was killed.

    Return the number of the former.
    """
    delegation.end(job_id)
    mark = f"UWS_JOB_ID={job_id}".encode()
    killed: set[int] = set()
    for _ in range(100):
        found = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and _carries(entry, mark)]
        if not found:
            break
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
        time.sleep(0.01)
    return len(killed)


def _carries(process: os.DirEntry[str], mark: bytes) -> bool:
    try:
        return mark in Path(process.path, "environ").read_bytes().split(b"\0")
    except OSError:  # it ended, or belongs to another user
        return False


def claimed(folder: Path) -> bool:
    """Return whether a supervisor has ever claimed the folder, which the script may have removed or emptied since."""
    return any(os.path.lexists(path) for path in _places_of_claim(folder))


def has_lost_claim(folder: Path) -> bool:
    """Return whether the claim of a supervisor has gone, with the folder or with what the server keeps in it."""
    return not os.path.lexists(folder / "shepherd.json")


def forget_claim(folder: Path) -> None:
    """Remove the claim that stands beside the folder of a job which has ended."""
    claim_beside(folder).unlink(missing_ok=True)


def is_elsewhere(folder: Path) -> bool:
    """Return whether the supervisor is on another machine, where it may be running, and has left no status."""
    claim = next(filter(None, _claims(folder)), {})
    another = claim.get("host", os.uname().nodename) != os.uname().nodename and claim.get("boot") != processes.boot_id()
    return another and status(folder) is None


def status(folder: Path) -> Status | None:
    """Return how the script ended; None while it runs, or if its supervisor was killed.

    A script can write that file, too: one that no supervisor writes counts for nothing.
    """
    try:
        found = Status(**read_json(folder / "status.json"))
    except TypeError:
        return None
    return found if _is_sound(found) else None


def _is_sound(found: Status) -> bool:
    times = (found.start, found.end)
    are_times = all(isinstance(time, int | float) and 0 <= time < _LATEST for time in times)
    sizes = (found.max_rss_kib, found.memory)
    are_sizes = all(type(number) is int and 0 <= number < _MOST_USED for number in sizes)
    is_code = type(found.code) is int and abs(found.code) <= _HIGHEST_CODE
    is_time = isinstance(found.cpu_s, int | float) and 0 <= found.cpu_s < _MOST_USED
    return found.reason in _REASONS and are_times and are_sizes and is_code and is_time


def error_output(folder: Path) -> str:
    """Return the end of the error output of a supervisor, for the log of the server; empty if there is none."""
    try:
        with opened(folder / "shepherd.err") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            return stream.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
