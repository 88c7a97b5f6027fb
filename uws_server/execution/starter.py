"""How the supervisor of a job comes to run: what the queue asks for, and the plain way. Imports its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from uws_server.execution import local
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed


class Kept(NamedTuple):
    """A process that is kept for the starts of jobs, and the bytes of its memory that are in no file."""

    pid: int
    memory: int


class Starter(Protocol):
    """Starts the supervisors of jobs for the thread of the queue."""

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> local.Handle:
        """Return the supervisor of a job. Raise OSError if it cannot be started.

        Parameters
        ----------
        job
            The job.
        installed
            Its definition, with the script.
        folder
            The folder of the job, which was prepared.
        launch
            The content of its `launch.json`.
        """

    def look(self) -> None:
        """Look after what the starts are made with; called every few seconds."""

    def kept(self) -> list[Kept]:
        """Return the processes that wait for starts; called from any thread."""

    def stop(self) -> None:
        """Release what the starts are made with; the jobs go on."""


class ColdStarter:
    """Starts an interpreter for each supervisor."""

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> local.Handle:
        """Return the supervisor of a job. Raises OSError if it cannot be started."""
        return local.start(folder)

    def look(self) -> None:
        """Do nothing: nothing is kept."""

    def kept(self) -> list[Kept]:
        """Return an empty list."""
        return []

    def stop(self) -> None:
        """Do nothing: nothing is kept."""
