"""Opens files that a running script may have touched, and names the one beside them. Imports nothing of ours."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotPlain(OSError):
    """Raised for a path where there is no plain file."""


def opened(path: Path) -> BinaryIO:
    """Return a file opened for reading.

    Raise NotPlain for a pipe or a folder, OSError for a link or if it cannot be read.

    A link is not followed, and a pipe is not waited for: either may have been put there a moment ago.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotPlain(f"{path.name} is no plain file")
    return os.fdopen(handle, "rb")


def claim_beside(folder: Path) -> Path:
    """Return where the claim of a supervisor stands beside the folder of its job, which the script may remove."""
    return folder.with_name(f"{folder.name}.claim")
