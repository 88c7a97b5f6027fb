"""Makes a server of a backup, in an empty data folder and an empty database. Imports its neighbours and storage.

The backup is read whole before anything is written. Then come the files, and the rows last, all in one transaction: a
restore that was interrupted has no job. A job that ran when the backup was taken ends in ERROR, with a sentence.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from uws_server.backups.manifest import (
    FOLDER,
    ROWS,
    BackupError,
    Manifest,
    entries,
    require_sound,
    wholes,
)
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage import dump, migrate
from uws_server.storage.tables import microseconds_of

_BEGIN_ANEW = frozenset({Phase.PENDING, Phase.QUEUED, Phase.HELD})
_OF_JOBS = {"results": "job_id", "uses": "job_id"}
"""Tables whose rows belong to a job, with the column that names it; rows of results have rows of their own."""

Counted = Callable[[str], None]


def chosen(place: Path) -> Path:
    """Return the backup at a place: that folder, or the newest of a folder of backups. Raise BackupError if none is."""
    if (place / "manifest.json").exists() or (place / FOLDER).is_dir():
        return place
    found = wholes(place)
    if not found:
        raise BackupError(f"{place}: there is no whole backup")
    return found[-1]


def restore(backup: Path, url: str, data: Path, counted: Counted = lambda _: None) -> Manifest:
    """Restore a backup; return its manifest. Raise BackupError if it is not sound, or there is something already."""
    data = data.absolute()
    manifest = Manifest.read(backup)
    if manifest.revision not in migrate.REVISIONS:
        raise BackupError(
            f"{backup} is of a newer version (revision {manifest.revision}, this server knows {migrate.HEAD}): "
            f"install uws-server {manifest.version} or newer"
        )
    _require_nothing(url, data)
    done = 0
    for number, entry in enumerate(require_sound(backup, manifest), 1):
        done += entry.size
        counted(f"checked {number:,} of {manifest.files:,} files, {done / 1e6:,.0f} MB")
    _restore_files(backup, data, counted)
    with gzip.open(backup / ROWS, "rt", encoding="utf-8") as stream:
        restored = _Rows(manifest, data)
        dump.load(url, manifest.revision, restored.of(dump.rows(stream)), lambda: counted("rows of the database"))
    return manifest


def _require_nothing(url: str, data: Path) -> None:
    if data.is_dir() and any(data.iterdir()):
        raise BackupError(f"{data} is not empty: restore into a new folder (--data DIR, or [folders] data)")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if not dump.is_empty(url):
            raise BackupError("the database has rows already: restore into a new one ([folders] database)")
    finally:
        for left in data.glob("jobs.sqlite*"):  # which a look at a new SQLite database makes
            left.unlink()


def _restore_files(backup: Path, data: Path, counted: Counted) -> None:
    for number, entry in enumerate(entries(backup), 1):
        target = data / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(backup / FOLDER / entry.path, target)
        target.chmod(entry.mode)
        os.utime(target, ns=(entry.changed_ns, entry.changed_ns))
        counted(f"restored {number:,} files")
    (data / "jobs").mkdir(exist_ok=True)


class _Rows:
    """The rows of a backup as they are restored."""

    def __init__(self, manifest: Manifest, data: Path) -> None:
        self._manifest, self._data = manifest, str(data)
        self._deleted = frozenset(manifest.deleted)
        self._left_out: set[str] = set()
        made = datetime.fromisoformat(manifest.made)
        self._made = microseconds_of(made)
        self._sentence = (
            f"the job was running when the backup of {made:%Y-%m-%d %H:%M} UTC was taken from which this server was "
            "restored; run it again"
        )

    def of(self, found: Iterator[tuple[str, dump.Row]]) -> Iterator[tuple[str, dump.Row]]:
        """Yield the rows without those of jobs that were deleted."""
        for table, row in found:
            if table == "jobs":
                if row["id"] not in self._deleted:
                    yield table, self._job(row)
            elif row.get(_OF_JOBS.get(table, "job_id"), "") in self._deleted:
                if table == "results":
                    self._left_out.add(row["id"])
            elif table != "obscore_rows" or row["result_id"] not in self._left_out:
                yield table, row

    def _job(self, row: dump.Row) -> dump.Row:
        parameters = str(self._manifest.parameters.get(row["id"], row["parameters"]))
        row = row | {"parameters": self._moved(parameters)}
        phase = Phase(row["phase"])
        if phase in ENDED or phase in _BEGIN_ANEW:
            return row
        return row | {
            "phase": Phase.ERROR.value,
            "error": self._sentence,
            "error_fatal": False,
            "ended": self._made,
            "server": None,
            "suspended": None,
        }

    def _moved(self, parameters: str) -> str:
        """Return parameters with the paths of files in the data folder as they are now."""
        before = self._manifest.data
        if before == self._data or before not in parameters:
            return parameters

        def moved(value: Any) -> Any:
            if isinstance(value, list):
                return [moved(each) for each in value]
            if isinstance(value, str) and value.startswith(f"{before}/"):
                return self._data + value.removeprefix(before)
            return value

        return json.dumps({name: moved(content) for name, content in json.loads(parameters).items()})
