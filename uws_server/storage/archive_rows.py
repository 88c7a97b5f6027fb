"""The rows of the files of the archive. Imports the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from uws_server.storage import tap_rows
from uws_server.storage.archive_tables import archive_files
from uws_server.storage.database import Look, Reader, reading

_AT_ONCE = 400


_KNOWN: Final = tuple(column.name for column in archive_files.c if column.name not in ("footprint", "row"))
"""The columns of which a search tells; the first is the key."""
_PLACES: Final[Mapping[str, int]] = {name: place for place, name in enumerate(_KNOWN)}


class FileState(NamedTuple):
    """The size in bytes and the time of change in nanoseconds that a file had when it was described."""

    size: int
    changed: int


class ArchiveRow(Mapping[str, Any]):
    """The row of a file without footprint and ObsCore row, in a third of the memory of a dictionary.

    `written` is for who writes it as text: what of that stays the same is kept as long as the row is.
    """

    __slots__ = ("_values", "written")

    def __init__(self, values: Sequence[Any]) -> None:
        """Take the values of a row; texts that many rows share are kept once."""
        self._values = tuple(sys.intern(value) if type(value) is str else value for value in values)
        self.written: tuple[str, str] | None = None

    def __getitem__(self, name: str) -> Any:
        """Return the value of a column."""
        return self._values[_PLACES[name]]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(_KNOWN)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(_KNOWN)


class ArchiveRows:
    """Reads and writes the table `archive_files`."""

    def __init__(self, engine: sa.Engine, reader: Reader | None = None) -> None:
        """Read and write by an engine; by a reader what requests ask often, if there is one."""
        self._engine, self._reading = engine, reading(engine)
        self._of_keys = Look(reader or Reader(engine, most_own=0), _of_keys(engine.dialect.name))

    def known(self) -> dict[str, FileState]:
        """Return the state that every file had when it was described, by its source."""
        columns = archive_files.c
        with self._reading.connect() as connection:
            rows = connection.execute(sa.select(columns.source, columns.size, columns.changed))
            return {source: FileState(size, changed) for source, size, changed in rows}

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store rows in place of those of the same source, whose keys stay."""
        with self._engine.begin() as connection:
            sources = [row["source"] for row in rows]
            found = connection.execute(
                sa.select(archive_files.c.source, archive_files.c.key).where(archive_files.c.source.in_(sources))
            )
            keys = {row.source: row.key for row in found}
            new = [dict(row) for row in rows if row["source"] not in keys]
            known = [{**row, "b_key": keys[row["source"]]} for row in rows if row["source"] in keys]
            if known:
                values: dict[str, Any] = {name: sa.bindparam(name) for name in known[0] if name != "b_key"}
                change = archive_files.update().where(archive_files.c.key == sa.bindparam("b_key"))
                connection.execute(change.values(values), known)
            if new:
                connection.execute(archive_files.insert(), new)
            written = connection.execute(
                sa.select(archive_files.c.source, archive_files.c.key).where(archive_files.c.source.in_(sources))
            )
            tap_rows.keep_of_archive(connection, rows, {row.source: row.key for row in written})

    def supersede(self, imported: str, superseded: str, files: str) -> int:
        """Set aside the imported exposures in whose place a file has come, and take up those whose files are gone.

        Parameters
        ----------
        imported, superseded
            The kinds of rows of exposures without a file: those that are found, and those that are set aside.
        files
            The kind of rows of event lists. One is of the same exposure where observation and camera are the same, and
            the exposure, if the table tells it.

        Returns
        -------
        int
            How many rows have changed.
        """
        file = archive_files.alias()
        mine = archive_files.c
        there = (
            sa.select(sa.literal(1))
            .where(
                file.c.kind == files,
                file.c.obs_id == mine.obs_id,
                file.c.instrument == mine.instrument,
                sa.or_(mine.exposure == "", file.c.exposure == mine.exposure),
            )
            .exists()
        )
        hide = archive_files.update().where(mine.kind == imported, there).values(kind=superseded)
        show = archive_files.update().where(mine.kind == superseded, ~there).values(kind=imported)
        with self._engine.begin() as connection:
            return sum(connection.execute(change).rowcount for change in (hide, show))

    def remove(self, sources: Iterable[str]) -> None:
        """Delete the rows of some sources."""
        waiting = list(sources)
        with self._engine.begin() as connection:
            for first in range(0, len(waiting), _AT_ONCE):
                some = waiting[first : first + _AT_ONCE]
                connection.execute(archive_files.delete().where(archive_files.c.source.in_(some)))

    def footprints(self, kinds: Collection[str]) -> Iterator[tuple[int, bytes]]:
        """Yield key and cells of every row of some kinds that has a footprint, in the order of the keys."""
        columns = archive_files.c
        last = 0
        while True:
            query = (
                sa.select(columns.key, columns.footprint)
                .where(columns.key > last, columns.kind.in_(kinds), sa.func.length(columns.footprint) > 0)
                .order_by(columns.key)
                .limit(_AT_ONCE)
            )
            with self._reading.connect() as connection:
                page = connection.execute(query).all()
            yield from ((key, bytes(cells)) for key, cells in page)
            if len(page) < _AT_ONCE:
                return
            last = page[-1][0]

    def of_keys(self, keys: Sequence[int]) -> list[ArchiveRow]:
        """Return the rows of some keys, without footprints and ObsCore rows, in the order of the keys."""
        wanted: Any = list(keys) if self._engine.dialect.name == "postgresql" else json.dumps(list(keys))
        found = self._of_keys.rows(keys=wanted) if keys else []
        return [ArchiveRow(row) for row in sorted(found)]

    def of_sources(self, sources: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the rows of some sources, without footprints, in the order of the sources."""
        found: dict[str, Mapping[str, Any]] = {}
        with self._reading.connect() as connection:
            for some in _parts(list(sources)):
                rows = connection.execute(_ROWS.where(archive_files.c.source.in_(some))).mappings()
                found |= {row["source"]: dict(row) for row in rows}
        return [found[source] for source in sources if source in found]

    def page(self, kind: str, after: int = 0, most: int = 1000) -> list[Mapping[str, Any]]:
        """Return the rows of a kind whose keys come after one, without footprints, at most so many."""
        return self.page_of((kind,), after, most)

    def page_of(self, kinds: Collection[str], after: int = 0, most: int = 1000) -> list[Mapping[str, Any]]:
        """Return the rows of some kinds whose keys come after one, without footprints, at most so many."""
        query = _ROWS.where(archive_files.c.kind.in_(kinds), archive_files.c.key > after)
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query.order_by(archive_files.c.key).limit(most)).mappings()]

    def whole(self, keys: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of some keys, with their ObsCore rows and without footprints, in the order of the keys."""
        for some in _parts(sorted(keys)):
            query = _ROWS.where(archive_files.c.key.in_(some)).order_by(archive_files.c.key)
            with self._reading.connect() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            yield from rows

    def of_kind(self, kind: str, ids: Collection[str] | None, most: int) -> list[Mapping[str, Any]]:
        """Return the first rows of a kind, without footprints, ordered by observation, camera, exposure and source.

        `ids` are the observations that are wanted; None for all.
        """
        columns = archive_files.c
        order = (columns.obs_id, columns.instrument, columns.exposure, columns.source)
        query = _ROWS.where(columns.kind == kind).order_by(*order).limit(most)
        wanted = [None] if ids is None else _parts(sorted(set(ids) - {""}))
        found: list[Mapping[str, Any]] = []
        with self._reading.connect() as connection:
            for some in wanted:
                part = query if some is None else query.where(columns.obs_id.in_(some))
                found += [dict(row) for row in connection.execute(part).mappings()]
                if len(found) >= most:
                    break
        return found[:most]

    def cells(self, sources: Sequence[str]) -> dict[str, bytes]:
        """Return the cells of the footprints of some sources: empty for one without, none for one without a row."""
        columns = archive_files.c
        found: dict[str, bytes] = {}
        with self._reading.connect() as connection:
            for some in _parts(list(sources)):
                query = sa.select(columns.source, columns.footprint).where(columns.source.in_(some))
                found |= {source: bytes(cells) for source, cells in connection.execute(query)}
        return found

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each kind."""
        query = sa.select(archive_files.c.kind, sa.func.count()).group_by(archive_files.c.kind)
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _of_keys(dialect: str) -> sa.Select[Any]:
    """Return the query for the rows of some keys, which are one value, however many: text of JSON in SQLite."""
    columns = [archive_files.c[name] for name in _KNOWN]
    if dialect == "postgresql":
        listed = sa.bindparam("keys", type_=sa.ARRAY(sa.Integer))
        return sa.select(*columns).where(archive_files.c.key == sa.any_(listed))
    value = sa.func.json_each(sa.bindparam("keys", type_=sa.Text)).table_valued("value").c.value
    return sa.select(*columns).where(archive_files.c.key.in_(sa.select(value)))


def _parts(values: list[Any]) -> list[list[Any]]:
    """Return values in parts that one query has room for."""
    return [values[first : first + _AT_ONCE] for first in range(0, len(values), _AT_ONCE)]


_ROWS = sa.select(*(column for column in archive_files.c if column.name != "footprint"))
