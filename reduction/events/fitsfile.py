"""FITS files as science takes them: plain and sound, or refused by a `ReductionError` that names the parameter.

The reading is that of `provenance.fits`; here its errors become sentences to the person who gave the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.fits import FitsError, bintable, gzipped, hdus
from provenance.fits.bintable import Table
from provenance.fits.cards import Value
from provenance.fits.columns import Column, Rows
from provenance.fits.faults import Fault, FaultKind
from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError

Header = Mapping[str, Value]
"""Keywords and their values, read so that no card, however broken, raises."""

MAX_HDUS = 2000
"""Most HDUs of a file; a pn event list has 64."""

_PACKERS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"PK\x03\x04", "zip"), (b"\x1f\x9d", "compress"),
            (b"\xfd7zXZ", "xz"))  # fmt: skip


@dataclass(frozen=True)
class FitsFile:
    """A plain FITS file whose HDUs are all there.

    `name` is what the file is called in errors, `parameter` the job parameter that they name.
    """

    path: Path
    name: str
    parameter: str
    hdus: tuple[Hdu, ...]

    @property
    def names(self) -> str:
        """The names of the HDUs, for an error."""
        return ", ".join(hdu.name or "(no name)" for hdu in self.hdus)

    def table(self, hdu: Hdu) -> Table:
        """Describe a binary table. Raise ReductionError if its header contradicts itself."""
        with reduction_errors(self.parameter):
            return bintable.table(hdu, self.name)

    def read(self, hdu: Hdu) -> tuple[Rows, Mapping[str, Column]]:
        """Read a small table whole.

        Returns its rows, shape (n,), and its columns by name in capitals. Raises ReductionError if the table is too
        large or its header contradicts itself.
        """
        table = self.table(hdu)
        with reduction_errors(self.parameter), self.path.open("rb") as stream:
            return table.read(stream), table.columns


@contextmanager
def reduction_errors(parameter: str) -> Iterator[None]:
    """Raise what the reader finds wrong as ReductionError of a job parameter."""
    try:
        yield
    except FitsError as error:
        raise ReductionError(str(error), parameter) from error


def scan(path: Path, parameter: str, name: str = "") -> FitsFile:
    """Find all HDUs of a file, reading headers only.

    Parameters
    ----------
    path
        The file, inflated.
    parameter
        Job parameter named in errors.
    name
        What the file is called in errors; empty for that of `path`.

    Returns
    -------
    FitsFile
        The file with its HDUs, the primary one first.

    Raises
    ------
    ReductionError
        Not a FITS file, a header without end or sense, or data that the file is too short for.
    """
    size = path.stat().st_size
    name = name or path.name
    with path.open("rb") as stream:
        layout = hdus.scan(stream, size)
    if layout.fault is not None and not layout.fault.is_harmless:
        raise ReductionError(_sentence(layout.fault, path, name), parameter)
    if len(layout.readable) > MAX_HDUS:
        raise ReductionError(f"{name} has more than {MAX_HDUS} HDUs", parameter)
    return FitsFile(path, name, parameter, layout.readable)


def is_gzip(path: Path) -> bool:
    """Tell whether a file begins as gzip does. Raise OSError."""
    with path.open("rb") as file:
        return gzipped.is_gzipped(file)


def inflate(path: Path, target: Path, parameter: str) -> None:
    """Write the inflated content of a gzipped file to a new file.

    Parameters
    ----------
    path
        The gzipped file.
    target
        The file to write; nothing is left of it after an error.
    parameter
        Job parameter named in errors.

    Raises
    ------
    ReductionError
        Not whole, broken, longer than is allowed, or no room on the disk.
    """
    with reduction_errors(parameter):
        gzipped.inflate(path, target)


def _sentence(fault: Fault, path: Path, name: str) -> str:
    """Return what to tell who gave a file that is not read to its end."""
    match fault.kind:
        case FaultKind.EMPTY | FaultKind.NOT_FITS:
            return f"{name} is not a FITS file{_guess(path)}; give a FITS file, plain or gzipped"
        case FaultKind.HEADER_CUT:
            return f"{name} is truncated: it ends inside the header of {fault.hdu}; fetch it again"
        case FaultKind.DATA_CUT:
            return (f"{name} is truncated: {fault.hdu} of {name} declares data up to byte {fault.data_end}, "
                    f"the file has {path.stat().st_size}; fetch it again")  # fmt: skip
        case FaultKind.HEADER_LONG:
            return f"the header of {fault.hdu} of {name} has no end"
        case FaultKind.KEYWORD:
            return f"{fault.hdu} of {name} {fault.words}"
        case _:
            return f"{name} cannot be read: {fault.words}"


def _guess(path: Path) -> str:
    """Say what a file that is not FITS seems to be; empty where nothing is known."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return " (it is empty)"
    for magic, kind in _PACKERS:
        if head.startswith(magic):
            return f" (it is packed with {kind})"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return " (it is a web page or XML)"
    return ""
