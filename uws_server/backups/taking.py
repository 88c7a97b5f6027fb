"""Makes a backup while servers run. Imports its neighbours, the values of jobs and storage.

First the rows are read, all at one moment, then the files are copied. Files of a job are there before its row is, and
stay until that has gone; so a job of the rows has its files, unless it was deleted meanwhile: then it is left out.
Of a job that did not begin the files that it was given are copied, so that it begins anew where the backup is restored;
of one that ran those and its logs.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from uws_server.backups.copying import Copier
from uws_server.backups.manifest import BEGUN, FILES, FOLDER, ROWS, BackupError, Manifest, entries, wholes
from uws_server.jobs.job import utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage import dump, migrate
from uws_server.storage.files import sha256_of
from uws_server.storage.plainfiles import sync_folder
from uws_server.version import VERSION

GIVEN = ("inputs", "notes.json", "recorded.json")
"""What the folder of a job has before it is started."""
LOGS = ("job.log", "stdout.log", "stderr.log")
NOT_KEPT = frozenset({"launch.json", "fetch.json", "shepherd.json", "shepherd.err", "usage.json"})
"""Files in the folder of a job that has ended which mean nothing any more; the first holds its environment."""
_KEYS = ("jobs.key", "forms.key")
_NAME = "%Y-%m-%dT%H-%M-%SZ"

Counted = Callable[[str], None]
"""Called with a short text that says how far a backup is."""


def take(url: str, data: Path, parent: Path, counted: Counted = lambda _: None) -> tuple[Path, Manifest]:
    """Make a backup in a folder of backups, and return its own folder and manifest.

    Raise BackupError if that is impossible.
    """
    data, parent = data.resolve(), parent.resolve()
    if not (data / "jobs").is_dir():
        raise BackupError(f"{data} is no data folder of a server: give --data DIR, or --config FILE")
    if parent.is_relative_to(data):
        raise BackupError(f"{parent} lies in the data folder: give another folder, best on another disk")
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(parent):
        began = utcnow()
        place = parent / began.strftime(_NAME)
        if place.exists():
            raise BackupError(f"{place} is there already: wait for a second")
        begun = parent / f"{BEGUN}{place.name}"
        begun.mkdir(mode=0o700)
        (begun / FOLDER).mkdir()
        manifest = _Taking(url, data, begun, next(reversed(wholes(parent)), None), counted).run(began)
        begun.rename(place)
        sync_folder(parent)
    return place, manifest


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Have no other backup be made into a folder, and remove what one left that did not come to its end."""
    lock = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in parent.glob(f"{BEGUN}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    except BlockingIOError as error:
        raise BackupError(f"{parent}: another backup is being made into this folder") from error
    finally:
        os.close(lock)


class _Taking:
    """One backup that is being made."""

    def __init__(self, url: str, data: Path, folder: Path, last: Path | None, counted: Counted) -> None:
        self._url, self._data, self._folder, self._counted = url, data, folder, counted
        known = {entry.path: entry for entry in entries(last)} if last else {}
        self._bytes = 0
        self._copier = Copier(data, folder, last, known, self._count)
        self._deleted: list[str] = []
        self._parameters: dict[str, str] = {}
        self._lacking_jobs: set[str] = set()

    def run(self, began: datetime) -> Manifest:
        revision = migrate.current(self._url)
        if revision not in migrate.REVISIONS:
            raise BackupError(f"the database is of revision {revision}: this version knows {migrate.HEAD} at most")
        counts = self._write_rows()
        self._copier.copy("definitions")
        for name in _KEYS:
            self._copier.copy(name)
        for _, row in self._rows("jobs"):
            self._copy_job(row)
        self._settle_jobs()
        copied = self._write_entries()
        manifest = Manifest(
            made=began.isoformat(),
            version=VERSION,
            revision=revision,
            database=self._url.partition(":")[0].partition("+")[0],
            data=str(self._data),
            rows=counts,
            files=copied,
            bytes=self._bytes,
            hashes={name: sha256_of(self._folder / name) for name in (ROWS, FILES)},
            deleted=tuple(self._deleted),
            parameters=self._parameters,
            lacking=tuple(sorted(self._lacking_jobs)),
        )
        os.sync()  # all of it is on the disk before the manifest says so
        manifest.write(self._folder)
        return manifest

    def _write_rows(self) -> dict[str, int]:
        with (
            dump.snapshot(self._url) as held,
            gzip.open(self._folder / ROWS, "wt", compresslevel=3, encoding="utf-8") as stream,
        ):
            return held.write(stream, lambda: self._counted("rows of the database"))

    def _rows(self, *tables: str) -> Iterator[tuple[str, dump.Row]]:
        with gzip.open(self._folder / ROWS, "rt", encoding="utf-8") as stream:
            yield from dump.rows(stream, frozenset(tables))

    def _copy_job(self, row: Mapping[str, Any]) -> None:
        phase, folder = Phase(row["phase"]), _place(row["id"])
        if phase is Phase.ARCHIVED:
            return
        if phase not in ENDED:
            has_begun = phase not in (Phase.PENDING, Phase.QUEUED, Phase.HELD)
            for name in (*GIVEN, *(LOGS if has_begun else ())):
                self._copier.copy(f"{folder}/{name}")
            return
        with contextlib.suppress(OSError), os.scandir(self._data / folder) as found:
            for entry in found:
                # the parts of an array, and its last script, have folders like that of a job
                is_results = entry.name in ("results", "inputs")
                self._copier.copy(f"{folder}/{entry.name}", frozenset() if is_results else NOT_KEPT)

    def _settle_jobs(self) -> None:
        """Look again at the jobs of which files are missing: deleted or changed since the rows were read."""
        for _ in range(3):
            lacking = set(self._lacking())
            again = lacking - {*self._deleted, *self._parameters, *self._lacking_jobs}
            for job_id, row in dump.current(self._url, sorted(again)):
                if row is None or row["phase"] == Phase.ARCHIVED:
                    self._deleted.append(job_id)
                elif row["phase"] in (Phase.PENDING, Phase.QUEUED, Phase.HELD):
                    self._parameters[job_id] = row["parameters"]
                    self._copy_job(row)
                else:
                    self._lacking_jobs.add(job_id)
            if not again:
                return

    def _lacking(self) -> Iterator[str]:
        """Yield the ids of the jobs in the rows of which a file is missing that they must have."""
        known = self._copier.done
        archived = set()
        for table, row in self._rows("jobs", "results"):
            if table == "jobs":
                if row["phase"] == Phase.ARCHIVED:
                    archived.add(row["id"])
                parameters = str(self._parameters.get(row["id"], row["parameters"]))
                places = uploads_of(parameters) if row["phase"] not in ENDED else []
                if any(_place(row["id"], place) not in known for place in places):
                    yield row["id"]
            elif row["job_id"] not in archived and _place(row["job_id"], row["file"]) not in known:
                yield row["job_id"]

    def _write_entries(self) -> int:
        """Write the list of files without those of deleted jobs, and remove these. Return how many are left."""
        left = {_place(job_id) for job_id in self._deleted}
        number, self._bytes = 0, 0
        with gzip.open(self._folder / FILES, "wt", compresslevel=3, encoding="utf-8") as stream:
            for entry in self._copier.done.values():
                if "/".join(entry.path.split("/")[:3]) in left:
                    (self._folder / FOLDER / entry.path).unlink(missing_ok=True)
                    continue
                stream.write(json.dumps(entry) + "\n")
                number += 1
                self._bytes += entry.size
        return number

    def _count(self, size: int) -> None:
        self._bytes += size
        self._counted(f"{len(self._copier.done):,} files, {self._bytes / 1e6:,.0f} MB")


def uploads_of(parameters: str) -> list[str]:
    """Return the files that came with a job, by their places below its folder; `parameters` are as they are kept."""
    found, todo = [], list(json.loads(parameters).values())
    while todo:
        _, value, kind, *parts = todo.pop()
        todo += parts[0] if parts else []
        if kind == "upload" and isinstance(value, str) and not value.startswith("/"):
            found.append(value)
    return found


def _place(job_id: str, file: str = "") -> str:
    """Return the place of a job's folder, or of a file in it, below the data folder."""
    return f"jobs/{job_id[:2]}/{job_id}/{file}".rstrip("/")
