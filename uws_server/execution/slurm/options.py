"""How a job is submitted: the options of sbatch and the script that it is given. Imports the configuration, the jobs.

Nothing of a parameter of a job is in either: the supervisor on the node reads all from the folder of the job.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import uws_server
from uws_server.config import Slurm
from uws_server.errors import ConfigurationError
from uws_server.execution import local
from uws_server.jobs.definition import Control
from uws_server.jobs.job import Job

OURS = frozenset(
    {"array", "chdir", "comment", "dependency", "error", "export", "export-file", "get-user-env", "hold", "input"}
    | {"job-name", "no-requeue", "ntasks", "open-mode", "output", "parsable", "requeue", "test-only", "time", "uid"}
    | {"wait", "wrap", "clusters", "help", "usage", "version", "quiet", "verbose", "begin"}
)
"""The options of sbatch that a configuration cannot set: the server does, or could not follow its jobs with them."""

_MIB = 1 << 20
_SUPERVISOR_BYTES = 64 * _MIB
"""Memory of the supervisor and of its looks at the job, beside what the script may have."""
_OPTION = re.compile(r"--([a-z][a-z-]*)(=[^\0\n]*)?")


def require(options: Iterable[str]) -> None:
    """Raise ConfigurationError for further options of sbatch that are none, or that the server sets itself."""
    for option in options:
        found = _OPTION.fullmatch(option)
        if found is None:
            raise ConfigurationError(f"sbatch_options: {option!r} came; options such as --constraint=avx2 are expected")
        if found[1] in OURS:
            raise ConfigurationError(f"sbatch_options: --{found[1]} is set by the server; leave it out")


def of_job(job: Job, control: Control, settings: Slurm, folder: Path, width: int = 1) -> tuple[str, ...]:
    """Return the options for a job: those of the configuration, then those of its definition, which win.

    `width` is how many parts of it run side by side.
    """
    memory = control.memory * width + _SUPERVISOR_BYTES * (width if width == 1 else width + 1)
    asked = {
        "partition": control.partition or settings.partition,
        "account": settings.cluster_account,
        "qos": settings.qos,
        "time": minutes(job.execution_duration, settings.time_margin),
        "mem": f"{math.ceil(memory / _MIB)}M" if control.memory else "",
    }
    return (
        *settings.sbatch_options,
        *(f"--{name}={value}" for name, value in asked.items() if value),
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={control.cpus * width}",
        f"--job-name=uws-{job.definition}",
        f"--comment={job.id}",
        f"--chdir={folder}",
        "--output=shepherd.err",
        "--open-mode=append",
        "--no-requeue",
        "--export=ALL",
    )


def minutes(duration_s: int, margin_s: int) -> str:
    """Return Slurm's limit of time, in whole minutes: Slurm knows no shorter ones, and keeps those late.

    It is so much longer than that of the job that the supervisor ends the job first. Empty for a job without a limit.
    """
    return str(math.ceil((duration_s + margin_s) / 60)) if duration_s else ""


def of_tasks(options: tuple[str, ...], job_id: str, array: str) -> tuple[str, ...]:
    """Return the options for the job array that runs the parts of a job, each with what the job itself takes."""
    return (*options, f"--comment={mark_of_tasks(job_id)}", f"--array={array}")


def after_tasks(options: tuple[str, ...], array_id: int) -> tuple[str, ...]:
    """Return the options for a job that waits until all tasks of a job array have ended, however they did."""
    return (*options, f"--dependency=afterany:{array_id}")


def mark_of_tasks(job_id: str) -> str:
    """Return the comment by which the job array of a job is found."""
    return f"{job_id}.parts"


def script_of_tasks(folder: Path) -> str:
    """Return the script of each task, which becomes the supervisor of the part with its number."""
    command = [sys.executable, "-I", "-c", _PART, str(folder)]
    return f'#!/bin/sh\nexec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID"\n'


_PART = (
    f"import sys; sys.path.append({str(Path(uws_server.__file__).parents[1])!r}); "
    "from uws_server.execution.arrays import part; part.main()"
)


def script(folder: Path) -> str:
    """Return the script that becomes the supervisor of the job of a folder, so that signals for it reach it."""
    return f"#!/bin/sh\nexec {shlex.join(local.command(folder))}\n"
