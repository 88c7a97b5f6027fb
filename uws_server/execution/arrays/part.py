"""Runs one part of an array, or its last script, under a supervisor: in a fork of the driver, or as a cluster's task.

    python -m uws_server.execution.arrays.part JOB_FOLDER NUMBER|gathered

Imports the supervisor and its neighbours.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from uws_server.execution import supervisor
from uws_server.execution.arrays import gathering, plan

Start = Callable[[supervisor.Supervisor], supervisor.Script]


def fork(place: Path, start: Start) -> int:
    """Fork the supervisor of a part whose folder was prepared, and return its pid. It dies with this process."""
    driver = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _supervise(driver, place, start)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - told where its server looks, and never in the loop of the driver
        with (place / "shepherd.err").open("ab") as errors:
            os.dup2(errors.fileno(), 2)
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _supervise(driver: int, place: Path, start: Start) -> None:
    ctypes.CDLL(None).prctl(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        os._exit(1)  # it died before the line above
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(place)
    supervisor.supervise(place, start)


def main() -> None:
    """Run the part of a job that the command line names; what has run is not run again."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m uws_server.execution.arrays.part JOB_FOLDER NUMBER|gathered")
    folder, name = Path(sys.argv[1]).resolve(), sys.argv[2]
    planned = plan.read(folder)
    if name == plan.GATHERED_FOLDER:
        place = gathering.prepare(folder, planned)
    else:
        place = folder / plan.folder_of(int(name))
        plan.prepare(place, planned.task(int(name)))
    os.chdir(place)
    supervisor.supervise(place)
    os._exit(0)


if __name__ == "__main__":
    main()
