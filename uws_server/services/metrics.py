"""What a server tells Prometheus of itself, by the official client library, in a registry of its own.

What happens is counted as it happens; what is true at the moment is looked up when somebody asks. Imports execution,
storage and its neighbours.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from uws_server.config import Config
from uws_server.execution.observers import Observer
from uws_server.execution.scheduler import Scheduler
from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase
from uws_server.services.health import Health
from uws_server.storage.counts import Counts
from uws_server.storage.drain import DrainStore

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of the text format of Prometheus."""

_WAITS_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Bounds of the buckets of waits in the queue: from what nobody notices to a day."""
_DURATIONS_S = _WAITS_S
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Metrics(Observer):
    """The figures of one server process."""

    def __init__(self, config: Config, counts: Counts, drain: DrainStore, scheduler: Scheduler, health: Health) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        requests = Counter("uws_http_requests", "Answers to requests, by the class of their status.", ["status"],
                           registry=registry)  # fmt: skip
        self._classes = [requests.labels(each) for each in _CLASSES]
        self._started = Counter("uws_jobs_started", "Jobs that this process started.", ["definition"],
                                registry=registry)  # fmt: skip
        self._ended = Counter("uws_jobs_ended", "Jobs that ran and whose end this process registered.",
                              ["definition", "phase"], registry=registry)  # fmt: skip
        self._waits = Histogram("uws_job_wait_seconds", "From the queue to the start.", ["definition"],
                                buckets=_WAITS_S, registry=registry)  # fmt: skip
        self._durations = Histogram("uws_job_duration_seconds", "From the start to the end.", ["definition"],
                                    buckets=_DURATIONS_S, registry=registry)  # fmt: skip
        self._cpu = Counter("uws_job_cpu_seconds", "CPU that the processes of jobs used.", ["definition"],
                            registry=registry)  # fmt: skip
        self.now = _Now(config, counts, drain, scheduler, health)
        registry.register(self.now)

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)

    def count_answer(self, status: int) -> None:
        """Count an answer with a status."""
        self._classes[min(max(status // 100, 1), 5) - 1].inc()

    def job_started(self, job: Job) -> None:
        """Count a job that began to run, and for how long it waited."""
        self._started.labels(job.definition).inc()
        if job.queued is not None and job.started is not None:
            self._waits.labels(job.definition).observe(max(0.0, (job.started - job.queued).total_seconds()))

    def job_ended(self, job: Job, phase: Phase, ended: datetime, cpu_s: float) -> None:
        """Count a job that ran and ended, and what it took."""
        self._ended.labels(job.definition, phase).inc()
        self._cpu.labels(job.definition).inc(max(0.0, cpu_s))
        if job.started is not None:
            self._durations.labels(job.definition).observe(max(0.0, (ended - job.started).total_seconds()))


class _Now(Collector):
    """Looks up what is true when somebody asks; `waiters` returns how many clients wait for a job."""

    def __init__(self, config: Config, counts: Counts, drain: DrainStore, scheduler: Scheduler, health: Health) -> None:
        self._config, self._counts, self._drain, self._scheduler = config, counts, drain, scheduler
        self._health = health
        self.waiters: Callable[[], int] = lambda: 0

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: to register the figures, the database need not be asked for them."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures; those of the database are left out while it does not answer."""
        found = self._health.readiness()
        if found.database:
            yield from self._of_database()
        disk, kept = shutil.disk_usage(self._config.folders.data), self._scheduler.kept()
        for name, about, value in (
            ("uws_database_answers", "1 while the database answers.", int(found.database)),
            ("uws_scheduler_beats", "1 while the loop of the queue goes round.", int(found.scheduler)),
            ("uws_running_jobs", "Jobs that run under this process.", self._scheduler.running_count()),
            ("uws_running_jobs_limit", "Jobs that may run under this process.", self._config.jobs.max_running),
            ("uws_short_places", "Places beside these for short jobs.", self._config.jobs.short_places),
            ("uws_waiting_clients", "Clients whose requests wait for a change of a job.", self.waiters()),
            ("uws_warm_processes", "Processes that are kept to fork jobs from.", len(kept)),
            ("uws_warm_memory_bytes", "Memory of these that is in no file.", sum(each.memory for each in kept)),
            ("uws_disk_free_bytes", "Free room on the disk of the data folder.", disk.free),
            ("uws_disk_reserve_bytes", "Free room below which nothing is taken.", self._config.folders.reserve),
        ):
            yield GaugeMetricFamily(name, about, value=float(value))
        if found.cluster is not None:
            number = self._scheduler.elsewhere_count()
            yield GaugeMetricFamily("uws_cluster_answers", "1 while the cluster answers.", value=float(found.cluster))
            yield GaugeMetricFamily("uws_cluster_jobs", "Jobs of this process on the cluster.", value=float(number))

    def _of_database(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures that all servers on the database share."""
        jobs = GaugeMetricFamily("uws_jobs", "Jobs that wait or run, on all servers.", labels=["definition", "phase"])
        queued = 0
        for definition, phase, number in self._counts.active():
            jobs.add_metric([definition, phase.value], number)
            queued += number if phase is Phase.QUEUED else 0
        yield jobs
        yield GaugeMetricFamily("uws_queue_length", "Jobs that wait for their turn, on all servers.", value=queued)
        drained = float(self._drain.now() is not None)
        yield GaugeMetricFamily("uws_drained", "1 while no queued job is started, on any server.", value=drained)
