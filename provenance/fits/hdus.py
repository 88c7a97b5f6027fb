"""Where the HDUs of a FITS file lie, and how one is put at the end or taken out without touching the others.

Only headers are read: the data, however large, are passed over. A change either happens whole or leaves the file as it
was.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from provenance.fits import atomic, cards, gzipped
from provenance.fits.cards import BLOCK
from provenance.text.errors import TagsError

OPENING: Final = b"SIMPLE  = "
"""What every FITS file begins with: its first keyword and the value indicator (FITS Standard 4.0, 4.1.2 and 4.4.1)."""

TAGS_EXTNAME: Final = "VO-TAGS"
"""The name of the extension that `votags` writes: known here, because it is left out of the hash of a product."""

MAX_HEADER: Final = 20_000_000
"""The longest header that is read, in bytes."""

MAX_HEADERS: Final = 64_000_000
"""The most headers that are read of one file, in bytes: a gzipped file made of nothing else would fill the memory."""

_COPY_CHUNK: Final = 4 * 1024**2


@dataclass(frozen=True)
class Hdu:
    """A header and its data: `start`, `data` and `end` are byte offsets of the header, of the data, and behind both."""

    index: int
    start: int
    data: int
    end: int
    header: bytes

    @cached_property
    def cards(self) -> Mapping[str, cards.Value]:
        """The header's keywords and values."""
        return cards.parse(self.header)

    @cached_property
    def name(self) -> str:
        """EXTNAME in capitals, empty when there is none."""
        return str(cards.find(self.header, "EXTNAME") or "").strip().upper()

    @cached_property
    def kind(self) -> str:
        """XTENSION (IMAGE, TABLE, BINTABLE ...), empty for the primary HDU."""
        return str(cards.find(self.header, "XTENSION") or "").strip().upper()


@dataclass(frozen=True)
class Layout:
    """The complete HDUs of a file, where they end, and in words why the file does not end there (empty if it does)."""

    hdus: tuple[Hdu, ...]
    end: int
    fault: str


def looks_like_fits(path: Path) -> bool:
    """Whether a file begins as a FITS file does; a gzipped one does not. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(len(OPENING)) == OPENING


def holds_fits(path: Path) -> bool:
    """Whether a file begins as a FITS file does, as it lies or inflated by gzip. Raises OSError."""
    with path.open("rb") as stream:
        if gzipped.is_gzipped(stream):
            return gzipped.begins_with(stream, OPENING)
        return stream.read(len(OPENING)) == OPENING


def scan(stream: IO[bytes], limit: int) -> Layout:
    """Find the HDUs of a FITS file by their headers.

    `limit` is the length of the file in bytes, or how far to read where the length is not known. Never raises for what
    the file holds: `Layout.fault` says it.
    """
    found: list[Hdu] = []
    start = size = 0
    while start < limit:
        stream.seek(start)
        header, fault = _header(stream, b"XTENSION=" if found else OPENING)
        size += len(header)
        if size > MAX_HEADERS:
            fault = f"the headers are longer than {MAX_HEADERS} bytes in all"
        if found and not (header or fault):
            break
        length, fault = (0, fault) if fault else _data_length(header)
        if fault:
            return Layout(tuple(found), start, f"at byte {start} {fault}")
        data = start + len(header)
        hdu = Hdu(len(found), start, data, data + -(-length // BLOCK) * BLOCK, header)
        if hdu.end > limit or not _reaches(stream, hdu.end):
            title = f"HDU {hdu.index} ({hdu.name})" if hdu.name else f"HDU {hdu.index}"
            return Layout(tuple(found), start, f"{title} should end at byte {hdu.end} but the file ends before: "
                                               "it was cut short")
        found.append(hdu)
        start = hdu.end
    return Layout(tuple(found), start, "" if found else "the file is empty")


def headers(path: str | Path) -> tuple[Mapping[str, cards.Value], ...]:
    """The headers of a FITS file (gzipped or not), keyword -> value. Raises TagsError when it is no FITS file."""
    with opened(Path(path)) as (stream, limit):
        layout = scan(stream, limit)
    if not layout.hdus:
        raise TagsError(f"{path}: no FITS file: {layout.fault}")
    return tuple(hdu.cards for hdu in layout.hdus)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file to read, inflating gzip on the way; yields it with the limit for `scan`.

    Raises TagsError when it is no regular file or its gzip is damaged, OSError when it cannot be read.
    """
    _require_regular(path)
    with path.open("rb") as plain:
        if gzipped.is_gzipped(plain):
            with gzipped.inflated(plain, path) as content:
                yield content, gzipped.longest(plain)
        else:
            yield plain, os.fstat(plain.fileno()).st_size


@contextlib.contextmanager
def opened_to_change(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Open a file to read and write, alone: another writer of the same file waits. Yields it and where it lies.

    Of a gzipped file that is an inflated copy, which takes its place deflated when all is done.
    Raises TagsError when it is no regular file or may not be written, and for what `gzipped.to_change` does.
    """
    _require_regular(path)
    if not (path.stat().st_mode & 0o222 and os.access(path, os.W_OK)):
        raise TagsError(f"{path}: the file is read-only; make it writable (chmod u+w) to tag it")
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
        # the one before us replaced the file: what we opened is no longer it


def append(stream: IO[bytes], at: int, block: bytes) -> None:
    """Write `block` at the byte `at`, where the last HDU ends, and make it last.

    Raises OSError when there is no room; the file then ends at `at` as before.
    """
    done = False
    try:
        stream.truncate(at)
        stream.seek(at)
        _write_all(stream, block)
        os.fsync(stream.fileno())
        done = True
    finally:
        if not done:
            stream.truncate(at)


def rewrite(stream: IO[bytes], path: Path, kept: Iterable[Hdu], block: bytes) -> None:
    """Replace the file at `path` by the `kept` HDUs of `stream`, byte for byte, and `block` behind them.

    The new file is written beside the old one and takes its place when it is whole; a symbolic link goes on pointing
    to it, other hard links keep the old content. Raises OSError when there is no room; the old file then stays.
    """
    with atomic.replacing(path.resolve(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)) as new:
        for hdu in kept:
            _copy(stream, new, hdu)
        _write_all(new, block)


def cut(stream: IO[bytes], at: int) -> None:
    """End a file at the byte `at`."""
    stream.truncate(at)
    os.fsync(stream.fileno())


def _header(stream: IO[bytes], opening: bytes) -> tuple[bytes, str]:
    """The blocks of the header that begins here (nothing at the end of the file), or in words why it is none."""
    blocks: list[bytes] = []
    while len(blocks) * BLOCK < MAX_HEADER:
        block = stream.read(BLOCK)
        if not blocks and not block:
            return b"", ""
        if not blocks and not block.startswith(opening):
            return b"", f"no header begins ({opening.rstrip(b'= ').decode()} is expected, {block[:8]!r} came)"
        if len(block) < BLOCK:
            return b"", "a header has no END: the file was cut short"
        blocks.append(block)
        if any(block.startswith(b"END     ", at) for at in _ends(block)):
            return b"".join(blocks), ""
    return b"", f"a header is longer than {MAX_HEADER} bytes"


def _ends(block: bytes) -> Iterator[int]:
    """Where a card of a block may be END."""
    at = block.find(b"END ")
    while at >= 0:
        if at % cards.SIZE == 0:
            yield at
        at = block.find(b"END ", at + 1)


def _data_length(header: bytes) -> tuple[int, str]:
    """The bytes of an HDU's data without padding (FITS Standard 4.0, equations 1, 2 and 4), or why they are unknown."""
    naxis = cards.find(header, "NAXIS")
    bitpix = cards.find(header, "BITPIX")
    if type(naxis) is not int or not 0 <= naxis <= 999 or type(bitpix) is not int:
        return 0, f"a header has BITPIX {bitpix!r} and NAXIS {naxis!r}; whole numbers are expected"
    if naxis == 0:
        return 0, ""
    axes = [cards.find(header, f"NAXIS{number}") for number in range(1, naxis + 1)]
    if axes[0] == 0 and cards.find(header, "GROUPS") is True:
        axes = axes[1:]
    counts = [cards.find(header, "PCOUNT"), cards.find(header, "GCOUNT")]
    pcount, gcount = (default if count is None else count for count, default in zip(counts, (0, 1), strict=True))
    sizes = [size for size in (*axes, pcount, gcount) if type(size) is int and size >= 0]
    if len(sizes) != len(axes) + 2:
        return 0, f"a header has axes {axes}, PCOUNT {pcount!r}, GCOUNT {gcount!r}; numbers from 0 are expected"
    return abs(bitpix) // 8 * sizes[-1] * (sizes[-2] + math.prod(sizes[:-2])), ""


def _require_regular(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise TagsError(f"{path}: is no regular file")


def _reaches(stream: IO[bytes], end: int) -> bool:
    """Whether the file goes as far as the byte `end`."""
    stream.seek(end - 1)
    return bool(stream.read(1))


def _write_all(stream: IO[bytes], block: bytes) -> None:
    """Write all of a block; an unbuffered file may take less at a time."""
    rest = memoryview(block)
    while rest:
        rest = rest[stream.write(rest) :]


def _copy(stream: IO[bytes], new: IO[bytes], hdu: Hdu) -> None:
    stream.seek(hdu.start)
    rest = hdu.end - hdu.start
    while rest:
        chunk = stream.read(min(rest, _COPY_CHUNK))
        if not chunk:
            raise OSError("the file became shorter while it was read")
        _write_all(new, chunk)
        rest -= len(chunk)
