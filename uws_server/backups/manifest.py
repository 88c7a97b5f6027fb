"""What a backup is: a folder with the rows, the files, and a manifest that names both by their hashes.

    <backup>/manifest.json     written last: which version made it, when, of what, and the hashes of the two lists
             rows.jsonl.gz     the rows of the database (`storage.dump`)
             files.jsonl.gz    path, size, time of change, mode and SHA-256 of each file
             files/            the files, where they lay in the data folder

A backup has its name once it is whole, and is never changed. Imports the errors and the files of storage.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import NamedTuple, Self

from uws_server.errors import ServerError
from uws_server.storage.files import sha256_of, write_json

ROWS, FILES, FOLDER, MANIFEST = "rows.jsonl.gz", "files.jsonl.gz", "files", "manifest.json"
FORMAT = 1
"""The version of the layout above."""
BEGUN = ".begun-"
"""How the name of a backup begins that is not whole yet."""
_MOST_NAMED = 10


class BackupError(ServerError):
    """A backup that cannot be made or used: the message names the file and the reason."""


class FileEntry(NamedTuple):
    """A file of a backup; `path` is below the data folder, `changed_ns` the time of its last change."""

    path: str
    size: int
    changed_ns: int
    mode: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    `data` is the folder that was backed up, `deleted` are the jobs of the rows that were deleted before their files
    were copied, `parameters` those of jobs whose parameters were changed before, `lacking` the jobs of which a file
    was missing in the data folder.
    """

    made: str
    version: str
    revision: str
    database: str
    data: str
    rows: dict[str, int]
    files: int
    bytes: int
    hashes: dict[str, str]
    deleted: tuple[str, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the manifest of a backup."""
        write_json(folder / MANIFEST, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the manifest of a backup. Raise BackupError where there is none that this version knows."""
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BackupError(f"{folder} is no whole backup: it has no {MANIFEST}") from error
        except (OSError, ValueError) as error:
            raise BackupError(f"{path} cannot be read: {error}") from error
        if not isinstance(content, dict) or not isinstance(made_by := content.get("format"), int):
            raise BackupError(f"{path} is no manifest of a backup")
        if made_by > FORMAT:
            raise BackupError(f"{path}: format {made_by} came; this version of uws-server knows {FORMAT} at most")
        try:
            known = {each.name: content[each.name] for each in fields(cls)}
            return cls(**known | {name: tuple(content[name]) for name in ("deleted", "lacking")})
        except (KeyError, TypeError) as error:
            raise BackupError(f"{path} is no manifest of a backup: {error}") from error


def wholes(parent: Path) -> list[Path]:
    """Return the whole backups in a folder, the oldest first."""
    return sorted(path.parent for path in parent.glob(f"[0-9]*/{MANIFEST}"))


def entries(folder: Path) -> Iterator[FileEntry]:
    """Return what a backup says of its files."""
    with gzip.open(folder / FILES, "rt", encoding="utf-8") as stream:
        for line in stream:
            entry = FileEntry(*json.loads(line))
            if entry.path.startswith("/") or ".." in entry.path.split("/"):
                raise BackupError(f"{folder / FILES} names a file that lies elsewhere: {_printable(entry.path[:200])}")
            yield entry


def require_sound(folder: Path, manifest: Manifest) -> Iterator[FileEntry]:
    """Yield each file of a backup once it was read; in the end raise BackupError that names what is not as written."""
    for name in (ROWS, FILES):
        if problem := _problem(folder / name, None, manifest.hashes.get(name, "")):
            raise BackupError(f"{folder / name} {problem}: this backup cannot be used")
    problems = []
    for entry in entries(folder):
        path = folder / FOLDER / entry.path
        if problem := _problem(path, entry.size, entry.sha256):
            problems.append(f"{path} {problem}")
        yield entry
    if problems:
        more = f"\nand {len(problems) - _MOST_NAMED:,} more" if len(problems) > _MOST_NAMED else ""
        named = "\n".join(_printable(each) for each in problems[:_MOST_NAMED])
        raise BackupError(f"this backup cannot be used:\n{named}{more}")


def _problem(path: Path, size: int | None, sha256: str) -> str:
    """Return what is wrong with a file; '' if it is as it was written."""
    try:
        found = path.lstat().st_size
        if size is not None and found != size:
            return f"has {found:,} bytes instead of {size:,}"
        return "" if sha256_of(path) == sha256 else "was changed: its SHA-256 is another one"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
