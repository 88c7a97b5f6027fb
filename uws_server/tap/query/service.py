"""Answers queries: the tables that a caller may see, the translation, the rows. Imports its neighbours.

A query of a request and that of a job come here alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from uws_server.config import Config
from uws_server.errors import BadRequest
from uws_server.execution import curation
from uws_server.storage.tap_schema import SchemaStore
from uws_server.tap.adql import Translated, translate
from uws_server.tap.formats.answer import Answer
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.connections import Batch, Connection, Connections
from uws_server.tap.query.request import QueryRequest
from uws_server.tap.schema.catalog import Catalog, positions_of
from uws_server.tap.schema.visible import Visible
from uws_server.tap.tables import TableDescription
from uws_server.tap.upload.request import MOST_BYTES, SCHEMA, UploadPair
from uws_server.tap.upload.table import FileTable, open_table, sql_type

_JOINED: Final = frozenset({"jobs", "results"})
"""Tables that the rows of others are joined with."""
Owners = tuple[str | None, ...] | None
"""Those whose jobs a list shows to a caller, None among them for nobody; None for all."""


class Queries:
    """The queries of one server."""

    def __init__(self, store: SchemaStore, config: Config, base_url: str) -> None:
        self.catalog = Catalog(store)
        self._connections = Connections(config.database_url())
        self._config, self._base_url = config, base_url
        self._tables_of = functools.lru_cache(64)(self._visible)

    def answer(
        self,
        request: QueryRequest,
        owners: Owners,
        files: Mapping[str, Path],
        budget: Budget,
        opened: Callable[[Connection], None] = lambda connection: None,
    ) -> Answer:
        """Return the answer to a query, whose first rows are read. Raise BadRequest if it is none.

        Parameters
        ----------
        request
            The query.
        owners
            Those whose jobs and products there are rows of.
        files
            The uploaded tables by their names.
        budget
            How long the database may work for it.
        opened
            Called with the connection before it works: who cancels the query may have to ask it.
        """
        visible = self._tables_of(owners)
        uploaded = {
            pair.name: open_table(files[pair.name], f"UPLOAD {pair.name}", MOST_BYTES) for pair in request.uploads
        }
        try:
            return self._computed(request, self.catalog.tables(visible), uploaded, budget, opened)
        except BadRequest:
            if not self.catalog.has_changed():  # a table may have been loaded or removed a moment ago
                raise
            return self._computed(request, self.catalog.tables(visible), uploaded, budget, opened)

    def _computed(
        self,
        request: QueryRequest,
        served: Mapping[str, TableDescription],
        uploaded: Mapping[str, FileTable],
        budget: Budget,
        opened: Callable[[Connection], None],
    ) -> Answer:
        """Return the answer to a query of the tables of the server and of those that came with it."""
        own = {f"{SCHEMA}.{pair.name}": _described(pair, uploaded[pair.name]) for pair in request.uploads}
        tables = {**served, **own}
        translated = translate(request.query, tables, self._connections.backend, request.maxrec)
        connection, source = self._begun(request, translated, tables, uploaded, budget, opened)
        return Answer(
            translated.columns, source, request.maxrec, request.query,
            f"{self._base_url}/datalink", release=functools.partial(self._connections.give_back, connection),
        )  # fmt: skip

    def _begun(
        self,
        request: QueryRequest,
        translated: Translated,
        tables: Mapping[str, TableDescription],
        uploaded: Mapping[str, FileTable],
        budget: Budget,
        opened: Callable[[Connection], None],
    ) -> tuple[Connection, Iterator[Batch]]:
        """Return the connection that a query has, and its rows, of which the first are read.

        A connection that has rested may be to a database which was restarted meanwhile: another one is taken then.
        """
        read = {table.sql_name for table in tables.values()} | _JOINED
        while True:
            connection = self._connections.take()
            try:
                opened(connection)
                for pair in request.uploads:
                    self._upload(connection, pair, uploaded[pair.name], budget)
                source = connection.batches(translated.sql, translated.parameters, read, budget)
                return connection, _rows(next(source, ()), source)
            except BaseException:
                has_rested, is_broken = self._connections.has_rested(connection), connection.is_broken
                self._connections.give_back(connection)
                if not (has_rested and is_broken):
                    raise

    def _upload(self, connection: Connection, pair: UploadPair, table: FileTable, budget: Budget) -> None:
        columns = [
            (str(column.sql_name), sql_type(column, self._connections.backend))
            for column in _described(pair, table).columns
        ]
        connection.upload(pair.sql_name, columns, table.read(), budget)

    def close(self) -> None:
        """Close the connections that wait for queries."""
        self._connections.close()

    def _visible(self, owners: Owners) -> Visible:
        """Return the rows that a caller may see."""
        products = self._config.products
        names = None if owners is None else tuple(sorted(owner or "" for owner in owners))
        curated = tuple(curation.of(self._config).items())
        return Visible(self._connections.backend, names, self._base_url, products.publisher, curated)


def _rows(first: Batch, others: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from others


def _described(pair: UploadPair, table: FileTable) -> TableDescription:
    """Return an uploaded table as the translator knows tables; its columns have plain names in the database."""
    columns = tuple(replace(column, sql_name=f"c{number}") for number, column in enumerate(table.columns, start=1))
    return TableDescription(f"{SCHEMA}.{pair.name}", pair.sql_name, columns, positions_of(table.columns))


def require_files(request: QueryRequest, files: Mapping[str, Path]) -> None:
    """Raise BadRequest for an uploaded table whose file did not come."""
    for pair in request.uploads:
        if pair.name not in files:
            raise BadRequest(f"UPLOAD: no file came for {pair.name}")
