"""Why a script failed, in a sentence: what it printed, and what is to be said of a full disk. Imports neighbours."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from uws_server.execution import sandbox
from uws_server.execution.progress import error_sentence
from uws_server.storage.files import read_json

_TAIL = 64_000
"""Bytes at the end of the output of a script that are searched for its reason."""
_NO_ROOM = os.strerror(errno.ENOSPC).encode()
_NO_MEMORY = (b"MemoryError", b"std::bad_alloc", os.strerror(errno.ENOMEM).encode())
_HARDLY_FREE = 1 << 24


def of_script(folder: Path, code: int) -> str:
    """Return the reason of a script that failed, in a sentence; `folder` is the one that it ran in."""
    how = f"the script was ended by signal {-code}" if code < 0 else f"the script ended with status {code}"
    try:
        with (folder / "stderr.log").open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            printed = stream.read()
    except OSError:
        printed = b""
    reason = error_sentence(printed) or f"{how} and gave no reason"
    return reason + _about_room(folder, printed) + _about_memory(folder, printed)


def _about_memory(folder: Path, printed: bytes) -> str:
    """What there is to say of a script that got no memory; empty for any other."""
    if not any(words in printed for words in _NO_MEMORY):
        return ""
    most = read_json(folder / "launch.json").get("max_memory")
    if not isinstance(most, int) or not most:
        return ""
    return f"; each process of the job may have {most:,} bytes of address space: choose less data"


def _about_room(folder: Path, printed: bytes) -> str:
    """What there is to say of a script that found no room where it wrote; empty for any other."""
    if _NO_ROOM not in printed:
        return ""
    if shutil.disk_usage(folder).free < _HARDLY_FREE:
        return "; the disk of the server is full: delete jobs that are no longer needed, or ask who runs the server"
    private = read_json(folder / "launch.json").get("private")
    if not isinstance(private, int) or not private:
        return ""
    return (
        f"; in {', '.join(sandbox.PRIVATE)} and the home folder, which are in memory, there is room for {private:,} "
        "bytes each: large files belong into the folder of the job"
    )
