"""Changes of a FITS file by whole HDUs: one is appended or taken out without touching the others.

A change either happens whole or leaves the file as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from provenance.fits import atomic, gzipped
from provenance.fits.hdus import Hdu, require_regular
from provenance.fits.settling import settle
from provenance.text.errors import FitsError

_COPY_CHUNK: Final = 4 * 1024**2


@contextlib.contextmanager
def opened_to_change(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Open a file to read and write, locked: another writer of the same file waits. Yield it and its path.

    For a gzipped file both are those of an inflated copy, which is deflated and takes its place in the end.
    Raises FitsError when it is no regular file or may not be written, and for what `gzipped.to_change` does.
    """
    require_regular(path)
    if not (path.stat().st_mode & 0o222 and os.access(path, os.W_OK)):
        raise FitsError(f"{path}: the file is read-only; make it writable (chmod u+w) to tag it")
    while True:
        with path.open("r+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                if not gzipped.is_gzipped(stream):
                    yield stream, path
                    return
                with gzipped.to_change(stream, path) as copy, copy.open("r+b", buffering=0) as plain:
                    yield plain, copy
                return
        # another writer replaced the file while we waited for the lock: open the new one


def append(stream: IO[bytes], path: Path, at: int, block: bytes) -> None:
    """Append bytes to a file and bring them to the disk.

    Parameters
    ----------
    stream
        The file, open to write.
    path
        Where it lies.
    at
        The byte where they begin; what stands behind it is cut off.
    block
        What to write; nothing to cut the file off.

    Raises
    ------
    OSError
        There is no room; the file then ends at `at` as before.
    """
    done = False
    try:
        stream.truncate(at)
        stream.seek(at)
        _write_all(stream, block)
        settle(stream, path)
        done = True
    finally:
        if not done:
            stream.truncate(at)


def rewrite(stream: IO[bytes], path: Path, kept: Iterable[Hdu], block: bytes, tail: int | None = None) -> None:
    """Replace a file by some of its HDUs, byte for byte, a block behind them, and what stands behind its last HDU.

    The new file is written beside the old one and takes its place when it is whole; a symbolic link goes on pointing
    to it, other hard links keep the old content.

    Parameters
    ----------
    stream
        The file, open to read.
    path
        Where it lies.
    kept
        The HDUs to copy, in their order.
    block
        What to write behind them.
    tail
        The byte where what is no HDU begins, which is copied too; None where there is none. The last block of an HDU
        that is not filled up is.

    Raises
    ------
    OSError
        There is no room; the old file then stays.
    """
    length = stream.seek(0, os.SEEK_END)
    with atomic.replacing(path.resolve(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)) as new:
        for hdu in kept:
            _copy(stream, new, hdu.start, min(hdu.end, length))
            _write_all(new, filling(hdu, length))
        _write_all(new, block)
        if tail is not None:
            _copy(stream, new, tail, length)


def filling(hdu: Hdu, length: int) -> bytes:
    """Return the bytes that fill up the last block of an HDU in a file of some length; none where it is full."""
    return hdu.filling * max(hdu.end - length, 0)


def _write_all(stream: IO[bytes], block: bytes) -> None:
    """Write all of a block; an unbuffered file may take less at a time."""
    rest = memoryview(block)
    while rest:
        rest = rest[stream.write(rest) :]


def _copy(stream: IO[bytes], new: IO[bytes], start: int, end: int) -> None:
    stream.seek(start)
    rest = end - start
    while rest:
        chunk = stream.read(min(rest, _COPY_CHUNK))
        if not chunk:
            raise OSError("the file became shorter while it was read")
        _write_all(new, chunk)
        rest -= len(chunk)
