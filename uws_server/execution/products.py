"""What becomes of the files a script left: found, described, tagged. Imports storage, jobs and provenance.

Every FITS file a job made carries VO-TAGS: written by the script, or else here, from the file's own headers
and the job's step. A file that cannot be tagged is kept as it is, and the log says why.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import mimetypes
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provenance import hdus, obscore, steps, votags
from provenance.errors import ProvenanceError
from provenance.jsontext import MAX_BYTES
from uws_server.jobs.definition import Definition, ResultSpec
from uws_server.jobs.job import Job, Result, new_id
from uws_server.version import VERSION

_FITS = "application/fits"
_MADE_FROM_CALIBRATED = 2
"""ObsCore calib_level of a product that does not say its own."""
_MOST_FILES = 10_000
LOG_RESULT = ResultSpec("log", "job.log", "text/plain", "What the script printed.")
"""The log is a result of every job."""


@dataclass(frozen=True)
class Products:
    """The results of a job, what was noted on the way, and the declared results that are missing."""

    results: tuple[Result, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def collect(job: Job, definition: Definition, folder: Path, results_url: str, ended: datetime) -> Products:
    """Find, tag and describe the files that a job left in its folder."""
    notes: list[str] = []
    files = list(_regular_files(folder / "results", notes))
    named = _name(files, definition)
    own = _steps_of(job, definition, folder, files, ended, notes)
    results = []
    for name, path, spec in named:
        if _is_fits(path) or _is_gzipped_fits(path):
            _tag(job, path, name, own, f"{results_url}/{path.name}", notes)
        results.append(_describe(name, path, spec, folder))
    log = folder / LOG_RESULT.file
    if notes:
        with log.open("a", encoding="utf-8") as stream:
            stream.writelines(f"[WARNING] {note}\n" for note in notes)
    if log.exists():
        results.append(_describe(LOG_RESULT.name, log, LOG_RESULT, folder))
    there = {id(spec) for _, _, spec in named}
    missing = [spec.file for spec in definition.results if not spec.optional and id(spec) not in there]
    return Products(tuple(results), tuple(notes), tuple(missing))


def _regular_files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Plain files below the folder, in order of their names; a link could lead out of it and is left out."""
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted([*names, *(name for name in folders if Path(parent, name).is_symlink())]):
            path = Path(parent) / name
            if reason := _no_result(path):
                notes.append(f"{name!a} {reason} and is no result")
                continue
            count += 1
            if count > _MOST_FILES:
                notes.append(f"more than {_MOST_FILES} files: the rest are no results")
                return
            yield path


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
    return Result(new_id(), name, file, spec.mime, path.stat().st_size, digest, spec.description)


def _mime(path: Path) -> str:
    if _is_fits(path):
        return _FITS
    # only the suffix is shown to guess_type: a name that begins with 'data:' would say its type itself
    kind, encoding = mimetypes.guess_type(f"file{path.suffix}")
    return kind if kind and not encoding else "application/octet-stream"


def _is_fits(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(10) == b"SIMPLE  = "


def _is_gzipped_fits(path: Path) -> bool:
    """Whether FITS is in a gzip file, which cannot be tagged: the note says so."""
    with path.open("rb") as stream, contextlib.suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(stream.read(1 << 16), 10) == b"SIMPLE  = "
    return False


def _steps_of(
    job: Job, definition: Definition, folder: Path, files: Sequence[Path], ended: datetime, notes: list[str]
) -> tuple[steps.Step, ...]:
    """The list a script left in steps.json, else the lists of its inputs and one step made from the job."""
    try:
        with (folder / "steps.json").open("rb") as stream:
            return steps.parse(stream.read(MAX_BYTES + 1))
    except FileNotFoundError:
        pass
    except (OSError, ProvenanceError) as error:
        notes.append(f"steps.json cannot be used: {error}")
    inherited: list[tuple[steps.Step, ...]] = []
    for value in job.parameters.values():
        if value.is_file:
            try:
                tags = votags.read(folder / str(value.value))
            except (OSError, ProvenanceError) as error:
                notes.append(f"the provenance of {value.text} cannot be read: {error}")
                continue
            inherited.append(tags.steps if tags else ())
    return steps.merge(*inherited, (_own_step(job, definition, files, ended),))


def _own_step(job: Job, definition: Definition, files: Sequence[Path], ended: datetime) -> steps.Step:
    args: list[steps.InputData | steps.Parameter | steps.OutputData] = []
    for name, value in job.parameters.items():
        spec = definition.parameter(name)
        about = spec.description if spec else ""
        editable = bool(spec and spec.editable)
        if value.is_file:
            args.append(steps.InputData(len(args), about, editable, "", value.text, {"name": name}))
        else:
            args.append(steps.Parameter(len(args), about, editable, value.text, {"name": name}))
    for path in files:
        args.append(steps.OutputData(len(args), "", False, "", path.name, {}))
    beside = {
        "task": job.definition,
        "version": job.version,
        "job": job.id,
        "started": job.started.isoformat() if job.started else None,
        "ended": ended.isoformat(),
        "software": {"uws-server": VERSION},
    }
    return steps.Step(tuple(args), {key: value for key, value in beside.items() if value is not None})


def _tag(job: Job, path: Path, name: str, own: tuple[steps.Step, ...], url: str, notes: list[str]) -> None:
    """Write VO-TAGS on a FITS file that has none."""
    try:
        if votags.read(path) is not None:
            return
        size_kb = max(1, path.stat().st_size // 1000)
        headers = hdus.headers(path)
        row = obscore.from_science(headers, access_url=url, obs_publisher_did=url, access_estsize=size_kb)
        # files that say little of themselves: what no row may be without
        row = row.filled(calib_level=_MADE_FROM_CALIBRATED, obs_collection="uws-server", obs_id=job.id)
        votags.write(path, row, own)
    except (OSError, ProvenanceError) as error:
        notes.append(f"{name} carries no VO-TAGS: {error}")
