"""Gathers the results that a script left outside `results/`, and reads its notes on them. Imports provenance, storage.

A script of OPUS writes `output.txt` into its current folder, not into `results/`: files there that the definition
declares as results are moved to `results/`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provenance import obscore
from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.jobs.definition import Definition, ResultSpec
from uws_server.storage.files import HELPERS_FILE, OURS, STEPS_FILE

_MOST_BYTES = 4_000_000
_COLUMNS = frozenset(column.name for column in obscore.ALL_COLUMNS)


@dataclass(frozen=True)
class Noted:
    """The notes of a script on a result: a description, and columns of ObsCore."""

    description: str = ""
    columns: Mapping[str, str | int | float] = field(default_factory=dict)


def gather(definition: Definition, folder: Path) -> list[str]:
    """Move declared results from the folder of a job into its `results/`. Return notes for the log."""
    results = folder / "results"
    globs = [spec.file for spec in definition.results]
    notes = _clear(folder)
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in entries if entry.name not in OURS and not entry.name.startswith("."))
    for name in found:
        if not any(fnmatch.fnmatchcase(name, glob) for glob in globs):
            continue
        path, target = folder / name, results / name
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        if os.path.lexists(target):
            notes.append(f"{name!a} lies beside results/ and in it; the one in results/ is the result")
            continue
        try:
            results.mkdir(exist_ok=True)
            path.rename(target)
        except OSError as error:
            notes.append(f"{name!a} cannot be taken to results/: {error.strerror}")
    return notes


def _clear(folder: Path) -> list[str]:
    """Remove links and pipes in the place of files that the server opens: they could lead anywhere. Return notes."""
    notes = []
    for name in sorted({*OURS, "inputs", "results", f"{STEPS_FILE}.new"}) + _inputs(folder):
        path = folder / name
        if os.path.lexists(path) and stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            path.unlink()
            notes.append(f"the script put a link or a pipe in the place of {name}; it was removed")
    return notes


def _inputs(folder: Path) -> list[str]:
    """The names in the folder of a job's inputs; none where there is no such folder."""
    inputs = folder / "inputs"
    with contextlib.suppress(OSError):  # there is none, or the script took away the right to read it
        return [] if inputs.is_symlink() else sorted(f"inputs/{path.name}" for path in inputs.iterdir())
    return []


def noted(folder: Path) -> Mapping[str, Noted]:
    """Return the notes of a script on its results, by file name; those that the commands did not write are left out."""
    try:
        with (folder / HELPERS_FILE).open("rb") as stream:
            # half a character, as in a description that is no UTF-8, spoils that description and not the other notes
            document = jsontext.parse(stream.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError, JsonError):
        return {}
    results = document.get("results") if isinstance(document, dict) else None
    return {name: _noted(entry) for name, entry in results.items()} if isinstance(results, dict) else {}


def described(spec: ResultSpec, noted: Noted | None) -> ResultSpec:
    """Return a result with the description that the script noted, if it did."""
    return replace(spec, description=noted.description) if noted and noted.description else spec


def _noted(entry: Any) -> Noted:
    """The notes in an entry of the file; empty ones where it is no object."""
    if not isinstance(entry, dict):
        return Noted()
    text, columns = entry.get("description"), entry.get("columns")
    kept = columns if isinstance(columns, dict) else {}
    return Noted(
        text[:10_000] if isinstance(text, str) and text.isprintable() else "",
        {name: value for name, value in kept.items() if name in _COLUMNS and isinstance(value, str | int | float)},
    )
