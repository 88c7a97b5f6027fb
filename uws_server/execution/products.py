"""What becomes of the files a script left: found, described, tagged. Imports storage, jobs and provenance.

Every FITS file a job made carries VO-TAGS: written by the script, or else here, from the file's own headers
and the job's step. A file that cannot be tagged is kept as it is, and the log says why. `steps.json` holds the steps
of every job that ended, whoever told them.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import mimetypes
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from provenance import obscore, steps, votags
from provenance.fits.digests import digests
from provenance.fits.hdus import holds_fits, looks_like_fits
from provenance.steps import recording
from provenance.text.errors import ProvenanceError
from uws_server.execution import curation, gather, local, staging
from uws_server.jobs.definition import Definition, ResultSpec
from uws_server.jobs.job import LOG, Job, ParameterValue, Result, new_id
from uws_server.storage.files import STEPS_FILE, write_bytes
from uws_server.storage.uses import Use

_FITS = "application/fits"
_MADE_FROM_CALIBRATED = 2
"""ObsCore calib_level of a product that does not say its own."""
_MOST_FILES = 10_000
LOG_RESULT = ResultSpec(LOG, "job.log", "text/plain", "What the script printed.")
"""The log is a result of every job."""


@dataclass(frozen=True)
class Products:
    """The results of a job, what was noted on the way, the declared results that are missing, the files it used."""

    results: tuple[Result, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    used: tuple[Use, ...] = ()


def collect(job: Job, definition: Definition, folder: Path, results_url: str, ended: datetime) -> Products:
    """Find, tag and describe the files that a job left in its folder."""
    notes = gather.gather(definition, folder)
    told = gather.noted(folder)
    curated = recording.curated(curation.noted(folder), ended.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    files = list(_regular_files(folder / "results", notes))
    named = _name(files, definition)
    own = _steps_of(job, folder, notes, lambda: _own_step(job, folder, definition, named, results_url, ended))
    results = []
    for name, path, spec in named:
        if holds_fits(path):
            known = {**curated, **told.get(path.name, gather.Noted()).columns}
            _tag(job, path, name, own, f"{results_url}/{path.name}", notes, known)
        results.append(_describe(name, path, gather.described(spec, told.get(path.name)), folder))
    log = folder / LOG_RESULT.file
    if notes:
        with log.open("a", encoding="utf-8") as stream:
            stream.writelines(f"[WARNING] {note}\n" for note in notes)
    if log.exists():
        results.append(_describe(LOG_RESULT.name, log, LOG_RESULT, folder))
    there = {id(spec) for _, _, spec in named}
    missing = [spec.file for spec in definition.results if not spec.optional and id(spec) not in there]
    return Products(tuple(results), tuple(notes), tuple(missing), _uses(job, own))


def _regular_files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Plain files below the folder, as people order names; a link could lead out of it and is left out."""
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders.sort(key=_order)
        for name in sorted([*names, *(name for name in folders if Path(parent, name).is_symlink())], key=_order):
            path = Path(parent) / name
            if reason := _no_result(path):
                notes.append(f"{name!a} {reason} and is no result")
                continue
            count += 1
            if count > _MOST_FILES:
                notes.append(f"more than {_MOST_FILES} files: the rest are no results")
                return
            yield path


def _order(name: str) -> tuple[list[str | int], str]:
    """What names are ordered by: lightcurve_2 comes before lightcurve_10."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split("([0-9]+)", name))], name


def _no_result(path: Path) -> str:
    """Why a path can be no result; empty for one that can."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return "is not a plain file"
    if not str(path).isprintable():
        return "has a name that cannot be shown"
    return "" if os.access(path, os.R_OK, effective_ids=True) else "cannot be read"


def _name(files: Sequence[Path], definition: Definition) -> list[tuple[str, Path, ResultSpec]]:
    """Give each file the name of the result it is, declared ones first and in the definition's order."""
    found: list[tuple[Path, ResultSpec]] = []
    rest = list(files)
    for spec in definition.results:
        found += [(path, spec) for path in rest if fnmatch.fnmatchcase(path.name, spec.file)]
        rest = [path for path in rest if not fnmatch.fnmatchcase(path.name, spec.file)]
    for path in rest:
        base = "".join(c if (c.isalnum() and c.isascii()) or c in "_-" else "_" for c in path.stem)[:100]
        found.append((path, ResultSpec(base, path.name, _mime(path))))
    declared = {spec.name: spec for spec in definition.results}
    last: dict[str, int] = {}
    taken = {LOG_RESULT.name}
    named = []
    for path, spec in found:
        number = last.get(spec.name, 0) + 1
        name = spec.name if number == 1 else f"{spec.name}_{number}"
        while name in taken or declared.get(name, spec) is not spec:
            number += 1
            name = f"{spec.name}_{number}"
        last[spec.name] = number
        taken.add(name)
        named.append((name, path, spec))
    return named


def _describe(name: str, path: Path, spec: ResultSpec, folder: Path) -> Result:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    file = path.relative_to(folder).as_posix()
    mime = _mime(path) if spec.mime == ResultSpec.mime else spec.mime  # a definition need not say it
    return Result(new_id(), name, file, mime, path.stat().st_size, digest, spec.description)


def _mime(path: Path) -> str:
    if looks_like_fits(path):
        return _FITS
    # only the suffix is shown to guess_type: a name that begins with 'data:' would say its type itself
    kind, encoding = mimetypes.guess_type(f"file{path.suffix}")
    return kind if kind and not encoding else "application/octet-stream"


def _steps_of(job: Job, folder: Path, notes: list[str], own: Callable[[], steps.Step]) -> tuple[steps.Step, ...]:
    """The list a script left in steps.json, else the lists of its inputs and the step that is made from the job."""
    try:
        return steps.read(folder / STEPS_FILE)
    except FileNotFoundError:
        pass
    except (OSError, ProvenanceError) as error:
        notes.append(f"{STEPS_FILE} cannot be used: {error}")
    inherited: list[tuple[steps.Step, ...]] = []
    for _, value in _files_of(job):
        path = folder / str(value.value)
        try:
            tags = votags.read(path) if holds_fits(path) else None
        except (OSError, ProvenanceError) as error:
            trouble = str(error).replace(str(path), value.text)
            notes.append(f"the provenance of {value.text} cannot be read: {trouble}")
            continue
        inherited.append(tags.steps if tags else ())
    everything = steps.merge(*inherited, (own(),))
    _keep(folder / STEPS_FILE, everything, notes)
    return everything


def _own_step(
    job: Job,
    folder: Path,
    definition: Definition,
    named: Sequence[tuple[str, Path, ResultSpec]],
    results_url: str,
    ended: datetime,
) -> steps.Step:
    """The step of a job whose script told none: what `reduction.task` would have said."""
    inputs = _files_of(job)
    globs = {spec.name: spec.file for spec in definition.results}
    files = [path for _, path, _ in named]
    status = local.status(folder)
    return recording.make_step(
        [_used(definition, name, value, folder) for name, value in inputs],
        [_given(definition, name, value) for name, value in job.parameters.items() if not value.is_file],
        [
            recording.Product(path.name, spec.description, digests(path), recording.collection_of(path.name, globs))
            for _, path, spec in named
        ],
        results_url,
        recording.RunInfo(
            task=job.definition,
            version=job.version,
            job=job.id,
            parent=job.parent,
            started=job.started,
            ended=ended,
            exit_status=status.code if status else None,
            calibration=recording.calibration(
                [*(folder / str(value.value) for _, value in inputs), *files], _environment(folder)
            ),
            more={"note": notes} if (notes := staging.notes_of(folder)) else {},
        ),
        recording.machine_folders(folder, [(str(value.value), value.text) for _, value in inputs]),
    )


def _files_of(job: Job) -> list[tuple[str, ParameterValue]]:
    """The files that a job was given, each with the parameter it was given for."""
    found = [(name, each) for name, value in job.parameters.items() if value.is_file for each in value.each]
    return [(name, value) for name, value in found if value.value]


def _used(definition: Definition, name: str, value: ParameterValue, folder: Path) -> recording.UsedFile:
    spec = definition.parameter(name)
    about, editable = (spec.description, spec.editable) if spec else ("", False)
    try:
        found = digests(folder / str(value.value))
    except OSError:  # the script may have taken its own input away
        return recording.UsedFile(name, about, editable, value.text)
    return recording.UsedFile(name, about, editable, value.text, found.whole, found.science)


def _given(definition: Definition, name: str, value: ParameterValue) -> recording.ParameterValue:
    spec = definition.parameter(name)
    about, editable, unit = (spec.description, spec.editable, spec.unit) if spec else ("", False, "")
    content = tuple(part.value for part in value.parts) if value.parts else value.value
    return recording.ParameterValue(name, about, editable, content, unit)


def _environment(folder: Path) -> Mapping[str, str]:
    """The environment that the script was given."""
    try:
        found = json.loads((folder / "launch.json").read_bytes())["environment"]
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(path: Path, everything: Sequence[steps.Step], notes: list[str]) -> None:
    """Write the steps beside the job."""
    try:
        write_bytes(path, steps.dump(everything).encode("ascii") + b"\n")
    except (OSError, ProvenanceError) as error:
        notes.append(f"{path.name} cannot be written: {error}")


def _uses(job: Job, everything: Sequence[steps.Step]) -> tuple[Use, ...]:
    """The files that a job used, with the hashes its own step gives."""
    own = next((step for step in reversed(everything) if step.extra.get("job") == job.id), None)
    inputs = [arg for arg in own.args if isinstance(arg, steps.InputData)] if own else []
    hashes: dict[str, list[str]] = {}
    for arg in inputs:
        hashes.setdefault(str(arg.extra.get("name")), []).append(str(arg.extra.get("sha256") or ""))
    used = []
    for name, value in _files_of(job):
        given = hashes.get(name) or [""]
        digest = given.pop(0) if len(given) > 1 else given[0]
        used.append(Use(name, recording.said_plainly(value.text), digest))
    return tuple(used)


def _tag(
    job: Job,
    path: Path,
    name: str,
    own: tuple[steps.Step, ...],
    url: str,
    notes: list[str],
    known: Mapping[str, str | int | float],
) -> None:
    """Write VO-TAGS on a FITS file that has none; `known` are the columns that the script told."""
    try:
        if votags.read(path) is not None:
            return
        own_id = f"urn:uws-server:{job.id}:{path.name}"
        mode = f"{job.definition} {job.version}".strip()
        told = {"analysis_mode": mode, **known, "obs_creator_did": own_id, "access_url": url, "obs_publisher_did": url}
        row = obscore.from_file(path, **told)
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        # files that say little of themselves: what no row may be without, and what is known here
        row = row.filled(calib_level=_MADE_FROM_CALIBRATED, obs_collection="uws-server", obs_id=job.id)
        row = row.filled(obs_creation_date=made)
        votags.write(path, row, own)
    except (OSError, ProvenanceError) as error:
        notes.append(f"{name} carries no VO-TAGS: {error}")
