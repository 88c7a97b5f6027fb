"""The work of a job on disk: how its folder is made before it runs, and what is found there once it has ended.

Imports storage, jobs and its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from uws_server.config import Config
from uws_server.execution import job_steps, local, products, staging
from uws_server.execution.hashes import Hashes
from uws_server.execution.job_steps import EndedJob
from uws_server.execution.products import Products
from uws_server.jobs.job import Job
from uws_server.jobs.part import Held, Part
from uws_server.storage.library import Installed


@dataclass(frozen=True)
class Outcome:
    """What a job left: its products, the warning with which it is COMPLETED ('' for none), its parts, if it has any.

    `reason` is why its script failed, where what it printed does not say so.
    """

    products: Products
    warning: str = ""
    parts: tuple[Part, ...] = ()
    reason: str = ""


class Work(Protocol):
    """Makes the folders of jobs, and reads them."""

    def prepare(self, job: Job, installed: Installed, folder: Path, secrets: Path | None = None) -> dict[str, Any]:
        """Prepare the folder of a job that is about to run; `secrets` is that of what it was given, None for nothing.

        Return the content of its `launch.json`.
        """

    def share(self, folder: Path, places: int) -> None:
        """Tell a job, which runs or is prepared, how many of its parts may run at a time; no part is ended for that."""

    def held(self, folder: Path) -> Held | None:
        """Return how many places a job holds, having heard what it was told last; None before that, or without parts.

        It begins no part beyond that unless it is told that it may.
        """

    def outcome(self, ended: EndedJob, status: local.Status | None) -> Outcome:
        """Return what a job left whose supervisor has ended; `status` is None if that was killed."""


@dataclass(frozen=True)
class SingleWork:
    """The work of jobs that run their script once."""

    config: Config
    base_url: str

    def prepare(self, job: Job, installed: Installed, folder: Path, secrets: Path | None = None) -> dict[str, Any]:
        """Prepare the folder of a job that is about to run; `secrets` is that of what it was given, None for nothing.

        Return the content of its `launch.json`.
        """
        return staging.prepare(job, installed, folder, self.config, self.base_url, secrets)

    def share(self, folder: Path, places: int) -> None:
        """Do nothing: such a job has no parts."""

    def held(self, folder: Path) -> Held | None:
        """Return None: such a job has no parts."""
        return None

    def outcome(self, ended: EndedJob, status: local.Status | None) -> Outcome:
        """Return what a job left whose supervisor has ended."""
        digest_of = Hashes(self.config.folders.data).of
        found = products.collect(ended.job, ended.definition, ended.folder, ended.results_url, ended.ended, digest_of)
        return Outcome(found, job_steps.warning_of(ended.definition, status))
