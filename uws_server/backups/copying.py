"""Copies the files of a data folder into a backup, with their hashes. Imports its neighbours and the files of storage.

What the last backup has already, with the same size and time of change, becomes a hard link to it: a second backup into
the same folder costs what is new. Nothing is linked to the data folder itself: whatever writes there must not reach the
backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from uws_server.backups.manifest import FOLDER, FileEntry
from uws_server.storage.plainfiles import opened

_PIECE = 1 << 20
_DEEPEST = 40
"""How many folders deep files are looked for: results are not looked for deeper."""


class Copier:
    """Copies files from below a data folder; `copied` is called with each number of bytes."""

    def __init__(self, data: Path, target: Path, last: Path | None, known: Mapping[str, FileEntry],
                 copied: Callable[[int], None]) -> None:  # fmt: skip
        self._data, self._target, self._copied = data, target / FOLDER, copied
        self._last, self._known = (last / FOLDER if last else None), known
        self.done: dict[str, FileEntry] = {}

    def copy(self, place: str, without: frozenset[str] = frozenset()) -> None:
        """Copy a file, or all files below a folder but those of some names.

        What is no plain file, or goes away meanwhile, is passed over.
        """
        for path in _files(self._data / place):
            if path.name in without:
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._copy(path, str(path.relative_to(self._data)))

    def _copy(self, path: Path, name: str) -> None:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        target = self._target / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # of a job that is copied a second time
        entry = self._linked(name, target, status)
        if entry is None:
            entry = self._read(path, name, target, status)
        self.done[name] = entry
        self._copied(entry.size)

    def _linked(self, name: str, target: Path, status: os.stat_result) -> FileEntry | None:
        """Return the entry of a file that the last backup has, and was linked; None if it was not."""
        known = self._known.get(name)
        if self._last is None or known is None or known[1:3] != (status.st_size, status.st_mtime_ns):
            return None
        try:
            os.link(self._last / name, target)
        except OSError:  # another disk, too many links, or a disk that knows none
            return None
        return known._replace(mode=stat.S_IMODE(status.st_mode))

    @staticmethod
    def _read(path: Path, name: str, target: Path, status: os.stat_result) -> FileEntry:
        digest, size = hashlib.sha256(), 0
        with opened(path) as source, target.open("wb") as stream:
            while piece := source.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                stream.write(piece)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
        target.chmod(0o600)
        return FileEntry(name, size, status.st_mtime_ns, stat.S_IMODE(status.st_mode), digest.hexdigest())


def _files(top: Path) -> Iterator[Path]:
    """Yield a plain file itself, or the files below a folder; links are not followed."""
    if not top.is_dir() or top.is_symlink():
        yield top
        return
    todo = [(top, 0)]
    while todo:
        folder, depth = todo.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for entry in sorted(found, key=lambda each: each.name):
                if not entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)
                elif depth < _DEEPEST:
                    todo.append((Path(entry.path), depth + 1))
