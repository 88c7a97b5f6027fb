"""Where the HDUs of a FITS file lie, told by their headers: the data, however large, are passed over.

Nothing here raises for what a file holds but FitsError.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from provenance.fits import cards, gzipped
from provenance.fits.cards import BLOCK
from provenance.fits.faults import Fault, FaultKind
from provenance.text.errors import FitsError

OPENING: Final = b"SIMPLE  = "
"""What every FITS file begins with: its first keyword and the value indicator (FITS Standard 4.0, 4.1.2 and 4.4.1)."""

TAGS_EXTNAME: Final = "VO-TAGS"
"""The name of the extension that `votags` writes: known here, because it is left out of the hash of a product."""

MAX_HEADER: Final = 20_000_000
"""The longest header that is read, in bytes."""

MAX_HEADERS: Final = 64_000_000
"""The most headers that are read of one file, in bytes: a gzipped file made of nothing else would fill the memory."""

LARGEST: Final = 2**62
"""The largest length of an axis, number of parameters or of groups that is believed."""


@dataclass(frozen=True)
class Hdu:
    """A header and its data.

    `start`, `data` and `end` are the bytes of the file where the header begins, where the data begin, and where the
    next HDU begins; `size` is the length of the data in bytes without what fills up their last block.
    """

    index: int
    start: int
    data: int
    end: int
    header: bytes
    size: int = 0

    @cached_property
    def cards(self) -> Mapping[str, cards.Value]:
        """The header's keywords and values."""
        return cards.parse(self.header)

    @cached_property
    def name(self) -> str:
        """EXTNAME in capitals; where there is none, PRIMARY for the first HDU and empty for any other."""
        name = str(cards.find(self.header, "EXTNAME") or "").strip().upper()
        return name or ("" if self.kind else "PRIMARY")

    @cached_property
    def kind(self) -> str:
        """XTENSION (IMAGE, TABLE, BINTABLE ...), empty for the primary HDU."""
        return str(cards.find(self.header, "XTENSION") or "").strip().upper()

    @property
    def is_table(self) -> bool:
        """Whether this is a binary table; A3DTABLE is what it was called before it was a standard."""
        return self.kind in ("BINTABLE", "A3DTABLE")

    @property
    def title(self) -> str:
        """What the HDU is called in a sentence: HDU 1 (EVENTS)."""
        return _title(self.index, self.name)

    @property
    def filling(self) -> bytes:
        """What the last block of its data is filled up with: blanks in ASCII tables, else zeros."""
        return b" " if self.kind == "TABLE" else b"\0"


@dataclass(frozen=True)
class Layout:
    """The complete HDUs of a file, where they end, and why the file does not end there (None if it does).

    `unpadded` is a last HDU that can be read and is not complete: its data are whole, but their block is not filled up.
    """

    hdus: tuple[Hdu, ...]
    end: int
    fault: Fault | None
    unpadded: Hdu | None = None

    @property
    def readable(self) -> tuple[Hdu, ...]:
        """The HDUs whose data are all there."""
        return self.hdus if self.unpadded is None else (*self.hdus, self.unpadded)

    @property
    def is_sound(self) -> bool:
        """Whether the data of all HDUs are there, be it that the end of the file is untidy."""
        return self.fault is None or self.fault.is_harmless


class _FaultyError(Exception):
    """Ends the search for HDUs."""

    def __init__(self, fault: Fault, unpadded: Hdu | None = None) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.unpadded = unpadded


def looks_like_fits(path: Path) -> bool:
    """Tell whether a file begins as a FITS file does; a gzipped one does not. Raise OSError."""
    with path.open("rb") as stream:
        return stream.read(len(OPENING)) == OPENING


def holds_fits(path: Path) -> bool:
    """Tell whether a file begins as a FITS file does, as it lies or inflated by gzip. Raise OSError."""
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
    try:
        while start < limit:
            stream.seek(start)
            header = _header(stream, start, len(found))
            if not header:
                break
            size += len(header)
            if size > MAX_HEADERS:
                words = f"the headers are longer than {MAX_HEADERS} bytes in all"
                raise _FaultyError(Fault(FaultKind.HEADERS_LONG, start, _title(len(found)), words))
            found.append(_whole_hdu(stream, start, len(found), header, limit))
            start = found[-1].end
    except _FaultyError as stopped:
        return Layout(tuple(found), start, stopped.fault, stopped.unpadded)
    empty = Fault(FaultKind.EMPTY, 0, _title(0), "the file is empty")
    return Layout(tuple(found), start, None if found else empty)


def headers(path: str | Path, holding: Collection[str] = ()) -> tuple[Mapping[str, cards.Value], ...]:
    """Read the headers of a FITS file, gzipped or not: keyword -> value. Raise FitsError when it is no FITS file.

    Where keywords are given, only those headers come that may hold one of them.
    """
    with opened(Path(path)) as (stream, limit):
        layout = scan(stream, limit)
    if not layout.readable:
        raise FitsError(f"{path}: no FITS file: {layout.fault}")
    sought = [keyword.encode("ascii") for keyword in holding]
    return tuple(hdu.cards for hdu in layout.readable
                 if not sought or any(keyword in hdu.header.upper() for keyword in sought))  # fmt: skip


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file to read, inflating gzip on the way; yield it with the limit for `scan`.

    Raises FitsError when it is no regular file or its gzip is damaged, OSError when it cannot be read.
    """
    require_regular(path)
    with path.open("rb") as plain:
        if gzipped.is_gzipped(plain):
            with gzipped.inflated(plain, path) as content:
                yield content, gzipped.longest(plain)
        else:
            yield plain, os.fstat(plain.fileno()).st_size


def _title(index: int, name: str = "") -> str:
    return f"HDU {index} ({name})" if name else f"HDU {index}"


def _header(stream: IO[bytes], start: int, index: int) -> bytes:
    """Return the blocks of the header that begins here, nothing at the end of the file. Raise _FaultyError."""
    opening = b"XTENSION=" if index else OPENING
    blocks: list[bytes] = []
    while len(blocks) * BLOCK < MAX_HEADER:
        block = stream.read(BLOCK)
        if not blocks and not block:
            return b""
        if not blocks and not block.startswith(opening):
            raise _FaultyError(_no_header(stream, start, index, block))
        is_last = any(block.startswith(b"END     ", at) for at in _ends(block))
        if len(block) < BLOCK:  # were it whole but for its filling, the HDUs behind it could be missing all the same
            words = f"a header {'fills no whole block' if is_last else 'has no END'}: the file was cut short"
            raise _FaultyError(Fault(FaultKind.HEADER_CUT, start, _title(index), words))
        blocks.append(block)
        if is_last:
            return b"".join(blocks)
    words = f"a header is longer than {MAX_HEADER} bytes"
    raise _FaultyError(Fault(FaultKind.HEADER_LONG, start, _title(index), words))


def _no_header(stream: IO[bytes], start: int, index: int, block: bytes) -> Fault:
    """Return the fault of a file in which no header begins with the block where one should.

    Behind the last HDU anything may stand, but neither a header without its beginning nor, in a later block, a header.
    """
    opening = b"XTENSION=" if index else OPENING
    words = f"no header begins ({opening.rstrip(b'= ').decode()} is expected, {block[:8]!r} came)"
    if not index:
        return Fault(FaultKind.NOT_FITS, start, _title(index), words)
    if cards.offset(block, "BITPIX") is not None:
        return Fault(FaultKind.HEADER_LOST, start, _title(index), f"{words}: the file is damaged")
    for at in range(start + BLOCK, start + MAX_HEADERS, BLOCK):
        following = stream.read(BLOCK)
        if following.startswith(opening):
            words += f", but one at byte {at}: the file is damaged"
            return Fault(FaultKind.HEADER_LOST, start, _title(index), words)
        if len(following) < BLOCK:
            break
    return Fault(FaultKind.TRAILING, start, _title(index), words)


def _ends(block: bytes) -> Iterator[int]:
    """Yield the bytes of a block where a card may be END."""
    at = block.find(b"END ")
    while at >= 0:
        if at % cards.SIZE == 0:
            yield at
        at = block.find(b"END ", at + 1)


def _whole_hdu(stream: IO[bytes], start: int, index: int, header: bytes, limit: int) -> Hdu:
    """Return the HDU of a header. Raise _FaultyError where its data are unknown or not all in the file."""
    draft = Hdu(index, start, start + len(header), 0, header)
    try:
        size = _data_length(draft)
    except FitsError as error:
        raise _FaultyError(Fault(FaultKind.KEYWORD, start, draft.title, str(error))) from error
    data_end = draft.data + size
    hdu = Hdu(index, start, draft.data, draft.data + -(-size // BLOCK) * BLOCK, header, size)
    if hdu.end <= limit and _reaches(stream, hdu.end):
        return hdu
    words = f"should end at byte {hdu.end} but the file ends before: it was cut short"
    if data_end <= limit and _reaches(stream, data_end):
        words = f"is whole, but its last block is not filled up to byte {hdu.end}"
        raise _FaultyError(Fault(FaultKind.UNPADDED, start, hdu.title, words, data_end), hdu)
    raise _FaultyError(Fault(FaultKind.DATA_CUT, start, hdu.title, words, data_end))


def _data_length(hdu: Hdu) -> int:
    """Return the bytes of an HDU's data without padding (FITS Standard 4.0, equations 1, 2 and 4). Raise FitsError.

    The data of random groups, which only a primary HDU has, have no first axis.
    """
    bits = abs(whole(hdu, "BITPIX", -64, 64))
    if bits not in (8, 16, 32, 64):
        raise FitsError(f"has BITPIX = {bits}: the file is broken")
    count = whole(hdu, "NAXIS", 0, 999)
    if count == 0:
        return 0
    axes = [whole(hdu, f"NAXIS{number}", 0, LARGEST) for number in range(1, count + 1)]
    if axes[0] == 0 and not hdu.kind and cards.find(hdu.header, "GROUPS") is True:
        axes = axes[1:]
    extra = whole(hdu, "PCOUNT", 0, LARGEST, default=0)
    groups = whole(hdu, "GCOUNT", 0, LARGEST, default=1)
    return bits // 8 * groups * (extra + math.prod(axes))


def whole(hdu: Hdu, keyword: str, lowest: int, highest: int, default: int | None = None) -> int:
    """Return the whole number under a keyword of structure.

    Parameters
    ----------
    hdu
        The HDU whose header is asked.
    keyword
        A keyword of 8 characters at most.
    lowest
        The smallest number that is allowed.
    highest
        The largest number that is allowed.
    default
        The number where the keyword is absent; None if it may not be.

    Returns
    -------
    int
        The number, or the default.

    Raises
    ------
    FitsError
        The keyword is absent, no whole number or out of range. The sentence lacks its subject, the HDU.
    """
    value = cards.find(hdu.header, keyword)
    if value is None and default is not None:
        return default
    if value is None:
        raise FitsError(f"has no readable {keyword}: the file is broken")
    if type(value) is not int or not lowest <= value <= highest:
        text = repr(value)[:40]
        raise FitsError(f"has {keyword} = {text}; numbers from {lowest} to {highest} are allowed: the file is broken")
    return value


def require_regular(path: Path) -> None:
    """Raise FitsError for what is no regular file, OSError for what is not there."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise FitsError(f"{path}: is no regular file")


def _reaches(stream: IO[bytes], end: int) -> bool:
    """Tell whether the file goes as far as the byte `end`."""
    stream.seek(end - 1)
    return bool(stream.read(1))
