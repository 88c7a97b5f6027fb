"""Files as one tar or zip file, written while it is sent; its size is known before. Imports nothing of ours.

Nothing is compressed: FITS products hardly would be, and so the length is told before the first byte. A zip follows
APPNOTE 6.3.9: the checksum stands behind each file (it is not known before), the 64-bit forms are used where a size or
a place needs them.
"""

from __future__ import annotations

import struct
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 18
_LARGEST = 0xFFFFFFFF
_MOST = 0xFFFF
_FLAGS = 0x0808
"""The checksum stands behind the file, and names are UTF-8."""


@dataclass(frozen=True)
class Member:
    """A file, its name in the archive, its size in bytes and when it was changed (seconds since 1970)."""

    name: str
    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, name: str, path: Path) -> Member:
        """Return the member for a file as it is now."""
        status = path.stat()
        return cls(name, path, status.st_size, int(status.st_mtime))

    def pieces(self) -> Iterator[bytes]:
        """Yield the content. Raise OSError if the file became shorter, so that the client sees a broken archive."""
        left = self.size
        with self.path.open("rb") as stream:
            while left:
                piece = stream.read(min(left, _PIECE))
                if not piece:
                    raise OSError(f"{self.path.name} became shorter while it was sent")
                left -= len(piece)
                yield piece


def tar_size(members: Iterable[Member]) -> int:
    """Return the size of a tar file in bytes."""
    return sum(len(_tar_header(member)) + member.size + _padding(member.size) for member in members) + _TAR_END


def tar(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the pieces of a tar file."""
    for member in members:
        yield _tar_header(member)
        yield from member.pieces()
        yield bytes(_padding(member.size))
    yield bytes(_TAR_END)


_TAR_END = 2 * tarfile.BLOCKSIZE


def _tar_header(member: Member) -> bytes:
    header = tarfile.TarInfo(member.name)
    header.size, header.mtime = member.size, member.changed
    return header.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE


def zip_size(members: Iterable[Member]) -> int:
    """Return the size of a zip file in bytes."""
    at = directory = count = 0
    for member in members:
        directory += len(_entry(member, 0, at))
        at += len(_local(member)) + member.size + len(_descriptor(member, 0))
        count += 1
    return at + directory + len(_end(count, directory, at))


def zipped(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the pieces of a zip file."""
    at = 0
    entries = []
    for member in members:
        local, checksum = _local(member), 0
        yield local
        for piece in member.pieces():
            checksum = zlib.crc32(piece, checksum)
            yield piece
        downstream = _descriptor(member, checksum)
        yield downstream
        entries.append(_entry(member, checksum, at))
        at += len(local) + member.size + len(downstream)
    directory = b"".join(entries)
    yield directory + _end(len(entries), len(directory), at)


def _is_long(member: Member) -> bool:
    return member.size >= _LARGEST


def _moment(member: Member) -> tuple[int, int]:
    """Return time and date in the format of MS-DOS, UTC; those outside its range become its first or last."""
    year, month, day, hour, minute, second = time.gmtime(member.changed)[:6]
    year = min(max(year, 1980), 2107)
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def _local(member: Member) -> bytes:
    """Return the header in front of a file."""
    name = member.name.encode()
    extra = struct.pack("<HHQQ", 1, 16, 0, 0) if _is_long(member) else b""
    size = _LARGEST if extra else 0
    about = 45 if extra else 20, _FLAGS, 0, *_moment(member)
    return struct.pack("<4s5H3L2H", b"PK\3\4", *about, 0, size, size, len(name), len(extra)) + name + extra


def _descriptor(member: Member, checksum: int) -> bytes:
    """Return the data descriptor behind a file."""
    form = "<4sLQQ" if _is_long(member) else "<4sLLL"
    return struct.pack(form, b"PK\7\10", checksum, member.size, member.size)


def _entry(member: Member, checksum: int, at: int) -> bytes:
    """Return the entry of a file in the central directory."""
    name = member.name.encode()
    numbers = [*([member.size] * 2 if _is_long(member) else []), *([at] if at >= _LARGEST else [])]
    extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
    size, place = (min(number, _LARGEST) for number in (member.size, at))
    version = 45 if numbers else 20
    mode = 0o100644 << 16
    head = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 3 << 8 | version, version, _FLAGS, 0, *_moment(member), checksum, size, size,
        len(name), len(extra), 0, 0, 0, mode, place,
    )  # fmt: skip
    return head + name + extra


def _end(count: int, directory: int, at: int) -> bytes:
    """Return the end of a zip file: where the central directory is."""
    long = b""
    if count >= _MOST or directory >= _LARGEST or at >= _LARGEST:
        long = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, directory, at)
        long += struct.pack("<4sLQL", b"PK\6\7", 0, at + directory, 1)
    numbers = min(count, _MOST), min(directory, _LARGEST), min(at, _LARGEST)
    return long + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, numbers[0], *numbers, 0)
