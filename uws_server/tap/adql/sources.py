"""FROM: tables, SELECTs and joins become the names of a scope and the SQL of what is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlglot import exp

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.errors import near
from uws_server.tap.adql.expressions import condition, name_of
from uws_server.tap.adql.operators import comparable
from uws_server.tap.adql.scopes import Column, Scope, Source, derived, listed, table_source
from uws_server.tap.adql.values import Value
from uws_server.tap.tables import TableDescription

MAX_TABLES: Final = 40
"""The most tables that one FROM joins: PostgreSQL and SQLite plan no more than some 60."""

_JOINS: Final = {
    (None, None): "JOIN", (None, "INNER"): "JOIN", (None, "CROSS"): "CROSS JOIN", ("LEFT", None): "LEFT JOIN",
    ("LEFT", "OUTER"): "LEFT JOIN", ("RIGHT", None): "RIGHT JOIN", ("RIGHT", "OUTER"): "RIGHT JOIN",
    ("FULL", None): "FULL JOIN", ("FULL", "OUTER"): "FULL JOIN",
}  # fmt: skip


def from_clause(context: QueryContext, scope: Scope, select: exp.Select, views: dict[str, View]) -> str:
    """Return the SQL behind FROM, and put its tables into the scope; raise AdqlError for a name that means nothing.

    JOIN binds tighter than the comma, which tells for joins that keep rows of their right side.
    """
    first = select.args["from_"]
    context.only(first, "this")
    parts, since = [_joined(context, scope, first.this, views)], 0
    for join in select.args.get("joins") or ():
        if any(join.args.get(key) for key in ("on", "using", "method", "side", "kind")):
            parts[-1] = _join(context, scope, parts[-1], join, views, since)
        else:
            context.only(join, "this")
            since = len(scope.sources)
            parts.append(_joined(context, scope, join.this, views))
    keeping = ("RIGHT JOIN", "FULL JOIN")
    bound = [f"({part})" if any(word in part for word in keeping) else part for part in parts[1:]]
    return f" {_cross(context)} ".join([parts[0], *bound])


def _cross(context: QueryContext) -> str:
    """Return the word for all pairs of rows: SQLite would keep to the order of the tables behind CROSS."""
    return "JOIN" if context.backend.is_sqlite else "CROSS JOIN"


class View:
    """A SELECT behind WITH: its name in SQL and its columns."""

    def __init__(self, name: str, quoted: bool, sql_name: str, columns: list[Column]) -> None:
        self.name, self.quoted, self.sql_name, self.columns = name, quoted, sql_name, columns


def _joined(context: QueryContext, scope: Scope, node: exp.Expr, views: dict[str, View]) -> str:
    """Return the SQL of a table with what is joined to it."""
    since = len(scope.sources)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery) and not node.alias:
        context.only(node, "this", "joins")
        sql = f"({_joined(context, scope, node.this, views)})"
    else:
        source = _source(context, scope, node, views)
        if any(_same(source, other) for other in scope.sources):
            raise context.error(f"two tables are called {source.name}; give one another name with AS", node)
        scope.sources.append(source)
        if len(scope.sources) > MAX_TABLES:
            raise context.error(f"more than {MAX_TABLES} tables are joined", node)
        sql = source.sql
    for join in node.args.get("joins") or ():
        sql = _join(context, scope, sql, join, views, since)
    return sql


def _same(one: Source, other: Source) -> bool:
    return (one.schema.lower(), one.name.lower()) == (other.schema.lower(), other.name.lower())


def _source(context: QueryContext, scope: Scope, node: exp.Expr, views: dict[str, View]) -> Source:
    """Return a table, a SELECT of WITH or a SELECT in parentheses as something with columns."""
    alias = _alias(context, node)
    if isinstance(node, exp.Subquery):
        context.only(node, "this", "alias", "joins")
        if not alias:
            raise context.error("a SELECT behind FROM needs a name: (SELECT ...) AS name", node)
        sql, columns = context.subquery(node.this, None)
        return _of_select(context, alias, f"({sql})", columns)
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise context.error("behind FROM stands a table or a SELECT in parentheses", node)
    context.only(node, "this", "db", "catalog", "alias", "joins")
    view = None if node.args.get("db") else _view(views, node.this)
    if view is not None:
        return _of_select(context, alias or view.name, view.sql_name, view.columns)
    table = find_table(context, node)
    context.read[table.name] = table
    return table_source(table, alias, context.alias(), context.backend)


def _view(views: dict[str, View], asked: exp.Identifier) -> View | None:
    view = views.get(asked.name.lower())
    if view is not None and asked.args.get("quoted") and view.name != asked.name:
        return None
    return view


def _of_select(context: QueryContext, name: str, sql: str, columns: list[Column]) -> Source:
    own = context.alias()
    quoted = [f"c{number}" for number in range(1, len(columns) + 1)]
    return Source(name, "", f"{sql} AS {own}", derived(columns, own, quoted))


def _alias(context: QueryContext, node: exp.Expr) -> str:
    alias = node.args.get("alias")
    if alias is None:
        return ""
    context.only(alias, "this")
    return name_of(context, alias.this)


def find_table(context: QueryContext, node: exp.Table) -> TableDescription:
    """Return the table of a name, with its schema or without if only one has it; raise AdqlError with near names."""
    parts = [part for key in ("catalog", "db", "this") if isinstance(part := node.args.get(key), exp.Identifier)]
    for part in parts:
        name_of(context, part)
    asked = ".".join(part.name for part in parts)
    exact = context.tables.get(asked)
    found = [exact] if exact is not None else [table for table in context.tables.values() if _means(table.name, parts)]
    if len(found) == 1:
        return found[0]
    names = [table.name for table in context.tables.values()]
    if found:
        raise context.error(f"several tables are called {asked}: {listed(table.name for table in found)}", node)
    own = {name.rpartition(".")[2]: name for name in names}
    hint = near(asked, names) or near(asked.rpartition(".")[2], own) or f"; there is {listed(names[:30])}"
    raise context.error(f"there is no table {asked}{hint}", node)


def _means(name: str, parts: list[exp.Identifier]) -> bool:
    """Whether a table is meant by one or two names."""
    own = name.split(".", 1)
    if len(parts) > len(own):
        return False
    pairs = zip(own[-len(parts) :], parts, strict=True)
    return all(known == part.name if part.args.get("quoted") else known.lower() == part.name.lower()
               for known, part in pairs)  # fmt: skip


def _join(context: QueryContext, scope: Scope, left: str, join: exp.Expr, views: dict[str, View], since: int) -> str:
    """Return the SQL of a join; columns of USING and NATURAL are one afterwards. Its left side begins at `since`."""
    context.only(join, "this", "method", "side", "kind", "on", "using")
    natural = join.args.get("method") == "NATURAL"
    word = _JOINS.get((join.args.get("side") or None, join.args.get("kind") or None))
    if word is None or (join.args.get("method") and not natural):
        raise context.error("this kind of join is not ADQL", join)
    before = len(scope.sources)
    right = _joined(context, scope, join.this, views)
    on, using = join.args.get("on"), join.args.get("using")
    if word == "CROSS JOIN":
        if on is not None or using or natural:
            raise context.error("CROSS JOIN has neither ON nor USING", join)
        return f"{left} {_cross(context)} {right}"
    if on is not None:
        return f"{left} {word} {right} ON {condition(context, scope, on)}"
    if not natural and not using:
        raise context.error("a join needs ON or USING", join)
    names = _common(scope, since, before) if natural else [name_of(context, part) for part in using or ()]
    pairs = [_unite(context, scope, (since, before), name, word, join) for name in names]
    return f"{left} {word} {right} ON {' AND '.join(pairs) or '1 = 1'}"


def _common(scope: Scope, since: int, before: int) -> list[str]:
    """Return the names that tables on both sides of a join have."""
    left = {column.name.lower() for source in scope.sources[since:before] for column in source.all()}
    return [column.name for source in scope.sources[before:] for column in source.all() if column.name.lower() in left]


def _unite(context: QueryContext, scope: Scope, sides: tuple[int, int], name: str, word: str, join: exp.Expr) -> str:
    """Return the condition that a column is the same on both sides, and make one column of the two."""
    key, (since, before) = name.lower(), sides
    left, right = (
        [(number, column) for number in numbers for column in scope.sources[number].columns.get(key, ())]
        for numbers in (range(since, before), range(before, len(scope.sources)))
    )
    known = scope.joined.get(key)
    if len(right) != 1 or (known is None and len(left) != 1):
        raise context.error(f"USING: the column {name} must stand once on each side of the join", join)
    first = known or left[0][1]
    second = right[0][1]
    scope.hidden.update((number, key) for number, _ in (*left, *right))
    scope.joined[key] = Column(first.name, _united(first.value, second.value, word))
    one, other = comparable(context, first.value, second.value, join)
    return f"{one} = {other}"


def _united(left: Value, right: Value, word: str) -> Value:
    if word == "RIGHT JOIN":
        return right
    if word == "FULL JOIN":
        return replace(left, sql=f"coalesce({left.sql}, {right.sql})", origin=None)
    return left
