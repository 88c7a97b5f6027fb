"""Inflates gzipped FITS files (.FTZ of the XMM-Newton archive, .gz) onto disk, guarded against bombs and full disks."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from isal import igzip
from isal.igzip_lib import IsalError

from provenance.fits.gzipped import MAX_RATIO, RATIO_FROM, is_gzipped
from reduction.errors import ReductionError

MAX_INFLATED = 20 * 1024**3
"""Most bytes a file may inflate to: twenty times the longest pn event list."""

MIN_FREE = 512 * 1024**2
"""Bytes of the disk that stay free."""

_open: Callable[[Path, str], io.BufferedIOBase] = igzip.open
_STEP = 4 * 1024**2
_ASK_DISK_EVERY = 16


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as file:
        return is_gzipped(file)


def inflate(path: Path, target: Path, parameter: str) -> None:
    """Write the inflated content of a gzip file to a new file.

    Raises
    ------
    ReductionError
        Not whole, broken, or more than `MAX_INFLATED` bytes, or no room on the disk. Nothing is left behind.
    """
    try:
        with _open(path, "rb") as source, target.open("xb") as sink:
            _copy(source, sink, path, parameter)
    except (EOFError, OSError, IsalError) as error:  # type: ignore[misc]  # the stubs miss that it is a class
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, igzip.BadGzipFile):
            raise
        raise ReductionError(f"{path.name} cannot be inflated, it is truncated or broken ({error}); fetch it again",
                             parameter) from error  # fmt: skip
    except ReductionError:
        target.unlink(missing_ok=True)
        raise


def _copy(source: io.BufferedIOBase, sink: BinaryIO, path: Path, parameter: str) -> None:
    """Copy in steps, watching the size, the ratio and the disk."""
    packed = path.stat().st_size
    buffer = bytearray(_STEP)
    view = memoryview(buffer)
    written = step = 0
    descriptor = sink.fileno()
    while count := source.readinto(buffer):
        written += count
        if written > MAX_INFLATED or (written > RATIO_FROM and written > MAX_RATIO * packed):
            raise ReductionError(f"{path.name} inflates to more than {written} bytes from {packed}; at most "
                                 f"{MAX_INFLATED} bytes and {MAX_RATIO} times are allowed", parameter)  # fmt: skip
        if step % _ASK_DISK_EVERY == 0 and shutil.disk_usage(path.parent).free < MIN_FREE:
            raise ReductionError(f"there is no room on the disk to inflate {path.name}", parameter)
        step += 1
        done = 0
        while done < count:
            done += os.write(descriptor, view[done:count])
