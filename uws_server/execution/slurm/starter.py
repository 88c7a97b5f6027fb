"""Gives jobs to the cluster, and finds those that were given to it before. Imports the configuration, jobs and storage.

Two threads serve all jobs: one looks at files, the other one talks to Slurm, which may take its time to answer. Both
begin with the first job.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uws_server.config import Config
from uws_server.execution.arrays import plan, planning, sharing
from uws_server.execution.slurm import options
from uws_server.execution.slurm import record as records
from uws_server.execution.slurm.commands import SlurmCommands
from uws_server.execution.slurm.job import ClusterJob
from uws_server.execution.slurm.looking import Looker
from uws_server.execution.slurm.record import Record
from uws_server.execution.slurm.talking import Talker
from uws_server.execution.starter import Kept
from uws_server.jobs.definition import Control
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed
from uws_server.storage.outages import Outage

LOG = logging.getLogger(__name__)

_LOOK_S, _LOOK_EACH_S, _LOOK_MOST_S = 0.03, 0.0005, 1.0
"""Seconds between two looks at the files of all jobs: at the least, more for each job, at the most."""


_STOP_S = 3.0
"""Seconds for which the end of a thread is waited for."""


class SlurmStarter:
    """The jobs of a server on the cluster; `was_asked` returns whether the abortion of a job was asked for."""

    def __init__(self, config: Config, was_asked: Callable[[str], bool]) -> None:
        self._config = config
        self._jobs: dict[str, list[ClusterJob]] = {}
        """The handles of each job, in the order in which they were asked for: the first one learns of it."""
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._commands = SlurmCommands(os.environ)
        self._talker = Talker(self._commands, self.jobs, self._woken.set, config.slurm.squeue_interval)
        self._looker = Looker(self._talker, was_asked)
        self._threads: list[threading.Thread] = []

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> ClusterJob:
        """Return the job, which is submitted in a moment. Raise OSError if its record cannot be written."""
        folder = folder.resolve()
        record = records.read(folder)  # of one that was given back by a server that had submitted it, or may have
        if record is None:
            record = self._new_record(job, installed.definition.control, folder)
            records.write(folder, record)
        return self._watch(ClusterJob(job.id, folder, record, self))

    def _new_record(self, job: Job, control: Control, folder: Path) -> Record:
        """Return how a job is to be submitted: one of several parts as a job array, if no input is to be fetched."""
        settings = self._config.slurm
        if not (folder / plan.PLAN_FILE).exists():
            return Record(options.of_job(job, control, settings, folder))
        parts = len(plan.read(folder).inputs)
        most = [settings.array_width, control.max_running, self._config.accounts.max_running_owner]
        width = min(parts, *(each for each in most if each))
        sharing.tell(folder, width)
        alone = options.of_job(job, control, settings, folder, width)
        if parts == 1 or planning.fetches(folder):
            return Record(alone)
        return Record(options.of_job(job, control, settings, folder), array=f"1-{parts}%{width}", alone=alone)

    def find(self, folder: Path) -> ClusterJob | None:
        """Return the job of a folder, if it was given to the cluster, and whether or not it has ended; else None."""
        folder = folder.resolve()
        record = records.read(folder)
        if record is None:
            return None
        if not (record.id or record.tried or record.array_tried):  # who wrote that may be submitting it at this moment
            now = time.time()
            record = dataclasses.replace(record, tried=0.0 if record.array else now, array_tried=now)
        return self._watch(ClusterJob(folder.name, folder, record, self))

    def claimed(self, folder: Path) -> bool:
        """Check whether a job was given to the cluster, or will be."""
        return records.is_there(folder)

    def look(self) -> None:
        """Do nothing: the threads do what there is to do."""

    def kept(self) -> list[Kept]:
        """Return an empty list."""
        return []

    def stop(self) -> None:
        """End the threads; the jobs go on. Slurm is not waited for for long: what it is doing is written down."""
        self._stopping = True
        self._talker.stop()
        self._woken.set()
        for thread in self._threads:
            thread.join(_STOP_S)

    def missing(self) -> list[str]:
        """Return those programs of Slurm that are not there."""
        return self._commands.missing()

    def answers(self) -> bool | None:
        """Return whether Slurm answered when it was asked last; None where it was not asked yet."""
        return self._talker.answers

    def jobs(self) -> list[ClusterJob]:
        """Return the jobs that are watched."""
        with self._lock:
            return [handles[0] for handles in self._jobs.values()]

    def ask(self, job_id: str, signal: str) -> None:
        """Have the supervisor of a job get a signal, as soon as it runs; KILL ends the job, wherever it is."""
        self._talker.ask(job_id, signal)

    def ask_soon(self) -> None:
        """Have Slurm asked for its list soon."""
        self._talker.ask_soon()

    def wake(self) -> None:
        """Have all jobs looked at now."""
        self._woken.set()

    def leave(self, job: ClusterJob) -> None:
        """Watch a job no more, unless there is another handle of it, which learns of it from now on."""
        with self._lock:
            handles = self._jobs.get(job.id, [])
            handles[:] = [handle for handle in handles if handle is not job]
            if not handles:
                self._jobs.pop(job.id, None)

    def begin(self) -> None:
        """Start the threads, if they do not run."""
        with self._lock:
            if not self._threads and not self._stopping:
                self._threads = [
                    threading.Thread(target=self._look_at_files, name="slurm-files", daemon=True),
                    threading.Thread(target=self._talker.run, name="slurm", daemon=True),
                ]
                for thread in self._threads:
                    thread.start()

    def _watch(self, job: ClusterJob) -> ClusterJob:
        """Watch a job, unless it is watched: whoever asks once more gets a handle that learns nothing until then."""
        with self._lock:
            self._jobs.setdefault(job.id, []).append(job)
        self.begin()
        self._talker.wake()
        self._woken.set()
        return job

    def _look_at_files(self) -> None:
        outage = Outage(LOG, "the watch over jobs on the cluster")
        while not self._stopping:
            jobs = self.jobs()
            pause_s = min(_LOOK_S + _LOOK_EACH_S * len(jobs), _LOOK_MOST_S) if jobs else 3600.0
            failures = [error for job in jobs if (error := self._failure_to_look_at(job))]
            if failures:
                pause_s = outage.failed(failures[0])
            else:
                outage.over()
            self._woken.wait(pause_s)
            self._woken.clear()

    def _failure_to_look_at(self, job: ClusterJob) -> Exception | None:
        """Look at a job. Return what kept it from being looked at, which keeps no other one from it."""
        try:
            self._looker.look(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
            return error
        return None
