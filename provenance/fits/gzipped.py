"""Gzipped files: read inflated, inflated onto disk, and changed by way of an inflated copy that is deflated again.

What inflates without end, or onto a full disk, is stopped.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from provenance.fits import atomic
from provenance.text.errors import FitsError

MAX_INFLATED: Final = 8 * 1024**3
"""How far into a gzipped file is read, in bytes after inflating."""

MAX_RATIO: Final = 300
RATIO_FROM: Final = 256 * 1024**2
"""Most bytes out per byte in, once `RATIO_FROM` bytes are out: event lists shrink to a half or a fifth."""

MAX_ON_DISK: Final = 20 * 1024**3
"""Most bytes that a file is inflated to on disk: twenty times the longest pn event list."""

MIN_FREE: Final = 512 * 1024**2
"""Bytes of the disk that stay free when a file is inflated onto it."""

_LEVEL: Final = 3
"""The compression level of ISA-L: a tenth of the time of gzip's own level 6, for files that are a tenth longer."""
_CHUNK: Final = 4 * 1024**2
_ASK_DISK_EVERY: Final = 16


def damages() -> tuple[Any, ...]:
    """Return what reading a damaged file raises."""
    from isal.igzip_lib import IsalError  # here: of most files nothing is gzipped

    return (gzip.BadGzipFile, EOFError, IsalError)


def _file(*arguments: Any, **named: Any) -> Any:
    """Open a gzipped file with ISA-L."""
    from isal import igzip  # here: of most files nothing is gzipped

    opened: Any = igzip.IGzipFile
    return opened(*arguments, **named)


def is_gzipped(stream: IO[bytes]) -> bool:
    """Tell whether an open file begins as gzip does, and rewind it."""
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return magic == b"\x1f\x8b"


def longest(stream: IO[bytes]) -> int:
    """Return how far an open gzipped file is read, in bytes after inflating: less than all of a decompression bomb."""
    return min(MAX_INFLATED, max(RATIO_FROM, MAX_RATIO * os.fstat(stream.fileno()).st_size))


def begins_with(stream: IO[bytes], opening: bytes) -> bool:
    """Tell whether the inflated content of an open gzipped file begins with `opening`; False if it is damaged."""
    with contextlib.suppress(*damages()):
        return bool(_file(fileobj=stream, mode="rb").read(len(opening)) == opening)
    return False


@contextlib.contextmanager
def inflated(stream: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """Yield the inflated content of an open gzipped file. Raise FitsError where it is damaged."""
    try:
        with _file(fileobj=stream, mode="rb") as content:
            yield content
    except damages() as error:
        raise FitsError(f"{path}: the gzip is damaged: {error}") from error


class NoRoomError(FitsError):
    """The disk has no room for an inflated file."""


def inflate(path: Path, target: Path) -> None:
    """Write the inflated content of a gzipped file to a new file.

    Raises FitsError if it is not whole, broken, longer than `MAX_ON_DISK` or `MAX_RATIO` allow, or the disk has no room
    for it; OSError if it cannot be read or written. Nothing is left behind then.
    """
    with target.open("xb", buffering=0) as sink:
        try:
            inflate_into(path, sink, target.parent)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def inflate_into(path: Path, sink: IO[bytes], folder: Path) -> None:
    """Write the inflated content of a gzipped file to an open file.

    Parameters
    ----------
    path
        The gzipped file.
    sink
        The file that is written.
    folder
        Where it lies: on the disk that must have room.

    Raises
    ------
    FitsError
        As `inflate` does; NoRoomError if the disk has no room.
    """
    try:
        with path.open("rb") as packed, _file(fileobj=packed, mode="rb") as source:
            _inflate(source, sink, path, folder)
    except damages() as error:
        raise FitsError(
            f"{path.name} cannot be inflated, it is truncated or broken ({error}); fetch it again"
        ) from error


def _inflate(source: Any, sink: IO[bytes], path: Path, folder: Path) -> None:
    """Copy in steps, watching the size, the ratio and the disk."""
    packed = path.stat().st_size
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    written = step = 0
    while count := source.readinto(buffer):
        written += count
        if written > MAX_ON_DISK or (written > RATIO_FROM and written > MAX_RATIO * packed):
            raise FitsError(f"{path.name} inflates to more than {written} bytes from {packed}; at most "
                            f"{MAX_ON_DISK} bytes and {MAX_RATIO} times are allowed")  # fmt: skip
        if step % _ASK_DISK_EVERY == 0 and shutil.disk_usage(folder).free < MIN_FREE:
            raise NoRoomError(f"there is no room on the disk to inflate {path.name}")
        step += 1
        done = 0
        while done < count:
            done += sink.write(view[done:count])


def deflate(path: Path, target: Path) -> None:
    """Write a file gzipped, without its name and time, so that the same content gives the same bytes. Raise OSError."""
    with (
        path.open("rb") as plain,
        atomic.replacing(target) as packed,
        _file("", "wb", _LEVEL, packed, mtime=0) as content,
    ):
        shutil.copyfileobj(plain, content, _CHUNK)


@contextlib.contextmanager
def to_change(stream: IO[bytes], path: Path) -> Iterator[Path]:
    """Yield an inflated copy of an open gzipped file; if it is changed, it is deflated and takes the place of `path`.

    The same content gives the same bytes: neither name nor time is written. Raises FitsError when it is damaged, is
    longer than `longest`, or the disk has no room; the file then stays as it was.
    """
    target = path.resolve()
    with tempfile.NamedTemporaryFile(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as held:
        copy = Path(held.name)
        with _change_errors(path), inflated(stream, path) as content, copy.open("wb") as plain:
            _copy(content, plain, longest(stream), path)
        before = _state(copy)
        yield copy
        if _state(copy) == before:
            return
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        with (
            _change_errors(path),
            copy.open("rb") as plain,
            atomic.replacing(target, mode) as packed,
            _file("", "wb", _LEVEL, packed, mtime=0) as content,
        ):
            _copy(plain, content, MAX_INFLATED, path)


@contextlib.contextmanager
def _change_errors(path: Path) -> Iterator[None]:
    """Raise what keeps a file from being changed as FitsError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise FitsError(f"{path}: the gzipped file cannot be changed: {reason}; it is as it was") from error


def _copy(source: Any, sink: Any, most: int, path: Path) -> None:
    """Copy at most `most` bytes. Raise FitsError if there are more."""
    count = 0
    while chunk := source.read(_CHUNK):
        count += len(chunk)
        if count > most:
            raise FitsError(f"{path}: the gzipped file inflates to more than {most} bytes and cannot be changed")
        sink.write(chunk)


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written: inode, size and time of change."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
