"""When what is written is brought to the disk: at once, or all files together at the end of a block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import IO

_AT_A_TIME = 8
_waiting: ContextVar[set[Path] | None] = ContextVar("waiting", default=None)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Bring what is written in the block to the disk when it ends well, some files at a time.

    A disk that is asked file by file, and twice for a product that is tagged, takes three to four times as long. Until
    the block has ended a power failure may cost what was written in it; other readers find whole files as ever.
    Raises OSError if something does not reach the disk.
    """
    waiting: set[Path] = set()
    before = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(before)
    if waiting:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(_sync, sorted(waiting)))


def settle(stream: IO[bytes], path: Path) -> None:
    """Bring an open file, which lies or will lie at a path, to the disk: now, or when the block `together` ends."""
    stream.flush()
    if (waiting := _waiting.get()) is None:
        os.fsync(stream.fileno())
    else:
        waiting.add(path.absolute())


def settle_names(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a rename in it survives a crash: now, or with the block."""
    if (waiting := _waiting.get()) is None:
        _sync(folder)
    else:
        waiting.add(folder.absolute())


def _sync(path: Path) -> None:
    """Sync a file or a folder; one that is gone needs it no more."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
