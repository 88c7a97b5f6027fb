"""Runs one part of an array, or its last script, under a supervisor, as the task of a cluster does.

    python -m uws_server.execution.arrays.part JOB_FOLDER NUMBER|gathered

It notes the beginning and the end of a part for who looks on, as the driver does. Imports the supervisor and its
neighbours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from uws_server.execution import local, supervisor
from uws_server.execution.arrays import gathering, journal, plan, verdict
from uws_server.execution.arrays.driver import stage_of
from uws_server.execution.arrays.journal import BEGUN, Journal
from uws_server.execution.arrays.plan import Plan
from uws_server.jobs.phases import Phase


def main() -> None:
    """Run the part of a job that the command line names; what has run is not run again."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m uws_server.execution.arrays.part JOB_FOLDER NUMBER|gathered")
    folder, name = Path(sys.argv[1]).resolve(), sys.argv[2]
    planned = plan.read(folder)
    if name == plan.GATHERED_FOLDER:
        _supervise(gathering.prepare(folder, planned))
    elif not local.claimed(folder / plan.folder_of(int(name))):
        _run(folder, planned, int(name))
    os._exit(0)


def _run(folder: Path, planned: Plan, number: int) -> None:
    """Run a part that nothing has run, and note its beginning and its end."""
    place = folder / plan.folder_of(number)
    plan.prepare(place, planned.task(number))
    # until its supervisor can hear it, a request to end waits
    signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.SIGNALS)
    with Journal(folder) as noted:
        noted.note(number, BEGUN)
        _supervise(place)
        ended = verdict.of_part(place, planned.part, planned.statuses)
        if ended is not None:
            noted.note(number, ended.phase, ended.sentence)
    _report(folder, planned)


def _supervise(place: Path) -> None:
    os.chdir(place)
    supervisor.supervise(place)


def _report(folder: Path, planned: Plan) -> None:
    """Add to the log of the job how many parts have ended; the driver, which comes last, has the last word."""
    with contextlib.suppress(OSError):
        content = (folder / journal.JOURNAL_FILE).read_bytes()
        last = [entries[-1].phase for entries in journal.parse(content).values()]
        ended = [phase for phase in last if phase != BEGUN]
        failed = sum(phase != Phase.COMPLETED.value for phase in ended)
        with (folder / "job.log").open("ab", buffering=0) as log:
            log.write(f"{stage_of(len(ended), len(planned.inputs), failed)}\n".encode())


if __name__ == "__main__":
    main()
