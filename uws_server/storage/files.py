"""The folders of the jobs on disk: inputs, logs, results. Imports the errors only.

    <data>/jobs/<ab>/<id>/parameters.json   what the script gets
                          inputs/           uploaded files
                          results/          what the script made
                          job.log           what it printed (stdout.log and stderr.log: each alone)
                     .<id>.claim            while it runs: the claim of its supervisor, a second time
    <data>/secrets/<id>/                    what a job that runs was given for other services
    <data>/incoming/                        uploads on their way
    <data>/reserve                          bytes for deletions on a full disk

A job has a folder from its first upload on, at the latest when it is started: three empty folders would take most of
the time that it takes to make a job. A folder is complete before its job is in the database; a folder without a job was
left by a crash and is swept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uws_server.errors import NotFound
from uws_server.storage.plainfiles import NotPlain, claim_beside, opened, write_bytes
from uws_server.storage.reserve import Reserve

STEPS_FILE = "steps.json"
"""The steps of a job, in its folder: those of its inputs, then its own."""

SLURM_FILE = "slurm.json"
"""Where the server notes the place of a job on a cluster, in its folder."""

HELPERS_FILE = "helpers.json"
"""Where the command uws-result notes its arguments (`reduction.shell`)."""

OURS = frozenset(
    {"parameters.json", "launch.json", "fetch.json", "status.json", "shepherd.json", "shepherd.err", SLURM_FILE}
    | {"job.log", "stdout.log", "stderr.log", "script.sh", "notes.json", "usage.json", HELPERS_FILE, STEPS_FILE}
)
"""Files in the folder of a job that are the server's own: never results."""

PROTECTED = OURS - {STEPS_FILE, HELPERS_FILE, "script.sh", "status.json", "usage.json"}
"""Files that a script in a sandbox cannot change: all but those it may write, and those of the supervisor."""

_SAFE = re.compile(r"[^A-Za-z0-9._+-]")
_ID = re.compile(r"[0-9a-f]{32}")
_ENTRY = re.compile(r"([0-9a-f]{32})|\.([0-9a-f]{32})\.claim")
_DEEPEST, _LONGEST = 32, 2000
"""How many folders deep, and how long, a path may be that is removed where it lies."""
_SMALL = 1 << 12
_MOST_JSON = 1 << 26
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES)
_AT_ONCE = 500
"""Folders that one query asks the database about."""


class JobFiles:
    """The job folders below the data folder."""

    def __init__(self, data: Path, reserve: int = 0) -> None:
        data = data.absolute()  # scripts run in other folders
        self.jobs = data / "jobs"
        self.incoming = data / "incoming"
        self._secrets = data / "secrets"
        for folder in (self.jobs, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)
        self.reserve = Reserve(data, reserve)

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job, whether or not it exists. Raise NotFound for what is no id of a job."""
        if not _ID.fullmatch(job_id):
            raise NotFound(f"no job {job_id[:40]!r}")
        return self.jobs / job_id[:2] / job_id

    def path_text(self, job_id: str, file: str) -> str:
        """Return the path of a file of a known job as text, quickly: a table of all results asks for thousands."""
        return f"{self.jobs}/{job_id[:2]}/{job_id}/{file}"

    def create(self, job_id: str, uploads: Mapping[str, Path]) -> Path:
        """Make a job's folder, if need be, and move uploads into it; `uploads` maps places below it to files."""
        folder = self.folder(job_id)
        for name in ("inputs", "results"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for place, path in uploads.items():
            path.rename(folder / place)
        return folder

    def put_secrets(self, job_id: str, values: Mapping[str, bytes]) -> Path:
        """Write secrets for a job that is about to run, each into a file of its name, and return their folder."""
        self.remove_secrets(job_id)
        folder = self._secrets / self.folder(job_id).name
        self._secrets.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        for name, value in values.items():
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(handle, "wb") as stream:
                stream.write(value)
        return folder

    def remove_secrets(self, job_id: str) -> None:
        """Remove what a job was given; nothing happens where there is none of it."""
        _remove(self._secrets / self.folder(job_id).name)

    def sweep_secrets(self, running: Callable[[], Collection[str]]) -> None:
        """Remove what was given to jobs that are none of the `running` ones: a server was killed with its jobs."""
        with contextlib.suppress(FileNotFoundError):
            given = {path.name for path in self._secrets.iterdir()}
            for job_id in given - set(running() if given else ()):
                _remove(self._secrets / job_id)

    def delete(self, job_id: str) -> None:
        """Remove a job's folder: out of sight at once, then from disk."""
        doomed = self.incoming / f"deleted-{job_id}-{time.monotonic_ns()}"
        folder = self.folder(job_id)
        claim_beside(folder).unlink(missing_ok=True)
        _open_up(folder)  # a folder that is read-only cannot be moved
        try:
            folder.rename(doomed)
        except FileNotFoundError:  # deleted already, or by another thread meanwhile
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            doomed = folder  # not even the new name fits on the disk
        _remove(doomed)

    def spool(self) -> Path:
        """Return a new empty file for an upload on its way. Raise DiskFull where nothing new is taken."""
        self.reserve.require()
        handle, name = tempfile.mkstemp(dir=self.incoming, prefix="upload-")
        os.close(handle)
        return Path(name)

    def has_room(self) -> bool:
        """Check whether a small file can be written on the disk of the jobs now."""
        try:
            with tempfile.TemporaryFile(dir=self.incoming) as stream:
                stream.write(bytes(_SMALL))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            return error.errno not in (errno.ENOSPC, errno.EDQUOT)
        return True

    def log(self, job_id: str, name: str, offset: int, most: int) -> bytes:
        """Return at most `most` bytes of a log from `offset` on; empty if there is nothing (yet).

        What a script put in the place of a log has nothing: a pipe would be waited for, a link leads anywhere.
        """
        try:
            with opened(self.folder(job_id) / name) as stream:
                stream.seek(offset)
                return stream.read(most)
        except NotPlain:
            return b""
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return b""

    def size_of_log(self, job_id: str, name: str) -> int:
        """Return how many bytes a log has; 0 if there is none (yet)."""
        try:
            status = (self.folder(job_id) / name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def size_of_files(self, job_id: str, places: Iterable[str]) -> int:
        """Return the bytes of some files of a job; what is not there does not count."""
        size = 0
        for place in places:
            with contextlib.suppress(OSError):
                size += (self.folder(job_id) / place).lstat().st_size
        return size

    def time_of(self, job_id: str, name: str) -> int:
        """Return when a file of a job was changed last, in nanoseconds; 0 if there is none (yet)."""
        try:
            return (self.folder(job_id) / name).lstat().st_mtime_ns
        except OSError:
            return 0

    def read(self, job_id: str, name: str, most: int) -> bytes:
        """Return what a script left in a file, at most `most` bytes of it. Raise OSError if that is no plain file."""
        with opened(self.folder(job_id) / name) as stream:
            return stream.read(most)

    def sweep(self, known: Callable[[Collection[str]], Collection[str]], older_than: float) -> int:
        """Remove what belongs to no job, such as folders, and is older than `older_than` seconds; return how many.

        `known` returns those of some ids that are jobs. Anything that is not named as a job's folder is left alone:
        somebody else put it there.
        """
        limit = time.time() - older_than
        removed = sum(_remove(path) for path in list(self.incoming.iterdir()) if _changed(path) < limit)
        entries = self._entries()
        while part := list(itertools.islice(entries, _AT_ONCE)):
            jobs = set(known({job_id for job_id, _ in part}))
            orphans = [path for job_id, path in part if job_id not in jobs]
            removed += sum(_remove(path) for path in orphans if _changed(path) < limit)
        return removed

    def _entries(self) -> Iterator[tuple[str, Path]]:
        """The folders of jobs, and the claims beside them, each with the id of its job."""
        for parent in self.jobs.glob("[0-9a-f][0-9a-f]"):
            if parent.is_dir():
                for entry in os.scandir(parent):
                    if match := _ENTRY.fullmatch(entry.name):
                        yield match[1] or match[2], Path(entry)


def _changed(path: Path) -> float:
    """Return when a path was last changed; infinity if it has gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _remove(path: Path) -> bool:
    """Remove a file or a folder, also one that a script made read-only; return whether it has gone."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return True
    _flatten(path)
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _flatten(top: Path) -> None:
    """Make all folders below a folder writable, and move those that lie too deep for recursion or for a path to it."""
    todo = [(top, 0)]
    moved = (top / f"{secrets.token_hex(4)}-{number}" for number in itertools.count())
    while todo:
        folder, depth = todo.pop()
        _open_up(folder)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for path in [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]:
                if depth < _DEEPEST and len(str(path)) < _LONGEST:
                    todo.append((path, depth + 1))
                    continue
                _open_up(path)
                with contextlib.suppress(OSError):
                    todo.append((path.rename(next(moved)), 1))


def _open_up(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)


def copy(source: Path, target: Path) -> None:
    """Copy a file that a running script may have touched. Raise OSError if it is no plain file."""
    with opened(source) as content, target.open("wb") as stream:
        shutil.copyfileobj(content, stream, 1 << 20)


def write_json(path: Path, content: Any) -> None:
    """Write JSON to a file, the whole of it or nothing."""
    write_bytes(path, json.dumps(content).encode())


def write_passing_json(path: Path, content: Any) -> None:
    """Write JSON that is made anew after a power failure: the system may take its time to bring it to the disk."""
    write_bytes(path, json.dumps(content).encode(), settle=lambda _: None)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file that the server wrote; empty if there is no such file or it is corrupt.

    A script may have put anything in its place: a pipe is not waited for, nor is a file of any size read.
    """
    try:
        with opened(path) as stream:
            content = json.loads(stream.read(_MOST_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def safe_name(name: str) -> str:
    """Return a file name from elsewhere made safe for this disk: no folders, no control characters, not hidden."""
    last = name.replace("\\", "/").rpartition("/")[2]
    cleaned = _SAFE.sub("_", last).lstrip(".-")
    return cleaned[-120:].lstrip(".-") or "upload"  # the end of a long name is kept: it says what the file is


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
