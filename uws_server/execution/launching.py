"""Takes jobs out of the queue and starts their supervisors. Imports storage, the configuration and its neighbours."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from uws_server.errors import Forbidden, NotFound
from uws_server.execution.announcing import Announcer
from uws_server.execution.dividing import choose_somewhere, has_room_somewhere
from uws_server.execution.job_secrets import Asking, JobSecrets
from uws_server.execution.persistence import persist
from uws_server.execution.resources import Resources
from uws_server.execution.running import Running
from uws_server.execution.sharing import Sharing
from uws_server.execution.starter import Starter
from uws_server.execution.work import Work
from uws_server.jobs.job import JobError, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.queued_jobs import Candidate, Load

LOG = logging.getLogger(__name__)


class Launcher:
    """Takes and starts jobs, one after the other, in the thread of the queue.

    Parameters
    ----------
    resources
        What the jobs run with.
    secrets
        What knows which secrets a job gets.
    work
        What prepares the folders of jobs.
    starter
        What starts the supervisors.
    running
        The supervisors that are watched.
    announcer
        What tells that a job changed.
    failed
        Called with the id of a job that could not be started, once it has ended.
    stopping
        Set once the server is to stop.
    """

    def __init__(
        self,
        resources: Resources,
        secrets: JobSecrets,
        work: Work,
        starter: Starter,
        running: Running,
        announcer: Announcer,
        failed: Callable[[str], None],
        stopping: threading.Event,
    ) -> None:
        self._store, self._files, self._library = resources.store, resources.files, resources.library
        self._config, self._capacity = resources.config, resources.capacity
        self._secrets, self._work, self._starter = secrets, work, starter
        self._running, self._announcer, self._failed, self._stopping = running, announcer, failed, stopping
        self._sharing = Sharing(resources, work)
        self.is_full = False
        """Whether no place was free, for whichever job, when the queue was examined last, nor one that a part has and
        might give up. What frees one wakes the queue."""

    def take(self) -> bool:
        """Start queued jobs, and let suspended ones go on, while there is room and it is their turn.

        Return whether one that is to go on has no supervisor here: it may never have had one.
        """
        is_one_lost = self.is_full = False
        if self._files.reserve.problem():
            return is_one_lost  # they would fail for want of room
        while self._is_to_take():
            chosen = self._taken()
            places = Counter(one.id for one in chosen)
            taken = [one for one in chosen if not one.grows]
            for number, one in enumerate(taken):
                try:
                    if not one.resumes:
                        self._launch(one.id, places[one.id])
                except Exception:
                    persist(lambda others=taken[number + 1 :]: self._give_back(others), self._stopping)  # type: ignore[misc]
                    raise
                self._announcer.announce(one.id)
                is_one_lost |= not self._running.obey(one.id) and one.resumes
            if not taken:
                break
        self._sharing.tell()
        return is_one_lost

    def _is_to_take(self) -> bool:
        """Look at the queue. Return whether a job may be started, or get a place for one more of its parts."""
        queue = self._store.queue
        demand = queue.demand()
        if not self._sharing.look(demand):
            return False
        may_take = self._sharing.is_contended or has_room_somewhere(
            queue.loads(), self._capacity.limits, self._elsewhere(), self._free_elsewhere()
        )
        self.is_full = not may_take and not self._sharing.has_places
        return may_take

    def seconds_to_next(self) -> float:
        """Return after how many seconds the queue is to be looked at again, though nothing happens."""
        return self._sharing.seconds_to_next()

    def _elsewhere(self) -> set[str]:
        """Return the names of the definitions whose jobs run elsewhere."""
        found = (installed.definition for installed in self._library)
        return {definition.name for definition in found if self._capacity.is_elsewhere(definition)}

    def _free_elsewhere(self) -> int:
        return self._config.slurm.max_jobs - self._starter.number_elsewhere()

    def _taken(self) -> list[Candidate]:
        """Take the jobs whose turn it is."""
        limits = self._capacity.limits_for(installed.definition for installed in self._library)
        chosen: list[Candidate] = []

        def choose_some(queues: Sequence[Iterator[Candidate]], loads: Sequence[Load]) -> Sequence[Candidate]:
            elsewhere = self._elsewhere()
            queues = self._sharing.deal(queues, loads, limits, elsewhere)
            chosen[:] = choose_somewhere(queues, loads, limits, elsewhere, self._free_elsewhere())
            return chosen

        try:
            return self._store.queue.take(choose_some, utcnow())
        except Exception:
            # the change may have been made and the answer lost: the jobs would wait for a supervisor for ever
            persist(lambda: self._give_back(chosen), self._stopping)
            raise

    def _give_back(self, chosen: Sequence[Candidate]) -> None:
        """Put jobs back into the queue that this process may have taken without knowing it."""
        for one in chosen:
            if one.resumes:
                self._running.obey(one.id)
            elif not one.grows:
                self._give_back_one(one.id)

    def _give_back_one(self, job_id: str) -> None:
        self._store.give_back(job_id)
        self._store.on_cluster.give_back(job_id)

    def begin(self, job_id: str, started: datetime) -> None:
        """Record that a job has begun which waited elsewhere for its turn."""
        if self._store.on_cluster.begin(job_id, started):
            self._announcer.announce(job_id)
            self._announcer.observers.job_started(self._store.bare(job_id))

    def _launch(self, job_id: str, places: int) -> None:
        """Start a job that was taken, with so many places.

        Where that fails for want of something, put it back into the queue and raise.
        """
        folder = self._files.folder(job_id)
        try:
            job = self._store.get(job_id)
            installed = self._library.of(job)
            self._files.create(job_id, {})
            if job.phase is Phase.QUEUED and not self._capacity.is_elsewhere(installed.definition):
                self._store.on_cluster.begin(job_id, utcnow())  # that of its revision says so; the live one does not
            values = self._secrets.of(Asking(installed.definition, job.revision, job.owner, job.trial, job.created))
            secrets = self._files.put_secrets(job_id, values) if values else None
            launch = self._work.prepare(job, installed, folder, secrets)
            self._work.share(folder, places)
            self._running.add(job_id, self._starter.start(job, installed, folder, launch))
            if job.phase is not Phase.QUEUED:
                self._announcer.observers.job_started(job)
        except Exception as error:
            self._files.remove_secrets(job_id)
            if meaning_of(error):
                persist(lambda: self._give_back_one(job_id), self._stopping)
                raise
            LOG.exception("job %s cannot be started", job_id)
            told = isinstance(error, NotFound | Forbidden)
            why = JobError(str(error) if told else "the server could not start the script", fatal=False)
            persist(lambda: self._store.end(job_id, Phase.ERROR, utcnow(), why, []), self._stopping)
            self._failed(job_id)
