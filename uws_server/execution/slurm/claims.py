"""The claim of a server on the folder of a job: no supervisor runs it then, wherever it waits. Imports storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uws_server.execution import jobfolder
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import JobError
from uws_server.jobs.phases import Phase
from uws_server.storage.files import read_json

CLAIM_FILE = jobfolder.CLAIM_FILE
_VERDICT = "verdict"


def claim(folder: Path, verdict: GivenUp) -> bool:
    """Claim the folder of a job that ends so. Return False if a supervisor has it; raise OSError where none can."""
    error = verdict.error
    told = None if error is None else {"message": error.message, "fatal": error.fatal}
    return jobfolder.claim(folder, {_VERDICT: {"phase": verdict.phase, "error": told}})


def verdict_of(folder: Path) -> GivenUp | None:
    """Return how the job ends whose folder a server has claimed; None where a supervisor has."""
    found: Any = read_json(folder / CLAIM_FILE).get(_VERDICT)
    try:
        error = found["error"]
        told = None if error is None else JobError(str(error["message"]), bool(error["fatal"]))
        return GivenUp(Phase(found["phase"]), told)
    except (KeyError, TypeError, ValueError):
        return None
