"""The files of a definition beside job.json, the script and the README: names and sizes that are allowed. Imports the
jobs' formats and errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from uws_server.errors import BadRequest
from uws_server.jobs.formats import native
from uws_server.jobs.formats.draft import DEFINITION_FILE, README_FILE

MOST_BYTES = 10_000_000
"""Size of the largest file."""
MOST_FILES = 100

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_MOST_PARTS = 5


def of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those of the files of a revision that the editor does not show as texts."""
    if DEFINITION_FILE not in files:  # it holds nothing but further files
        return dict(files)
    script = native.read_unchecked(files[DEFINITION_FILE].decode(errors="replace"), DEFINITION_FILE).entry.script
    shown = {DEFINITION_FILE, script}
    if files.get(README_FILE, b"").strip():
        shown.add(README_FILE)
    return {name: content for name, content in files.items() if name not in shown}


def require_name(name: str, script: str) -> None:
    """Raise BadRequest for what cannot be the name of a further file of a definition with that script."""
    parts = PurePosixPath(name).parts
    if name != "/".join(parts) or not 1 <= len(parts) <= _MOST_PARTS or not all(map(_PART.fullmatch, parts)):
        raise BadRequest(
            f"{name[:80]!r} is no name of a file beside the script: letters, digits, '_', '-', '+' and '.' are "
            f"allowed, and at most {_MOST_PARTS - 1} folders with '/' between them"
        )
    if "__pycache__" in parts:
        raise BadRequest(f"{name[:80]!r} is what Python compiled; add the source")
    if name.lower() in (DEFINITION_FILE.lower(), README_FILE.lower(), script.lower()):
        raise BadRequest(f"{name[:80]!r} is written in a field of its own")


def require_room(files: Mapping[str, bytes], name: str, size: int) -> None:
    """Raise BadRequest where a file is too large, or one too many."""
    if size > MOST_BYTES:
        raise BadRequest(f"{name[:80]!r} has {size / 1e6:,.1f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are allowed")
    if name not in files and len(files) >= MOST_FILES:
        raise BadRequest(f"{name[:80]!r} is one file too many: at most {MOST_FILES} are allowed beside the script")
    folders = {str(parent) for parent in PurePosixPath(name).parents}
    for other in files:
        if other in folders or name in map(str, PurePosixPath(other).parents):
            raise BadRequest(f"{name[:80]!r} cannot stand beside {other[:80]!r}: one would be the folder of the other")
