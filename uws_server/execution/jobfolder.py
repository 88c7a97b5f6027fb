"""What a supervisor writes in the folder of its job, which the script may have changed. Imports as little as it can."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uws_server.execution.processes import boot_id, start_time
from uws_server.storage.plainfiles import claim_beside, write_bytes

CLAIM_FILE = "shepherd.json"
"""Says which process has claimed the folder: the first one that linked it there."""

_FULL_DISK_S = 1.0
"""Seconds between two tries to write on a full disk."""


def write_json(path: Path, content: dict[str, Any], settle: Callable[[int], object] = os.fsync) -> None:
    """Write JSON where the script may have put something else: a link is removed, a folder moved away.

    A full disk is waited for: what the script did would be lost without its status.
    """
    for place in (path, path.with_name(path.name + ".new")):
        if place.is_dir() and not place.is_symlink():
            place.rename(place.with_name(f"{place.name}.{time.time_ns()}"))
    while True:
        try:
            write_bytes(path, json.dumps(content).encode(), settle)
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        time.sleep(_FULL_DISK_S)


def secrets_in(folder: str) -> dict[str, bytes]:
    """Return the secrets of a job, by name, whose folder is given; none for ''."""
    found: dict[str, bytes] = {}
    with contextlib.suppress(OSError):  # none: there is nothing to be taken out of the log, either
        for path in Path(folder).iterdir() if folder else ():
            found[path.name] = path.read_bytes()
    return found


def remove_secrets(folder: str) -> None:
    """Remove the secrets of a job, whose folder is given; the server tries again what cannot be removed."""
    with contextlib.suppress(OSError):
        for path in Path(folder).iterdir() if folder else ():
            path.unlink(missing_ok=True)
        if folder:
            Path(folder).rmdir()


def claim(folder: Path, more: Mapping[str, Any] | None = None) -> bool:
    """Claim the folder for this process, which has `more` to say. Return False if another one has it.

    The claim stands beside the folder too: a job whose script removed it must not run again.
    """
    identity = {"pid": os.getpid(), "start": start_time(os.getpid()), "boot": boot_id(), "host": os.uname().nodename}
    identity = {**identity, **(more or {})}
    own = folder / f"shepherd.{os.getpid()}"
    # not fsynced: a power failure ends the supervisor, too
    write_json(own, identity, settle=lambda _: None)
    try:
        os.link(own, folder / CLAIM_FILE)  # fails if it exists; is never half-written
        with contextlib.suppress(FileExistsError):  # the script removed the folder, and this is the new one
            os.link(own, claim_beside(folder))
    except FileExistsError:
        return False
    finally:
        own.unlink()
    return True
