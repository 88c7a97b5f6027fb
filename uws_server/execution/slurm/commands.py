"""Slurm's commands: sbatch, squeue, scancel and scontrol, each with a limit of time. Imports nothing of ours.

They get an environment of their own: sbatch would hand that of the server, with its passwords, to the cluster. What
cannot be known is never guessed: a command that failed for want of an answer raises Unreachable.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol")
"""The programs that a server needs to use a cluster."""

SUBMIT_S = 15
"""Seconds after which sbatch is ended: on a full queue it tries again without end."""
_ASK_S = 20
_KEPT = ("PATH", "HOME", "SLURM_CONF", "SLURM_JWT", "LD_LIBRARY_PATH")
"""The variables that the commands get of the environment of the server."""
_FIELDS = "JobID:20|,ArrayJobID:20|,ArrayTaskID:20|,State:30|,RestartCnt:9|,NodeList:200|,Comment:200|,Reason:300"
"""What is asked of each job, with the most characters of each and what stands behind it."""
_PASSING = re.compile(
    r"unable to contact|timed out|zero bytes|standby mode|temporarily un|connection|authentication|credential|"
    r"message (?:receive|send)|unexpected m|communication|try(?:ing)? again|nonresponsive",
    re.IGNORECASE,
)
"""What Slurm says where it gave no answer, or none that lasts."""
_LIMITED = "accounting/QOS policy"
_PREFIXES = re.compile(r"^(?:\w+: )?(?:error: )?(?:Batch job submission failed: )?")


class Unreachable(Exception):
    """Slurm gave no answer: what was asked of it may have been done, or not.

    `is_undone` says that it has not been: nothing reached Slurm.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.is_undone = "connect failure" in why


class Refused(Exception):
    """Slurm does not take a job, for the reason that is the message.

    `may_pass` says that the limits of an account or QOS are the reason, which a job that ends may make room in;
    `is_of_array` that the cluster takes no job array of so many tasks.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.may_pass = _LIMITED in why
        self.is_of_array = "job array" in why


@dataclass(frozen=True)
class SlurmJob:
    """A job as Slurm lists it: `reason` is why it waits or has ended, `node` where it runs or ran.

    `restarts` is how often it was put back into the queue. `array` is the id of the job array whose task it is, for any
    other job its own; a task that waits stands for all that do. `task` is the number of a task that has a node, else 0.
    """

    id: int
    state: str
    reason: str = ""
    node: str = ""
    restarts: int = 0
    array: int = 0
    task: int = 0


class SlurmCommands:
    """The commands on one machine, for one thread at a time."""

    def __init__(self, outside: Mapping[str, str]) -> None:
        self._environment = {name: outside[name] for name in _KEPT if name in outside}
        self._environment |= {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
        self._environment.setdefault("PATH", os.defpath)

    def missing(self) -> list[str]:
        """Return those programs that are not there."""
        return [name for name in PROGRAMS if shutil.which(name, path=self._environment["PATH"]) is None]

    def submit(self, options: Sequence[str], script: str) -> int:
        """Submit a script and return the id that Slurm gave it. Raise Refused or Unreachable.

        The limit of time holds even if the server is killed meanwhile.
        """
        done = self._run(["timeout", str(SUBMIT_S), "sbatch", "--parsable", *options], SUBMIT_S + 5, script)
        if done.returncode == 0:
            try:
                return int(done.stdout.partition(";")[0])  # with the name of the cluster where there are several
            except ValueError as error:
                raise Unreachable(f"sbatch answered {done.stdout[:80]!r}") from error
        why = _sentence(done.stderr)
        if done.returncode in _ENDED_BY_TIMEOUT or not why or _PASSING.search(done.stderr):
            raise Unreachable(why or "sbatch gave no answer")
        raise Refused(why)

    def jobs(self) -> dict[str, list[SlurmJob]]:
        """Return what Slurm knows of the jobs of this user, by their comment. Raise Unreachable."""
        done = self._run(["squeue", "-h", "-t", "all", "-u", str(os.geteuid()), "-O", _FIELDS], _ASK_S)
        if done.returncode != 0:
            raise Unreachable(_sentence(done.stderr) or f"squeue ended with status {done.returncode}")
        found: dict[str, list[SlurmJob]] = {}
        for line in done.stdout.splitlines():
            fields = (*map(str.strip, line.split("|", 7)), *[""] * 7)[:8]
            number, array, task, state, restarts, node, comment, reason = fields
            if number.isdigit() and restarts.isdigit():
                of_array = int(array) if array.isdigit() else int(number)
                of_task = int(task) if task.isdigit() else 0
                job = SlurmJob(int(number), state, reason, node, int(restarts), of_array, of_task)
                found.setdefault(comment, []).append(job)
        return found

    def cancel(self, slurm_id: int) -> None:
        """End a job, wherever it is on its way. Raise Unreachable."""
        self._scancel(str(slurm_id))

    def cancel_waiting(self, slurm_id: int) -> None:
        """End those tasks of a job array that wait, or a job that does. Raise Unreachable."""
        self._scancel("--state=PENDING", str(slurm_id))

    def signal(self, slurm_id: int, name: str) -> None:
        """Send a signal to the supervisor of a job that runs, and to nothing else of it. Raise Unreachable."""
        self._scancel("--batch", f"--signal={name}", str(slurm_id))

    def hold(self, slurm_id: int) -> None:
        """Keep the tasks of a job array that wait, or a job that does, from being started. Raise Unreachable."""
        self._scontrol("hold", slurm_id)

    def release(self, slurm_id: int) -> None:
        """Let the tasks of a job array, or a job, be started that were held. Raise Unreachable."""
        self._scontrol("release", slurm_id)

    def _scontrol(self, what: str, slurm_id: int) -> None:
        done = self._run(["scontrol", what, str(slurm_id)], _ASK_S)
        if done.returncode != 0 and _PASSING.search(done.stderr):
            raise Unreachable(_sentence(done.stderr))

    def _scancel(self, *arguments: str) -> None:
        done = self._run(["scancel", *arguments], _ASK_S)
        if done.returncode != 0 and (not done.stderr or _PASSING.search(done.stderr)):
            raise Unreachable(_sentence(done.stderr) or f"scancel ended with status {done.returncode}")

    def _run(self, command: list[str], seconds: int, given: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                input=given,
                capture_output=True,
                text=True,
                errors="replace",
                env=self._environment,
                timeout=seconds,
                check=False,
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"{command[0]} gave no answer: {type(error).__name__}") from error


_ENDED_BY_TIMEOUT = (124, 125, 126, 127, 137)
"""The exit statuses of `timeout` that are none of sbatch."""


def _sentence(errors: str) -> str:
    """The last line of what a command said, without who said it."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return _PREFIXES.sub("", lines[-1])[:300] if lines else ""
