"""The SHA-256 of a file, and of its science: the file without its VO-TAGS.

A product cannot hold the hash of all its bytes: the step list in its VO-TAGS would change them. So a step gives of each
product the hash of what `votags.strip` leaves: strip a copy, hash it, compare. A last block that is not filled up
counts as filled up, which writing the VO-TAGS does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

from provenance.fits import gzipped, hdus
from provenance.text.errors import FitsError

SCIENCE: Final = "science HDUs"
"""What `sha256` of a FITS product is of: its HDUs but VO-TAGS, byte for byte."""
FILE: Final = "file"
"""What `sha256` of any other product is of: all its bytes."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Digests:
    """Two hashes of a file, hexadecimal: of all its bytes, and of all but its VO-TAGS (the same where it has none)."""

    whole: str
    science: str
    is_fits: bool

    @property
    def of(self) -> str:
        """What `science` is the hash of: SCIENCE or FILE."""
        return SCIENCE if self.is_fits else FILE


class FileState(NamedTuple):
    """What shows whether a file was changed since it was read: bytes, times in ns, inode.

    `changed_ns` is of its content and can be set by anybody, `touched_ns` is the system's own and cannot.
    """

    size: int
    changed_ns: int
    touched_ns: int
    inode: int

    @classmethod
    def of(cls, file: Path | IO[bytes]) -> Self:
        """Return the state of a file, by its path or open. Raise OSError."""
        status = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class KnownDigests:
    """The hashes of a file, and the state that it was in when they were taken."""

    digests: Digests
    state: FileState

    def of(self, path: Path) -> Digests | None:
        """Return the hashes of a file that still is in that state, else None. Raise OSError."""
        return self.digests if FileState.of(path) == self.state else None

    def plain(self) -> dict[str, Any]:
        """Return what `read` reads, as JSON can hold it."""
        return {**asdict(self.digests), "state": list(self.state)}

    @staticmethod
    def read(entry: Any) -> KnownDigests | None:
        """Return what `plain` returned, with more beside it or not; None for anything else."""
        try:
            found = Digests(entry["whole"], entry["science"], entry["is_fits"])
            return KnownDigests(found, FileState(*entry["state"]))
        except (KeyError, TypeError):
            return None


class Growing:
    """The hashes of a file that is read once, although something may be appended to it later."""

    def __init__(self, path: Path) -> None:
        """Hash a file. Of a gzipped one, the science is what it holds inflated. Raise OSError."""
        self._path = path
        with path.open("rb") as stream:
            self._before = FileState.of(stream)
            self._whole: Any
            if gzipped.is_gzipped(stream):
                self._whole, science, is_fits = _of_gzipped(stream, path)
            else:
                self._whole, science, is_fits = _hashes(stream)
        self.digests = Digests(self._whole.hexdigest(), science.hexdigest(), is_fits)

    def whole_with_appended(self) -> str:
        """Return the hash of all bytes that the file has now, reading what was appended to it. Raise OSError.

        A file that took its place, or is shorter, is read as a whole.
        """
        with self._path.open("rb") as stream:
            now = FileState.of(stream)
            if now == self._before:
                return self.digests.whole
            grown = now.inode == self._before.inode and now.size > self._before.size
            whole = self._whole.copy() if grown else hashlib.sha256()
            _feed(stream, self._before.size if grown else 0, None, whole)
        return str(whole.hexdigest())


def digests(path: Path) -> Digests:
    """Hash a file. Of a gzipped one, the science is what it holds inflated. Raise OSError."""
    return Growing(path).digests


def digests_of_gzipped(packed: Path, plain: Path) -> Digests:
    """Hash a gzipped file of which an inflated copy is at hand, which need not be inflated again. Raise OSError."""
    with packed.open("rb") as stream:
        whole = hashlib.sha256()
        _feed(stream, 0, None, whole)
        is_short = plain.stat().st_size <= gzipped.longest(stream)
    found = digests(plain) if is_short else None
    is_fits = found is not None and found.is_fits
    return Digests(whole.hexdigest(), found.science if found and is_fits else whole.hexdigest(), is_fits)


def _of_gzipped(stream: IO[bytes], path: Path) -> tuple[Any, Any, bool]:
    """Hash a gzipped file as it lies, and the FITS file in it where it holds a sound one."""
    whole = hashlib.sha256()
    _feed(stream, 0, None, whole)
    stream.seek(0)
    if gzipped.begins_with(stream, hdus.OPENING):  # else it need not be inflated to its end
        stream.seek(0)
        with contextlib.suppress(FitsError), gzipped.inflated(stream, path) as content:
            _, science, is_fits = _hashes(content, gzipped.longest(stream))
            if is_fits:
                return whole, science, is_fits
    return whole, whole, False


def _hashes(stream: IO[bytes], limit: int | None = None) -> tuple[Any, Any, bool]:
    """Return the hashes of all bytes and of all but VO-TAGS, and whether it is FITS; nothing beyond `limit` is."""
    is_fits = stream.read(len(hdus.OPENING)) == hdus.OPENING
    tags, fill = _tags_and_filling(stream, limit) if is_fits else ([], b"")
    whole = hashlib.sha256()
    science = hashlib.sha256() if tags or fill else whole
    both, at = {whole, science}, 0
    for hdu in tags:
        _feed(stream, at, hdu.start, *both)
        _feed(stream, hdu.start, hdu.end, whole)
        at = hdu.end
    _feed(stream, at, limit, *both)
    if fill:
        science.update(fill)
    return whole, science, is_fits and not (limit and stream.read(1))


def _tags_and_filling(stream: IO[bytes], limit: int | None) -> tuple[list[hdus.Hdu], bytes]:
    """Return the VO-TAGS of an open FITS file, and what the last block of its science lacks.

    There are none where they cannot be found, so that nothing is left out.
    """
    length = stream.seek(0, 2) if limit is None else limit
    layout = hdus.scan(stream, length)
    tags = [hdu for hdu in layout.readable if hdu.kind and hdu.name == hdus.TAGS_EXTNAME]
    last = layout.unpadded
    if last is None or last in tags:
        return tags, b""
    if limit is not None:  # how long an inflated file is, only its end tells
        length = stream.seek(last.end)
    return tags, last.filling * max(last.end - length, 0)


def _feed(stream: IO[bytes], start: int, end: int | None, *hashes: Any) -> None:
    """Feed the bytes from `start` to `end` (None: the end of the file) to some hashes."""
    stream.seek(start)
    left = end - start if end is not None else -1
    while left and (chunk := stream.read(_CHUNK if left < 0 else min(left, _CHUNK))):
        for digest in hashes:
            digest.update(chunk)
        left -= len(chunk) if left > 0 else 0
