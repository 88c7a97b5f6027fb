"""A job on the cluster: what the queue holds of it, and what the threads that watch it know. Imports its neighbours."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from uws_server.execution.slurm import claims
from uws_server.execution.slurm import record as records
from uws_server.execution.slurm.commands import SlurmJob
from uws_server.execution.slurm.record import Record
from uws_server.execution.verdicts import GivenUp


class Requests(Protocol):
    """Passes on what is asked of jobs."""

    def ask(self, job_id: str, signal: str) -> None:
        """Have the supervisor of a job get a signal, as soon as it runs; KILL ends the job, wherever it is."""

    def ask_soon(self) -> None:
        """Have Slurm asked for its list soon."""

    def wake(self) -> None:
        """Have all jobs looked at now."""

    def leave(self, job: ClusterJob) -> None:
        """Watch a job no more."""


class ClusterJob:
    """A job that was given to the cluster.

    `fd` is readable while the queue has something to learn: that the job has begun, or has ended.

    Parameters
    ----------
    job_id, folder
        The job.
    record
        What its folder says of its place on the cluster.
    requests
        What passes on what is asked of it.
    """

    def __init__(self, job_id: str, folder: Path, record: Record, requests: Requests) -> None:
        self.id, self.folder, self.record = job_id, folder, record
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_to_end = False
        """Whether it is to be aborted."""
        self.is_to_stand: bool | None = None
        """Whether it is to stand still; None as long as nobody has said so to this server."""
        self.told: dict[int, bool] = {}
        """Whether its supervisors were told last to stand still, or to go on, by the number that Slurm gave them."""
        self.held_at = 0.0
        """When its tasks were held last, by the monotonic clock."""
        self.is_over = False
        self._verdict: GivenUp | None = None
        self.refusal: GivenUp | None = None
        """How it is to end, because the cluster does not take it."""
        self.began: float | None = None
        """When it was found that a supervisor has claimed the folder, by the monotonic clock."""
        self.tasks: Sequence[SlurmJob] = ()
        """The tasks of its job array, as Slurm listed them last."""
        self.listed: SlurmJob | None = None
        self.listed_at: float | None = None
        """When Slurm was asked for the list that `listed` is from, by the monotonic clock; None before the first."""
        self.absent_since: float | None = None
        self.ended_since: float | None = None
        self.waits_since: float | None = None
        self.status_since: float | None = None
        self.was_asked = False
        """Whether its abortion was asked for, once it has left a status."""
        self._requests = requests
        self._started: datetime | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    # --- what the queue asks ---------------------------------------------------------------------------

    def abort(self) -> None:
        """Ask the supervisor to end all processes of its job; one that has not begun never will."""
        self.is_to_end = True
        if claims.time_of(self.folder):  # before its supervisor has claimed the folder, that would end it
            self._requests.ask(self.id, "TERM")
        self._requests.wake()

    def suspend(self) -> None:
        """Have the supervisor stop all processes of its job until `resume`, and no part begin."""
        self._stand(True)

    def resume(self) -> None:
        """Have the supervisor continue the processes of its job."""
        self._stand(False)

    def kill(self) -> None:
        """Have the cluster end the job."""
        self._requests.ask(self.id, "KILL")

    def go_on(self) -> None:
        """Do nothing: whether something has stopped the supervisor cannot be seen from here."""

    def is_stopped(self) -> bool:
        """Return False: it cannot be seen from here."""
        return False

    def has_script(self) -> bool:
        """Return False: whether processes are left cannot be seen from here, so that room on the disk is waited for."""
        return False

    def has_ended(self) -> bool:
        """Check whether the job is over."""
        return self.is_over

    def verdict(self) -> GivenUp | None:
        """Return how the job ended, where that is not for the status of its supervisor to say."""
        return self._verdict

    def is_same(self, other: object) -> bool:
        """Check whether another handle stands for the same job."""
        return isinstance(other, ClusterJob) and other.id == self.id

    def close(self) -> None:
        """Watch the job no more; what was asked of it is passed on nevertheless."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self.fd)
        self._requests.leave(self)

    def started(self) -> datetime | None:
        """Return when the supervisor began, until `note_started` is called; None before it did."""
        return self._started

    def note_started(self) -> None:
        """Take note that the queue knows that the job has begun."""
        with self._lock:
            self._started = None
            if not self.is_over and not self._is_closed and _is_readable(self.fd):
                os.eventfd_read(self.fd)

    # --- what is learnt of it --------------------------------------------------------------------------

    def begin(self, claimed: float) -> None:
        """Take note that a supervisor has claimed the folder; `claimed` is when, in seconds since 1970."""
        self.began = time.monotonic()
        self._tell(lambda: setattr(self, "_started", datetime.fromtimestamp(min(claimed, time.time()), UTC)))

    def end(self, verdict: GivenUp | None = None) -> None:
        """Take note that the job is over. `verdict` is how it ends, where that is not for its status to say."""
        self._verdict = verdict
        self._tell(lambda: setattr(self, "is_over", True))

    def list(self, found: SlurmJob | None, asked_at: float) -> None:
        """Take note of how Slurm lists the job; None where it does not. `asked_at` is when it was asked."""
        if found is None:
            self.absent_since = self.absent_since or asked_at
        else:
            self.absent_since = None
        self.listed, self.listed_at = found, asked_at

    def is_known_since(self, moment: float | None) -> bool:
        """Check whether Slurm was asked after a moment of the monotonic clock."""
        return moment is not None and self.listed_at is not None and self.listed_at > moment

    def change_record(self, write: Callable[[Path, Record], None] = records.write, **changes: object) -> None:
        """Change the record of the job, and what its folder says of it. Raise OSError where that cannot be."""
        changed = replace(self.record, **changes)  # type: ignore[arg-type]
        if changed != self.record:
            with contextlib.suppress(FileNotFoundError):  # the job was deleted
                write(self.folder, changed)
            self.record = changed

    def _stand(self, is_still: bool) -> None:
        if self.is_to_stand is not is_still:  # the queue says it again and again
            self.is_to_stand = is_still
            self._requests.ask_soon()

    def _tell(self, change: Callable[[], None]) -> None:
        with self._lock:
            change()
            if not self._is_closed:
                os.eventfd_write(self.fd, 1)


def _is_readable(fd: int) -> bool:
    looking = select.poll()
    looking.register(fd, select.POLLIN)
    return bool(looking.poll(0))
