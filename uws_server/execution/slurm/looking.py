"""How the beginning and the end of a job on the cluster are found: by the files of its supervisor and by Slurm's list.

The files come first: they are there at once, and true when Slurm has forgotten the job. They are looked at by stat,
which works on every shared file system: inotify sees nothing of other machines. What neither says is not guessed.
Imports storage and its neighbours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable
from typing import Protocol

from uws_server.execution import local
from uws_server.execution.arrays import journal
from uws_server.execution.slurm import claims, states
from uws_server.execution.slurm.commands import SlurmJob
from uws_server.execution.slurm.job import ClusterJob
from uws_server.execution.usage import USAGE_FILE
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.phases import Phase

LOG = logging.getLogger(__name__)

SETTLE_S = 10.0
"""Seconds for which the status of a job is waited for that Slurm has ended: the file system may show it late."""
LOST_S = 30.0
"""Seconds after which a job that Slurm does not list is given to it again, or taken for forgotten."""
PATIENCE_S = 60.0
"""Seconds for which Slurm is asked what ended a job that its supervisor was told to end, by someone else."""
HURRY_S = 3.0
"""Seconds for which Slurm is asked whether it ended a job whose script ended by itself."""
MOST_TRIES = 3
"""How often a job is given to a cluster that loses it."""


_TOO_MUCH_MEMORY = re.compile(r"slurmstepd[^:]*: error: .*(?:exceeded memory limit|oom[ -]kill)", re.IGNORECASE)
"""What a node writes into the error output of a job that had too much memory."""


class Slurm(Protocol):
    """What is asked of the thread that talks to Slurm."""

    def ask_soon(self) -> None:
        """Have Slurm asked for its list soon."""

    def ask(self, job_id: str, signal: str) -> None:
        """Have the supervisor of a job get a signal; KILL ends the job."""

    def is_over(self, job_id: str) -> None:
        """Have a job cancelled that Slurm still runs a while after its supervisor said that it ended."""


class Looker:
    """Looks at one job after the other.

    Parameters
    ----------
    slurm
        What talks to Slurm.
    was_asked
        Returns whether the abortion of a job was asked for, from its id.
    """

    def __init__(self, slurm: Slurm, was_asked: Callable[[str], bool]) -> None:
        self._slurm, self._was_asked = slurm, was_asked

    def look(self, job: ClusterJob) -> None:
        """Find out whether a job has begun, and whether it has ended."""
        if job.is_over:
            return
        if job.began is None and not (self._look_at_claim(job) or _look_at_parts(job)):
            self._look_at_waiting(job)
        elif job.is_over:
            return
        elif job.record.array_id and not claims.time_of(job.folder):
            self._look_at_tasks(job)
        elif (status := local.status(job.folder)) is None:
            self._look_at_running(job)
        else:
            self._look_at_ended(job, status)

    def _look_at_claim(self, job: ClusterJob) -> bool:
        """Find out who has claimed the folder of a job. Return False if nobody has."""
        claimed = claims.time_of(job.folder)
        if not claimed:
            return False
        verdict = claims.verdict_of(job.folder)
        if verdict is None:
            job.begin(claimed)
            if job.is_to_end:
                self._slurm.ask(job.id, "TERM")
        else:  # a server did, which was killed before it could say so
            job.end(verdict)
        return True

    def _look_at_waiting(self, job: ClusterJob) -> None:
        """End a job that no supervisor has claimed, where it is to end or Slurm has ended it."""
        listed = job.listed
        if job.is_to_end:
            self._end_unclaimed(job, GivenUp(Phase.ABORTED, None))
        elif job.refusal is not None:
            self._end_unclaimed(job, job.refusal)
        elif listed is not None and states.has_ended(listed):
            self._end_unclaimed(job, states.ending(listed, has_begun=False))
        elif job.absent_since is not None and job.record.id and _has_passed(job.absent_since, LOST_S):
            self._submit_again(job)

    def _end_unclaimed(self, job: ClusterJob, verdict: GivenUp) -> None:
        """End a job, unless a supervisor is faster: whoever claims the folder first decides, on a cluster too."""
        try:
            if not claims.claim(job.folder, verdict):
                return  # the next look finds the supervisor
        except FileNotFoundError:
            LOG.info("job %s was deleted before it began on the cluster", job.id)
        self._slurm.ask(job.id, "KILL")
        job.end(verdict)

    def _look_at_tasks(self, job: ClusterJob) -> None:
        """Look at a job whose parts run, or have run, as tasks of a job array: it begins itself when all have ended."""
        if not job.is_known_since(job.began):
            return
        is_alive = any(not states.has_ended(task) for task in job.tasks)
        if job.is_to_end:
            if not is_alive:  # nothing of a part is left to be waited for
                self._end_unclaimed(job, GivenUp(Phase.ABORTED, None))
            elif job.ended_since is None:
                job.ended_since = time.monotonic()
                is_running = any(task.state == "RUNNING" for task in job.tasks)
                self._slurm.ask(job.id, "TERM" if is_running else "KILL")
            elif _has_passed(job.ended_since, SETTLE_S):
                self._slurm.ask(job.id, "KILL")
            else:
                self._slurm.ask_soon()
        elif job.listed is not None and states.has_ended(job.listed):
            self._end_unclaimed(job, states.ending(job.listed, has_begun=True))
        elif not is_alive and job.absent_since is not None and _has_passed(job.absent_since, LOST_S):
            self._end_unclaimed(job, states.forgotten())

    def _submit_again(self, job: ClusterJob) -> None:
        if job.record.tries >= MOST_TRIES:
            self._end_unclaimed(job, states.lost(job.record.tries))
            return
        LOG.warning("job %s: the cluster has lost it (it was %d there): submitted again", job.id, job.record.id)
        job.absent_since = None
        job.change_record(id=0, tried=0.0, array_id=0, array_tried=0.0)

    def _look_at_running(self, job: ClusterJob) -> None:
        """Find out whether a job has ended whose supervisor has left no status."""
        listed = job.listed
        if not job.is_known_since(job.began):
            return
        if listed is None:
            since = max(job.absent_since or 0.0, _last_sign_of_life(job))
            if _has_passed(since, LOST_S):
                job.end(states.forgotten())
        elif listed.restarts > job.record.restarts or listed.state in states.WAITING:
            # in the queue again, or its controller has lost what it knew last: the supervisor may still run
            job.waits_since = job.waits_since or time.monotonic()
            if _has_passed(max(job.waits_since, _last_sign_of_life(job)), LOST_S):
                self._slurm.ask(job.id, "KILL")
                job.end(states.requeued())
        elif not states.has_ended(listed):
            job.ended_since = job.waits_since = None
        else:
            job.ended_since = job.ended_since or time.monotonic()
            _refresh(job)
            if _has_passed(job.ended_since, SETTLE_S):
                self._end_killed(job, listed)

    def _end_killed(self, job: ClusterJob, listed: SlurmJob) -> None:
        """End a job whose supervisor was killed."""
        if job.is_to_end:
            job.end(GivenUp(Phase.ABORTED, None))
        elif listed.state == "FAILED" and _TOO_MUCH_MEMORY.search(local.error_output(job.folder)):
            job.end(states.out_of_memory(listed))
        else:
            job.end(states.ending(listed, has_begun=True))

    def _look_at_ended(self, job: ClusterJob, status: local.Status) -> None:
        """End a job that has left a status, unless Slurm ended it: a script that is told to end may end well."""
        if job.status_since is None:
            job.was_asked = self._was_asked(job.id)
            job.status_since = time.monotonic()
        if job.was_asked or status.reason not in ("exit", "abort"):
            self._end_by_status(job)
        elif job.is_known_since(job.status_since):
            self._end_by_both(job, status)
        elif _has_passed(job.status_since, PATIENCE_S if _is_doubtful(status) else HURRY_S):
            self._end_by_status(job, None if status.reason == "exit" else states.ended_from_outside())
        else:
            self._slurm.ask_soon()

    def _end_by_both(self, job: ClusterJob, status: local.Status) -> None:
        """End a job by its status and by how Slurm lists it, which tells what ended it from the moment that it does."""
        listed, was_told = job.listed, status.reason == "abort"
        if listed is None:
            self._end_by_status(job, states.ended_from_outside() if was_told else None)
        elif listed.restarts > job.record.restarts:
            self._slurm.ask(job.id, "KILL")
            job.end(states.requeued())
        elif listed.state in states.WAITING:  # its controller has lost what it knew last
            self._slurm.ask(job.id, "KILL")
            job.end(states.ended_from_outside() if was_told else None)
        elif states.was_interrupted(listed):
            job.end(states.ending(listed, has_begun=True))
        elif states.has_ended(listed):  # by itself, for Slurm: only its supervisor was told to end it
            job.end(states.ended_from_outside() if was_told else None)
        elif not _is_doubtful(status) and listed.state != states.COMPLETING:
            self._end_by_status(job)
        elif _has_passed(job.status_since, PATIENCE_S):
            self._end_by_status(job, states.ended_from_outside() if was_told else None)
        else:
            self._slurm.ask_soon()

    def _end_by_status(self, job: ClusterJob, verdict: GivenUp | None = None) -> None:
        self._slurm.is_over(job.id)
        job.end(verdict)


def _look_at_parts(job: ClusterJob) -> bool:
    """Find out whether a part of a job has begun as a task of a job array."""
    if not job.record.array_id or (since := journal.begun(job.folder)) is None:
        return False
    job.begin(since)
    return True


def _is_doubtful(status: local.Status) -> bool:
    """Whether Slurm may have ended the job, or a process of it that used too much memory, and say so a little later."""
    return status.reason == "abort" or (status.reason == "exit" and status.code == -9)


def _has_passed(since: float | None, seconds: float) -> bool:
    return since is not None and time.monotonic() - since >= seconds


def _last_sign_of_life(job: ClusterJob) -> float:
    """When the supervisor of a job wrote something last, by the monotonic clock; 0.0 where it never did."""
    try:
        written = (job.folder / USAGE_FILE).stat().st_mtime
    except OSError:
        return 0.0
    return time.monotonic() - max(0.0, time.time() - written)


def _refresh(job: ClusterJob) -> None:
    """Have a network file system look for new files: it shows those of another machine when a folder is read."""
    with contextlib.suppress(OSError), os.scandir(job.folder) as entries:
        next(entries, None)
