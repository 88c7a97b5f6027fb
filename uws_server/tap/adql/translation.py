"""ADQL to SQL: the one entry of this room. Imports sqlglot when the first query comes, not before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from uws_server.tap.adql.backends import BACKENDS, BackendName
from uws_server.tap.adql.errors import AdqlError
from uws_server.tap.adql.sqlite import can_parse
from uws_server.tap.tables import ColumnDescription, TableDescription

_PARAMETER: Final = re.compile(r"\badql\d+\b")

_PARENTHESIS: Final = re.compile(r"[()]")
_SURE_DEPTH: Final = 8
_STEPS: Final = {"(": 1, ")": -1}


@dataclass(frozen=True)
class Translated:
    """A query as SQL of one database, with its parameters by name and the columns of the result in order.

    The placeholders are `:name` for sqlite3 and `%(name)s` for psycopg; hand `parameters` over even if it is empty.
    """

    sql: str
    parameters: Mapping[str, object]
    columns: list[ColumnDescription]


def translate(
    query: str, tables: Mapping[str, TableDescription], backend: BackendName, maxrec: int | None = None
) -> Translated:
    """Return a query as SQL that reads no table but those given and calls no function but those of ADQL.

    If `maxrec` is given, up to `maxrec` + 1 rows come: the one more tells that the result overflows. On the connection
    `sqlite.register` or `postgresql.register` must have been called. Raise AdqlError, with line and column, for what is
    no ADQL, names what is not in `tables`, or goes past the bounds of a query.
    """
    from uws_server.tap.adql.dialect import parse
    from uws_server.tap.adql.selects import Translator

    translator = Translator(query, tables, BACKENDS[backend], most=None if maxrec is None else maxrec + 1)
    try:
        sql, columns = translator.whole(parse(query))
    except RecursionError:
        raise AdqlError("the query is nested too deeply; write it flatter") from None
    if backend == "sqlite" and _depth(sql) > _SURE_DEPTH and not can_parse(sql):
        raise AdqlError("SELECTs, parentheses and CASE are nested deeper than SQLite reads; write the query flatter")
    used = set(_PARAMETER.findall(sql))
    parameters = {name: text for name, text in translator.parameters.items() if name in used}
    for table in translator.read.values():
        parameters |= table.parameters
    return Translated(sql, parameters, [column.value.named(column.name) for column in columns])


def _depth(sql: str) -> int:
    """Return how deep parentheses stand in one another; none stands in quotes but in the name of a column."""
    return max(accumulate(map(_STEPS.__getitem__, _PARENTHESIS.findall(sql))), default=0)
