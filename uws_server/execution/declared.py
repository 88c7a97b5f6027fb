"""Finds the files that a definition declares as results. Imports the names of the server's own files.

A script of OPUS writes `output.txt` into its current folder, not into `results/`: files there that the definition
declares as results are moved to `results/`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from uws_server.storage.files import OURS, STEPS_FILE


def move(globs: Sequence[str], folder: Path) -> list[str]:
    """Move declared results from the folder of a job into its `results/`. Return notes for the log."""
    results = folder / "results"
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


def files(folder: Path) -> list[Path]:
    """Return the plain files in the `results/` of a folder, however deep, by name."""
    found = []
    for parent, _, names in os.walk(folder / "results", followlinks=False):
        found += [Path(parent, name) for name in names]
    return sorted(path for path in found if stat.S_ISREG(path.lstat().st_mode))


def missing(globs: Sequence[str], folder: Path) -> list[str]:
    """Return the globs that no file in the `results/` of a folder matches."""
    names = {path.name for path in files(folder)} if globs else set()
    return [glob for glob in globs if not any(fnmatch.fnmatchcase(name, glob) for name in names)]
