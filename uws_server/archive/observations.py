"""Event lists below the archive's folder, by id or by path. Imports the errors only.

An id is a file's name without its suffixes, such as P0123456701PNS003PIEVLI0000. A path is taken below the
folder and never leads out of it. An observation is all the event lists whose names say that they are of it.
"""

from __future__ import annotations

import difflib
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = (".fits", ".fit", ".ftz", ".evt", ".fits.gz", ".fit.gz", ".evt.gz", ".evt.ftz")
_RESCAN_S = 30.0
_EVENT_LISTS = (
    re.compile(r"p(\d{10})(?:pn|m1|m2)[a-z]\d{3}[a-z]ievli\d{4}"),  # XMM-Newton EPIC: imaging and timing
    re.compile(r"acisf(\d{5})(?:n\d{3})?_(?:repro_)?evt2"),  # Chandra ACIS
    re.compile(r"nu(\d{11})[ab]\d\d_cl"),  # NuSTAR
    re.compile(r"ni(\d{10})_0mpu7_cl"),  # NICER
)
"""Ids of event lists as the archives of the missions name them; the group is the observation."""


@dataclass(frozen=True)
class ArchiveFile:
    """A file of the archive: its id, its path below the folder, and its path on disk."""

    id: str
    place: str
    path: Path


class Archive:
    """The FITS files below a folder; the folder is read again when a name is not found and some time has passed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder else None
        self._index: Mapping[str, tuple[ArchiveFile, ...]] = {}
        self._observations: Mapping[str, tuple[ArchiveFile, ...]] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, text: str) -> ArchiveFile:
        """Return the file that an id, its name or a path names. Raise ValueError, with the reason, if there is none."""
        if self._folder is None:
            raise ValueError(f"{text[:80]!r} names a file of the archive, but this server has none; upload the file")
        wanted = text.strip()
        return self._by_place(wanted) or self._by_id(wanted)

    def observation(self, text: str) -> tuple[ArchiveFile, ...]:
        """Return the event lists of an observation, ordered by path. Raise ValueError, with the reason, if there are
        none.
        """
        wanted = text.strip()
        if self._folder is None:
            raise ValueError(f"{text[:80]!r} came, but this server has no archive")
        for fresh in (False, True):
            self._current(fresh)
            found = [file for file in self._observations.get(wanted, ()) if file.path.is_file()]
            if found:
                return _each_once(wanted, found)
        near = difflib.get_close_matches(wanted[:80], self._observations, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{text[:80]!r} is neither an observation nor an event list of the archive{hint}")

    def observations(self) -> Mapping[str, tuple[ArchiveFile, ...]]:
        """Return the event lists of every observation, by its id."""
        self._current(fresh=True)
        return self._observations

    def list(self) -> tuple[ArchiveFile, ...]:
        """Return every file of the archive, ordered by path."""
        files = [file for found in self._current(fresh=True).values() for file in found]
        return tuple(sorted(files, key=lambda file: file.place))

    def named(self, location: str, path: str) -> tuple[ArchiveFile, ...]:
        """Return the files that may be the one recorded under this folder and name: by its path, else by its name or
        id.
        """
        if self._folder is None or not path:
            return ()
        wanted = "/".join(part for part in (location, path) if part and "://" not in part)
        try:
            there = self._by_place(wanted)
        except ValueError:
            there = None
        name = path.rpartition("/")[2]
        alike = sorted(self._there(_id(name), fresh=True), key=lambda file: (file.path.name != name, file.place))
        return tuple(dict.fromkeys([there, *alike] if there else alike))

    def _by_place(self, wanted: str) -> ArchiveFile | None:
        assert self._folder is not None
        if "\0" in wanted or len(wanted) > 1000:
            raise ValueError("not a path: it has a NUL character or more than 1000 characters")
        try:
            path = (self._folder / wanted).resolve()
            inside = path.is_relative_to(self._folder) and path.is_file() and _is_text(str(path))
        except (OSError, RuntimeError):  # RuntimeError: links in a ring
            return None
        if not inside:
            return None
        return ArchiveFile(_id(path.name), path.relative_to(self._folder).as_posix(), path)

    def _by_id(self, wanted: str) -> ArchiveFile:
        found: tuple[ArchiveFile, ...] = ()
        for fresh in (False, True):
            found = found or self._there(wanted, fresh) or self._of_name(wanted, fresh)
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(file.place for file in found[:5])
            raise ValueError(f"{wanted!r} names {len(found)} files; give the path of one of {places}")
        near = difflib.get_close_matches(wanted[:80].lower(), self._index, n=1)
        hint = f"; did you mean {self._index[near[0]][0].id}?" if near else ""
        raise ValueError(
            f"{wanted[:80]!r} is neither a file to upload, nor an id or a path below the folder of the archive{hint}"
        )

    def _there(self, wanted: str, fresh: bool) -> tuple[ArchiveFile, ...]:
        """Return the files of an id that still exist."""
        return tuple(file for file in self._current(fresh).get(wanted.lower(), ()) if file.path.is_file())

    def _of_name(self, wanted: str, fresh: bool) -> tuple[ArchiveFile, ...]:
        """Return the files of that name, in any case, in whatever sub-folder they are."""
        return tuple(file for file in self._there(_id(wanted), fresh) if file.path.name.lower() == wanted.lower())

    def _current(self, fresh: bool) -> Mapping[str, tuple[ArchiveFile, ...]]:
        with self._lock:
            age = time.monotonic() - self._read_at
            if self._folder is not None and age > (1.0 if fresh else _RESCAN_S):
                self._index = _scan(self._folder)
                self._observations = _by_observation(self._index)
                self._read_at = time.monotonic()
            return self._index


def _scan(folder: Path) -> dict[str, tuple[ArchiveFile, ...]]:
    index: dict[str, list[ArchiveFile]] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            if name.lower().endswith(_SUFFIXES) and _is_text(str(path)) and not _leads_out(path, folder):
                file = ArchiveFile(_id(name), path.relative_to(folder).as_posix(), path)
                index.setdefault(file.id.lower(), []).append(file)
    return {key: tuple(files) for key, files in index.items()}


def _by_observation(index: Mapping[str, tuple[ArchiveFile, ...]]) -> dict[str, tuple[ArchiveFile, ...]]:
    found: dict[str, list[ArchiveFile]] = {}
    for name, files in index.items():
        match = next(filter(None, (pattern.fullmatch(name) for pattern in _EVENT_LISTS)), None)
        if match:
            found.setdefault(match[1], []).extend(files)
    return {name: tuple(sorted(files, key=lambda file: file.place)) for name, files in sorted(found.items())}


def _each_once(observation: str, files: Sequence[ArchiveFile]) -> tuple[ArchiveFile, ...]:
    """Return the files. Raise ValueError if one event list is there twice: its photons would count twice."""
    places: dict[str, str] = {}
    for file in files:
        other = places.setdefault(file.id.lower(), file.place)
        if other != file.place:
            raise ValueError(
                f"observation {observation} has one event list twice, {other} and {file.place}; give the paths instead"
            )
    return tuple(files)


def _leads_out(path: Path, folder: Path) -> bool:
    """Return whether a path is a link that leads out of the folder, or nowhere."""
    try:
        return path.is_symlink() and not path.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError):
        return True


def _is_text(path: str) -> bool:
    """Return whether a path can stand in a document: it has no control character and is UTF-8."""
    return path.isprintable()


def _id(name: str) -> str:
    return name.split(".", 1)[0]
