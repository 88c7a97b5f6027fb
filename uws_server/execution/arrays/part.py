"""Runs one part of an array, or its last script, under a supervisor, as the task of a cluster does.

    python -m uws_server.execution.arrays.part JOB_FOLDER NUMBER|gathered

Imports the supervisor and its neighbours.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from uws_server.execution import supervisor
from uws_server.execution.arrays import gathering, plan


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
