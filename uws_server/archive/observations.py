"""Event lists below the archive's folder, by id or by path. Imports the index of the folder and the errors.

An id is a file's name without its suffixes, such as P0123456701PNS003PIEVLI0000. A path is taken below the
folder and never leads out of it. An observation is all the event lists whose names say that they are of it.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uws_server.archive import index
from uws_server.archive.index import Index
from uws_server.errors import Unavailable

LOG = logging.getLogger(__name__)
_RESCAN_S = 30.0
_RESCAN_MISSED_S = 1.0
"""Seconds between two looks at the folder, and between two if a name was not found."""
_FIRST_WAIT_S = 2.0
"""How long a request waits for the first look at the folder."""
_NEXT_WAIT_S = 0.03
"""How long a request for a name that was not found waits for the next look."""
_NAMED = 5
"""Files of one id that an error names."""


@dataclass(frozen=True)
class ArchiveFile:
    """A file of the archive: its id, its path below the folder, and its path on disk.

    `root` is the folder of the archive, which links beside the file may not leave; None for a file of none.
    """

    id: str
    place: str
    path: Path
    root: Path | None = None


class Archive:
    """The FITS files below a folder, which is read by a thread of its own: no request does that itself.

    It is read when it is first asked for (`prepare` does so), and again when a name is not found, or some time after.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder else None
        self._index: Index | None = None
        self._begun = float("-inf")
        self._reading: threading.Thread | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Begin to read the folder."""
        self._read_again(_RESCAN_S)

    def find(self, text: str) -> ArchiveFile:
        """Return the file that an id, its name or a path names. Raise ValueError, with the reason, if there is none.

        Raise Unavailable if an id came while the folder was never read as a whole.
        """
        if self._folder is None:
            raise ValueError(f"{text[:80]!r} names a file of the archive, but this server has none; upload the file")
        wanted = text.strip()
        if wanted.startswith("//"):
            raise ValueError(f"{wanted[:80]!r} is known from a table only: its event list is not in the archive")
        return self._by_place(wanted) or self._by_id(wanted)

    def observation(self, text: str) -> tuple[ArchiveFile, ...]:
        """Return the event lists of an observation, ordered by path. Raise ValueError, with the reason, if there are
        none.
        """
        wanted = text.strip()
        if self._folder is None:
            raise ValueError(f"{text[:80]!r} came, but this server has no archive")
        for known in self._indexes():
            found = list(self._existing(known.observations.get(wanted, ())))
            if found:
                return _each_once(wanted, found)
        near = self._now().nearest_observation(wanted)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"{text[:80]!r} is neither an observation nor an event list of the archive{hint}")

    def observations(self) -> Mapping[str, tuple[ArchiveFile, ...]]:
        """Return the event lists of every observation, by its id."""
        found = {name: tuple(self._existing(places)) for name, places in self._newest().observations.items()}
        return {name: files for name, files in found.items() if files}

    def list(self) -> tuple[ArchiveFile, ...]:
        """Return every file of the archive, ordered by path."""
        return tuple(self._existing(self._newest().places))

    def first(self, most: int) -> tuple[ArchiveFile, ...]:
        """Return the first files of the archive, ordered by path; none as long as the folder was never read."""
        try:
            known = self._newest()
        except Unavailable:
            return ()
        return tuple(itertools.islice(self._existing(known.places), most))

    def count(self) -> int:
        """Return how many files the archive had when it was last read."""
        return len(self._index.places) if self._index else 0

    def is_unique(self, file: ArchiveFile) -> bool:
        """Check whether a file is the only one of its id."""
        return self._index is None or len(self._index.ids.get(file.id.lower(), ())) < 2

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
        found = self._existing(self._newest().ids.get(index.id_of(name).lower(), ()))
        alike = sorted(found, key=lambda file: (file.path.name != name, file.place))
        return tuple(dict.fromkeys([there, *alike] if there else alike))

    def _by_place(self, wanted: str) -> ArchiveFile | None:
        assert self._folder is not None
        if "\0" in wanted or len(wanted) > 1000:
            raise ValueError("not a path: it has a NUL character or more than 1000 characters")
        try:
            path = (self._folder / wanted).resolve()
            inside = path.is_relative_to(self._folder) and path.is_file() and index.is_text(str(path))
        except (OSError, RuntimeError):  # RuntimeError: links in a ring
            return None
        if not inside:
            return None
        return ArchiveFile(index.id_of(path.name), path.relative_to(self._folder).as_posix(), path, self._folder)

    def _by_id(self, wanted: str) -> ArchiveFile:
        for known in self._indexes():
            places = known.ids.get(wanted.lower(), ()) or known.of_name(wanted)
            found = list(itertools.islice(self._existing(places), _NAMED))
            if len(found) == 1:
                return found[0]
            if found:
                count = len(places) if len(found) == _NAMED else len(found)
                named = ", ".join(file.place for file in found)
                raise ValueError(f"{wanted!r} names {count} files; give the path of one of {named}")
        near = self._now().nearest_id(wanted)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(
            f"{wanted[:80]!r} is neither a file to upload, nor an id or a path below the folder of the archive{hint}"
        )

    def _existing(self, places: Iterable[str]) -> Iterator[ArchiveFile]:
        """Yield the files that still exist, without links that lead out of the folder."""
        if self._folder is None:
            return
        for place in places:
            path = self._folder / place
            if path.is_file() and not _leads_out(path, self._folder):
                yield ArchiveFile(index.id_of(path.name), place, path, self._folder)

    # --- the index -------------------------------------------------------------------------------------

    def _indexes(self) -> Iterator[Index]:
        """Yield the index as it is, then, for who has not found what is sought, as it is a moment later."""
        self._read_again(_RESCAN_S)
        before = self._now()
        yield before
        after = self._newest()
        if after is not before:
            yield after

    def _newest(self) -> Index:
        """Return the index of now if it can be had in a moment, else the one that is there."""
        reading = self._read_again(_RESCAN_MISSED_S)
        if reading is not None and self._index is not None:
            reading.join(_NEXT_WAIT_S)
        return self._now()

    def _now(self) -> Index:
        """Return the index that is there. Raise Unavailable if the folder was never read as a whole."""
        if self._folder is None:
            return Index()
        reading = self._reading
        if self._index is None and reading is not None:
            reading.join(_FIRST_WAIT_S)
        if self._index is None:
            raise Unavailable("the archive is still being read: try again in a moment, or give the path of the file")
        return self._index

    def _read_again(self, after_s: float) -> threading.Thread | None:
        """Return the thread that reads the folder; None if it was read less than `after_s` seconds ago."""
        with self._lock:
            running = self._reading is not None and self._reading.is_alive()
            if not running and self._folder is not None and time.monotonic() - self._begun > after_s:
                self._begun = time.monotonic()
                self._reading = threading.Thread(target=self._read, args=[self._folder], name="archive", daemon=True)
                self._reading.start()
                running = True
            return self._reading if running else None

    def _read(self, folder: Path) -> None:
        try:
            self._index = index.read(folder, self._index or Index())
        except Exception:
            LOG.exception("the folder of the archive could not be read")


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
