"""What files hold, as SHA-256: taken once for each state of a file, and kept in the data folder.

    <data>/hashes/paths/<ab>/<sha256 of the path>.json    path, state, and the two hashes of `provenance.fits.digests`
    <data>/hashes/found/<ab>/<sha256>.json                a path that had it

Each is written whole, so servers that share the folder may write at once; all of it can be deleted at any time.
What is known of files that are gone, or were changed, is forgotten bit by bit. Imports provenance and the job files.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from provenance.fits.digests import Digests, digests
from uws_server.storage.files import read_json, write_json

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _State:
    """What tells whether a file was changed."""

    size: int
    changed_ns: int
    inode: int

    def plain(self) -> list[int]:
        return [self.size, self.changed_ns, self.inode]


class Hashes:
    """The hashes of files, from the folder of kept ones where a file is as it was then."""

    def __init__(self, data: Path) -> None:
        self._folder = data.absolute() / "hashes"
        self._parts = itertools.cycle(range(256))

    def of(self, path: Path) -> Digests:
        """The hashes of a file; read only where they are not known. OSError when it cannot be."""
        known = self.known(path)
        if known is not None:
            return known
        before = _state(path)
        found = digests(path)
        if _state(path) == before:
            self._keep(path, before, found)
        return found

    def known(self, path: Path) -> Digests | None:
        """The hashes of a file that is as it was when they were taken; None where none are known."""
        kept = read_json(self._place_of(path))
        try:
            same = kept.get("state") == _state(path).plain() and kept.get("path") == str(path)
            return Digests(kept["whole"], kept["science"], kept["is_fits"]) if same else None
        except (OSError, KeyError):
            return None

    def find(self, sha256: str) -> Path | None:
        """A file that has this SHA-256 now (whole, or without its VO-TAGS), of those that were read once."""
        if not _SHA256.fullmatch(sha256):
            return None
        path = read_json(self._found_at(sha256)).get("path")
        known = self.known(Path(path)) if isinstance(path, str) else None
        return Path(str(path)) if known and sha256 in (known.whole, known.science) else None

    def sweep(self) -> int:
        """Forget files that are gone or were changed, of one of 256 parts, each time the next one; count them."""
        part = next(self._parts)
        stale = [place for place in self._folder.glob(f"paths/{part:02x}/*.json") if self._told_by(place) is None]
        stale += [place for place in self._folder.glob(f"found/{part:02x}/*.json") if self.find(place.stem) is None]
        for place in stale:
            place.unlink(missing_ok=True)
        return len(stale)

    def _told_by(self, place: Path) -> Digests | None:
        path = read_json(place).get("path")
        return self.known(Path(path)) if isinstance(path, str) else None

    def _keep(self, path: Path, state: _State, found: Digests) -> None:
        content = {"path": str(path), "state": state.plain(), "whole": found.whole, "science": found.science,
                   "is_fits": found.is_fits}  # fmt: skip
        with contextlib.suppress(OSError):  # on a full disk they are taken again the next time
            for place in {self._place_of(path), self._found_at(found.whole), self._found_at(found.science)}:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_json(place, content)

    def _place_of(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()
        return self._folder / "paths" / name[:2] / f"{name}.json"

    def _found_at(self, sha256: str) -> Path:
        return self._folder / "found" / sha256[:2] / f"{sha256}.json"


def _state(path: Path) -> _State:
    status = path.stat()
    return _State(status.st_size, status.st_mtime_ns, status.st_ino)
