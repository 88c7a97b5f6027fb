"""The claim of a server on the folder of a job: no supervisor runs it then, wherever it waits. Imports storage."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from uws_server.execution import jobfolder, local
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import JobError
from uws_server.jobs.phases import Phase
from uws_server.storage.files import read_json
from uws_server.storage.plainfiles import claim_beside

_VERDICT = "verdict"


def claim(folder: Path, verdict: GivenUp) -> bool:
    """Claim the folder of a job that ends so. Return False if a supervisor has it; raise OSError where none can."""
    if local.claimed(folder):
        return False
    error = verdict.error
    told = None if error is None else {"message": error.message, "fatal": error.fatal}
    return jobfolder.claim(folder, {_VERDICT: {"phase": verdict.phase, "error": told}})


def time_of(folder: Path) -> float:
    """Return when the folder of a job was claimed, in seconds since 1970; 0 where nobody has claimed it."""
    for path in _places(folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def verdict_of(folder: Path) -> GivenUp | None:
    """Return how the job ends whose folder a server has claimed; None where a supervisor has."""
    found: Any = next(filter(None, map(read_json, _places(folder))), {}).get(_VERDICT)
    try:
        error = found["error"]
        told = None if error is None else JobError(str(error["message"]), bool(error["fatal"]))
        return GivenUp(Phase(found["phase"]), told)
    except (KeyError, TypeError, ValueError):
        return None


def _places(folder: Path) -> tuple[Path, Path]:
    """Where a claim may stand: in the folder, and beside it, where no script removes it with the folder."""
    return folder / jobfolder.CLAIM_FILE, claim_beside(folder)
