"""Inflated copies of gzipped files, kept in a folder of bounded size for the jobs that read the same files later.

A job gets a copy as a hard link in a folder of its own: when the copy has to leave the cache, the job reads on. Several
processes may use one folder: a copy takes its name when it is whole, and the locks end with the process that has them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from provenance.fits import gzipped
from reduction.events.fitsfile import inflate, reduction_errors

_COPY, _PART = ".fits", ".part"
_LENGTH_BYTES: Final = 4
"""The last bytes of a gzipped file: how long it is inflated, modulo 4 GiB, where it was written in one go."""


@dataclass(frozen=True)
class Cache:
    """A folder of inflated copies of the files below `archive`.

    The copies take at most `most` bytes together, and leave `free` bytes of the disk to others; those that were not
    used for the longest time make room.
    """

    folder: Path
    archive: Path
    most: int
    free: int = gzipped.MIN_FREE

    def holds_copies_of(self, packed: Path) -> bool:
        """Tell whether a file is one of those of which copies are kept."""
        return packed.resolve().is_relative_to(self.archive)

    def put(self, packed: Path, target: Path) -> bool:
        """Put the inflated content of a gzipped file at a path, from the copy that is kept or that is made now.

        Parameters
        ----------
        packed
            The gzipped file.
        target
            The new file, which must not be changed: it may be a link to the copy.

        Returns
        -------
        bool
            False if no copy can be kept, as there is no room or another process makes one; nothing is at `target`.

        Raises
        ------
        FitsError
            The gzip is damaged.
        """
        try:
            copy = self.folder / f"{_key(packed)}{_COPY}"
            return _give(copy, target) or (self._make(packed, copy) and _give(copy, target))
        except OSError:
            target.unlink(missing_ok=True)
            return False

    def _make(self, packed: Path, copy: Path) -> bool:
        """Inflate a file into the cache. Return False if it does not fit or another process is about it."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        part = copy.with_suffix(_PART)
        with _locked(part) as sink:
            if sink is None:
                return False
            if copy.exists():  # another process has made it meanwhile
                part.unlink()
                return True
            is_whole = False
            try:
                if self._fill(packed, sink, part):
                    part.rename(copy)
                    is_whole = True
            finally:
                if not is_whole:  # what is renamed has left its name to the next process
                    part.unlink(missing_ok=True)
            return is_whole

    def _fill(self, packed: Path, sink: BinaryIO, part: Path) -> bool:
        """Inflate a file into one of the cache. Return False if there is no room for it."""
        length = _inflated_length(packed)
        if not self._has_room(length, length, part):
            return False
        sink.truncate(length)  # so that other processes count it
        try:
            gzipped.inflate_into(packed, sink, self.folder)
        except gzipped.NoRoomError:
            return False
        length = sink.seek(0, os.SEEK_CUR)
        sink.truncate(length)
        if not self._has_room(length, 0, part):
            return False
        os.fchmod(sink.fileno(), 0o444)
        os.fsync(sink.fileno())
        return True

    def _has_room(self, length: int, to_come: int, part: Path) -> bool:
        """Remove copies until a further one fits, the least recently used first. Return whether it does.

        It is `length` bytes long, of which `to_come` are still to be written to `part`.
        """
        with _locked_folder(self.folder) as is_mine:
            if length > self.most or not is_mine:
                return False
            copies, parts = self._found(part)
            used = sum(status.st_size for _, status in (*copies, *parts))
            while used + length > self.most or shutil.disk_usage(self.folder).free < self.free + to_come:
                if not copies:
                    return False
                path, status = copies.pop(0)
                path.unlink(missing_ok=True)
                used -= status.st_size
            return True

    def _found(self, mine: Path) -> tuple[list[tuple[Path, os.stat_result]], list[tuple[Path, os.stat_result]]]:
        """Return the copies, the least recently used first, and what others are making; remove what nobody makes."""
        copies, parts = [], []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.suffix == _COPY:
                    copies.append((path, path.stat()))
                elif path.suffix == _PART and path != mine and not _is_left_behind(path):
                    parts.append((path, path.stat()))
        return sorted(copies, key=lambda found: found[1].st_mtime_ns), parts


def cache_of(about: Any) -> Cache | None:
    """Return the cache that the server tells a job of; None for none."""
    if not isinstance(about, Mapping):
        return None
    return Cache(Path(about["folder"]), Path(about["archive"]).resolve(), int(about["bytes"]), int(about["free"]))


def inflate_by(cache: Cache | None, packed: Path, target: Path, parameter: str) -> None:
    """Put the inflated content of a gzipped file at a path, by way of a cache where one keeps copies of it.

    Parameters
    ----------
    cache
        The cache; None for none.
    packed
        The gzipped file.
    target
        The new file; nothing is left of it after an error.
    parameter
        Job parameter named in errors.

    Raises
    ------
    ReductionError
        Not whole, broken, longer than is allowed, or no room on the disk.
    """
    with reduction_errors(parameter):
        if cache is not None and cache.holds_copies_of(packed) and cache.put(packed, target):
            return
    inflate(packed, target, parameter)


def _key(packed: Path) -> str:
    """Return what names the copy of a file as it is now. Raise OSError."""
    path = packed.resolve()
    status = path.stat()
    state = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return hashlib.sha256("\0".join(map(str, state)).encode(errors="surrogateescape")).hexdigest()[:40]


def _give(copy: Path, target: Path) -> bool:
    """Link a copy to a path, or copy it to another disk or out of a sandbox. Return False if there is none."""
    try:
        os.link(copy, target)
    except FileNotFoundError:
        return False
    except OSError:
        shutil.copyfile(copy, target)
    with contextlib.suppress(OSError):  # a sandbox shows the folder to be read only
        os.utime(copy)
    return True


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO | None]:
    """Open a file for the only process that is to write it; None if another one has it, which is not waited for."""
    part.touch()
    with part.open("r+b", buffering=0) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_named = os.path.samestat(os.fstat(stream.fileno()), part.stat())
        except OSError:  # taken, or renamed meanwhile
            is_named = False
        yield stream if is_named else None


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder against other processes that make room in it; False if one does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _is_left_behind(part: Path) -> bool:
    """Remove a file that no process is writing any more. Return whether it was one."""
    with _locked(part) as stream:
        if stream is None:
            return False
        part.unlink()
        return True


def _inflated_length(packed: Path) -> int:
    """Return about how long a gzipped file is when inflated. Raise OSError."""
    with packed.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _LENGTH_BYTES, 0))
        told = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    return told if told >= size // 2 else 4 * size
