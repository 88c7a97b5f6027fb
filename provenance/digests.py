"""The SHA-256 of a file, and of its science: the file without its VO-TAGS.

A product cannot hold the hash of all its bytes: the step list in its VO-TAGS would change them. So a step gives of each
product the hash of what `votags.strip` leaves: strip a copy, hash it, compare. May import: standard library,
`hdus`, `votags`, `errors`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from provenance import hdus, votags
from provenance.errors import TagsError

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
    """Hash a file, reading it once. A gzipped file is hashed as it lies. Raises OSError."""
    with path.open("rb") as stream:
        is_fits = stream.read(len(hdus.OPENING)) == hdus.OPENING
        tags = _tags(stream) if is_fits else []
        whole = hashlib.sha256()
        if not tags:
            _feed(stream, 0, None, whole)
            return Digests(whole.hexdigest(), whole.hexdigest(), is_fits)
        science = hashlib.sha256()
        at = 0
        for hdu in tags:
            _feed(stream, at, hdu.start, whole, science)
            _feed(stream, hdu.start, hdu.end, whole)
            at = hdu.end
        _feed(stream, at, None, whole, science)
        return Digests(whole.hexdigest(), science.hexdigest(), is_fits)


def _tags(stream: IO[bytes]) -> list[hdus.Hdu]:
    """The VO-TAGS of an open FITS file; none where they cannot be told (then nothing is left out)."""
    stream.seek(0, 2)
    try:
        layout = hdus.scan(stream, stream.tell())
    except TagsError:
        return []
    return [hdu for hdu in layout.hdus if hdu.kind and hdu.name == votags.EXTNAME]


def _feed(stream: IO[bytes], start: int, end: int | None, *hashes: Any) -> None:
    """Give the bytes from `start` to `end` (None: the end of the file) to some hashes."""
    stream.seek(start)
    left = end - start if end is not None else -1
    while left and (chunk := stream.read(_CHUNK if left < 0 else min(left, _CHUNK))):
        for each in hashes:
            each.update(chunk)
        left -= len(chunk) if left > 0 else 0
