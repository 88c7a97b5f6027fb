"""The one thread that talks to Slurm for all jobs: it submits, lists, signals and cancels. Imports its neighbours.

Whatever it does, it does to the job with the right comment in a list that is a moment old, because Slurm gives an id
again after a crash. While the controller is away it asks from time to time, and nothing is concluded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from uws_server.execution.arrays import plan
from uws_server.execution.slurm import claims, options, standing, states
from uws_server.execution.slurm import record as records
from uws_server.execution.slurm.commands import SUBMIT_S, Refused, SlurmCommands, SlurmJob, Unreachable
from uws_server.execution.slurm.job import ClusterJob
from uws_server.storage.outages import Outage

LOG = logging.getLogger(__name__)

UNCERTAIN_S = SUBMIT_S + 15.0
"""Seconds after a call of sbatch without an answer before the job is submitted again, if Slurm does not list it."""
_SOON_S = 0.25
"""The least number of seconds between two lists."""
_IDLE_S = 30.0
"""Seconds between two lists while no job is there."""
_PAUSE_S = 5.0
"""Seconds for which nothing is submitted after Slurm could not be reached, or had no room."""
_LINGER_S = 60.0
"""Seconds for which a request is kept for a job that Slurm does not list: the job may be on its way there."""


class Talker:
    """Talks to Slurm.

    Parameters
    ----------
    commands
        The commands of Slurm.
    jobs
        Returns the jobs that are watched.
    learnt
        Called when there is something new about a job.
    interval_s
        Seconds between two lists of all jobs, where nothing is urgent.
    """

    def __init__(
        self,
        commands: SlurmCommands,
        jobs: Callable[[], Sequence[ClusterJob]],
        learnt: Callable[[], None],
        interval_s: float,
    ) -> None:
        self._commands, self._jobs, self._learnt, self._interval_s = commands, jobs, learnt, interval_s
        self._changed = threading.Condition()
        self._asked: dict[str, _Asked] = {}
        self._is_urgent = False
        self._listed_at = -_IDLE_S
        self._list_after = self._submit_after = 0.0
        self._stopping = False
        self._outage = Outage(LOG, "the cluster")
        self.answers: bool | None = None
        """Whether Slurm answered when it was asked last; None before that."""

    def stop(self) -> None:
        """Have `run` return."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def ask_soon(self) -> None:
        """Have Slurm asked for its list soon."""
        with self._changed:
            self._is_urgent = True
            self._changed.notify_all()

    def ask(self, job_id: str, signal: str) -> None:
        """Have the supervisor of a job get a signal as soon as it runs; KILL ends the job, wherever it is."""
        with self._changed:
            self._asked.setdefault(job_id, _Asked()).add(signal)
            self._is_urgent = True
            self._changed.notify_all()

    def is_over(self, job_id: str) -> None:
        """Have a job cancelled that Slurm still runs a while after its supervisor said that it ended."""
        with self._changed:
            self._asked[job_id] = _Asked(time.monotonic() + _LINGER_S)
            self._asked[job_id].add("KILL")

    def wake(self) -> None:
        """Have new jobs submitted now."""
        with self._changed:
            self._changed.notify_all()

    def run(self) -> None:
        """Talk to Slurm until `stop` is called."""
        while not self._stopping:
            try:
                self._submit_new()
                self._list_if_due()
                self._outage.over()
            except Unreachable as error:
                if self.answers is not False:
                    LOG.warning("the cluster does not answer: %s", error)
                self.answers = False
                self._list_after = time.monotonic() + _PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
                self._list_after = self._submit_after = time.monotonic() + self._outage.failed(error)
            self._wait()

    def _wait(self) -> None:
        """Wait until there is something to do."""
        with self._changed:
            while not self._stopping:
                seconds = self._seconds_to_wait()
                if seconds <= 0:
                    return
                self._changed.wait(seconds)

    def _seconds_to_wait(self) -> float:
        jobs = self._jobs()
        interval_s = _SOON_S if self._is_urgent else self._interval_s if jobs else max(self._interval_s, _IDLE_S)
        due = max(self._listed_at + interval_s, self._list_after)
        if self.answers is not False and any(_is_new(job) for job in jobs):
            due = min(due, self._submit_after)
        return due - time.monotonic()

    def _submit_new(self) -> None:
        """Submit what is new, as long as Slurm takes it; a Slurm that does not answer is asked for its list first."""
        if self.answers is False or time.monotonic() < self._submit_after:
            return
        for job in self._jobs():
            if _is_new(job) and not self._stopping:
                try:
                    self._submit(job)
                except Unreachable as error:
                    LOG.warning("job %s: it is not known to be on the cluster: %s", job.id, error)
                    self._submit_after = time.monotonic() + _PAUSE_S
                    self.ask_soon()
                    return

    def _list_if_due(self) -> None:
        """Ask for the list, if it is time, and do what it lets be done."""
        with self._changed:
            interval_s = _SOON_S if self._is_urgent else self._interval_s
            if self._stopping or time.monotonic() < max(self._listed_at + interval_s, self._list_after):
                return
            self._is_urgent = False
        asked_at = self._listed_at = time.monotonic()
        found = self._commands.jobs()
        if self.answers is False:
            LOG.info("the cluster answers again")
        self.answers = True
        listed = [job for job in self._jobs() if not job.is_over]
        for job in listed:
            self._note_tasks(job, found.get(options.mark_of_tasks(job.id), []))
            self._note(job, found.get(job.id, []), asked_at)
        self._learnt()
        self._pass_on(found)
        for job in listed:
            standing.settle(job, self._commands)

    def _submit(self, job: ClusterJob) -> None:
        """Submit a job, having written down that it may have been."""
        if job.record.waits_for_tasks and not self._submit_tasks(job):
            return
        record = job.record
        asked = options.after_tasks(record.options, record.array_id) if record.array_id else record.options
        job.change_record(records.write_lasting, tried=time.time())
        try:
            slurm_id = self._commands.submit(asked, options.script(job.folder))
        except Refused as refused:
            if not refused.may_pass or not self._has_others(job):
                job.refusal = states.refused(str(refused), record.options)
                self._learnt()
                return
            job.change_record(tried=0.0, waits=states.waiting_note(str(refused)))
            self._submit_after = time.monotonic() + _PAUSE_S
            return
        except Unreachable as error:
            waits = states.waiting_note("it does not answer")
            job.change_record(tried=0.0 if error.is_undone else job.record.tried, waits=waits)
            raise
        LOG.info("job %s is job %d of the cluster", job.id, slurm_id)
        job.change_record(records.write_lasting, id=slurm_id, tries=record.tries + 1, waits=states.waiting_note(""))

    def _submit_tasks(self, job: ClusterJob) -> bool:
        """Submit the parts of a job as a job array. Return False if the job itself cannot follow now.

        Where the cluster takes no array of so many tasks, the parts run on one node.
        """
        record = job.record
        job.change_record(records.write_lasting, array_tried=time.time())
        try:
            asked = options.of_tasks(record.options, job.id, record.array)
            array_id = self._commands.submit(asked, options.script_of_tasks(job.folder))
        except Refused as refused:
            if refused.is_of_array:
                LOG.info("job %s: its parts run on one node: %s", job.id, refused)
                job.change_record(array="", array_tried=0.0, options=record.alone)
                return True
            if refused.may_pass and self._has_others(job):
                job.change_record(array_tried=0.0, waits=states.waiting_note(str(refused)))
                self._submit_after = time.monotonic() + _PAUSE_S
                return False
            job.refusal = states.refused(str(refused), record.options)
            self._learnt()
            return False
        except Unreachable as error:
            waits = states.waiting_note("it does not answer")
            job.change_record(array_tried=0.0 if error.is_undone else job.record.array_tried, waits=waits)
            raise
        LOG.info("the parts of job %s are job array %d of the cluster", job.id, array_id)
        (job.folder / plan.TASKS_FILE).touch()
        job.change_record(records.write_lasting, array_id=array_id)
        return True

    def _has_others(self, job: ClusterJob) -> bool:
        return any(other.record.id and not other.is_over for other in self._jobs() if other is not job)

    def _note_tasks(self, job: ClusterJob, found: Sequence[SlurmJob]) -> None:
        """Take note of how the tasks of a job are listed; of two arrays that were submitted by mistake one is kept."""
        record = job.record
        if found and record.waits_for_tasks:
            (job.folder / plan.TASKS_FILE).touch()
            job.change_record(array_id=min(each.array for each in found))
        elif record.waits_for_tasks and record.array_tried and abs(time.time() - record.array_tried) > UNCERTAIN_S:
            job.change_record(array_tried=0.0)
        job.tasks = [each for each in found if each.array == job.record.array_id]
        for array in {each.array for each in found if each not in job.tasks and not states.has_ended(each)}:
            LOG.warning("the parts of job %s are there twice: %d is cancelled", job.id, array)
            self._commands.cancel(array)

    def _note(self, job: ClusterJob, found: Sequence[SlurmJob], asked_at: float) -> None:
        """Take note of how a job is listed; of two that were submitted by mistake one is kept."""
        kept = _most_alive(found, job.record.id)
        for each in found:
            if each is not kept and not states.has_ended(each):
                LOG.warning("job %s is there twice: %d is cancelled", job.id, each.id)
                self._commands.cancel(each.id)
        if kept is not None:
            first = next((task for task in job.tasks if task.state in states.WAITING), kept)
            waits = states.waiting_note(first.reason) if kept.state in states.WAITING else ""
            before = job.record.restarts if claims.time_of(job.folder) else kept.restarts
            job.change_record(id=kept.id, node=kept.node, waits=waits, restarts=before)
            job.list(kept, asked_at)
        elif job.record.id:
            job.list(None, asked_at)
        elif job.record.tried and abs(time.time() - job.record.tried) > UNCERTAIN_S:
            job.change_record(tried=0.0)

    def _pass_on(self, found: dict[str, list[SlurmJob]]) -> None:
        """Send the signals that were asked for to the jobs that can get them."""
        with self._changed:
            waiting = list(self._asked.items())
        for job_id, asked in waiting:
            if time.monotonic() < asked.not_before:
                continue
            marks = (job_id, options.mark_of_tasks(job_id))
            alive = [each for mark in marks for each in found.get(mark, []) if not states.has_ended(each)]
            self._send(alive, asked)
            with self._changed:
                is_done = not asked.signals if alive else time.monotonic() - asked.since > _LINGER_S
                if is_done and self._asked.get(job_id) is asked:
                    del self._asked[job_id]

    def _send(self, alive: Sequence[SlurmJob], asked: _Asked) -> None:
        """Send the signals that a job is to get, to itself or to the tasks that run its parts."""
        if "KILL" in asked.signals and alive:
            for slurm_id in dict.fromkeys(each.array for each in alive):
                self._commands.cancel(slurm_id)
            asked.signals.clear()
        running = [each for each in alive if each.state == "RUNNING"]
        if "TERM" in asked.signals and running:
            for array in {each.array for each in alive if each.state == "PENDING"}:
                self._commands.cancel_waiting(array)
            for each in running:
                self._commands.signal(each.id, "TERM")
            asked.signals.discard("TERM")


class _Asked:
    """The signals that a job is to get: TERM, or KILL, which ends it wherever it is."""

    def __init__(self, not_before: float = 0.0) -> None:
        self.signals: set[str] = set()
        self.since, self.not_before = time.monotonic(), not_before

    def add(self, signal: str) -> None:
        """Add a signal."""
        self.since = time.monotonic()
        self.signals.add(signal)


def _is_new(job: ClusterJob) -> bool:
    """Whether a job is to be submitted: it is not known to have been, and is not to end."""
    record = job.record
    if record.waits_for_tasks and record.array_tried:
        return False
    return not (job.is_over or job.is_to_end or job.refusal or record.tried or record.id)


def _most_alive(found: Sequence[SlurmJob], known: int) -> SlurmJob | None:
    """Of jobs with the same comment the one that runs, or waits, or has ended; among equals the one that is known."""

    def rank(job: SlurmJob) -> tuple[int, bool, int]:
        alive = 2 if job.state in states.RUNNING else 1 if job.state in states.WAITING else 0
        return alive, job.id == known, -job.id

    return max(found, key=rank, default=None)
