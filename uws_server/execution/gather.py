"""What a script left beside `results/`, and what it noted of its results. Imports provenance, definition, storage.

A script of OPUS writes `output.txt` into the folder it runs in, not into `results/`: files there that the definition
declares as results are taken to where results are looked for.
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
    """What a script told of a result: in words, and in the columns of ObsCore."""

    description: str = ""
    columns: Mapping[str, str | int | float] = field(default_factory=dict)


def gather(definition: Definition, folder: Path) -> list[str]:
    """Move declared results that lie in the folder of the job into its `results/`; returns notes for the log."""
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
    """Remove links and pipes that a script put in the place of what the server opens: they could lead anywhere."""
    notes = []
    for name in sorted({*OURS, "inputs", "results", f"{STEPS_FILE}.new"}) + _given(folder):
        path = folder / name
        if os.path.lexists(path) and stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            path.unlink()
            notes.append(f"the script put a link or a pipe in the place of {name}; it was removed")
    return notes


def _given(folder: Path) -> list[str]:
    """What lies where the inputs of a job were put."""
    inputs = folder / "inputs"
    with contextlib.suppress(OSError):  # there is none, or the script had it closed
        return [] if inputs.is_symlink() else sorted(f"inputs/{path.name}" for path in inputs.iterdir())
    return []


def noted(folder: Path) -> Mapping[str, Noted]:
    """What a script told of its results, by file name; what is not as the commands write it is left out."""
    try:
        with (folder / HELPERS_FILE).open("rb") as stream:
            document = jsontext.read(stream.read(_MOST_BYTES))
    except (OSError, JsonError):
        return {}
    told = document.get("results") if isinstance(document, dict) else None
    return {name: _noted(each) for name, each in told.items()} if isinstance(told, dict) else {}


def described(spec: ResultSpec, told: Noted | None) -> ResultSpec:
    """A result with what the script said of it, where it did."""
    return replace(spec, description=told.description) if told and told.description else spec


def _noted(told: Any) -> Noted:
    if not isinstance(told, dict):
        return Noted()
    text, columns = told.get("description"), told.get("columns")
    kept = columns if isinstance(columns, dict) else {}
    return Noted(
        text[:10_000] if isinstance(text, str) and text.isprintable() else "",
        {name: value for name, value in kept.items() if name in _COLUMNS and isinstance(value, str | int | float)},
    )
