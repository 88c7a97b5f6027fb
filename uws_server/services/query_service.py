"""What one caller can do with tables, without HTTP: ask them, and see which there are. Imports the rights and TAP."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from uws_server.services.rights import Caller, Rights
from uws_server.tap.formats.answer import Answer
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.request import QueryRequest
from uws_server.tap.query.service import Queries
from uws_server.tap.query.turns import Turns
from uws_server.tap.schema.model import Schema


class Needs(Protocol):
    """The parts of a server that queries need."""

    rights: Rights
    turns: Turns

    @property
    def queries(self) -> Queries:
        """The queries of the server."""


class QueryService:
    """The tables as one caller meets them."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._rights, self._queries, self._caller = needs.rights, needs.queries, caller
        self._turns = needs.turns

    def turn(self) -> AbstractContextManager[None]:
        """Return what waits for a turn among all queries that the server answers at once, and has it for a block.

        It raises Unavailable if that takes too long.
        """
        return self._turns.turn()

    def answer(self, request: QueryRequest, files: Mapping[str, Path], budget: Budget) -> Answer:
        """Return the answer to a query; `files` are the uploaded tables by their names.

        Raise Unauthorized for who may not use the server, BadRequest for what is no query, TimedOut for one that takes
        too long.
        """
        return self._queries.answer(request, self._rights.listed_owners(self._caller), files, budget)

    def schemas(self) -> tuple[Schema, ...]:
        """Return the schemas with their tables. Raise Unauthorized for who may not use the server."""
        self._rights.require_entry(self._caller)
        return self._queries.catalog.schemas()
