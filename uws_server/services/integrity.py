"""Checks that the files of jobs are still what the server registered: size and SHA-256 of every result, no file more.

Every file is read completely, in large pieces. Imports the values and storage.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uws_server.errors import NotFound
from uws_server.jobs.job import Filter, Job, Result
from uws_server.jobs.phases import ENDED
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

_PIECE = 1 << 22

Progress = Callable[[int], None]
"""Called with the number of bytes of each piece that was read."""


@dataclass(frozen=True)
class Finding:
    """A file that is not as it was registered: `what` is missing, changed or extra, `why` says it in words."""

    what: str
    job: str
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.what:8} {self.job}  {self.name}  {self.why}"


@dataclass
class Tally:
    """How much was looked at so far."""

    jobs: int = 0
    files: int = 0
    bytes: int = 0


def examine(
    store: JobStore, files: JobFiles, tally: Tally, grown: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """Yield a finding for each wrong file of every ended job, newest job first; `grown` is called as `tally` grows."""
    for summary in store.summaries(Filter()):
        if summary.phase not in ENDED:
            continue
        try:
            job = store.get(summary.id)
        except NotFound:
            continue  # deleted meanwhile
        tally.jobs += 1
        found = list(_of_job(job, files.folder(job.id), tally, grown))
        if found and _is_gone(store, job):
            continue
        yield from found


def _is_gone(store: JobStore, job: Job) -> bool:
    """Check whether a job was deleted, or its files, while they were looked at."""
    try:
        return store.get(job.id).results != job.results
    except NotFound:
        return True


def _of_job(job: Job, folder: Path, tally: Tally, grown: Callable[[], None]) -> Iterator[Finding]:
    for result in job.results:
        tally.files += 1

        def count(size: int) -> None:
            tally.bytes += size
            grown()

        what, why = _compared(folder / result.file, result, count)
        if what:
            yield Finding(what, job.id, result.file, why)
        grown()
    registered = {result.file for result in job.results}
    for below in ("results", *_results_of_parts(folder)):
        for place in _plain_files(folder, below):
            if place not in registered:
                yield Finding("extra", job.id, place, "no result of the job")


def _results_of_parts(folder: Path) -> Iterator[str]:
    """Yield the folders of the results of each part of a job, and of the script that gathers them."""
    for pattern in ("parts/[0-9]*/results", "gathered/results"):
        yield from sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if not path.is_symlink())


def _plain_files(folder: Path, below: str) -> Iterator[str]:
    """Yield the plain files of a part of a folder, by their path; a script makes them as deep as it likes."""
    todo = [below]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError), os.scandir(folder / parent) as found:
            entries = sorted(found, key=lambda entry: entry.name)
            folders = [f"{parent}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
            todo += reversed(folders)
            yield from (f"{parent}/{entry.name}" for entry in entries if entry.is_file(follow_symlinks=False))


def _compared(path: Path, result: Result, count: Progress) -> tuple[str, str]:
    """Return what is wrong with the file of a result, and why; two empty texts if nothing is."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return "changed", "no plain file any more"
        if status.st_size != result.size:
            return "changed", f"{status.st_size} bytes instead of {result.size}"
        digest = _sha256(path, count)
    except FileNotFoundError:
        return "missing", f"{result.size} bytes, sha256 {result.sha256}"
    except OSError as error:
        return "changed", f"cannot be read: {error.strerror or error}"
    return ("changed", f"sha256 {digest} instead of {result.sha256}") if digest != result.sha256 else ("", "")


def _sha256(path: Path, count: Progress) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            count(len(piece))
    return digest.hexdigest()
