"""What the operators of a server look at and do: is it well, what does it do, drain it. Imports its neighbours.

Each method checks the caller's right first, unless its docstring says otherwise.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from uws_server.config import Config
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs.job import Filter, JobSummary, Position, Progress, utcnow
from uws_server.jobs.phases import Phase
from uws_server.services.health import Health, Readiness
from uws_server.services.metrics import Metrics
from uws_server.services.rights import Caller, Rights, is_loopback, refuse
from uws_server.storage.audit import AuditStore
from uws_server.storage.counts import Counts, DiskUse, Waiting
from uws_server.storage.drain import Drain, DrainStore
from uws_server.storage.jobstore import JobStore

MOST_SHOWN = 100
"""Jobs, and owners, that an overview has at the most."""
_RUNNING = (Phase.EXECUTING, Phase.SUSPENDED, Phase.UNKNOWN)
_LONGEST_REASON = 500


class OperatingNeeds(Protocol):
    """The parts of a server that operators need."""

    config: Config
    rights: Rights
    store: JobStore
    counts: Counts
    scheduler: Scheduler
    health: Health
    metrics: Metrics
    drain: DrainStore
    audit: AuditStore


@dataclass(frozen=True)
class RunningJob:
    """A job that a server has taken, how far it is and what it used, and for how many seconds it has run."""

    job: JobSummary
    progress: Progress
    elapsed: float | None


@dataclass(frozen=True)
class Backlog:
    """How many jobs of a definition wait, and how many run."""

    definition: str
    queued: int
    running: int


@dataclass(frozen=True)
class Overview:
    """What a server does now: the next jobs of the queue, those that run, the backlog, who holds the disk."""

    now: datetime
    drained: Drain | None
    waiting: Sequence[tuple[Waiting, Position]]
    running: Sequence[RunningJob]
    backlog: Sequence[Backlog]
    disk: Sequence[DiskUse]
    free: int
    total: int
    reserve: int
    max_running: int
    short_places: int

    @property
    def queued_count(self) -> int:
        """Return how many jobs wait."""
        return sum(each.queued for each in self.backlog)

    @property
    def running_count(self) -> int:
        """Return how many jobs run, on all servers."""
        return sum(each.running for each in self.backlog)


class Operating:
    """What one caller can learn of a server as a whole, and do with it."""

    def __init__(self, needs: OperatingNeeds, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    def readiness(self) -> Readiness:
        """Return what of the server works. No right is checked: whoever sends requests to it has to know."""
        return self._needs.health.readiness()

    def metrics(self, is_forwarded: bool) -> bytes:
        """Return the figures of the server; `is_forwarded` says that a proxy passed the request on.

        Raise Unauthorized or Forbidden for those whom the setting `metrics` leaves out.
        """
        allowed = self._needs.config.server.metrics
        is_local = is_loopback(self._caller.address) and not is_forwarded
        if not (allowed == "all" or self._caller.is_admin or (allowed == "local" and is_local)):
            whom = "admins, and programs on this machine" if allowed == "local" else "admins"
            refuse(self._caller, f"the figures of the server are for {whom}")
        return self._needs.metrics.text()

    def overview(self) -> Overview:
        """Return what the server does now."""
        self.require_operator()
        needs, now = self._needs, utcnow()
        disk = shutil.disk_usage(needs.config.folders.data)
        running = needs.store.summaries(Filter(phases=_RUNNING, last=MOST_SHOWN))
        return Overview(
            now=now,
            drained=needs.drain.now(),
            waiting=self._next(),
            running=[RunningJob(job, needs.scheduler.progress.read(job.id), job.elapsed(now)) for job in running],
            backlog=self._backlog(),
            disk=needs.counts.disk(MOST_SHOWN),
            free=disk.free,
            total=disk.total,
            reserve=needs.config.folders.reserve,
            max_running=needs.config.jobs.max_running,
            short_places=needs.config.jobs.short_places,
        )

    def drain_note(self) -> str:
        """Return why no job starts, '' where they do. No right is checked: everybody who waits may know."""
        drained = self._needs.drain.now()
        return drained.sentence() if drained else ""

    def begin_drain(self, why: str) -> None:
        """Have no queued job started on any server, until `end_drain`; those that run go on."""
        self.require_operator()
        reason = " ".join(why.split())[:_LONGEST_REASON]
        self._needs.drain.begin(Drain(utcnow(), self._caller.name or "", reason))
        self._note(f"drained the queue{reason and f': {reason}'}")

    def end_drain(self) -> None:
        """Let queued jobs start again."""
        self.require_operator()
        self._needs.drain.end()
        self._note("let queued jobs start again")
        self._needs.scheduler.wake()

    def require_operator(self) -> None:
        """Raise Unauthorized or Forbidden if the caller is no admin."""
        if not self._caller.is_admin:
            refuse(self._caller, "the server is operated by admins")

    def _next(self) -> list[tuple[Waiting, Position]]:
        """Return the jobs that are the next to start, in their order."""
        order = dict(self._needs.scheduler.forecast.order(MOST_SHOWN))
        waiting = {job.id: job for job in self._needs.counts.waiting(list(order))}
        return [(waiting[job_id], position) for job_id, position in order.items() if job_id in waiting]

    def _backlog(self) -> list[Backlog]:
        """Return the definitions with jobs that wait or run, the longest backlog first."""
        queued: dict[str, int] = {}
        running: dict[str, int] = {}
        for definition, phase, number in self._needs.counts.active():
            of_phase = queued if phase is Phase.QUEUED else running
            of_phase[definition] = of_phase.get(definition, 0) + number
        found = [Backlog(name, queued.get(name, 0), running.get(name, 0)) for name in {*queued, *running}]
        return sorted(found, key=lambda each: (-each.queued, -each.running, each.definition))

    def _note(self, what: str) -> None:
        self._needs.audit.add(self._caller.name or "", "", what)
