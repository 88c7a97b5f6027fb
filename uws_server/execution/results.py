"""Finds the results among the files that a script left, and describes them. Imports the values and provenance.

A result is a plain, readable file below `results/`. One that matches a declared result has its name and description,
any other is named after its file.
"""

from __future__ import annotations

import fnmatch
import mimetypes
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from provenance.fits.hdus import looks_like_fits
from uws_server.jobs.definition import Definition, ResultSpec
from uws_server.jobs.job import LOG, Result, new_id

LOG_RESULT = ResultSpec(LOG, "job.log", "text/plain", "What the script printed.")
"""The log is a result of every job."""

_FITS = "application/fits"
_MOST_FILES = 10_000
_DEEPEST = 50
"""How many folders deep a result may lie: the search recurses."""


class FoundResult(NamedTuple):
    """A file that is a result: its name among the results of the job, and what the definition says of it."""

    name: str
    path: Path
    spec: ResultSpec


def find(folder: Path, definition: Definition) -> tuple[list[FoundResult], list[str]]:
    """Find the results below a folder.

    Returns the results, the declared ones first and in the definition's order, and a note for each file that can be
    none.
    """
    files, notes = _regular_files(folder)
    return _named(files, definition), notes


def missing(definition: Definition, found: Sequence[FoundResult]) -> tuple[str, ...]:
    """Return the files of the declared results that are neither there nor optional."""
    there = {id(result.spec) for result in found}
    return tuple(spec.file for spec in definition.results if not spec.optional and id(spec) not in there)


def describe(found: FoundResult, folder: Path, digest: str) -> Result:
    """Return a result as it is registered, with a new id; `folder` is that of the job, `digest` the file's SHA-256."""
    name, path, spec = found
    file = path.relative_to(folder).as_posix()
    mime = _mime(path) if spec.mime == ResultSpec.mime else spec.mime  # a definition need not say it
    return Result(new_id(), name, file, mime, path.stat().st_size, digest, spec.description)


def _regular_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The files that can be results, in the order in which people sort names, and notes on those that cannot."""
    files: list[Path] = []
    notes: list[str] = []
    for path in _paths_below(folder):
        if len(path.relative_to(folder).parts) > _DEEPEST:
            notes.append(f"what lies more than {_DEEPEST} folders deep is no result")
        elif reason := _why_no_result(path):
            notes.append(f"{path.name!a} {reason} and is no result")
        elif len(files) == _MOST_FILES:
            notes.append(f"more than {_MOST_FILES} files: the rest are no results")
            break
        else:
            files.append(path)
    return files, notes


def _paths_below(folder: Path) -> Iterator[Path]:
    """All that is below a folder but folders; a link to one is not followed, since it could lead out of it.

    Of what lies too deep to be a result, the folder comes that holds it.
    """
    for parent, folders, names in os.walk(folder, followlinks=False):
        if len(Path(parent).relative_to(folder).parts) == _DEEPEST:
            yield from (Path(parent, name) for name in folders[:1])
            folders.clear()
        folders.sort(key=_sort_key)
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*names, *links], key=_sort_key))


def _sort_key(name: str) -> tuple[list[str | int], str]:
    """What names are sorted by: lightcurve_2 comes before lightcurve_10."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split("([0-9]+)", name))], name


def _why_no_result(path: Path) -> str:
    """The reason why a path can be no result; empty for one that can."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return "is not a plain file"
    if not str(path).isprintable():
        return "has a name that cannot be shown"
    return "" if os.access(path, os.R_OK, effective_ids=True) else "cannot be read"


def _named(files: Sequence[Path], definition: Definition) -> list[FoundResult]:
    """Give each file the name of the result it is, declared ones first and in the definition's order."""
    declared = {spec.name: spec for spec in definition.results}
    last: dict[str, int] = {}
    taken = {LOG_RESULT.name}
    named = []
    for path, spec in _specified(files, definition):
        number = last.get(spec.name, 0) + 1
        name = spec.name if number == 1 else f"{spec.name}_{number}"
        while name in taken or declared.get(name, spec) is not spec:
            number += 1
            name = f"{spec.name}_{number}"
        last[spec.name] = number
        taken.add(name)
        named.append(FoundResult(name, path, spec))
    return named


def _specified(files: Sequence[Path], definition: Definition) -> list[tuple[Path, ResultSpec]]:
    """Each file with the declared result that it matches first, else with one made from its name."""
    found: list[tuple[Path, ResultSpec]] = []
    rest = list(files)
    for spec in definition.results:
        found += [(path, spec) for path in rest if fnmatch.fnmatchcase(path.name, spec.file)]
        rest = [path for path in rest if not fnmatch.fnmatchcase(path.name, spec.file)]
    for path in rest:
        base = "".join(c if (c.isalnum() and c.isascii()) or c in "_-" else "_" for c in path.stem)[:100]
        found.append((path, ResultSpec(base, path.name, _mime(path))))
    return found


def _mime(path: Path) -> str:
    if looks_like_fits(path):
        return _FITS
    # only the suffix is shown to guess_type: a name that begins with 'data:' would say its type itself
    kind, encoding = mimetypes.guess_type(f"file{path.suffix}")
    return kind if kind and not encoding else "application/octet-stream"
