"""How a part of an array ended: what its folder says. Imports the supervisors' handles and the reasons of scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from uws_server.execution import declared, local, reasons
from uws_server.execution.arrays.plan import TASKS_FILE, Task
from uws_server.jobs.phases import Phase

NOT_RUN = "the cluster did not run the part"
NOT_STARTED = "the supervisor of the part could not be started"
KILLED = "the supervisor of the part was killed"


class Verdict(NamedTuple):
    """The last phase of a part, and why it failed or what its exit status stands for; '' where there is nothing to say.

    `status` is what its supervisor left, None where that was killed.
    """

    phase: Phase
    sentence: str = ""
    status: local.Status | None = None


def of_part(place: Path, task: Task, statuses: Mapping[str, str]) -> Verdict | None:
    """Return how a part ended, whose supervisor has ended; None for one that never began.

    Its declared results are moved into its `results/` first.
    """
    status = local.status(place)
    if status is None:
        return Verdict(Phase.ERROR, KILLED) if local.claimed(place) else None
    return Verdict(*_of_status(place, task, statuses, status), status)


def of_unbegun(folder: Path) -> Verdict:
    """Return how a part ended that never began though its job, which has that folder, went on to its end."""
    if (folder / TASKS_FILE).exists():
        return Verdict(Phase.ABORTED, NOT_RUN)
    return Verdict(Phase.ERROR, NOT_STARTED)


def _of_status(place: Path, task: Task, statuses: Mapping[str, str], status: local.Status) -> tuple[Phase, str]:
    if status.reason == "abort":
        return Phase.ABORTED, ""
    if status.reason == "gone":
        return Phase.ERROR, "the script removed the folder of its part: nothing that it made is left"
    if status.reason != "exit":
        return Phase.ERROR, f"{status.reason}: the limit was reached"
    declared.move(task.results, place)
    if str(status.code) in statuses:
        return Phase.COMPLETED, statuses[str(status.code)]
    if status.code != 0:
        return Phase.ERROR, reasons.of_script(place, status.code)
    if missing := declared.missing(task.needed, place):
        return Phase.ERROR, f"the script ended well but left no {', '.join(missing)}"
    return Phase.COMPLETED, ""
