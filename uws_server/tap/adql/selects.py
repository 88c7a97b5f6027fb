"""SELECT, UNION and WITH to SQL: the clauses put together, with bounds on how many rows come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.expressions import condition, name_of, value
from uws_server.tap.adql.operators import words
from uws_server.tap.adql.scopes import Column, NoSuchName, Scope, find_column, find_sources
from uws_server.tap.adql.sources import View, from_clause
from uws_server.tap.adql.values import NUMBERS, Value

_SELECT = ("expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "with_")
_SET = ("this", "expression", "distinct", "order", "offset", "with_", "limit")
_OF_WHOLE = ("order", "offset", "with_", "limit")
_MOST_SELECTS = 100
_MOST_COLUMNS = 1600


@dataclass
class Items:
    """What stands between SELECT and FROM: the columns of the result, and where each came from."""

    columns: list[Column]

    @property
    def sql(self) -> str:
        """The SQL of the items, which are called c1, c2 and so on."""
        pairs = enumerate((column.value.sql for column in self.columns), 1)
        return ", ".join(f"{sql} AS c{number}" for number, sql in pairs)

    def position(self, name: exp.Expr) -> int | None:
        """Return the number of the only item of that name, from 1."""
        if not isinstance(name, exp.Column) or name.args.get("table") or not isinstance(name.this, exp.Identifier):
            return None
        asked = name.this
        found = [number for number, column in enumerate(self.columns, 1)
                 if column.name == asked.name or
                 (not asked.args.get("quoted") and column.name.lower() == asked.name.lower())]  # fmt: skip
        return found[0] if found else None


class Translator(QueryContext):
    """The translation of one query: QueryContext with what SELECTs within SELECTs need."""

    def __init__(self, *given: object, most: int | None = None) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.views: dict[str, View] = {}
        self.most = most

    def whole(self, tree: exp.Query) -> tuple[str, list[Column]]:
        """Return the SQL of the whole query, of which no more rows come than are asked for."""
        return self._query(tree, None, self.most)

    def subquery(self, node: exp.Expr, scope: Scope | None) -> tuple[str, list[Column]]:
        """Return the SQL of a SELECT within another."""
        return self._query(node, scope, None)

    def _query(self, node: exp.Expr, parent: Scope | None, most: int | None) -> tuple[str, list[Column]]:
        while isinstance(node, exp.Subquery):
            self.only(node, "this")
            node = node.this
        outer, prefix = self.views, ""
        if node.args.get("with_"):
            self.views = dict(outer)
            prefix = self._with(node.args["with_"])
        if isinstance(node, exp.Select):
            sql, columns = _select(self, node, parent, most)
        elif isinstance(node, exp.SetOperation):
            sql, columns = _set_operation(self, node, parent, most)
        else:
            raise self.error("a SELECT is needed here", node)
        self.views = outer
        return prefix + sql, columns

    def _with(self, node: exp.Expr) -> str:
        """Return WITH ... AS (...), and learn the names that it gives."""
        self.only(node, "expressions")
        parts: list[tuple[str, str]] = []
        for item in node.expressions:
            self.only(item, "this", "alias")
            alias = item.args["alias"]
            name = name_of(self, alias.this)
            if any(name.lower() == known for known, _ in parts):
                raise self.error(f"WITH gives the name {name} twice", item)
            sql, columns = self._query(item.this, None, None)
            columns = _renamed(self, alias, columns)
            sql_name = self.view()
            self.views[name.lower()] = View(name, bool(alias.this.args.get("quoted")), sql_name, columns)
            parts.append((name.lower(), f"{sql_name} AS ({sql})"))
        return f"WITH {', '.join(sql for _, sql in parts)} "


def _renamed(context: QueryContext, alias: exp.Expr, columns: list[Column]) -> list[Column]:
    """Return the columns under the names that WITH name(a, b) gives them."""
    names = alias.args.get("columns") or []
    if not names:
        return columns
    if len(names) != len(columns):
        raise context.error(
            f"WITH gives another number of names ({len(names)}) than its SELECT has columns ({len(columns)})", alias
        )
    return [Column(name_of(context, name), column.value) for name, column in zip(names, columns, strict=True)]


def _select(context: Translator, node: exp.Select, parent: Scope | None, most: int | None) -> tuple[str, list[Column]]:
    context.only(node, *_SELECT)
    scope = Scope(parent)
    if not node.args.get("from_"):
        raise context.error("a SELECT needs FROM and a table", node)
    scope.within = "a condition of JOIN"
    tables = from_clause(context, scope, node, context.views)
    where = ""
    if node.args.get("where"):
        scope.within = "WHERE; write HAVING"
        context.only(node.args["where"], "this")
        where = f" WHERE {condition(context, scope, node.args['where'].this)}"
    scope.within = ""
    group = _group(context, scope, node)
    scope.loose.clear()
    items = _items(context, scope, node)
    having = ""
    if node.args.get("having"):
        having = f" HAVING {condition(context, scope, node.args['having'].this)}"
    distinct = ""
    if node.args.get("distinct"):
        context.only(node.args["distinct"])
        distinct = "DISTINCT "
    order = _order(context, scope, node, items, bool(distinct))
    _check_groups(context, scope, bool(group or having))
    rows = _rows(context, node, most)
    return f"SELECT {distinct}{items.sql} FROM {tables}{where}{group}{having}{order}{rows}", items.columns


def _group(context: QueryContext, scope: Scope, node: exp.Select) -> str:
    """Return GROUP BY; a name that no table has may be that of an item of SELECT."""
    group = node.args.get("group")
    if not group:
        return ""
    context.only(group, "expressions")
    aliases = {item.alias.lower(): item.this for item in node.expressions if isinstance(item, exp.Alias)}
    keys = []
    scope.within = "GROUP BY"
    for part in group.expressions:
        keys.append(value(context, scope, _meant(scope, part, node.expressions, aliases)).sql)
    scope.within = ""
    scope.keys = set(keys)
    return f" GROUP BY {', '.join(keys)}"


def _meant(scope: Scope, part: exp.Expr, items: list[exp.Expr], aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """Return the expression that a number or an alias in GROUP BY stands for."""
    if isinstance(part, exp.Literal) and not part.args.get("is_string") and part.name.isdigit():
        number = int(part.name)
        return items[number - 1].unalias() if 1 <= number <= len(items) else part
    if isinstance(part, exp.Column) and not part.args.get("table") and part.name.lower() in aliases:
        try:
            find_column(scope, [part.this])
        except NoSuchName:
            return aliases[part.name.lower()]
    return part


def _items(context: QueryContext, scope: Scope, node: exp.Select) -> Items:
    if not node.expressions:
        raise context.error("between SELECT and FROM stand columns, or *", node)
    items = Items([])
    for item in node.expressions:
        starred = _starred(context, scope, item)
        if starred is not None:
            for column in starred:
                scope.loose.append((item, column.name))
                if column.value.sql in scope.keys:
                    scope.loose.pop()
            items.columns += starred
            continue
        items.columns.append(_item(context, scope, item, len(items.columns) + 1))
    if len(items.columns) > _MOST_COLUMNS:
        raise context.error(f"{len(items.columns)} columns are selected; allowed are {_MOST_COLUMNS}", node)
    return items


def _starred(context: QueryContext, scope: Scope, item: exp.Expr) -> list[Column] | None:
    """Return the columns of * or table.*, or None if the item is neither."""
    if isinstance(item, exp.Star):
        context.only(item)
        return list(scope.columns_of_all())
    if not isinstance(item, exp.Column) or not isinstance(item.this, exp.Star):
        return None
    context.only(item.this)
    qualifiers = [part for key in ("db", "table") if isinstance(part := item.args.get(key), exp.Identifier)]
    sources = find_sources(scope, qualifiers)
    if len(sources) != 1:
        asked = ".".join(part.name for part in qualifiers)
        raise context.error(f"{'several tables are' if sources else 'no table behind FROM is'} called {asked}", item)
    return list(sources[0].all())


def _item(context: QueryContext, scope: Scope, item: exp.Expr, number: int) -> Column:
    """Return a column of the result: under its alias, or its own name."""
    name = ""
    if isinstance(item, exp.Alias):
        context.only(item, "this", "alias")
        name, item = name_of(context, item.args["alias"]), item.this
    found = value(context, scope, item)
    if found.kind == "null":
        found = replace(found, sql=context.backend.cast("NULL", "char"), kind="text")
    if found.kind == "text" and found.literal is not None:
        found = replace(found, literal=None)
    if not name:
        name = found.about.name if isinstance(item, exp.Column) else ""
    if not name and isinstance(item, exp.Anonymous) and isinstance(item.this, str):
        name = item.this.lower()
    return Column(name or f"col_{number}", found)


def _order(context: QueryContext, scope: Scope, node: exp.Expr, items: Items, distinct: bool) -> str:
    order = node.args.get("order")
    if not order:
        return ""
    context.only(order, "expressions")
    keys = []
    for part in order.expressions:
        context.only(part, "this", "desc", "nulls_first")
        keys.append(_key(context, scope, part.this, items, distinct) + (" DESC" if part.args.get("desc") else ""))
    return f" ORDER BY {', '.join(keys)}"


def _key(context: QueryContext, scope: Scope, node: exp.Expr, items: Items, distinct: bool) -> str:
    """Return what rows are ordered by: an item of SELECT by number, name or expression, or else an expression."""
    if isinstance(node, exp.Literal):
        number = int(node.name) if node.name.isdigit() and not node.args.get("is_string") else 0
        if not 1 <= number <= len(items.columns):
            raise context.error(
                f"ORDER BY takes a column's number of 1 to {len(items.columns)}, or an expression", node
            )
        return f"c{number}"
    position = items.position(node)
    if position is not None:
        return f"c{position}"
    found = value(context, scope, node)
    if found.kind == "shape":
        raise context.error("rows cannot be ordered by a region", node)
    for number, column in enumerate(items.columns, 1):
        if column.value.sql == found.sql:
            return f"c{number}"
    if distinct:
        raise context.error("behind SELECT DISTINCT, ORDER BY takes only what is selected", node)
    return found.sql


def _check_groups(context: QueryContext, scope: Scope, grouped: bool) -> None:
    """Raise AdqlError for a column that has many values in a group."""
    if (grouped or scope.aggregates) and scope.loose:
        node, name = scope.loose[0]
        raise context.error(
            f"the column {name} is neither in GROUP BY nor within an aggregate such as MIN({name})", node
        )


def _rows(context: QueryContext, node: exp.Expr, most: int | None) -> str:
    """Return LIMIT and OFFSET: the least of TOP and of what the caller takes."""
    limit, skipped = node.args.get("limit"), node.args.get("offset")
    bounds = [] if most is None else [most]
    if limit is not None:
        context.only(limit, "expression")
        bounds.append(_whole(context, limit.expression, "TOP"))
    offset = 0
    if skipped is not None:
        context.only(skipped, "expression")
        offset = _whole(context, skipped.expression, "OFFSET")
    words = f" LIMIT {min(bounds)}" if bounds else ""
    if offset:
        words = words or (" LIMIT -1" if context.backend.is_sqlite else "")
        words += f" OFFSET {offset}"
    return words


def _whole(context: QueryContext, node: exp.Expr, word: str) -> int:
    if not isinstance(node, exp.Literal) or not node.name.isdigit() or len(node.name) > 18:
        came = node.name if isinstance(node, exp.Literal) else node.sql()
        raise context.error(f"{word} needs a whole number behind it, such as {word} 10; {came[:40]!r} came", node)
    return int(node.name)


def _set_operation(
    context: Translator, node: exp.SetOperation, parent: Scope | None, most: int | None
) -> tuple[str, list[Column]]:
    """Return SELECTs joined by UNION, INTERSECT or EXCEPT, however many; their columns go together by place.

    The parser has put into parentheses what binds tighter; the rest is joined from the left, as databases do.
    """
    spine: list[exp.SetOperation] = []
    part: exp.Expr = node
    while isinstance(part, exp.SetOperation) and (part is node or not any(map(part.args.get, _OF_WHOLE))):
        spine.append(part)
        part = part.this
    if len(spine) > _MOST_SELECTS:
        raise context.error(f"more than {_MOST_SELECTS} SELECTs are joined; write fewer", node)
    sql, united = context.subquery(part, parent)
    body = f"SELECT * FROM ({sql}) AS {context.alias()}"
    for joint in reversed(spine):
        word = _word_of_set(context, joint)
        sql, others = context.subquery(joint.expression, parent)
        united = _united(context, joint, word, united, others)
        body += f" {word} SELECT * FROM ({sql}) AS {context.alias()}"
    order = _order_of_set(context, node, Items(united))
    return f"{body}{order}{_rows(context, node, most)}", united


def _word_of_set(context: QueryContext, node: exp.SetOperation) -> str:
    context.only(node, *_SET)
    word = node.key.upper()
    if node.args.get("distinct") is not False:
        return word
    if word != "UNION":
        raise context.error(f"ALL stands behind UNION only, not behind {word}", node)
    return "UNION ALL"


def _united(
    context: QueryContext, node: exp.Expr, word: str, columns: list[Column], others: list[Column]
) -> list[Column]:
    """Return the columns of two SELECTs together; raise AdqlError if they do not go together."""
    if len(columns) != len(others):
        raise context.error(
            f"{word} joins SELECTs of equally many columns; {len(columns)} and {len(others)} came", node
        )
    for one, other in zip(columns, others, strict=True):
        if one.value.kind != other.value.kind:
            raise context.error(f"{word}: {one.name} is {words(one.value)}, {other.name} {words(other.value)}", node)
    return [Column(one.name, _widest(one.value, other.value)) for one, other in zip(columns, others, strict=True)]


def _order_of_set(context: QueryContext, node: exp.Expr, items: Items) -> str:
    scope = Scope()
    for part in node.args["order"].expressions if node.args.get("order") else ():
        if not isinstance(part.this, exp.Literal) and items.position(part.this) is None:
            raise context.error("behind UNION, ORDER BY takes names or numbers of the columns", part)
    return _order(context, scope, node, items, True)


def _widest(one: Value, other: Value) -> Value:
    if one.kind != "number":
        return one
    datatype = max(one.about.datatype, other.about.datatype, key=NUMBERS.index)
    unit = one.about.unit if one.about.unit == other.about.unit else None
    return replace(one, about=replace(one.about, datatype=datatype, unit=unit))
