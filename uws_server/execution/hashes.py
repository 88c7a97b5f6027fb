"""The SHA-256 hashes of files: taken once for each state of a file, and kept in the data folder.

    <data>/hashes/paths/<ab>/<sha256 of the path>.json    path, state, and the two hashes of `provenance.fits.digests`
    <data>/hashes/found/<ab>/<sha256>.json                a path that had it

Each is written whole, so servers that share the folder may write at once; all of it can be deleted at any time.
Entries of files that are gone, or were changed, are removed bit by bit. Imports provenance and the job files.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from pathlib import Path

from provenance.fits.digests import Digests, FileState, KnownDigests, digests
from uws_server.storage.files import read_json, write_json

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Hashes:
    """The hashes of files: the kept ones, as long as a file is as it was when they were taken."""

    def __init__(self, data: Path) -> None:
        self._folder = data.absolute() / "hashes"
        self._parts = itertools.cycle(range(256))

    def of(self, path: Path) -> Digests:
        """Return the hashes of a file, which is read only if they are not known. Raise OSError if it cannot be."""
        known = self.known(path)
        if known is not None:
            return known
        before = FileState.of(path)
        found = digests(path)
        if FileState.of(path) == before:
            self._keep(path, KnownDigests(found, before))
        return found

    def known(self, path: Path) -> Digests | None:
        """Return the hashes of a file that is as it was when they were taken. Return None if none are known."""
        kept = self.kept(path)
        return kept.digests if kept else None

    def kept(self, path: Path) -> KnownDigests | None:
        """Return the hashes of a file with its state, as `known` does."""
        entry = read_json(self._entry_of_path(path))
        kept = KnownDigests.read(entry) if entry.get("path") == str(path) else None
        try:
            return kept if kept and kept.of(path) else None
        except OSError:
            return None

    def find(self, sha256: str) -> Path | None:
        """Return a file that has this SHA-256 now (whole, or without its VO-TAGS), of those that were read once.

        Return None if there is none.
        """
        if not _SHA256.fullmatch(sha256):
            return None
        path = read_json(self._entry_of_hash(sha256)).get("path")
        known = self.known(Path(path)) if isinstance(path, str) else None
        return Path(str(path)) if known and sha256 in (known.whole, known.science) else None

    def sweep(self) -> int:
        """Remove the entries of files that are gone or were changed; return how many.

        Each call looks at one of 256 parts, in turn.
        """
        part = next(self._parts)
        stale = [entry for entry in self._folder.glob(f"paths/{part:02x}/*.json") if self._known_by(entry) is None]
        stale += [entry for entry in self._folder.glob(f"found/{part:02x}/*.json") if self.find(entry.stem) is None]
        for entry in stale:
            entry.unlink(missing_ok=True)
        return len(stale)

    def _known_by(self, entry: Path) -> Digests | None:
        path = read_json(entry).get("path")
        return self.known(Path(path)) if isinstance(path, str) else None

    def _keep(self, path: Path, known: KnownDigests) -> None:
        content = {"path": str(path), **known.plain()}
        found = known.digests
        with contextlib.suppress(OSError):  # on a full disk they are taken again the next time
            for entry in {
                self._entry_of_path(path),
                self._entry_of_hash(found.whole),
                self._entry_of_hash(found.science),
            }:
                entry.parent.mkdir(parents=True, exist_ok=True)
                write_json(entry, content)

    def _entry_of_path(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()
        return self._folder / "paths" / name[:2] / f"{name}.json"

    def _entry_of_hash(self, sha256: str) -> Path:
        return self._folder / "found" / sha256[:2] / f"{sha256}.json"
