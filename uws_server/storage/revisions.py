"""The files of every version of a job definition that ever was live or requested, or that a job runs with.

Imports the errors only.

    <data>/definitions/<digest>/    job.json, the script, README.md, what else the script needs

A folder is named by the digest of its files and is never changed: a job that was made with it runs with it, whatever
became live since. Two servers that keep the same files at the same moment make the same folder. Its time of change says
when it was kept last: what is old and no longer referred to was only tried, and is swept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from uws_server.errors import DefinitionError, NotFound, Problem
from uws_server.storage.plainfiles import sync_folder

MOST_FILES = 1000
MOST_BYTES = 50_000_000
"""Bytes of all files of a definition together."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEFT_OUT = frozenset({"__pycache__"})
_LEFT_AGE_S = 3600.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class Revisions:
    """The kept files of definitions below the data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data.absolute() / "definitions"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def keep(self, files: Mapping[str, bytes]) -> str:
        """Keep files by their names below the definition's folder, and return their digest.

        Raise DefinitionError for too many or too large files, and for names that lead elsewhere.
        """
        require_keepable({name: len(content) for name, content in files.items()})
        digest = digest_of(files)
        place = self.folder / digest
        if not _touch(place):
            beside = self.folder / f".new-{secrets.token_hex(8)}"
            try:
                _write(beside, files)
                with contextlib.suppress(OSError):
                    beside.rename(place)
                if not place.is_dir():
                    raise OSError(f"{place} could not be made")
                sync_folder(self.folder)
            finally:
                _remove(beside)  # there only if another server was faster, or the disk is full
        return digest

    def has(self, digest: str) -> bool:
        """Check whether the files of that digest are kept."""
        return is_digest(digest) and (self.folder / digest).is_dir()

    def path(self, digest: str) -> Path:
        """Return the folder of the files of that digest. Raise NotFound if they are not kept."""
        if not self.has(digest):
            raise NotFound(f"no revision {digest[:64]!r} of a job definition is kept")
        return self.folder / digest

    def files(self, digest: str) -> dict[str, bytes]:
        """Return the files of that digest, by name. Raise NotFound if they are not kept."""
        return read_files(self.path(digest))

    def sweep(self, unused: Callable[[Collection[str]], Collection[str]], older_than: float) -> int:
        """Remove what was last kept more than `older_than` seconds ago and is `unused`; return how many.

        `unused` returns those of some digests that nothing refers to. The files of a trial are kept a moment before its
        job is made, and the job may take that long to be made.
        """
        limit = time.time() - older_than
        old = [place.name for place in self.folder.iterdir() if is_digest(place.name) and _kept(place) < limit]
        return sum(self._remove(digest, limit) for digest in unused(old)) if old else 0

    def _remove(self, digest: str, limit: float) -> bool:
        """Remove the files of a digest unless another server keeps them again now; return whether they are gone."""
        place, beside = self.folder / digest, self.folder / f".new-{secrets.token_hex(8)}"
        with contextlib.suppress(OSError):  # another server was faster
            place.rename(beside)
            if _kept(beside) >= limit:
                beside.rename(place)
        _remove(beside)
        return not place.exists()

    def _sweep(self) -> None:
        """Remove what a server that was killed had begun to write."""
        for left in self.folder.glob(".new-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.lstat().st_mtime > _LEFT_AGE_S:
                    _remove(left)


def is_digest(text: str) -> bool:
    """Check whether a text can be the digest of a revision."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of names and contents in the order of the names: the same for the same files everywhere."""
    found = hashlib.sha256()
    for name, content in sorted((name.encode(), content) for name, content in files.items()):
        found.update(b"%d:%s%d:" % (len(name), name, len(content)))
        found.update(content)
    return found.hexdigest()


def read_files(place: Path) -> dict[str, bytes]:
    """Return the files below a folder, by name.

    Raise DefinitionError for what a definition may not hold, or too much.
    """
    found = dict(plain_files(place))
    require_keepable({name: about.st_size for name, about in found.items()})
    try:
        return {name: (place / name).read_bytes() for name in found}
    except OSError as error:
        raise DefinitionError(f"{place.name}: cannot be read: {error.strerror}") from error


def plain_files(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and state of each file below a folder.

    Hidden files, backups of editors and what Python compiled are left out. Raise DefinitionError for a link that leads
    out of the folder and for what is no plain file.
    """
    root = place.resolve()
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        inside = Path(parent).relative_to(root)
        for name in folders:
            if Path(parent, name).is_symlink():
                raise _refused(place, inside / name, "a link to a folder; put the folder itself there")
        for name in sorted(names):
            if not _is_left_out(name):
                yield (inside / name).as_posix(), _state(place, root, inside / name)


def _state(place: Path, root: Path, inside: Path) -> os.stat_result:
    path = root / inside
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise _refused(place, inside, "a link out of the definition's folder; put the file itself there")
        about = path.stat()
    except (OSError, RuntimeError) as error:
        raise _refused(place, inside, "cannot be read, or a link to nothing") from error
    if not stat.S_ISREG(about.st_mode):
        raise _refused(place, inside, "no plain file")
    return about


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name.endswith("~") or name in _LEFT_OUT


def require_keepable(sizes: Mapping[str, int]) -> None:
    """Raise DefinitionError with every reason why files (sizes in bytes by name) cannot be kept."""
    problems = [Problem(name[:80], "no name of a file below a folder") for name in sizes if not _is_name(name)]
    if len(sizes) > MOST_FILES:
        problems.append(Problem("", f"{len(sizes):,} files came, at most {MOST_FILES:,} are allowed"))
    if sum(sizes.values()) > MOST_BYTES:
        came, most = sum(sizes.values()) / 1e6, MOST_BYTES / 1e6
        problems.append(Problem("", f"{came:,.1f} MB came, at most {most:,.0f} MB are allowed in all"))
    if problems:
        raise DefinitionError("\n".join(map(str, problems)), problems)


def _is_name(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or _CONTROL.search(name):
        return False
    if any(part in (".", "..") or len(part) > 200 for part in parts) or len(parts) > 20:
        return False
    try:
        return len(name.encode()) <= 1000
    except UnicodeEncodeError:  # a name that is not UTF-8
        return False


def _refused(place: Path, inside: Path, reason: str) -> DefinitionError:
    name = f"{place.name}/{inside.as_posix()}".encode("utf-8", "replace").decode()
    return DefinitionError(f"{name[:200]}: {reason}")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a new folder, on disk when this returns, and make all of it read-only."""
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        path.chmod(0o555 if content.startswith(b"#!") else 0o444)
    for parent, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(parent))
        os.chmod(parent, 0o555)  # noqa: PTH101 - os.walk gives text


def _touch(place: Path) -> bool:
    """Note that the files in a folder are kept now. Return False if there is no such folder."""
    with contextlib.suppress(FileNotFoundError):
        with contextlib.suppress(PermissionError):  # a server of another user made it
            os.utime(place)
        return place.is_dir()
    return False


def _kept(place: Path) -> float:
    """Return when the files in a folder were kept last; infinity if it has gone."""
    try:
        return place.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _remove(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(parent, 0o700)  # noqa: PTH101
    shutil.rmtree(folder, ignore_errors=True)
