"""What becomes of the files that a script left: found, recorded as steps, tagged, described. Imports its neighbours.

Every FITS file that a job made carries VO-TAGS: written by the script, or else here. A file that cannot be tagged is
kept as it is, and the log says why.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from provenance.fits.digests import Growing, digests
from uws_server.execution import gather, job_steps, results, tags
from uws_server.execution.job_steps import EndedJob
from uws_server.execution.results import LOG_RESULT, FoundResult
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, Result
from uws_server.storage.files import sha256_of
from uws_server.storage.uses import Use


@dataclass(frozen=True)
class Products:
    """The results of a job, notes for the log, the declared results that are missing, the files that it used."""

    results: tuple[Result, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    used: tuple[Use, ...] = ()


def collect(
    job: Job,
    definition: Definition,
    folder: Path,
    results_url: str,
    ended: datetime,
    digest_of: job_steps.Digesting = digests,
    settle: Callable[[int], object] = os.fsync,
) -> Products:
    """Find, tag and describe the files that a job left.

    Parameters
    ----------
    job, definition
        The job, and the definition that it ran.
    folder
        The folder of the job.
    results_url
        The URL below which its results are.
    ended
        When its script ended, an aware time.
    digest_of
        What hashes a file of the archive, or knows what it holds.
    settle
        What brings a list of steps to the disk that is made here.

    Returns
    -------
    Products
        What is to be registered. The notes stand in the log of the job, too.
    """
    notes = gather.gather(definition, folder)
    noted = gather.noted(folder)
    found, notes_on_files = results.find(folder / "results", definition)
    job_ended = EndedJob(job, definition, folder, results_url, ended)
    everything, notes_on_steps = job_steps.written(folder)
    hashed: dict[Path, Growing] = {}
    if everything is None:
        hashed = {result.path: Growing(result.path) for result in found}  # each is read once, however large
        everything, notes_on_inputs = job_steps.make(job_ended, found, hashed, digest_of, settle)
        notes_on_steps += notes_on_inputs
        used = tuple(replace(use, is_checked=True) for use in job_steps.uses_of(job, everything))
    else:
        used = job_steps.uses_of(job, everything)
    producing = tags.producing_job(job_ended)
    untagged = {
        result.name: tags.complete(result.path, producing, noted.get(result.path.name, gather.Noted()), everything)
        for result in found
    }
    notes += notes_on_files + notes_on_steps
    notes += [f"{name} carries no VO-TAGS: {reason}" for name, reason in untagged.items() if reason]
    _log(folder, notes)
    described = [FoundResult(name, path, gather.described(spec, noted.get(path.name))) for name, path, spec in found]
    if (log := folder / LOG_RESULT.file).is_file():
        described.append(FoundResult(LOG_RESULT.name, log, LOG_RESULT))
    return Products(
        tuple(results.describe(each, folder, _sha256(each.path, hashed)) for each in described),
        tuple(notes),
        results.missing(definition, found),
        used,
    )


def _sha256(path: Path, hashed: Mapping[Path, Growing]) -> str:
    """The SHA-256 of a result: of one that was read before its tags were appended, only these are read."""
    if path in hashed:
        return hashed[path].whole_with_appended()
    return sha256_of(path)


def _log(folder: Path, notes: Sequence[str]) -> None:
    """Append notes to the log of a job."""
    if notes:
        # the script may have put a folder in its place; the server logs the notes, too
        with contextlib.suppress(OSError), (folder / LOG_RESULT.file).open("a", encoding="utf-8") as stream:
            stream.writelines(f"[WARNING] {note}\n" for note in notes)
