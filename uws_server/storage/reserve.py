"""The room that is kept free on the disk of the data folder, and the bytes that a deletion may use. Imports the errors.

Below the reserve nothing new is taken. A deletion must work even on a full disk, and the database writes it down before
the files go: a few megabytes are held by a file that is given up for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from uws_server.errors import DiskFull

_HELD = 4 * 10**6
_AMPLE = 10**9
_LOOKED_S = 0.2
"""Where so many bytes more than the reserve are free the disk is asked again after that time: no disk writes them in
it, and a burst of new jobs need not ask it for each."""


class Reserve:
    """The free room of the disk of a folder: `least` bytes of it stay free; 0 for none."""

    def __init__(self, folder: Path, least: int) -> None:
        self._folder, self._least = folder, least
        self._held = folder / "reserve"
        self._ample_until = 0.0

    def problem(self) -> str:
        """Return the sentence that says that the disk is too full for anything new; '' if it is not."""
        if not self._least or time.monotonic() < self._ample_until:
            return ""
        free = self._free()
        if free >= self._least + _AMPLE:
            self._ample_until = time.monotonic() + _LOOKED_S
        if free >= self._least:
            return ""
        return (
            f"the disk of the server has {free / 1e6:,.1f} MB free, and {self._least / 1e6:,.1f} MB are kept: nothing "
            "new is taken; delete jobs that are no longer needed"
        )

    def require(self) -> None:
        """Raise DiskFull if the disk is too full for anything new."""
        if problem := self.problem():
            raise DiskFull(problem)

    def hold(self) -> None:
        """Take the bytes that a deletion on a full disk needs, where there is room for them."""
        with contextlib.suppress(OSError):
            if not self._least or self._held.exists() or self._free() < max(2 * _HELD, self._least):
                return
            with self._held.open("wb") as stream:
                os.posix_fallocate(stream.fileno(), 0, _HELD)

    def give_up(self) -> None:
        """Give up the bytes that are held, for a deletion on a disk that has fewer."""
        with contextlib.suppress(OSError):
            if self._free() < _HELD:
                self._held.unlink(missing_ok=True)

    def _free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize
