"""Plain files where a running script may have put something else: read, measured, written, and the claim beside them.

Imports nothing of ours: the supervisor of a job starts with it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class NotPlain(OSError):
    """Raised for a path where there is no plain file."""


def opened(path: Path) -> BinaryIO:
    """Return a file opened for reading.

    Raise NotPlain for a pipe or a folder, OSError for a link or if it cannot be read.

    A link is not followed, and a pipe is not waited for: either may have been put there a moment ago.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotPlain(f"{path.name} is no plain file")
    return os.fdopen(handle, "rb")


def size_of(folder: Path) -> int:
    """Return the bytes of the plain files below a folder; what goes away meanwhile does not count.

    Folders lie in each other as deep as a script likes: nothing recurses.
    """
    size, todo = 0, [str(folder)]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
    return size


def write_bytes(path: Path, content: bytes, settle: Callable[[int], object] = os.fsync) -> None:
    """Write a file so that a reader finds the old content or the whole new one: beside it, `settle`, rename.

    What lies in the place beside it, such as a link, is removed and not written through. Raises OSError, and leaves
    nothing beside it then.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        with beside.open("xb") as stream:
            stream.write(content)
            stream.flush()
            settle(stream.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def claim_beside(folder: Path) -> Path:
    """Return where the claim of a supervisor stands beside the folder of its job, which the script may remove.

    Its name begins with a dot: beside the folder of a part it lies among the files of a job, and is no result.
    """
    return folder.with_name(f".{folder.name}.claim")


def sync_folder(folder: Path) -> None:
    """Write a folder to the disk, so that the names in it survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
