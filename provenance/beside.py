"""Files written beside another, which take its place when they are whole. May import: standard library."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: Path, mode: int) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path`, with these permissions, when the block ends well: synced, renamed.

    A symbolic link goes on pointing to it, other hard links keep the old content. Raises OSError when there is no room;
    the old file then stays.
    """
    target = path.resolve()
    with empty(target) as new:
        with new.open("wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        new.replace(target)
    _sync_folder(target.parent)


@contextlib.contextmanager
def empty(path: Path) -> Iterator[Path]:
    """An empty file beside another, for the length of the block."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
