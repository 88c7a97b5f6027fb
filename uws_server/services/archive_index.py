"""Keeps the rows and the footprints of the archive as its files are, and finds the exposures that see a region."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from mocpy import MOC

from uws_server.archive import footprints, index
from uws_server.archive.description import (
    EVENT_LIST,
    OBSERVATION,
    SUPERSEDED,
    Description,
    cells_of,
    describe,
)
from uws_server.archive.footprints import FootprintIndex, OutdatedIndex, Seen
from uws_server.archive.observation_table import ObservationTable, TableOptions
from uws_server.errors import ConfigurationError
from uws_server.services.kept_rows import KeptRows
from uws_server.storage.archive_rows import ArchiveRow, ArchiveRows, FileState

LOG = logging.getLogger(__name__)

FILE: Final = "footprints.bin"
"""Name of the file of the footprints, in the server's data folder."""

_OF_TABLE: Final = "//"
"""What the names of exposures of tables begin with; no path does."""

_AT_ONCE: Final = 50
"""Rows stored at a time: what an interrupted run has done stays done."""

Progress = Callable[[int, int, str], None]
"""Called with how many files are done, how many there are to do, and the one that is next."""


@dataclass
class Report:
    """What a look at the archive changed: numbers of files, and what is wrong with some by their paths.

    `others` are the exposures of tables that were taken in before and are not in this one.
    """

    found: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    others: frozenset[str] = frozenset()


_LOOK_S: Final = 0.05
"""How long the file is taken to be the same where nothing is waited for: a look at it costs a tenth of an answer."""

_Stamp = tuple[int, int, int]
"""What tells one file of footprints from another: inode, time of change, size."""

SeenRow = tuple[Seen, ArchiveRow]


class _Opened(NamedTuple):
    """A file of footprints that is open, and the rows that were read since."""

    stamp: _Stamp
    footprints: FootprintIndex
    rows: KeptRows


class ArchiveIndex:
    """The index of the archive of one server: rows in its database, footprints in a file of its data folder."""

    def __init__(self, rows: ArchiveRows, folder: Path, data: Path) -> None:
        self._rows, self._folder, self._file = rows, folder.resolve(), data / FILE
        self._unfinished = data / f"{FILE}.unfinished"
        self._open: _Opened | None = None
        self._looked = 0.0

    @property
    def folder(self) -> Path:
        """The folder of the archive."""
        return self._folder

    def update(self, below: Path, progress: Progress, processes: int = 1) -> Report:
        """Describe every FITS file that is new or has changed, and forget those that are gone.

        Parameters
        ----------
        below
            The folder of the archive, or one in it.
        progress
            Called before each file that is read.
        processes
            Files read at a time.

        Raises
        ------
        ConfigurationError
            The folder is not in the archive.
        """
        inside = self._place_of(below)
        known = {source: state for source, state in self._rows.known().items() if _is_below(source, inside)}
        states = dict(self._states(inside))
        waiting = [source for source, state in states.items() if known.get(source) != state]
        gone = known.keys() - states.keys()
        report = Report(len(states), removed=len(gone))
        if waiting or gone:
            self._unfinished.touch()
        rows: list[Mapping[str, Any]] = []
        for number, (source, found) in enumerate(self._described(waiting, processes)):
            progress(number, len(waiting), source)
            if found is None:
                continue
            if source in known:
                report.changed += 1
            else:
                report.added += 1
            if found.note:
                report.notes[source] = found.note
            rows.append({"source": source, **states[source]._asdict(), **asdict(found)})
            if len(rows) >= _AT_ONCE:
                self._rows.keep(rows)
                rows.clear()
        self._rows.keep(rows)
        self._rows.remove(gone)
        self._finish(report.added + report.changed + len(gone))
        return report

    def import_table(self, table: ObservationTable, progress: Progress) -> Report:
        """Take in the exposures of a table, those that were taken in before in place of themselves.

        Those of which the archive has the event list are set aside, also if that comes later. Those of other tables,
        and of rows that the table had before, stay; `forget` removes them.
        """
        known = self._rows.known()
        report = Report(notes={f"row {row}": note for row, note in table.notes.items()})
        others = {source for source in known if source.startswith(_OF_TABLE)}
        for batch in table.exposures(progress):
            others.difference_update(one.source for one in batch)
            rows = [{"source": one.source, **_state_of(one.description)._asdict(), **asdict(one.description)}
                    for one in batch]  # fmt: skip
            fresh = [row for row in rows if known.get(row["source"]) != FileState(row["size"], row["changed"])]
            added = sum(row["source"] not in known for row in fresh)
            report.found += len(rows)
            report.added += added
            report.changed += len(fresh) - added
            if fresh:
                self._unfinished.touch()
            self._rows.keep(fresh)
        report.others = frozenset(others)
        self._finish(report.added + report.changed)
        return report

    def forget(self, sources: Collection[str]) -> None:
        """Forget exposures of tables."""
        if sources:
            self._unfinished.touch()
            self._rows.remove(sources)
            self.write_footprints()

    def _finish(self, changes: int) -> None:
        """Make the footprints anew after so many changes of rows, and after those of a run that was cut off.

        A run that ends beside this one takes the mark of both away: the changes are asked for, too.
        """
        if changes or self._unfinished.exists() or not self._file.exists():
            self.write_footprints()

    def write_footprints(self) -> None:
        """Make the file of the footprints anew from the rows."""
        self._rows.supersede(OBSERVATION, SUPERSEDED, EVENT_LIST)
        found = self._rows.footprints((EVENT_LIST, OBSERVATION))
        footprints.write(self._file, ((key, cells_of(cells)) for key, cells in found))
        self._unfinished.unlink(missing_ok=True)

    def seeing(self, cells: MOC) -> list[SeenRow]:
        """Return the exposures that see a part of the cells of a region, with their rows."""
        now = self._opened()
        found = now.footprints.seeing(cells)
        rows = now.rows.of_keys([seen.exposure for seen in found])
        return [(seen, rows[seen.exposure]) for seen in found if seen.exposure in rows]

    def seeing_at_hand(self, cells: MOC) -> list[SeenRow] | None:
        """Return what `seeing` does, without waiting for anything. Return None if that cannot be had."""
        now, asked = self._open, time.monotonic()
        if now is None:
            return None
        if asked > self._looked + _LOOK_S:
            try:
                if now.stamp != self._stamp():
                    return None
            except OSError:
                return None
            self._looked = asked
        found = now.footprints.seeing(cells)
        rows = now.rows.at_hand([seen.exposure for seen in found])
        return None if rows is None else [(seen, rows[seen.exposure]) for seen in found]

    def coverage(self) -> MOC:
        """Return the sky that any exposure sees."""
        return self._opened().footprints.coverage

    def _opened(self) -> _Opened:
        """Return the file of the footprints as it is now; one of another version is made anew."""
        now = self._open
        try:
            stamp = self._stamp()
            if now is None or now.stamp != stamp:
                now = self._open = self._newly_opened(stamp)
        except (FileNotFoundError, OutdatedIndex) as error:
            level = logging.WARNING if isinstance(error, OutdatedIndex) else logging.INFO
            LOG.log(level, "the footprints of the archive are made anew: %s", error)
            self.write_footprints()
            now = self._open = self._newly_opened(self._stamp())
        return now

    def _newly_opened(self, stamp: _Stamp) -> _Opened:
        return _Opened(stamp, FootprintIndex(self._file), KeptRows(self._rows.of_keys))

    def _stamp(self) -> _Stamp:
        status = self._file.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _place_of(self, below: Path) -> str:
        """Return the path of a folder below that of the archive, '' for itself."""
        resolved = below.resolve()
        if not resolved.is_relative_to(self._folder):
            raise ConfigurationError(
                f"{below} is not in the folder of the archive, {self._folder}: jobs could not name its files"
            )
        if not resolved.is_dir():
            raise ConfigurationError(f"{below} is no folder")
        place = resolved.relative_to(self._folder).as_posix()
        return "" if place == "." else place

    def _states(self, inside: str) -> Iterator[tuple[str, FileState]]:
        """Yield the FITS files below a folder of the archive, with their sizes and times of change."""
        for place in index.read(self._folder / inside, index.Index()).places:
            source = f"{inside}/{place}" if inside else place
            path = self._folder / source
            try:
                status = path.stat()
            except OSError:  # it has gone, or is a link to nothing
                continue
            if path.resolve().is_relative_to(self._folder):
                yield source, FileState(status.st_size, status.st_mtime_ns)

    def _described(self, sources: Sequence[str], processes: int) -> Iterator[tuple[str, Description | None]]:
        """Yield what each file is, in the order of the files; None for one that has gone."""
        paths = [self._folder / source for source in sources]
        if processes < 2 or len(paths) < 2:
            yield from zip(sources, map(_describe, paths), strict=True)
            return
        with ProcessPoolExecutor(processes) as pool:
            yield from zip(sources, pool.map(_describe, paths, chunksize=4), strict=True)


def read_observations(
    path: Path, columns: tuple[str, ...], number_rows: bool, telescope: str, ra_in_hours: bool | None
) -> ObservationTable:
    """Return a table of observations to import; the arguments are those of `TableOptions`. Raise BadRequest."""
    return ObservationTable(path, TableOptions(columns, number_rows, telescope, ra_in_hours))


def _describe(path: Path) -> Description | None:
    try:
        return describe(path)
    except OSError as error:
        LOG.info("%s: %s", path.name, error.strerror or error)
        return None


def _state_of(description: Description) -> FileState:
    """Return what stands for the state of an exposure without a file: a digest of all that is known of it."""
    digest = hashlib.sha256(repr(description).encode()).digest()
    return FileState(0, int.from_bytes(digest[:7], "big"))


def _is_below(source: str, inside: str) -> bool:
    """Return whether a source is a file below a folder of the archive; an exposure of a table (//...) is none."""
    return not source.startswith(_OF_TABLE) and (not inside or source.startswith(f"{inside}/"))


def processors() -> int:
    """Return how many processes read files at a time: as many as this one may use processors."""
    return len(os.sched_getaffinity(0))
