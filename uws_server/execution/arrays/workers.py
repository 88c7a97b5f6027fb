"""The workers of a driver: forks of it, each of which runs one part after another. Imports the supervisor and the plan.

A worker is the supervisor of the part that it runs: a fork for each part would take half of the time of a short one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from uws_server.execution import supervisor
from uws_server.execution.arrays import plan
from uws_server.execution.arrays.plan import Plan

Start = Callable[[supervisor.Supervisor], supervisor.Script]
GATHERED = 0
"""The number that stands for the last script, whose folder was prepared."""
_MOST = 32


class Worker:
    """A worker as its driver sees it; `number` is the part that it runs, None for one that waits."""

    def __init__(self, folder: Path, planned: Plan, start: Start) -> None:
        """Fork it. It dies with this process. Raises OSError where that is impossible."""
        driver = os.getpid()
        self.number: int | None = None
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.SIGNALS)
        try:
            with theirs:
                self.pid = os.fork()
                if self.pid == 0:
                    _run_and_exit(driver, theirs.detach(), lambda parts: _serve(parts, folder, planned, start))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when its part has ended, or it has."""
        return self._ours.fileno()

    def begin(self, number: int) -> None:
        """Have it run a part. One that has ended meanwhile is found out by `has_ended`."""
        self.number = number
        try:
            self._ours.send(b"%d" % number)
        except OSError:
            return

    def has_ended(self) -> bool:
        """Take the end of its part. Return whether the worker itself has ended."""
        try:
            return not self._ours.recv(_MOST)
        except OSError:
            return True

    def close(self) -> None:
        """Let it end, if it waits."""
        self._ours.close()


def _run_and_exit(driver: int, descriptor: int, serve: Callable[[socket.socket], None]) -> None:
    """Be a worker, and end the process whatever happens."""
    try:
        ctypes.CDLL(None).prctl(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == driver:  # else it died before the line above
            signal.set_wakeup_fd(-1)
            os.closerange(3, descriptor)
            os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
            serve(socket.socket(fileno=descriptor))
            os._exit(0)
    except BaseException:  # noqa: BLE001 - told in the folder where it works, and never in the loop of the driver
        with Path("shepherd.err").open("ab") as errors:
            os.dup2(errors.fileno(), 2)
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _serve(parts: socket.socket, folder: Path, planned: Plan, start: Start) -> None:
    """Run the parts whose numbers come, and answer when each has ended."""
    while number := parts.recv(_MOST):
        if int(number) == GATHERED:
            place = folder / plan.GATHERED_FOLDER
        else:
            place = folder / plan.folder_of(int(number))
            plan.prepare(place, planned.task(int(number)))
        os.chdir(place)
        supervisor.supervise(place, start)
        parts.send(number)
