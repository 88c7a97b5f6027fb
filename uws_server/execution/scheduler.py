"""The queue: takes jobs in order, runs some at once, registers each end. Imports storage and its neighbours.

One thread waits, without polling, for queued jobs, the ends of supervisors and deadlines; a few others finish jobs
(hashes and tags take a moment). A server that starts again adopts the supervisors that ran on without it; several
servers on one database and one data folder share the queue, and adopt the supervisors of one that died.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from uws_server.execution import delegation, following
from uws_server.execution.adopting import Adopter
from uws_server.execution.announcing import Announcer
from uws_server.execution.endings import Registrar
from uws_server.execution.finishing import Finisher, Finishers
from uws_server.execution.forecast import Forecast
from uws_server.execution.job_secrets import job_secrets
from uws_server.execution.launching import Launcher
from uws_server.execution.observers import Observers
from uws_server.execution.peers import BEAT_S, Peers
from uws_server.execution.progress import ProgressReader
from uws_server.execution.resources import Resources
from uws_server.execution.running import Running
from uws_server.execution.starter import Kept, Starter
from uws_server.execution.watchdog import Watchdog
from uws_server.execution.work import Work
from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase
from uws_server.storage import changes
from uws_server.storage.outages import Outage
from uws_server.storage.servers import ServerStore

LOG = logging.getLogger(__name__)
_SILENT_S = 60.0
"""Seconds without a round of the loop, which makes one each few seconds, after which it counts as stuck."""
_TIDY_S = 60.0
"""Seconds between two removals of expired jobs."""


class Scheduler:
    """Runs the queued jobs of a server."""

    def __init__(self, resources: Resources, base_url: str, starter: Starter, work: Work) -> None:
        store, files, library, config = resources.store, resources.files, resources.library, resources.config
        capacity = resources.capacity
        self.progress = ProgressReader(files)
        self._store, self._files, self._library, self._starter = store, files, library, starter
        self._has_groups = config.jobs.control_groups
        self._stopping = threading.Event()
        self._announcer = Announcer(store)
        self._running = Running(store, files, starter)
        self._watchdog = Watchdog(store, files, self._running, config.jobs.max_suspension)
        registrar = Registrar(store, files, library, base_url, self.observers, work)
        self._finisher = Finisher(store, registrar, self._watchdog, self._stopping)
        self._finishers = Finishers(files)
        self._launcher = Launcher(
            resources, job_secrets(config, store), work, starter, self._running, self._announcer, self.release,
            self._stopping,
        )  # fmt: skip
        self._adopter = Adopter(
            store, files, starter, self._running, self._announcer, self._finish_later, self.release
        )  # fmt: skip
        self._peers = Peers(ServerStore(store.engine), store.server, capacity.limits.places)
        self._watching = changes.watch(store.engine, store.server, self._heard, self._missed)
        self.forecast = Forecast(store.queue, lambda: capacity.limits_for(each.definition for each in library))
        self._tidier = ThreadPoolExecutor(1, "tidy")
        self._round = time.monotonic()
        """When the loop went round last."""
        self._look_at_peers = False
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)

    @property
    def observers(self) -> Observers:
        """Return those who hear of what happens to the jobs."""
        return self._announcer.observers

    def start(self) -> None:
        """Begin to adopt the jobs that still run and to take queued ones, in a thread: clients need not wait for it."""
        LOG.info("what jobs take is bounded by the limits of each process (RLIMIT), and together by their supervisors")
        if self._has_groups:
            delegation.base()  # before any process is started: they are to be in the group of the server
        self._peers.join()
        self._watching.start()
        self._look_at_peers = True
        self._thread.start()
        self.wake()

    def stop(self) -> None:
        """Take no more jobs; those that run continue under their supervisors."""
        self._stopping.set()
        self.wake()
        self._thread.join()
        self._starter.stop()
        self._finishers.shutdown()
        self._tidier.shutdown()
        self._watching.stop()
        self._peers.leave()
        delegation.release()

    def beats(self) -> bool:
        """Return whether the loop of the queue goes round."""
        return self._thread.is_alive() and time.monotonic() - self._round < _SILENT_S

    def running_count(self) -> int:
        """Return how many jobs run under this process, on this machine."""
        return max(0, len(self._running) - self._starter.number_elsewhere())

    def elsewhere_count(self) -> int:
        """Return how many jobs of this process wait or run elsewhere."""
        return self._starter.number_elsewhere()

    def kept(self) -> list[Kept]:
        """Return the processes that are kept for the starts of jobs."""
        return self._starter.kept()

    def wake(self) -> None:
        """Have the queue examined now."""
        self._running.wake()

    def job_queued(self) -> None:
        """Have the queue examined for a job that now waits in it; where no place is free, once there is one."""
        if not self._launcher.is_full:
            self.wake()

    def abort(self, job_id: str) -> None:
        """End a running job, here or on another server, by its supervisor, as soon as it has one."""
        # recorded first: a server that is about to start the supervisor, or dies before it asks it, finds the request
        if self._store.ask_abort(job_id) and not self._running.abort(job_id):
            self._look_again()

    def suspend(self, job_id: str) -> None:
        """Have the supervisor of a SUSPENDED job stop it, as soon as it has one, and others have its place.

        Another server hears of it.
        """
        self._running.obey(job_id)
        self.wake()

    def _look_again(self) -> None:
        """Have all jobs that servers have taken looked at now."""
        self._look_at_peers = True
        self.wake()

    def wait_for_end(self, job_id: str, seconds: float) -> Job:
        """Return the job, once it has ended or after so many seconds."""
        return self._announcer.wait_for_end(job_id, seconds)

    def announce(self, job_id: str) -> None:
        """Wake the threads that wait for a change, and report the job that changed."""
        self._announcer.announce(job_id)

    def release(self, job_id: str | None = None) -> None:
        """Queue or end the jobs that waited for one that has ended; None: for any."""
        if following.release(self._store, self._files, self.announce, job_id):
            self.wake()

    def _heard(self, job_id: str, what: str) -> None:
        """React to a change of a job by another server, or to a server that joined or left."""
        if job_id:
            self.announce(job_id)
        if what in (Phase.SUSPENDED, Phase.EXECUTING) and job_id in self._running:
            self._running.obey(job_id)
        if what in (changes.SERVERS, changes.ABORT):
            self._look_again()
        elif what == Phase.QUEUED:
            self.job_queued()
        elif what != Phase.EXECUTING:  # what a job held is free
            self.wake()

    def _missed(self) -> None:
        """React to missed notices: other servers may have changed anything."""
        self._announcer.missed()
        self._look_again()

    def _loop(self) -> None:
        tidied, looked = -_TIDY_S, time.monotonic()
        outage = Outage(LOG, "the queue")
        while not self._stopping.is_set():
            self._round = time.monotonic()
            try:
                self._wait(max(0.0, min(looked + BEAT_S - time.monotonic(), self._launcher.seconds_to_next())))
                is_due = self._look_at_peers or time.monotonic() >= looked + BEAT_S
                if is_due:
                    looked, self._look_at_peers = time.monotonic(), False
                    self._look()
                self._library.look()
                if not self._stopping.is_set() and self._launcher.take():
                    self._look_again()
                if time.monotonic() - tidied > _TIDY_S:
                    tidied = time.monotonic()
                    # in a thread of its own: destroying a job that runs waits for its end, which this loop must notice
                    self._tidier.submit(self.observers.idle)
                if is_due:  # a round that wrote nothing proves nothing
                    outage.over()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
                self._stopping.wait(outage.failed(error))
                self.wake()

    def _wait(self, seconds: float) -> None:
        """Wait for a wake-up or the end of a supervisor, at most so many seconds."""
        for job_id in self._running.wait(seconds):
            handle = self._running[job_id]
            if (started := handle.started()) is not None:
                self._launcher.begin(job_id, started)
                handle.note_started()
            if handle.has_ended() and not self._adopter.goes_on(job_id):
                self._running.unwatch(job_id)
                self._finish_later(job_id)

    def _look(self) -> None:
        """Look at every job that a server has taken: take over, start, end or watch it."""
        taken = self._store.taken()
        self._adopter.look(taken, self._peers.beat())
        to_abort = self._store.to_abort()
        for job_id in to_abort:
            self._running.abort(job_id)
        self._watchdog.look(to_abort)
        self._starter.look()
        self.release()

    def _finish_later(self, job_id: str) -> None:
        """Have a job finished by a thread for it, and what is kept of it forgotten."""
        self._finishers.submit(self._finish, job_id)

    def _finish(self, job_id: str) -> None:
        try:
            handle = self._running.handles().get(job_id)
            self._finisher.finish(job_id, handle.verdict() if handle else None)
        finally:
            self._running.remove(job_id)
            self.progress.forget(job_id)
            self.announce(job_id)
            self.wake()
            self.release(job_id)
