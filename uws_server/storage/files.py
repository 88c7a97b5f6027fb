"""The folders of the jobs on disk: inputs, logs, results. Imports the errors only.

    <data>/jobs/<ab>/<id>/parameters.json   what the script gets
                          inputs/           uploaded files
                          results/          what the script made
                          job.log           what it printed (stdout.log and stderr.log: each alone)
    <data>/incoming/                        uploads on their way

A job has a folder from its first upload on, at the latest when it is started: most of the time that it takes to make a
job would go into three empty folders. A folder is complete before its job is in the database; one without a job is left
from a crash and is swept.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from uws_server.errors import NotFound
from uws_server.storage.plainfiles import opened

STEPS_FILE = "steps.json"
"""The steps of a job, in its folder: those of its inputs, then its own."""

HELPERS_FILE = "helpers.json"
"""Where the command uws-result notes what it was told (`reduction.shell`)."""

OURS = frozenset(
    {"parameters.json", "launch.json", "fetch.json", "status.json", "shepherd.json", "shepherd.err", STEPS_FILE}
    | {"job.log", "stdout.log", "stderr.log", "script.sh", "notes.json", HELPERS_FILE}
)
"""Files in the folder of a job that are the server's own: never results."""

PROTECTED = OURS - {STEPS_FILE, HELPERS_FILE, "script.sh", "status.json"}
"""Those that a script in a sandbox cannot change: all but what it may write, and what is written after its end."""

_SAFE = re.compile(r"[^A-Za-z0-9._+-]")
_ID = re.compile(r"[0-9a-f]{32}")
_AT_ONCE = 500
"""Folders that the database is asked about at once."""


class JobFiles:
    """The job folders below the data folder."""

    def __init__(self, data: Path) -> None:
        data = data.absolute()  # scripts run in other folders
        self.jobs = data / "jobs"
        self.incoming = data / "incoming"
        for folder in (self.jobs, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def folder(self, job_id: str) -> Path:
        """The folder of a job, whether or not it is there."""
        if not _ID.fullmatch(job_id):
            raise NotFound(f"no job {job_id[:40]!r}")
        return self.jobs / job_id[:2] / job_id

    def place(self, job_id: str, file: str) -> str:
        """Where a file of a job that the database knows lies, as text: a table of all results asks for thousands."""
        return f"{self.jobs}/{job_id[:2]}/{job_id}/{file}"

    def create(self, job_id: str, uploads: Mapping[str, Path]) -> Path:
        """Make a job's folder, if need be, and move uploads into it; `uploads` maps places below it to files."""
        folder = self.folder(job_id)
        for place in ("inputs", "results"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        for place, path in uploads.items():
            path.rename(folder / place)
        return folder

    def delete(self, job_id: str) -> None:
        """Remove a job's folder: out of sight at once, then from disk."""
        doomed = self.incoming / f"deleted-{job_id}-{time.monotonic_ns()}"
        folder = self.folder(job_id)
        _open_up(folder)  # a folder that is read-only cannot be moved
        with contextlib.suppress(FileNotFoundError):  # deleted already, or by another thread meanwhile
            folder.rename(doomed)
            _remove(doomed)

    def spool(self) -> Path:
        """A new empty file for an upload on its way."""
        handle, name = tempfile.mkstemp(dir=self.incoming, prefix="upload-")
        os.close(handle)
        return Path(name)

    def log(self, job_id: str, name: str, offset: int, most: int) -> bytes:
        """At most `most` bytes of a log from `offset` on; empty where there is nothing (yet)."""
        try:
            with (self.folder(job_id) / name).open("rb") as stream:
                stream.seek(offset)
                return stream.read(most)
        except FileNotFoundError:
            return b""

    def read(self, job_id: str, name: str, most: int) -> bytes:
        """Return what a script left in a file, at most `most` bytes of it. Raise OSError if that is no plain file."""
        with opened(self.folder(job_id) / name) as stream:
            return stream.read(most)

    def sweep(self, known: Callable[[Collection[str]], Collection[str]], older_than: float) -> int:
        """Remove folders and uploads that belong to no job and are older than `older_than` seconds; count them.

        `known` says which of some ids are jobs. Anything that is not named as a job's folder is left alone: somebody
        else put it there.
        """
        limit = time.time() - older_than
        removed = sum(_remove(path) for path in list(self.incoming.iterdir()) if _changed(path) < limit)
        folders = self._folders()
        while some := {path.name: path for path in itertools.islice(folders, _AT_ONCE)}:
            orphans = some.keys() - set(known(some.keys()))
            removed += sum(_remove(some[name]) for name in orphans if _changed(some[name]) < limit)
        return removed

    def _folders(self) -> Iterator[Path]:
        for part in self.jobs.glob("[0-9a-f][0-9a-f]"):
            if part.is_dir():
                yield from (Path(entry) for entry in os.scandir(part) if _ID.fullmatch(entry.name))


def _changed(path: Path) -> float:
    """When a path was last changed; infinity for one that has gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _remove(path: Path) -> bool:
    """Remove a file or a folder, also one that a script made read-only; say whether it has gone."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return True
    _open_up(path)
    for parent, folders, _ in os.walk(path):
        for name in folders:  # before the walk goes into it
            _open_up(Path(parent, name))
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _open_up(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)


def copy(source: Path, target: Path) -> None:
    """Copy a file that a script which still runs may have touched; OSError where it is no plain file."""
    with opened(source) as content, target.open("wb") as stream:
        shutil.copyfileobj(content, stream, 1 << 20)


def write_bytes(path: Path, content: bytes) -> None:
    """Write so that a reader finds the old file or the whole new one: beside, fsync, rename."""
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON, the whole of it or nothing."""
    write_bytes(path, json.dumps(content).encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that the server wrote; empty where there is none or it is spoiled."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def size_of(folder: Path) -> int:
    """Bytes of the plain files below a folder; what goes away meanwhile does not count."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(parent) / name).lstat().st_size
    return size


def safe_name(name: str) -> str:
    """A file name from elsewhere made fit for this disk: no folders, no control characters, not hidden."""
    last = name.replace("\\", "/").rpartition("/")[2]
    cleaned = _SAFE.sub("_", last).lstrip(".-")
    return cleaned[-120:].lstrip(".-") or "upload"  # the end of a long name is kept: it says what the file is
