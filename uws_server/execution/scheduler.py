"""The queue: takes jobs in order, runs some at once, registers each end. Imports storage and its neighbours.

One thread waits, without polling, for queued jobs, the ends of supervisors and deadlines; a few others finish jobs
(hashes and tags take a moment). A server that starts again adopts the supervisors that ran on without it; several
servers on one database and one data folder share the queue, and adopt the supervisors of one that died.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from uws_server.config import Config
from uws_server.errors import Forbidden, NotFound
from uws_server.execution import following, local, staging
from uws_server.execution.endings import Registrar
from uws_server.execution.finishing import Finishers
from uws_server.execution.observers import Observers
from uws_server.execution.peers import BEAT_S, Peers
from uws_server.execution.progress import ProgressReader
from uws_server.execution.running import Running
from uws_server.execution.starter import Kept, Starter
from uws_server.execution.watchdog import OVERDUE_S, Watchdog
from uws_server.jobs.job import Job, JobError, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage import changes
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore, Run
from uws_server.storage.library import Library
from uws_server.storage.outages import Outage
from uws_server.storage.servers import ServerStore

LOG = logging.getLogger(__name__)
_CLAIM_WAIT_S = 3.0
"""Seconds that a restarted server waits for the supervisors of jobs that were being started when it was killed."""
_SILENT_S = 60.0
"""Seconds without a round of the loop, which makes one each few seconds, after which it counts as stuck."""
_TIDY_S = 60.0
"""Seconds between two removals of expired jobs."""


class Scheduler:
    """Runs the queued jobs of a server."""

    def __init__(
        self, store: JobStore, files: JobFiles, library: Library, config: Config, base_url: str, starter: Starter
    ) -> None:
        self.progress = ProgressReader(files)
        self.observers = Observers()
        self._store, self._files, self._library = store, files, library
        self._config, self._base_url, self._starter = config, base_url, starter
        self._registrar = Registrar(store, files, library, base_url, self.observers)
        self._running = Running(store, files)
        self._watchdog = Watchdog(store, files, self._running)
        self._peers = Peers(ServerStore(store.engine), store.server)
        self._watching = changes.watch(store.engine, store.server, self._heard, self._missed)
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        self._finishers = Finishers(files)
        self._tidier = ThreadPoolExecutor(1, "tidy")
        self._stopping = False
        self._round = time.monotonic()
        """When the loop went round last."""
        self._look_at_peers = False
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to adopt the jobs that still run and to take queued ones, in a thread: clients need not wait for it."""
        self._peers.join()
        self._watching.start()
        self._look_at_peers = True
        self._thread.start()
        self.wake()

    def stop(self) -> None:
        """Take no more jobs; those that run continue under their supervisors."""
        self._stopping = True
        self.wake()
        self._thread.join()
        self._starter.stop()
        self._finishers.shutdown()
        self._tidier.shutdown()
        self._watching.stop()
        self._peers.leave()

    def beats(self) -> bool:
        """Return whether the loop of the queue goes round."""
        return self._thread.is_alive() and time.monotonic() - self._round < _SILENT_S

    def running_count(self) -> int:
        """Return how many jobs run under this process."""
        return len(self._running)

    def kept(self) -> list[Kept]:
        """Return the processes that are kept for the starts of jobs."""
        return self._starter.kept()

    def wake(self) -> None:
        """Have the queue examined now."""
        with contextlib.suppress(BlockingIOError):  # enough wake-ups are waiting already
            os.write(self._wake_in, b".")

    def abort(self, job_id: str) -> None:
        """End a running job, here or on another server, by its supervisor, as soon as it has one."""
        # recorded first: a server that is about to start the supervisor, or dies before it asks it, finds the request
        if self._store.ask_abort(job_id) and not self._running.abort(job_id):
            self._look_again()

    def suspend(self, job_id: str) -> None:
        """Have the supervisor of a SUSPENDED job stop it, as soon as it has one; another server hears of it."""
        self._running.obey(job_id)

    def resume(self, job_id: str) -> None:
        """Have the supervisor of a job that is no longer SUSPENDED continue it; another server hears of it."""
        if not self._running.obey(job_id):
            self._look_again()

    def _look_again(self) -> None:
        """Have all jobs that servers have taken looked at now."""
        self._look_at_peers = True
        self.wake()

    def wait_for_end(self, job_id: str, seconds: float) -> Job:
        """Return the job, once it has ended or after so many seconds."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (job := self._store.get(job_id)).phase not in ENDED and time.monotonic() < deadline:
                self._changed.wait(min(0.5, max(0.01, deadline - time.monotonic())))
        return job

    def announce(self, job_id: str) -> None:
        """Wake the threads that wait for a change, and report the job that changed."""
        with self._changed:
            self._changed.notify_all()
        self.observers.job_changed(job_id)

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
            self.wake()

    def _missed(self) -> None:
        """React to missed notices: other servers may have changed anything."""
        with self._changed:
            self._changed.notify_all()
        self.observers.changes_missed()
        self._look_again()

    def _loop(self) -> None:
        tidied, looked = -_TIDY_S, time.monotonic()
        outage = Outage(LOG, "the queue")
        while not self._stopping:
            self._round = time.monotonic()
            try:
                self._wait(max(0.0, looked + BEAT_S - time.monotonic()))
                is_due = self._look_at_peers or time.monotonic() >= looked + BEAT_S
                if is_due:
                    looked, self._look_at_peers = time.monotonic(), False
                    self._check_jobs()
                self._library.look()
                if not self._stopping:
                    self._take()
                if time.monotonic() - tidied > _TIDY_S:
                    tidied = time.monotonic()
                    # in a thread of its own: destroying a job that runs waits for its end, which this loop must notice
                    self._tidier.submit(self.observers.idle)
                if is_due:  # a round that wrote nothing proves nothing
                    outage.over()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
                self._pause(outage.failed(error))
                self.wake()

    def _pause(self, seconds: float) -> None:
        """Wait for so many seconds, or until the server is to stop."""
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.1)

    def _wait(self, seconds: float) -> None:
        """Wait for a wake-up or the end of a supervisor, at most so many seconds."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(self._wake_out, 4096)
            else:
                self._ended(key.data)

    def _ended(self, job_id: str) -> None:
        """Finish the job of a supervisor that ended, unless that found the folder claimed by another supervisor.

        That one was started by a server that was killed, and claimed the folder late.
        """
        handle = self._running[job_id]
        self._selector.unregister(handle.fd)
        folder = self._files.folder(job_id)
        other = local.find(folder) if local.status(folder) is None else None
        if other is not None and other.pid != handle.pid:
            LOG.info("job %s is run by the supervisor %d of an earlier server: adopted", job_id, other.pid)
            handle.close()
            self._watch(job_id, other)
            self._running.adopt(job_id)
            return
        if other is not None:
            other.close()
        self._finishers.submit(self._finish, job_id)

    def _take(self) -> None:
        """Start queued jobs while there is room; other servers may take them first."""
        if self._files.reserve.problem():
            return  # they would fail for want of room
        while (free := self._config.jobs.max_running - len(self._running)) > 0:
            queued = self._store.queued(free)
            if not queued:
                return
            for job_id in queued:
                if self._takes(job_id):
                    self._launch(job_id)
                    self.announce(job_id)
                    self._running.obey(job_id)

    def _takes(self, job_id: str) -> bool:
        """Take a job. Return False if another server took it first."""
        try:
            return self._store.take(job_id, utcnow())
        except Exception:
            # the change may have been made and the answer lost: the job would wait for a supervisor for ever
            self._persist(lambda: self._store.give_back(job_id))
            raise

    def _launch(self, job_id: str) -> None:
        """Start a job that was taken. Where that fails for want of something, put it back into the queue and raise."""
        folder = self._files.folder(job_id)
        try:
            job = self._store.get(job_id)
            installed = self._library.of(job)
            self._files.create(job_id, {})
            launch = staging.prepare(job, installed, folder, self._config, self._base_url)
            self._watch(job_id, self._starter.start(job, installed, folder, launch))
            self.observers.job_started(job)
        except Exception as error:
            if meaning_of(error):
                self._persist(lambda: self._store.give_back(job_id))
                raise
            LOG.exception("job %s cannot be started", job_id)
            told = isinstance(error, NotFound | Forbidden)
            reason = str(error) if told else "the server could not start the script"
            self._persist(lambda: self._store.end(job_id, Phase.ERROR, utcnow(), JobError(reason, fatal=False), []))
            self.release(job_id)

    def _watch(self, job_id: str, handle: local.Handle) -> None:
        self._running.add(job_id, handle)
        self._selector.register(handle.fd, selectors.EVENT_READ, job_id)

    def _check_jobs(self) -> None:
        """Take over the jobs of servers that ended; end those whose end was asked of another server."""
        taken = self._store.taken()  # read before the servers: one that takes a job now is registered by then
        running = self._peers.beat()
        deadline = time.monotonic() + _CLAIM_WAIT_S  # for all of them: their supervisors were started before
        for run in taken:
            if run.server not in running:
                if self._store.take_over(run.job_id, run.server):
                    self._adopt(run.job_id, deadline)
            elif run.phase is Phase.UNKNOWN:
                self._look_for(run)
            elif run.server == self._store.server and run.job_id not in self._running:
                self._require_started(run)
            elif run.phase is Phase.SUSPENDED:
                self._running.obey(run.job_id)
        to_abort = self._store.to_abort()
        for job_id in to_abort:
            self._running.abort(job_id)
        self._watchdog.look(to_abort)
        self._starter.look()
        self.release()

    def _require_started(self, run: Run) -> None:
        """Start or end a job that this server took over, and that no server had started."""
        if local.claimed(self._files.folder(run.job_id)):
            return  # it is being finished
        if self._store.asked(run.job_id).abort:
            if self._store.end(run.job_id, Phase.ABORTED, utcnow(), None, []):
                self.announce(run.job_id)
                self.release(run.job_id)
        elif self._store.move(run.job_id, [Phase.EXECUTING], Phase.QUEUED, started=None, server=None):
            self.wake()

    def _adopt(self, job_id: str, deadline: float) -> None:
        """Adopt a job that was running when its server ended; its supervisor is waited for until the deadline."""
        folder = self._files.folder(job_id)
        while (folder / "launch.json").exists() and not local.claimed(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        handle = local.find(folder)
        if handle is not None:
            LOG.info("job %s still runs: adopted", job_id)
            self._store.stand_still(job_id)
            self._watch(job_id, handle)
            self._running.adopt(job_id)
        elif local.is_elsewhere(folder):
            if self._store.move(job_id, [Phase.EXECUTING, Phase.SUSPENDED], Phase.UNKNOWN):
                LOG.warning("job %s: its supervisor is on another machine, whose server is silent", job_id)
                self.announce(job_id)
        elif local.claimed(folder):
            self._finishers.submit(self._finish, job_id)
        else:  # one that is SUSPENDED waits for RESUME
            self._store.move(job_id, [Phase.EXECUTING], Phase.QUEUED, started=None, server=None)
            self.wake()

    def _look_for(self, run: Run) -> None:
        """Look again for a job whose supervisor was on a machine without a server: it may be here, or have ended."""
        folder = self._files.folder(run.job_id)
        mine = run.server == self._store.server
        handle = local.find(folder)
        if handle is None and not (mine and (local.status(folder) is not None or self._is_overdue(run.job_id))):
            return
        stands = handle is not None and self._store.asked(run.job_id).suspend
        if (mine or self._store.take_over(run.job_id, run.server)) and self._store.move(
            run.job_id, [Phase.UNKNOWN], Phase.SUSPENDED if stands else Phase.EXECUTING
        ):
            self.announce(run.job_id)
            if handle is None:
                self._finishers.submit(self._finish, run.job_id)
            else:
                self._store.stand_still(run.job_id)
                self._watch(run.job_id, handle)
                self._running.adopt(run.job_id)
        elif handle is not None:
            handle.close()

    def _is_overdue(self, job_id: str) -> bool:
        """Whether a job must have ended, wherever it runs."""
        limit = self._store.get(job_id).execution_duration
        return bool(limit) and self._store.seconds_run(job_id, utcnow()) > limit + OVERDUE_S

    def _finish(self, job_id: str) -> None:
        """Register the files that a job left and set its last phase, as soon as disk and database let that be done."""
        try:
            self._registrar.register(job_id, self._watchdog.given_up(job_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
            self._pause(Outage(LOG, f"the end of job {job_id}").failed(error))
            self._persist(lambda: self._register_or_fail(job_id))
        finally:
            self._running.remove(job_id)
            self._watchdog.forget(job_id)
            self.progress.forget(job_id)
            self.announce(job_id)
            self.wake()
            self.release(job_id)

    def _register_or_fail(self, job_id: str) -> None:
        try:
            self._registrar.register(job_id, self._watchdog.given_up(job_id))
        except Exception as error:
            if meaning_of(error):
                raise  # it passes, and what the script made is still there
            LOG.exception("job %s could not be registered", job_id)
            self._store.end(job_id, Phase.ERROR, utcnow(), JobError("the server could not register the results"), [])

    def _persist(self, change: Callable[[], object]) -> None:
        """Make a change in the database, however long that does not answer.

        A change that is not made when the server stops is made by the next one: the job still counts as this server's.
        """
        outage = Outage(LOG, "a change of a job")
        while True:
            try:
                change()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
                if self._stopping:
                    return
                self._pause(outage.failed(error))
            else:
                outage.over()
                return
