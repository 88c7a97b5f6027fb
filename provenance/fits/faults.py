"""Why a FITS file is not read to its end: a value for each way in which the bytes of a file are no whole HDU."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class FaultKind(Enum):
    """The ways in which a file stops being FITS."""

    EMPTY = auto()
    """The file has no bytes."""
    NOT_FITS = auto()
    """The file does not begin as FITS does."""
    TRAILING = auto()
    """What stands behind the last HDU is no extension; the standard allows it there (FITS Standard 4.0, 3.5)."""
    HEADER_LOST = auto()
    """Between two HDUs stands what is no header, so that those behind it are out of reach."""
    HEADER_CUT = auto()
    """The file ends in a header."""
    HEADER_LONG = auto()
    """A header has no end as far as it is read."""
    HEADERS_LONG = auto()
    """All headers together are longer than is read."""
    KEYWORD = auto()
    """A keyword that gives the size of the data is absent or has no such value."""
    DATA_CUT = auto()
    """The file ends before the data do."""
    UNPADDED = auto()
    """The data are whole, but the last block is not filled up."""


@dataclass(frozen=True)
class Fault:
    """What is wrong at the byte `start` of a file, in the HDU `hdu` ("HDU 1 (EVENTS)"; "HDU 1" before it has a name).

    The `words` follow the name of the HDU in a sentence; `data_end` is the byte where the data should end, 0 where that
    is not known.
    """

    kind: FaultKind
    start: int
    hdu: str
    words: str
    data_end: int = 0

    @property
    def is_harmless(self) -> bool:
        """Whether the data of all HDUs are there: the file is sound, if untidy at its end."""
        return self.kind in (FaultKind.TRAILING, FaultKind.UNPADDED)

    def __str__(self) -> str:
        if self.kind in (FaultKind.DATA_CUT, FaultKind.UNPADDED):
            return f"{self.hdu} {self.words}"
        if self.kind is FaultKind.KEYWORD:
            return f"at byte {self.start} {self.hdu} {self.words}"
        return self.words if self.kind is FaultKind.EMPTY else f"at byte {self.start} {self.words}"
