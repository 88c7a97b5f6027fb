"""Has jobs on the cluster stand still or go on, whatever became of what they were told before. Imports its neighbours.

Slurm passes a signal on after it has answered: late, or after the next one, or not at all, and one that comes before a
supervisor has claimed its folder ends it. So what a job is to do is compared, with each list, with what its supervisors
wrote last and with how its tasks are listed; where that differs it is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uws_server.execution import local
from uws_server.execution.arrays import plan
from uws_server.execution.slurm.commands import SlurmCommands, SlurmJob
from uws_server.execution.slurm.job import ClusterJob
from uws_server.execution.usage import STILL, USAGE_FILE
from uws_server.storage.files import read_json

HELD = frozenset({"JobHeldUser", "JobHeldAdmin"})
"""The reasons for which a job waits that is held."""
_DEPENDENCY = "Dependency"
"""The reason for which a job waits until all tasks of its array have ended."""
_LATE_S = 60.0
"""Seconds after which a hold that was asked for is listed, even if Slurm gave no answer at first."""


def settle(job: ClusterJob, commands: SlurmCommands) -> None:
    """Have what Slurm lists of a job do what the job is to do. Raise Unreachable."""
    is_still = job.is_to_stand
    if is_still is None or job.is_to_end or job.is_over:
        return
    listed = [*job.tasks, *([job.listed] if job.listed is not None else [])]
    waiting = [each for each in listed if each.state == "PENDING"]
    if is_still:
        _hold(job, waiting, commands)
    elif job.record.held:
        _release(job, waiting, commands)
    for each in listed:
        if each.state == "RUNNING" and _is_to_be_told(job, each, is_still):
            commands.signal(each.id, "USR1" if is_still else "USR2")
            job.told[each.id] = is_still


def _hold(job: ClusterJob, waiting: Sequence[SlurmJob], commands: SlurmCommands) -> None:
    """Keep what waits from being started; what waits for tasks that stand still does so by itself.

    Slurm would forget who has held it: whoever is no operator could not release it again.
    """
    for array in dict.fromkeys(each.array for each in waiting if each.reason not in {*HELD, _DEPENDENCY}):
        job.change_record(held=True)
        job.held_at = job.listed_at or 0.0
        commands.hold(array)


def _release(job: ClusterJob, waiting: Sequence[SlurmJob], commands: SlurmCommands) -> None:
    """Let what was held be started, until nothing is."""
    held = dict.fromkeys(each.array for each in waiting if each.reason in HELD)
    for array in held:
        commands.release(array)
    if not held and job.is_known_since(job.held_at + _LATE_S):
        job.change_record(held=False)


def _is_to_be_told(job: ClusterJob, listed: SlurmJob, is_still: bool) -> bool:
    """Whether a supervisor is to be told to stand still, or to go on; one that does not listen yet is told later."""
    place = job.folder / plan.folder_of(listed.task) if listed.task else job.folder
    if not local.claimed(place) or local.status(place) is not None:
        return False
    says, told = _says(place), job.told.get(listed.id)
    if says is None:  # it runs since a moment ago, or an earlier version started it
        return told is not is_still
    return says is not is_still or told is (not is_still)


def _says(place: Path) -> bool | None:
    """Whether a supervisor stands still, as it wrote last; None where it has written nothing of that."""
    found = read_json(place / USAGE_FILE).get(STILL)
    return found if isinstance(found, bool) else None
