"""Reads the steps that the script of a job left in `steps.json`, or makes them. Imports storage and its neighbours.

`steps.json` then holds the steps of every job that ended, whoever wrote them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from provenance import steps, votags
from provenance.fits.digests import Digests, Growing, digests
from provenance.fits.hdus import holds_fits
from provenance.steps import recording
from provenance.text.errors import ProvenanceError
from uws_server.execution import local, staging
from uws_server.execution.results import FoundResult
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, ParameterValue
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import STEPS_FILE
from uws_server.storage.plainfiles import write_bytes
from uws_server.storage.uses import Use

Steps = tuple[steps.Step, ...]
Digesting = Callable[[Path], Digests]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class EndedJob:
    """A job whose script ended: its definition and folder, the URL below which its results are, an aware time."""

    job: Job
    definition: Definition
    folder: Path
    results_url: str
    ended: datetime


def written(folder: Path) -> tuple[Steps | None, list[str]]:
    """Read the list that a script left in the folder of its job.

    Returns None where there is no list that can be used, and notes for the log.
    """
    try:
        return steps.read(folder / STEPS_FILE), []
    except FileNotFoundError:
        return None, []
    except (OSError, ProvenanceError) as error:
        return None, [f"{STEPS_FILE} cannot be used: {error}"]


def make(
    ended: EndedJob,
    found: Sequence[FoundResult],
    hashed: Mapping[Path, Growing],
    digest_of: Digesting = digests,
    settle: Callable[[int], object] = os.fsync,
) -> tuple[Steps, list[str]]:
    """Make and write the list of a job whose script left none: the steps of its inputs, then its own.

    `hashed` has the hashes of all results, `digest_of` hashes a file of the archive or knows what it holds; `settle`
    brings the list to the disk.

    Returns the list, and notes for the log on inputs whose steps cannot be read and on a list that cannot be written.
    """
    inherited, notes = _steps_of_inputs(ended.job, ended.folder)
    everything = steps.merge(*inherited, (_own_step(ended, found, hashed, digest_of),))
    try:
        write_bytes(ended.folder / STEPS_FILE, steps.dump(everything).encode("ascii") + b"\n", settle)
    except (OSError, ProvenanceError) as error:
        if meaning_of(error):
            raise  # the job is registered when there is room
        notes.append(f"{STEPS_FILE} cannot be written: {error}")
    return everything, notes


def uses_of(job: Job, everything: Sequence[steps.Step]) -> tuple[Use, ...]:
    """Return the files that a job used, with the hashes in its own step, which may be what its script states."""
    own = next((step for step in reversed(everything) if step.extra.get("job") == job.id), None)
    inputs = [arg for arg in own.args if isinstance(arg, steps.InputData)] if own else []
    hashes: dict[str, list[str]] = {}
    for arg in inputs:
        digest = str(arg.extra.get("sha256") or "")
        hashes.setdefault(str(arg.extra.get("name")), []).append(digest if _SHA256.fullmatch(digest) else "")
    used = []
    for name, value in _files_of(job):
        recorded = hashes.get(name) or [""]
        digest = recorded.pop(0) if len(recorded) > 1 else recorded[0]
        used.append(Use(name, recording.redacted(value.text), digest, is_checked=False))
    return tuple(used)


def checked(
    used: Sequence[Use], job: Job, folder: Path, made_here: Callable[[Collection[str]], Collection[str]]
) -> tuple[Use, ...]:
    """Hash those files of a job that are results of this server by what its script states; the others are not read.

    Parameters
    ----------
    used
        The files, as `uses_of` returns them; empty where it is not known what was used.
    job, folder
        The job, and its folder.
    made_here
        Returns those of some hashes that are of results of this server.

    Returns
    -------
    tuple of Use
        The files, those marked of which this server knows that they have the stated hash.
    """
    ours = made_here({use.sha256 for use in used if use.sha256 and not use.is_checked})
    return tuple(
        replace(use, is_checked=_has(folder, value, use.sha256)) if use.sha256 in ours and not use.is_checked else use
        for use, (_, value) in zip(used, _files_of(job), strict=False)
    )


def _has(folder: Path, value: ParameterValue, sha256: str) -> bool:
    """Whether the file that a value of a job names has a hash; False for one that the script removed."""
    try:
        with (folder / str(value.value)).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False


def warning_of(definition: Definition, status: local.Status | None) -> str:
    """Return what the exit status of a script stands for, if the definition says that it is no failure; else ''."""
    if status is None or status.reason != "exit":
        return ""
    return definition.control.statuses.get(str(status.code), "")


def _steps_of_inputs(job: Job, folder: Path) -> tuple[list[Steps], list[str]]:
    """The step list of each tagged input, and notes on the tags that cannot be read."""
    found: list[Steps] = []
    notes = []
    for _, value in _files_of(job):
        path = folder / str(value.value)
        try:
            tags = votags.read(path) if holds_fits(path) else None
        except (OSError, ProvenanceError) as error:
            trouble = str(error).replace(str(path), value.text)
            notes.append(f"the provenance of {value.text} cannot be read: {trouble}")
            continue
        found.append(tags.steps if tags else ())
    return found, notes


def _own_step(
    ended: EndedJob, found: Sequence[FoundResult], hashed: Mapping[Path, Growing], digest_of: Digesting
) -> steps.Step:
    """The step of a job whose script wrote none: what `reduction.task` would have written."""
    job, definition, folder = ended.job, ended.definition, ended.folder
    inputs = _files_of(job)
    globs = {spec.name: spec.file for spec in definition.results}
    return recording.make_step(
        [_used_file(definition, name, value, folder, digest_of) for name, value in inputs],
        [_parameter(definition, name, value) for name, value in job.parameters.items() if not value.is_file],
        [
            recording.Product(
                path.name, spec.description, hashed[path].digests, recording.collection_of(path.name, globs)
            )
            for _, path, spec in found
        ],
        ended.results_url,
        _run_info(ended, [path for _, path, _ in found]),
        recording.machine_folders(folder, [(str(value.value), value.text) for _, value in inputs]),
    )


def _run_info(ended: EndedJob, products: Sequence[Path]) -> recording.RunInfo:
    """How a job ran, and the calibration files that its inputs, its products and its environment name."""
    job, folder = ended.job, ended.folder
    status = local.status(folder)
    inputs = [folder / str(value.value) for _, value in _files_of(job)]
    more = {"note": staging.notes_of(folder), "warning": warning_of(ended.definition, status)}
    return recording.RunInfo(
        task=job.definition,
        version=job.version,
        job=job.id,
        parent=job.parent,
        started=job.started,
        ended=ended.ended,
        exit_status=status.code if status else None,
        calibration=recording.calibration([*inputs, *products], _environment(folder)),
        more={key: text for key, text in more.items() if text},
    )


def _files_of(job: Job) -> list[tuple[str, ParameterValue]]:
    """The files that a job was given, each with the parameter it was given for."""
    found = [(name, part) for name, value in job.parameters.items() if value.is_file for part in value.each]
    return [(name, value) for name, value in found if value.value]


def _used_file(
    definition: Definition, name: str, value: ParameterValue, folder: Path, digest_of: Digesting
) -> recording.UsedFile:
    spec = definition.parameter(name)
    description, editable = (spec.description, spec.editable) if spec else ("", False)
    try:
        found = (digest_of if value.kind == "archive" else digests)(folder / str(value.value))
    except OSError:  # the script may have removed its own input
        return recording.UsedFile(name, description, editable, value.text)
    return recording.UsedFile(name, description, editable, value.text, found.whole, found.science)


def _parameter(definition: Definition, name: str, value: ParameterValue) -> recording.ParameterValue:
    spec = definition.parameter(name)
    description, editable, unit = (spec.description, spec.editable, spec.unit) if spec else ("", False, "")
    content = tuple(part.value for part in value.parts) if value.parts else value.value
    return recording.ParameterValue(name, description, editable, content, unit)


def _environment(folder: Path) -> Mapping[str, str]:
    """The environment that the script was given; empty where launch.json cannot be read."""
    try:
        found = json.loads((folder / "launch.json").read_bytes())["environment"]
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
