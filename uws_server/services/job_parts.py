"""The parts of jobs that are spread over a parameter: a page of them, and their logs. No right is checked.

Those of a job that has ended stand in the database, those of one that runs in its folder. Imports storage and
execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uws_server.errors import NotFound, counted
from uws_server.execution import declared
from uws_server.execution.arrays import listing, plan
from uws_server.jobs.job import Job
from uws_server.jobs.part import Part
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

GATHERED = plan.GATHERED_FOLDER
"""What names the last script of a job in the place of the number of a part."""
MOST_SHOWN = 100
"""Parts that a page or a document shows at once."""
_FIRST = {Phase.ERROR: 0, Phase.ABORTED: 1, Phase.UNKNOWN: 1, Phase.EXECUTING: 2}
"""The order of parts in a list by their phase: those that failed, those that run, then all others."""


@dataclass(frozen=True)
class PartPage:
    """Some parts of a job: `first` is the position of the first one, from 0; the others count all of them."""

    parts: tuple[Part, ...]
    first: int
    total: int
    ended: int
    failed: int

    @property
    def previous(self) -> int | None:
        """The position at which the page before this one begins; None for the first page."""
        return max(0, self.first - MOST_SHOWN) if self.first else None

    @property
    def following(self) -> int | None:
        """The position at which the next page begins; None for the last page."""
        after = self.first + len(self.parts)
        return after if self.parts and after < self.total else None


class JobParts:
    """Parts of jobs, which whoever asks may see."""

    def __init__(self, store: JobStore, files: JobFiles) -> None:
        self._store, self._files = store, files

    def page(self, job: Job, first: int = 0, most: int = MOST_SHOWN) -> PartPage | None:
        """Return at most so many parts from position `first` on, those that failed first; None for no array."""
        if job.phase in ENDED:
            if job.parts is None:
                return None
            found = self._store.parts.page(job.id, first, most)
            return PartPage(tuple(found), first, job.parts.total, job.parts.total, job.parts.failed)
        folder = self._files.folder(job.id)
        parts = sorted(listing.of_running(folder), key=lambda part: (_FIRST.get(part.phase, 3), part.number))
        if not parts:
            return None
        failed = sum(part.phase in (Phase.ERROR, Phase.ABORTED) for part in parts)
        ended = sum(part.phase in ENDED for part in parts)
        return PartPage(tuple(self._staged(folder, parts[first : first + most])), first, len(parts), ended, failed)

    def is_array(self, job: Job) -> bool:
        """Check whether a job has parts; one that is being started may not have them yet."""
        return job.parts is not None or (self._files.folder(job.id) / plan.PLAN_FILE).exists()

    def failed(self, job: Job) -> Sequence[Part]:
        """Return the parts of an ended job that are not COMPLETED."""
        return self._store.parts.failed(job.id) if job.parts is not None else ()

    def log(self, job: Job, name: str, offset: int = 0, most: int = 1 << 20) -> bytes:
        """Return a piece of what a part printed, which is named by its number, or the last script ('gathered').

        Raise NotFound for no part of the job.
        """
        if name != GATHERED:
            self._require(job, int(name))
        return self._files.log(job.id, f"{_folder_of(name)}/job.log", offset, most)

    def products(self, job: Job, number: int) -> list[Path]:
        """Return the files that a COMPLETED part has left, by name, also before the job has ended.

        Raise NotFound for no part of the job, or one that is not COMPLETED.
        """
        self._require(job, number)
        folder = self._files.folder(job.id)
        if job.phase not in ENDED:
            part = listing.of_running(folder)[number - 1]
            if part.phase is not Phase.COMPLETED:
                raise NotFound(f"part {number} of job {job.id} is {part.phase}: it has no products yet")
        return declared.files(folder / plan.folder_of(number))

    def file(self, number: int, name: str) -> str:
        """Return the place of a file of a part among the results of its job."""
        return f"{plan.folder_of(number)}/results/{name}"

    def _require(self, job: Job, number: int) -> None:
        if job.phase in ENDED:
            total = job.parts.total if job.parts else 0
        else:
            total = len(listing.of_running(self._files.folder(job.id)))
        if not 1 <= number <= total:
            raise NotFound(f"job {job.id} has {counted(total, 'part')}, none of number {number}")

    def _staged(self, folder: Path, parts: Sequence[Part]) -> list[Part]:
        """The parts, with the stage of those that run."""
        return [
            replace(part, stage=listing.last_stage(folder / plan.folder_of(part.number)))
            if part.phase is Phase.EXECUTING
            else part
            for part in parts
        ]


def _folder_of(name: str) -> str:
    return name if name == GATHERED else plan.folder_of(int(name))
