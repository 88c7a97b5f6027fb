"""How the supervisor of a job comes to run: what the queue asks for, and the plain way. Imports its neighbours."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from uws_server.execution import local
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed


class Kept(NamedTuple):
    """A process that is kept for the starts of jobs, and the bytes of its memory that are in no file."""

    pid: int
    memory: int


class Handle(Protocol):
    """A supervisor that was started: what the queue may ask of it, wherever it runs. Requests come from any thread."""

    @property
    def fd(self) -> int:
        """The descriptor that becomes readable when the supervisor has ended."""

    def abort(self) -> None:
        """Ask the supervisor to end all processes of its job."""

    def suspend(self) -> None:
        """Ask the supervisor to stop all processes of its job until `resume`."""

    def resume(self) -> None:
        """Ask the supervisor to continue the processes of its job."""

    def kill(self) -> None:
        """End the supervisor at once; it leaves no status."""

    def go_on(self) -> None:
        """Continue the supervisor itself, which something has stopped."""

    def is_stopped(self) -> bool:
        """Check whether something has stopped the supervisor itself."""

    def has_script(self) -> bool:
        """Check whether processes of the job are left, or may be."""

    def has_ended(self) -> bool:
        """Check whether the supervisor has ended."""

    def is_same(self, other: object) -> bool:
        """Check whether another handle stands for the same supervisor."""

    def started(self) -> datetime | None:
        """Return when the supervisor of a job that waited elsewhere began, until `note_started` is called; else None.

        `fd` is readable meanwhile, too.
        """

    def note_started(self) -> None:
        """Take note that the queue knows that the supervisor has begun."""

    def verdict(self) -> GivenUp | None:
        """Return how the job ends where that is not for the status that its supervisor left to say; else None."""

    def close(self) -> None:
        """Release the resources of a supervisor that has ended."""


class Starter(Protocol):
    """Starts the supervisors of jobs for the thread of the queue, and finds those that others have started."""

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> Handle:
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

    def find(self, folder: Path) -> Handle | None:
        """Return the running supervisor of a folder, such as one that an earlier server started; None if none runs."""

    def claimed(self, folder: Path) -> bool:
        """Check whether a supervisor has ever claimed a folder, or will for certain."""

    def number_elsewhere(self) -> int:
        """Return how many jobs wait or run elsewhere, as far as this server watches them."""

    def look(self) -> None:
        """Look after what the starts are made with; called every few seconds."""

    def kept(self) -> list[Kept]:
        """Return the processes that wait for starts; called from any thread."""

    def stop(self) -> None:
        """Release what the starts are made with; the jobs go on."""


class ColdStarter:
    """Starts an interpreter for each supervisor."""

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> Handle:
        """Return the supervisor of a job. Raises OSError if it cannot be started."""
        return local.start(folder)

    def find(self, folder: Path) -> Handle | None:
        """Return the running supervisor of a folder on this machine; None if none runs."""
        return local.find(folder)

    def claimed(self, folder: Path) -> bool:
        """Check whether a supervisor has ever claimed a folder."""
        return local.claimed(folder)

    def number_elsewhere(self) -> int:
        """Return 0: all jobs run here."""
        return 0

    def look(self) -> None:
        """Do nothing: nothing is kept."""

    def kept(self) -> list[Kept]:
        """Return an empty list."""
        return []

    def stop(self) -> None:
        """Do nothing: nothing is kept."""
