"""What the parts of a translation share: the database, the tables, the parameters, and how an error finds its place."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping

from sqlglot import exp

from uws_server.tap.adql.backends import Backend
from uws_server.tap.adql.errors import AdqlError, place_of
from uws_server.tap.adql.scopes import Column, Scope
from uws_server.tap.tables import TableDescription


class QueryContext(ABC):
    """One translation, as far as values and functions need to know it."""

    def __init__(self, query: str, tables: Mapping[str, TableDescription], backend: Backend) -> None:
        self.query, self.tables, self.backend = query, tables, backend
        self.parameters: dict[str, object] = {}
        self.read: dict[str, TableDescription] = {}
        self._texts: dict[str, str] = {}
        self._numbers = itertools.count(1)

    @abstractmethod
    def subquery(self, node: exp.Expr, scope: Scope | None) -> tuple[str, list[Column]]:
        """Return the SQL of a SELECT within the query, without parentheses, and its columns."""

    def alias(self) -> str:
        """Return a new name for a table of the SQL: none of the query's own names gets into it."""
        return f"t{next(self._numbers)}"

    def view(self) -> str:
        """Return a new name for a SELECT of WITH, which no table of the database has."""
        return f"adql_view{next(self._numbers)}"

    def bind(self, text: str) -> str:
        """Return what stands in the SQL for a text of the query; the same text is the same parameter."""
        if "\0" in text:
            raise AdqlError("a string holds the character NUL")
        name = self._texts.setdefault(text, f"adql{len(self._texts) + 1}")
        self.parameters[name] = text
        return self.backend.placeholder(name)

    def error(self, message: str, node: exp.Expr) -> AdqlError:
        """Return the error for a part of the query: at its first word whose place is known."""
        starts = [start for part in node.walk() if (start := part.meta.get("start")) is not None]
        return AdqlError(message, *(place_of(self.query, min(starts)) if starts else (0, 0)))

    def only(self, node: exp.Expr, *arguments: str) -> None:
        """Check that a node of the tree has no arguments but these; raise AdqlError for what ADQL does not have."""
        for name, argument in node.args.items():
            if argument and name not in arguments:
                raise self.error(f"{name.strip('_').replace('_', ' ').upper()} is not ADQL here", node)
