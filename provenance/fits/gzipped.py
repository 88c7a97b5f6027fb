"""Gzipped files: read inflated, and changed by way of an inflated copy, deflated again."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from isal import igzip
from isal.igzip_lib import IsalError

from provenance.fits import atomic
from provenance.text.errors import TagsError

MAX_INFLATED: Final = 8 * 1024**3
"""How far into a gzipped file is read, in bytes after inflating."""

MAX_RATIO: Final = 300
RATIO_FROM: Final = 256 * 1024**2
"""Most bytes out per byte in, once `RATIO_FROM` bytes are out: event lists shrink to a half or a fifth."""

DAMAGES: Final[tuple[Any, ...]] = (igzip.BadGzipFile, EOFError, IsalError)
"""What reading a damaged one raises."""

_file: Callable[..., Any] = igzip.IGzipFile
_LEVEL: Final = 3
"""Of ISA-L: a tenth of the time of gzip's own level 6, for files that are a tenth longer."""
_CHUNK: Final = 4 * 1024**2


def is_gzipped(stream: IO[bytes]) -> bool:
    """Whether an open file begins as gzip does; it then stands at its beginning."""
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return magic == b"\x1f\x8b"


def longest(stream: IO[bytes]) -> int:
    """How far an open gzipped file is read, in bytes after inflating: one made to inflate without end is not."""
    return min(MAX_INFLATED, max(RATIO_FROM, MAX_RATIO * os.fstat(stream.fileno()).st_size))


def begins_with(stream: IO[bytes], opening: bytes) -> bool:
    """Whether the inflated content of an open gzipped file begins so."""
    with contextlib.suppress(*DAMAGES):
        return bool(_file(fileobj=stream, mode="rb").read(len(opening)) == opening)
    return False


@contextlib.contextmanager
def inflated(stream: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """The inflated content of an open gzipped file. Raises TagsError where it is damaged."""
    try:
        with _file(fileobj=stream, mode="rb") as content:
            yield content
    except DAMAGES as error:
        raise TagsError(f"{path}: the gzip is damaged: {error}") from error


@contextlib.contextmanager
def to_change(stream: IO[bytes], path: Path) -> Iterator[Path]:
    """An inflated copy of an open gzipped file; where it is changed, it is deflated and takes the place of `path`.

    The same content gives the same bytes: neither name nor time is written. Raises TagsError when it is damaged, is
    longer than `longest`, or the disk has no room; the file then stays as it was.
    """
    target = path.resolve()
    with tempfile.NamedTemporaryFile(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as held:
        copy = Path(held.name)
        with _told(path), inflated(stream, path) as content, copy.open("wb") as plain:
            _copy(content, plain, longest(stream), path)
        before = _state(copy)
        yield copy
        if _state(copy) == before:
            return
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        with (
            _told(path),
            copy.open("rb") as plain,
            atomic.replacing(target, mode) as packed,
            _file("", "wb", _LEVEL, packed, mtime=0) as content,
        ):
            _copy(plain, content, MAX_INFLATED, path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise TagsError(f"{path}: the gzipped file cannot be changed: {reason}; it is as it was") from error


def _copy(source: Any, sink: Any, most: int, path: Path) -> None:
    count = 0
    while chunk := source.read(_CHUNK):
        count += len(chunk)
        if count > most:
            raise TagsError(f"{path}: the gzipped file inflates to more than {most} bytes and cannot be changed")
        sink.write(chunk)


def _state(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns
