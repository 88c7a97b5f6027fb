"""The SHA-256 of a file, and of its science: the file without its VO-TAGS.

A product cannot hold the hash of all its bytes: the step list in its VO-TAGS would change them. So a step gives of each
product the hash of what `votags.strip` leaves: strip a copy, hash it, compare. A last block that is not filled up
counts as filled up, which writing the VO-TAGS does.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

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


def digests(path: Path) -> Digests:
    """Hash a file. Of a gzipped one, the science is what it holds inflated. Raise OSError."""
    with path.open("rb") as stream:
        if gzipped.is_gzipped(stream):
            return _of_gzipped(stream, path)
        whole, science, is_fits = _hashes(stream)
        return Digests(whole, science, is_fits)


def _of_gzipped(stream: IO[bytes], path: Path) -> Digests:
    """Hash a gzipped file as it lies, and the FITS file in it where it holds a sound one."""
    whole = hashlib.sha256()
    _feed(stream, 0, None, whole)
    stream.seek(0)
    if gzipped.begins_with(stream, hdus.OPENING):  # else it need not be inflated to its end
        stream.seek(0)
        with contextlib.suppress(FitsError), gzipped.inflated(stream, path) as content:
            _, science, is_fits = _hashes(content, gzipped.longest(stream))
            if is_fits:
                return Digests(whole.hexdigest(), science, is_fits)
    return Digests(whole.hexdigest(), whole.hexdigest(), is_fits=False)


def _hashes(stream: IO[bytes], limit: int | None = None) -> tuple[str, str, bool]:
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
    return whole.hexdigest(), science.hexdigest(), is_fits and not (limit and stream.read(1))


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
